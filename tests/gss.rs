//! The room with `unsafe` over the system's own library: tickets of two users at once, what it says
//! without them, and what ten thousand tokens leave behind.
//!
//! A binary of its own, since the memory of a process can be judged only if nothing else is in it.
//! No KDC is needed: the caches are written here, tickets and all, and who makes a token looks into
//! none of them.

#![cfg(feature = "gssapi")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use throughway::egress::system::{Identity, System};
use throughway::egress::{Lack, Mechanism as _, NoToken};
use throughway::gss::{Context, Credential, Error, Mechanism, Name, Store};

const REALM: &str = "CORP.TEST";
const SERVICE: &str = "HTTP/proxy.test@CORP.TEST";
/// aes256-cts-hmac-sha1-96 (RFC 3962 §7), and the length of its keys.
const ENCTYPE: u16 = 18;
const KEY: [u8; 32] = [7; 32];
const HOUR: i64 = 3600;

/// Tests take turns: one of them weighs the process.
static TURN: Mutex<()> = Mutex::new(());

// A cache, written by hand ------------------------------------------------------------------------

/// Fields in the order of a file cache, version 4: numbers are big-endian, texts have a length.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, number: u32) {
        self.0.extend(number.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u32);
        self.0.extend(bytes);
    }

    fn principal(&mut self, parts: &[&str]) {
        self.number(1);
        self.number(parts.len() as u32);
        self.bytes(REALM.as_bytes());
        parts.iter().for_each(|part| self.bytes(part.as_bytes()));
    }

    fn credential(&mut self, user: &str, server: &[&str], ends: u32) {
        self.principal(&[user]);
        self.principal(server);
        self.0.extend(ENCTYPE.to_be_bytes());
        self.bytes(&KEY);
        let begins = ends - 2 * HOUR as u32;
        [begins, begins, ends, 0]
            .iter()
            .for_each(|time| self.number(*time));
        self.0.push(0);
        // Flags, addresses, authorization data.
        (0..3).for_each(|_| self.number(0));
        self.bytes(&ticket(user, server));
        self.bytes(&[]);
    }
}

/// A cache of `user` with a ticket for the service, which ends this many seconds from now.
fn write_cache(path: &Path, user: &str, seconds: i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let ends = (now.as_secs() as i64 + seconds) as u32;
    let mut writer = Writer(vec![5, 4, 0, 0]);
    writer.principal(&[user]);
    writer.credential(user, &["krbtgt", REALM], ends);
    writer.credential(user, &["HTTP", "proxy.test"], ends);
    std::fs::write(path, writer.0).unwrap();
}

/// RFC 4120 §5.3; what should be encrypted says whose it is.
fn ticket(user: &str, server: &[&str]) -> Vec<u8> {
    let text = |text: &str| der(0x1b, text.as_bytes());
    let number = |number: u8| der(0x02, &[number]);
    let parts: Vec<u8> = server.iter().flat_map(|part| text(part)).collect();
    let name = [der(0xa0, &number(2)), der(0xa1, &der(0x30, &parts))].concat();
    let secret = der(0x04, marker(user).as_bytes());
    let encrypted = [der(0xa0, &number(ENCTYPE as u8)), der(0xa2, &secret)].concat();
    let fields = [
        der(0xa0, &number(5)),
        der(0xa1, &text(REALM)),
        der(0xa2, &der(0x30, &name)),
        der(0xa3, &der(0x30, &encrypted)),
    ];
    der(0x61, &der(0x30, &fields.concat()))
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length: &[u8] = match content.len() {
        short @ 0..=127 => &[short as u8],
        long => &[0x81, u8::try_from(long).unwrap()],
    };
    [&[tag], length, content].concat()
}

fn marker(user: &str) -> String {
    format!("this is for {user} alone")
}

fn holds(token: &[u8], text: &str) -> bool {
    token.windows(text.len()).any(|w| w == text.as_bytes())
}

fn cache_in(home: &TempDir, user: &str, seconds: i64) -> String {
    let path = home.path().join(format!("{user}.cc"));
    write_cache(&path, user, seconds);
    format!("FILE:{}", path.display())
}

fn begun(user: &str, cache: &str) -> Result<Context, Error> {
    let name = Name::principal(&format!("{user}@{REALM}"))?;
    let store = Store::cache(cache)?;
    let credential = Credential::acquire(Some(&name), Mechanism::Spnego, &store)?;
    let binding = Some(b"tls-server-end-point:hash".to_vec());
    Ok(Context::new(
        Arc::new(credential),
        Name::principal(SERVICE)?,
        binding,
    ))
}

// What holds --------------------------------------------------------------------------------------

#[test]
fn two_users_have_their_own_tokens_at_the_same_time() {
    let _turn = TURN.lock();
    let home = tempfile::tempdir().unwrap();
    let users = ["alice", "bob"];
    let caches = users.map(|user| cache_in(&home, user, HOUR));
    thread::scope(|scope| {
        for n in 0..8 {
            let (user, cache, other) = (users[n % 2], &caches[n % 2], users[(n + 1) % 2]);
            scope.spawn(move || {
                for _ in 0..100 {
                    let token = begun(user, cache).unwrap().step(None).unwrap();
                    assert!(holds(&token, &marker(user)));
                    assert!(!holds(&token, &marker(other)));
                }
            });
        }
    });
}

