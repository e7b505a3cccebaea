//! The ladder as text: a line a step, and two more under one that failed.
//!
//! Knows no terminal: what it makes is the same wherever it is printed, but for colours.

use std::net::SocketAddr;
use std::time::Duration;

use super::path::{Broken, Kept, Silence};
use super::rung::{More, Rung, What};
use crate::cli::way::advice::{Exit, Verdict};
use crate::cli::way::{Scene, span};
use crate::egress::{Detail, Place, Step};

/// A label beyond this pushes its line's columns aside and not those of all lines.
const LABEL_CHARS_MAX: usize = 48;
const REMARK_CHARS: usize = 32;
const TIME_CHARS: usize = 8;
/// Addresses of one name that are shown.
const ADDRESSES_SHOWN: usize = 3;

/// Whether lines are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    On,
    Off,
}

/// The columns, as wide as what is on the way asks for.
#[derive(Debug, Clone)]
pub(super) struct Ladder {
    scene: Scene,
    label_chars: usize,
    colours: Colours,
}

impl Ladder {
    pub(super) fn new(scene: Scene, colours: Colours) -> Self {
        let address = |hop: &str| hop.split(' ').next_back().unwrap_or_default().len();
        let ends = scene.hops.iter().map(|hop| address(hop));
        // `CONNECT host:65535` is the longest label that this end can have.
        let longest = ends.chain([scene.host.len() + ":65535".len()]).max();
        let label_chars = "CONNECT ".len() + longest.unwrap_or_default();
        Self {
            scene,
            label_chars: label_chars.clamp("WebSocket handshake".len(), LABEL_CHARS_MAX),
            colours,
        }
    }

    /// The first lines: what is opened, by which way, and how that is known.
    pub(super) fn way(&self) -> String {
        let scene = &self.scene;
        let mut text = format!("{}  {}\n", scene.url, scene.source);
        if scene.shows_password {
            text += "  ! the command line shows the password to everyone on this machine; \
                     -c FILE --egress NAME does not\n";
        }
        text
    }

    /// What a step is called.
    pub(super) fn label(&self, what: &What) -> String {
        let (place, step) = match what {
            What::Dial { place, step } => (place, step),
            What::Ping => return "ping".to_owned(),
            What::Idle => return "idle".to_owned(),
        };
        match step {
            Step::Find => "proxies by auto".to_owned(),
            Step::Pac(server) => format!("PAC for {server}"),
            Step::Resolve(name) => format!("DNS {name}"),
            Step::Connect(address) => format!("TCP to {address}"),
            Step::Tls => format!("TLS to {}", self.end(place)),
            Step::Greeting => format!("SOCKS5 greeting to {}", self.end(place)),
            Step::Login => format!("SOCKS5 login at {}", self.end(place)),
            Step::Tunnel(target) => format!("CONNECT {target}"),
            Step::Upgrade => "WebSocket handshake".to_owned(),
        }
    }

    fn end<'a>(&'a self, place: &'a Place) -> &'a str {
        match place {
            Place::Hop { name, .. } => name.split(' ').next_back().unwrap_or(name),
            Place::Server => &self.scene.host,
        }
    }

    /// The lines of a step.
    pub(super) fn rung(&self, rung: &Rung) -> String {
        let (mark, colour) = match rung.verdict.as_ref().map(|v| v.exit) {
            None => ("✓", "32"),
            Some(Exit::Finding) => ("!", "33"),
            Some(_) => ("✗", "31"),
        };
        let label = self.label(&rung.what);
        let remark = remark(rung);
        let time = span(rung.took);
        let columns = format!(
            "{label:<labels$}  {remark:<REMARK_CHARS$}  {time:>TIME_CHARS$}",
            labels = self.label_chars
        );
        let mut text = format!("  {} {columns}\n", self.painted(mark, colour));
        if let Some(Verdict { cause, remedy, .. }) = &rung.verdict {
            text += &format!("      {cause}\n");
            text += &format!("      {} {remedy}\n", self.painted("→", "36"));
        }
        text
    }

