//! The accept loop of one bound address: survives every error that accept can give.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::{Admission, Bound, Params, Place};
use crate::net::sockopt;

/// Waits after an accept that failed for want of descriptors or memory: the first is short, so
/// that a passing shortage costs little, the last keeps a lasting one from spinning.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A client that has connected and said nothing yet.
#[derive(Debug)]
pub struct Arrived {
    /// Its connection.
    pub tcp: TcpStream,
    /// Its address.
    pub address: SocketAddr,
    /// The listener it came in by.
    pub listener: Arc<Params>,
    /// Whether it will be served or refused.
    pub place: Place,
}

/// Accepts until `stop`, handing each client to `take`. The socket is closed on return, so that
/// from then on the kernel refuses.
pub async fn serve(
    bound: Bound,
    admission: Admission,
    stop: CancellationToken,
    take: impl Fn(Arrived),
) {
    let mut pause = PAUSE_MIN;
    loop {
        let accepted = tokio::select! {
            accepted = bound.socket.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((tcp, address)) => {
                pause = PAUSE_MIN;
                admit(tcp, address, &bound.listener, &admission, &take);
            }
            Err(error) if concerns_one_client(&error) => {}
            Err(error) => {
                tracing::error!(
                    listener = bound.listener.name, address = %bound.address, %error,
                    retry_in_ms = pause.as_millis(), "accept failed",
                );
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stop.cancelled() => return,
                }
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

fn admit(
    tcp: TcpStream,
    address: SocketAddr,
    listener: &Arc<Params>,
    admission: &Admission,
    take: &impl Fn(Arrived),
) {
    // A client that is gone already makes this fail; its first read will say so.
    if let Err(error) = sockopt::prepare(&tcp) {
        tracing::debug!(client = %address, %error, "socket options refused");
    }
    match admission.place() {
        Some(place) => take(Arrived {
            tcp,
            address,
            listener: listener.clone(),
            place,
        }),
        None => tracing::debug!(client = %address, "disconnected: too many refusals at once"),
    }
}

/// Errors that belong to the connection that was about to be accepted (accept(2) lists them);
/// the next one may be fine at once.
fn concerns_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_lost_is_no_reason_to_pause_and_a_shortage_is() {
        // Linux numbers: ECONNABORTED 103, EPROTO 71, EMFILE 24, ENFILE 23, ENOBUFS 105, ENOMEM 12.
        assert!(concerns_one_client(&io::Error::from_raw_os_error(103)));
        for shortage in [24, 23, 105, 12] {
            assert!(
                !concerns_one_client(&io::Error::from_raw_os_error(shortage)),
                "{shortage}"
            );
        }
    }
}
