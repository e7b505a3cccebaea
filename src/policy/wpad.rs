//! In which domains a WPAD script may be asked for.
//!
//! Whoever owns `wpad.DOMAIN` reads along with every machine that asks there, so only domains that
//! belong to somebody are asked: never a single label, never a public suffix such as `co.uk`, in
//! which everybody may register `wpad`, and never the parent of a domain, which is how machines
//! came to ask `wpad.co.uk`. Knows no resolver.

use crate::wire::authority::Host;

/// More domains than this are not asked.
const DOMAINS_MAX: usize = 6;

/// Those of `named` that may be asked, in their order and once each.
pub fn domains<'d>(named: impl Iterator<Item = &'d str>) -> Vec<String> {
    let mut domains: Vec<String> = Vec::new();
    for domain in named.filter_map(asked) {
        if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    domains.truncate(DOMAINS_MAX);
    domains
}

/// The domain of a machine with this name, which it has not if it is a single label.
pub fn domain_of(machine: &str) -> Option<&str> {
    machine.split_once('.').map(|(_, domain)| domain)
}

fn asked(domain: &str) -> Option<String> {
    let Ok(Host::Name(name)) = Host::parse(domain) else {
        return None;
    };
    // By Mozilla's list. What the list does not know has its last label for a suffix.
    let is_owned = name.contains('.') && psl::domain_str(&name).is_some();
    is_owned.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(named: &[&str], expected: &[&str]) {
        assert_eq!(domains(named.iter().copied()), expected, "{named:?}");
    }

    #[test]
    fn only_a_domain_that_belongs_to_somebody_is_asked() {
        check(&["corp.example"], &["corp.example"]);
        check(&["Corp.Example."], &["corp.example"]);
        check(&["dept.corp.co.uk"], &["dept.corp.co.uk"]);
        check(
            &["corp.co.uk", "corp.internal"],
            &["corp.co.uk", "corp.internal"],
        );
        for nobodys in [
            "com",
            "co.uk",
            "github.io",
            "k12.ma.us",
            "internal",
            "local",
            ".",
            "",
            "10.0.0.1",
            "a b.example",
            "a/b.example",
            "::1",
            "*.example",
        ] {
            check(&[nobodys], &[]);
        }
    }

    #[test]
    fn each_is_asked_once_and_not_too_many() {
        check(
            &["a.example", "b.example", "A.example."],
            &["a.example", "b.example"],
        );
        let many: Vec<String> = (0..50).map(|n| format!("a{n}.example")).collect();
        assert_eq!(domains(many.iter().map(String::as_str)).len(), DOMAINS_MAX);
    }

    #[test]
    fn a_machine_is_in_the_domain_behind_its_first_label() {
        assert_eq!(domain_of("gateway.corp.example"), Some("corp.example"));
        assert_eq!(domain_of("gateway"), None);
    }
}
