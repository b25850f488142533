//! The scenario language: what is printed reads back as the same, and what is
//! wrong is told with its place.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rstest::rstest;
use unotify_lab::filter::{Action, Arch, Comparison, Condition, Rule, Rules, Syscall};
use unotify_lab::scenario::*;

const ACTORS: [&str; 3] = ["T", "S", "P"];
const NAMES: [&str; 5] = ["n1", "L", "fd", "path", "H"];
const CONSTANTS: [&str; 5] = ["EPERM", "O_RDONLY", "CONTINUE", "AT_FDCWD", "POLLIN"];
const SIGNALS: [&str; 3] = ["SIGUSR1", "SIGCHLD", "SIGSYS"];

fn one_of(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(names).prop_map(str::to_owned)
}

fn number() -> impl Strategy<Value = Value> {
    let radix = prop::sample::select(&[Radix::Decimal, Radix::Hexadecimal, Radix::Octal][..]);
    (any::<u64>(), radix).prop_map(|(value, radix)| Value::Number(value, radix))
}

fn single() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        number(),
        one_of(&CONSTANTS).prop_map(Value::Constant),
        one_of(&NAMES).prop_map(Value::Name),
        one_of(&NAMES).prop_map(Value::Address),
        one_of(&ACTORS).prop_map(Value::Pid),
        (one_of(&NAMES), any::<i32>()).prop_map(|(name, by)| Value::Offset(name, i64::from(by))),
        (one_of(&NAMES), 0u8..6).prop_map(|(name, arg)| Value::Field(name, Field::Arg(arg))),
        one_of(&NAMES).prop_map(|name| Value::Field(name, Field::Nr)),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(Value::Text),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|value| Value::Negative(Box::new(value))),
            prop::collection::vec(inner, 0..3).prop_map(Value::Words),
        ]
    })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => single(),
        1 => prop::collection::vec(single(), 2..4).prop_map(Value::Or),
    ]
}

fn placed<T>(value: T) -> Placed<T> {
    Placed { value, span: Span::default() }
}

fn call() -> impl Strategy<Value = Act> {
    let entry = prop::sample::select(&[Entry::Native, Entry::Int80, Entry::X32][..]);
    let callee = prop_oneof![
        one_of(&["mkdir", "openat", "getpid"]).prop_map(|n| Callee::Named(Syscall::Name(n))),
        any::<u64>().prop_map(Callee::Number),
    ];
    (entry, callee, prop::collection::vec(value().prop_map(placed), 0..=6))
        .prop_map(|(entry, call, args)| Act::Call { entry, call, args })
}

/// Any use of a verb that its form allows.
fn verb(who: Who) -> impl Strategy<Value = (Act, bool)> {
    let forms: Vec<&'static Signature> = VERBS.iter().filter(|form| form.who == who).collect();
    prop::sample::select(forms).prop_flat_map(|form| {
        let operands = form.required..=form.operands.len();
        let options = prop::sample::subsequence(form.options, 0..=form.options.len());
        (prop::collection::vec(value(), operands), options).prop_flat_map(
            move |(operands, options)| {
                let values = prop::collection::vec(value(), options.len());
                let (operands, options) = (operands.clone(), options.clone());
                values.prop_map(move |values| {
                    let options = options
                        .iter()
                        .zip(values)
                        .map(|((key, _), value)| ((*key).to_owned(), placed(value)))
                        .collect();
                    let operands = operands.iter().cloned().map(placed).collect();
                    (Act::Verb { verb: form.verb, operands, options }, form.binds)
                })
            },
        )
    })
}

fn operation(who: Who) -> impl Strategy<Value = Operation> {
    let act = match who {
        Who::Actor => prop_oneof![call().prop_map(|act| (act, true)), verb(who)].boxed(),
        Who::Director => verb(who).boxed(),
    };
    (act, prop::option::of(one_of(&NAMES))).prop_map(|((act, may_bind), name)| Operation {
        label: None,
        act,
        binds: name.filter(|_| may_bind),
        span: Span::default(),
    })
}

fn step() -> impl Strategy<Value = Step> {
    let by_actor = (one_of(&ACTORS), prop::collection::vec(operation(Who::Actor), 1..3))
        .prop_map(|(actor, operations)| (Some(actor), operations));
    let by_director = prop::collection::vec(operation(Who::Director), 1..3)
        .prop_map(|operations| (None, operations));
    let by = prop_oneof![3 => by_actor, 1 => by_director];
    (by, any::<bool>()).prop_map(|((actor, operations), together)| Step {
        actor,
        operations,
        together,
        span: Span::default(),
    })
}

