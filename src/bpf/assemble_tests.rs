use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use rstest::rstest;

use crate::abi::SockFilter;
use crate::bpf::code::*;
use crate::bpf::opcode::OPCODES;
use crate::bpf::{Program, assemble};

/// Any instruction at all, and often one with a name and small fields.
pub(super) fn any_instruction() -> impl Strategy<Value = SockFilter> {
    let codes: Vec<u16> = OPCODES.iter().map(|row| row.code).collect();
    let code = prop_oneof![8 => select(codes), 1 => any::<u16>(), 1 => 0..0x100_u16];
    let skip = || prop_oneof![4 => Just(0), 4 => 0..6_u8, 1 => any::<u8>()];
    let word = select(vec![
        0x7fc0_0000,
        0x7fff_0000,
        0x8000_0000,
        0x0005_0001,
        0x0005_0200,
        0x7ff0_0007,
        0xc000_003e,
        0x4000_0003,
    ]);
    let k = prop_oneof![2 => Just(0), 4 => 0..6_u32, 2 => 0..100_u32, 1 => word, 1 => any::<u32>()];
    (code, skip(), skip(), k).prop_map(|(code, jt, jf, k)| SockFilter { code, jt, jf, k })
}

/// Programs that stand a fair chance to be valid.
pub(super) fn any_program() -> impl Strategy<Value = Program> {
    let codes: Vec<u16> =
        OPCODES.iter().map(|row| row.code).filter(|&code| code != RET_X).collect();
    let instruction = (select(codes), 0..3_u8, 0..3_u8, 0..3_u32)
        .prop_map(|(code, jt, jf, k)| jump(code, if code == LD_W_ABS { 4 * k } else { k }, jt, jf));
    vec(instruction, 0..10).prop_map(|mut program| {
        // Jumps of up to 2 stay inside.
        program.extend([stmt(RET_A, 0), stmt(RET_K, 5), stmt(RET_K, 6)]);
        Program(program)
    })
}

#[rstest]
#[case::absolute("ld [4]", stmt(LD_W_ABS, 4))]
#[case::hexadecimal("ld [0x10]", stmt(LD_W_ABS, 16))]
#[case::nr("ld [nr]", stmt(LD_W_ABS, 0))]
#[case::arch("ld [arch]", stmt(LD_W_ABS, 4))]
#[case::ip("ld [ip]", stmt(LD_W_ABS, 8))]
#[case::ip_hi("ld [ip_hi]", stmt(LD_W_ABS, 12))]
#[case::ip_dot_hi("ld [instruction_pointer.hi]", stmt(LD_W_ABS, 12))]
#[case::argument("ld [args[0]]", stmt(LD_W_ABS, 16))]
#[case::argument_low("ld [args[1].lo]", stmt(LD_W_ABS, 24))]
#[case::argument_high("ld [ args [ 5 ] . hi ]", stmt(LD_W_ABS, 60))]
#[case::immediate("ldx #5", stmt(LDX_IMM, 5))]
#[case::negative("ld #-1", stmt(LD_IMM, 0xffff_ffff))]
#[case::scratch("st M[3]", stmt(ST, 3))]
#[case::scratch_out_of_range("ld M[99]", stmt(LD_MEM, 99))]
#[case::len("ld len", stmt(LD_W_LEN, 0))]
#[case::len_as_immediate("ldx #len", stmt(LDX_W_LEN, 0))]
#[case::half("ldh [12]", stmt(LD_H_ABS, 12))]
#[case::indirect("ldb [x + 4]", stmt(LD_B_IND, 4))]
#[case::indirect_percent("ld [%x+4]", stmt(LD_W_IND, 4))]
#[case::header_length("ldx 4*([14]&0xf)", stmt(LDX_B_MSH, 14))]
#[case::by_x("add x", stmt(ADD_X, 0))]
#[case::by_x_percent("mod %x", stmt(MOD_X, 0))]
#[case::shift("lsh #31", stmt(LSH_K, 31))]
#[case::neg("neg", stmt(NEG, 0))]
#[case::jump_relative("ja +3", stmt(JA, 3))]
#[case::jump_other_name("jmp +0xffffffff", stmt(JA, u32::MAX))]
#[case::branch("jeq #5, +1, +0", jump(JEQ_K, 5, 1, 0))]
#[case::branch_true_only("jset x, +255", jump(JSET_X, 0, 255, 0))]
#[case::not_equal("jneq #5, +2", jump(JEQ_K, 5, 0, 2))]
#[case::not_equal_short("jne x, +2", jump(JEQ_X, 0, 0, 2))]
#[case::less("jlt #5, +2", jump(JGE_K, 5, 0, 2))]
#[case::less_or_equal("jle #5, +2", jump(JGT_K, 5, 0, 2))]
#[case::arch_name("jeq #AUDIT_ARCH_X86_64, +1", jump(JEQ_K, 0xc000_003e, 1, 0))]
#[case::call("jeq #SYS_mkdir, +1", jump(JEQ_K, 83, 1, 0))]
#[case::call_other_prefix("jeq #__NR_mkdir, +1", jump(JEQ_K, 83, 1, 0))]
#[case::call_i386("jeq #SYS_i386_mkdir, +1", jump(JEQ_K, 39, 1, 0))]
#[case::call_x32("jeq #SYS_mkdir|__X32_SYSCALL_BIT, +1", jump(JEQ_K, 0x4000_0053, 1, 0))]
#[case::ret_number("ret #0x7fff0000", stmt(RET_K, 0x7fff_0000))]
#[case::ret_kernel_name("ret #SECCOMP_RET_USER_NOTIF", stmt(RET_K, 0x7fc0_0000))]
#[case::ret_short_name("ret USER_NOTIF", stmt(RET_K, 0x7fc0_0000))]
#[case::ret_or("ret #SECCOMP_RET_ERRNO|5", stmt(RET_K, 0x0005_0005))]
#[case::ret_or_name("ret #SECCOMP_RET_ERRNO | EPERM", stmt(RET_K, 0x0005_0001))]
#[case::ret_errno("ret #ERRNO(EPERM)", stmt(RET_K, 0x0005_0001))]
#[case::ret_data("ret TRACE(0x7)", stmt(RET_K, 0x7ff0_0007))]
#[case::ret_a("ret a", stmt(RET_A, 0))]
#[case::ret_x("ret x", stmt(RET_X, 0))]
#[case::raw(".insn 0x15, 1, 0, 0x20", jump(JEQ_K, 0x20, 1, 0))]
#[case::raw_invalid("x: .insn 0xffff, 255, 255, 0xffffffff", jump(0xffff, u32::MAX, 255, 255))]
fn one_instruction(#[case] text: &str, #[case] instruction: SockFilter) {
    assert_eq!(assemble(text), Ok(Program(vec![instruction])));
}