    /// The line of a way that is tried next, of several.
    pub(super) fn turn(&self, name: &str) -> String {
        format!("  · by {name}\n")
    }

    /// The line between two tries.
    pub(super) fn pause(&self, pause: Duration) -> String {
        format!("  · once more in {}\n", span(pause))
    }

    fn painted(&self, text: &str, colour: &str) -> String {
        match self.colours {
            Colours::On => format!("\x1b[{colour}m{text}\x1b[0m"),
            Colours::Off => text.to_owned(),
        }
    }
}

/// What came to be known in a step, in a few words.
fn remark(rung: &Rung) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut presents = "";
    for detail in &rung.details {
        match detail {
            Detail::Found(words) => parts.push(words.clone()),
            Detail::Addresses(addresses) => parts.push(listed(addresses)),
            Detail::Connected(address) => parts.push(address.ip().to_string()),
            Detail::Secured(tls) => {
                parts.push(format!("{}, by {}", tls.version, common_name(&tls.issuer)));
            }
            Detail::Http(version) => parts.push(format!("HTTP/{version}")),
            Detail::Presents(scheme) => presents = scheme,
            Detail::Replied(status) => {
                let with = match std::mem::take(&mut presents) {
                    "" => String::new(),
                    scheme => format!(" to {scheme}"),
                };
                parts.push(format!("{status}{with}"));
            }
            Detail::Offered(schemes) => parts.push(format!("offers {schemes}")),
            Detail::FromStart => parts.push("connects anew".to_owned()),
            Detail::Answered(status) => parts.push(status.to_string()),
        }
    }
    match &rung.more {
        More::Nothing => {}
        More::Subprotocol(name) => parts.push(format!("subprotocol {name}")),
        More::Silence(silence) => parts.push(in_words(silence)),
    }
    parts.join(", ")
}

/// What waiting in silence showed, in a few words.
fn in_words(silence: &Silence) -> String {
    let lasted = span(silence.lasted);
    let spoke = match silence.frames {
        0 => String::new(),
        n => {
            let longest = span(silence.longest);
            format!("; {n} frames came, longest silence {longest}")
        }
    };
    match &silence.end {
        Ok(Kept) => format!("still open after {lasted}{spoke}"),
        Err(Broken::Ended(how)) => format!("cut after {lasted} by {how}{spoke}"),
        Err(Broken::Silent) => format!("cut within {lasted} without a word{spoke}"),
        Err(Broken::Unreadable(words)) => format!("after {lasted}: {words}{spoke}"),
    }
}

fn listed(addresses: &[SocketAddr]) -> String {
    let shown = addresses.iter().take(ADDRESSES_SHOWN);
    let mut shown: Vec<String> = shown.map(|address| address.ip().to_string()).collect();
    if addresses.len() > ADDRESSES_SHOWN {
        shown.push(format!("and {} more", addresses.len() - ADDRESSES_SHOWN));
    }
    shown.join(", ")
}

