//! The room table of ARCHITECTURE.md as a test: which room may know which other.
//!
//! Rust checks visibility between crates, not between the modules of one. This reads `src/**`,
//! collects every `crate::` and `super::` path, and prints the line that steps through a wall.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Who may know whom. A room that is not listed here does not exist.
const TABLE: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("net", &[]),
    ("gss", &[]),
    ("observe", &[]),
    ("pac", &["wire"]),
    ("policy", &["wire"]),
    ("listen", &["net", "wire", "observe"]),
    ("front", &["wire", "net", "observe"]),
    ("egress", &["wire", "policy", "net", "gss", "observe"]),
    ("splice", &["wire", "policy", "net", "observe"]),
    ("refusal", &["wire", "policy", "egress", "front"]),
    ("plan", &["policy", "listen", "front", "egress", "observe"]),
    (
        "session",
        &[
            "plan", "refusal", "wire", "policy", "net", "listen", "front", "egress", "splice",
            "observe",
        ],
    ),
    (
        "config",
        &[
            "plan", "wire", "policy", "net", "listen", "egress", "observe",
        ],
    ),
    (
        "lifecycle",
        &[
            "plan", "session", "policy", "net", "listen", "front", "egress", "splice", "observe",
            "config",
        ],
    ),
    (
        "cli",
        &[
            "config",
            "lifecycle",
            "plan",
            "observe",
            "front",
            "net",
            "wire",
            "splice",
            "egress",
            "policy",
            "pac",
            "session",
            "refusal",
        ],
    ),
];

/// The one room that may hold `unsafe`.
const ROOM_OF_UNSAFE: &str = "gss";

/// The longest a file may be before it holds two ideas.
const LINES_MAX: usize = 600;

struct Source {
    path: PathBuf,
    /// The module path below the crate: `["egress", "hop", "tcp"]`.
    module: Vec<String>,
    text: String,
}

impl Source {
    fn room(&self) -> &str {
        self.module.first().map_or("", String::as_str)
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(read(&root, path));
            }
        }
    }
    assert!(found.len() > 20, "the sources were not found");
    found
}

fn read(root: &Path, path: PathBuf) -> Source {
    let inside = path.strip_prefix(root).unwrap().with_extension("");
    let mut module: Vec<String> = inside
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    if matches!(module.as_slice(), [only] if only == "lib" || only == "main") {
        module.clear();
    }
    let text = fs::read_to_string(&path).unwrap();
    Source { path, module, text }
}

/// The rooms that a line of code names by `crate::…` or by climbing with `super::`.
fn named_rooms(module: &[String], line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or_default();
    let mut rooms = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        rooms.extend(first_names(&code[at + "crate::".len()..]));
    }
    // Each `super::` climbs one module; one that climbs out of the room names its neighbour.
    let climb = "super::".repeat(module.len());
    if !module.is_empty() {
        for (at, _) in code.match_indices(&climb) {
            rooms.extend(first_names(&code[at + climb.len()..]));
        }
    }
    rooms
}

/// `a::b` names `a`; `{a, b::c}` names `a` and `b`.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    match path.strip_prefix('{') {
        None => vec![name(path)],
        Some(group) => {
            let mut depth = 0;
            group
                .split(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    c == ',' && depth == 0
                })
                .map(name)
                .collect()
        }
    }
    .into_iter()
    .filter(|name| !name.is_empty())
    .collect()
}

/// `use crate::{` groups that span lines are joined, so that each statement is one line.
fn statements(text: &str) -> Vec<(usize, String)> {
    let mut joined: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        match joined.last_mut().filter(|_| open) {
            Some((_, statement)) => statement.push_str(line.trim()),
            None => joined.push((index + 1, line.to_owned())),
        }
        let (_, statement) = joined.last().unwrap();
        open = statement.trim_start().starts_with("use ") && !statement.contains(';');
    }
    joined
}

