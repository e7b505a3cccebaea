//! A relay that changes one bit now and then: whoever measures through it must notice.
//!
//! Knows nothing of what it relays.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use socket2::{Domain, Protocol, Socket, Type};

use crate::failure::Failure;

/// The opening handshake is left alone, so that what is spoilt is a payload.
const SPARED_BYTES: usize = 1024;

/// Relays every connection to `listen` on to `to`, for ever, and spoils each byte that lies a whole
/// multiple of `every` behind the spared ones.
pub(crate) fn relay(listen: SocketAddr, to: SocketAddr, every: usize) -> Result<(), Failure> {
    let listener = TcpListener::bind(listen).map_err(Failure::io("listening"))?;
    for client in listener.incoming() {
        let client = client.map_err(Failure::io("accepting"))?;
        // Whoever only looks whether the relay is there looks before there is a backend.
        let Ok(backend) = connect(to) else { continue };
        let halves = (client.try_clone(), backend.try_clone());
        let (Ok(client_too), Ok(backend_too)) = halves else {
            return Err(Failure::Broken("a socket cannot be cloned".to_owned()));
        };
        thread::spawn(move || carry(client, backend, every));
        thread::spawn(move || carry(backend_too, client_too, every));
    }
    Ok(())
}

fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}

/// Carries bytes until either side is gone.
fn carry(mut from: TcpStream, mut to: TcpStream, every: usize) {
    let mut buffer = [0; 16 * 1024];
    let mut passed = 0;
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = &mut buffer[..count];
        spoil(bytes, passed, every);
        passed += count;
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    // It may be gone already; that is as good.
    to.shutdown(Shutdown::Both).ok();
}

fn spoil(bytes: &mut [u8], passed: usize, every: usize) {
    for (at, byte) in bytes.iter_mut().enumerate() {
        let position = passed + at;
        if position > SPARED_BYTES && (position - SPARED_BYTES).is_multiple_of(every) {
            *byte ^= 1;
        }
    }
}
