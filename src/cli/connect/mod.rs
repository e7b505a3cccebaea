//! `throughway connect`: one WebSocket by the way that a gateway would take, with lines of standard
//! input for messages and messages for lines of standard output.
//!
//! Dials as a probe does and keeps what it reached. Knows no gateway: it is a client.

mod dial;
mod end;
mod flags;
mod headers;
mod input;
mod message;
mod output;
mod ping;
mod sending;
mod talk;
mod voice;

use super::exit::Failure;
use super::way::Asked;
use crate::egress::Link;
use crate::lifecycle::{self, signals::Stop};
use end::End;
pub(in crate::cli) use flags::Flags;
use input::Source;
use output::Look;
use talk::{Rules, Talk};
use voice::{Voice, harmless};

/// Opens what was asked for and talks until it ends.
pub(in crate::cli) fn connect(flags: &Flags) -> Result<(), Failure> {
    let mut asked = Asked::read(&flags.way)?;
    headers::add(&flags.header, &mut asked.request)?;
    let source = Source::open(&flags.file)?;
    let runtime = lifecycle::runtime()?;
    let ended = runtime.block_on(converse(flags, &asked, source));
    // A resolver that does not answer must not keep the process.
    runtime.shutdown_background();
    let end = ended?;
    if end.exit() == 0 {
        flags.voice().say(|| end.words());
    }
    end.result()
}

async fn converse(flags: &Flags, asked: &Asked, source: Source) -> Result<End, Failure> {
    let voice = flags.voice();
    if asked.scene.shows_password {
        voice.say(|| {
            "the command line shows the password to everyone on this machine; \
             -c FILE --egress NAME does not"
                .to_owned()
        });
    }
    let link = dial::dial(asked, voice).await?;
    greet(&link, asked, voice);
    let rules = Rules {
        look: Look::new(flags.shape()),
        voice,
        at_end: flags.at_end(),
        ping: flags.ping.map(|every| (every, flags.pong_timeout)),
        message_bytes_max: flags.message_bytes,
    };
    // Until here a signal ends the process, as it does any other.
    let mut stop = Stop::listen()?;
    let input = source.start(flags.shape(), flags.message_bytes)?;
    let output = output::start()?;
    let stream = link.stream.with_tail(link.tail);
    Ok(Talk::new(rules).run(stream, input, output, &mut stop).await)
}

fn greet(link: &Link, asked: &Asked, voice: Voice) {
    for (name, value) in &link.headers {
        voice.tell(|| {
            format!(
                "{name}: {}",
                harmless(&String::from_utf8_lossy(value.as_bytes()))
            )
        });
    }
    voice.say(|| {
        let scene = &asked.scene;
        let subprotocol = match &link.subprotocol {
            None => String::new(),
            Some(name) => format!(", subprotocol {name}"),
        };
        format!("connected to {}{subprotocol}; {}", scene.url, scene.source)
    });
}

#[cfg(test)]
mod tests {
    use clap::Args;

    use super::*;

    const DOCUMENT: &str = include_str!("../../../docs/connect.md");

    #[test]
    fn the_document_has_every_flag() {
        let command = Flags::augment_args(clap::Command::new("connect"));
        for flag in command.get_arguments().filter_map(|arg| arg.get_long()) {
            assert!(DOCUMENT.contains(&format!("--{flag}")), "{flag}");
        }
    }

    #[test]
    fn the_document_has_every_exit_code() {
        let (_, table) = DOCUMENT.split_once("## Exit codes").unwrap();
        let codes = [0, 1, 2, 65, 69, 74, 75, 76, 77, 78, 120, 121];
        let of_close = (1000..=1014).map(end::of_code);
        for code in codes.into_iter().chain(of_close) {
            assert!(table.contains(&format!("| {code} |")), "{code}");
        }
    }
}
