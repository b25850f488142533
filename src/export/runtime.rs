//! The parts of a C program that are the same for every scenario, of which a
//! program gets those that it uses.

use std::collections::BTreeSet;

/// Files of pieces, in the order in which they stand in a program. The acts of
/// the scenario come between [`BEFORE_ACTS`] and [`AFTER_ACTS`].
pub(super) const BEFORE_ACTS: &[&str] = &[
    include_str!("runtime/base.c"),
    include_str!("runtime/filters.c"),
    include_str!("runtime/listener.c"),
    include_str!("runtime/poll.c"),
    include_str!("runtime/memory.c"),
    include_str!("runtime/signals.c"),
    include_str!("runtime/tasks.c"),
    include_str!("runtime/descriptors.c"),
    include_str!("runtime/tracing.c"),
    include_str!("runtime/programs.c"),
    include_str!("runtime/become.c"),
    include_str!("runtime/tell.c"),
    include_str!("runtime/watch.c"),
    include_str!("runtime/director.c"),
];

/// What comes after the acts, for a program that plays its scenario once.
pub(super) const ONCE: &[&str] = &[
    include_str!("runtime/stage.c"),
    include_str!("runtime/play.c"),
    include_str!("runtime/once.c"),
];

/// What comes after the acts, for a race, which is run many times.
pub(super) const MANY: &[&str] = &[
    include_str!("runtime/stage.c"),
    include_str!("runtime/play.c"),
    include_str!("runtime/many.c"),
];

/// Begins a piece; the name that it defines follows, or nothing for a piece
/// that every program has.
const PIECE: &str = "//@";

struct Piece<'t> {
    name: &'t str,
    text: &'t str,
}

struct File<'t> {
    head: &'t str,
    pieces: Vec<Piece<'t>>,
}

fn read(text: &str) -> File<'_> {
    let mut parts = text.split(PIECE);
    let head = parts.next().unwrap_or_default().trim();
    let pieces = parts
        .filter_map(|part| part.split_once('\n'))
        .map(|(name, text)| Piece { name: name.trim(), text: text.trim() })
        .collect();
    File { head, pieces }
}

/// The pieces that `program`, the scenario's own part, needs: those before its
/// acts, and those after them.
pub(super) fn needed(program: &str, after: &[&str]) -> (String, String) {
    let before: Vec<File<'_>> = BEFORE_ACTS.iter().map(|text| read(text)).collect();
    let after: Vec<File<'_>> = after.iter().map(|text| read(text)).collect();
    let pieces: Vec<&Piece<'_>> =
        before.iter().chain(&after).flat_map(|file| &file.pieces).collect();
    let mut used: BTreeSet<&str> = words(program).collect();
    let mut taken: BTreeSet<usize> = BTreeSet::new();
    // Until nothing is added: what is used uses other pieces in turn.
    loop {
        let more: Vec<usize> = (0..pieces.len())
            .filter(|at| !taken.contains(at))
            .filter(|at| pieces[*at].name.is_empty() || used.contains(pieces[*at].name))
            .collect();
        if more.is_empty() {
            break;
        }
        used.extend(more.iter().flat_map(|at| words(pieces[*at].text)));
        taken.extend(more);
    }
    let mut number = 0;
    let mut join = |files: &[File<'_>]| {
        let mut text = String::new();
        for file in files {
            let own = number..number + file.pieces.len();
            number = own.end;
            let mut head = file.head;
            for (piece, _) in file.pieces.iter().zip(own).filter(|(_, at)| taken.contains(at)) {
                for part in [std::mem::take(&mut head), piece.text] {
                    if !part.is_empty() {
                        text += part;
                        text += "\n\n";
                    }
                }
            }
        }
        text
    };
    (join(&before), join(&after))
}

/// The words of a program that are neither in comments nor in strings.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("/*").enumerate().flat_map(|(number, part)| {
        let code =
            if number == 0 { Some(part) } else { part.split_once("*/").map(|(_, code)| code) };
        // An escaped quote would be in a string, and hides at most a word of it.
        code.unwrap_or_default().split('"').step_by(2)
    });
    code.flat_map(|code| code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')))
        .filter(|word| !word.is_empty())
}
