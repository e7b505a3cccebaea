//! Much in one direction, every byte checked where it arrives; and what of it the proxy still holds
//! in memory when the sessions have gone quiet.

use std::time::Duration;

use serde_json::{Value, json};

use super::result;
use crate::args::{Bulk, Direction};
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::meter::Meter;
use crate::rig::{Next, Rig, What};
use crate::tls::Tickets;

const WAIT: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &Bulk) -> Result<Value, Failure> {
    let messages = args.bytes / (args.size * args.connections) as u64;
    let messages = u32::try_from(messages.max(1));
    let messages = messages.map_err(|_| Failure::Broken("too many messages".to_owned()))?;
    let exchange = match args.direction {
        Direction::ToClient => Exchange::bulk_to_client(args.size, messages),
        Direction::ToBackend => Exchange::bulk_to_backend(args.size, messages),
    };
    let mut rig = Rig::new(&args.target, exchange, Tickets::Used)?;
    let meter = Meter::of(args.target.pid)?;
    rig.open_all(0, args.connections, Next::Wait)?;
    let memory_before = meter.memory()?;
    let begun = meter.reading()?;
    exchange_on_all(&mut rig, args.connections)?;
    let bytes = u64::from(messages) * (args.size * args.connections) as u64;
    let mut result = result(&meter, &begun, json!({ "bytes": bytes }))?;
    result["memory_before"] = memory_before.into();
    result["memory_after"] = meter.memory()?.into();
    rig.rest(Duration::from_secs_f64(args.settle))?;
    result["memory_settled"] = meter.memory()?.into();
    Ok(result)
}

fn exchange_on_all(rig: &mut Rig, connections: usize) -> Result<(), Failure> {
    for slot in 0..connections {
        rig.ask(slot)?;
    }
    let mut done = 0;
    while done < connections {
        rig.turn(WAIT, |_, what| {
            done += usize::from(what == What::Answered);
            Next::Wait
        })?;
    }
    Ok(())
}
