//! What the route allows one side to send: the protocol, lengths, and how much at a time.
//!
//! Knows no payload but to hand it on to the rules.

use std::time::Duration;

use super::close::Breach;
use super::flow::Stop;
use super::params::{Frames, Params};
use super::throttle::{Excess, Throttle};
use crate::wire::ws::frame::{CONTROL_PAYLOAD_BYTES_MAX, Opcode};
use crate::wire::ws::layout::Layout;
use crate::wire::ws::rules::{Rules, Sender};

/// They hold for one direction.
#[derive(Debug)]
pub(super) struct Checks {
    rules: Option<Rules>,
    frame_bytes_max: u64,
    message_bytes_max: u64,
    throttle: Option<Throttle>,
    /// The frame that comes next was taken account of, and has waited.
    is_paid: bool,
}

impl Checks {
    /// `None` where everything is allowed.
    pub(super) fn of(
        sender: Sender,
        params: &Params,
        throttle: Option<Throttle>,
    ) -> Option<Box<Self>> {
        let rules = match params.frames {
            Frames::Validate => Some(Rules::new(sender, params.deflate)),
            Frames::Observe | Frames::Opaque => None,
        };
        let has_limit = params.frame_bytes_max.is_some() || params.message_bytes_max.is_some();
        let is_any = rules.is_some() || has_limit || throttle.is_some();
        is_any.then(|| {
            Box::new(Self {
                rules,
                frame_bytes_max: params.frame_bytes_max.unwrap_or(u64::MAX),
                message_bytes_max: params.message_bytes_max.unwrap_or(u64::MAX),
                throttle,
                is_paid: false,
            })
        })
    }

    /// Whether a frame may begin whose message comes to `message_bytes` with it.
    pub(super) fn header(
        &mut self,
        layout: &Layout,
        opcode: Option<Opcode>,
        message_bytes: u64,
    ) -> Result<(), Stop> {
        // Not twice: the rules remember what they have seen.
        if !self.is_paid {
            self.judge(layout, message_bytes).map_err(Stop::Breach)?;
            let goes_on = opcode == Some(Opcode::Continuation);
            let throttle = self.throttle.as_mut();
            match throttle.and_then(|throttle| throttle.begin(goes_on, layout.len)) {
                None => {}
                Some(Excess::Close) => return Err(Stop::Breach(Breach::Rate)),
                Some(Excess::Delay(wait)) => {
                    self.is_paid = true;
                    return Err(Stop::Wait(wait));
                }
            }
        }
        self.is_paid = false;
        Ok(())
    }

    fn judge(&mut self, layout: &Layout, message_bytes: u64) -> Result<(), Breach> {
        if let Some(rules) = &mut self.rules {
            rules.header(layout).map_err(Breach::Rule)?;
        }
        if layout.len > self.frame_bytes_max && !is_short_control(layout) {
            return Err(Breach::FrameBytes);
        }
        if message_bytes > self.message_bytes_max {
            return Err(Breach::MessageBytes);
        }
        Ok(())
    }

    /// Whether this piece of a payload may pass.
    pub(super) fn payload(&mut self, payload: &[u8]) -> Result<(), Breach> {
        match &mut self.rules {
            Some(rules) => rules.payload(payload).map_err(Breach::Rule),
            None => Ok(()),
        }
    }

    /// How long nothing more is taken, now that so many bytes of a payload have come.
    pub(super) fn slow_down(&mut self, bytes: usize) -> Option<Duration> {
        match self.throttle.as_mut()?.came(bytes)? {
            Excess::Delay(wait) => Some(wait),
            // It was judged by what it announced.
            Excess::Close => None,
        }
    }

    /// Whether a payload has to be looked at, or its bytes counted as they come.
    pub(super) fn need_payload(&self) -> bool {
        self.rules.is_some() || self.throttle.is_some()
    }
}

/// A control frame as the protocol has it: its limit is that of the protocol.
fn is_short_control(layout: &Layout) -> bool {
    layout.is_control() && layout.len <= CONTROL_PAYLOAD_BYTES_MAX as u64
}
