//! A CONNECT proxy for the demo, which asks for a password and leads to one place only.
//!
//! A stand-in for a company's proxy. Knows no gateway and no WebSocket, and resolves no name but
//! those it was started with.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::serve;

/// The user it wants to see.
pub const USER: &str = "demo";
/// The password it wants to see.
pub const PASSWORD: &str = "demo";

/// A place that the proxy leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `host:port` as it stands in the CONNECT request; a name only the proxy knows is fine.
    pub authority: String,
    /// Where it really is.
    pub address: SocketAddr,
}

/// Serves CONNECT to `targets` on `listener`, and nothing else. Never returns; dropping it ends
/// every tunnel.
pub async fn serve(listener: TcpListener, targets: Vec<Target>) {
    let targets: Arc<[Target]> = targets.into();
    serve::each(listener, |tcp| connection(tcp, targets.clone())).await;
}

/// A tunnel that was granted: the client's side is still to come out of its handshake.
struct Granted {
    authority: String,
    client: OnUpgrade,
    target: TcpStream,
}

async fn connection(tcp: TcpStream, targets: Arc<[Target]>) {
    // The upgrade is ready once the connection's own future has ended: taking it from there
    // needs no second task.
    let granted = Mutex::new(None);
    let answer = service_fn(async |request| {
        let response = match grant(request, &targets).await {
            Ok(tunnel) => {
                *granted.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
                Response::new(String::new())
            }
            Err(refusal) => *refusal,
        };
        Ok::<_, hyper::Error>(response)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(tcp), answer)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the demo's proxy failed");
    }
    let granted = granted.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(tunnel) = granted {
        relay(tunnel).await;
    }
}

/// Judges a request and dials its target; the refusal is the response to send instead.
async fn grant(
    request: Request<Incoming>,
    targets: &[Target],
) -> Result<Granted, Box<Response<String>>> {
    let authority = request.uri().authority().map(ToString::to_string);
    let (&Method::CONNECT, Some(authority)) = (request.method(), authority) else {
        return Err(refusal(StatusCode::METHOD_NOT_ALLOWED, "only CONNECT\n"));
    };
    if !is_authorized(request.headers()) {
        tracing::info!(
            target_of_connect = authority,
            "the demo's proxy asked for a password"
        );
        let mut refusal = refusal(StatusCode::PROXY_AUTHENTICATION_REQUIRED, "who are you?\n");
        let challenge = HeaderValue::from_static("Basic realm=\"throughway demo\"");
        refusal.headers_mut().insert(PROXY_AUTHENTICATE, challenge);
        return Err(refusal);
    }
    let is_asked = |target: &&Target| target.authority.eq_ignore_ascii_case(&authority);
    let Some(target) = targets.iter().find(is_asked) else {
        return Err(refusal(StatusCode::FORBIDDEN, "not from here\n"));
    };
    let target = dial(target.address)
        .await
        .map_err(|_| refusal(StatusCode::BAD_GATEWAY, "nobody answers there\n"))?;
    Ok(Granted {
        authority,
        client: hyper::upgrade::on(request),
        target,
    })
}

fn refusal(status: StatusCode, words: &str) -> Box<Response<String>> {
    let mut response = Response::new(words.to_owned());
    *response.status_mut() = status;
    Box::new(response)
}

/// RFC 7617: one user, one password.
fn is_authorized(headers: &HeaderMap) -> bool {
    let credentials = || {
        let value = headers.get(PROXY_AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        let is_basic = scheme.eq_ignore_ascii_case("basic");
        STANDARD.decode(is_basic.then_some(token.trim())?).ok()
    };
    credentials().is_some_and(|pair| pair == format!("{USER}:{PASSWORD}").as_bytes())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the demo's proxy is a stand-in for a foreign program: it is no hop of the gateway"
)]
async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// Carries bytes both ways until both sides are done, and says so.
async fn relay(tunnel: Granted) {
    let Granted {
        authority,
        client,
        target,
    } = tunnel;
    tracing::info!(
        target_of_connect = authority,
        "the demo's proxy opened a tunnel"
    );
    let client = match client.await {
        Ok(client) => TokioIo::new(client),
        Err(error) => return tracing::debug!(%error, "a tunnel of the demo's proxy never began"),
    };
    let (client_read, client_write) = tokio::io::split(client);
    let (target_read, target_write) = tokio::io::split(target);
    let carried = tokio::try_join!(
        carry(client_read, target_write),
        carry(target_read, client_write),
    );
    match carried {
        Ok((to_target, to_client)) => tracing::info!(
            target_of_connect = authority,
            to_target,
            to_client,
            "the demo's proxy closed a tunnel"
        ),
        Err(error) => tracing::debug!(%error, "a tunnel of the demo's proxy broke"),
    }
}

