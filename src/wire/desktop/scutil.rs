//! `scutil --proxy`: the settings of macOS as a dictionary, a key and a value a line.
//!
//! Knows no macOS but these lines.

use super::{At, Manual, Setting};

/// Reads what was printed; `None` where it is no such dictionary.
pub fn parse(text: &str) -> Option<Setting> {
    let (_, inside) = text.split_once("<dictionary> {")?;
    let is_on = |key: &str| value(inside, key) == Some("1");
    let manual = manual(inside, &is_on).setting();
    let script = value(inside, "ProxyAutoConfigURLString");
    let script = script.filter(|_| is_on("ProxyAutoConfigEnable"));
    // What is written out goes before what would have to be searched for.
    Some(match (script, manual) {
        (Some(url), _) => Setting::Script(url.to_owned()),
        (None, Setting::Off) if is_on("ProxyAutoDiscoveryEnable") => Setting::Discover,
        (None, manual) => manual,
    })
}

fn manual(inside: &str, is_on: &dyn Fn(&str) -> bool) -> Manual {
    let at = |kind: &str| {
        if !is_on(&format!("{kind}Enable")) {
            return None;
        }
        let port = value(inside, &format!("{kind}Port"))?.parse().ok();
        At::of(value(inside, &format!("{kind}Proxy"))?, port)
    };
    Manual {
        http: at("HTTP"),
        https: at("HTTPS"),
        socks: at("SOCKS"),
        ignored: exceptions(inside).map(whole).collect(),
    }
}

fn value<'t>(inside: &'t str, key: &str) -> Option<&'t str> {
    let mut values = inside.lines().filter_map(|line| line.split_once(" : "));
    let (_, value) = values.find(|(name, _)| name.trim() == key)?;
    Some(value.trim())
}

fn exceptions(inside: &str) -> impl Iterator<Item = &str> {
    let list = inside.split_once("ExceptionsList : <array> {");
    let list = list.and_then(|(_, rest)| rest.split_once('}'));
    let lines = list.map_or("", |(list, _)| list).lines();
    lines.filter_map(|line| Some(line.split_once(" : ")?.1.trim()))
}

/// `169.254/16` is short for `169.254.0.0/16`.
fn whole(entry: &str) -> String {
    let is_short = |a: &str| a.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match entry.split_once('/') {
        Some((address, length)) if is_short(address) => {
            let zeros = 3_usize.saturating_sub(address.matches('.').count());
            format!("{address}{}/{length}", ".0".repeat(zeros))
        }
        _ => entry.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;
    use super::*;

    fn check(lines: &str, expected: &str) {
        let text = format!("<dictionary> {{\n{lines}\n}}\n");
        assert_eq!(shown(parse(&text)), expected, "{lines}");
    }

    const EXCEPTIONS: &str = "\
  ExceptionsList : <array> {
    0 : *.local
    1 : 169.254/16
    2 : 10/8
  }
  FTPPassive : 1
";

    #[test]
    fn each_setting_is_read() {
        let past = r#"past ["*.local", "169.254.0.0/16", "10.0.0.0/8"]"#;
        check(EXCEPTIONS, "off");
        let http = "  HTTPEnable : 1\n  HTTPPort : 3128\n  HTTPProxy : proxy.corp.example\n";
        check(
            &format!("{EXCEPTIONS}{http}"),
            &format!("proxy.corp.example:3128 - - {past}"),
        );
        check(&http.replace("Enable : 1", "Enable : 0"), "off");
        let others = "  HTTPSEnable : 1\n  HTTPSPort : 3129\n  HTTPSProxy : b\n  \
                      SOCKSEnable : 1\n  SOCKSPort : 1080\n  SOCKSProxy : 10.0.0.1\n";
        check(others, "- b:3129 10.0.0.1:1080 past []");
        let discover = "  ProxyAutoDiscoveryEnable : 1\n";
        check(discover, "discover");
        check(
            &format!("{discover}{others}"),
            "- b:3129 10.0.0.1:1080 past []",
        );
        let script = "  ProxyAutoConfigEnable : 1\n  \
                      ProxyAutoConfigURLString : http://a:8080/x\n";
        check(
            &format!("{discover}{script}{others}"),
            "script http://a:8080/x",
        );
        check(&script.replace("Enable : 1", "Enable : 0"), "off");
    }

    #[test]
    fn what_is_no_dictionary_is_nothing() {
        assert_eq!(shown(parse("")), "nothing");
        assert_eq!(shown(parse("No proxy")), "nothing");
        check("", "off");
        check("  HTTPEnable : 1\n  HTTPProxy : a", "off");
        check("  ExceptionsList : <array> {\n    0 : a", "off");
    }
}
