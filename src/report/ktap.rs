//! The Kernel Test Anything Protocol, version 1
//! (Documentation/dev-tools/ktap.rst): themes, files and cases as nested
//! tests, line by line as results come.

use std::fmt::Write;

use super::test::{Outcome, Test};

/// Writes results in the order of a plan, which says beforehand which tests
/// there are.
#[derive(Debug)]
pub struct Writer {
    paths: Vec<Vec<String>>,
    next: usize,
    /// The groups in which the next test stands, from the outermost.
    open: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    name: String,
    children: usize,
    bad: bool,
    skipped: bool,
}

impl Group {
    fn new(name: &str) -> Group {
        Group { name: name.to_owned(), children: 0, bad: false, skipped: true }
    }
}

impl Writer {
    /// For tests of these paths, in this order.
    pub fn new(paths: Vec<Vec<String>>) -> Writer {
        Writer { paths, next: 0, open: vec![Group::new("")] }
    }

    /// The lines that come before all results.
    pub fn head(&self) -> String {
        self.plan(0)
    }

    /// The version line and the plan of the group that begins with the next
    /// test.
    fn plan(&self, level: usize) -> String {
        let indent = "  ".repeat(level);
        let rest = &self.paths[self.next.min(self.paths.len())..];
        let group = rest.first().map_or(&[][..], |path| &path[..level]);
        let inside = rest.iter().take_while(|path| path.starts_with(group));
        let mut count = 0;
        let mut last = None;
        for path in inside {
            let name = (path.len() > level + 1).then(|| &path[level]);
            count += usize::from(name.is_none() || name != last);
            last = name;
        }
        format!("{indent}KTAP version 1\n{indent}1..{count}\n")
    }

    /// The lines that a result adds: it is the next one of the plan.
    pub fn result(&mut self, test: &Test) -> String {
        let path = self.paths[self.next].clone();
        let groups = path.len() - 1;
        let mut text = String::new();
        for (level, name) in path.iter().enumerate().take(groups).skip(self.open.len() - 1) {
            text += &self.plan(level + 1);
            self.open.push(Group::new(name));
        }
        let indent = "  ".repeat(groups);
        for line in test.diagnosis() {
            let _ = writeln!(text, "{indent}# {line}");
        }
        let skipped = matches!(test.outcome, Outcome::Skip(_));
        text += &self.line(&path[groups], test.outcome.is_bad(), skipped, &directive(test));
        self.next += 1;
        let shared = self.paths.get(self.next).map_or(0, |next| {
            let pairs = path[..groups].iter().zip(&next[..next.len() - 1]);
            pairs.take_while(|(a, b)| a == b).count()
        });
        while self.open.len() - 1 > shared {
            let Some(group) = self.open.pop() else { break };
            let directive = if group.skipped { " # SKIP all of it was skipped" } else { "" };
            text += &self.line(&group.name, group.bad, group.skipped, directive);
        }
        text
    }

    /// A result line in the innermost open group.
    fn line(&mut self, name: &str, bad: bool, skipped: bool, directive: &str) -> String {
        let indent = "  ".repeat(self.open.len() - 1);
        let Some(group) = self.open.last_mut() else { return String::new() };
        group.children += 1;
        group.bad |= bad;
        group.skipped &= skipped;
        let word = if bad { "not ok" } else { "ok" };
        format!("{indent}{word} {} {}{directive}\n", group.children, described(name))
    }
}

/// All tests.
pub(super) fn render(tests: &[Test]) -> String {
    let mut writer = Writer::new(tests.iter().map(|test| test.path.clone()).collect());
    let mut text = writer.head();
    for test in tests {
        text += &writer.result(test);
    }
    text
}

/// What follows the description, with its hash.
fn directive(test: &Test) -> String {
    let (word, why) = match &test.outcome {
        Outcome::Pass(None) | Outcome::Failure(_) => return String::new(),
        Outcome::Pass(Some(why)) => return format!(" # {}", one_line(why)),
        Outcome::Skip(why) => ("SKIP", why.clone()),
        Outcome::Unjudged(why) => ("SKIP", format!("not judged: {why}")),
        Outcome::ExpectedFailure(why) => ("XFAIL", why.clone()),
        Outcome::UnexpectedPass(why) => ("XPASS", why.clone()),
        Outcome::Timeout(why) => ("TIMEOUT", why.clone()),
        Outcome::Error(why) => ("ERROR", why.clone()),
    };
    format!(" # {word} {}", one_line(&why))
}

/// Words on one line.
pub(super) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A description: any words, without a hash sign, which begins a directive.
pub(super) fn described(name: &str) -> String {
    one_line(name).replace('#', "nr ")
}
