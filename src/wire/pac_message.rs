//! What the gateway and the process that runs a PAC script say to each other: one JSON object a
//! line, an answer for each question, in turns.
//!
//! Either side may be told anything by the other; what means nothing is `None`. Knows no pipes.

use serde_json::{Value, json};

/// From the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Take this script from now on.
    Script(String),
    /// `FindProxyForURL(url, host)`.
    Find {
        /// Scheme, host and port alone.
        url: String,
        /// As in the URL, an IPv6 address without its brackets.
        host: String,
    },
}

/// To it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What the script said, nothing for a script that was taken; or what went wrong.
    pub result: Result<String, String>,
    /// What it said by `alert`.
    pub alerts: Vec<String>,
}

impl Ask {
    /// A line without its end.
    pub fn line(&self) -> String {
        match self {
            Self::Script(text) => json!({ "script": text }),
            Self::Find { url, host } => json!({ "url": url, "host": host }),
        }
        .to_string()
    }

    /// Reads a line.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(line).ok()?;
        let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
        if let Some(script) = text("script") {
            return Some(Self::Script(script));
        }
        Some(Self::Find {
            url: text("url")?,
            host: text("host")?,
        })
    }
}

impl Reply {
    /// A line without its end.
    pub fn line(&self) -> String {
        let (key, text) = match &self.result {
            Ok(text) => ("said", text),
            Err(text) => ("failed", text),
        };
        json!({ key: text, "alerts": self.alerts }).to_string()
    }

    /// Reads a line.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(line).ok()?;
        let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
        let result = match (text("said"), text("failed")) {
            (Some(said), None) => Ok(said),
            (None, Some(failed)) => Err(failed),
            _ => return None,
        };
        let alerts = value.get("alerts").and_then(Value::as_array);
        let alerts = alerts.into_iter().flatten().filter_map(Value::as_str);
        Some(Self {
            result,
            alerts: alerts.map(str::to_owned).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_on_a_line_is_read_from_it() {
        let asks = [
            Ask::Script("function f() {\n return \"\u{2028}\\\0\"; }".to_owned()),
            Ask::Find {
                url: "https://a/".to_owned(),
                host: "a".to_owned(),
            },
        ];
        for ask in asks {
            let line = ask.line();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(Ask::parse(line.as_bytes()), Some(ask));
        }
        for result in [Ok("PROXY a:1".to_owned()), Err("no\nway".to_owned())] {
            let alerts = vec!["x\ny".to_owned()];
            let reply = Reply { result, alerts };
            let line = reply.line();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(Reply::parse(line.as_bytes()), Some(reply));
        }
    }

    #[test]
    fn what_means_nothing_is_none() {
        let lines = [
            "",
            "{}",
            "[]",
            "null",
            "{\"said\":1}",
            "{\"said\":\"a\",\"failed\":\"b\"}",
            "{\"url\":\"a\"}",
            "\u{1F600}",
            "{\"said\":\"a\"",
        ];
        for line in lines {
            assert_eq!(Reply::parse(line.as_bytes()), None, "{line}");
            assert_eq!(Ask::parse(line.as_bytes()), None, "{line}");
        }
        assert_eq!(Ask::parse(b"\xff"), None);
    }
}
