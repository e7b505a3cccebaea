//! The clients: each connects, asks for an upgrade, and then asks and checks what is answered.
//!
//! A session that is ended by the other side is a failure; only a measurement ends sessions.

use std::net::SocketAddr;
use std::sync::Arc;

use mio::event::Event;
use mio::{Registry, Token};
use rustls::ClientConfig;

use super::{Next, What};
use crate::args::Target;
use crate::exchange::{Exchange, Talk};
use crate::failure::Failure;
use crate::tls::{self, Tickets};
use crate::upgrade::{self, Head, Whole};
use crate::wire::{Gave, Wire};

pub(super) struct Sessions {
    to: SocketAddr,
    path: String,
    tls: Option<Arc<ClientConfig>>,
    slots: Vec<Option<Session>>,
    /// The number of the next connection; none is given twice.
    number: u32,
    pub(super) resumed: u64,
}

struct Session {
    wire: Wire,
    stage: Stage,
    number: u32,
    talk: Talk,
}

enum Stage {
    Connecting,
    Upgrading(Head),
    Open,
}

impl Sessions {
    pub(super) fn towards(target: &Target, tickets: Tickets) -> Result<Self, Failure> {
        let tls = target.ca.as_deref().map(|ca| tls::client(ca, tickets));
        Ok(Self {
            to: target.to,
            path: target.path.clone(),
            tls: tls.transpose()?,
            slots: Vec::new(),
            number: 0,
            resumed: 0,
        })
    }

    pub(super) fn open(&mut self, slot: usize, registry: &Registry) -> Result<(), Failure> {
        let tls = self.tls.as_ref().map(tls::call).transpose()?;
        let wire = Wire::connect(self.to, tls, registry, Token(slot));
        let session = Session {
            wire: wire.map_err(Failure::io("connecting"))?,
            stage: Stage::Connecting,
            number: self.number,
            talk: Talk::of(self.number),
        };
        self.number += 1;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot] = Some(session);
        Ok(())
    }

    pub(super) fn ask(&mut self, slot: usize, exchange: &mut Exchange) -> Result<(), Failure> {
        match self.slots.get_mut(slot) {
            Some(Some(session)) => session.ask(exchange),
            _ => Err(Failure::Broken(format!("no session is in slot {slot}"))),
        }
    }

    pub(super) fn turn(
        &mut self,
        event: &Event,
        exchange: &mut Exchange,
        scratch: &mut [u8],
        told: &mut impl FnMut(usize, What) -> Next,
    ) -> Result<(), Failure> {
        let Token(slot) = event.token();
        // An event may be older than the session's end.
        let Some(Some(session)) = self.slots.get_mut(slot) else {
            return Ok(());
        };
        if !session.is_connected(&self.path)? {
            return Ok(());
        }
        session.push(exchange)?;
        loop {
            let count = match session.wire.read(scratch) {
                Ok(Gave::Bytes(count)) => count,
                Ok(Gave::Nothing) => return Ok(()),
                Ok(Gave::End) => return Err(session.ended()),
                Err(error) => return Err(Failure::io("reading at the client")(error)),
            };
            let opened = session.is_opened_by(&scratch[..count])?;
            let bytes = match &opened {
                Some(tail) => tail.as_slice(),
                None => &scratch[..count],
            };
            self.resumed += u64::from(opened.is_some() && session.wire.is_resumed());
            let mut hear = |what| told(slot, what);
            let closed = opened.is_some() && session.does(hear(What::Opened), exchange)?;
            if closed || session.hears(bytes, exchange, &mut hear)? {
                self.slots[slot] = None;
                return Ok(());
            }
            let last = session.wire.short_read_is_last() && count < scratch.len();
            if last && !event.is_read_closed() {
                return Ok(());
            }
        }
    }
}

impl Session {
    /// Whether the connection stands; the moment it does, the request goes out.
    fn is_connected(&mut self, path: &str) -> Result<bool, Failure> {
        if !matches!(self.stage, Stage::Connecting) {
            return Ok(true);
        }
        let connected = self.wire.is_connected();
        if !connected.map_err(Failure::io("connecting"))? {
            return Ok(false);
        }
        self.stage = Stage::Upgrading(Head::default());
        let request = upgrade::request(tls::NAME, path, self.number);
        let taken = self.wire.write(&request);
        match taken.map_err(Failure::io("asking for the upgrade"))? {
            all if all == request.len() => Ok(true),
            _ => Err(Failure::Broken("a new socket takes no request".to_owned())),
        }
    }

    fn push(&mut self, exchange: &mut Exchange) -> Result<(), Failure> {
        let flushed = self.wire.flush();
        let pushed = flushed.and_then(|()| {
            let form = &mut exchange.to_backend;
            self.talk.push(form, &mut self.wire)
        });
        pushed.map_err(Failure::io("writing at the client"))
    }

    fn ask(&mut self, exchange: &mut Exchange) -> Result<(), Failure> {
        self.talk.add(exchange.asked);
        self.push(exchange)
    }

    /// What came glued to the 101, if `bytes` made it whole.
    fn is_opened_by(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let Stage::Upgrading(head) = &mut self.stage else {
            return Ok(None);
        };
        let Some(Whole { head, tail }) = head.take(bytes).map_err(Failure::Broken)? else {
            return Ok(None);
        };
        upgrade::verify_answer(&head).map_err(Failure::Broken)?;
        self.stage = Stage::Open;
        Ok(Some(tail))
    }

    /// Whether the session is to be closed after these bytes.
    fn hears(
        &mut self,
        bytes: &[u8],
        exchange: &mut Exchange,
        hear: &mut impl FnMut(What) -> Next,
    ) -> Result<bool, Failure> {
        if !matches!(self.stage, Stage::Open) {
            return Ok(false);
        }
        let whole = exchange.answered;
        let pulled = self.talk.pull(&mut exchange.to_client, whole, bytes);
        let answers = pulled.map_err(|spoilt| {
            let side = "client";
            Failure::Spoilt { side, spoilt }
        })?;
        for _ in 0..answers {
            if self.does(hear(What::Answered), exchange)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether that was to close.
    fn does(&mut self, next: Next, exchange: &mut Exchange) -> Result<bool, Failure> {
        match next {
            Next::Ask => self.ask(exchange).map(|()| false),
            Next::Wait => Ok(false),
            Next::Close => Ok(true),
        }
    }

    fn ended(&self) -> Failure {
        let number = self.number;
        Failure::Broken(format!("session {number} was ended by the other side"))
    }
}
