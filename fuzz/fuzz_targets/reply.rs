//! A proxy's reply to CONNECT: where its head ends, what stands in it, and how long its body is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use throughway::wire::connect::body::{BadChunk, Skip};
use throughway::wire::connect::reply::{HeadEnd, Reply};
use throughway_fuzz::{at_every_split, split};

fuzz_target!(|data: &[u8]| {
    let verdict = at_every_split(data, || {
        let mut end = HeadEnd::default();
        move |bytes: &[u8]| end.find(bytes).transpose()
    });
    let Some(Ok(end)) = verdict else {
        return;
    };
    assert_eq!(Some(end), end_by_search(data), "the head ends elsewhere");
    let (head, behind) = data.split_at(end);
    assert!(!head.contains(&0));
    let Ok(reply) = Reply::parse(head) else {
        return;
    };
    is_sound(&reply);
    assert_eq!(
        Reply::parse(&printed(&reply)).as_ref(),
        Ok(&reply),
        "what was parsed prints back"
    );
    assert_eq!(reply.headers, fields_by_lines(head));
    if Skip::over(&reply).is_some() {
        is_read_past(&reply, behind);
    }
});

/// The empty line after the first: LF LF, or LF CR LF.
fn end_by_search(data: &[u8]) -> Option<usize> {
    (1..=data.len()).find(|&n| data[..n].ends_with(b"\n\n") || data[..n].ends_with(b"\n\r\n"))
}

fn is_sound(reply: &Reply) {
    assert!((100..=999).contains(&reply.status) && reply.minor <= 1);
    let is_plain = |bytes: &[u8]| !bytes.iter().any(|b| matches!(b, 0 | b'\r' | b'\n'));
    assert!(is_plain(&reply.reason), "{reply:?}");
    for (name, value) in &reply.headers {
        assert!(is_plain(value) && value.trim_ascii() == value, "{reply:?}");
        assert!(
            name.bytes()
                .all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase())
        );
    }
}

fn printed(reply: &Reply) -> Vec<u8> {
    let mut head = format!("HTTP/1.{} {} ", reply.minor, reply.status).into_bytes();
    head.extend_from_slice(&reply.reason);
    for (name, value) in &reply.headers {
        head.extend_from_slice(format!("\r\n{name}: ").as_bytes());
        head.extend_from_slice(value);
    }
    head.extend_from_slice(b"\r\n\r\n");
    head
}

/// The fields once more: folds are undone first, and only then is each line looked at.
fn fields_by_lines(head: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in head.split(|&b| b == b'\n').skip(1) {
        let plain: Vec<u8> = line
            .strip_suffix(b"\r")
            .unwrap_or(line)
            .iter()
            .map(|&b| if b == b'\r' { b' ' } else { b })
            .collect();
        match lines.last_mut() {
            Some(last) if plain.starts_with(b" ") || plain.starts_with(b"\t") => {
                let more = plain.trim_ascii();
                last.truncate(last.trim_ascii_end().len());
                // What has no colon yet gets none by a fold.
                if !more.is_empty() && last.contains(&b':') {
                    last.push(b' ');
                    last.extend_from_slice(more);
                }
            }
            None if plain.starts_with(b" ") || plain.starts_with(b"\t") => {}
            _ => lines.push(plain),
        }
    }
    lines.iter().filter_map(|line| field(line)).collect()
}

fn field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let text: Vec<&[u8]> = line.splitn(2, |&b| b == b':').collect();
    let [name, value] = text.as_slice() else {
        return None;
    };
    let name = name.trim_ascii_end();
    let name = http::HeaderName::from_bytes(name).ok()?;
    Some((name.as_str().to_owned(), value.trim_ascii().to_vec()))
}

/// The body ends in one place, however it arrives, and nothing behind it is taken.
fn is_read_past(reply: &Reply, behind: &[u8]) {
    let whole = fed(reply, &[behind]);
    let (a, b) = split(behind);
    assert_eq!(fed(reply, &[a, b]), whole, "in two parts");
    let single: Vec<&[u8]> = behind.chunks(1).collect();
    assert_eq!(fed(reply, &single), whole, "byte by byte");
    if let Ok(Some(used)) = whole {
        assert_eq!(Some(used), body_by_lines(reply, behind));
    }
}

/// How many bytes the body took; `None` where it has not ended.
fn fed(reply: &Reply, parts: &[&[u8]]) -> Result<Option<usize>, BadChunk> {
    let mut skip = Skip::over(reply).expect("it was there before");
    let mut used = 0;
    for part in parts {
        used += skip.feed(part)?;
    }
    Ok(skip.is_done().then_some(used))
}

fn body_by_lines(reply: &Reply, behind: &[u8]) -> Option<usize> {
    if let Some(length) = reply.texts("content-length").next() {
        return length.parse().ok();
    }
    let mut rest = behind;
    loop {
        let size = size_of_chunk(taken_line(&mut rest)?)?;
        if size == 0 {
            break;
        }
        rest = rest.get(size..)?;
        assert_eq!(without_cr(taken_line(&mut rest)?), b"");
    }
    while !without_cr(taken_line(&mut rest)?).is_empty() {}
    Some(behind.len() - rest.len())
}

/// RFC 9112 §7.1: the size, and nothing behind it but an extension.
fn size_of_chunk(line: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(line.split(|&b| b == b';').next()?).ok()?;
    let digits = line.trim_end_matches([' ', '\t', '\r']);
    assert!(digits.bytes().all(|b| b.is_ascii_hexdigit()), "{line:?}");
    usize::from_str_radix(digits, 16).ok()
}

/// The next line without its LF.
fn taken_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|&b| b == b'\n')?;
    let (line, behind) = rest.split_at(end);
    *rest = &behind[1..];
    Some(line)
}

/// Nobody counts them at the end of a chunk or in a trailer.
fn without_cr(line: &[u8]) -> Vec<u8> {
    line.iter().copied().filter(|&b| b != b'\r').collect()
}
