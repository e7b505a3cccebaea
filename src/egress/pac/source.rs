//! Where a PAC script comes from: a file, or a URL that is fetched straight, never by a proxy.
//!
//! Asks only whether there is another than the last one. Knows no scripts.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{ETAG, HOST, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::time::timeout_at;

use crate::egress::budget::Budget;
use crate::egress::hop::tcp::{self, Target};
use crate::egress::hop::tls::{self, Between};
use crate::egress::params::{HopTimeouts, TlsTo};
use crate::egress::steps::Steps;
use crate::egress::stumble::{io_words, plain};
use crate::net::Stream;
use crate::wire::authority::Host;

/// Large real scripts have 200 KiB.
pub const SCRIPT_BYTES_MAX: usize = 1024 * 1024;
/// Heads, interim answers and framing.
const OVERHEAD_BYTES_MAX: usize = 256 * 1024;
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Where a script is.
#[derive(Debug)]
pub enum Source {
    /// On this machine.
    File(PathBuf),
    /// On a server.
    Url(Url),
}

/// Where a server has it.
#[derive(Debug)]
pub struct Url {
    /// As it is written.
    pub text: String,
    /// The server.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// Present for `https://`.
    pub tls: Option<TlsTo>,
    /// With the query; begins with `/`.
    pub path: String,
    /// The `Host` it is asked for.
    pub host_header: String,
}

/// What tells a script from the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    File(Option<SystemTime>, u64),
    Url {
        etag: Option<HeaderValue>,
        modified: Option<HeaderValue>,
    },
}

/// A script that is not the last one, and its mark. Half a sentence where it cannot be had.
pub(super) type Fetched = Result<Option<(String, Mark)>, String>;

impl Source {
    /// The script, unless it is the one that `mark` belongs to.
    pub(super) async fn fetch(
        &self,
        mark: Option<Mark>,
        timeouts: HopTimeouts,
        budget: Budget,
    ) -> Fetched {
        match self {
            Self::File(path) => {
                let path = path.clone();
                // Files of a network may block for long.
                let reading = tokio::task::spawn_blocking(move || read(&path, mark.as_ref()));
                let read = timeout_at(budget.step(timeouts.reply), reading).await;
                let read = read.map_err(|_| "timed out".to_owned())?;
                read.map_err(|error| error.to_string())?
            }
            Self::Url(url) => {
                let getting = get(url, mark, timeouts, budget);
                let got = timeout_at(budget.step(timeouts.reply), getting).await;
                got.map_err(|_| "timed out".to_owned())?
            }
        }
    }
}

fn read(path: &Path, last: Option<&Mark>) -> Fetched {
    let words = |error: std::io::Error| io_words(&error);
    // Looked at before it is opened: opening a pipe waits for somebody to write into it.
    let facts = std::fs::metadata(path).map_err(words)?;
    if !facts.is_file() {
        return Err("it is no file".to_owned());
    }
    let mark = Mark::File(facts.modified().ok(), facts.len());
    if last == Some(&mark) {
        return Ok(None);
    }
    let file = std::fs::File::open(path).map_err(words)?;
    let mut bytes = Vec::new();
    let mut bounded = file.take(SCRIPT_BYTES_MAX as u64 + 1);
    bounded.read_to_end(&mut bytes).map_err(words)?;
    Ok(Some((text(&bytes)?, mark)))
}

// Comments are written in whatever encoding, and all else is ASCII.
fn text(bytes: &[u8]) -> Result<String, String> {
    if bytes.len() > SCRIPT_BYTES_MAX {
        return Err(format!("it is longer than {SCRIPT_BYTES_MAX} bytes"));
    }
    let text = String::from_utf8_lossy(bytes);
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

async fn get(url: &Url, last: Option<Mark>, timeouts: HopTimeouts, budget: Budget) -> Fetched {
    let stream = connect(url, timeouts, budget).await?;
    // hyper skips interim answers without an end; a bounded reader has one.
    let (from, to) = tokio::io::split(stream);
    let bounded = from.take((SCRIPT_BYTES_MAX + OVERHEAD_BYTES_MAX) as u64);
    let io = TokioIo::new(tokio::io::join(bounded, to));
    let words = |error: hyper::Error| plain(&error.to_string(), 200);
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(io)
        .await
        .map_err(words)?;
    let request = request(url, last)?;
    let asking = async {
        let response = sender.send_request(request).await.map_err(words)?;
        taken(response).await
    };
    tokio::pin!(asking);
    tokio::select! {
        biased;
        taken = &mut asking => return taken,
        _ = connection => {}
    }
    // The connection is over, and what it had read may still wait to be taken.
    asking.await
}

async fn connect(url: &Url, timeouts: HopTimeouts, budget: Budget) -> Result<Stream, String> {
    let target = Target {
        host: &url.host,
        port: url.port,
        resolve: timeouts.resolve,
        connect: timeouts.connect,
    };
    let steps = Steps::deaf();
    let connecting = tcp::connect(&target, budget, &steps);
    let stream = connecting.await.map_err(|stumble| stumble.to_string())?;
    let Some(to) = &url.tls else {
        return Ok(stream);
    };
    let deadline = budget.step(timeouts.tls);
    let securing = tls::secure(stream, to, Between::Nothing, deadline, &steps);
    securing.await.map_err(|stumble| stumble.to_string())
}

fn request(url: &Url, last: Option<Mark>) -> Result<Request<Empty<Bytes>>, String> {
    let mut request = Request::get(url.path.as_str()).header(HOST, &url.host_header);
    if let Some(Mark::Url { etag, modified }) = last {
        for (name, value) in [(IF_NONE_MATCH, etag), (IF_MODIFIED_SINCE, modified)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
    }
    let request = request.body(Empty::new());
    request.map_err(|error| plain(&error.to_string(), 200))
}

async fn taken(response: Response<Incoming>) -> Fetched {
    let (head, mut body) = response.into_parts();
    match head.status {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED => return Ok(None),
        status if status.is_redirection() => {
            return Err(format!("{status}, and redirects are not followed"));
        }
        status => return Err(format!("answered {status}")),
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| plain(&error.to_string(), 200))?;
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() > SCRIPT_BYTES_MAX {
            break;
        }
    }
    Ok(Some((text(&bytes)?, mark(&head.headers))))
}

fn mark(headers: &HeaderMap) -> Mark {
    Mark::Url {
        etag: headers.get(ETAG).cloned(),
        modified: headers.get(LAST_MODIFIED).cloned(),
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => f.write_str(&url.text),
        }
    }
}
