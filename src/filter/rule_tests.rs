use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use rstest::rstest;

use crate::abi::{AUDIT_ARCH_AARCH64, AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, SeccompData};
use crate::bpf::{assemble, evaluate, validate};
use crate::filter::{
    Action, Arch, Comparison, CompileError, Condition, Field, Rule, Rules, Syscall,
};

fn rule(on: &str, arch: Arch, when: &str, action: Action) -> Rule {
    Rule {
        on: on.split_whitespace().map(|call| call.parse().unwrap()).collect(),
        arch,
        when: when.split_terminator(',').map(|condition| condition.parse().unwrap()).collect(),
        action,
    }
}

fn call(nr: i32, arch: u32) -> SeccompData {
    SeccompData { nr, arch, ..SeccompData::default() }
}

/// The shapes that readers of a trace will see most.
#[rstest]
#[case::nothing(vec![], "ret ALLOW")]
#[case::one_call(
    vec![rule("mkdir", Arch::X86_64, "", Action::UserNotif)],
    "    ld [arch]
         jne #AUDIT_ARCH_X86_64, end
         ld [nr]
         jne #SYS_mkdir, end
         ret USER_NOTIF
    end: ret ALLOW"
)]
#[case::two_rules_share_the_loads(
    vec![
        rule("mkdir rmdir", Arch::X86_64, "", Action::UserNotif),
        rule("mkdir", Arch::X32, "", Action::Errno(1)),
    ],
    "     ld [arch]
          jne #AUDIT_ARCH_X86_64, end
          ld [nr]
          jeq #SYS_mkdir, yes
          jne #SYS_rmdir, more
    yes:  ret USER_NOTIF
    more: jne #SYS_mkdir|__X32_SYSCALL_BIT, end
          ret ERRNO(EPERM)
    end:  ret ALLOW"
)]
#[case::wide_comparison(
    vec![rule("", Arch::X86_64, "args[0] > 0x100000002", Action::Log)],
    "     ld [args[0].hi]
          jgt #1, yes
          jne #1, end
          ld [args[0]]
          jgt #2, yes, end
    yes:  ret LOG
    end:  ret ALLOW"
)]
#[case::narrow_mask(
    vec![rule("", Arch::X86_64, "args[1] & 0xff == 3", Action::Log)],
    "     ld [args[1]]
          and #0xff
          jne #3, end
          ret LOG
    end:  ret ALLOW"
)]
#[case::always(
    vec![rule("", Arch::X86_64, "", Action::Log), rule("mkdir", Arch::X86_64, "", Action::Trap(0))],
    "ret LOG"
)]
fn programs(#[case] rules: Vec<Rule>, #[case] text: &str) {
    let compiled = Rules { rules, default: Action::Allow }.compile().unwrap();
    assert_eq!(compiled, assemble(text).unwrap(), "\n{compiled}");
}

/// `data-x32-bit`, `data-arch-i386`, `data-nr-negative`.
#[rstest]
#[case::native(Arch::X86_64, "mkdir", call(83, AUDIT_ARCH_X86_64), true)]
#[case::native_is_not_x32(Arch::X86_64, "mkdir", call(83 | 1 << 30, AUDIT_ARCH_X86_64), false)]
#[case::x32(Arch::X32, "mkdir", call(83 | 1 << 30, AUDIT_ARCH_X86_64), true)]
#[case::i386(Arch::I386, "mkdir", call(39, AUDIT_ARCH_I386), true)]
#[case::i386_is_not_native(Arch::I386, "mkdir", call(39, AUDIT_ARCH_X86_64), false)]
#[case::negative(Arch::X86_64, "#-1", call(-1, AUDIT_ARCH_X86_64), true)]
fn which_calls_match(
    #[case] arch: Arch,
    #[case] on: &str,
    #[case] data: SeccompData,
    #[case] matches: bool,
) {
    let rules = Rules { rules: vec![rule(on, arch, "", Action::Log)], default: Action::Allow };
    let expected = if matches { Action::Log } else { Action::Allow };
    assert_eq!(rules.decide(&data), expected);
    assert_eq!(evaluate(&rules.compile().unwrap(), &data), expected.to_u32());
}

/// `data-args-full-64`: an argument that a call takes as an `int` is compared
/// whole.
#[test]
fn arguments_are_compared_in_all_their_bits() {
    let rules = Rules {
        rules: vec![rule("", Arch::X86_64, "args[0] == 2", Action::Log)],
        default: Action::Allow,
    };
    let program = rules.compile().unwrap();
    let data = |value| SeccompData { args: [value, 0, 0, 0, 0, 0], ..SeccompData::default() };
    assert_eq!(evaluate(&program, &data(2)), Action::Log.to_u32());
    assert_eq!(evaluate(&program, &data(0x1_0000_0002)), Action::Allow.to_u32());
}

