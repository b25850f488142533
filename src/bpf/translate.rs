//! The length that the kernel counts against the limit of a filter stack.

use super::code::*;
use super::opcode;
use crate::abi::SockFilter;

/// The most that a stack may count, in translated instructions
/// (`MAX_INSNS_PER_PATH`); one more and installing fails with `ENOMEM`.
pub const MAX_INSNS_PER_PATH: usize = 32768;

/// What each filter already on the stack counts beside its own instructions
/// (`seccomp_attach_filter`).
pub const INSTALLED_FILTER_OVERHEAD: usize = 4;

/// Instructions that every translated program starts with: A and X are
/// cleared, and the pointer to the data is kept.
const PROLOGUE: usize = 3;

/// How many instructions the extended BPF program has that the kernel makes of
/// `program` (`bpf_convert_filter`).
///
/// The limit of a filter stack counts these, not the instructions that were
/// handed in. The program must be one that [`validate`](super::validate()) accepts.
/// Hardening of the just-in-time compiler (`net.core.bpf_jit_harden`) makes
/// programs longer still; this is the length without it.
#[must_use]
pub fn translated_len(program: &[SockFilter]) -> usize {
    PROLOGUE + program.iter().map(translated).sum::<usize>()
}

/// What one instruction becomes.
fn translated(instruction: &SockFilter) -> usize {
    let &SockFilter { code, jt, jf, k } = instruction;
    match code {
        // The result moves to its register, then the program ends.
        RET_K => 2,
        // X is cleared above bit 31, tested, and the program ended if it is 0.
        DIV_X => 5,
        _ if opcode::is_branch(code) => {
            // Immediates are signed there: a large one needs a register.
            let constant =
                usize::from(matches!(code, JEQ_K | JGT_K | JGE_K | JSET_K) && k >> 31 == 1);
            // One branch falls through, where the test or its inverse exists.
            let inverted = jt == 0 && !matches!(code, JSET_K | JSET_X);
            let jumps = if jf == 0 || inverted { 1 } else { 2 };
            constant + jumps
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::bpf::assemble;

    /// How many copies of a filter can be installed
    /// (`install-path-limit-counts-ebpf`, `install-path-limit-jit-harden`).
    #[rstest]
    #[case::ret(1, "ret ALLOW", "", 3641)]
    #[case::two_rets(2, "ret ALLOW", "", 2979)]
    #[case::load_and_ret(1, "ld [nr]", "ret ALLOW", 3277)]
    #[case::hundred_rets(100, "ret ALLOW", "", 158)]
    #[case::hundred_in_all(99, "ld [nr]", "ret ALLOW", 303)]
    #[case::rets_of_greatest_length(4096, "ret ALLOW", "", 3)]
    #[case::loads_of_greatest_length(4095, "ld [nr]", "ret ALLOW", 7)]
    #[case::with_a_branch(1, "ld [nr]\njeq #1, +0, +1\nret ALLOW", "ret ALLOW", 2520)]
    fn stack_limit(
        #[case] times: usize,
        #[case] repeated: &str,
        #[case] last: &str,
        #[case] installable: usize,
    ) {
        let program =
            assemble(&format!("{}{last}", format!("{repeated}\n").repeat(times))).unwrap();
        let one = translated_len(&program);
        let mut count = 0;
        while count * (one + INSTALLED_FILTER_OVERHEAD) + one <= MAX_INSNS_PER_PATH {
            count += 1;
        }
        assert_eq!(count, installable);
    }

    #[rstest]
    #[case::division_by_x("div x", 5)]
    #[case::division_by_k("div #3", 1)]
    #[case::ret_a("ret a", 1)]
    #[case::true_falls_through("jge #1, +0, +3", 1)]
    #[case::false_falls_through("jset #1, +3", 1)]
    #[case::no_inverse("jset #1, +0, +3", 2)]
    #[case::nothing_falls_through("jeq x, +2, +3", 2)]
    #[case::large_constant("jeq #0x80000000, +2, +3", 3)]
    #[case::large_constant_falls_through("jeq #AUDIT_ARCH_X86_64, +1", 2)]
    #[case::ja("ja +3", 1)]
    fn one_instruction(#[case] text: &str, #[case] length: usize) {
        assert_eq!(translated_len(&assemble(text).unwrap()), PROLOGUE + length);
    }
}
