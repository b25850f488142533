//! What a scenario needs that its tables and steps say by themselves.

use super::{Act, Actor, Entry, Namespace, Need, Policy, Scenario, Verb};

impl Scenario {
    /// All that must be there for it to run: what the file names, and what
    /// follows from its tables and steps.
    pub fn all_needs(&self) -> Vec<Need> {
        let mut needs = self.needs.clone();
        needs.extend(self.actors.iter().flat_map(of_actor));
        needs.extend((!self.held.is_empty()).then_some(Need::Userfaultfd));
        let operations = self.steps.iter().flat_map(|step| &step.operations);
        needs.extend(operations.filter_map(|operation| of_act(&operation.act)));
        needs.sort_unstable();
        needs.dedup();
        needs
    }
}

fn of_actor(actor: &Actor) -> impl Iterator<Item = Need> {
    let own = |namespace| actor.namespaces.contains(&namespace);
    // Root of a user namespace of its own may make the others.
    let namespaces = match own(Namespace::User) {
        true => Some(Need::UserNamespace),
        false => (own(Namespace::Pid) || own(Namespace::Mount)).then_some(Need::Root),
    };
    [
        namespaces,
        // CAP_SETUID and CAP_SETGID, for setresuid(2) and setgroups(2).
        actor.user.map(|_| Need::Root),
        (actor.policy == Some(Policy::Fifo)).then_some(Need::Realtime),
        actor.cpu.filter(|cpu| *cpu > 0).map(|_| Need::TwoCpus),
    ]
    .into_iter()
    .flatten()
}

fn of_act(act: &Act) -> Option<Need> {
    match act {
        Act::Call { entry: Entry::Int80, .. } => Some(Need::Ia32),
        Act::Verb { verb: Verb::Freeze | Verb::Thaw, .. } => Some(Need::Freezer),
        Act::Call { .. } | Act::Verb { .. } => None,
    }
}
