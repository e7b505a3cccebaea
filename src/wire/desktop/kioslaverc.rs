//! `kioslaverc`, the file in which KDE keeps its proxies: sections in brackets, a key and a value
//! a line.
//!
//! Knows no KDE but this file.

use super::{At, Manual, Setting};

const SECTION: &str = "[Proxy Settings]";

/// Reads the file; `None` where it says nothing that can be kept to.
pub fn parse(text: &str) -> Option<Setting> {
    let lines = text.lines().map(str::trim);
    let lines = lines.skip_while(|line| *line != SECTION).skip(1);
    let lines: Vec<&str> = lines.take_while(|line| !line.starts_with('[')).collect();
    let value = |key: &str| {
        let mut pairs = lines.iter().filter_map(|line| line.split_once('='));
        let (_, value) = pairs.find(|(name, _)| name.trim_end() == key)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    };
    // KIO's KProtocolManager::ProxyType. 4 is "as the environment says", which was asked before.
    match value("ProxyType")? {
        "0" => Some(Setting::Off),
        "1" if value("ReversedException") != Some("true") => Some(manual(&value)),
        "2" => Some(Setting::Script(value("Proxy Config Script")?.to_owned())),
        "3" => Some(Setting::Discover),
        _ => None,
    }
}

fn manual<'t>(value: &dyn Fn(&str) -> Option<&'t str>) -> Setting {
    let ignored = value("NoProxyFor").unwrap_or_default();
    let ignored = ignored.split([',', ' ']).filter(|entry| !entry.is_empty());
    Manual {
        http: value("httpProxy").and_then(at),
        https: value("httpsProxy").and_then(at),
        socks: value("socksProxy").and_then(at),
        ignored: ignored.map(str::to_owned).collect(),
    }
    .setting()
}

/// `http://host 3128`, or with a colon.
fn at(text: &str) -> Option<At> {
    match text.rsplit_once(' ') {
        Some((host, port)) => At::of(host, port.parse().ok()),
        None => At::of(text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;
    use super::*;

    fn check(lines: &str, expected: &str) {
        let text = format!("[$Version]\nProxyType=9\n\n[Proxy Settings]\n{lines}\n[Other]\na=b\n");
        assert_eq!(shown(parse(&text)), expected, "{lines}");
    }

    #[test]
    fn each_type_is_read() {
        check("ProxyType=0\nhttpProxy=http://a 1", "off");
        check(
            "NoProxyFor=localhost,.corp.example 10.0.0.0/8\nProxyType=1\n\
             httpProxy=http://a.corp.example 3128\nhttpsProxy=http://b.corp.example:3129\n\
             socksProxy=socks://c 1080",
            r#"a.corp.example:3128 b.corp.example:3129 c:1080 past ["localhost", ".corp.example", "10.0.0.0/8"]"#,
        );
        check("ProxyType=1", "off");
        check(
            "ProxyType=2\nProxy Config Script=http://a/proxy.pac",
            "script http://a/proxy.pac",
        );
        check("ProxyType=3", "discover");
    }

    #[test]
    fn what_cannot_be_kept_to_is_nothing() {
        check("", "nothing");
        check("ProxyType=4\nhttpProxy=HTTP_PROXY", "nothing");
        check("ProxyType=2", "nothing");
        let reversed = "ProxyType=1\nReversedException=true\nhttpProxy=http://a 1";
        check(reversed, "nothing");
        assert_eq!(shown(parse("ProxyType=1\nhttpProxy=http://a 1")), "nothing");
    }
}
