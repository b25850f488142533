//! Sequence drawings, as a reader sees them.

use std::process::Command;

use unotify_lab::report::drawing::{Drawing, SpanKind, svg, text};
use unotify_lab::suite::RunRecord;
use unotify_lab::trace::{Argument, Event, HandlerRun, Notification, Outcome, Sender, Trace};

const ENOENT: i64 = -2;

fn event(act: Option<usize>, actor: Option<&str>, text: &str, outcome: Outcome) -> Event {
    let (text, actor) = (text.to_owned(), actor.map(str::to_owned));
    Event { act, actor, text, label: None, outcome }
}

fn received(name: &str, id: i64) -> Outcome {
    Outcome::Received(Notification {
        name: name.to_owned(),
        id,
        from: Sender::Actor("T".to_owned()),
        flags: 0,
        call: "mkdir".to_owned(),
        arch: 0xc000_003e,
        args: vec![Argument::Address("\"d\"".to_owned())],
        at_call: true,
    })
}

/// A handler with SA_RESTART takes the target out of its wait, and back.
fn restarted() -> Trace {
    let handler = Outcome::Handler(HandlerRun { signal: 10, info: None });
    let events = vec![
        event(Some(0), Some("T"), "mkdir(\"d\", 0o700)", Outcome::Blocked),
        event(Some(1), Some("S"), "recv L as n1", received("n1", 0)),
        event(Some(2), None, "signal T SIGUSR1", Outcome::Returned(0)),
        event(None, Some("T"), "", handler),
        event(Some(3), Some("S"), "send n1 error=-EPERM", Outcome::Returned(ENOENT)),
        event(Some(4), Some("S"), "recv L as n2", received("n2", 1)),
        event(Some(5), Some("S"), "send n2 val=3", Outcome::Returned(0)),
        event(Some(0), Some("T"), "mkdir(\"d\", 0o700)", Outcome::Returned(3)),
        event(Some(6), Some("T"), "exit_group(0)", Outcome::Exited(0)),
        event(Some(7), Some("S"), "recv L", Outcome::Blocked),
    ];
    Trace { events }
}