fn action() -> impl Strategy<Value = Action> {
    any::<u32>().prop_map(Action::from_u32)
}

fn rule() -> impl Strategy<Value = Rule> {
    let on = prop::collection::vec(one_of(&["mkdir", "read"]).prop_map(Syscall::Name), 0..3);
    let arch = prop::sample::select(&[Arch::X86_64, Arch::I386, Arch::X32][..]);
    let condition =
        (0u8..6, prop::option::of(any::<u64>()), any::<u64>()).prop_map(|(arg, mask, value)| {
            Condition {
                field: unotify_lab::filter::Field::Arg(arg),
                mask,
                comparison: Comparison::NotEqual,
                value,
            }
        });
    (on, arch, prop::collection::vec(condition, 0..3), action())
        .prop_map(|(on, arch, when, action)| Rule { on, arch, when, action })
}

fn filter() -> impl Strategy<Value = Filter> {
    let rules = (prop::collection::vec(rule(), 0..3), action())
        .prop_map(|(rules, default)| FilterBody::Rules(Rules { rules, default }));
    let assembly = one_of(&["ret ALLOW", "ld [nr]\nret a\n", "; say 'no'\nret #0"])
        .prop_map(FilterBody::Assembly);
    let flags = prop::option::of(one_of(&CONSTANTS).prop_map(Value::Constant));
    (prop_oneof![rules, assembly], flags, prop::option::of(one_of(&NAMES)), any::<bool>()).prop_map(
        |(body, flags, listener, via_prctl)| Filter {
            body,
            flags,
            listener,
            via_prctl,
            span: Span::default(),
        },
    )
}

fn actor(index: usize) -> impl Strategy<Value = Actor> {
    let role = prop::sample::select(&[Role::Target, Role::Supervisor, Role::Tracer][..]);
    let stack = prop_oneof![
        filter().prop_map(StackEntry::Inline),
        Just(StackEntry::Named("F".to_owned())),
    ];
    let handlers = prop::collection::btree_map(
        one_of(&SIGNALS),
        one_of(&CONSTANTS).prop_map(Value::Constant),
        0..2,
    );
    (
        (role, any::<bool>(), prop::collection::vec(stack, 0..3), handlers),
        (
            prop::collection::vec(one_of(&SIGNALS), 0..2),
            prop::option::of(Just(vec!["L".to_owned()])),
        ),
        (any::<bool>(), prop::option::of(any::<u32>()), any::<bool>(), prop::option::of(0u32..4)),
    )
        .prop_map(
            move |((role, no_new_privs, filters, handlers), (signals, listeners), rest)| {
                let (scm, user, no_capabilities, cpu) = rest;
                Actor {
                    name: ACTORS[index].to_owned(),
                    role,
                    no_new_privs,
                    filters,
                    handlers,
                    ignored: signals.clone(),
                    blocked: signals,
                    listeners,
                    keeps: Vec::new(),
                    via: if scm { Transfer::ScmRights } else { Transfer::PidfdGetfd },
                    user,
                    no_capabilities,
                    cpu,
                    policy: cpu.map(|_| Policy::Fifo),
                    namespaces: user.map(|_| Namespace::Pid).into_iter().collect(),
                    span: Span::default(),
                }
            },
        )
}

fn scenario() -> impl Strategy<Value = Scenario> {
    (
        "[ -~]{0,30}",
        (actor(0), actor(1), actor(2)),
        prop::collection::vec(step(), 0..6),
        prop::option::of(filter()),
        prop::collection::vec(prop::sample::select(Need::ALL), 0..3),
        any::<bool>(),
    )
        .prop_map(|(summary, (a, b, c), mut steps, filter, needs, extras)| {
            if let Some(first) = steps.first_mut() {
                first.operations[0].label = extras.then(|| "first".to_owned());
                if let Some(second) = first.operations.get_mut(1) {
                    second.label = extras.then(|| "second".to_owned());
                }
            }
            Scenario {
                id: "theme/name".to_owned(),
                summary,
                behaviours: vec!["a".to_owned()],
                facts: if extras { vec!["recv-fifo".to_owned()] } else { Vec::new() },
                needs: needs.into_iter().map(|(need, _, _)| need).collect(),
                buffers: if extras {
                    vec![
                        ("path".to_owned(), placed(Buffer::Text("a\"b\n".to_owned()))),
                        ("big".to_owned(), placed(Buffer::Size(64))),
                    ]
                } else {
                    Vec::new()
                },
                held: if extras { vec![placed("H".to_owned())] } else { Vec::new() },
                filters: filter.map(|filter| ("F".to_owned(), filter)).into_iter().collect(),
                actors: vec![a, b, c],
                steps,
            }
        })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_as_the_same(scenario in scenario()) {
        let text = scenario.to_string();
        let read = parse("theme/name", "test.toml", &text);
        let read = read.unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
        prop_assert_eq!(&read[..], &[scenario][..], "{}", text);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(?s).{0,200}") {
        let _ = parse("theme/name", "test.toml", &text);
        let steps = format!("summary = 's'\n[target.T]\n[schedule]\nsteps = '''\n{text}\n'''");
        if let Ok(scenarios) = parse("theme/name", "test.toml", &steps) {
            let _ = scenarios[0].schedule();
        }
        let line = format!("summary = 's'\n[target.T]\n[schedule]\nsteps = '''\nT: {text}\n'''");
        let _ = parse("theme/name", "test.toml", &line);
    }
}

