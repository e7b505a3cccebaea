//! File descriptors: a session needs two, and the usual soft limit is 1024.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Beside sessions: listeners, log, runtime, name resolution.
const RESERVE: u64 = 64;

/// Raises the soft limit to the hard one. Not to succeed is no error: accept survives a shortage.
pub(super) fn raise() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// Says so when `connections` do not fit into the limit.
pub(super) fn compare(connections: usize) {
    let needed = 2 * connections as u64 + RESERVE;
    if let Some(available) = getrlimit(Resource::Nofile).current.filter(|n| *n < needed) {
        tracing::warn!(
            available,
            needed,
            "limits.connections needs more open files than this process may have; \
             raise the limit (LimitNOFILE in a unit) or lower limits.connections",
        );
    }
}
