//! Open loop: messages leave at moments fixed in advance, and latency counts from the moment that
//! was meant. So a proxy that stalls pays for every message that should have been sent meanwhile.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::result;
use crate::args::Rate;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::meter::Meter;
use crate::rig::{Next, Rig};
use crate::tls::Tickets;

/// Three digits: an error of a thousandth at most.
const DIGITS: u8 = 3;

/// Messages under way on each session, by the moment at which each was meant to leave.
struct Schedule {
    begun: Instant,
    rate: f64,
    sent: u64,
    under_way: Vec<VecDeque<Instant>>,
    latency: Histogram<u64>,
    /// How long after the meant moment messages really left: the generator's own fault.
    lateness: Histogram<u64>,
    /// Messages meant to leave before this moment are not counted.
    counted_from: Instant,
}

pub(crate) fn run(args: &Rate) -> Result<Value, Failure> {
    let echo = &args.echo;
    let mut rig = Rig::new(&echo.target, Exchange::echo(echo.size), Tickets::Used)?;
    let meter = Meter::of(echo.target.pid)?;
    rig.open_all(0, echo.connections + echo.idle, Next::Ask)?;
    let warm = Duration::from_secs_f64(echo.warm);
    let mut schedule = Schedule::new(args.rate, echo.connections, warm)?;
    schedule.keep(&mut rig, warm)?;
    let begun = meter.reading()?;
    schedule.keep(&mut rig, warm + Duration::from_secs_f64(echo.seconds))?;
    schedule.finish(&mut rig)?;
    result(&meter, &begun, schedule.counted())
}

impl Schedule {
    fn new(rate: f64, connections: usize, warm: Duration) -> Result<Self, Failure> {
        let histogram = || {
            let made = Histogram::new(DIGITS);
            made.map_err(|error| Failure::Broken(format!("a histogram: {error}")))
        };
        let begun = Instant::now();
        Ok(Self {
            begun,
            rate,
            sent: 0,
            under_way: vec![VecDeque::new(); connections],
            latency: histogram()?,
            lateness: histogram()?,
            counted_from: begun + warm,
        })
    }

    /// Sends what is due until `end` after the beginning. It never sleeps: a timer's own lateness
    /// would be counted as the proxy's.
    fn keep(&mut self, rig: &mut Rig, end: Duration) -> Result<(), Failure> {
        while self.begun.elapsed() < end {
            self.send_due(rig)?;
            self.listen(rig, Duration::ZERO)?;
        }
        Ok(())
    }

    fn send_due(&mut self, rig: &mut Rig) -> Result<(), Failure> {
        let now = Instant::now();
        loop {
            let meant = self.begun + Duration::from_secs_f64(self.sent as f64 / self.rate);
            if meant > now {
                return Ok(());
            }
            let slot = self.sent as usize % self.under_way.len();
            self.under_way[slot].push_back(meant);
            self.sent += 1;
            if meant >= self.counted_from {
                self.lateness += nanoseconds(meant.elapsed());
            }
            rig.ask(slot)?;
        }
    }

    fn listen(&mut self, rig: &mut Rig, wait: Duration) -> Result<(), Failure> {
        rig.turn(wait, |slot, _| {
            let meant = self.under_way.get_mut(slot).and_then(VecDeque::pop_front);
            if let Some(meant) = meant.filter(|meant| *meant >= self.counted_from) {
                self.latency += nanoseconds(meant.elapsed());
            }
            Next::Wait
        })
    }

    /// Waits for what is still under way.
    fn finish(&mut self, rig: &mut Rig) -> Result<(), Failure> {
        while self.under_way.iter().any(|meant| !meant.is_empty()) {
            self.listen(rig, Duration::from_secs(1))?;
        }
        Ok(())
    }

    fn counted(&self) -> Value {
        let seconds = |quantile| self.latency.value_at_quantile(quantile) as f64 / 1e9;
        json!({
            "messages": self.latency.len(),
            "p50": seconds(0.5),
            "p99": seconds(0.99),
            "p999": seconds(0.999),
            "max": self.latency.max() as f64 / 1e9,
            "late_p99": self.lateness.value_at_quantile(0.99) as f64 / 1e9,
        })
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
