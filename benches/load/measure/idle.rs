//! Sessions that say nothing: how much memory each adds to the proxy's processes.
//!
//! Each has echoed once, so that whatever a first message allocates is there. The kernel's own
//! memory for sockets is the same for every proxy and not counted.

use std::time::Duration;

use serde_json::{Value, json};

use super::result;
use crate::args::Idle;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::meter::Meter;
use crate::rig::{Next, Rig};
use crate::tls::Tickets;

const SIZE: usize = 64;

pub(crate) fn run(args: &Idle) -> Result<Value, Failure> {
    let mut rig = Rig::new(&args.target, Exchange::echo(SIZE), Tickets::Used)?;
    let meter = Meter::of(args.target.pid)?;
    let begun = meter.reading()?;
    let mut open = 0;
    let mut points = Vec::new();
    for &sessions in &args.steps {
        rig.open_all(open, sessions, Next::Ask)?;
        open = open.max(sessions);
        rig.rest(Duration::from_secs_f64(args.settle))?;
        points.push((open as f64, meter.memory()? as f64));
    }
    let counted = json!({ "memory": points, "bytes_per_session": slope(&points) });
    result(&meter, &begun, counted)
}

/// By least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let covariance: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if variance == 0.0 {
        0.0
    } else {
        covariance / variance
    }
}
