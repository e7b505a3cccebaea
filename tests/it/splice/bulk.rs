//! A great many bytes, both ways at once.

use std::time::Instant;

use super::real::{both_ways, session};

/// Each way. Every byte is compared.
const BULK_BYTES: u64 = 1 << 30;

async fn check(tls: bool) {
    let start = Instant::now();
    let outcome = both_ways(session(tls).await, BULK_BYTES).await;
    let sent = (outcome.to_backend, outcome.to_client);
    assert_eq!(sent, (BULK_BYTES, BULK_BYTES));
    assert_eq!(outcome.end.why(), "closed");
    println!(
        "{BULK_BYTES} bytes each way, tls: {tls}: {:?}",
        start.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_gibibyte_each_way_at_once_over_tcp() {
    check(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_gibibyte_each_way_at_once_over_tls() {
    check(true).await;
}
