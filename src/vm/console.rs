//! What a kernel's console says of its own faults; pure.

use std::fmt;

/// A fault that a kernel told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which kind.
    pub kind: FaultKind,
    /// The line that says so, without its time.
    pub line: String,
    /// The function of kernel/seccomp.c that it happened in, or that had called
    /// what it happened in.
    pub in_seccomp: Option<String>,
}

/// What kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The kernel stopped of its own accord.
    Panic,
    /// It did what it must not: die() of arch/x86/kernel/dumpstack.c, or BUG.
    Oops,
    /// WARN_ON of something in kernel/seccomp.c. Others are no news.
    Warning,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            FaultKind::Panic => "the kernel panicked",
            FaultKind::Oops => "the kernel oopsed",
            FaultKind::Warning => "the kernel warned",
        };
        match &self.in_seccomp {
            Some(function) => write!(f, "{what} in seccomp code ({function}): {}", self.line),
            None => write!(f, "{what}, outside seccomp: {}", self.line),
        }
    }
}

/// Most lines of a console that are shown.
const SHOWN: usize = 14;
/// So many of the innermost frames say where a fault happened. Further out
/// stands only who came by: a target that a filter killed exits from within
/// `__seccomp_filter`.
const FRAMES: usize = 3;

/// The first fault that a console tells of. An oops is one though it ends in a
/// panic.
pub(super) fn fault(console: &str) -> Option<Fault> {
    let lines: Vec<&str> = console.lines().map(timeless).collect();
    let faults = lines.iter().enumerate().filter_map(|(at, line)| {
        let kind = kind_of(line)?;
        let in_seccomp = seccomp_frame(&lines[at..]);
        let news = kind != FaultKind::Warning || in_seccomp.is_some();
        news.then(|| Fault { kind, line: (*line).to_owned(), in_seccomp })
    });
    // A warning may be what leads to the worse.
    faults.min_by_key(|fault| fault.kind == FaultKind::Warning)
}

