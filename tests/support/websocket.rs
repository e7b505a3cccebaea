//! A backend that really speaks WebSocket: it answers pings, and ends as it is told to.
//!
//! Knows no scripts: what has to be exact in its bytes belongs into `backend`.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// What ends a session that nobody else ends.
#[derive(Debug, Clone, Copy)]
pub enum End {
    Never,
    /// A Close frame with code 1001, after so long.
    Close(Duration),
    /// FIN without a Close frame, after so long.
    Fin(Duration),
    /// RST, after so long.
    Reset(Duration),
}

/// Starts it; it ends with the runtime of its test. It takes the first subprotocol offered.
pub async fn websocket(tls: Option<TlsAcceptor>, end: End) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let tls = tls.clone();
            tokio::spawn(async move {
                if let End::Reset(_) = end {
                    tcp.set_zero_linger().unwrap();
                }
                serve(tcp, tls, end).await;
            });
        }
    });
    address
}

async fn serve(tcp: TcpStream, tls: Option<TlsAcceptor>, end: End) {
    match tls {
        None => converse(tcp, end).await,
        Some(tls) => {
            if let Ok(tls) = tls.accept(tcp).await {
                converse(tls, end).await;
            }
        }
    }
}

#[expect(
    clippy::result_large_err,
    reason = "the library's own error, which is never made here"
)]
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(stream: S, end: End) {
    let choose = |request: &Request, mut response: Response| {
        let offered = request.headers().get("sec-websocket-protocol");
        let first = offered.and_then(|o| o.to_str().ok()?.split(", ").next());
        if let Some(first) = first {
            let headers = response.headers_mut();
            headers.insert("sec-websocket-protocol", first.parse().unwrap());
        }
        Ok(response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, choose).await else {
        return;
    };
    let after = match end {
        End::Never => Duration::from_secs(3600),
        End::Close(after) | End::Fin(after) | End::Reset(after) => after,
    };
    // Reading is what answers pings.
    let reading = async { while let Some(Ok(_)) = socket.next().await {} };
    if tokio::time::timeout(after, reading).await.is_ok() {
        return;
    }
    if let End::Close(_) = end {
        let frame = CloseFrame {
            code: CloseCode::Away,
            reason: "idle".into(),
        };
        socket.send(Message::Close(Some(frame))).await.ok();
        while let Some(Ok(_)) = socket.next().await {}
    }
}