#[test]
fn a_token_of_one_thread_is_stepped_on_another() {
    let _turn = TURN.lock();
    let home = tempfile::tempdir().unwrap();
    let cache = cache_in(&home, "alice", HOUR);
    let mut context = begun("alice", &cache).unwrap();
    let token = thread::spawn(move || context.step(None)).join().unwrap();
    assert!(holds(&token.unwrap(), &marker("alice")));
}

#[test]
fn a_step_that_has_no_place_is_an_error() {
    let _turn = TURN.lock();
    let home = tempfile::tempdir().unwrap();
    let cache = cache_in(&home, "alice", HOUR);
    let mut context = begun("alice", &cache).unwrap();
    let words = |step: Result<Vec<u8>, Error>| step.unwrap_err().words().to_owned();
    assert_eq!(words(context.step(Some(b"a"))), "a token before the first");
    context.step(None).unwrap();
    assert_eq!(words(context.step(None)), "no token where one must be");
    context.step(Some(b"no token")).unwrap_err();
    assert_eq!(words(context.step(Some(b"a"))), "a token after the last");
}

#[test]
fn tickets_that_are_no_use_are_told_with_what_would_be() {
    let _turn = TURN.lock();
    let home = tempfile::tempdir().unwrap();
    let good = cache_in(&home, "alice", HOUR);
    let ended = cache_in(&home, "carol", -HOUR);
    let nowhere = format!("FILE:{}", home.path().join("nowhere").display());
    let broken = home.path().join("broken");
    std::fs::write(&broken, [5, 4, 0, 0, 1]).unwrap();
    let broken = format!("FILE:{}", broken.display());
    let check = |cache: &str, user: Option<&str>, lack, expected: &str| {
        let system = System::new(Identity::Cache {
            principal: user.map(|user| format!("{user}@{REALM}")),
            cache: cache.to_owned(),
        });
        let begun = system.begin(SERVICE, None);
        let NoToken { lack: found, why } =
            begun.and_then(|mut begun| begun.step(None)).unwrap_err();
        assert!(
            found == lack && why.starts_with(expected),
            "{found:?} {why}"
        );
        let remedy = format!("; kinit -c {cache} gets one");
        assert_eq!(why.ends_with(&remedy), lack == Lack::Ticket, "{why}");
    };
    check(&ended, None, Lack::Ticket, "the ticket has expired (");
    check(
        &ended,
        Some("carol"),
        Lack::Ticket,
        "the ticket has expired",
    );
    check(&nowhere, None, Lack::Ticket, "there is no ticket (");
    check(
        &nowhere,
        Some("alice"),
        Lack::Ticket,
        "there is no ticket (",
    );
    check(
        &good,
        Some("bob"),
        Lack::Ticket,
        "the tickets are another user's (",
    );
    check(&broken, None, Lack::Ticket, "the cache cannot be read (");
}

#[test]
fn a_keytab_without_the_users_key_is_told() {
    let _turn = TURN.lock();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("empty.keytab");
    std::fs::write(&path, [5, 2]).unwrap();
    let keytab = format!("FILE:{}", path.display());
    let system = System::new(Identity::Keytab {
        principal: format!("alice@{REALM}"),
        keytab: keytab.clone(),
    });
    let NoToken { lack, why } = system.begin(SERVICE, None).unwrap_err();
    assert!(lack == Lack::Key, "{lack:?} {why}");
    let remedy = format!("; klist -k {keytab} tells whose keys are there");
    assert!(why.starts_with("there is no key of this user ("), "{why}");
    assert!(why.ends_with(&remedy), "{why}");
}

#[test]
fn a_credential_says_how_long_it_is_good() {
    let _turn = TURN.lock();
    let home = tempfile::tempdir().unwrap();
    let left = |seconds| {
        let store = Store::cache(&cache_in(&home, "alice", seconds)).unwrap();
        let got = Credential::acquire(None, Mechanism::Spnego, &store);
        got.map(|got| got.left()).unwrap_or_default()
    };
    let hour = Duration::from_secs(HOUR as u64);
    assert!(left(HOUR) <= hour && left(HOUR) > hour / 2);
    assert_eq!(left(-HOUR), Duration::ZERO);
}

/// What the process holds of the machine's memory.
fn resident_kilobytes() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn ten_thousand_tokens_leave_nothing_behind() {
    let _turn = TURN.lock();
    let home = tempfile::tempdir().unwrap();
    let cache = cache_in(&home, "alice", HOUR);
    let make = |times: usize| {
        for _ in 0..times {
            let mut context = begun("alice", &cache).unwrap();
            assert!(!context.step(None).unwrap().is_empty());
            // Every failure has texts, which are the library's too.
            context.step(Some(b"no token")).unwrap_err();
        }
    };
    make(1000);
    let before = resident_kilobytes();
    make(10_000);
    let grown = resident_kilobytes() - before;
    // A hundred bytes a token would be 1000 kB.
    assert!(grown < 800, "{grown} kB in 10,000 tokens");
}