/// What a reader needs of a console: from the first fault on, or the last
/// lines.
pub(super) fn excerpt(console: &str) -> String {
    let lines: Vec<&str> = console.lines().filter(|line| !line.trim().is_empty()).collect();
    let told = fault(console).map(|fault| fault.line);
    let from = lines
        .iter()
        .position(|line| Some(timeless(line)) == told.as_deref())
        .unwrap_or(lines.len().saturating_sub(SHOWN));
    lines[from..].iter().take(SHOWN).map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

/// A line without the time that printk puts before it: `[    1.234567] `.
fn timeless(line: &str) -> &str {
    let rest = line.trim().strip_prefix('[').and_then(|rest| rest.split_once(']'));
    match rest {
        Some((time, rest)) if time.trim().parse::<f64>().is_ok() => rest.trim(),
        _ => line.trim(),
    }
}

fn kind_of(line: &str) -> Option<FaultKind> {
    // A machine that is slow for a while, as under emulation, is no fault.
    if line.contains("lockup") {
        return None;
    }
    // die() counts: `Oops: 0002 [#1] SMP`, `invalid opcode: 0000 [#1]`.
    let died = line.split_once("[#").is_some_and(|(_, rest)| rest.starts_with(char::is_numeric));
    if died || line.starts_with("BUG: ") || line.contains("kernel BUG at ") {
        Some(FaultKind::Oops)
    } else if line.contains("Kernel panic - not syncing") {
        Some(FaultKind::Panic)
    } else if line.starts_with("WARNING: ") {
        Some(FaultKind::Warning)
    } else {
        None
    }
}

/// The innermost frame of a report that is of kernel/seccomp.c.
fn seccomp_frame(report: &[&str]) -> Option<String> {
    let mut frames: Vec<&str> = Vec::new();
    let mut in_interrupt = false;
    for line in report {
        if let Some(place) = line.strip_prefix("RIP: 0010:") {
            frames.extend(function(place));
        } else if line.contains("<IRQ>") || line.contains("<NMI>") {
            in_interrupt = true;
        } else if in_interrupt && (line.contains("</IRQ>") || line.contains("</NMI>")) {
            // What follows was only interrupted.
            break;
        } else if line.contains("---[ end ") || line.starts_with("RIP: 0033:") {
            break;
        } else {
            frames.extend(function(line));
        }
    }
    frames.dedup();
    let found = frames.into_iter().take(FRAMES).find(|name| is_seccomp(name));
    found.map(str::to_owned)
}

/// The function of a frame, `seccomp_notify_ioctl+0x3f2/0x6a0`; none of one
/// that the unwinder does not vouch for (`? `).
fn function(frame: &str) -> Option<&str> {
    let (name, rest) = frame.split_once("+0x")?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    (rest.contains("/0x") && name.chars().all(is_name)).then_some(name)
}

/// Whether a function is of kernel/seccomp.c.
fn is_seccomp(name: &str) -> bool {
    const OTHERS: &[&str] =
        &["find_notification", "get_nth_filter", "init_listener", "recv_wait_event"];
    name.contains("seccomp") || name.contains("secure_computing") || OTHERS.contains(&name)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const OOPS: &str = "\
[    2.100000] BUG: kernel NULL pointer dereference, address: 0000000000000010
[    2.100001] #PF: supervisor read access in kernel mode
[    2.100002] Oops: 0000 [#1] PREEMPT SMP NOPTI
[    2.100003] RIP: 0010:PLACE+0x3f2/0x6a0
[    2.100004] Call Trace:
[    2.100005]  <TASK>
[    2.100006]  ? seccomp_notify_ioctl+0x3f2/0x6a0
[    2.100007]  CALLER+0x91/0xd0
[    2.100008]  do_syscall_64+0x5c/0x90
[    2.100009]  </TASK>
[    2.100010] ---[ end trace 0000000000000000 ]---
[    2.100011] Kernel panic - not syncing: Fatal exception
";

    #[rstest]
    #[case::there("seccomp_notify_ioctl", "__x64_sys_ioctl", Some("seccomp_notify_ioctl"))]
    #[case::called("refcount_warn_saturate", "__put_seccomp_filter", Some("__put_seccomp_filter"))]
    #[case::elsewhere("ext4_lookup", "__x64_sys_mkdir", None)]
    fn an_oops_has_a_place(
        #[case] place: &str,
        #[case] caller: &str,
        #[case] expected: Option<&str>,
    ) {
        let console = OOPS.replace("PLACE", place).replace("CALLER", caller);
        let found = fault(&console).expect("it is a fault");
        assert_eq!(found.kind, FaultKind::Oops);
        assert_eq!(found.line, "BUG: kernel NULL pointer dereference, address: 0000000000000010");
        assert_eq!(found.in_seccomp.as_deref(), expected);
    }

    #[rstest]
    #[case::panic(
        "[    0.9] Kernel panic - not syncing: VFS: Unable to mount root fs",
        Some(FaultKind::Panic)
    )]
    #[case::die("invalid opcode: 0000 [#1] SMP", Some(FaultKind::Oops))]
    #[case::bug("kernel BUG at mm/slub.c:305!", Some(FaultKind::Oops))]
    #[case::slow("watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [init:1]", None)]
    #[case::slow_at_start("BUG: workqueue lockup - pool cpus=0", None)]
    #[case::warning_elsewhere("WARNING: CPU: 0 PID: 1 at mm/slub.c:305 f+0x1/0x2", None)]
    #[case::words("systemd[1]: a panic is no fault [#x]", None)]
    #[case::nothing("", None)]
    fn lines_that_tell_of_a_fault(#[case] line: &str, #[case] expected: Option<FaultKind>) {
        assert_eq!(fault(line).map(|fault| fault.kind), expected);
    }

    #[test]
    fn a_warning_counts_in_seccomp_code_alone() {
        let warning = "WARNING: CPU: 0 PID: 7 at kernel/seccomp.c:1300\n\
                       RIP: 0010:seccomp_notify_release+0x12/0x90\n";
        let found = fault(warning).expect("it is one");
        assert_eq!(found.kind, FaultKind::Warning);
        assert_eq!(found.in_seccomp.as_deref(), Some("seccomp_notify_release"));
    }

    #[test]
    fn an_interrupt_has_nothing_to_do_with_what_it_interrupts() {
        let console = "general protection fault: 0000 [#1] SMP\n\
                       RIP: 0010:tick_nohz_irq_exit+0x12/0x90\nCall Trace:\n <IRQ>\n\
                       irq_exit_rcu+0x1/0x2\n </IRQ>\n seccomp_run_filters+0x3/0x9\n";
        assert_eq!(fault(console).expect("it is a fault").in_seccomp, None);
    }

    #[test]
    fn the_excerpt_begins_at_the_fault_or_shows_the_end() {
        let noise: String = (0..40).map(|n| format!("[    1.{n:06}] line {n}\n")).collect();
        assert!(excerpt(&noise).starts_with("[    1.000026] line 26"));
        let with_oops = format!("{noise}{OOPS}{noise}");
        assert!(excerpt(&with_oops).starts_with("[    2.100000] BUG: kernel NULL"));
    }
}
