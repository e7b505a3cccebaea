//! What is to be sent: lines or chunks of standard input, or files, each a message.
//!
//! Read by a thread of its own, since a terminal is read by waiting. Knows no socket and no frames.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::thread;

use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::cli::exit::Failure;

/// A chunk of binary input, which is as long as the pipe gives.
const CHUNK_BYTES: usize = 64 * 1024;

/// A message to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outgoing {
    Text(String),
    Binary(Vec<u8>),
}

/// Why there is no more input, other than that it ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadInput {
    /// It is not what it should be.
    Data(String),
    /// It cannot be read.
    Io(String),
}

/// How input becomes messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Binary,
}

/// A file that becomes one message.
pub(super) struct Whole {
    name: String,
    from: Box<dyn Read + Send>,
}

/// Where messages come from.
pub(super) enum Source {
    Stdin,
    Files(Vec<Whole>),
}

/// Messages as they come; the channel closes at the end of the input.
pub(super) type Input = Receiver<Result<Outgoing, BadInput>>;

impl Source {
    /// Standard input, or these files in order, `-` being all of standard input. A file that is
    /// not there is told before anything is dialled.
    pub(super) fn open(files: &[PathBuf]) -> Result<Self, Failure> {
        if files.is_empty() {
            return Ok(Self::Stdin);
        }
        let open = |path: &PathBuf| {
            let name = path.display().to_string();
            if name == "-" {
                let from = Box::new(io::stdin());
                let name = "stdin".to_owned();
                return Ok(Whole { name, from });
            }
            let file = File::open(path);
            let file =
                file.map_err(|e| Failure::Usage(format!("--file {name}: {}", io_words(&e))))?;
            let from = Box::new(file);
            Ok::<Whole, Failure>(Whole { name, from })
        };
        Ok(Self::Files(
            files.iter().map(open).collect::<Result<_, _>>()?,
        ))
    }

    /// Begins to read. One message is read ahead and no more.
    pub(super) fn start(self, shape: Shape, message_bytes_max: usize) -> io::Result<Input> {
        let (to, input) = channel(1);
        let read = move || match (self, shape) {
            (Self::Files(files), _) => files
                .into_iter()
                .map(|file| whole(file, shape, message_bytes_max))
                .try_for_each(|message| give(&to, message)),
            (Self::Stdin, Shape::Text) => lines(io::stdin().lock(), message_bytes_max, &to),
            (Self::Stdin, Shape::Binary) => chunks(io::stdin().lock(), message_bytes_max, &to),
        };
        thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || read().unwrap_or_default())?;
        Ok(input)
    }
}

// `None`: nobody takes any more, or there is no more to give.
fn give(
    to: &Sender<Result<Outgoing, BadInput>>,
    message: Result<Outgoing, BadInput>,
) -> Option<()> {
    let goes_on = message.is_ok();
    to.blocking_send(message).ok()?;
    goes_on.then_some(())
}

fn lines(
    mut from: impl BufRead,
    message_bytes_max: usize,
    to: &Sender<Result<Outgoing, BadInput>>,
) -> Option<()> {
    for number in 1.. {
        let line = line(&mut from, number, message_bytes_max).transpose()?;
        give(to, line)?;
    }
    Some(())
}

// A line without its end, `\n` or `\r\n`; the last needs none.
fn line(
    from: &mut impl BufRead,
    number: usize,
    message_bytes_max: usize,
) -> Result<Option<Outgoing>, BadInput> {
    let mut bytes = Vec::new();
    let most = message_bytes_max as u64 + "\r\n".len() as u64;
    let read = from.by_ref().take(most).read_until(b'\n', &mut bytes);
    read.map_err(|error| unreadable("stdin", &error))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.pop_if(|last| *last == b'\n').is_some() {
        bytes.pop_if(|last| *last == b'\r');
    }
    if bytes.len() > message_bytes_max {
        return Err(too_long(
            &format!("line {number} of stdin"),
            message_bytes_max,
        ));
    }
    let text = String::from_utf8(bytes);
    text.map(|text| Some(Outgoing::Text(text)))
        .map_err(|_| no_text(&format!("line {number} of stdin")))
}

