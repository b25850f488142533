//! A drawing as SVG that stands alone, light or dark as its reader's screen.

use std::fmt::Write;

use super::{Drawing, LaneKind, Mark, SpanKind};

/// Pixels of a column of the grid, of a row, and around all.
const COLUMN: usize = 9;
const ROW: usize = 26;
const MARGIN: usize = 16;
/// A character of the text beside the lanes is not wider, whatever the font.
const CHARACTER: f64 = 8.0;
const SHADED: usize = 10;

const STYLE: &str = "\
.ud{--paper:#fff;--stripe:#f5f6f8;--ink:#1b1f24;--faint:#6a737d;--line:#aab2bd;\
--blocked:#8fb4e8;--stopped:#c9ccd1;--pending:#f3d9a4;--received:#e8a33d;--bad:#c62828;\
--arrow:#24548f;font-family:'DejaVu Sans Mono',Menlo,Consolas,monospace;font-size:13px}\
@media (prefers-color-scheme:dark){.ud{--paper:#14171b;--stripe:#1b1f25;--ink:#e4e8ec;\
--faint:#98a2ad;--line:#565f6a;--blocked:#3f6ba5;--stopped:#5b6068;--pending:#6d5626;\
--received:#c98a2b;--bad:#ff7a70;--arrow:#9cc3f5}}\
.ud text{fill:var(--ink);white-space:pre}.ud .name{font-weight:bold;text-anchor:middle}\
.ud .label{font-size:11px;text-anchor:middle;fill:var(--arrow);paint-order:stroke;\
stroke:var(--paper);stroke-width:3px;stroke-linejoin:round}\
.ud .small{font-size:11px;fill:var(--faint)}.ud .life{stroke:var(--line);stroke-width:1.5}\
.ud .quiet{stroke-dasharray:2 4}.ud .arrow{stroke:var(--arrow);stroke-width:1.5}\
.ud .head{fill:var(--arrow)}.ud .refused{stroke:var(--bad)}.ud .cross{stroke:var(--bad);\
stroke-width:2}.ud text.refused{fill:var(--bad);stroke:var(--paper)}\
.ud .mark{fill:var(--ink)}.ud .end{stroke:var(--ink);stroke-width:2}\
.ud .outcome{fill:var(--faint)}";

/// The drawing of a scenario, by its name.
pub fn svg(drawing: &Drawing, title: &str) -> String {
    let sheet = Sheet::new(drawing);
    let mut out = String::new();
    sheet.begin(&mut out, title);
    sheet.stripes(&mut out);
    sheet.lives(&mut out);
    sheet.spans(&mut out);
    for row in 0..drawing.rows.len() {
        sheet.row(&mut out, row);
    }
    sheet.legend(&mut out);
    out.push_str("</svg>\n");
    out
}

struct Sheet<'d> {
    drawing: &'d Drawing,
    columns: Vec<usize>,
    /// Where the two columns of text begin.
    text: usize,
    outcome: usize,
    width: usize,
    height: usize,
}