/// The CN of a distinguished name, or all of it.
fn common_name(name: &str) -> &str {
    let after = name.split("CN=").nth(1);
    after.map_or(name, |cn| cn.split(", ").next().unwrap_or(cn))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::way::Source;
    use crate::egress::Secured;

    fn scene() -> Scene {
        Scene {
            url: "wss://feed.partner.example/stream".to_owned(),
            host: "feed.partner.example".to_owned(),
            is_secure: true,
            source: Source::Egress {
                egress: "corp".to_owned(),
                file: "throughway.toml".to_owned(),
            },
            hops: vec!["https proxy.corp.example:3128".to_owned()],
            shows_password: true,
        }
    }

    fn hop() -> Place {
        Place::Hop {
            number: 1,
            of: 1,
            name: "https proxy.corp.example:3128".to_owned(),
        }
    }

    fn rung(place: Place, step: Step, details: Vec<Detail>, micros: u64) -> Rung {
        Rung {
            what: What::Dial { place, step },
            details,
            more: More::Nothing,
            took: Duration::from_micros(micros),
            verdict: None,
        }
    }

    fn secured(issuer: &str) -> Detail {
        Detail::Secured(Secured {
            version: "TLS 1.3",
            subject: "CN=x".to_owned(),
            issuer: issuer.to_owned(),
        })
    }

    fn climbed() -> Vec<Rung> {
        let address = |n: u8| SocketAddr::from(([10, 1, 2, n], 3128));
        let name = "proxy.corp.example".to_owned();
        let near = "proxy.corp.example:3128".to_owned();
        let far = "feed.partner.example:443".to_owned();
        let asked = vec![
            Detail::Replied(407),
            Detail::Offered("Negotiate, Basic".to_owned()),
            Detail::Presents("Basic"),
            Detail::Replied(200),
        ];
        let mut refused = rung(
            Place::Server,
            Step::Upgrade,
            vec![Detail::Answered(404)],
            31_000,
        );
        refused.verdict = Some(Verdict {
            reason: "backend_declined",
            exit: Exit::Unreachable,
            cause: "nothing is at this path".to_owned(),
            remedy: "check the path of the URL".to_owned(),
        });
        let addresses = Detail::Addresses((3..8).map(address).collect());
        vec![
            rung(hop(), Step::Resolve(name), vec![addresses], 3_210),
            rung(
                hop(),
                Step::Connect(near),
                vec![Detail::Connected(address(3))],
                12_000,
            ),
            rung(
                hop(),
                Step::Tls,
                vec![secured("C=DE, O=Corp, CN=Corp CA, L=Bonn")],
                20_000,
            ),
            rung(hop(), Step::Tunnel(far), asked, 1_250_000),
            rung(
                Place::Server,
                Step::Tls,
                vec![secured("O=No name")],
                75_000_000,
            ),
            refused,
        ]
    }

    #[test]
    fn a_ladder_is_aligned_and_says_what_is_wrong_under_what_failed() {
        let ladder = Ladder::new(scene(), Colours::Off);
        let mut text = ladder.way();
        for rung in climbed() {
            text += &ladder.rung(&rung);
        }
        text += &ladder.pause(Duration::from_millis(250));
        let expected = "\
wss://feed.partner.example/stream  through egress corp of throughway.toml
  ! the command line shows the password to everyone on this machine; -c FILE --egress NAME does not
  ✓ DNS proxy.corp.example              10.1.2.3, 10.1.2.4, 10.1.2.5, and 2 more    3.2 ms
  ✓ TCP to proxy.corp.example:3128      10.1.2.3                             12 ms
  ✓ TLS to proxy.corp.example:3128      TLS 1.3, by Corp CA                  20 ms
  ✓ CONNECT feed.partner.example:443    407, offers Negotiate, Basic, 200 to Basic     1.2 s
  ✓ TLS to feed.partner.example         TLS 1.3, by O=No name               1m 15s
  ✗ WebSocket handshake                 404                                  31 ms
      nothing is at this path
      → check the path of the URL
  · once more in 250 ms
";
        assert_eq!(text, expected, "\n{text}");
    }

    #[test]
    fn only_marks_are_coloured() {
        let plain = Ladder::new(scene(), Colours::Off);
        let coloured = Ladder::new(scene(), Colours::On);
        for rung in climbed() {
            let (plain, coloured) = (plain.rung(&rung), coloured.rung(&rung));
            assert!(coloured.contains("\x1b[3") && !plain.contains('\x1b'));
            let stripped = ["\x1b[31m", "\x1b[32m", "\x1b[36m", "\x1b[0m"]
                .iter()
                .fold(coloured, |text, code| text.replace(code, ""));
            assert_eq!(stripped, plain);
        }
    }
}
