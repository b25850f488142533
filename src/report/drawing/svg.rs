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
/// In characters.
const WIDEST_HEAD: usize = 64;
const WIDEST: usize = 80;
/// From line to line of one text.
const LINE: usize = 18;

/// The looks of drawings. Colours stand in the rules themselves: not every
/// reader of SVG knows variables.
pub const STYLE: &str = "
.ud{font-family:'DejaVu Sans Mono',Menlo,Consolas,monospace;font-size:13px}
.ud text{white-space:pre;fill:#1b1f24}
.ud .paper{fill:#fff}
.ud .stripe{fill:#f4f5f7}
.ud .blocked{fill:#8fb4e8}
.ud .stopped{fill:#c3c7cd}
.ud .pending{fill:#f3d9a4}
.ud .received{fill:#e8a33d}
.ud .life{stroke:#aab2bd;stroke-width:1.5}
.ud .quiet{stroke-dasharray:2 4}
.ud .arrow{stroke:#24548f;stroke-width:1.5}
.ud .head{fill:#24548f}
.ud .cross,.ud .arrow.refused{stroke:#c62828}
.ud .cross{stroke-width:2;fill:none}
.ud .mark{fill:#1b1f24}
.ud .end{stroke:#1b1f24;stroke-width:2;fill:none}
.ud .name{font-weight:bold;text-anchor:middle}
.ud text.label{font-size:11px;text-anchor:middle;fill:#24548f}
.ud text.refused{fill:#c62828}
.ud text.small{font-size:11px}
.ud text.small,.ud text.outcome{fill:#57606a}
@media (prefers-color-scheme:dark){
.ud text{fill:#e4e8ec}
.ud .paper{fill:#14171b}
.ud .stripe{fill:#1b1f25}
.ud .blocked{fill:#3f6ba5}
.ud .stopped{fill:#5b6068}
.ud .pending{fill:#6d5626}
.ud .received{fill:#c98a2b}
.ud .life{stroke:#565f6a}
.ud .arrow{stroke:#9cc3f5}
.ud .head{fill:#9cc3f5}
.ud .cross,.ud .arrow.refused{stroke:#ff7a70}
.ud .mark{fill:#e4e8ec}
.ud .end{stroke:#e4e8ec}
.ud text.label{fill:#9cc3f5}
.ud text.refused{fill:#ff7a70}
.ud text.small,.ud text.outcome{fill:#a9b3bd}
}
";

/// The drawing of a scenario, by its name.
pub fn svg(drawing: &Drawing, title: &str) -> String {
    let lines: Vec<String> =
        drawing.rows.iter().map(|row| format!("{}  {}", row.head, row.outcome)).collect();
    let told = format!(
        "<title>{}</title>\n<desc>{}</desc>\n<style>{STYLE}</style>\n",
        escaped(title),
        lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("\n")
    );
    drawn(&Sheet::new(drawing), "xmlns=\"http://www.w3.org/2000/svg\"", &told)
}

/// The same for a page of HTML that has [`STYLE`] once, and the trace as text
/// beside the drawing. A narrow page can make it smaller, as long as it can be
/// read.
pub fn inline(drawing: &Drawing, title: &str) -> String {
    let sheet = Sheet::new(drawing);
    let least = sheet.width * 3 / 4;
    let attributes = format!("aria-label=\"{}\" style=\"min-width:{least}px\"", escaped(title));
    drawn(&sheet, &attributes, "")
}

/// With these attributes, and this before all that is drawn.
fn drawn(sheet: &Sheet<'_>, attributes: &str, told: &str) -> String {
    let mut out = String::new();
    sheet.begin(&mut out, attributes, told);
    sheet.stripes(&mut out);
    sheet.lives(&mut out);
    sheet.spans(&mut out);
    for row in 0..sheet.drawing.rows.len() {
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
    /// Each row's two texts in lines, and its upper edge; one edge more is the
    /// last one's lower.
    texts: Vec<[Vec<String>; 2]>,
    tops: Vec<usize>,
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

/// A text in lines, broken between words where that can be.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut length = 0;
    for word in text.split_inclusive(' ') {
        let letters = word.trim_end().chars().count();
        if length > 0 && length + letters > WIDEST {
            lines.push(String::new());
            length = 0;
        }
        for c in word.chars() {
            if length == WIDEST && c != ' ' {
                lines.push(String::new());
                length = 0;
            }
            lines.last_mut().expect("there is a line").push(c);
            length += 1;
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

fn longest(lines: &[String]) -> usize {
    lines.iter().map(|line| line.chars().count()).max().unwrap_or(0)
}

impl<'d> Sheet<'d> {
    fn new(drawing: &'d Drawing) -> Self {
        let (columns, grid) = drawing.columns();
        let text = MARGIN + grid * COLUMN + 2 * COLUMN;
        let outcome = text + wide(drawing.head_width(WIDEST_HEAD) + 2);
        let texts: Vec<[Vec<String>; 2]> =
            drawing.rows.iter().map(|row| [wrapped(&row.head), wrapped(&row.outcome)]).collect();
        let mut tops = vec![MARGIN + ROW];
        for [head, seen] in &texts {
            let last = tops[tops.len() - 1];
            tops.push(last + ROW + (head.len().max(seen.len()) - 1) * LINE);
        }
        let ends = texts
            .iter()
            .map(|[head, seen]| outcome.max(text + wide(longest(head) + 2)) + wide(longest(seen)));
        let legend = drawing.legend();
        let legend_width: usize =
            legend.iter().map(|(_, words)| wide(words.chars().count()) + 3 * COLUMN).sum();
        let width = ends.max().unwrap_or(0).max(MARGIN + legend_width) + MARGIN;
        let below = if legend.is_empty() { 0 } else { ROW };
        let height = tops[tops.len() - 1] + below + MARGIN;
        Sheet { drawing, columns, text, outcome, texts, tops, width, height }
    }

    fn x(&self, lane: usize, slot: usize) -> usize {
        MARGIN + (self.columns[lane] + slot) * COLUMN + slot * (SHADED - COLUMN + 2)
    }

    /// The middle of a row's first line.
    fn y(&self, row: usize) -> usize {
        self.tops[row] + ROW / 2
    }

    /// Where the lanes end.
    fn bottom(&self) -> usize {
        self.tops[self.tops.len() - 1]
    }

    fn begin(&self, out: &mut String, attributes: &str, told: &str) {
        let (width, height) = (self.width, self.height);
        let _ = write!(
            out,
            "<svg {attributes} class=\"ud\" role=\"img\" width=\"{width}\" \
             height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n{told}\
             <rect width=\"{width}\" height=\"{height}\" class=\"paper\"/>\n"
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
        let stripe = |row: usize| {
            let (y, height) = (self.tops[row], self.tops[row + 1] - self.tops[row]);
            format!("M0 {y}h{width}v{height}H0z", width = self.width)
        };
        let stripes: String = (0..self.drawing.rows.len()).step_by(2).map(stripe).collect();
        let _ = writeln!(out, "<path d=\"{stripes}\" class=\"stripe\"/>");
    }

    fn lives(&self, out: &mut String) {
        for (index, lane) in self.drawing.lanes.iter().enumerate() {
            let quiet = if lane.kind == LaneKind::Actor { "" } else { " quiet" };
            let x = self.x(index, 0);
            let top = self.tops[lane.from];
            let bottom = lane.until.map_or(self.bottom(), |row| self.y(row));
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
            let top = self.y(span.from);
            let bottom = if span.until < end { self.y(span.until) } else { self.bottom() };
            let (height, colour) = (bottom - top, colour(span.kind));
            let _ = writeln!(
                out,
                "<rect x=\"{x}\" y=\"{top}\" width=\"{SHADED}\" height=\"{height}\" rx=\"2\" \
                 class=\"{colour}\"/>"
            );
        }
    }

    fn row(&self, out: &mut String, number: usize) {
        let row = &self.drawing.rows[number];
        let y = self.y(number);
        self.arrow(out, number);
        let x = self.x(row.lane, 0);
        if self.drawing.lanes[row.lane].kind == LaneKind::Actor {
            let (l, r, t, b) = (x - 5, x + 5, y - 5, y + 5);
            let _ = match row.mark {
                Mark::Act => {
                    writeln!(out, "<circle class=\"mark\" cx=\"{x}\" cy=\"{y}\" r=\"3\"/>")
                }
                Mark::NotRun => {
                    writeln!(out, "<circle class=\"end\" cx=\"{x}\" cy=\"{y}\" r=\"4\"/>")
                }
                Mark::Handler => {
                    writeln!(out, "<path class=\"mark\" d=\"M{x} {t}L{r} {y}L{x} {b}L{l} {y}Z\"/>")
                }
                Mark::End => {
                    writeln!(out, "<path class=\"end\" d=\"M{l} {t}L{r} {b}M{r} {t}L{l} {b}\"/>")
                }
            };
        }
        let base = y + 4;
        let [head, seen] = &self.texts[number];
        let beside = self.outcome.max(self.text + wide(longest(head) + 2));
        for (class, x, lines) in [("step", self.text, head), ("outcome", beside, seen)] {
            for (index, line) in lines.iter().enumerate() {
                let (y, line) = (base + index * LINE, escaped(line));
                let _ = writeln!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{line}</text>");
            }
        }
    }

    fn arrow(&self, out: &mut String, number: usize) {
        let Some(arrow) = &self.drawing.rows[number].arrow else { return };
        let y = self.y(number);
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
        let y = self.bottom() + ROW / 2 + 4;
        let mut x = MARGIN;
        for (kind, words) in self.drawing.legend() {
            let (colour, top, base) = (colour(kind), y - 6, y + 4);
            let _ = writeln!(
                out,
                "<rect x=\"{x}\" y=\"{top}\" width=\"12\" height=\"12\" rx=\"2\" \
                 class=\"{colour}\"/>\n\
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
