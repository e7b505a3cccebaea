//! The last bytes of a plain stream, held back so that they leave in one segment with its FIN.
//!
//! Knows nothing of what they say.

use std::io;
use std::task::{Context, Poll};

use rustix::net::{SendFlags, send};
use tokio::net::TcpStream;

use super::ready::poll_writing;

/// They wait for what comes next (MSG_MORE, send(2)), at most 200 ms. Elsewhere they leave at once.
#[cfg(target_os = "linux")]
const FLAGS: SendFlags = SendFlags::MORE.union(SendFlags::NOSIGNAL);
#[cfg(not(target_os = "linux"))]
const FLAGS: SendFlags = SendFlags::empty();

/// Writes as many of `bytes` as `stream` accepts now. Nothing but its shutdown may follow the last of
/// them.
pub fn poll_write_last(
    cx: &mut Context<'_>,
    stream: &TcpStream,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    poll_writing(cx, stream, || Ok(send(stream, bytes, FLAGS)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket};

    #[tokio::test]
    async fn the_last_bytes_arrive_with_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpSocket::new_v4().unwrap();
        let near = near.connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(near, listener.accept());
        let (mut near, mut far) = (near.unwrap(), far.unwrap().0);
        let accepted = poll_fn(|cx| poll_write_last(cx, &near, b"bye")).await;
        assert_eq!(accepted.unwrap(), 3);
        #[cfg(target_os = "linux")]
        assert!(far.try_read(&mut [0]).is_err(), "they wait");
        near.shutdown().await.unwrap();
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"bye");
    }
}
