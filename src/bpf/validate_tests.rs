use proptest::prelude::*;
use rstest::rstest;

use super::code::*;
use super::opcode;
use crate::abi::SockFilter;
use crate::bpf::assemble_tests::{any_instruction, any_program};
use crate::bpf::{Invalid, Rule, assemble, evaluate, validate};

/// `bpf-opcode-whitelist`: what a scan of all opcodes found on real kernels.
const ACCEPTED: [u16; 41] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20, 0x24,
    0x25, 0x2c, 0x2d, 0x34, 0x35, 0x3c, 0x3d, 0x44, 0x45, 0x4c, 0x4d, 0x54, 0x5c, 0x60, 0x61, 0x64,
    0x6c, 0x74, 0x7c, 0x80, 0x81, 0x84, 0x87, 0xa4, 0xac,
];

#[test]
fn exactly_41_opcodes_are_accepted() {
    // All words are stored, so that loads from them may pass, and enough
    // follows for a jump of 1. No operand suits every opcode: words start at
    // 0 and 4, and a divisor is not 0.
    let accepted = (0..=u16::MAX).filter(|&code| {
        [0, 1].into_iter().any(|k| {
            let program = [stmt(ST, 0), stmt(ST, 1), stmt(code, k), stmt(RET_K, 0), stmt(RET_K, 0)];
            validate(&program).is_ok()
        })
    });
    assert_eq!(accepted.collect::<Vec<_>>(), ACCEPTED);
}

#[rstest]
#[case::abs_bounds("ld [60]\nret a")]
#[case::len_ignores_k(".insn 0x80, 0, 0, 99\n.insn 0x81, 0, 0, 99\nret a")]
#[case::shift_31("lsh #31\nrsh #31\nret a")]
#[case::shift_by_x("ldx #99\nlsh x\nret a")]
#[case::division_by_x("div x\nret a")]
#[case::scratch_last("st M[15]\nld M[15]\nret a")]
#[case::stored_on_both_branches(
    "jeq #0, yes, no\nyes: st M[2]\nja end\nno: stx M[2]\nend: ldx M[2]\nret a"
)]
#[case::unreachable_after_a_jump("ja end\nld M[3]\nend: ret a")]
#[case::last_is_ret_k("ld [nr]\nret #0")]
#[case::jump_to_the_last("ja +0\nja +1\nret a\nret a")]
#[case::branch_to_the_last("jeq #0, +1\nret a\nret a")]
#[case::unused_fields_ignored(
    ".insn 0x20, 255, 255, 0\n.insn 0x87, 1, 2, 77\n.insn 0x05, 9, 9, 0\n.insn 0x06, 255, 255, 0"
)]
fn programs_accepted(#[case] text: &str) {
    assert_eq!(validate(&assemble(text).unwrap()), Ok(()));
}

