//! A WebSocket library that is not ours at both ends: what its users see through the gateway.
//!
//! Knows no bytes; the framing is the library's business.

use crate::support::far::Far;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{
    Callback, ErrorResponse, Request, Response,
};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};

use crate::support::PATIENCE;
use crate::support::certs::dev_certificate;
use crate::support::client::Client;
use crate::support::gateway::{Running, gateway};
use crate::support::noise::Noise;
use crate::support::proxy::{OK, proxy_that_says};
use crate::support::script::Script;

/// How a client gets to its backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    Tls,
    Proxy,
    TlsAndProxy,
}

const WAYS: [Way; 4] = [Way::Plain, Way::Tls, Way::Proxy, Way::TlsAndProxy];

/// Both ends of an open WebSocket, and what stands between them.
struct Ends {
    client: WebSocketStream<Far>,
    backend: WebSocketStream<TcpStream>,
    /// Of the answer that the client got.
    headers: HeaderMap,
    _gateway: Running,
    _proxy: Option<Script>,
}

/// Chooses the subprotocol it is told to.
struct Choose(Option<&'static str>);

impl Callback for Choose {
    fn on_request(
        self,
        request: &Request,
        mut response: Response,
    ) -> Result<Response, ErrorResponse> {
        assert_eq!(request.uri().path(), "/ws");
        assert_eq!(request.headers()["x-forwarded-for"], "127.0.0.1");
        if let Some(chosen) = self.0 {
            let chosen = HeaderValue::from_static(chosen);
            response
                .headers_mut()
                .insert("sec-websocket-protocol", chosen);
        }
        Ok(response)
    }
}

impl Ends {
    async fn new(way: Way, offered: Option<&'static str>, chosen: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cert = dev_certificate(&["chat.test"]);
        let (mut builder, mut proxy) = (gateway(), None);
        let mut url = format!("ws://{address}");
        if matches!(way, Way::Tls | Way::TlsAndProxy) {
            builder = builder.tls(&cert);
        }
        if matches!(way, Way::Proxy | Way::TlsAndProxy) {
            let opens = proxy_that_says(OK, address).await;
            builder = builder.via(opens.address);
            proxy = Some(opens);
            "ws://backend.test".clone_into(&mut url);
        }
        let gateway = builder.route("/ws", url).run();
        let mut request = "ws://chat.test/ws".into_client_request().unwrap();
        if let Some(offered) = offered {
            let offered = HeaderValue::from_static(offered);
            request
                .headers_mut()
                .insert("sec-websocket-protocol", offered);
        }
        let client = async {
            let client = match way {
                Way::Plain | Way::Proxy => Client::connect(gateway.address).await,
                Way::Tls | Way::TlsAndProxy => Client::connect_tls(gateway.address, &cert).await,
            };
            client_async(request, client.stream).await.unwrap()
        };
        let backend = async {
            let (tcp, _) = listener.accept().await.unwrap();
            accept_hdr_async(tcp, Choose(chosen)).await.unwrap()
        };
        let both = async { tokio::join!(client, backend) };
        let ((client, answer), backend) = timeout(PATIENCE, both).await.expect("in time");
        Self {
            client,
            backend,
            headers: answer.into_parts().0.headers,
            _gateway: gateway,
            _proxy: proxy,
        }
    }

    async fn plain(way: Way) -> Self {
        Self::new(way, None, None).await
    }

    /// Fails unless the message arrives at the other end, whichever it is sent from.
    async fn carry(&mut self, message: &Message) {
        let (got, ()) = tokio::join!(next(&mut self.backend), send(&mut self.client, message));
        assert!(got == *message, "to the backend: {} bytes", message.len());
        let (got, ()) = tokio::join!(next(&mut self.client), send(&mut self.backend, message));
        assert!(got == *message, "to the client: {} bytes", message.len());
    }
}

/// The sending side of one end, whatever it stands on.
async fn send<S>(end: &mut S, message: &Message)
where
    S: SinkExt<Message, Error = Error> + Unpin,
{
    let sent = timeout(PATIENCE, end.send(message.clone())).await;
    sent.expect("taken in time").expect("taken");
}

async fn next<S>(end: &mut S) -> Message
where
    S: StreamExt<Item = Result<Message, Error>> + Unpin,
{
    let message = timeout(PATIENCE, end.next()).await;
    message
        .expect("in time")
        .expect("a message")
        .expect("a sound one")
}

/// Fails unless the connection is over, and over in order.
async fn ends<S>(end: &mut S)
where
    S: StreamExt<Item = Result<Message, Error>> + Unpin,
{
    let last = timeout(PATIENCE, end.next()).await.expect("in time");
    assert!(last.is_none(), "{last:?}");
}

#[tokio::test]
async fn messages_go_both_ways_unchanged() {
    for way in WAYS {
        let mut ends = Ends::plain(way).await;
        for message in [
            Message::text(""),
            Message::text("hello, 世界 🌍"),
            Message::binary(Vec::new()),
            Message::binary(vec![0, 255, 1]),
            Message::text("t".repeat(125)),
            Message::text("t".repeat(126)),
            Message::binary(Noise::seeded(1).take(65_535)),
            Message::binary(Noise::seeded(2).take(65_536)),
        ] {
            ends.carry(&message).await;
        }
    }
}

#[tokio::test]
async fn a_mebibyte_goes_both_ways_unchanged() {
    for way in WAYS {
        let mut ends = Ends::plain(way).await;
        ends.carry(&Message::binary(Noise::seeded(3).take(1024 * 1024)))
            .await;
        ends.carry(&Message::text("世".repeat(1024 * 1024 / 3)))
            .await;
        // Both at once.
        let up = Message::binary(Noise::seeded(4).take(1024 * 1024));
        let down = Message::binary(Noise::seeded(5).take(1024 * 1024));
        let (mut to_backend, mut at_client) = ends.client.split();
        let (mut to_client, mut at_backend) = ends.backend.split();
        let ((), (), got_up, got_down) = tokio::join!(
            send(&mut to_backend, &up),
            send(&mut to_client, &down),
            next(&mut at_backend),
            next(&mut at_client),
        );
        assert!(got_up == up && got_down == down, "{way:?}");
    }
}

#[tokio::test]
async fn a_ping_is_answered_by_the_other_end_and_not_on_the_way() {
    for way in WAYS {
        let Ends {
            mut client,
            mut backend,
            headers: _,
            _gateway,
            _proxy,
        } = Ends::plain(way).await;
        answers(&mut client, &mut backend).await;
        answers(&mut backend, &mut client).await;
    }
}

/// Fails unless what `asks` sends as a Ping comes back from `answers` as its Pong.
async fn answers<A, B>(asks: &mut WebSocketStream<A>, answers: &mut WebSocketStream<B>)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    send(asks, &Message::Ping("are you there".into())).await;
    assert_eq!(next(answers).await, Message::Ping("are you there".into()));
    // The library has its Pong ready, and writes it when it is asked to.
    answers.flush().await.unwrap();
    assert_eq!(next(asks).await, Message::Pong("are you there".into()));
}

