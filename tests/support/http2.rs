//! A proxy that speaks HTTP/2 and does as it was told, one turn a request. Who chooses HTTP/1.1
//! instead gets a script.
//!
//! Knows nothing of how the gateway asks.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};
use throughway::egress::Hop;
use throughway::net::tls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certs::{DevCert, dev_certificate};
use super::dialling::hop;
use super::script::{Act, play_on};

type Socket = TlsStream<TcpStream>;

/// What is done with one request.
#[derive(Clone)]
pub enum Turn {
    /// Answer with this status, these headers and this body, and end.
    Say(u16, Vec<(&'static str, String)>, &'static str),
    /// What this makes of the request, written as its head would be in HTTP/1.1.
    Judge(Arc<dyn Fn(&str) -> Turn + Send + Sync>),
    /// 200 with these bytes; then carry bytes to and from this address.
    Tunnel(&'static [u8], SocketAddr),
    /// This interim answer so many times, and then the next turn.
    Interim(u16, usize, Box<Turn>),
    /// RST_STREAM.
    Reset(Reason),
    /// GOAWAY, and the end of the connection.
    GoAway(Reason),
}

/// Which protocols TLS agrees on.
pub enum Speaks {
    Http2,
    Both,
    /// HTTP/1.1, by name.
    Http1,
    /// Whatever it is, it does not tell.
    Untold,
}

/// The proxy; it ends with the runtime of its test.
pub struct Http2Proxy {
    pub address: SocketAddr,
    pub cert: DevCert,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// Of each connection its requests, as heads of HTTP/1.1.
    requests: Vec<Vec<String>>,
    /// Of each connection what it agreed on.
    agreed: Vec<String>,
}

impl Http2Proxy {
    /// Takes these turns on each connection, and plays these acts on each of HTTP/1.1.
    pub async fn play(speaks: Speaks, turns: Vec<Turn>, acts: Vec<Act>) -> Self {
        Self::play_as(dev_certificate(&["127.0.0.1"]), speaks, turns, acts).await
    }

    /// The same with this certificate.
    pub async fn play_as(cert: DevCert, speaks: Speaks, turns: Vec<Turn>, acts: Vec<Act>) -> Self {
        let acceptor = acceptor(&cert, &speaks);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let seeing = seen.clone();
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                tcp.set_nodelay(true).unwrap();
                let (acceptor, turns, acts) = (acceptor.clone(), turns.clone(), acts.clone());
                let seen = seeing.clone();
                tokio::spawn(async move {
                    // Whoever does not like what is offered leaves here.
                    if let Ok(tls) = acceptor.accept(tcp).await {
                        serve(tls, turns, acts, seen).await;
                    }
                });
            }
        });
        Self {
            address,
            cert,
            seen,
        }
    }

    /// As it is reached.
    pub fn hop(&self) -> Hop {
        self.over(hop(self.address))
    }

    /// `hop` by TLS to this proxy.
    pub fn over(&self, hop: Hop) -> Hop {
        let config = tls::client(self.cert.roots(), None).unwrap();
        let name = "127.0.0.1".try_into().unwrap();
        let tls = Some(throughway::egress::TlsTo { config, name });
        Hop { tls, ..hop }
    }

    /// What each connection agreed on, in order.
    pub fn agreed(&self) -> Vec<String> {
        self.seen.lock().unwrap().agreed.clone()
    }

    /// The requests in HTTP/2 on the connection with this index, as heads of HTTP/1.1.
    pub fn requests(&self, connection: usize) -> Vec<String> {
        self.seen.lock().unwrap().requests[connection].clone()
    }
}