fn file(header: &str, steps: &str) -> String {
    format!("summary = \"s\"\n{header}\n[schedule]\nsteps = \"\"\"\n{steps}\n\"\"\"\n")
}

const STAGE: &str = "[target.T]\nfilters = [{ on = \"mkdir\", do = \"USER_NOTIF\", listener = \"L\" }]\n[supervisor.S]";

fn mistakes(text: &str) -> String {
    let scenarios = match parse("theme/name", "test.toml", text) {
        Err(mistakes) => return mistakes.to_string(),
        Ok(scenarios) => scenarios,
    };
    let wrong = |scenario: &Scenario| {
        let found = scenario.schedule().err()?;
        Some(found.into_iter().map(|one| one.in_case(&scenario.id)).collect())
    };
    let diagnostics = scenarios.iter().find_map(wrong).expect("the scenario is wrong");
    Mistakes { path: "test.toml".to_owned(), source: text.to_owned(), diagnostics }.to_string()
}

#[rstest]
#[case::unknown_verb(STAGE, "S: receive L")]
#[case::mistyped_verb(STAGE, "S: rcev L as n1")]
#[case::unknown_actor(STAGE, "X: mkdir(\"d\", 0)")]
#[case::actor_missing(STAGE, "mkdir(\"d\", 0)")]
#[case::director_verb_by_actor(STAGE, "T: kill S")]
#[case::unknown_id(STAGE, "S: send n1 val=1")]
#[case::id_before_it_is_bound(STAGE, "S: send n1\nS: recv L as n1")]
#[case::name_bound_twice(STAGE, "S: recv L as n1\nS: recv L as n1")]
#[case::unknown_option(STAGE, "S: recv L timeout=3")]
#[case::option_twice(STAGE, "S: poll L timeout=3 timeout=4")]
#[case::operand_missing(STAGE, "S: recv")]
#[case::not_a_signal(STAGE, "signal T SIGFOO")]
#[case::not_an_actor(STAGE, "signal L SIGUSR1")]
#[case::unknown_call(STAGE, "T: mkdri(\"d\", 0)")]
#[case::call_of_another_table(STAGE, "T: mkdir(\"d\", 0)\nT: int80 newfstatat(1)")]
#[case::too_many_arguments(STAGE, "T: mkdir(1, 2, 3, 4, 5, 6, 7)")]
#[case::bad_number(STAGE, "T: mkdir(12ab)")]
#[case::number_too_large(STAGE, "T: mkdir(0x1ffffffffffffffff)")]
#[case::endless_string(STAGE, "T: mkdir(\"d, 0)")]
#[case::unknown_character(STAGE, "T: mkdir(§)")]
#[case::label_twice(STAGE, "a: T: getpid()\na: T: getpid()")]
#[case::no_descriptor(STAGE, "T: recv L")]
#[case::never_started("[target.T]\n[target.C]", "C: getpid()\nT: fork C")]
#[case::started_twice("[target.T]\n[target.C]", "T: fork C\nT: fork C")]
#[case::field_of_no_notification(STAGE, "T: mkdir(L.args[0])")]
#[case::unknown_field(STAGE, "S: recv L as n1\nS: send n1 val=n1.foo")]
#[case::no_listener(STAGE, "S: send 7 val=1")]
#[case::bad_place(STAGE, "S: recv L at=nowhere")]
#[case::unknown_filter(STAGE, "T: install F")]
#[case::two_actors_of_one_name("[target.T]\n[supervisor.T]", "T: getpid()")]
#[case::name_is_a_constant("[target.EPERM]", "EPERM: getpid()")]
#[case::unknown_need("needs = [\"luck\"]\n[target.T]", "T: getpid()")]
#[case::unknown_key("[target.T]\ncolour = \"red\"", "T: getpid()")]
#[case::unknown_action("[target.T]\nfilters = [{ on = \"mkdir\", do = \"DENY\" }]", "T: getpid()")]
#[case::unknown_call_in_a_rule(
    "[target.T]\nfilters = [{ on = \"mkdri\", do = \"LOG\" }]",
    "T: getpid()"
)]
#[case::bad_condition(
    "[target.T]\nfilters = [{ on = \"mkdir\", when = \"arg0 = 3\", do = \"LOG\" }]",
    "T: getpid()"
)]
#[case::two_programs(
    "[target.T]\nfilters = [{ on = \"mkdir\", do = \"LOG\", asm = \"ret #0\" }]",
    "T: getpid()"
)]
#[case::bad_assembly(
    "[filter.F]\nasm = \"\"\"\nld [arch]\njeq #1, nowhere\nret #0\n\"\"\"\n[target.T]",
    "T: getpid()"
)]
#[case::buffer_too_small("[buffers]\nb = \"x\"\n[target.T]", "T: store b \"long\"")]
#[case::wrong_type("behaviours = 3\n[target.T]", "T: getpid()")]
#[case::nobody("", "delay 3")]
#[case::started_by_itself("[target.A]", "A: thread A")]
#[case::started_in_a_circle("[target.T]\n[target.A]\n[target.B]", "A: thread B\nB: thread A")]
#[case::delay_too_long("[target.T]", "delay 600000")]
#[case::one_name_twice(
    "[buffers]\nF = 8\n[filter.F]\non = \"mkdir\"\ndo = \"LOG\"\n[target.T]",
    "T: install F"
)]
#[case::no_case("[each]\nx = []\n[target.T]", "T: getpid()")]
#[case::race_with_nothing(STAGE, "| T: getpid()")]
#[case::race_of_one(STAGE, "T: getpid()\n| T: getpid()")]
#[case::race_of_the_harness(STAGE, "T: getpid()\n| delay 3")]
#[case::race_after_the_harness(STAGE, "delay 3\n| T: getpid()")]
#[case::no_window(STAGE, "in pending: T: getpid()")]
#[case::unknown_window("[each]\nwindow = [\"pending\"]\n[target.T]", "in received: T: getpid()")]
#[case::parameter_without_each("[target.T]", "T: mkdir(\"d\", $mode)")]
#[case::unknown_parameter("[each]\nmode = [\"1\", \"2\"]\n[target.T]", "T: mkdir(\"d\", $mod)")]
#[case::parameter_in_an_action(
    "[each]\nerror = [\"EPERM\", \"EFOO\"]\n[target.T]\nfilters = [{ on = \"mkdir\", do = \"ERRNO($error)\" }]",
    "T: getpid()"
)]
#[case::late_in_one_of_several(
    "[each]\nfd = [\"0\", \"n1\"]\nlong = [\"a long value in the line before\"]\n[target.T]",
    "T: mkdir(\"$long\", 0); close($fd)"
)]
#[case::key_missing("[target.T]\n[filter.F]\nrules = [{ on = \"mkdir\" }]", "T: install F")]
#[case::type_of_a_number("[target.T]\ncpu = \"first\"", "T: getpid()")]
#[case::type_of_a_table("target = 3", "T: getpid()")]
#[case::key_twice("needs = []\nneeds = []\n[target.T]", "T: getpid()")]
#[case::endless_toml("[target.T]\nuser = [", "T: getpid()")]
#[case::user_of_a_child("[target.T]\n[target.C]\nuser = 65534", "T: fork C")]
#[case::policy_of_a_thread("[target.T]\n[target.C]\npolicy = \"fifo\"\ncpu = 0", "T: thread C")]
#[case::namespaces_of_a_child("[target.T]\n[target.C]\nnamespaces = [\"pid\"]", "T: fork C")]
#[case::listeners_of_a_child("[target.T]\n[supervisor.S]\nlisteners = []", "T: fork S")]
#[case::keeps_what_is_not_there("[target.T]\nkeeps = [\"M\"]", "T: getpid()")]
#[case::takes_what_is_not_there("[target.T]\n[supervisor.S]\nlisteners = [\"M\"]", "T: getpid()")]
#[case::raw_fork("[target.T]", "T: fork()")]
#[case::raw_clone_by_number("[target.T]", "T: #56(17)")]
#[case::raw_vfork_of_i386("[target.T]", "T: int80 vfork()")]
#[case::fork_by_a_tracer("[target.T]\n[tracer.P]", "P: set_register T nr 57")]
#[case::held_by_a_child("held = [\"H\"]\n[target.T]\n[target.C]", "T: fork C\nC: mkdir(&H, 0)")]
#[case::released_with_a_number("held = [\"H\"]\n[target.T]", "release H 3")]
#[case::held_name_twice("held = [\"H\"]\n[buffers]\nH = 8\n[target.T]", "release H")]
#[case::shown_id(STAGE, "T: mkdir(\"d\", 0)\nS: recv L as n1\nS: send n1 val=n1.id")]
#[case::shown_id_in_a_call(STAGE, "T: mkdir(\"d\", 0)\nS: recv L as n1\nS: mkdir(\"e\", n1)")]
#[case::too_many_held("held = [\"A\", \"B\", \"C\", \"D\", \"E\"]\n[target.T]", "release A")]
fn mistakes_are_told_with_their_place(#[case] header: &str, #[case] steps: &str) {
    let name = std::thread::current().name().expect("tests have names").to_owned();
    let case = name.rsplit("case_").next().expect("it has a case").to_owned();
    let case = case.split_once('_').map_or(case.clone(), |(_, name)| name.to_owned());
    insta::assert_snapshot!(case, mistakes(&file(header, steps)));
}