/// Every way to say goodbye: codes with their reasons, and none.
fn goodbyes() -> Vec<Option<CloseFrame>> {
    let frame = |code: u16, reason: &str| {
        let reason = reason.to_owned().into();
        let code = code.into();
        Some(CloseFrame { code, reason })
    };
    let long = "r".repeat(123);
    vec![
        None,
        frame(1000, ""),
        frame(1001, "going away"),
        frame(1011, "oops"),
        frame(3000, "ünïcode"),
        frame(4001, "signed out"),
        frame(4999, &long),
    ]
}

#[tokio::test]
async fn a_close_of_the_client_arrives_with_its_code_and_reason_and_is_answered() {
    for way in WAYS {
        for goodbye in goodbyes() {
            let mut both = Ends::plain(way).await;
            let close = Message::Close(goodbye);
            send(&mut both.client, &close).await;
            assert_eq!(next(&mut both.backend).await, close, "{way:?}");
            // The library answers with the same code as it reads on.
            let (answer, ()) = tokio::join!(next(&mut both.client), ends(&mut both.backend));
            let Message::Close(answer) = answer else {
                panic!("{answer:?}");
            };
            let Message::Close(said) = close else {
                panic!("a close was said");
            };
            assert_eq!(answer.map(|f| f.code), said.map(|f| f.code), "{way:?}");
            drop(both.backend);
            ends(&mut both.client).await;
        }
    }
}

#[tokio::test]
async fn a_close_of_the_backend_arrives_with_its_code_and_reason_and_is_answered() {
    for way in WAYS {
        for goodbye in goodbyes() {
            let mut both = Ends::plain(way).await;
            let close = Message::Close(goodbye);
            send(&mut both.backend, &close).await;
            assert_eq!(next(&mut both.client).await, close, "{way:?}");
            let answered = async {
                let answer = next(&mut both.backend).await;
                assert!(matches!(answer, Message::Close(_)), "{answer:?}");
                ends(&mut both.backend).await;
                // The server of a WebSocket ends its TCP connection first (RFC 6455 §7.1.1).
                drop(both.backend);
            };
            tokio::join!(ends(&mut both.client), answered);
        }
    }
}

#[tokio::test]
async fn a_subprotocol_is_offered_chosen_and_told() {
    for way in WAYS {
        let offered = Some("chat.v2, chat.v1");
        for chosen in [Some("chat.v1"), Some("chat.v2")] {
            let mut ends = Ends::new(way, offered, chosen).await;
            let told = ends.headers.get("sec-websocket-protocol").unwrap();
            assert_eq!(told, chosen.unwrap());
            ends.carry(&Message::text("hello")).await;
        }
        let ends = Ends::plain(way).await;
        assert_eq!(ends.headers.get("sec-websocket-protocol"), None);
    }
}
