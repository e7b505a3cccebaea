//! The accept loop of one bound address: survives every error that accept can give.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::bind::BACKLOG;
use super::{Admission, Bound, Params, Place};

/// Waits after an accept that failed for want of descriptors or memory: the first is short, so
/// that a passing shortage costs little, the last keeps a lasting one from spinning.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A client that has connected and said nothing yet.
#[derive(Debug)]
pub struct Arrived<Tcp = TcpStream> {
    /// Its connection.
    pub tcp: Tcp,
    /// Its address.
    pub address: SocketAddr,
    /// The listener it came in by.
    pub listener: Arc<Params>,
    /// Whether it will be served or refused, and on which thread.
    pub place: Place,
}

/// One thread's socket at one address.
#[derive(Debug)]
pub struct Acceptor {
    socket: TcpListener,
    address: SocketAddr,
    door: Door,
}

/// What becomes of whoever is accepted.
#[derive(Debug)]
struct Door {
    listener: Arc<Params>,
    admission: Admission,
    thread: u16,
}

impl Acceptor {
    /// For the runtime that this is called in.
    pub fn new(bound: Bound, admission: Admission, thread: u16) -> io::Result<Self> {
        Ok(Self {
            socket: TcpListener::from_std(bound.socket)?,
            address: bound.address,
            door: Door {
                listener: bound.listener,
                admission,
                thread,
            },
        })
    }

    /// Accepts until `stop`, handing each client to `take`, at last those whom the kernel has let in
    /// by then. The socket is closed on return, so that from then on the kernel refuses.
    pub async fn serve(self, stop: CancellationToken, take: impl Fn(Arrived)) {
        let mut pause = PAUSE_MIN;
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = stop.cancelled() => break,
            };
            let error = match accepted {
                Ok((tcp, address)) => {
                    pause = PAUSE_MIN;
                    self.door.admit(tcp, address, &take);
                    continue;
                }
                Err(error) if concerns_one_client(&error) => continue,
                Err(error) => error,
            };
            tracing::error!(
                listener = self.door.listener.name, address = %self.address, %error,
                retry_in_ms = pause.as_millis(), "accept failed",
            );
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => break,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        let listener = self.door.listener.clone();
        if let Err(error) = self.take_in_the_last(&take) {
            tracing::debug!(listener = listener.name, %error, "who waited was disconnected");
        }
    }

    /// Those who wait behind a socket that is closed are reset, and do not learn that they may come
    /// again. The kernel is asked, and not the runtime, which may not have looked yet.
    fn take_in_the_last(self, take: &impl Fn(Arrived)) -> io::Result<()> {
        let socket = self.socket.into_std()?;
        for _ in 0..BACKLOG {
            match socket.accept() {
                Ok((tcp, address)) => {
                    tcp.set_nonblocking(true)?;
                    self.door.admit(TcpStream::from_std(tcp)?, address, take);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if concerns_one_client(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Door {
    fn admit(&self, tcp: TcpStream, address: SocketAddr, take: &impl Fn(Arrived)) {
        match self.admission.place(self.thread) {
            Some(place) => take(Arrived {
                tcp,
                address,
                listener: self.listener.clone(),
                place,
            }),
            None => tracing::debug!(client = %address, "disconnected: too many refusals at once"),
        }
    }
}

impl Arrived {
    /// Takes it off this thread's runtime, so that another's can have it.
    pub fn detach(self) -> io::Result<Arrived<std::net::TcpStream>> {
        Ok(Arrived {
            tcp: self.tcp.into_std()?,
            address: self.address,
            listener: self.listener,
            place: self.place,
        })
    }
}

impl Arrived<std::net::TcpStream> {
    /// Gives it to the runtime that this is called in.
    pub fn attach(self) -> io::Result<Arrived> {
        Ok(Arrived {
            tcp: TcpStream::from_std(self.tcp)?,
            address: self.address,
            listener: self.listener,
            place: self.place,
        })
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
    use std::cell::Cell;

    use super::*;

    /// They had been reset, and browsers tell that from nothing else that goes wrong.
    #[tokio::test]
    async fn who_was_let_in_before_the_end_is_taken_in_and_nobody_after_it() {
        let listener = Arc::new(Params {
            name: "public".to_owned(),
            bind: vec![([127, 0, 0, 1], 0).into()],
            tls: None,
            trusted_proxies: Vec::new(),
        });
        let mut threads = super::super::bind(&[listener], 1).unwrap();
        let bound = threads.remove(0).remove(0);
        let address = bound.address;
        let connect = || {
            #[expect(clippy::disallowed_methods, reason = "a test is its own client")]
            std::net::TcpStream::connect(address)
        };
        let acceptor = Acceptor::new(bound, Admission::new(9, 1), 0).unwrap();
        let clients: Vec<_> = (0..5).map(|_| connect().unwrap()).collect();
        let stop = CancellationToken::new();
        stop.cancel();
        let taken = Cell::new(0);
        acceptor.serve(stop, |_| taken.set(taken.get() + 1)).await;
        assert_eq!(taken.get(), clients.len());
        assert!(connect().is_err());
    }

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
