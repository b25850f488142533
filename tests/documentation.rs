//! The reference of the scenario language says what the language has.
//!
//! `UPDATE_DOCUMENTATION=1 cargo test --test documentation` writes it anew.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use unotify_lab::scenario::{Kind, Need, Signature, VERBS, Who};

const MARK: &str = "<!-- made from the table of verbs by tests/documentation.rs -->\n";

fn form(signature: &Signature) -> String {
    let mut form = signature.word.to_owned();
    for (index, (called, _)) in signature.operands.iter().enumerate() {
        let word = called.trim_start_matches("an ").trim_start_matches("a ");
        let word = word.trim_start_matches("the ").to_uppercase().replace(' ', "-");
        let _ = match index < signature.required {
            true => write!(form, " {word}"),
            false => write!(form, " [{word}]"),
        };
    }
    for (key, kind) in signature.options {
        let _ = match kind {
            Kind::OneOf(words) => write!(form, " [{key}={}]", words.join("\\|")),
            _ => write!(form, " [{key}=…]"),
        };
    }
    if signature.binds {
        form.push_str(" [as NAME]");
    }
    form
}

fn tables() -> String {
    let mut text = String::new();
    for (who, title) in [(Who::Actor, "Verbs of actors"), (Who::Director, "Verbs of the director")]
    {
        let _ = write!(text, "\n## {title}\n\n| form | meaning |\n| --- | --- |\n");
        for signature in VERBS.iter().filter(|signature| signature.who == who) {
            let _ = writeln!(text, "| `{}` | {} |", form(signature), signature.meaning);
        }
    }
    text.push_str("\n## Needs\n\n");
    text.push_str(FOLLOWING);
    text.push_str("\n| word | meaning |\n| --- | --- |\n");
    for (_, word, meaning) in Need::ALL {
        let _ = writeln!(text, "| `{word}` | {meaning} |");
    }
    text
}

const FOLLOWING: &str = "\
Some follow by themselves: `realtime` from `policy = \"fifo\"`, `two-cpus` from
`cpu = 1`, `root` from `user` and from `pid` and `mount` in `namespaces` without
`user`, `user-namespace` from `user` there, `userfaultfd` from `held`, `ia32` from
`int80`, and `freezer` from `freeze` and `thaw`. A file names the others.
";

#[test]
fn the_reference_of_the_language_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scenario-language.md");
    let before = fs::read_to_string(&path).expect("the reference is there");
    let (written, _) = before.split_once(MARK).expect("it has a mark");
    let fresh = format!("{written}{MARK}{}", tables());
    if std::env::var_os("UPDATE_DOCUMENTATION").is_some() {
        fs::write(&path, fresh).expect("the reference can be written");
    } else {
        assert_eq!(before, fresh, "run with UPDATE_DOCUMENTATION=1");
    }
}
