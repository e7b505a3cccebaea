//! Closed loop: each session has one message under way, always. Tells what a message costs, not
//! how long it takes: a slow proxy is simply asked less often.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::result;
use crate::args::Echo;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::meter::Meter;
use crate::rig::{Next, Rig, What};
use crate::tls::Tickets;

pub(crate) fn run(args: &Echo) -> Result<Value, Failure> {
    let mut rig = Rig::new(&args.target, Exchange::echo(args.size), Tickets::Used)?;
    let meter = Meter::of(args.target.pid)?;
    rig.open_all(0, args.connections + args.idle, Next::Ask)?;
    for slot in 0..args.connections {
        rig.ask(slot)?;
    }
    echo_for(&mut rig, args.warm)?;
    let begun = meter.reading()?;
    let messages = echo_for(&mut rig, args.seconds)?;
    result(&meter, &begun, json!({ "messages": messages }))
}

fn echo_for(rig: &mut Rig, seconds: f64) -> Result<u64, Failure> {
    let time = Duration::from_secs_f64(seconds);
    let begun = Instant::now();
    let mut messages = 0;
    while begun.elapsed() < time {
        rig.turn(time, |_, what| {
            messages += u64::from(what == What::Answered);
            Next::Ask
        })?;
    }
    Ok(messages)
}