#[test]
fn labels_and_comments() {
    let text = "/* decides
                   on mkdir */ start: ld [nr]   ; the number
                  jeq #83, yes, no // a line comment
            yes:
                  ret #SECCOMP_RET_ERRNO|5 /* EIO */
            no: also: ret ALLOW";
    let program = [
        stmt(LD_W_ABS, 0),
        jump(JEQ_K, 83, 0, 1),
        stmt(RET_K, 0x0005_0005),
        stmt(RET_K, 0x7fff_0000),
    ];
    assert_eq!(assemble(text), Ok(Program(program.to_vec())));
    assert_eq!(assemble(" \n; nothing"), Ok(Program(vec![])));
}

#[rstest]
#[case::unknown_instruction("ldw [0]", "ldw", "unknown instruction `ldw`")]
#[case::listing_with_a_gap(
    " 0001: 0x06 0x00 0x00 0x00000000",
    "0001",
    "line 0001, where 0000 is next"
)]
#[case::c_without_an_end("{ 0x06, 0, 0, 0", "", "unexpected end")]
#[case::open_comment("ld [0] /* oh", "/*", "comment without an end")]
#[case::second_instruction("ld [0] ret a", "ret", "unexpected `ret`")]
#[case::wrong_operand("add M[0]", "M[0]", "`add` does not take `M[k]`")]
#[case::missing_operand("add", "", "`add` does not take nothing")]
#[case::operand_too_many("neg #3", "#3", "`neg` does not take `#k`")]
#[case::bare_number("add 3", "3", "unexpected `3`")]
#[case::no_field("ld [args]", "]", "unexpected `]`")]
#[case::no_such_field("ld [pid]", "pid", "unexpected `pid`")]
#[case::no_such_argument("ld [args[6]]", "6", "unexpected `6`")]
#[case::no_such_half("ld [args[0].mid]", "mid", "unexpected `mid`")]
#[case::bracket_open("ld [nr", "", "unexpected end")]
#[case::too_large("ld #0x100000000", "0x100000000", "`0x100000000` does not fit in 32 bits")]
#[case::unknown_call("jeq #SYS_mkdirr, +1", "SYS_mkdirr", "unknown name `SYS_mkdirr`")]
#[case::unknown_action("ret ERRNO(EWHAT)", "ERRNO(EWHAT)", "unknown action `ERRNO(EWHAT)`")]
#[case::no_data("ret ALLOW(1)", "ALLOW(1)", "unknown action `ALLOW(1)`")]
#[case::ret_nothing("ret", "", "`ret` does not take nothing")]
#[case::no_target("jeq #1", "", "unexpected end")]
#[case::number_as_target("jeq #1, 2", "2", "unexpected `2`")]
#[case::two_targets_of_an_inverse("jne #1, +1, +2", ",", "unexpected `,`")]
#[case::undefined("ja end\nret a", "end", "label `end` is not defined")]
#[case::backwards("up: ret a\nja up", "up", "label `up` is not ahead, and jumps only go forward")]
#[case::twice("up: neg\nup: neg\ntax", "up", "label `up` is defined twice")]
#[case::too_far("jeq #1, +256", "+256", "a conditional jump cannot skip 256 instructions")]
#[case::raw_code(
    ".insn 0x10000, 0, 0, 0",
    "0x10000",
    "0x10000 does not fit in the 16 bits of this field"
)]
#[case::raw_short(".insn 1, 2", "", "unexpected end")]
#[case::repeated_never("times 0 ret a", "0", "unexpected `0`")]
#[case::repeated_too_often("times 65536 ret a", "65536", "unexpected `65536`")]
#[case::repeated_jump(
    "times 2 ja end\nend: ret a",
    "ja",
    "a repeated instruction cannot go to a label"
)]
#[case::not_ascii("ld [nr] é", "é", "unexpected `é`")]
fn mistakes(#[case] text: &str, #[case] place: &str, #[case] message: &str) {
    let error = assemble(text).unwrap_err();
    assert_eq!(error.message, message);
    assert_eq!(&text[error.span.clone()], place);
    // Where a word occurs twice, the later place is the mistake.
    assert_eq!(error.span.start, text.rfind(place).unwrap());
}

