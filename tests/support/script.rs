//! A server that does exactly what it was told, one script a connection, and records every byte
//! it was sent. Knows no protocol but where a head ends.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Bytes from a request head.
pub type AnswerFrom = dyn Fn(&str) -> Vec<u8> + Send + Sync;

/// One thing to do.
#[derive(Clone)]
pub enum Act {
    /// Read a request head, up to its empty line.
    Head,
    /// Read so many bytes.
    Read(usize),
    /// Send these bytes at once.
    Say(Vec<u8>),
    /// Send these bytes, so many at a time.
    Dribble(Vec<u8>, usize),
    /// Send these bytes until the connection ends.
    Repeat(Vec<u8>),
    /// Send what this makes of the last head.
    Answer(Arc<AnswerFrom>),
    /// Connect to this address and carry bytes both ways until both have ended.
    Tunnel(SocketAddr),
    /// Send back whatever comes.
    Echo,
    /// Read and say nothing until the other side ends.
    Stall,
    /// End with RST instead of FIN. Must be the last act.
    Reset,
}

/// The server; it ends with the runtime of its test.
pub struct Script {
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    ended: Arc<AtomicUsize>,
}

pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Script {
    /// Plays the first script on the first connection and so on; the last one again on all that
    /// follow.
    pub async fn play(scripts: Vec<Vec<Act>>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let recording = heard.clone();
        let ended = Arc::new(AtomicUsize::new(0));
        let ending = ended.clone();
        tokio::spawn(async move {
            for n in 0.. {
                let (tcp, _) = listener.accept().await.unwrap();
                recording.lock().unwrap().push(Vec::new());
                let script = scripts[n.min(scripts.len() - 1)].clone();
                let heard = Heard {
                    all: recording.clone(),
                    connection: n,
                };
                let (tls, ending) = (tls.clone(), ending.clone());
                tokio::spawn(async move {
                    connection(tcp, script, tls, heard).await;
                    ending.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        Self {
            address,
            heard,
            ended,
        }
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// How many of them are over: their script is done, or the other side left before that.
    pub fn ended(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }

    /// Every byte that came on the connection with this index, as text.
    pub fn heard(&self, connection: usize) -> String {
        let heard = self.heard.lock().unwrap();
        String::from_utf8_lossy(&heard[connection]).into_owned()
    }

    /// The same as bytes.
    pub fn heard_bytes(&self, connection: usize) -> Vec<u8> {
        self.heard.lock().unwrap()[connection].clone()
    }

    /// The same of all connections together.
    pub fn heard_in_all(&self) -> String {
        let heard = self.heard.lock().unwrap();
        String::from_utf8_lossy(&heard.concat()).into_owned()
    }
}

struct Heard {
    all: Arc<Mutex<Vec<Vec<u8>>>>,
    connection: usize,
}

impl Heard {
    fn note(&self, bytes: &[u8]) {
        self.all.lock().unwrap()[self.connection].extend_from_slice(bytes);
    }
}

/// Plays a script on one connection that somebody else took in; nothing is recorded.
pub async fn play_on(mut wire: Box<dyn Wire>, script: Vec<Act>) {
    let heard = Heard {
        all: Arc::new(Mutex::new(vec![Vec::new()])),
        connection: 0,
    };
    perform_all(script, &mut wire, &heard).await;
}

async fn connection(tcp: TcpStream, script: Vec<Act>, tls: Option<TlsAcceptor>, heard: Heard) {
    if script.iter().any(|act| matches!(act, Act::Reset)) {
        tcp.set_zero_linger().unwrap();
    }
    tcp.set_nodelay(true).unwrap();
    let mut wire: Box<dyn Wire> = match tls {
        None => Box::new(tcp),
        // A test of a handshake that fails ends here.
        Some(tls) => match tls.accept(tcp).await {
            Ok(tls) => Box::new(tls),
            Err(_) => return,
        },
    };
    perform_all(script, &mut wire, &heard).await;
}

async fn perform_all(script: Vec<Act>, wire: &mut Box<dyn Wire>, heard: &Heard) {
    let mut head = String::new();
    for act in script {
        // An error is the other side leaving before the script was over, which its test sees.
        if perform(act, wire, &mut head, heard).await.is_err() {
            return;
        }
    }
    // TLS is ended as it should be; plain TCP by being dropped.
    wire.shutdown().await.ok();
}

async fn perform(
    act: Act,
    wire: &mut Box<dyn Wire>,
    head: &mut String,
    heard: &Heard,
) -> std::io::Result<()> {
    match act {
        Act::Head => *head = read_head(wire, heard).await?,
        Act::Read(n) => {
            let mut bytes = vec![0; n];
            wire.read_exact(&mut bytes).await?;
            heard.note(&bytes);
        }
        Act::Say(bytes) => say(wire, &bytes).await?,
        Act::Dribble(bytes, n) => {
            for piece in bytes.chunks(n) {
                say(wire, piece).await?;
                // Lets the other side see this piece alone; if it does not, the test is weaker,
                // not wrong.
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        }
        Act::Repeat(bytes) => loop {
            say(wire, &bytes).await?;
        },
        Act::Answer(answer) => say(wire, &answer(head)).await?,
        Act::Tunnel(to) => tunnel(wire, to, heard).await?,
        Act::Echo => echo(wire, heard).await?,
        Act::Stall => {
            let mut rest = [0; 4096];
            loop {
                match wire.read(&mut rest).await? {
                    0 => break,
                    n => heard.note(&rest[..n]),
                }
            }
        }
        Act::Reset => {}
    }
    Ok(())
}

async fn say(wire: &mut Box<dyn Wire>, bytes: &[u8]) -> std::io::Result<()> {
    wire.write_all(bytes).await?;
    wire.flush().await
}

async fn read_head(wire: &mut Box<dyn Wire>, heard: &Heard) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = [wire.read_u8().await?];
        heard.note(&byte);
        head.extend_from_slice(&byte);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

async fn echo(wire: &mut Box<dyn Wire>, heard: &Heard) -> std::io::Result<()> {
    let mut bytes = [0; 4096];
    loop {
        let n = wire.read(&mut bytes).await?;
        if n == 0 {
            return Ok(());
        }
        heard.note(&bytes[..n]);
        say(wire, &bytes[..n]).await?;
    }
}

async fn tunnel(wire: &mut Box<dyn Wire>, to: SocketAddr, heard: &Heard) -> std::io::Result<()> {
    let mut far = TcpStream::connect(to).await?;
    far.set_nodelay(true)?;
    let (mut far_read, mut far_write) = far.split();
    let (mut near_read, mut near_write) = tokio::io::split(wire);
    let out = async {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            let n = near_read.read(&mut bytes).await?;
            if n == 0 {
                return far_write.shutdown().await;
            }
            heard.note(&bytes[..n]);
            far_write.write_all(&bytes[..n]).await?;
        }
    };
    let back = async {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            let n = far_read.read(&mut bytes).await?;
            if n == 0 {
                return near_write.shutdown().await;
            }
            near_write.write_all(&bytes[..n]).await?;
            near_write.flush().await?;
        }
    };
    tokio::try_join!(out, back).map(|_| ())
}