fn acceptor(cert: &DevCert, speaks: &Speaks) -> TlsAcceptor {
    let by_sni = tls::BySni::new(&[cert.certificate()]).unwrap();
    let config = tls::server(by_sni, tls::MinVersion::default(), None).unwrap();
    let mut config = (*config).clone();
    let protocols: &[&[u8]] = match speaks {
        Speaks::Http2 => &[b"h2"],
        Speaks::Both => &[b"h2", b"http/1.1"],
        Speaks::Http1 => &[b"http/1.1"],
        Speaks::Untold => &[],
    };
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(tls: Socket, turns: Vec<Turn>, acts: Vec<Act>, seen: Arc<Mutex<Seen>>) {
    let agreed = tls.get_ref().1.alpn_protocol().unwrap_or_default();
    let agreed = String::from_utf8_lossy(agreed).into_owned();
    let index = {
        let mut seen = seen.lock().unwrap();
        seen.agreed.push(agreed.clone());
        seen.requests.push(Vec::new());
        seen.requests.len() - 1
    };
    if agreed != "h2" {
        return play_on(Box::new(tls), acts).await;
    }
    let mut connection = server::handshake(tls).await.unwrap();
    let mut turns = turns.into_iter();
    // Who is asked without a turn left has nothing to say.
    while let Some(Ok((request, respond))) = connection.accept().await {
        let head = head(&request);
        seen.lock().unwrap().requests[index].push(head.clone());
        let turn = match turns.next().expect("a turn for each request") {
            Turn::Judge(judge) => judge(&head),
            turn => turn,
        };
        if let Turn::GoAway(reason) = turn {
            connection.abrupt_shutdown(reason);
            continue;
        }
        tokio::spawn(take(turn, request.into_body(), respond));
    }
}

fn head(request: &Request<RecvStream>) -> String {
    let mut head = format!("{} {} HTTP/2\r\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        // As `tests/support` writes the one it looks for.
        let name = name
            .as_str()
            .replace("proxy-authorization", "Proxy-Authorization");
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    head + "\r\n"
}

async fn take(turn: Turn, recv: RecvStream, mut respond: SendResponse<Bytes>) {
    match turn {
        Turn::Say(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            let response = response.body(()).unwrap();
            let mut send = respond.send_response(response, false).unwrap();
            send.send_data(Bytes::from_static(body.as_bytes()), true)
                .unwrap();
        }
        Turn::Tunnel(early, to) => {
            let mut send = respond.send_response(Response::new(()), false).unwrap();
            if !early.is_empty() {
                send.send_data(Bytes::from_static(early), false).unwrap();
            }
            carry(send, recv, to).await;
        }
        Turn::Interim(status, times, next) => {
            for _ in 0..times {
                let interim = Response::builder().status(status).body(()).unwrap();
                if respond.send_informational(interim).is_err() {
                    return;
                }
            }
            Box::pin(take(*next, recv, respond)).await;
        }
        Turn::Reset(reason) => respond.send_reset(reason),
        Turn::Judge(_) | Turn::GoAway(_) => unreachable!("taken where the connection is"),
    }
}

async fn carry(mut send: SendStream<Bytes>, mut recv: RecvStream, to: SocketAddr) {
    let (mut far_read, mut far_write) = TcpStream::connect(to).await.unwrap().into_split();
    let out = async {
        while let Some(Ok(piece)) = recv.data().await {
            far_write.write_all(&piece).await.ok();
            recv.flow_control().release_capacity(piece.len()).ok();
        }
        far_write.shutdown().await.ok();
    };
    let back = async {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(n) = far_read.read(&mut bytes).await {
            if n == 0 || say(&mut send, &bytes[..n]).await.is_none() {
                break;
            }
        }
        send.send_data(Bytes::new(), true).ok();
    };
    tokio::join!(out, back);
}

async fn say(send: &mut SendStream<Bytes>, mut bytes: &[u8]) -> Option<()> {
    while !bytes.is_empty() {
        send.reserve_capacity(bytes.len());
        let room = match send.capacity() {
            0 => {
                poll_fn(|cx| match send.poll_capacity(cx) {
                    Poll::Ready(room) => Poll::Ready(room.and_then(Result::ok)),
                    Poll::Pending => Poll::Pending,
                })
                .await?
            }
            room => room,
        };
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        send.send_data(Bytes::copy_from_slice(now), false).ok()?;
        bytes = later;
    }
    Some(())
}