#[rstest]
#[case::no_mod_k("mod #1\nret a", Rule::OpcodeForbidden, 0)]
#[case::no_mod_x("ret a\nmod x\nret a", Rule::OpcodeForbidden, 1)]
#[case::no_half("ldh [0]\nret a", Rule::OpcodeForbidden, 0)]
#[case::no_byte("ldb [0]\nret a", Rule::OpcodeForbidden, 0)]
#[case::no_ind("ld [x + 0]\nret a", Rule::OpcodeForbidden, 0)]
#[case::no_msh("ldx 4*([0]&0xf)\nret a", Rule::OpcodeForbidden, 0)]
#[case::ret_x("ret x\nret a", Rule::OpcodeUnknown, 0)]
#[case::ret_x_last("ret x", Rule::OpcodeUnknown, 0)]
#[case::unknown(".insn 0xff, 0, 0, 0\nret a", Rule::OpcodeUnknown, 0)]
#[case::unknown_high(".insn 0x106, 0, 0, 0", Rule::OpcodeUnknown, 0)]
#[case::abs_aligned("ld [2]\nret a", Rule::DataOffset, 0)]
#[case::abs_bounds("ld [nr]\nld [64]\nret a", Rule::DataOffset, 1)]
#[case::ancillary_that_exists("ld [0xfffff000]\nret a", Rule::DataOffset, 0)]
#[case::ancillary_last("ld [0xfffff03c]\nret a", Rule::DataOffset, 0)]
#[case::ancillary_that_does_not("ld [0xfffff040]\nret a", Rule::AncillaryUnknown, 0)]
#[case::ancillary_unaligned("ld [0xfffff001]\nret a", Rule::AncillaryUnknown, 0)]
#[case::ancillary_half("ldh [0xfffffffc]\nret a", Rule::AncillaryUnknown, 0)]
#[case::div_k_zero("div #0\nret a", Rule::DivisionByZero, 0)]
#[case::mod_k_zero("mod #0\nret a", Rule::DivisionByZero, 0)]
#[case::lsh_32("lsh #32\nret a", Rule::ShiftTooFar, 0)]
#[case::rsh_32("rsh #0xffffffff\nret a", Rule::ShiftTooFar, 0)]
#[case::st_range("st M[16]\nret a", Rule::ScratchOutOfRange, 0)]
#[case::stx_range("stx M[16]\nret a", Rule::ScratchOutOfRange, 0)]
#[case::ld_range("ld M[16]\nret a", Rule::ScratchOutOfRange, 0)]
#[case::ldx_range("ldx M[0xffffffff]\nret a", Rule::ScratchOutOfRange, 0)]
#[case::scratch_uninit("ld M[0]\nret a", Rule::ScratchNotStored, 0)]
#[case::scratch_other_word("st M[1]\nldx M[0]\nret a", Rule::ScratchNotStored, 1)]
#[case::scratch_per_path("jeq #0, +0, +1\nst M[0]\nld M[0]\nret a", Rule::ScratchNotStored, 2)]
#[case::scratch_after_a_return("ret #0\nld M[0]\nret a", Rule::ScratchNotStored, 1)]
#[case::scratch_stored_on_every_real_path(
    "jeq #0, yes, no\nyes: st M[0]\nja end\nno: ret #0\nend: ld M[0]\nret a",
    Rule::ScratchNotStored,
    4
)]
#[case::last_is_load("ret a\nld [nr]", Rule::LastIsNoReturn, 1)]
#[case::ja_range("ja +1\nret a", Rule::JumpOutOfRange, 0)]
#[case::ja_as_last("ja +0", Rule::JumpOutOfRange, 0)]
#[case::ja_backwards("ret a\nja +0xffffffff\nret a", Rule::JumpOutOfRange, 1)]
#[case::jt_range("jeq #0, +1, +0\nret a", Rule::BranchOutOfRange, 0)]
#[case::jf_range("jset x, +0, +1\nret a", Rule::BranchOutOfRange, 0)]
#[case::jump_as_last("jgt #0, +0", Rule::BranchOutOfRange, 0)]
#[case::dead_code("ret a\nmod #1\nret a", Rule::OpcodeForbidden, 1)]
#[case::classic_rules_come_first("ldh [0]\nlsh #32\nret a", Rule::ShiftTooFar, 1)]
#[case::last_before_scratch("ld M[0]\nld [nr]", Rule::LastIsNoReturn, 1)]
#[case::scratch_before_seccomp("ldh [0]\nld M[0]\nret a", Rule::ScratchNotStored, 1)]
fn programs_refused(#[case] text: &str, #[case] rule: Rule, #[case] at: usize) {
    let error = validate(&assemble(text).unwrap()).unwrap_err();
    assert_eq!(error, Invalid { rule, at });
    assert_eq!(error.rule.errno(), libc::EINVAL);
}

#[rstest]
#[case::none(0, Err(Invalid { rule: Rule::Length, at: 0 }))]
#[case::one(1, Ok(()))]
#[case::most(4096, Ok(()))]
#[case::too_many(4097, Err(Invalid { rule: Rule::Length, at: 4096 }))]
fn lengths(#[case] length: usize, #[case] result: Result<(), Invalid>) {
    assert_eq!(validate(&vec![stmt(RET_K, 0); length]), result);
}

#[test]
fn message_names_the_instruction_and_the_rule() {
    let error = validate(&assemble("ld [nr]\ndiv #0\nret a").unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "instruction 1: division by the constant 0");
}

/// Whether any real path reaches a load from scratch memory before the store,
/// an end of the program or an unknown opcode.
fn goes_wrong(program: &[SockFilter]) -> bool {
    let mut paths = vec![(0, 0_u16)];
    while let Some((at, stored)) = paths.pop() {
        let Some(&SockFilter { code, jt, jf, k }) = program.get(at) else {
            return true;
        };
        match code {
            RET_K | RET_A => {}
            JA => paths.push((at + 1 + k as usize, stored)),
            ST | STX => paths.push((at + 1, stored | 1 << k)),
            LD_MEM | LDX_MEM if stored & (1 << k) == 0 => return true,
            _ if opcode::is_branch(code) => {
                paths.extend([jt, jf].map(|skip| (at + 1 + usize::from(skip), stored)));
            }
            _ => paths.push((at + 1, stored)),
        }
    }
    false
}

proptest! {
    /// The one promise that validation makes.
    #[test]
    fn what_is_accepted_never_goes_wrong(program in any_program()) {
        if validate(&program).is_ok() {
            prop_assert!(!goes_wrong(&program));
        }
    }

    #[test]
    fn nothing_panics(program in proptest::collection::vec(any_instruction(), 0..12)) {
        let _ = validate(&program);
        let _ = evaluate(&program, &crate::abi::SeccompData::default());
        let _ = crate::bpf::translated_len(&program);
    }
}
