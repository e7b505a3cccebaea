//! `Sec-WebSocket-Extensions`: what is offered and what is agreed on (RFC 6455 §9.1).
//!
//! Knows the extensions that compress by their names, and no parameter of any.

use http::HeaderMap;
use http::header::{HeaderValue, SEC_WEBSOCKET_EXTENSIONS};

use crate::wire::{fields, list};

/// RFC 7692: RSV1 on the first frame of a message says that the message is compressed.
const PERMESSAGE_DEFLATE: &str = "permessage-deflate";

/// Its drafts, which old WebKit still offers: RSV1 on any frame says that the frame is compressed.
const PER_FRAME_DEFLATE: [&str; 2] = ["x-webkit-deflate-frame", "deflate-frame"];

/// What two sides have agreed on, as far as whoever reads frames between them must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions {
    /// permessage-deflate: RSV1 on the first frame of a message has its meaning.
    pub deflate: bool,
    /// Any other: nobody here can say what the reserved bits and the payload mean.
    pub others: bool,
}

impl Extensions {
    /// What a checked 101 agrees on.
    pub fn agreed(headers: &HeaderMap) -> Self {
        let mut agreed = Self::default();
        for name in names(headers) {
            match name == PERMESSAGE_DEFLATE {
                true => agreed.deflate = true,
                false => agreed.others = true,
            }
        }
        agreed
    }
}

/// The names in the field over all its lines, in lower case and without their parameters.
pub fn names(headers: &HeaderMap) -> Vec<String> {
    fields::tokens(headers, &SEC_WEBSOCKET_EXTENSIONS)
        .map(|extension| name(extension).to_ascii_lowercase())
        .collect()
}

/// Takes every offer to compress out of the field. Nothing else changes, and where there is none,
/// not a byte does. What might hide one from us and not from a backend goes too: a line that is no
/// text, and an element whose quotes never close.
pub fn refuse_compression(headers: &mut HeaderMap) {
    let stays = |extension: &&str| {
        *extension != fields::NO_TEXT && list::is_whole(extension) && !compresses(name(extension))
    };
    let all: Vec<&str> = fields::tokens(headers, &SEC_WEBSOCKET_EXTENSIONS).collect();
    if all.iter().all(stays) {
        return;
    }
    let left: Vec<&str> = all.into_iter().filter(stays).collect();
    match HeaderValue::from_str(&left.join(", ")) {
        Ok(value) if !left.is_empty() => headers.insert(SEC_WEBSOCKET_EXTENSIONS, value),
        _ => headers.remove(SEC_WEBSOCKET_EXTENSIONS),
    };
}

// RFC 6455 §9.1: extension-token *( ";" extension-param ).
fn name(extension: &str) -> &str {
    extension.split(';').next().unwrap_or(extension).trim()
}

fn compresses(name: &str) -> bool {
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    is(PERMESSAGE_DEFLATE) || PER_FRAME_DEFLATE.into_iter().any(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            let value = HeaderValue::from_bytes(line.as_bytes()).unwrap();
            headers.append(SEC_WEBSOCKET_EXTENSIONS, value);
        }
        headers
    }

    fn check_names(lines: &[&str], expected: &[&str]) {
        assert_eq!(names(&headers(lines)), expected, "{lines:?}");
    }

    #[test]
    fn a_name_ends_where_its_parameters_begin() {
        check_names(&[], &[]);
        check_names(&["Permessage-Deflate"], &["permessage-deflate"]);
        check_names(&["a ; x=\"1, b\" ; y,\tc;z=\";d\"", "e"], &["a", "c", "e"]);
        check_names(&["é", "a"], &[fields::NO_TEXT, "a"]);
    }

    fn check_agreed(lines: &[&str], deflate: bool, others: bool) {
        let expected = Extensions { deflate, others };
        assert_eq!(Extensions::agreed(&headers(lines)), expected, "{lines:?}");
    }

    #[test]
    fn what_is_agreed_on() {
        check_agreed(&[], false, false);
        check_agreed(&[""], false, false);
        check_agreed(&["permessage-deflate"], true, false);
        check_agreed(
            &[" PerMessage-Deflate ;server_max_window_bits=\"10\""],
            true,
            false,
        );
        check_agreed(&["x-a; permessage-deflate"], false, true);
        check_agreed(&["x-a=\", permessage-deflate\""], false, true);
        check_agreed(&["x-a", "permessage-deflate; a"], true, true);
        check_agreed(&["x-webkit-deflate-frame"], false, true);
        check_agreed(&["permessage-deflate-2"], false, true);
    }

    fn check_refused(lines: &[&str], expected: &[&str]) {
        let mut left = headers(lines);
        refuse_compression(&mut left);
        assert_eq!(left, headers(expected), "{lines:?}");
    }

    #[test]
    fn offers_to_compress_go_and_others_stay() {
        check_refused(&[], &[]);
        check_refused(&["permessage-deflate"], &[]);
        check_refused(
            &["permessage-deflate; client_max_window_bits, permessage-deflate"],
            &[],
        );
        check_refused(
            &[
                "x-webkit-deflate-frame",
                "deflate-frame;no_context_takeover",
            ],
            &[],
        );
        check_refused(
            &["x-a; b=\"1, 2\" , PERMESSAGE-DEFLATE;x", "x-c"],
            &["x-a; b=\"1, 2\", x-c"],
        );
    }

    #[test]
    fn where_none_is_offered_not_a_byte_changes() {
        for lines in [
            &["x-a ;b,  x-c", "x-d"][..],
            &["x; a=\"permessage-deflate, b\""],
            &["permessage-deflater"],
            &[""],
        ] {
            check_refused(lines, lines);
        }
    }

    #[test]
    fn what_could_hide_an_offer_goes_too() {
        check_refused(&["x-a; b=\"c, permessage-deflate", "x-d"], &["x-d"]);
        check_refused(&["permessage-deflate; é", "x-d"], &["x-d"]);
    }
}