fn chunks(
    mut from: impl Read,
    message_bytes_max: usize,
    to: &Sender<Result<Outgoing, BadInput>>,
) -> Option<()> {
    let mut chunk = vec![0; CHUNK_BYTES.min(message_bytes_max)];
    loop {
        let message = match from.read(&mut chunk) {
            Ok(0) => return None,
            Ok(n) => Ok(Outgoing::Binary(chunk.get(..n)?.to_vec())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(unreadable("stdin", &error)),
        };
        give(to, message)?;
    }
}

fn whole(file: Whole, shape: Shape, message_bytes_max: usize) -> Result<Outgoing, BadInput> {
    let mut bytes = Vec::new();
    let most = (message_bytes_max as u64).saturating_add(1);
    let read = BufReader::new(file.from).take(most).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(&file.name, &error))?;
    if bytes.len() > message_bytes_max {
        return Err(too_long(&file.name, message_bytes_max));
    }
    match shape {
        Shape::Binary => Ok(Outgoing::Binary(bytes)),
        Shape::Text => match String::from_utf8(bytes) {
            Ok(text) => Ok(Outgoing::Text(text)),
            Err(_) => Err(no_text(&file.name)),
        },
    }
}

fn unreadable(what: &str, error: &io::Error) -> BadInput {
    BadInput::Io(format!("{what} cannot be read: {}", io_words(error)))
}

// Without the operating system's number.
fn io_words(error: &io::Error) -> String {
    let words = error.to_string();
    words
        .split_once(" (os error")
        .map_or(words.clone(), |(words, _)| words.to_owned())
}

fn too_long(what: &str, message_bytes_max: usize) -> BadInput {
    BadInput::Data(format!(
        "{what} is longer than {message_bytes_max} bytes; --message-bytes allows more"
    ))
}

fn no_text(what: &str) -> BadInput {
    BadInput::Data(format!("{what} is not UTF-8; --binary sends any bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 4;

    fn given(read: impl FnOnce(&Sender<Result<Outgoing, BadInput>>)) -> Vec<String> {
        let (to, mut given) = channel(16);
        read(&to);
        drop(to);
        let mut all = Vec::new();
        while let Ok(message) = given.try_recv() {
            all.push(match message {
                Ok(Outgoing::Text(text)) => text,
                Ok(Outgoing::Binary(bytes)) => format!("{bytes:?}"),
                Err(BadInput::Data(words) | BadInput::Io(words)) => format!("! {words}"),
            });
        }
        all
    }

    #[test]
    fn lines_are_messages_without_their_ends() {
        let check = |text: &[u8], expected: &[&str]| {
            let given = given(|to| {
                lines(text, MAX, to);
            });
            assert_eq!(given, expected, "{text:?}");
        };
        check(b"", &[]);
        check(b"\n", &[""]);
        check(b"a\n\nb\r\nc", &["a", "", "b", "c"]);
        check(b"abcd\nabcd\r\nabcd", &["abcd", "abcd", "abcd"]);
        check(b"a\rb\n", &["a\rb"]);
        let long = "! line 2 of stdin is longer than 4 bytes; --message-bytes allows more";
        check(b"a\nabcde\nb\n", &["a", long]);
        check(b"a\nabcdefgh", &["a", long]);
        let no_text = "! line 1 of stdin is not UTF-8; --binary sends any bytes";
        check(b"\xff\nb\n", &[no_text]);
    }

    #[test]
    fn binary_input_is_taken_as_it_comes() {
        let given = given(|to| {
            chunks(&b"abcd\xff\n"[..], MAX, to);
        });
        assert_eq!(given, ["[97, 98, 99, 100]", "[255, 10]"]);
    }

    #[test]
    fn a_file_is_one_message() {
        let check = |bytes: &'static [u8], shape, expected: Result<Outgoing, &str>| {
            let from: Box<dyn Read + Send> = Box::new(bytes);
            let name = "a.txt".to_owned();
            let expected = expected.map_err(|words| BadInput::Data(words.to_owned()));
            assert_eq!(whole(Whole { name, from }, shape, MAX), expected);
        };
        check(b"a\nb\n", Shape::Text, Ok(Outgoing::Text("a\nb\n".into())));
        check(b"\xff", Shape::Binary, Ok(Outgoing::Binary(vec![0xff])));
        let long = "a.txt is longer than 4 bytes; --message-bytes allows more";
        check(b"abcde", Shape::Binary, Err(long));
        let no_text = "a.txt is not UTF-8; --binary sends any bytes";
        check(b"\xff", Shape::Text, Err(no_text));
    }
}