#[rstest]
#[case::nothing("", "", &[])]
#[case::named("needs = [\"freezer\"]", "", &[Need::Freezer])]
#[case::policy("", "policy = \"fifo\"", &[Need::Realtime])]
#[case::idle("", "policy = \"idle\"", &[])]
#[case::user("", "user = 65534", &[Need::Root])]
#[case::own_user_namespace("", "namespaces = [\"user\", \"pid\"]", &[Need::UserNamespace])]
#[case::own_pid_namespace("", "namespaces = [\"pid\"]", &[Need::Root])]
#[case::second_processor("", "cpu = 1", &[Need::TwoCpus])]
#[case::held("held = [\"H\"]", "", &[Need::Userfaultfd])]
fn needs_follow_from_tables(#[case] header: &str, #[case] actor: &str, #[case] needs: &[Need]) {
    let text = file(&format!("{header}\n[target.T]\n{actor}"), "T: getpid()");
    let scenarios = parse("theme/name", "test.toml", &text).expect("it is right");
    assert_eq!(scenarios[0].all_needs(), needs);
    assert_eq!(scenarios[0].schedule().expect("it is right").needs, needs);
}

#[rstest]
#[case("freeze T", &[Need::Freezer])]
#[case("thaw T", &[Need::Freezer])]
#[case("T: int80 getpid()", &[Need::Ia32])]
#[case("T: x32 getpid()", &[])]
fn needs_follow_from_steps(#[case] step: &str, #[case] needs: &[Need]) {
    let scenarios =
        parse("theme/name", "test.toml", &file("[target.T]", step)).expect("it is right");
    assert_eq!(scenarios[0].all_needs(), needs);
}

