//! Reads the script: its lines, for a choice of windows.

use toml::Spanned;

use super::Step;
use super::cases::{WINDOW, window_of};
use super::file::Builder;
use super::step::parse_line;

/// The windows that a script's lines can be for, and the one that is chosen.
pub(super) struct Windows<'w> {
    pub known: &'w [String],
    pub chosen: Option<&'w str>,
}

impl Builder {
    pub(super) fn steps(
        &mut self,
        text: &Spanned<String>,
        source: &str,
        actors: &[&str],
        windows: &Windows<'_>,
    ) -> Vec<Step> {
        let mut labels: Vec<String> = Vec::new();
        let mut steps = Vec::new();
        for (line, base) in script_lines(text, source) {
            let (line, base) = match window_of(line) {
                None => (line, base),
                Some((name, _)) if !windows.known.iter().any(|known| known == name) => {
                    let known = match windows.known {
                        [] => format!("a parameter `{WINDOW}` in [each], with {name:?} in it"),
                        known => format!("one of {}", known.join(", ")),
                    };
                    let message = format!("{name:?} is not a window of this file");
                    self.mistake(base..base + line.len(), message, known);
                    continue;
                }
                Some((name, _)) if windows.chosen != Some(name) => continue,
                Some((_, before)) => (&line[before..], base + before),
            };
            match parse_line(line, base, actors) {
                Ok(None) => {}
                Ok(Some(step)) => {
                    for operation in &step.operations {
                        let Some(label) = &operation.label else { continue };
                        if labels.contains(label) {
                            let message = format!("two steps are labelled {label:?}");
                            self.mistake(step.span.0.clone(), message, "another label");
                        }
                        labels.push(label.clone());
                    }
                    steps.push(step);
                }
                Err(found) => self.found.push(found),
            }
        }
        steps
    }
}

/// The lines of the script with their places in the file. Where the string
/// has escapes its lines are found by their number, so that a message still
/// names the right line.
fn script_lines<'a>(text: &'a Spanned<String>, source: &str) -> Vec<(&'a str, usize)> {
    let outer = text.span();
    let written = &source[outer.clone()];
    let script = text.get_ref();
    let exact = written.find(script.as_str()).filter(|_| !script.is_empty());
    let mut lines = Vec::new();
    let mut at = 0;
    for (number, line) in script.split('\n').enumerate() {
        let base = match exact {
            Some(offset) => outer.start + offset + at,
            None => {
                let skipped = usize::from(written[3.min(written.len())..].starts_with('\n'));
                let before: usize =
                    written.split_inclusive('\n').take(number + skipped).map(str::len).sum();
                (outer.start + before).min(source.len())
            }
        };
        lines.push((line, base));
        at += line.len() + 1;
    }
    lines
}
