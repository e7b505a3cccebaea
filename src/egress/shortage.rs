//! What this machine has too little of to open one more connection: nobody's fault on the way, and
//! over once there is more of it.
//!
//! Knows no step and no address that was dialled.

use std::fmt;
use std::io;

use rustix::io::Errno;

/// What is lacking, each with a limit of its own that can be raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// EMFILE: this process has as many files open as it may.
    Descriptors,
    /// ENFILE: all processes together have.
    SystemDescriptors,
    /// EADDRNOTAVAIL: every local port is taken towards that address.
    Ports,
}

impl Shortage {
    /// What `error` says is lacking, if that is what it says.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        match Errno::from_io_error(error)? {
            Errno::MFILE => Some(Self::Descriptors),
            Errno::NFILE => Some(Self::SystemDescriptors),
            Errno::ADDRNOTAVAIL => Some(Self::Ports),
            _ => None,
        }
    }

    /// What to raise, for whoever runs this machine.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Descriptors => "raise the limit of open files (LimitNOFILE in a unit, ulimit -n)",
            Self::SystemDescriptors => "raise fs.file-max",
            Self::Ports => "widen net.ipv4.ip_local_port_range",
        }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Descriptors => "this process has no file descriptor left",
            Self::SystemDescriptors => "this machine has no file descriptor left",
            Self::Ports => "this machine has no local port left for that address",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_lack_ourselves_is_a_shortage() {
        let check = |errno: Errno, expected| {
            let error = io::Error::from(errno);
            assert_eq!(Shortage::of(&error), expected, "{error}");
        };
        check(Errno::MFILE, Some(Shortage::Descriptors));
        check(Errno::NFILE, Some(Shortage::SystemDescriptors));
        check(Errno::ADDRNOTAVAIL, Some(Shortage::Ports));
        check(Errno::CONNREFUSED, None);
        check(Errno::HOSTUNREACH, None);
        assert_eq!(Shortage::of(&io::Error::other("too many open files")), None);
    }
}
