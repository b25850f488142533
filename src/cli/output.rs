//! Where the command writes: coloured on a terminal, plain elsewhere.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};

use super::Failure;

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

/// Where a result goes: the file of `--output`, or standard output.
pub(super) struct OutputFile(Option<(PathBuf, File)>);

impl OutputFile {
    /// Opened before anything is done; what the file holds stays until there
    /// is a result.
    pub fn open(path: Option<&Path>) -> Result<OutputFile, Failure> {
        let open = |path: &Path| {
            let told = |error| Failure::User(format!("--output {}: {error}", path.display()));
            let options = File::options().write(true).create(true).truncate(false).open(path);
            options.map(|file| (path.to_owned(), file)).map_err(told)
        };
        path.map(open).transpose().map(OutputFile)
    }

    /// Whether it is standard output.
    pub fn is_standard(&self) -> bool {
        self.0.is_none()
    }

    /// Writes the result.
    pub fn write(self, text: &str, output: &mut Output) -> Result<(), Failure> {
        match self.0 {
            Some((path, mut file)) => {
                let plain = anstream::adapter::strip_str(text).to_string();
                // A pipe or a terminal cannot be cut, and need not be.
                let _ = file.set_len(0);
                file.write_all(plain.as_bytes()).map_err(|error| {
                    Failure::Harness(format!("--output {}: {error}", path.display()))
                })
            }
            None => match output.write_all(text.as_bytes()) {
                // Nobody reads; what was found still counts.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                other => Ok(other?),
            },
        }
    }
}

/// Whether messages about files may be coloured: on a terminal, unless
/// `NO_COLOR` is set.
pub(super) fn error_colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
