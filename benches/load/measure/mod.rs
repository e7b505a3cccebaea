//! The measurements, one a file. Each returns what it counted, in seconds and bytes, and judges
//! nothing.

pub(crate) mod bulk;
pub(crate) mod connect;
pub(crate) mod echo;
pub(crate) mod idle;
pub(crate) mod rate;

use serde_json::Value;

use crate::failure::Failure;
use crate::meter::{Meter, Reading};

/// One object of what the meter counted since `begun`, and what `counted` says.
fn result(meter: &Meter, begun: &Reading, counted: Value) -> Result<Value, Failure> {
    let mut result = begun.until(&meter.reading()?, meter)?;
    if let (Value::Object(result), Value::Object(counted)) = (&mut result, counted) {
        result.extend(counted);
    }
    Ok(result)
}
