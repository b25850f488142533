use rstest::rstest;

use crate::abi::SockFilter;
use crate::bpf::code::*;
use crate::bpf::{Program, assemble};

/// Takes a text to its instructions and back.
fn printed(text: &str) -> String {
    assemble(text).unwrap().to_string()
}

#[test]
fn a_filter_with_a_check_of_arch() {
    let text = "
        ld [arch]
        jeq #0xc000003e, native
        jeq #0x40000003, old
        ja deny
native: ld [nr]
        jeq #83, ask
        jeq #99999, ask, allow
old:    ld [nr]
        jeq #39, ask, allow
deny:   ret #0x80000000
ask:    ret #0x7fc00000
allow:  ret #0x7fff0000";
    let expected = "
     ld [arch]
     jeq #AUDIT_ARCH_X86_64, L4
     jeq #AUDIT_ARCH_I386, L7
     ja L9
L4:  ld [nr]
     jeq #SYS_mkdir, L10
     jeq #0x1869f, L10, L11
L7:  ld [nr]
     jeq #SYS_i386_mkdir, L10, L11
L9:  ret KILL_PROCESS
L10: ret USER_NOTIF
L11: ret ALLOW";
    assert_eq!(printed(text), expected.trim_start_matches('\n'));
}

/// Where the architecture is not known, a name is only a remark.
#[test]
fn a_filter_without_a_check_of_arch() {
    assert_eq!(
        printed("ld [nr]\njeq #83, +0, +1\nret ERRNO(EPERM)\nret ALLOW"),
        "    ld [nr]\n    jne #83, L3  ; mkdir on x86-64\n    ret ERRNO(EPERM)\nL3: ret ALLOW"
    );
}

/// What two paths disagree about is not known after they meet.
#[test]
fn knowledge_ends_where_paths_meet() {
    let text = printed("ld [nr]\njeq #1, +1\nld [arch]\njeq #0x40000003, +0\nret a");
    assert!(text.ends_with("L3: jeq #0x40000003, +0\n    ret a"), "{text}");
}

#[rstest]
#[case::field(stmt(LD_W_ABS, 60), "ld [args[5].hi]")]
#[case::no_field(stmt(LD_W_ABS, 61), "ld [61]")]
#[case::half(stmt(LD_H_ABS, 0), "ldh [0]")]
#[case::ip(stmt(LD_W_ABS, 12), "ld [ip_hi]")]
#[case::small(stmt(ADD_K, 4095), "add #4095")]
#[case::large(stmt(MUL_K, 4096), "mul #0x1000")]
#[case::mask(stmt(AND_K, 255), "and #0xff")]
#[case::mask_of_a_jump(jump(JSET_K, 16, 1, 0), "jset #0x10, +1")]
#[case::jump_out(stmt(JA, 4), "ja +4")]
#[case::next(jump(JEQ_K, 4, 0, 0), "jeq #4, +0")]
#[case::inverse(jump(JGE_K, 4, 0, 9), "jlt #4, +9")]
#[case::no_inverse(jump(JSET_X, 0, 0, 9), "jset x, +0, +9")]
#[case::both(jump(JGT_X, 0, 8, 9), "jgt x, +8, +9")]
#[case::action_with_ignored_data(stmt(RET_K, 0x7fff_1234), "ret #0x7fff1234")]
#[case::unused_k(stmt(TAX, 1), ".insn 0x07, 0, 0, 0x1")]
#[case::unused_jump_fields(jump(LD_W_ABS, 0, 1, 2), ".insn 0x20, 1, 2, 0x0")]
#[case::unknown(stmt(0xabcd, 0x10), ".insn 0xabcd, 0, 0, 0x10")]
fn one_instruction(#[case] instruction: SockFilter, #[case] text: &str) {
    assert_eq!(Program(vec![instruction]).to_string(), text);
}

#[test]
fn nothing_is_printed_for_nothing() {
    assert_eq!(Program::default().to_string(), "");
}

#[test]
fn programs_are_stored_as_plain_lists() {
    let program = assemble("ret a").unwrap();
    let json = serde_json::to_string(&program).unwrap();
    assert_eq!(json, r#"[{"code":22,"jt":0,"jf":0,"k":0}]"#);
    assert_eq!(serde_json::from_str::<Program>(&json).unwrap(), program);
}
