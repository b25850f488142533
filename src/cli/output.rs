//! Where the command writes: coloured on a terminal, plain elsewhere.

use std::io::{self, IsTerminal, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};

/// Standard output and standard error.
pub(super) struct Output {
    out: AutoStream<io::Stdout>,
    err: AutoStream<io::Stderr>,
}

/// Styles by what they mean.
pub(super) mod style {
    use super::{AnsiColor, Style};

    pub const GOOD: Style = AnsiColor::Green.on_default();
    pub const BAD: Style = AnsiColor::Red.on_default().bold();
    pub const NOTE: Style = AnsiColor::Yellow.on_default();
    pub const HEAD: Style = Style::new().bold();
    pub const FAINT: Style = Style::new().dimmed();
}

impl Output {
    pub fn standard() -> Self {
        Output { out: anstream::stdout(), err: anstream::stderr() }
    }

    /// Says what is wrong, on standard error.
    pub fn complain(&mut self, message: &str) {
        // Messages about scenario files begin with their own word.
        let head = if message.contains("error: ") { "" } else { "unotify-lab: " };
        // There is nobody left to tell if this fails.
        let _ = writeln!(self.err, "{head}{message}");
    }

    /// Says how the work goes, on standard error.
    pub fn note(&mut self, message: &str) {
        let _ = writeln!(self.err, "{message}");
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Whether messages about files may be coloured: on a terminal, unless
/// `NO_COLOR` is set.
pub(super) fn error_colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
