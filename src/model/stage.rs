//! The stage before the first act: processes as the live world makes them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Setting;
use super::task::{Call, Control, Delivery, Descriptor, Process, State, Task, Wait};
use super::world::{FileKind, Fixed, OpenFile, World};
use crate::scenario::{ActorId, Namespace, Origin, Policy};

/// RLIMIT_NOFILE as actors find it: more than any scenario uses.
const MOST_DESCRIPTORS: u64 = 1024;
impl<'s> World<'s> {
    /// The stage before the first act.
    pub fn new(setting: &'s Setting<'s>) -> Self {
        let schedule = setting.schedule;
        let actors = schedule.actors.len();
        let null = OpenFile { kind: FileKind::Null, flags: Some(0x8002) };
        let mut world = World {
            setting: Fixed(setting),
            tasks: Vec::with_capacity(actors),
            processes: Vec::with_capacity(actors),
            filters: Vec::new(),
            files: vec![null],
            racing: false,
            pages: BTreeMap::new(),
            paths: BTreeMap::new(),
            paths_unknown: false,
            bound: BTreeMap::new(),
            received: BTreeMap::new(),
            first_ids: BTreeMap::new(),
            passed: VecDeque::new(),
            news: vec![Vec::new(); actors],
            to_direct: VecDeque::new(),
            directed: Vec::new(),
            to_begin: Vec::new(),
            rests: vec![None; actors],
            told_blocked: vec![None; actors],
            beyond: None,
            undecided: Vec::new(),
            others: Vec::new(),
        };
        for (index, actor) in schedule.actors.iter().enumerate() {
            let own = |namespace| actor.namespaces.contains(&namespace);
            let stripped = actor.user.is_some() || actor.no_capabilities;
            let root = setting.root && !stripped && !own(Namespace::User);
            let start = actor.origin == Origin::Start;
            world.tasks.push(Task {
                process: schedule.process_of(ActorId(index)).0,
                state: if start { State::Asleep(Wait::Turn) } else { State::Unborn },
                at: 0,
                until: 0,
                its_turn: false,
                control: start.then_some(Control::Listen),
                call: Call::default(),
                filter: None,
                strict: false,
                dead: false,
                counted: 0,
                no_new_privs: false,
                blocked: 0,
                pending: BTreeMap::new(),
                passed: None,
                delivery: Delivery::default(),
                signalled: false,
                restart_block: false,
                killed: false,
                ended: None,
                frozen: false,
                added: None,
                capable: root || own(Namespace::User) && !stripped,
                root,
                cpu: actor.cpu,
                fifo: actor.policy == Some(Policy::Fifo),
                traced: None,
                raced: false,
            });
            let standard = Descriptor { file: 0, close_on_exec: false };
            world.processes.push(Process {
                descriptors: (0..3).map(|number| (number, standard)).collect(),
                most_descriptors: MOST_DESCRIPTORS,
                dispositions: BTreeMap::new(),
                pending: BTreeMap::new(),
                memory: BTreeMap::new(),
                mapped: BTreeSet::new(),
                smudged: BTreeSet::new(),
                image: 0,
                bound: BTreeMap::new(),
                parent: None,
                ending: None,
                reaped: false,
                stopped: false,
                namespaces: if own(Namespace::Pid) { vec![index] } else { Vec::new() },
                dumpable: true,
                grouped: false,
            });
        }
        world
    }
}