/// One direction, with the half-close at its end; how many bytes it was.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<u64> {
    let bytes = tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// base64 of `demo:demo`.
    const CREDENTIALS: &str = "Proxy-Authorization: Basic ZGVtbzpkZW1v\r\n";

    /// Runs the proxy beside a raw client and a target that answers `pong` to its first four
    /// bytes; the client ends first.
    async fn with_proxy<F: Future<Output = ()>>(client: impl FnOnce(TcpStream) -> F) {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = dial(listener.local_addr().unwrap()).await.unwrap();
        let targets = vec![Target {
            authority: "echo.demo.internal:80".to_owned(),
            address: target.local_addr().unwrap(),
        }];
        let pong = async {
            let (mut tcp, _) = target.accept().await.unwrap();
            let mut ping = [0; 4];
            tcp.read_exact(&mut ping).await.unwrap();
            assert_eq!(&ping, b"ping");
            tcp.write_all(b"pong").await.unwrap();
            drop(tcp);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = serve(listener, targets) => unreachable!("the proxy never returns"),
            () = pong => unreachable!("the target never returns"),
            () = client(tcp) => {}
        }
    }

    /// Sends a CONNECT with `headers`; the answer's head.
    async fn connect(tcp: &mut TcpStream, to: &str, headers: &str) -> String {
        request(
            tcp,
            &format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{headers}\r\n"),
        )
        .await
    }

    async fn request(tcp: &mut TcpStream, request: &str) -> String {
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tcp.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        if let Some((_, rest)) = head.split_once("content-length: ") {
            let len = rest.lines().next().unwrap().parse().unwrap();
            tcp.read_exact(&mut vec![0; len]).await.unwrap();
        }
        head
    }

    #[tokio::test]
    async fn it_asks_for_the_password_and_then_relays_with_the_half_close() {
        with_proxy(async |mut tcp| {
            let head = connect(&mut tcp, "echo.demo.internal:80", "").await;
            assert!(head.starts_with("http/1.1 407 "), "{head}");
            assert!(head.contains("proxy-authenticate: basic realm="), "{head}");
            let head = connect(&mut tcp, "echo.demo.internal:80", CREDENTIALS).await;
            assert!(head.starts_with("http/1.1 200 "), "{head}");
            tcp.write_all(b"ping").await.unwrap();
            let mut rest = Vec::new();
            tcp.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"pong");
        })
        .await;
    }

    #[tokio::test]
    async fn a_wrong_password_is_asked_again() {
        for credentials in [
            "Basic ZGVtbzpvbWVk",
            "Basic !",
            "Bearer ZGVtbzpkZW1v",
            "Basic",
        ] {
            with_proxy(async |mut tcp| {
                let headers = format!("Proxy-Authorization: {credentials}\r\n");
                let head = connect(&mut tcp, "echo.demo.internal:80", &headers).await;
                assert!(head.starts_with("http/1.1 407 "), "{credentials}: {head}");
            })
            .await;
        }
    }

    #[tokio::test]
    async fn every_other_place_is_refused() {
        for to in [
            "echo.demo.internal:81",
            "localhost:80",
            "127.0.0.1:22",
            "x.echo.demo.internal:80",
        ] {
            with_proxy(async |mut tcp| {
                let head = connect(&mut tcp, to, CREDENTIALS).await;
                assert!(head.starts_with("http/1.1 403 "), "{to}: {head}");
            })
            .await;
        }
    }

    #[tokio::test]
    async fn nothing_but_connect_is_served() {
        with_proxy(async |mut tcp| {
            let plain = format!(
                "GET http://echo.demo.internal/ HTTP/1.1\r\nHost: echo.demo.internal\r\n\
                 {CREDENTIALS}\r\n"
            );
            let head = request(&mut tcp, &plain).await;
            assert!(head.starts_with("http/1.1 405 "), "{head}");
        })
        .await;
    }
}