#[test]
fn no_room_knows_more_than_the_table_says() {
    let rooms: BTreeSet<&str> = TABLE.iter().map(|(room, _)| *room).collect();
    let mut wrong = Vec::new();
    for source in sources() {
        let room = source.room().to_owned();
        // The crate's root only lists the rooms, and main only calls cli.
        if room.is_empty() {
            continue;
        }
        let Some((_, known)) = TABLE.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!(
                "{}: the room {room} is not in the table",
                source.path.display()
            ));
            continue;
        };
        for (line, statement) in statements(&source.text) {
            for named in named_rooms(&source.module, &statement) {
                let is_room = rooms.contains(named.as_str());
                if is_room && named != room && !known.contains(&named.as_str()) {
                    let path = source.path.display();
                    wrong.push(format!(
                        "{path}:{line}: {room} may not know {named}: {}",
                        statement.trim()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Whether a line of code, without its comment and its texts, holds the word.
fn is_unsafe(line: &str) -> bool {
    let texts = line.split('"').step_by(2);
    let code = texts.collect::<Vec<_>>().join("\"\"");
    let code = code.split("//").next().unwrap_or_default();
    let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.any(|word| word == "unsafe" || word == "unsafe_code")
}

#[test]
fn unsafe_is_in_one_room_and_says_why_it_holds() {
    let mut wrong = Vec::new();
    let mut found = 0;
    for source in sources() {
        let mut before = "";
        for (index, line) in source.text.lines().enumerate() {
            let place = format!("{}:{}: {line}", source.path.display(), index + 1);
            if is_unsafe(line) && source.room() != ROOM_OF_UNSAFE {
                wrong.push(format!("{place}: only {ROOM_OF_UNSAFE} may"));
            } else if is_unsafe(line) && !line.starts_with("#![allow(unsafe_code") {
                found += 1;
                if !before.starts_with("// ") {
                    wrong.push(format!("{place}: no SAFETY comment above it"));
                }
            }
            before = line.trim();
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(found > 10, "the room was not read");
}

#[test]
fn the_reader_tells_the_word_from_a_text_and_a_comment() {
    for line in [
        "    let major = unsafe {",
        "unsafe impl Send for Name {}",
        "#![allow(unsafe_code, reason = \"…\")]",
    ] {
        assert!(is_unsafe(line), "{line}");
    }
    for line in ["a(\"unsafe\")", "// unsafe", "let unsafe_ness = 1;"] {
        assert!(!is_unsafe(line), "{line}");
    }
}

#[test]
fn every_file_says_what_it_is_for_and_holds_one_idea() {
    let mut wrong = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//!") {
            wrong.push(format!("{}: does not open with //!", source.path.display()));
        }
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!(
                "{}: {lines} lines, more than {LINES_MAX}",
                source.path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_table_in_the_document_is_this_one() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let document = fs::read_to_string(document).unwrap();
    for (room, known) in TABLE {
        let known = match known.is_empty() {
            true => "nothing of ours".to_owned(),
            false => known.join(", "),
        };
        let row = format!("| `{room}` | {known} |");
        assert!(
            document.contains(&row),
            "ARCHITECTURE.md lacks the row {row}"
        );
    }
}

#[test]
fn the_reader_sees_every_shape_of_a_path() {
    let module = |path: &str| path.split("::").map(str::to_owned).collect::<Vec<_>>();
    let check = |at: &str, line: &str, expected: &[&str]| {
        assert_eq!(named_rooms(&module(at), line), expected, "{line}");
    };
    check("egress::dial", "use crate::wire::connect;", &["wire"]);
    check(
        "egress::dial",
        "use crate::{wire::a, policy, net::{Stream, tls}};",
        &["wire", "policy", "net"],
    );
    check("egress::dial", "    crate::session::run()", &["session"]);
    check("egress::dial", "use super::super::session;", &["session"]);
    check("egress::dial", "use super::hop;", &[]);
    check("egress", "use super::session;", &["session"]);
    check("egress", "// crate::session is not code", &[]);
}
