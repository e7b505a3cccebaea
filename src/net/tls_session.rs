//! One TLS session of rustls without its transport: bytes in, bytes out, and no buffer of its own.
//!
//! Knows no stream and never waits. rustls's unbuffered connections leave every buffer to their
//! caller, so a session that carries nothing holds nothing but its keys.

use std::fmt;
use std::sync::Arc;

use bytes::BytesMut;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus,
};
use rustls::{ClientConfig, CommonState, Error, ProtocolVersion, ServerConfig};

/// The most that sealing adds to a record of 16 KiB: a header of 5 bytes, and over TLS 1.2 a nonce
/// of 8 and a tag of 16 (RFC 5246 §6.2.3.3).
const RECORD_OVERHEAD: usize = 29;
const RECORD_BYTES: usize = 16 * 1024;
/// An alert has two bytes, and around them what a record has.
const ALERT_BYTES_MAX: usize = 64;

/// One end of a session.
pub(super) enum Session {
    /// Towards a client.
    Server(Box<UnbufferedServerConnection>),
    /// Towards a backend or a proxy.
    Client(Box<UnbufferedClientConnection>),
}

/// What a session makes of the bytes it was given.
pub(super) struct Taken {
    /// How many of them, from the front, are done with. The rest is the beginning of a record.
    pub(super) used: usize,
    pub(super) stage: Stage,
}

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The handshake wants more from the other side.
    Handshaking,
    /// Data may go both ways.
    Open,
    /// The other side has said close_notify: nothing more comes from it.
    HeardClose,
}

/// What rustls wants next.
enum Next {
    Again,
    HeardClose,
    Wait(Stage),
}

impl Session {
    pub(super) fn server(config: Arc<ServerConfig>) -> Result<Self, Error> {
        let session = UnbufferedServerConnection::new(config)?;
        Ok(Self::Server(Box::new(session)))
    }

    pub(super) fn client(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, Error> {
        let session = UnbufferedClientConnection::new(config, name)?;
        Ok(Self::Client(Box::new(session)))
    }

    /// What both ends know of their session: version, certificates, protocol.
    pub(super) fn state(&self) -> &CommonState {
        match self {
            Self::Server(session) => session,
            Self::Client(session) => session,
        }
    }

    /// Whether what the end of the handshake left to say may wait for the first data. A server's
    /// tickets may (RFC 8446 §4.6.1); a Finished is waited for, and over TLS 1.2 the server's is
    /// the last.
    pub(super) fn may_wait(&self) -> bool {
        let version = self.state().protocol_version();
        matches!(self, Self::Server(_)) && version == Some(ProtocolVersion::TLSv1_3)
    }

    /// Takes in whole records from the front of `incoming`, which are decrypted in place: data goes
    /// to `heard`, and what the session has to say to it is put behind `outgoing`. That holds after
    /// an error too: the alert which tells the other side.
    ///
    /// What is not used must come again, unchanged and with more behind it. rustls remembers where
    /// in it the fragments of a message lie, so no other call may be given anything else.
    pub(super) fn take_in(
        &mut self,
        incoming: &mut [u8],
        mut heard: impl FnMut(&[u8]),
        outgoing: &mut BytesMut,
    ) -> Result<Taken, Error> {
        let mut used = 0;
        let mut closed = false;
        loop {
            let rest = incoming.get_mut(used..).unwrap_or_default();
            let (discard, next) = self.step(rest, &mut heard, outgoing);
            used += discard;
            match next {
                Ok(Next::Again) => {}
                Ok(Next::HeardClose) => closed = true,
                Ok(Next::Wait(_)) if closed => {
                    let stage = Stage::HeardClose;
                    return Ok(Taken { used, stage });
                }
                Ok(Next::Wait(stage)) => return Ok(Taken { used, stage }),
                Err(error) => {
                    let rest = incoming.get_mut(used..).unwrap_or_default();
                    self.last_words(rest, outgoing);
                    return Err(error);
                }
            }
        }
    }

    /// How many bytes of data fit, once sealed, into `room`.
    pub(super) fn fits(room: usize) -> usize {
        let records = room / (RECORD_BYTES + RECORD_OVERHEAD);
        let rest = room % (RECORD_BYTES + RECORD_OVERHEAD);
        records * RECORD_BYTES + rest.saturating_sub(RECORD_OVERHEAD)
    }

    /// Seals `data` into `out` and tells how many bytes that made. `out` must have room: see
    /// [`Session::fits`]. `incoming` is what [`Session::take_in`] left, as it was left.
    pub(super) fn seal(
        &mut self,
        incoming: &mut [u8],
        data: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        match self {
            Self::Server(session) => seal(session.process_tls_records(incoming), data, out),
            Self::Client(session) => seal(session.process_tls_records(incoming), data, out),
        }
    }

    /// close_notify (RFC 8446 §6.1), put behind `outgoing`.
    pub(super) fn close(&mut self, incoming: &mut [u8], outgoing: &mut BytesMut) {
        let mut alert = [0; ALERT_BYTES_MAX];
        let said = match self {
            Self::Server(session) => close(session.process_tls_records(incoming), &mut alert),
            Self::Client(session) => close(session.process_tls_records(incoming), &mut alert),
        };
        outgoing.extend_from_slice(alert.get(..said).unwrap_or_default());
    }

    fn step(
        &mut self,
        incoming: &mut [u8],
        heard: impl FnMut(&[u8]),
        outgoing: &mut BytesMut,
    ) -> (usize, Result<Next, Error>) {
        match self {
            Self::Server(session) => step(session.process_tls_records(incoming), heard, outgoing),
            Self::Client(session) => step(session.process_tls_records(incoming), heard, outgoing),
        }
    }

    // After an error rustls has one alert to say at most. A second step would meet the same error
    // again.
    fn last_words(&mut self, incoming: &mut [u8], outgoing: &mut BytesMut) {
        let _repeated = self.step(incoming, |_| {}, outgoing);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Server(_) => "Server",
            Self::Client(_) => "Client",
        };
        f.debug_struct(name)
            .field("version", &self.state().protocol_version())
            .finish_non_exhaustive()
    }
}

