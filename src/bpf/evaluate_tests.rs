use proptest::prelude::*;
use rstest::rstest;

use super::code::*;
use crate::abi::SeccompData;
use crate::abi::{AUDIT_ARCH_I386, AUDIT_ARCH_X86_64};
use crate::bpf::assemble_tests::any_program;
use crate::bpf::{assemble, evaluate, validate};

fn run(text: &str, data: &SeccompData) -> u32 {
    let program = assemble(text).unwrap();
    assert_eq!(validate(&program), Ok(()));
    evaluate(&program, data)
}

#[rstest]
#[case::subtraction_wraps("ld #0\nsub #1\nret a", 0xffff_ffff)]
#[case::addition_wraps("ld #0xffffffff\nldx #2\nadd x\nret a", 1)]
#[case::multiplication_wraps("ld #0x80000001\nmul #2\nret a", 2)]
#[case::division_is_unsigned("ld #0xfffffff0\ndiv #0x10000000\nret a", 15)]
#[case::comparison_is_unsigned("ld #0xffffffff\njgt #1, +1\nret #0\nret #7", 7)]
#[case::division_by_x("ld #7\nldx #2\ndiv x\nret a", 3)]
#[case::division_by_x_of_zero("ld #7\ndiv x\nret #0x7fff0000", 0)]
#[case::shift_by_x_of_32("ld #5\nldx #32\nlsh x\nret a", 5)]
#[case::shift_by_x_of_33("ld #5\nldx #33\nlsh x\nret a", 10)]
#[case::shift_right_by_x_of_36("ld #0x50\nldx #36\nrsh x\nret a", 5)]
#[case::shift_right_is_unsigned("ld #0x80000000\nrsh #31\nret a", 1)]
#[case::a_starts_as_zero("ret a", 0)]
#[case::x_starts_as_zero("ld #9\ntxa\nret a", 0)]
#[case::neg("ld #1\nneg\nret a", 0xffff_ffff)]
#[case::scratch("ld #42\nst M[15]\nld #0\nld M[15]\nret a", 42)]
#[case::scratch_of_x("ldx #42\nstx M[3]\nldx #0\nldx M[3]\ntxa\nret a", 42)]
#[case::len("ld len\nret a", 64)]
#[case::len_whatever_k(".insn 0x81, 0, 0, 3\ntxa\nret a", 64)]
#[case::logic("ld #0b1100\nor #0b0011\nand #0b1010\nxor #0b0110\nret a", 0b1100)]
#[case::logic_by_x("ld #6\nldx #3\nand x\nor x\nxor x\nret a", 0)]
#[case::tax("ld #5\ntax\nadd x\nret a", 10)]
#[case::ret_a_is_the_whole_word("ld #0x7fc01234\nret a", 0x7fc0_1234)]
#[case::ret_k("ret #0x80000001", 0x8000_0001)]
#[case::ja("ja +1\nret #1\nret #2", 2)]
fn arithmetic(#[case] text: &str, #[case] word: u32) {
    assert_eq!(run(text, &SeccompData::default()), word);
}

#[rstest]
#[case::equal("jeq", 5, [false, true, false])]
#[case::not_equal("jne", 5, [true, false, true])]
#[case::greater("jgt", 5, [false, false, true])]
#[case::greater_or_equal("jge", 5, [false, true, true])]
#[case::less("jlt", 5, [true, false, false])]
#[case::less_or_equal("jle", 5, [true, true, false])]
#[case::bits("jset", 2, [false, false, true])]
fn jumps(#[case] name: &str, #[case] with: u32, #[case] taken: [bool; 3]) {
    for (value, taken) in [4, 5, 6].into_iter().zip(taken) {
        let by_k = format!("ld #{value}\n{name} #{with}, yes\nret #0\nyes: ret #1");
        let by_x = format!("ldx #{with}\nld #{value}\n{name} x, yes\nret #0\nyes: ret #1");
        for text in [by_k, by_x] {
            assert_eq!(run(&text, &SeccompData::default()), u32::from(taken), "{text}");
        }
    }
}

/// `data-layout`, `data-args-halves`, `data-args-full-64`.
#[rstest]
#[case::nr("ld [0]", 0xffff_ffff)]
#[case::arch("ld [4]", AUDIT_ARCH_X86_64)]
#[case::ip_low("ld [8]", 0x4444_3333)]
#[case::ip_high("ld [12]", 0x2222_1111)]
#[case::first_argument("ld [16]", 0x0000_0002)]
#[case::first_argument_high("ld [20]", 0x0000_0001)]
#[case::last_argument("ld [56]", 0x5555_5555)]
#[case::last_argument_high("ld [60]", 0x6666_6666)]
fn layout(#[case] load: &str, #[case] word: u32) {
    let data = SeccompData {
        nr: -1,
        arch: AUDIT_ARCH_X86_64,
        instruction_pointer: 0x2222_1111_4444_3333,
        args: [0x1_0000_0002, 0, 0, 0, 0, 0x6666_6666_5555_5555],
    };
    assert_eq!(run(&format!("{load}\nret a"), &data), word);
}

/// `data-x32-deny-pattern`.
#[test]
fn the_usual_prologue_refuses_x32_and_other_arches() {
    let text = "ld [arch]
                jne #AUDIT_ARCH_X86_64, kill
                ld [nr]
                jge #0x40000000, kill
                ret ALLOW
          kill: ret KILL_PROCESS";
    let word = |nr, arch| run(text, &SeccompData { nr, arch, ..SeccompData::default() });
    assert_eq!(word(83, AUDIT_ARCH_X86_64), 0x7fff_0000);
    assert_eq!(word(83 | 0x4000_0000, AUDIT_ARCH_X86_64), 0x8000_0000);
    assert_eq!(word(-1, AUDIT_ARCH_X86_64), 0x8000_0000);
    assert_eq!(word(39, AUDIT_ARCH_I386), 0x8000_0000);
}

/// What the kernel would refuse ends with 0 here, and ends.
#[rstest]
#[case::empty("")]
#[case::no_return("ld #1")]
#[case::jump_out("ld #1\nja +0xffffffff\nret a")]
#[case::branch_out("ld #1\njeq #1, +200\nret a")]
#[case::unknown(".insn 0xffff, 0, 0, 1\nret #1")]
#[case::unaligned("ld [3]\nret #1")]
#[case::out_of_data("ld [64]\nret #1")]
#[case::for_sockets("mod #3\nret #1")]
#[case::constant_division("ld #1\ndiv #0\nret #1")]
fn invalid_programs_end_with_zero(#[case] text: &str) {
    assert_eq!(evaluate(&assemble(text).unwrap(), &SeccompData::default()), 0);
}

proptest! {
    /// Nothing but `div x` and what the program says itself makes a valid
    /// program return.
    #[test]
    fn valid_programs_return_one_of_their_words(program in any_program(), nr: i32) {
        let data = SeccompData { nr, ..SeccompData::default() };
        if validate(&program).is_ok() && !program.iter().any(|one| matches!(one.code, RET_A | DIV_X)) {
            let word = evaluate(&program, &data);
            prop_assert!(program.iter().any(|one| one.code == RET_K && one.k == word));
        }
    }
}
