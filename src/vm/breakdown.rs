//! What can become of a guest other than that it does its work.

use std::fmt;
use std::time::Duration;

use super::console::Fault;

/// A boot that did not come to its end, or went on in spite of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breakdown {
    /// What happened.
    pub what: What,
    /// The scenarios of which one was being run then; empty before the guest's
    /// init.
    pub during: Vec<String>,
    /// The console's last lines, or those from the fault on.
    pub console: String,
}

/// What happened to a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Its kernel told of a fault.
    Fault(Fault),
    /// It said that it cannot do its work, and why.
    Refused(String),
    /// It said nothing for so long.
    Silent(Duration),
    /// The machine was off before the work was done.
    Off,
    /// QEMU was killed: how.
    Killed(String),
    /// QEMU failed: how, and what it complained of.
    Failed(String),
    /// So many lines came that are no messages, such as this one. The work was
    /// done nevertheless.
    Garbage(usize, String),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Fault(fault) => fault.fmt(f),
            What::Refused(why) => write!(f, "the guest cannot do its work: {why}"),
            What::Silent(time) => write!(f, "the guest said nothing for {} s", time.as_secs()),
            What::Off => f.write_str("the machine turned itself off in the middle"),
            What::Killed(how) | What::Failed(how) => write!(f, "QEMU {how}"),
            What::Garbage(1, line) => write!(f, "garbage on the line: {line:?}"),
            What::Garbage(lines, line) => {
                write!(f, "garbage on the line, {lines} lines such as {line:?}")
            }
        }
    }
}

impl fmt::Display for Breakdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)?;
        match self.during.as_slice() {
            [] => {}
            [one] => write!(f, ", while {one} was run")?,
            several => write!(f, ", while one of {} was run", several.join(", "))?,
        }
        if matches!(self.what, What::Garbage(..)) {
            return Ok(());
        }
        match self.console.as_str() {
            "" => f.write_str("; there is nothing on its console"),
            console => {
                f.write_str("; its console:")?;
                console.lines().try_for_each(|line| write!(f, "\n    {line}"))
            }
        }
    }
}

impl Breakdown {
    /// The function of kernel/seccomp.c in which the kernel broke down, if it
    /// did.
    pub fn in_seccomp(&self) -> Option<&str> {
        match &self.what {
            What::Fault(fault) => fault.in_seccomp.as_deref(),
            _ => None,
        }
    }
}