#[test]
fn what_cannot_be_compiled() {
    let error = |rule| Rules { rules: vec![rule], default: Action::Allow }.compile().unwrap_err();
    let condition = |field, value| Rule {
        when: vec![Condition { field, mask: None, comparison: Comparison::Equal, value }],
        ..rule("", Arch::X86_64, "", Action::Log)
    };
    assert_eq!(
        error(rule("socketcall", Arch::X86_64, "", Action::Log)).to_string(),
        "rule 0: x86_64 has no system call `socketcall`"
    );
    assert_eq!(error(condition(Field::Arg(6), 0)).to_string(), "rule 0: there is no args[6]");
    assert_eq!(
        error(condition(Field::Nr, 1 << 32)).to_string(),
        "rule 0: nr has 32 bits, and 0x100000000 needs more"
    );
    let calls = vec![Syscall::Number(1); 5000];
    assert_eq!(
        error(Rule { on: calls, ..rule("", Arch::X86_64, "", Action::Log) }),
        CompileError::TooLong { length: 5025 }
    );
}

/// Values near each other, so that comparisons go both ways.
fn any_value() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..4_u64,
        (0..3_u64, 0..3_u64).prop_map(|(high, low)| high << 32 | low),
        (0..3_u64).prop_map(|below| u64::MAX - below),
        any::<u64>(),
        select(vec![AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64]).prop_map(u64::from),
    ]
}

/// Conditions that can be compiled.
pub(super) fn any_condition() -> impl Strategy<Value = Condition> {
    let field = prop_oneof![
        Just(Field::Nr),
        Just(Field::Arch),
        Just(Field::InstructionPointer),
        (0..6_u8).prop_map(Field::Arg),
    ];
    let comparison = select(vec![
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ]);
    (field, proptest::option::of(any_value()), comparison, any_value()).prop_map(
        |(field, mask, comparison, value)| {
            let max = u64::MAX >> (64 - field.bits());
            Condition { field, mask: mask.map(|mask| mask & max), comparison, value: value & max }
        },
    )
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let on = prop_oneof![
        8 => vec((0..4_i32).prop_map(Syscall::Number), 0..3),
        1 => vec((0..400_i32).prop_map(Syscall::Number), 250..300),
        1 => Just(vec![Syscall::Name("mkdir".to_owned())]),
    ];
    let arch = select(vec![Arch::X86_64, Arch::I386, Arch::X32]);
    (on, arch, vec(any_condition(), 0..3), any::<u32>().prop_map(Action::from_u32))
        .prop_map(|(on, arch, when, action)| Rule { on, arch, when, action })
}

fn any_data() -> impl Strategy<Value = SeccompData> {
    let nr = prop_oneof![0..5_i32, Just(83), Just(39), (0..4_i32).prop_map(|nr| nr | 1 << 30)];
    let arch = select(vec![AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64]);
    let args = proptest::array::uniform6(any_value());
    (nr, arch, any_value(), args).prop_map(|(nr, arch, instruction_pointer, args)| SeccompData {
        nr,
        arch,
        instruction_pointer,
        args,
    })
}

proptest! {
    #[test]
    fn programs_are_valid_and_agree_with_the_rules(
        rules in vec(any_rule(), 0..8),
        default in any::<u32>().prop_map(Action::from_u32),
        data in vec(any_data(), 32),
    ) {
        let rules = Rules { rules, default };
        let program = rules.compile().unwrap();
        prop_assert_eq!(validate(&program), Ok(()));
        for data in &data {
            prop_assert_eq!(evaluate(&program, data), rules.decide(data).to_u32());
        }
    }

    /// Every call of a long list is found, wherever a detour had to be made.
    #[test]
    fn long_lists_reach_their_action(length in 1..600_i32, nr in 0..600_i32, when in vec(any_condition(), 0..2)) {
        let on = (0..length).map(Syscall::Number).collect();
        let long = Rule { on, arch: Arch::X86_64, when, action: Action::Log };
        let last = rule("#3", Arch::X86_64, "", Action::UserNotif);
        let rules = Rules { rules: vec![long, last], default: Action::Allow };
        let program = rules.compile().unwrap();
        prop_assert_eq!(validate(&program), Ok(()));
        let data = call(nr, AUDIT_ARCH_X86_64);
        prop_assert_eq!(evaluate(&program, &data), rules.decide(&data).to_u32());
    }
}
