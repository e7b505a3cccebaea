//! Where in a Windows domain a proxy's user is: `domain` and `workstation`, which NTLM alone tells.
//!
//! Knows nothing of passwords.

use crate::egress::{Choice, Membership, Scheme, Secret};

use super::fault::Fault;
use super::field::Field;
use super::reader::Section;

/// The longest name that DNS has; those of NetBIOS end at 15.
const NAME_CHARS_MAX: usize = 255;

/// `None` after a fault.
pub(super) fn membership(section: Section<'_>, choice: Choice) -> Option<Membership> {
    let told = |key| match section.field(key) {
        None => Some(String::new()),
        Some(field) => name(field, choice),
    };
    let (domain, workstation) = (told("domain"), told("workstation"));
    Some(Membership {
        domain: domain?,
        workstation: workstation?,
    })
}

fn name(field: Field<'_>, choice: Choice) -> Option<String> {
    let text = field.text()?;
    let refuse = |message: String, help: &str| {
        let fault = Fault::at(text.span.clone(), message);
        field.cx.report(fault.help(help));
        None
    };
    if !may_be_ntlm(choice) {
        let message = format!("`{}` is told by NTLM alone, not by {choice}", field.key);
        return refuse(
            message,
            "leave it out, or write scheme = \"ntlm\" or \"auto\"",
        );
    }
    let is_name = (1..=NAME_CHARS_MAX).contains(&text.text.chars().count());
    if !is_name || text.text.chars().any(|c| c.is_control() || c == '\\') {
        let message = format!("`{}` is not a name", field.key);
        let help =
            "as in domain = \"CORP\" or \"corp.example\": no backslash, no control character";
        return refuse(message, help);
    }
    Some(text.text.to_owned())
}

/// Whether `user` is one that NTLM can tell; `false` after a fault.
pub(super) fn is_user(field: Field<'_>, user: &Secret, choice: Choice) -> bool {
    let is_user = !may_be_ntlm(choice) || !user.reveal().contains('\\');
    if !is_user {
        let message = "`user` holds a backslash, and NTLM tells the domain apart from the user";
        let help = "write the user alone and the domain as domain = \"…\"; \
                    only scheme = \"basic\" or \"digest\" takes both as one";
        field.cx.report(Fault::at(field.span(), message).help(help));
    }
    is_user
}

fn may_be_ntlm(choice: Choice) -> bool {
    match choice {
        Choice::Auto | Choice::Only(Scheme::Ntlm) => true,
        Choice::Only(Scheme::Basic | Scheme::Digest | Scheme::Negotiate) => false,
    }
}
