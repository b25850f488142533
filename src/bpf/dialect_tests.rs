use proptest::prelude::*;

use super::assemble_tests::{any_instruction, any_program};
use super::code::*;
use super::disassemble::named;
use crate::abi::SockFilter;

use super::{Program, assemble, bpf_asm_text, seccomp_tools_text};

proptest! {
    #[test]
    fn listings_read_back(program in prop::collection::vec(any_instruction(), 0..20)) {
        let text = seccomp_tools_text(&program);
        prop_assert_eq!(assemble(&text), Ok(Program(program)), "{}", text);
    }

    #[test]
    fn bpf_asm_reads_back(program in prop_oneof![
        any_program().prop_map(without_what_does_not_count),
        prop::collection::vec(any_instruction(), 0..20),
    ]) {
        if let Ok(text) = bpf_asm_text(&program) {
            prop_assert_eq!(assemble(&text), Ok(Program(program)), "{}", text);
        }
    }
}

/// Each field that an instruction does not use is 0.
fn without_what_does_not_count(program: Program) -> Vec<SockFilter> {
    let named = |mut one: SockFilter| {
        if named(one).is_none() {
            one.k = 0;
        }
        if named(one).is_none() {
            (one.jt, one.jf) = (0, 0);
        }
        one
    };
    program.0.into_iter().map(named).collect()
}

/// As seccomp-tools lists it.
const LISTING: &str = " line  CODE  JT   JF      K
=================================
 0000: 0x20 0x00 0x00 0x00000004  A = arch
 0001: 0x15 0x00 0x05 0xc000003e  if (A != ARCH_X86_64) goto 0007
 0002: 0x20 0x00 0x00 0x00000000  A = sys_number
 0003: 0x35 0x03 0x00 0x40000000  if (A >= 0x40000000) goto 0007
 0004: 0x15 0x00 0x01 0x00000053  if (A != mkdir) goto 0006
 0005: 0x06 0x00 0x00 0x00050001  return ERRNO(1)
 0006: 0x06 0x00 0x00 0x7fff0000  return ALLOW
 0007: 0x06 0x00 0x00 0x00000000  return KILL
";

#[test]
fn another_tools_listing() {
    let program = assemble(LISTING).expect("it is sound");
    assert_eq!(program[4], jump(JEQ_K, 83, 0, 1));
    assert_eq!(seccomp_tools_text(&program), LISTING);
}

#[test]
fn bpf_asm_both_ways() {
    let text = "\
L0: ld [0]
L1: jeq #0x53, L2, L3
L2: ret #0x50001
L3: ret #0x7fff0000
";
    let program = assemble(text).expect("it is sound");
    assert_eq!(bpf_asm_text(&program).as_deref(), Ok(text));
    // What `bpf_asm -c` makes of it.
    let output = "\
{ 0x20,  0,  0, 0000000000 },
{ 0x15,  0,  1, 0x00000053 },
{ 0x06,  0,  0, 0x00050001 },
{ 0x06,  0,  0, 0x7fff0000 },
";
    assert_eq!(assemble(output), Ok(program));
}

#[test]
fn bpf_asm_has_no_words_for_it() {
    assert_eq!(bpf_asm_text(&[stmt(RET_K, 0), stmt(0xffff, 0)]), Err(1));
    assert_eq!(bpf_asm_text(&[jump(JEQ_K, 0, 0, 9), stmt(RET_K, 0)]), Err(0));
}
