//! A trace as people read it.

use std::fmt;

use super::{Argument, Event, HandlerRun, Notification, Outcome, Sender, SignalInfo, Trace, Wait};
use crate::abi::{
    AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, errno_name, errno_of, poll_events, signal_name,
};

/// The column at which outcomes stand, at the most.
pub const WIDEST: usize = 44;

impl Trace {
    /// Each event as its line has it: who did what, and what was seen.
    pub fn rows(&self) -> Vec<(String, String)> {
        let mut told = Vec::new();
        let mut rows = Vec::new();
        for event in &self.events {
            let again = event.act.is_some() && told.contains(&event.act);
            told.push(event.act);
            rows.push((row_head(event, again), event.outcome.to_string()));
        }
        rows
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        let width = rows
            .iter()
            .map(|(head, _)| head.chars().count())
            .filter(|length| *length <= WIDEST)
            .max()
            .unwrap_or(0);
        for (head, outcome) in rows {
            writeln!(f, "{head:width$}  {outcome}")?;
        }
        Ok(())
    }
}

/// Who, and what: in full the first time, then by its first word.
fn row_head(event: &Event, again: bool) -> String {
    let text = if again {
        event.text.split([' ', '(']).next().unwrap_or_default()
    } else {
        event.text.as_str()
    };
    let label = match &event.label {
        Some(label) if !again => format!("{label}: "),
        _ => String::new(),
    };
    match &event.actor {
        Some(actor) if text.is_empty() => format!("{actor}:"),
        Some(actor) => format!("{label}{actor}: {text}"),
        None => format!("{label}{text}"),
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Returned(0) => f.write_str("ok"),
            Outcome::Returned(raw) => match errno_of(*raw) {
                Some(number) => f.write_str(&errno(number)),
                None => write!(f, "returns {raw}"),
            },
            Outcome::ReturnedActor(actor) => write!(f, "returns pid({actor})"),
            Outcome::Blocked => f.write_str("blocks"),
            Outcome::Received(notification) => notification.fmt(f),
            Outcome::Ready(0) => f.write_str("nothing ready"),
            Outcome::Ready(events) => f.write_str(&poll_events(*events)),
            Outcome::Selected(sets) if sets.is_empty() => f.write_str("nothing ready"),
            Outcome::Selected(sets) => f.write_str(&sets.join(", ")),
            Outcome::Text(text) => write!(f, "reads \"{text}\""),
            Outcome::Numbers(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
                write!(f, "reads {}", numbers.join(", "))
            }
            Outcome::EndOfFile => f.write_str("end of file"),
            Outcome::Program(name) => write!(f, "reads the program of {name}"),
            Outcome::Handler(run) => run.fmt(f),
            Outcome::Stopped => f.write_str("stops"),
            Outcome::TraceStopped => f.write_str("stops for its tracer"),
            Outcome::Continued => f.write_str("continues"),
            Outcome::Waited(wait) => wait.fmt(f),
            Outcome::Exited(status) => write!(f, "exits {status}"),
            Outcome::Killed { signal, core } => {
                write!(f, "killed by {}", signal_text(*signal))?;
                f.write_str(if *core { ", core dumped" } else { "" })
            }
            Outcome::ThreadEnded => f.write_str("thread ends"),
            Outcome::State { letter, call: Some(call) } => write!(f, "{letter} in {call}"),
            Outcome::State { letter, call: None } => write!(f, "{letter}"),
            Outcome::NotRun(reason) => write!(f, "not run: {reason}"),
            Outcome::Anything => f.write_str("anything"),
        }
    }
}

fn errno(number: i32) -> String {
    errno_name(number).map_or_else(|| format!("errno {number}"), str::to_owned)
}

fn signal_text(number: i32) -> String {
    signal_name(number).map_or_else(|| format!("signal {number}"), str::to_owned)
}

fn arch_text(arch: u32) -> String {
    match arch {
        AUDIT_ARCH_X86_64 => "x86_64".to_owned(),
        AUDIT_ARCH_I386 => "i386".to_owned(),
        other => format!("arch {other:#x}"),
    }
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.name.is_empty() {
            write!(f, "{} ", self.name)?;
        }
        f.write_str("{")?;
        if self.id != 0 {
            write!(f, "id {:+}, ", self.id)?;
        }
        match &self.from {
            Sender::Actor(name) => write!(f, "from {name}, ")?,
            Sender::Invisible => f.write_str("pid 0, ")?,
            Sender::Unknown => f.write_str("from an unknown pid, ")?,
        }
        if self.arch != AUDIT_ARCH_X86_64 {
            write!(f, "{} ", arch_text(self.arch))?;
        }
        write!(f, "{}(", self.call)?;
        let last = self.args.iter().rposition(|arg| *arg != Argument::Number(0));
        for (index, arg) in self.args[..last.map_or(0, |last| last + 1)].iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{arg}")?;
        }
        f.write_str(")")?;
        if !self.at_call {
            f.write_str(", not at the call")?;
        }
        if self.flags != 0 {
            write!(f, ", flags {:#x}", self.flags)?;
        }
        f.write_str("}")
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Argument::Number(number @ 0..=9) => write!(f, "{number}"),
            Argument::Number(number) => write!(f, "{number:#x}"),
            Argument::Address(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for HandlerRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handler of {} ran", signal_text(self.signal))?;
        match &self.info {
            Some(info) => write!(f, " {info}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for SignalInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{si_code {}", self.code)?;
        if self.errno != 0 {
            write!(f, ", si_errno {}", self.errno)?;
        }
        if let Some(call) = &self.call {
            write!(f, ", si_syscall {}, si_arch {}", call.call, arch_text(call.arch))?;
            f.write_str(if call.at_call {
                ", si_call_addr after the call"
            } else {
                ", si_call_addr elsewhere"
            })?;
            f.write_str(if call.resumes_at_call { ", ip there" } else { ", ip elsewhere" })?;
            write!(f, ", register {}", call.register)?;
        }
        f.write_str("}")
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wait::Stop { signal, event: 0 } if signal & 0x80 != 0 => f.write_str("call stop"),
            Wait::Stop { signal, event: 0 } => write!(f, "stop by {}", signal_text(*signal)),
            Wait::Stop { event: libc::PTRACE_EVENT_SECCOMP, .. } => {
                f.write_str("PTRACE_EVENT_SECCOMP")
            }
            Wait::Stop { event: libc::PTRACE_EVENT_STOP, .. } => f.write_str("PTRACE_EVENT_STOP"),
            Wait::Stop { event, .. } => write!(f, "event {event}"),
            Wait::Exited(status) => write!(f, "exited {status}"),
            Wait::Killed(signal) => write!(f, "killed by {}", signal_text(*signal)),
        }
    }
}
