//! The command. See `unotify_lab::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    unotify_lab::cli::main()
}
