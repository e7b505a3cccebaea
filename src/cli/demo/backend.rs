//! An echo backend for the demo: says 101 to a WebSocket handshake and sends back what comes.
//!
//! A stand-in for somebody's service. Knows no gateway, and does not judge whether a text is
//! UTF-8: the bytes go back to the one who sent them.

use std::sync::{Mutex, PoisonError};

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use super::{echo, serve};
use crate::wire::ws::accept::accept_for;

/// Answers every WebSocket handshake on `listener` and echoes. Never returns; dropping it ends
/// every session.
pub async fn serve(listener: TcpListener) {
    serve::each(listener, connection).await;
}

async fn connection(tcp: TcpStream) {
    // The upgrade is ready once the connection's own future has ended: taking it from there
    // needs no second task.
    let upgrade = Mutex::new(None);
    let answer = service_fn(async |request| Ok::<_, hyper::Error>(answer(request, &upgrade)));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(tcp), answer)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the demo's backend failed");
    }
    let upgrade = upgrade.into_inner().unwrap_or_else(PoisonError::into_inner);
    let Some(upgrade) = upgrade else { return };
    if let Err(error) = echo_on(upgrade).await {
        tracing::debug!(%error, "an echo of the demo's backend ended early");
    }
}

async fn echo_on(upgrade: OnUpgrade) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    echo::run(TokioIo::new(upgrade.await?)).await?;
    Ok(())
}

/// The answer to one request; for a good handshake, `upgrade` is what it becomes.
fn answer(request: Request<Incoming>, upgrade: &Mutex<Option<OnUpgrade>>) -> Response<String> {
    let Some(key) = key_of(&request) else {
        return upgrade_required();
    };
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::try_from(accept_for(key)) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(protocol) = first_protocol(request.headers()) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    let mut slot = upgrade.lock().unwrap_or_else(PoisonError::into_inner);
    *slot = Some(hyper::upgrade::on(request));
    response
}

/// The key of a request that is a handshake, as far as an honest gateway could get it wrong.
fn key_of(request: &Request<Incoming>) -> Option<&str> {
    let headers = request.headers();
    let is_handshake = request.method() == Method::GET
        && tokens(headers, UPGRADE).any(|token| token.eq_ignore_ascii_case("websocket"))
        && tokens(headers, CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
        && headers
            .get(SEC_WEBSOCKET_VERSION)
            .is_some_and(|v| v == "13");
    let key = headers.get(SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    is_handshake.then_some(key)
}

/// The first subprotocol offered: an echo speaks them all.
fn first_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let first = tokens(headers, SEC_WEBSOCKET_PROTOCOL).next()?;
    HeaderValue::from_str(first).ok()
}

fn upgrade_required() -> Response<String> {
    let mut response = Response::new("this backend speaks WebSocket only\n".to_owned());
    *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}

/// The elements of a list header, over all its lines (RFC 9110 §5.6.1).
fn tokens(headers: &HeaderMap, name: http::HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const HANDSHAKE: &str = "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\n\
        Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    /// Runs the backend beside a raw client, which ends first.
    async fn with_backend<F: Future<Output = ()>>(client: impl FnOnce(TcpStream) -> F) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test is its own client")]
        let tcp = TcpStream::connect(address).await.unwrap();
        tokio::select! {
            () = serve(listener) => unreachable!("the backend never returns"),
            () = client(tcp) => {}
        }
    }

    async fn read_head(tcp: &mut TcpStream) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tcp.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap().to_ascii_lowercase()
    }

    async fn say(tcp: &mut TcpStream, request: &str) -> String {
        tcp.write_all(request.as_bytes()).await.unwrap();
        read_head(tcp).await
    }

    #[tokio::test]
    async fn a_handshake_gets_its_own_101_and_the_first_subprotocol() {
        with_backend(async |mut tcp| {
            let request = format!("{HANDSHAKE}Sec-WebSocket-Protocol: chat.v2, chat.v1\r\n\r\n");
            let head = say(&mut tcp, &request).await;
            assert!(head.starts_with("http/1.1 101 "), "{head}");
            let accept = "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=";
            assert!(head.contains(accept), "{head}");
            assert!(
                head.contains("sec-websocket-protocol: chat.v2\r\n"),
                "{head}"
            );
            assert!(!head.contains("content-length"), "{head}");
        })
        .await;
    }

    #[tokio::test]
    async fn what_is_not_a_handshake_gets_426() {
        for (from, to) in [
            ("GET", "POST"),
            ("Upgrade: WebSocket\r\n", ""),
            ("Upgrade: WebSocket", "Upgrade: websockets"),
            ("keep-alive, Upgrade", "keep-alive"),
            ("Version: 13", "Version: 8"),
            ("Sec-WebSocket-Key", "X-Key"),
        ] {
            let request = format!("{}\r\n", HANDSHAKE.replace(from, to));
            with_backend(async |mut tcp| {
                let head = say(&mut tcp, &request).await;
                assert!(head.starts_with("http/1.1 426 "), "{from}: {head}");
                assert!(head.contains("sec-websocket-version: 13"), "{head}");
            })
            .await;
        }
    }

    #[tokio::test]
    async fn bytes_glued_to_the_handshake_are_echoed_too() {
        with_backend(async |mut tcp| {
            // RFC 6455 §5.7: the masked hello; the handshake and the frame in one write.
            let mut bytes = format!("{HANDSHAKE}\r\n").into_bytes();
            bytes.extend(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
            tcp.write_all(&bytes).await.unwrap();
            read_head(&mut tcp).await;
            let mut frame = [0; 7];
            tcp.read_exact(&mut frame).await.unwrap();
            assert_eq!(&frame, b"\x81\x05Hello");
        })
        .await;
    }

    #[tokio::test]
    async fn dropping_the_server_ends_its_sessions() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test is its own client")]
        let mut tcp = TcpStream::connect(address).await.unwrap();
        let request = format!("{HANDSHAKE}\r\n");
        tokio::select! {
            () = serve(listener) => unreachable!("the backend never returns"),
            head = say(&mut tcp, &request) => assert!(head.contains(" 101 ")),
        }
        assert_eq!(tcp.read(&mut [0; 1]).await.unwrap(), 0);
    }
}
