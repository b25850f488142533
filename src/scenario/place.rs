//! Every place that a scenario keeps, for those who move them.

use super::{Act, Operation, Placed, Scenario, Span, StackEntry};

impl Scenario {
    /// Moves every place in it, such as from a text with a choice of
    /// parameters to the file.
    pub(super) fn move_places(&mut self, to: &impl Fn(&mut Span)) {
        self.held.iter_mut().for_each(|held| to(&mut held.span));
        self.buffers.iter_mut().for_each(|(_, buffer)| to(&mut buffer.span));
        self.filters.iter_mut().for_each(|(_, filter)| to(&mut filter.span));
        for actor in &mut self.actors {
            to(&mut actor.span);
            for entry in &mut actor.filters {
                if let StackEntry::Inline(filter) = entry {
                    to(&mut filter.span);
                }
            }
        }
        for step in &mut self.steps {
            to(&mut step.span);
            step.operations.iter_mut().for_each(|operation| operation.move_places(to));
        }
    }
}

impl Operation {
    /// Moves every place in it.
    pub(crate) fn move_places(&mut self, to: &impl Fn(&mut Span)) {
        to(&mut self.span);
        let move_value = |value: &mut Placed<_>| to(&mut value.span);
        match &mut self.act {
            Act::Call { args, .. } => args.iter_mut().for_each(move_value),
            Act::Verb { operands, options, .. } => {
                let options = options.iter_mut().map(|(_, value)| value);
                operands.iter_mut().chain(options).for_each(move_value);
            }
        }
    }
}
