//! What a PAC script answers: `PROXY a:3128; HTTPS b; DIRECT`, the ways to try in order.
//!
//! There is no standard; this reads what browsers read. An entry that means nothing is skipped
//! and said to be. Knows no scripts.

use std::fmt;

use super::authority::{Authority, Host};

/// More entries than this are a mistake; those after them are skipped.
const ENTRIES_MAX: usize = 16;
/// Of an entry that is told as skipped.
const TEXT_CHARS_MAX: usize = 100;

/// The entries of an answer in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// Each at most once.
    pub entries: Vec<Entry>,
    /// What was skipped.
    pub skipped: Vec<Skipped>,
}

/// One way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Without a proxy.
    Direct,
    /// By this one.
    Proxy(Proxy),
}

/// A proxy, as an answer names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// What it speaks.
    pub kind: Kind,
    /// Its host.
    pub host: Host,
    /// Its port, or the one that its kind has by itself.
    pub port: u16,
}

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `PROXY` and `HTTP`: port 80 if none.
    Http,
    /// `HTTPS`, TLS to the proxy itself: port 443 if none.
    Https,
    /// `SOCKS` and `SOCKS5`: port 1080 if none.
    Socks5,
}

/// An entry that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its beginning, as it came.
    pub text: String,
    /// Half a sentence.
    pub reason: &'static str,
}

/// Reads an answer. An empty one means the same as `DIRECT`.
pub fn parse(text: &str) -> Listed {
    let mut listed = Listed::default();
    let written = text.split(';').map(str::trim).filter(|t| !t.is_empty());
    for text in written {
        match entry(text) {
            Ok(entry) if listed.entries.contains(&entry) => {}
            Ok(_) if listed.entries.len() >= ENTRIES_MAX => {
                listed.skip(text, "there are too many before it");
                return listed;
            }
            Ok(entry) => listed.entries.push(entry),
            Err(reason) if listed.skipped.len() < ENTRIES_MAX => listed.skip(text, reason),
            Err(_) => return listed,
        }
    }
    if listed.entries.is_empty() && listed.skipped.is_empty() {
        listed.entries.push(Entry::Direct);
    }
    listed
}

fn entry(text: &str) -> Result<Entry, &'static str> {
    let mut words = text.split_ascii_whitespace();
    let word = words.next().unwrap_or_default();
    let address = words.next();
    if words.next().is_some() {
        return Err("it has more than two words");
    }
    if word.eq_ignore_ascii_case("DIRECT") {
        return match address {
            None => Ok(Entry::Direct),
            Some(_) => Err("DIRECT takes no address"),
        };
    }
    let kind = kind(word)?;
    let authority = Authority::parse(address.ok_or("its address is missing")?);
    let authority = authority.map_err(|_| "its address is no host and port")?;
    Ok(Entry::Proxy(Proxy {
        kind,
        host: authority.host,
        port: authority.port.unwrap_or(kind.port()),
    }))
}

fn kind(word: &str) -> Result<Kind, &'static str> {
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    match () {
        () if is("PROXY") || is("HTTP") => Ok(Kind::Http),
        () if is("HTTPS") => Ok(Kind::Https),
        () if is("SOCKS") || is("SOCKS5") => Ok(Kind::Socks5),
        () if is("SOCKS4") => Err("SOCKS4 is not spoken here"),
        () if is("QUIC") => Err("QUIC is not spoken here"),
        () => Err("it begins with no word that is known"),
    }
}

impl Listed {
    fn skip(&mut self, text: &str, reason: &'static str) {
        let text = text.chars().take(TEXT_CHARS_MAX).collect();
        self.skipped.push(Skipped { text, reason });
    }
}

impl Kind {
    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks5 => 1080,
        }
    }
}

impl fmt::Display for Proxy {
    /// As a URL: `http://a:3128`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Https => "https",
            Kind::Socks5 => "socks5",
        };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str, skipped: usize) {
        let listed = parse(text);
        let show = |entry: &Entry| match entry {
            Entry::Direct => "direct".to_owned(),
            Entry::Proxy(proxy) => proxy.to_string(),
        };
        let shown: Vec<String> = listed.entries.iter().map(show).collect();
        assert_eq!(shown.join(" "), expected, "{text:?}");
        assert_eq!(listed.skipped.len(), skipped, "{text:?} {listed:?}");
    }

    #[test]
    fn an_answer_is_read_in_its_order_and_each_way_once() {
        check("DIRECT", "direct", 0);
        check("PROXY a:1", "http://a:1", 0);
        check(
            "PROXY a:1; HTTP b:2; HTTPS c:3; SOCKS d:4; SOCKS5 e:5; DIRECT",
            "http://a:1 http://b:2 https://c:3 socks5://d:4 socks5://e:5 direct",
            0,
        );
        check("DIRECT; PROXY a:1", "direct http://a:1", 0);
        check("PROXY a:1;HTTP a:1;DIRECT;direct", "http://a:1 direct", 0);
        check("proxy\ta:1 ;\n https  b:2;", "http://a:1 https://b:2", 0);
        check("PROXY [::1]:8080", "http://[::1]:8080", 0);
        check("PROXY A.Example:8080", "http://a.example:8080", 0);
    }

    #[test]
    fn a_port_that_is_left_out_is_that_of_the_kind() {
        check(
            "PROXY a; HTTPS a; SOCKS a",
            "http://a:80 https://a:443 socks5://a:1080",
            0,
        );
    }

    #[test]
    fn nothing_means_direct() {
        for text in ["", " ", ";", " ; ;"] {
            check(text, "direct", 0);
        }
    }

    #[test]
    fn junk_is_skipped_and_said_to_be() {
        check("PROXY; PROXY a:1", "http://a:1", 1);
        check("PROXY a:99999; DIRECT", "direct", 1);
        check("PROXY a:0", "", 1);
        check("PROXY http://a:1", "", 1);
        check("PROXY u:p@a:1", "", 1);
        check("PROXY a:1 b:2", "", 1);
        check("PROXY a:1\0", "", 1);
        check("DIRECT a:1", "", 1);
        check("SOCKS4 a:1; QUIC b:1; TURTLE c:1", "", 3);
        check("\u{1F600}", "", 1);
        check("PROXY \u{e9}:1", "", 1);
        check("a:1", "", 1);
        let reason = &parse("SOCKS4 a:1").skipped[0];
        assert_eq!(reason.reason, "SOCKS4 is not spoken here");
    }

    #[test]
    fn an_answer_of_any_length_has_few_entries() {
        let long: String = (1..5000).map(|n| format!("PROXY a:{n};")).collect();
        assert_eq!(parse(&long).entries.len(), ENTRIES_MAX);
        let junk = "x;".repeat(100_000);
        assert_eq!(parse(&junk).skipped.len(), ENTRIES_MAX);
        let word = "x".repeat(100_000);
        assert_eq!(parse(&word).skipped[0].text.len(), TEXT_CHARS_MAX);
    }
}