#[test]
fn repeated_instructions() {
    let Program(program) = assemble("times 3 jeq x, +1, +1\nret a\nret a").unwrap();
    let branch = jump(JEQ_X, 0, 1, 1);
    assert_eq!(program[..3], [branch; 3]);
    assert_eq!(program.len(), 5);
    assert_eq!(assemble("times 65535 ret a").map(|program| program.0.len()), Ok(65535));
}

#[test]
fn messages_say_what_was_expected() {
    let error = assemble("add M[0]").unwrap_err();
    assert_eq!(error.to_string(), "`add` does not take `M[k]`, expected `#k` or `x`");
}

#[test]
fn a_label_too_far_away_for_a_branch() {
    let text = format!("jeq #1, end\n{}end: ret a", "tax\n".repeat(256));
    let error = assemble(&text).unwrap_err();
    assert_eq!(error.span, 8..11);
    let text = text.replace("jeq #1,", "ja");
    assert_eq!(assemble(&text).unwrap()[0], stmt(JA, 256));
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(program in vec(any_instruction(), 0..40)) {
        let program = Program(program);
        let text = program.to_string();
        prop_assert_eq!(assemble(&text), Ok(program), "\n{}", text);
    }

    #[test]
    fn one_line_an_instruction(program in vec(any_instruction(), 1..40)) {
        prop_assert_eq!(Program(program.clone()).to_string().lines().count(), program.len());
    }

    /// Spans always lie in the text, and nothing panics.
    #[test]
    fn any_text_is_read_or_refused(
        text in vec(select(vec![
            "ld", "[", "]", "#", "x", "M", "nr", "args", "0", "6", ".", ".insn", ",", "+", "-", "jeq",
            "ret", "ERRNO", "(", ")", "L:", "L", "\n", " ", ";", "/*", "*/", "//", "é", "4*(", "|", "len",
        ]), 0..12).prop_map(|words| words.concat())
    ) {
        if let Err(error) = assemble(&text) {
            prop_assert!(text.get(error.span.clone()).is_some(), "{:?} in {:?}", error, text);
        }
    }

    #[test]
    fn no_text_panics(text: String) {
        let _ = assemble(&text);
    }
}
