//! Sequence drawings of traces: a lane for each actor and one for what the
//! kernel holds of notifications, a row for each event.
//!
//! What is drawn is what the trace says. A notification is drawn from the
//! event that made it, and so only if it was received at some time; that a
//! call that nobody asked about was one, a trace cannot tell.

mod grid;
mod layout;
mod svg;
mod text;

pub use svg::{STYLE, inline, svg};
pub use text::text;

/// A trace, laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// From left to right.
    pub lanes: Vec<Lane>,
    /// From top to bottom.
    pub rows: Vec<Row>,
    /// Stretches of lanes.
    pub spans: Vec<Span>,
}

/// A column of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// What stands above it.
    pub name: String,
    /// Whose it is.
    pub kind: LaneKind,
    /// The first row in which it is there.
    pub from: usize,
    /// The row in which it ends, if it does.
    pub until: Option<usize>,
    /// How many spans stand side by side in it, at the most.
    pub slots: usize,
}

/// Whose a lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneKind {
    /// The harness's, from which signals come.
    Director,
    /// A target's, supervisor's or tracer's.
    Actor,
    /// That of the notifications.
    Kernel,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who, and what.
    pub head: String,
    /// What was seen.
    pub outcome: String,
    /// Where it happened.
    pub lane: usize,
    /// What stands there.
    pub mark: Mark,
    /// What goes from lane to lane.
    pub arrow: Option<Arrow>,
}

/// What stands on a lane in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Something was done.
    Act,
    /// A signal handler ran.
    Handler,
    /// The actor has ended.
    End,
    /// It could not be done.
    NotRun,
}

/// Something that goes from lane to lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrow {
    /// Where it begins.
    pub from: End,
    /// Where it ends.
    pub to: End,
    /// The notification's name, the signal, the call.
    pub label: String,
    /// Whether it was refused.
    pub refused: bool,
}

/// An end of an arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The lane.
    pub lane: usize,
    /// The place in it.
    pub slot: usize,
}

/// A stretch of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The lane.
    pub lane: usize,
    /// The place in it.
    pub slot: usize,
    /// The first row of it.
    pub from: usize,
    /// The row in which it is over; one past the last if it never is.
    pub until: usize,
    /// What it is.
    pub kind: SpanKind,
}

/// What a stretch of a lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// The actor sleeps in the kernel.
    Blocked,
    /// The actor is stopped.
    Stopped,
    /// A notification that nobody has received.
    Pending,
    /// A notification that somebody has received.
    Received,
}
