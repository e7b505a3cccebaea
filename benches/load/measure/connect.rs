//! Sessions that live for one echo: what opening one costs, and what a storm of them leaves behind.
//!
//! Clients close by reset, so that no address waits in TIME_WAIT.

use std::time::Duration;

use serde_json::{Value, json};

use super::result;
use crate::args::Connect;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::meter::Meter;
use crate::rig::{Next, Rig, What};
use crate::tls::Tickets;

const SIZE: usize = 64;
const WAIT: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &Connect) -> Result<Value, Failure> {
    let tickets = match args.resume {
        true => Tickets::Used,
        false => Tickets::Refused,
    };
    let mut rig = Rig::new(&args.target, Exchange::echo(SIZE), tickets)?;
    let meter = Meter::of(args.target.pid)?;
    connect(&mut rig, args.warm, args.at_once)?;
    let memory_before = meter.memory()?;
    let (resumed_before, tunnels_before) = (rig.resumed(), rig.tunnels());
    let begun = meter.reading()?;
    connect(&mut rig, args.count, args.at_once)?;
    let counted = json!({
        "connections": args.count,
        "resumed": rig.resumed() - resumed_before,
        "tunnels": rig.tunnels() - tunnels_before,
    });
    let mut result = result(&meter, &begun, counted)?;
    result["memory_before"] = memory_before.into();
    result["memory_after"] = meter.memory()?.into();
    rig.rest(Duration::from_secs_f64(args.settle))?;
    result["memory_settled"] = meter.memory()?.into();
    Ok(result)
}

/// Opens `count` sessions, `at_once` at any time, and closes each after its echo.
fn connect(rig: &mut Rig, count: u64, at_once: usize) -> Result<(), Failure> {
    let (mut begun, mut done) = (0, 0);
    let mut free: Vec<usize> = (0..at_once).collect();
    while done < count {
        while begun < count
            && let Some(slot) = free.pop()
        {
            rig.open(slot)?;
            begun += 1;
        }
        rig.turn(WAIT, |slot, what| {
            if what == What::Opened {
                return Next::Ask;
            }
            free.push(slot);
            done += 1;
            Next::Close
        })?;
    }
    Ok(())
}
