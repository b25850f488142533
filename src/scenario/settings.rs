//! Settings of actors that nothing would come of: each is a mistake, not a thing
//! to pass over in silence.

use super::Transfer;
use super::resolve::Resolver;
use super::schedule::Origin;
use super::stage;

impl Resolver<'_> {
    /// Settings of an actor that nothing would come of.
    pub(super) fn settings(&mut self, index: usize) {
        let scenario = self.scenario;
        let actor = &scenario.actors[index];
        let name = &actor.name;
        let parent = match self.schedule.actors[index].origin {
            Origin::Start => None,
            Origin::Fork(parent) | Origin::Thread(parent) => Some(&scenario.actors[parent.0].name),
        };
        // Who is started by a step is a copy of who starts it.
        let inherited = [
            ("user", actor.user.is_some()),
            ("no_capabilities", actor.no_capabilities),
            ("cpu", actor.cpu.is_some()),
            ("policy", actor.policy.is_some()),
            ("namespaces", !actor.namespaces.is_empty()),
        ];
        for (key, _) in inherited.iter().filter(|(_, given)| *given) {
            let Some(parent) = parent else { break };
            let message = format!("{name} is started by {parent}, so its `{key}` means nothing");
            let expected = format!("`{key}` in the table of {parent}, from which {name} has it");
            self.mistake(&actor.span, message, expected);
        }
        let handed = [
            ("keeps", !actor.keeps.is_empty()),
            ("listeners", actor.listeners.is_some()),
            ("via", actor.via == Transfer::ScmRights),
        ];
        for (key, _) in handed.iter().filter(|(_, given)| *given) {
            let Some(parent) = parent else { break };
            let message = format!(
                "{name} is started by {parent}, after listeners were handed over: its `{key}` \
                 means nothing"
            );
            self.mistake(&actor.span, message, format!("a step `{name}: take LISTENER from=…`"));
        }
        let own: Vec<&str> = stage::listeners(scenario, actor).collect();
        for listener in actor.keeps.iter().filter(|kept| !own.contains(&kept.as_str())) {
            let message = format!("{name} keeps {listener}, which none of its filters makes");
            self.mistake(&actor.span, message, known_listeners(&own));
        }
        let there = |index: &usize| self.schedule.actors[*index].origin == Origin::Start;
        let owners = (0..scenario.actors.len()).filter(there).map(|index| &scenario.actors[index]);
        let all: Vec<&str> = owners.flat_map(|owner| stage::listeners(scenario, owner)).collect();
        let unknown = |name: &&String| !all.contains(&name.as_str());
        for listener in actor.listeners.iter().flatten().filter(unknown) {
            let message =
                format!("{name} is to take {listener}, which no filter of an actor's table makes");
            self.mistake(&actor.span, message, known_listeners(&all));
        }
    }
}

fn known_listeners(known: &[&str]) -> String {
    match known {
        [] => "a filter with `listener = …`".to_owned(),
        known => format!("one of {}", known.join(", ")),
    }
}
