//! The ladder for programs: one JSON object a line. Its keys and its words are kept stable;
//! docs/probe.md lists them.
//!
//! Knows no terminal, and of the sentences only that they are text.

use std::time::Duration;

use serde_json::{Value, json};

use super::path::{Broken, How, Kept, Silence};
use super::rung::{More, Rung, What};
use crate::cli::way::advice::Verdict;
use crate::cli::way::{Scene, Source};
use crate::egress::{Detail, Place, Step};

/// An object in the order in which it is written.
struct Object(Vec<(&'static str, Value)>);

impl Object {
    fn new(event: &'static str) -> Self {
        Self(vec![("event", event.into())])
    }

    fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.push((key, value.into()));
    }

    fn line(&self) -> String {
        let pairs = self.0.iter();
        let pairs: Vec<String> = pairs
            .map(|(key, value)| format!("\"{key}\":{value}"))
            .collect();
        format!("{{{}}}\n", pairs.join(","))
    }
}

/// The first line.
pub(super) fn way(scene: &Scene) -> String {
    let mut object = Object::new("way");
    object.set("url", scene.url.as_str());
    object.set("source", scene.source.word());
    from(&mut object, &scene.source);
    object.set("hops", scene.hops.clone());
    object.line()
}

fn from(object: &mut Object, source: &Source) {
    match source {
        Source::Egress { egress, file } => {
            object.set("egress", egress.as_str());
            object.set("file", file.as_str());
        }
        Source::DirectByFile { backend, file } => {
            object.set("backend", backend.as_str());
            object.set("file", file.as_str());
        }
        Source::Environment { variable } => object.set("variable", *variable),
        Source::NoProxy { of } => from(object, of),
        Source::Direct | Source::DirectByEnvironment | Source::Auto | Source::CommandLine => {}
    }
}

/// The line of a step.
pub(super) fn rung(rung: &Rung) -> String {
    let mut object = Object::new("step");
    what(&mut object, &rung.what);
    object.set(
        "ok",
        rung.verdict.as_ref().is_none_or(|v| v.exit.code() == 0),
    );
    object.set("ms", millis(rung.took));
    details(&mut object, &rung.details);
    match &rung.more {
        More::Nothing => {}
        More::Subprotocol(name) => object.set("subprotocol", name.as_str()),
        More::Silence(silence) => silent(&mut object, silence),
    }
    if let Some(verdict) = &rung.verdict {
        said(&mut object, verdict);
    }
    object.line()
}

/// The line of a way that is tried next, of several.
pub(super) fn turn(name: &str) -> String {
    let mut object = Object::new("turn");
    object.set("name", name);
    object.line()
}

/// The line between two tries.
pub(super) fn pause(pause: Duration) -> String {
    let mut object = Object::new("pause");
    object.set("ms", millis(pause));
    object.line()
}

/// The last line. `error` is what the gateway's log would say.
pub(super) fn end(verdict: Option<&Verdict>, error: &str) -> String {
    let mut object = Object::new("end");
    let exit = verdict.map_or(0, |v| v.exit.code());
    object.set("ok", exit == 0);
    object.set("exit", exit);
    match verdict {
        None => object.set("reason", "open"),
        Some(verdict) => said(&mut object, verdict),
    }
    if !error.is_empty() {
        object.set("error", error);
    }
    object.line()
}

fn said(object: &mut Object, verdict: &Verdict) {
    object.set("reason", verdict.reason);
    object.set("cause", verdict.cause.as_str());
    object.set("remedy", verdict.remedy.as_str());
}

fn what(object: &mut Object, what: &What) {
    let (place, step) = match what {
        What::Dial { place, step } => (place, step),
        What::Ping => return object.set("step", "ping"),
        What::Idle => return object.set("step", "idle"),
    };
    let (word, about) = match step {
        Step::Find => ("find", None),
        Step::Pac(server) => ("pac", Some(server)),
        Step::Resolve(name) => ("resolve", Some(name)),
        Step::Connect(address) => ("connect", Some(address)),
        Step::Tls => ("tls", None),
        Step::Greeting => ("greeting", None),
        Step::Login => ("login", None),
        Step::Tunnel(target) => ("tunnel", Some(target)),
        Step::Upgrade => ("upgrade", None),
    };
    object.set("step", word);
    if let Some(about) = about {
        object.set("target", about.as_str());
    }
    match place {
        Place::Server => object.set("place", "server"),
        Place::Hop { number, of, name } => {
            object.set("place", "hop");
            object.set("hop", *number);
            object.set("hops", *of);
            object.set("proxy", name.as_str());
        }
    }
}

fn details(object: &mut Object, details: &[Detail]) {
    let mut statuses: Vec<u16> = Vec::new();
    let mut scheme = None;
    for detail in details {
        match detail {
            Detail::Found(words) => object.set("found", words.as_str()),
            Detail::Addresses(addresses) => {
                let ips: Vec<String> = addresses.iter().map(|a| a.ip().to_string()).collect();
                object.set("addresses", ips);
            }
            Detail::Connected(address) => object.set("address", address.to_string()),
            Detail::Secured(tls) => {
                object.set("tls", tls.version);
                object.set("subject", tls.subject.as_str());
                object.set("issuer", tls.issuer.as_str());
            }
            Detail::Http(version) => object.set("http", *version),
            Detail::Presents(chosen) => scheme = Some(*chosen),
            Detail::Replied(status) => statuses.push(*status),
            Detail::Offered(schemes) => object.set("offered", schemes.as_str()),
            Detail::FromStart => object.set("from_start", true),
            Detail::Answered(status) => object.set("status", *status),
        }
    }
    if let Some(scheme) = scheme {
        object.set("scheme", scheme);
    }
    if !statuses.is_empty() {
        object.set("statuses", statuses);
    }
}

fn silent(object: &mut Object, silence: &Silence) {
    let cut = match &silence.end {
        Ok(Kept) => None,
        Err(Broken::Silent) => Some("silent"),
        Err(Broken::Ended(how)) => Some(how.word()),
        Err(Broken::Unreadable(_)) => Some("unreadable"),
    };
    object.set("cut", cut);
    if let Err(Broken::Ended(How::Close(Some(code)))) = &silence.end {
        object.set("close_code", *code);
    }
    object.set("frames", silence.frames);
    object.set("longest_ms", millis(silence.longest));
}

// A tenth of a millisecond is as fine as anybody reads.
fn millis(duration: Duration) -> Value {
    let tenths = (duration.as_secs_f64() * 10_000.0).round();
    json!(tenths / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::way::advice::Exit;
    use crate::egress::Secured;

    fn scene() -> Scene {
        Scene {
            url: "ws://a.test/\"x\"".to_owned(),
            host: "a.test".to_owned(),
            is_secure: false,
            source: Source::Egress {
                egress: "corp".to_owned(),
                file: "t.toml".to_owned(),
            },
            hops: vec!["http p.test:3128".to_owned()],
            shows_password: false,
        }
    }

    fn verdict(exit: Exit) -> Verdict {
        Verdict {
            reason: "proxy_refused",
            exit,
            cause: "because".to_owned(),
            remedy: "do \"this\"".to_owned(),
        }
    }

    /// The line, which is one line and JSON.
    fn check(line: &str, expected: &str) {
        assert_eq!(line, format!("{expected}\n"));
        assert_eq!(line.matches('\n').count(), 1);
        serde_json::from_str::<Value>(line).expect("JSON");
    }

    #[test]
    fn the_way_comes_first() {
        check(
            &way(&scene()),
            r#"{"event":"way","url":"ws://a.test/\"x\"","source":"egress","egress":"corp","file":"t.toml","hops":["http p.test:3128"]}"#,
        );
    }

    #[test]
    fn a_step_tells_what_came_to_be_known_and_what_is_wrong() {
        let place = Place::Hop {
            number: 1,
            of: 1,
            name: "http p.test:3128".to_owned(),
        };
        let step = Step::Tunnel("a.test:80".to_owned());
        let mut asked = Rung {
            what: What::Dial { place, step },
            details: vec![
                Detail::Replied(407),
                Detail::Offered("Basic".to_owned()),
                Detail::Presents("Basic"),
                Detail::Replied(403),
            ],
            more: More::Nothing,
            took: Duration::from_micros(12_345),
            verdict: Some(verdict(Exit::Refused)),
        };
        check(
            &rung(&asked),
            r#"{"event":"step","step":"tunnel","target":"a.test:80","place":"hop","hop":1,"hops":1,"proxy":"http p.test:3128","ok":false,"ms":12.3,"offered":"Basic","scheme":"Basic","statuses":[407,403],"reason":"proxy_refused","cause":"because","remedy":"do \"this\""}"#,
        );
        asked.what = What::Dial {
            place: Place::Server,
            step: Step::Tls,
        };
        asked.verdict = None;
        asked.details = vec![Detail::Secured(Secured {
            version: "TLS 1.3",
            subject: "CN=a.test".to_owned(),
            issuer: "CN=R".to_owned(),
        })];
        check(
            &rung(&asked),
            r#"{"event":"step","step":"tls","place":"server","ok":true,"ms":12.3,"tls":"TLS 1.3","subject":"CN=a.test","issuer":"CN=R"}"#,
        );
        asked.what = What::Idle;
        asked.details.clear();
        asked.more = More::Silence(Silence {
            lasted: Duration::from_secs(2),
            longest: Duration::from_secs(1),
            frames: 3,
            end: Err(Broken::Ended(How::Close(Some(1001)))),
        });
        asked.verdict = Some(verdict(Exit::Finding));
        check(
            &rung(&asked),
            r#"{"event":"step","step":"idle","ok":true,"ms":12.3,"cut":"close","close_code":1001,"frames":3,"longest_ms":1000.0,"reason":"proxy_refused","cause":"because","remedy":"do \"this\""}"#,
        );
    }

    #[test]
    fn the_end_comes_last() {
        check(
            &end(None, ""),
            r#"{"event":"end","ok":true,"exit":0,"reason":"open"}"#,
        );
        check(
            &end(Some(&verdict(Exit::Refused)), "hop 1"),
            r#"{"event":"end","ok":false,"exit":77,"reason":"proxy_refused","cause":"because","remedy":"do \"this\"","error":"hop 1"}"#,
        );
        check(
            &pause(Duration::from_millis(250)),
            r#"{"event":"pause","ms":250.0}"#,
        );
    }
}
