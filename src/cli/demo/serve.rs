//! Accepts connections for the demo's own servers and ends them all with itself. Knows nothing
//! of what a connection says.

use std::io;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Rest after a failed accept: out of descriptors, an accept would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Hands each connection of `listener` to `connection`. Never returns; dropping it ends every
/// connection, because their tasks are in a set of its own.
pub(super) async fn each<F>(listener: TcpListener, connection: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            accepted = accept(&listener) => match accepted {
                Ok(tcp) => {
                    running.spawn(connection(tcp));
                }
                Err(error) => {
                    tracing::warn!(%error, "the demo could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = running.join_next() => {}
        }
    }
}

async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (tcp, _) = listener.accept().await?;
    // Without it, the round trips that the page shows would be Nagle's.
    tcp.set_nodelay(true)?;
    Ok(tcp)
}
