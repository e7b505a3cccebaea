//! `/etc/resolv.conf`: which domains a machine takes for its own.
//!
//! Knows no name servers, and asks none.

/// As many as glibc keeps to a line (resolv.conf(5)), and a few more.
const DOMAINS_MAX: usize = 16;

/// The domains, in their order. `domain` and `search` are one setting, and the last one holds.
pub fn domains(text: &str) -> Vec<String> {
    let mut last = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let domains = match words.next() {
            Some("search") => words.take(DOMAINS_MAX),
            Some("domain") => words.take(1),
            _ => continue,
        };
        last = domains.map(str::to_owned).collect();
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_its_kind_holds() {
        let check = |text: &str, expected: &[&str]| assert_eq!(domains(text), expected, "{text:?}");
        check("", &[]);
        check("nameserver 10.0.0.1\n", &[]);
        check("search corp.example\n", &["corp.example"]);
        check(
            "search a.example\tb.example  c.example",
            &["a.example", "b.example", "c.example"],
        );
        check("domain a.example b.example", &["a.example"]);
        check("domain a.example\nsearch b.example", &["b.example"]);
        check("search b.example\ndomain a.example", &["a.example"]);
        check("#search a.example\n;search b.example", &[]);
        check("search", &[]);
        check("searches a.example", &[]);
        check("search .\n", &["."]);
        let long = format!("search{}", " a.example".repeat(100));
        assert_eq!(domains(&long).len(), DOMAINS_MAX);
    }
}