#[test]
fn garbage_of_ten_megabytes_is_refused_at_once() {
    for byte in [b'a', b'\n', b'"', 0xff] {
        let text = String::from_utf8_lossy(&vec![byte; 10 << 20]).into_owned();
        let told = mistakes(&text);
        assert!(told.len() < 2000, "{}", told.len());
        assert!(told.contains("test.toml:1"), "{told}");
    }
}

#[test]
fn deep_values_and_endless_parameters_are_refused() {
    for deep in ["-", "["] {
        let told = mistakes(&file("[target.T]", &format!("T: mkdir({})", deep.repeat(500_000))));
        assert!(told.contains("deep in one another"), "{told}");
    }
    let ten = "[\"0\",\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]";
    let each: String = ('a'..='i').map(|name| format!("{name} = {ten}\n")).collect();
    let told = mistakes(&file(&format!("[each]\n{each}[target.T]"), "T: getpid()"));
    assert!(told.contains("or too many"), "{told}");
    let bad = "T: mkdri()\n".repeat(40_000);
    let told = mistakes(&file("[target.T]", &bad));
    assert!(told.ends_with("and 39980 more"), "{}", told.len());
}

#[test]
fn the_file_of_a_case_names_its_parameters() {
    let text =
        file("[each]\na = [\"1\", \"2\"]\nb = [\"x\", \"y\"]\n[target.T]", "T: mkdir(\"$b\", $a)");
    let scenarios = parse("theme/name", "test.toml", &text).expect("it is right");
    let told: BTreeMap<&str, String> = scenarios
        .iter()
        .map(|scenario| (scenario.id.as_str(), scenario.steps[0].to_string()))
        .collect();
    insta::assert_debug_snapshot!(told);
}
