//! The demo's page: one file without any resource of its own, and the policy that holds it to
//! that. Knows no route to be served on.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The page, style and script included.
pub const HTML: &str = include_str!("page.html");

/// The value of `Content-Security-Policy` that lets the page's own style and script run, lets it
/// open WebSockets, and nothing else. The hashes are made from the page itself, so that they
/// cannot go stale.
pub fn content_security_policy() -> String {
    let style = hash(between("<style>", "</style>"));
    let script = hash(between("<script>", "</script>"));
    format!(
        "default-src 'none'; style-src {style}; script-src {script}; \
         connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

fn between(open: &str, close: &str) -> &'static str {
    let inner = || Some(HTML.split_once(open)?.1.split_once(close)?.0);
    inner().expect("the page has one style and one script, as its test holds")
}

/// A hash source (CSP level 3 §2.3.1).
fn hash(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    format!("'sha256-{}'", STANDARD.encode(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_style_and_one_script_and_both_are_hashed() {
        for tag in ["<style", "</style>", "<script", "</script>"] {
            assert_eq!(HTML.matches(tag).count(), 1, "{tag}");
        }
        let policy = content_security_policy();
        assert_eq!(policy.matches("'sha256-").count(), 2, "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn a_hash_is_what_a_browser_computes() {
        // The digest of nothing, FIPS 180-4, in base64.
        assert_eq!(
            hash(""),
            "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
        );
    }

    /// The names of all attributes of all tags outside style and script.
    fn attributes() -> Vec<(String, String)> {
        let markup = HTML
            .replace(between("<style>", "</style>"), "")
            .replace(between("<script>", "</script>"), "");
        let mut attributes = Vec::new();
        for tag in markup.split('<').skip(1).filter(|t| !t.starts_with("!--")) {
            let tag = tag.split('>').next().unwrap();
            let mut parts = tag.split('"');
            while let (Some(before), Some(value)) = (parts.next(), parts.next()) {
                let name = before.trim().trim_end_matches('=');
                let name = name.rsplit(char::is_whitespace).next().unwrap();
                attributes.push((name.to_ascii_lowercase(), value.to_owned()));
            }
        }
        attributes
    }

    #[test]
    fn nothing_in_the_page_comes_from_elsewhere_or_runs_inline() {
        let attributes = attributes();
        assert!(attributes.len() > 50, "the page was not read");
        for (name, value) in attributes {
            assert!(!name.starts_with("on"), "inline handler {name}");
            assert_ne!(name, "style", "inline style {value}");
            let loads = ["src", "href", "action", "srcset", "data"].contains(&name.as_str());
            assert!(!loads || value.starts_with('#'), "{name}={value}");
        }
        for elsewhere in ["http://", "https://", "//cdn", "@import", "url("] {
            assert!(!HTML.contains(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn a_browser_test_finds_its_elements() {
        for id in [
            "route",
            "protocol",
            "connect",
            "disconnect",
            "code",
            "reason",
            "text",
            "send",
            "bytes",
            "send-binary",
            "log",
            "state",
            "rtt",
        ] {
            let id = format!("id=\"{id}\"");
            assert_eq!(HTML.matches(&id).count(), 1, "{id}");
        }
    }
}