fn step<D>(
    status: UnbufferedStatus<'_, '_, D>,
    mut heard: impl FnMut(&[u8]),
    outgoing: &mut BytesMut,
) -> (usize, Result<Next, Error>) {
    let mut discard = status.discard;
    let next = match status.state {
        Err(error) => Err(error),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                None => break Ok(Next::Again),
                Some(Err(error)) => break Err(error),
                Some(Ok(record)) => {
                    discard += record.discard;
                    heard(record.payload);
                }
            }
        },
        Ok(ConnectionState::EncodeTlsData(data)) => encode(data, outgoing),
        // What was encoded waits in `outgoing`, in its order.
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Next::Again)
        }
        Ok(ConnectionState::PeerClosed) => Ok(Next::HeardClose),
        Ok(ConnectionState::BlockedHandshake) => Ok(Next::Wait(Stage::Handshaking)),
        Ok(ConnectionState::WriteTraffic(_)) => Ok(Next::Wait(Stage::Open)),
        Ok(ConnectionState::Closed) => Ok(Next::Wait(Stage::HeardClose)),
        // Early data is off in every configuration: an upgrade must not be replayable.
        Ok(_) => Err(Error::General("early data was not offered".to_owned())),
    };
    (discard, next)
}

fn encode<D>(mut data: EncodeTlsData<'_, D>, outgoing: &mut BytesMut) -> Result<Next, Error> {
    // Asked without room, it says how much it wants.
    let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) else {
        return Ok(Next::Again);
    };
    let end = outgoing.len();
    outgoing.resize(end + size.required_size, 0);
    let room = outgoing.get_mut(end..).unwrap_or_default();
    match data.encode(room) {
        Ok(_) => Ok(Next::Again),
        Err(error) => Err(Error::General(error.to_string())),
    }
}

fn seal<D>(
    status: UnbufferedStatus<'_, '_, D>,
    data: &[u8],
    out: &mut [u8],
) -> Result<usize, Error> {
    match status.state? {
        ConnectionState::WriteTraffic(mut traffic) => match traffic.encrypt(data, out) {
            Ok(sealed) => Ok(sealed),
            Err(EncryptError::EncryptExhausted) => Err(Error::EncryptError),
            Err(EncryptError::InsufficientSize(_)) => Err(no_room()),
        },
        _ => Err(Error::HandshakeNotComplete),
    }
}

fn close<D>(status: UnbufferedStatus<'_, '_, D>, out: &mut [u8]) -> usize {
    match status.state {
        Ok(ConnectionState::WriteTraffic(mut traffic)) => {
            traffic.queue_close_notify(out).unwrap_or(0)
        }
        _ => 0,
    }
}

fn no_room() -> Error {
    Error::General("a record did not fit its buffer".to_owned())
}
