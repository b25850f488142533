//! Classic BPF as seccomp runs it: instructions, their text both ways, the
//! kernel's validity rules, and evaluation.
//!
//! All of it is pure. The rules are those of `net/core/filter.c`
//! (`bpf_check_classic`, `check_load_and_stores`, `bpf_convert_filter`) and of
//! `kernel/seccomp.c` (`seccomp_check_filter`). What a returned word means, and
//! which of several words wins, is [`crate::filter`]'s business; only the names
//! of words are here, because the assembler and the disassembler speak them.

mod assemble;
pub mod code;
mod dialect;
mod disassemble;
mod evaluate;
mod opcode;
mod operand;
mod symbol;
mod text;
mod translate;
mod validate;

#[cfg(test)]
mod assemble_tests;
#[cfg(test)]
mod dialect_tests;
#[cfg(test)]
mod disassemble_tests;
#[cfg(test)]
mod evaluate_tests;
#[cfg(test)]
mod validate_tests;

pub use assemble::assemble;
pub use dialect::{bpf_asm_text, seccomp_tools_text};
pub use evaluate::{always_allows, evaluate};
pub use symbol::{action_text, action_word, arch_name, arch_value};
pub use text::{AssembleError, SyntaxError};
pub(crate) use text::{Cursor, parse_number};
pub use translate::{INSTALLED_FILTER_OVERHEAD, MAX_INSNS_PER_PATH, translated_len};
pub use validate::{Invalid, Rule, validate};

use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::abi::SockFilter;

/// A list of instructions, valid or not.
///
/// Its `Display` is assembly that [`assemble`] reads back to exactly the same
/// instructions, whatever they are. [`validate`] says whether the kernel would
/// take it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Program(pub Vec<SockFilter>);

impl Deref for Program {
    type Target = [SockFilter];

    fn deref(&self) -> &[SockFilter] {
        &self.0
    }
}

impl AsRef<[SockFilter]> for Program {
    fn as_ref(&self) -> &[SockFilter] {
        &self.0
    }
}

impl From<Vec<SockFilter>> for Program {
    fn from(instructions: Vec<SockFilter>) -> Self {
        Self(instructions)
    }
}

impl FromStr for Program {
    type Err = AssembleError;

    /// The same as [`assemble`].
    fn from_str(text: &str) -> Result<Self, AssembleError> {
        assemble(text)
    }
}
