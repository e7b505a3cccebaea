//! The backend: takes upgrades, checks every message, and answers when it has all of an exchange.
//!
//! It also stands in for a CONNECT proxy: asked to connect anywhere, it says yes and becomes the
//! backend behind. A connection that goes away is a proxy's good right and no failure.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use rustls::ServerConfig;

use super::BACKEND;
use crate::args::Target;
use crate::exchange::{Exchange, Talk};
use crate::failure::Failure;
use crate::tls;
use crate::upgrade::{self, Asked, Head, Whole};
use crate::wire::{Gave, Wire};

const PLAIN: Token = Token(BACKEND);
const TLS: Token = Token(BACKEND + 1);
/// The token of the connection in slot 0.
const FIRST: usize = BACKEND + 2;

pub(super) struct Backend {
    plain: TcpListener,
    tls: Option<(TcpListener, Arc<ServerConfig>)>,
    slots: Vec<Option<Served>>,
    free: Vec<usize>,
}

struct Served {
    wire: Wire,
    stage: Stage,
}

enum Stage {
    Head(Head),
    Open(Talk),
    /// The proxy has said a Close for a client that left without one. Nothing more is exchanged.
    Over,
}

/// FIN, and the opcode of a Close (RFC 6455 §5.2). No message of ours begins so.
const CLOSE: u8 = 0x88;

impl Backend {
    pub(super) fn listen(target: &Target, registry: &Registry) -> Result<Self, Failure> {
        let listen = |address: SocketAddr, token| -> io::Result<TcpListener> {
            let mut listener = TcpListener::bind(address)?;
            registry.register(&mut listener, token, Interest::READABLE)?;
            Ok(listener)
        };
        let in_words = || Failure::io("listening as the backend");
        let tls = match (target.backend_tls, &target.cert, &target.key) {
            (Some(address), Some(cert), Some(key)) => {
                let listener = listen(address, TLS).map_err(in_words())?;
                Some((listener, tls::server(cert, key)?))
            }
            _ => None,
        };
        Ok(Self {
            plain: listen(target.backend, PLAIN).map_err(in_words())?,
            tls,
            slots: Vec::new(),
            free: Vec::new(),
        })
    }

    pub(super) fn turn(
        &mut self,
        event: &Event,
        registry: &Registry,
        exchange: &mut Exchange,
        scratch: &mut [u8],
    ) -> Result<(), Failure> {
        if event.token() == PLAIN || event.token() == TLS {
            return self.accept_all(event.token(), registry);
        }
        let Token(token) = event.token();
        let slot = token - FIRST;
        let Some(Some(served)) = self.slots.get_mut(slot) else {
            return Ok(());
        };
        if !served.turn(event, exchange, scratch)? {
            self.slots[slot] = None;
            self.free.push(slot);
        }
        Ok(())
    }

    fn accept_all(&mut self, listener: Token, registry: &Registry) -> Result<(), Failure> {
        loop {
            let accepted = match &self.tls {
                Some((tls, _)) if listener == TLS => tls.accept(),
                _ => self.plain.accept(),
            };
            match accepted {
                Ok((socket, _)) => self.take(socket, listener, registry)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(Failure::io("accepting as the backend")(error)),
            }
        }
    }

    fn take(
        &mut self,
        socket: TcpStream,
        listener: Token,
        registry: &Registry,
    ) -> Result<(), Failure> {
        let tls = match &self.tls {
            Some((_, config)) if listener == TLS => Some(tls::take(config)?),
            _ => None,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let wire = Wire::new(socket, tls, registry, Token(FIRST + slot));
        self.slots[slot] = Some(Served {
            wire: wire.map_err(Failure::io("taking a connection as the backend"))?,
            stage: Stage::Head(Head::default()),
        });
        Ok(())
    }
}

impl Served {
    /// Whether the connection still stands.
    fn turn(
        &mut self,
        event: &Event,
        exchange: &mut Exchange,
        scratch: &mut [u8],
    ) -> Result<bool, Failure> {
        if self.push(exchange).is_err() {
            return Ok(false);
        }
        loop {
            let count = match self.wire.read(scratch) {
                Ok(Gave::Bytes(count)) => count,
                Ok(Gave::Nothing) => return Ok(true),
                Ok(Gave::End) | Err(_) => return Ok(false),
            };
            self.hear(&scratch[..count], exchange)?;
            if self.push(exchange).is_err() {
                return Ok(false);
            }
            let last = self.wire.short_read_is_last() && count < scratch.len();
            if last && !event.is_read_closed() {
                return Ok(true);
            }
        }
    }

    fn push(&mut self, exchange: &mut Exchange) -> io::Result<()> {
        self.wire.flush()?;
        match &mut self.stage {
            Stage::Head(_) | Stage::Over => Ok(()),
            Stage::Open(talk) => talk.push(&mut exchange.to_client, &mut self.wire),
        }
    }

    fn hear(&mut self, bytes: &[u8], exchange: &mut Exchange) -> Result<(), Failure> {
        match &mut self.stage {
            Stage::Over => Ok(()),
            Stage::Open(talk) if talk.is_between_messages() && bytes.first() == Some(&CLOSE) => {
                self.stage = Stage::Over;
                Ok(())
            }
            Stage::Open(talk) => hear_messages(talk, bytes, exchange),
            Stage::Head(head) => match head.take(bytes).map_err(Failure::Broken)? {
                None => Ok(()),
                Some(Whole { head, tail }) => self.answer(&head, &tail, exchange),
            },
        }
    }

    fn answer(&mut self, head: &[u8], tail: &[u8], exchange: &mut Exchange) -> Result<(), Failure> {
        let (answer, stage) = match upgrade::read_request(head).map_err(Failure::Broken)? {
            Asked::Connect => {
                exchange.tunnels += 1;
                (upgrade::CONNECTED.to_vec(), Stage::Head(Head::default()))
            }
            Asked::Upgrade { connection, answer } => (answer, Stage::Open(Talk::of(connection))),
        };
        self.stage = stage;
        match self.wire.write(&answer) {
            Ok(all) if all == answer.len() => {}
            Ok(_) => return Err(Failure::Broken("a new socket takes no answer".to_owned())),
            // Its end is read next.
            Err(_) => return Ok(()),
        }
        self.hear(tail, exchange)
    }
}

fn hear_messages(talk: &mut Talk, bytes: &[u8], exchange: &mut Exchange) -> Result<(), Failure> {
    let pulled = talk.pull(&mut exchange.to_backend, exchange.asked, bytes);
    let asked = pulled.map_err(|spoilt| {
        let side = "backend";
        Failure::Spoilt { side, spoilt }
    })?;
    talk.add(asked * exchange.answered);
    Ok(())
}