fn wide(characters: usize) -> usize {
    (characters as f64 * CHARACTER).ceil() as usize
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // XML cannot say them.
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

impl<'d> Sheet<'d> {
    fn new(drawing: &'d Drawing) -> Self {
        let (columns, grid) = drawing.columns();
        let text = MARGIN + grid * COLUMN + 2 * COLUMN;
        let outcome = text + wide(drawing.head_width() + 2);
        let rows = drawing.rows.iter();
        let ends = rows.map(|row| {
            let head = text + wide(row.head.chars().count() + 2);
            outcome.max(head) + wide(row.outcome.chars().count())
        });
        let legend: usize = drawing
            .legend()
            .iter()
            .map(|(_, words)| wide(words.chars().count()) + 3 * COLUMN)
            .sum();
        let width = ends.max().unwrap_or(0).max(MARGIN + legend) + MARGIN;
        let height = 2 * MARGIN + ROW * (drawing.rows.len() + 2);
        Sheet { drawing, columns, text, outcome, width, height }
    }

    fn x(&self, lane: usize, slot: usize) -> usize {
        MARGIN + (self.columns[lane] + slot) * COLUMN + slot * (SHADED - COLUMN + 2)
    }

    /// The middle of a row.
    fn y(row: usize) -> usize {
        MARGIN + ROW + row * ROW + ROW / 2
    }

    fn begin(&self, out: &mut String, title: &str) {
        let (width, height) = (self.width, self.height);
        let lines: Vec<String> =
            self.drawing.rows.iter().map(|row| format!("{}  {}", row.head, row.outcome)).collect();
        let _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"ud\" role=\"img\" width=\"{width}\" \
             height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n<title>{}</title>\n\
             <desc>{}</desc>\n<style>{STYLE}</style>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"var(--paper)\"/>\n",
            escaped(title),
            lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("\n")
        );
        for (index, lane) in self.drawing.lanes.iter().enumerate() {
            let x = (self.x(index, 0) + self.x(index, lane.slots - 1)) / 2;
            let y = MARGIN + ROW / 2 + 4;
            let name = escaped(&lane.name);
            let _ = writeln!(out, "<text class=\"name\" x=\"{x}\" y=\"{y}\">{name}</text>");
        }
    }

    /// Every second row, so that the eye finds the text of a row.
    fn stripes(&self, out: &mut String) {
        for row in (0..self.drawing.rows.len()).step_by(2) {
            let (y, width) = (Self::y(row) - ROW / 2, self.width);
            let _ = writeln!(
                out,
                "<rect y=\"{y}\" width=\"{width}\" height=\"{ROW}\" fill=\"var(--stripe)\"/>"
            );
        }
    }

    fn lives(&self, out: &mut String) {
        for (index, lane) in self.drawing.lanes.iter().enumerate() {
            let quiet = if lane.kind == LaneKind::Actor { "" } else { " quiet" };
            let x = self.x(index, 0);
            let top = Self::y(lane.from) - ROW / 2;
            let last = self.drawing.rows.len();
            let bottom = lane.until.map_or_else(|| Self::y(last) - ROW / 2, Self::y);
            let _ = writeln!(
                out,
                "<line class=\"life{quiet}\" x1=\"{x}\" y1=\"{top}\" x2=\"{x}\" y2=\"{bottom}\"/>"
            );
        }
    }

    fn spans(&self, out: &mut String) {
        // A stop lies over the sleep that it interrupts.
        let mut spans: Vec<_> = self.drawing.spans.iter().collect();
        spans.sort_by_key(|span| span.kind == SpanKind::Stopped);
        let end = self.drawing.rows.len();
        for span in spans {
            let x = self.x(span.lane, span.slot) - SHADED / 2;
            let top = Self::y(span.from);
            let bottom =
                if span.until < end { Self::y(span.until) } else { Self::y(end) - ROW / 2 };
            let (height, colour) = (bottom - top, colour(span.kind));
            let _ = writeln!(
                out,
                "<rect x=\"{x}\" y=\"{top}\" width=\"{SHADED}\" height=\"{height}\" rx=\"2\" \
                 fill=\"var(--{colour})\"/>"
            );
        }
    }

    fn row(&self, out: &mut String, number: usize) {
        let row = &self.drawing.rows[number];
        let y = Self::y(number);
        self.arrow(out, number);
        let x = self.x(row.lane, 0);
        if self.drawing.lanes[row.lane].kind == LaneKind::Actor {
            let (l, r, t, b) = (x - 5, x + 5, y - 5, y + 5);
            let _ = match row.mark {
                Mark::Act => {
                    writeln!(out, "<circle class=\"mark\" cx=\"{x}\" cy=\"{y}\" r=\"3\"/>")
                }
                Mark::NotRun => writeln!(
                    out,
                    "<circle class=\"end\" cx=\"{x}\" cy=\"{y}\" r=\"4\" fill=\"none\"/>"
                ),
                Mark::Handler => {
                    writeln!(out, "<path class=\"mark\" d=\"M{x} {t}L{r} {y}L{x} {b}L{l} {y}Z\"/>")
                }
                Mark::End => {
                    writeln!(out, "<path class=\"end\" d=\"M{l} {t}L{r} {b}M{r} {t}L{l} {b}\"/>")
                }
            };
        }
        let base = y + 4;
        let (head, outcome) = (escaped(&row.head), escaped(&row.outcome));
        let after = self.outcome.max(self.text + wide(row.head.chars().count() + 2));
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{base}\">{head}</text>\n\
             <text class=\"outcome\" x=\"{after}\" y=\"{base}\">{outcome}</text>",
            self.text
        );
    }

    fn arrow(&self, out: &mut String, number: usize) {
        let Some(arrow) = &self.drawing.rows[number].arrow else { return };
        let y = Self::y(number);
        let from = self.x(arrow.from.lane, arrow.from.slot) as i64;
        let to = self.x(arrow.to.lane, arrow.to.slot) as i64;
        let way = (to - from).signum();
        let tip = to - way * (SHADED as i64 / 2 + 1);
        let (back, t, b) = (tip - way * 8, y - 4, y + 4);
        let refused = if arrow.refused { " refused" } else { "" };
        let _ = writeln!(
            out,
            "<line class=\"arrow{refused}\" x1=\"{from}\" y1=\"{y}\" x2=\"{back}\" y2=\"{y}\"/>"
        );
        let _ = if arrow.refused {
            let (l, r) = (tip - way * 10, tip - way * 2);
            writeln!(out, "<path class=\"cross\" d=\"M{l} {t}L{r} {b}M{r} {t}L{l} {b}\"/>")
        } else {
            writeln!(out, "<path class=\"head\" d=\"M{back} {t}L{tip} {y}L{back} {b}Z\"/>")
        };
        if let (Some(gap), false) = (arrow.labelled_gap(), arrow.label.is_empty()) {
            let slots = self.drawing.lanes[gap].slots;
            let x = (self.x(gap, slots - 1) + self.x(gap + 1, 0)) / 2;
            let _ = writeln!(
                out,
                "<text class=\"label{refused}\" x=\"{x}\" y=\"{}\">{}</text>",
                y - 4,
                escaped(&arrow.label)
            );
        }
    }

    fn legend(&self, out: &mut String) {
        let y = Self::y(self.drawing.rows.len()) + ROW / 4;
        let mut x = MARGIN;
        for (kind, words) in self.drawing.legend() {
            let (colour, top, base) = (colour(kind), y - 6, y + 4);
            let _ = writeln!(
                out,
                "<rect x=\"{x}\" y=\"{top}\" width=\"12\" height=\"12\" rx=\"2\" \
                 fill=\"var(--{colour})\"/>\n\
                 <text class=\"small\" x=\"{}\" y=\"{base}\">{words}</text>",
                x + 18
            );
            x += 3 * COLUMN + wide(words.chars().count());
        }
    }
}

fn colour(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Blocked => "blocked",
        SpanKind::Stopped => "stopped",
        SpanKind::Pending => "pending",
        SpanKind::Received => "received",
    }
}