#[test]
fn a_terminal_shows_lanes_arrows_and_what_the_kernel_holds() {
    let expected = r#"
director        T  kernel    S
    ┊           █────▶░      │   T: mkdir("d", 0o700)    blocks
    ┊           █     ▓──n1─▶●   S: recv L as n1         n1 {from T, mkdir("d")}
    ┊──SIGUSR1─▶█     ▓      │   signal T SIGUSR1        ok
    ┊           ◆────▶░      │   T:                      handler of SIGUSR1 ran
    ┊           █     ░✗─n1──●   S: send n1 error=-EPERM  ENOENT
    ┊           █     ▓──n2─▶●   S: recv L as n2         n2 {id +1, from T, mkdir("d")}
    ┊           █     ┊◀─n2──●   S: send n2 val=3        ok
    ┊           ●◀────┊      │   T: mkdir                returns 3
    ┊           ╳     ┊      │   T: exit_group(0)        exits 0
    ┊                 ┊      █   S: recv L               blocks

█ blocked   ░ notification, not received   ▓ notification, received
"#;
    let words = |text: &str| -> Vec<Vec<String>> {
        let lines = text.trim_start_matches('\n').lines();
        lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let drawn = text(&Drawing::of(&restarted()));
    assert_eq!(words(&drawn), words(expected), "{drawn}");
    // The lanes stand where they stand.
    let lanes = |text: &str| -> Vec<String> {
        let lines = text.trim_start_matches('\n').lines().take(11);
        lines.map(|line| line.chars().take(30).collect::<String>().trim_end().to_owned()).collect()
    };
    assert_eq!(lanes(&drawn), lanes(expected), "{drawn}");
}

#[test]
fn notifications_that_overlap_stand_side_by_side() {
    let mut second = received("n2", 1);
    if let Outcome::Received(notification) = &mut second {
        notification.from = Sender::Actor("U".to_owned());
    }
    let events = vec![
        event(Some(0), Some("T"), "mkdir(\"a\", 0)", Outcome::Blocked),
        event(Some(1), Some("U"), "mkdir(\"b\", 0)", Outcome::Blocked),
        event(Some(2), Some("S"), "recv L as n1", received("n1", 0)),
        event(Some(3), Some("S"), "recv L as n2", second),
        event(Some(4), Some("S"), "send n1", Outcome::Returned(0)),
    ];
    let drawing = Drawing::of(&Trace { events });
    let names: Vec<&str> = drawing.lanes.iter().map(|lane| lane.name.as_str()).collect();
    assert_eq!(names, ["T", "U", "kernel", "S"]);
    assert_eq!(drawing.lanes[2].slots, 2);
    let held: Vec<(usize, usize, usize)> = drawing
        .spans
        .iter()
        .filter(|span| span.kind == SpanKind::Received)
        .map(|span| (span.slot, span.from, span.until))
        .collect();
    assert_eq!(held, [(0, 2, 4), (1, 3, 5)]);
}

#[test]
fn a_trace_without_events_is_drawn_as_nothing() {
    let drawing = Drawing::of(&Trace::default());
    assert_eq!(text(&drawing).trim(), "");
    assert!(roxmltree::Document::parse(&svg(&drawing, "nothing")).is_ok());
}

/// Everything that a drawing says stands inside of it, whole.
fn complete(svg: &str, trace: &Trace, name: &str) {
    let document =
        roxmltree::Document::parse(svg).unwrap_or_else(|error| panic!("{name}: {error}"));
    let root = document.root_element();
    let number = |node: roxmltree::Node<'_, '_>, attribute: &str| -> f64 {
        let value = node.attribute(attribute).unwrap_or("0");
        value.parse().unwrap_or_else(|_| panic!("{name}: {attribute}={value}"))
    };
    let (width, height) = (number(root, "width"), number(root, "height"));
    let mut said = String::new();
    for node in root.children().filter(roxmltree::Node::is_element) {
        let (x, y) = (number(node, "x"), number(node, "y"));
        let (right, bottom) = match node.tag_name().name() {
            "text" => {
                let text = node.text().unwrap_or_default();
                said.push_str(text);
                // 13 pixels of DejaVu Sans Mono are 7.83 pixels wide.
                let length = text.chars().count() as f64 * 7.83;
                let middle = matches!(node.attribute("class"), Some("name"));
                (x + if middle { length / 2.0 } else { length }, y + 4.0)
            }
            "rect" => (x + number(node, "width"), y + number(node, "height")),
            "line" => (number(node, "x2"), number(node, "y2").max(number(node, "y1"))),
            _ => (0.0, 0.0),
        };
        assert!(x >= 0.0 && y >= 0.0, "{name}: {node:?}");
        assert!(right <= width && bottom <= height, "{name}: {node:?}: {right}, {bottom}");
    }
    let plain = |text: &str| -> String { text.split_whitespace().collect() };
    let said = plain(&said);
    for (head, outcome) in trace.rows() {
        assert!(said.contains(&plain(&outcome)), "{name}: {outcome}");
        assert!(said.contains(&plain(&head)), "{name}: {head}");
    }
}

#[test]
fn every_trace_of_the_catalogue_is_drawn_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("it is text").to_owned();
    let lab = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_unotify-lab"))
            .args(arguments)
            .output()
            .expect("the command starts")
    };
    let record = at("record.json");
    assert!(lab(&["run", "--format", "json", "-o", &record]).status.success());
    let read = std::fs::read_to_string(&record).expect("the record is there");
    let read = RunRecord::read(&read).expect("it is a record");
    let mut count = 0;
    for case in &read.cases {
        let Some(trace) = &case.trace else { continue };
        let drawing = Drawing::of(trace);
        let drawn = svg(&drawing, &case.scenario);
        complete(&drawn, trace, &case.scenario);
        let shown = text(&drawing);
        for (line, (head, outcome)) in shown.lines().skip(1).zip(trace.rows()) {
            assert!(line.contains(&head) && line.ends_with(outcome.trim_end()), "{line}");
        }
        for span in &drawing.spans {
            assert!(span.from < span.until && span.until <= drawing.rows.len());
        }
        count += 1;
    }
    assert!(count > 400, "only {count} traces");
    // The command writes the same.
    let folder = at("drawings");
    std::fs::create_dir(&folder).expect("the folder is made");
    assert!(lab(&["report", &record, "--format", "svg", "-o", &folder]).status.success());
    assert_eq!(std::fs::read_dir(&folder).expect("it is there").count(), count);
    let one = ["report", &record, "--format", "svg", "--only", "recv/basic"];
    let stored = std::fs::read(format!("{folder}/recv.basic.svg")).expect("it is there");
    assert_eq!(lab(&one).stdout, stored);
    assert_eq!(lab(&one[..4]).status.code(), Some(2));
    let shown = lab(&["run", "recv/basic", "--drawing"]).stdout;
    assert!(String::from_utf8_lossy(&shown).contains("─n1─▶"));
}
