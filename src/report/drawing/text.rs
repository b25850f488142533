//! A drawing for terminals.

use super::{Drawing, LaneKind, Mark, SpanKind};
use crate::trace::WIDEST;

/// The drawing as lines of text: lanes, and beside them what the trace says.
pub fn text(drawing: &Drawing) -> String {
    let (columns, width) = drawing.columns();
    let head_width = drawing.head_width(WIDEST);
    let mut lines = vec![names(drawing, &columns, width)];
    for (number, row) in drawing.rows.iter().enumerate() {
        let mut cells = lanes(drawing, &columns, width, number);
        arrow(drawing, &columns, number, &mut cells);
        let lanes: String = cells.into_iter().collect();
        lines.push(format!("{lanes}   {:head_width$}  {}", row.head, row.outcome));
    }
    let legend: Vec<String> = drawing
        .legend()
        .into_iter()
        .map(|(kind, words)| format!("{} {words}", shade(kind)))
        .collect();
    if !legend.is_empty() {
        lines.push(String::new());
        lines.push(legend.join("   "));
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn names(drawing: &Drawing, columns: &[usize], width: usize) -> String {
    let mut cells = vec![' '; width + 1];
    for (lane, column) in drawing.lanes.iter().zip(columns) {
        let start = (column + lane.slots / 2).saturating_sub(lane.name.chars().count() / 2);
        for (offset, c) in lane.name.chars().enumerate() {
            if let Some(cell) = cells.get_mut(start + offset) {
                *cell = c;
            }
        }
    }
    cells.into_iter().collect()
}

fn shade(kind: SpanKind) -> char {
    match kind {
        SpanKind::Blocked => '█',
        SpanKind::Stopped => '▒',
        SpanKind::Pending => '░',
        SpanKind::Received => '▓',
    }
}

/// The lanes as they stand in a row.
fn lanes(drawing: &Drawing, columns: &[usize], width: usize, row: usize) -> Vec<char> {
    let mut cells = vec![' '; width];
    for (lane, column) in drawing.lanes.iter().zip(columns) {
        let line = if lane.kind == LaneKind::Actor { '│' } else { '┊' };
        let there = lane.from <= row && lane.until.is_none_or(|until| row < until);
        if there {
            cells[*column] = line;
        }
    }
    let own = &drawing.rows[row];
    let mark = match own.mark {
        Mark::Act => '●',
        Mark::Handler => '◆',
        Mark::End => '╳',
        Mark::NotRun => '○',
    };
    if drawing.lanes[own.lane].kind == LaneKind::Actor {
        cells[columns[own.lane]] = mark;
    }
    // A stop lies over the sleep that it interrupts.
    let in_it = |span: &&super::Span| span.from <= row && row < span.until;
    for span in drawing.spans.iter().filter(in_it) {
        let own_mark = own.lane == span.lane && own.mark != Mark::Act;
        let cell = &mut cells[columns[span.lane] + span.slot];
        if !own_mark && *cell != shade(SpanKind::Stopped) {
            *cell = shade(span.kind);
        }
    }
    cells
}

fn arrow(drawing: &Drawing, columns: &[usize], row: usize, cells: &mut [char]) {
    let Some(arrow) = &drawing.rows[row].arrow else { return };
    let (from, to) =
        (columns[arrow.from.lane] + arrow.from.slot, columns[arrow.to.lane] + arrow.to.slot);
    let right = from < to;
    let (first, last) = if right { (from + 1, to) } else { (to + 1, from) };
    for cell in &mut cells[first..last] {
        *cell = match *cell {
            ' ' => '─',
            '│' | '┊' => '┼',
            shaded => shaded,
        };
    }
    let head = if right { last - 1 } else { first };
    cells[head] = match (arrow.refused, right) {
        (true, _) => '✗',
        (false, true) => '▶',
        (false, false) => '◀',
    };
    if let Some(gap) = arrow.labelled_gap() {
        let start = columns[gap] + drawing.lanes[gap].slots;
        let room = columns[gap + 1] - start;
        let length = arrow.label.chars().count();
        let at = start + room.saturating_sub(length) / 2;
        for (offset, c) in arrow.label.chars().enumerate() {
            cells[at + offset] = c;
        }
    }
}
