//! Putting instructions with labels in a row.
//!
//! Classic BPF only jumps forward, so a program can be laid out from its end:
//! where a jump goes is then known before the jump itself is placed, and a
//! conditional jump that would have to skip more than 255 instructions gets a
//! `ja` behind it.

use crate::abi::SockFilter;
use crate::bpf::code::{JA, jump, stmt};

/// A place that jumps go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// Where a jump goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// To what stands next.
    Next,
    /// To a label further down.
    To(Label),
}

/// What a program is made of before it is laid out.
#[derive(Clone, Copy, Debug)]
enum Item {
    Plain(SockFilter),
    Branch { code: u16, k: u32, if_true: Target, if_false: Target },
    Goto(Label),
    Here(Label),
}

/// A program being written.
#[derive(Debug, Default)]
pub(super) struct Layout {
    items: Vec<Item>,
    labels: usize,
}

impl Layout {
    /// A label that is not placed yet.
    pub(super) fn label(&mut self) -> Label {
        self.labels += 1;
        Label(self.labels - 1)
    }

    /// Places `label` before what is added next.
    pub(super) fn here(&mut self, label: Label) {
        self.items.push(Item::Here(label));
    }

    /// Adds an instruction that does not jump.
    pub(super) fn plain(&mut self, code: u16, k: u32) {
        self.items.push(Item::Plain(stmt(code, k)));
    }

    /// Adds a conditional jump.
    pub(super) fn branch(&mut self, code: u16, k: u32, if_true: Target, if_false: Target) {
        self.items.push(Item::Branch { code, k, if_true, if_false });
    }

    /// Adds a jump.
    pub(super) fn goto(&mut self, label: Label) {
        self.items.push(Item::Goto(label));
    }

    /// The instructions. Every label that is jumped to must have been placed,
    /// and further down than the jump.
    pub(super) fn finish(self) -> Vec<SockFilter> {
        // Last instruction first; a place is the number of instructions from
        // there to the end.
        let mut reversed: Vec<SockFilter> = Vec::new();
        let mut places = vec![0; self.labels];
        for item in self.items.into_iter().rev() {
            match item {
                Item::Plain(instruction) => reversed.push(instruction),
                Item::Here(label) => places[label.0] = reversed.len(),
                Item::Goto(label) => {
                    let distance = reversed.len() - places[label.0];
                    if distance > 0 {
                        reversed.push(long(distance));
                    }
                }
                Item::Branch { code, k, if_true, if_false } => {
                    let next = reversed.len();
                    // Each detour makes the other branch longer by one.
                    let reach = usize::from(u8::MAX) - 2;
                    let mut reached = |target| {
                        let Target::To(label) = target else {
                            return next;
                        };
                        let place = &mut places[label.0];
                        if next.saturating_sub(*place) > reach {
                            reversed.push(long(reversed.len() - *place));
                            // Jumps from further up may use the detour, too.
                            *place = reversed.len();
                        }
                        *place
                    };
                    let (to_false, to_true) = (reached(if_false), reached(if_true));
                    let skip = |to: usize| {
                        u8::try_from(reversed.len() - to).expect("a detour was made otherwise")
                    };
                    let branch = jump(code, k, skip(to_true), skip(to_false));
                    reversed.push(branch);
                }
            }
        }
        reversed.reverse();
        reversed
    }
}

fn long(distance: usize) -> SockFilter {
    stmt(JA, u32::try_from(distance).expect("programs are far shorter than 4 GiB"))
}
