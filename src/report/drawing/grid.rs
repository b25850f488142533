//! How wide things are, in characters: what both forms of a drawing share.

use super::{Arrow, Drawing, Lane, SpanKind};

impl Drawing {
    /// In a grid of characters: the column at which each lane begins, and one
    /// past the last column.
    pub(super) fn columns(&self) -> (Vec<usize>, usize) {
        let mut gaps = vec![NARROWEST; self.lanes.len().saturating_sub(1)];
        for (gap, pair) in gaps.iter_mut().zip(self.lanes.windows(2)) {
            let half = |lane: &Lane| lane.name.chars().count().div_ceil(2);
            *gap = (*gap).max(half(&pair[0]) + half(&pair[1]) + 1);
        }
        for arrow in self.rows.iter().filter_map(|row| row.arrow.as_ref()) {
            if let Some(gap) = arrow.labelled_gap() {
                gaps[gap] = gaps[gap].max(arrow.label.chars().count() + 4);
            }
        }
        let mut column = self.lanes.first().map_or(0, |lane| lane.name.chars().count() / 2);
        let mut columns = Vec::new();
        for (index, lane) in self.lanes.iter().enumerate() {
            columns.push(column);
            column += lane.slots + gaps.get(index).copied().unwrap_or(0);
        }
        let last = self.lanes.last().map_or(0, |lane| lane.name.chars().count() / 2);
        (columns, column + last)
    }

    /// The width of the first text column; what is longer than `widest` may
    /// stick out of it.
    pub(super) fn head_width(&self, widest: usize) -> usize {
        let widths = self.rows.iter().map(|row| row.head.chars().count());
        widths.filter(|width| *width <= widest).max().unwrap_or(0)
    }

    /// What there is in it, each with its words, in the order of a legend.
    pub(super) fn legend(&self) -> Vec<(SpanKind, &'static str)> {
        let all = [
            (SpanKind::Blocked, "blocked"),
            (SpanKind::Stopped, "stopped"),
            (SpanKind::Pending, "notification, not received"),
            (SpanKind::Received, "notification, received"),
        ];
        let is_there = |kind| self.spans.iter().any(|span| span.kind == kind);
        all.into_iter().filter(|(kind, _)| is_there(*kind)).collect()
    }
}

/// The fewest columns between two lanes.
const NARROWEST: usize = 4;

impl Arrow {
    /// The gap in which its label stands, that next to where it begins; lanes
    /// are counted, and a gap has the number of the lane at its left.
    pub(super) fn labelled_gap(&self) -> Option<usize> {
        match self.from.lane.cmp(&self.to.lane) {
            std::cmp::Ordering::Less => Some(self.from.lane),
            std::cmp::Ordering::Greater => Some(self.from.lane - 1),
            std::cmp::Ordering::Equal => None,
        }
    }
}
