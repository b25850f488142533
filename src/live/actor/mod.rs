//! The code that runs in an actor, after fork(2).
//!
//! An actor allocates nothing, takes no lock and uses no libc: it makes its
//! calls by bare instruction, so that it works as a thread without
//! thread-local storage of its own, and under any filter. For control it
//! needs read(2) and write(2); where its filters refuse them it watches the
//! shared memory instead.

mod listener;
mod signals;
mod tasks;
mod tracing;

use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::shared::{ACTING, ActorArea, IDLE, Mapping, Record, SPINNING};
use crate::abi;
use crate::scenario::arena::{self, desk};
use crate::scenario::{ActorId, Arg, Entry, Field, Op, Place, Schedule, SlotId};

pub(super) use signals::reset_signals;

/// What an actor finds in its memory.
pub(super) struct Stage {
    pub schedule: Schedule,
    pub shared: Mapping,
}

/// Descriptors of every actor, at numbers that leave the low ones free. The
/// default limit is 1024.
pub(super) const CONTROL: i32 = 900;
/// Where an actor says that it has finished its turn.
pub(super) const DONE: i32 = CONTROL + arena::MOST_ACTORS as i32;
/// The shared memory, for an actor that executes the tool anew.
pub(super) const MEMORY: i32 = DONE + 1;
/// A socket pair over which descriptors are passed.
pub(super) const PASS_END: i32 = DONE + 2;
/// The end from which they are taken.
pub(super) const TAKE_END: i32 = DONE + 3;
/// The scenario's text, for an actor that executes the tool anew.
pub(super) const TEXT: i32 = DONE + 4;
/// The userfaultfd of an actor's process, where the scenario has held pages.
pub(super) const HOLD: i32 = DONE + 5;
/// The first number above those that actors have.
pub(super) const BEYOND: i32 = DONE + 6;
/// How the names of actors' processes begin.
pub(super) const ACTOR_NAME: &str = "ul-";

/// Rounds for which an actor waits at the gate, some hundred microseconds.
const LONGEST_AT_GATE: u32 = 10_000;

/// The stage of this process; set before the first actor is forked.
static STAGE: AtomicPtr<Stage> = AtomicPtr::new(std::ptr::null_mut());
/// The actor that is this process's main thread.
static MAIN: AtomicUsize = AtomicUsize::new(0);

/// Sets the stage on which actors of this process act.
pub(super) fn set_stage(stage: &Stage) {
    STAGE.store(std::ptr::from_ref(stage).cast_mut(), Ordering::Release);
}

fn stage() -> &'static Stage {
    // SAFETY: set_stage put a reference there before any actor was started,
    // and an actor never returns to what owns the stage in its process.
    unsafe { &*STAGE.load(Ordering::Acquire) }
}

/// One actor at work.
#[derive(Clone, Copy)]
struct Player {
    stage: &'static Stage,
    me: ActorId,
}

/// What an act gave: the raw register, and data beside it.
struct Reply {
    raw: i64,
    words: [u64; crate::scenario::LONGEST_READ / 8],
}

impl From<i64> for Reply {
    fn from(raw: i64) -> Self {
        Reply { raw, words: [0; crate::scenario::LONGEST_READ / 8] }
    }
}

/// Runs an actor as the main thread of this process, until it is told to end.
pub(super) fn run(me: ActorId) -> ! {
    MAIN.store(me.0, Ordering::Release);
    Player { stage: stage(), me }.run()
}

/// Makes a call for the harness's own ends.
fn sys(number: i64, args: [u64; 6]) -> i64 {
    // SAFETY: callers pass addresses of their own memory, or ones that the
    // scenario wants to be bad; the process is made to be spent.
    unsafe { abi::raw_syscall(number, args) }
}

fn exit() -> ! {
    loop {
        sys(libc::SYS_exit_group, [0; 6]);
        sys(libc::SYS_exit, [0; 6]);
    }
}

impl Player {
    fn area(&self) -> &'static ActorArea {
        &self.stage.shared.actors[self.me.0]
    }

    fn run(self) -> ! {
        // The worker has told the others' numbers as it sees them.
        let tid = sys(libc::SYS_gettid, [0; 6]) as i32;
        let _ = self.area().tid.compare_exchange(0, tid, Ordering::AcqRel, Ordering::Acquire);
        self.serve()
    }

    /// Goes on after execve(2): the act that called it has succeeded.
    fn resume(self, act: usize) -> ! {
        self.area().write(&Record::done(act, 0));
        let schedule = &self.stage.schedule;
        let turn = schedule.turns.iter().find(|turn| turn.acts.contains(&act));
        if let Some(turn) = turn {
            self.acts(act + 1..turn.acts.end);
        }
        self.serve()
    }

    /// Says that the actor is there, and takes turns until it is told to end.
    fn serve(self) -> ! {
        self.area().phase.store(IDLE, Ordering::Release);
        self.tell();
        loop {
            let turn = self.next_turn();
            self.take_turn(turn);
        }
    }

    fn tell(&self) {
        let byte = self.me.0 as u8;
        sys(libc::SYS_write, [DONE as u64, &raw const byte as u64, 1, 0, 0, 0]);
    }

    /// Waits for the number of the next turn. The end of the pipe means that
    /// the worker is gone.
    fn next_turn(&self) -> usize {
        let mut turn = 0u32;
        let control = (CONTROL + self.me.0 as i32) as u64;
        loop {
            let got = sys(libc::SYS_read, [control, &raw mut turn as u64, 4, 0, 0, 0]);
            match got {
                4 => return turn as usize,
                0 => exit(),
                // A handler ran while the actor was idle.
                -4 => {}
                // The filters refuse read(2): watch the memory.
                _ => return self.spin(),
            }
        }
    }

    fn spin(&self) -> usize {
        let area = self.area();
        area.phase.store(SPINNING, Ordering::Release);
        loop {
            let go = area.go.swap(0, Ordering::AcqRel);
            if go != 0 {
                return go as usize - 1;
            }
            area.beat.fetch_add(1, Ordering::AcqRel);
            std::hint::spin_loop();
        }
    }

    fn take_turn(&self, turn: usize) {
        let schedule = &self.stage.schedule;
        if schedule.is_race(turn) {
            self.wait_at_gate();
        }
        if let Some(turn) = schedule.turns.get(turn) {
            self.acts(turn.acts.clone());
        }
        self.area().phase.store(IDLE, Ordering::Release);
        self.tell();
    }

    /// Waits until all whose turns begin together are there, and then for as
    /// long as the director has drawn. No system call is made: filters could
    /// refuse it. On a busy machine nobody waits long for one that does not
    /// get a processor: then this run of the race is a tame one.
    fn wait_at_gate(&self) {
        let gate = &self.stage.shared.gate;
        gate.arrived.fetch_add(1, Ordering::AcqRel);
        for _ in 0..LONGEST_AT_GATE {
            if gate.open.load(Ordering::Acquire) != 0 {
                break;
            }
            std::hint::spin_loop();
        }
        for _ in 0..self.area().delay.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    }

    fn acts(&self, acts: std::ops::Range<usize>) {
        for index in acts {
            let Some(act) = self.stage.schedule.acts.get(index) else { return };
            self.area().phase.store(ACTING + index as u32, Ordering::Release);
            let reply = self.perform(&act.op, act.binds);
            let record = Record { words: reply.words, ..Record::done(index, reply.raw) };
            self.area().write(&record);
        }
    }

    /// The value of an argument, now.
    fn value(&self, arg: Arg) -> u64 {
        match arg {
            Arg::Value(value) => value,
            // A name that nothing bound, as the step that should have failed.
            Arg::Slot(slot, by) => self.number(slot).wrapping_add(by) as u64,
            Arg::Field(slot, field) => {
                let notification = self.stage.shared.notification(slot);
                match field {
                    Field::Id => notification.id,
                    Field::Pid => u64::from(notification.pid),
                    Field::Nr => notification.data.nr as u64,
                    Field::Arg(index) => notification.data.args[usize::from(index) % 6],
                }
            }
            Arg::Pid(actor) => self.tid(actor),
        }
    }

    fn number(&self, slot: SlotId) -> i64 {
        let process = self.stage.schedule.process_of(self.me);
        self.stage.shared.value(process.0, slot).unwrap_or(-1)
    }

    fn tid(&self, actor: ActorId) -> u64 {
        self.stage.shared.tid(actor) as u64
    }

    fn bind(&self, slot: Option<SlotId>, value: i64) {
        if let Some(slot) = slot
            && value >= 0
        {
            let process = self.stage.schedule.process_of(self.me);
            self.stage.shared.bind(process.0, slot, value);
        }
    }

    /// The address of a structure of `size` bytes.
    fn address(&self, place: Place, size: usize) -> u64 {
        match place {
            Place::Desk => desk(self.me.0),
            Place::Null => 0,
            Place::Unmapped => arena::UNMAPPED,
            Place::ReadOnly => arena::READONLY,
            Place::Edge => arena::edge(self.me.0, size),
            Place::Held(index) => arena::held(index),
        }
    }

    /// Puts a structure where the call will look for it. What goes to a held
    /// page is left on the desk: the director fills the page with it.
    fn put<T: Copy>(&self, value: T, place: Place) -> u64 {
        let address = self.address(place, size_of::<T>());
        let written = match place {
            Place::Desk | Place::Edge => address,
            Place::Held(_) => desk(self.me.0),
            Place::Null | Place::Unmapped | Place::ReadOnly => return address,
        };
        poke(written, value);
        address
    }

    fn perform(&self, op: &Op, binds: Option<SlotId>) -> Reply {
        match *op {
            Op::Call { entry, number, args } => {
                let args = args.map(|arg| self.value(arg));
                let raw = match entry {
                    // SAFETY: the call is what the scenario is about; this
                    // process is made to be spent.
                    Entry::Native | Entry::X32 => unsafe { abi::traced_syscall(number, &args) },
                    // SAFETY: as above.
                    Entry::Int80 => unsafe { abi::traced_int80(number, &args) },
                };
                self.bind(binds, raw);
                raw.into()
            }
            Op::Store { to, from, len } => {
                for at in 0..len as u64 {
                    poke(to + at, peek::<u8>(from + at));
                }
                0.into()
            }
            Op::Load { address, len, .. } => read_back(0, address, len),
            Op::Fork(actor) => self.fork(actor).into(),
            Op::Thread(actor) => self.thread(actor).into(),
            Op::Exec => self.exec().into(),
            Op::Pass(fd) => self.pass(self.value(fd)).into(),
            Op::Take { slot, from, via } => {
                let raw = self.take(slot, from, via);
                self.bind(Some(slot), raw);
                raw.into()
            }
            Op::Install { program, flags, prctl, .. } => {
                let raw = self.install(program, self.value(flags), prctl);
                self.bind(binds, raw);
                raw.into()
            }
            Op::Strict { prctl } => self.strict(prctl).into(),
            Op::NoNewPrivs => {
                sys(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0, 0]).into()
            }
            Op::Dispose { signal, disposition } => self.dispose(signal, disposition).into(),
            Op::Mask { signal, block } => self.mask(signal, block).into(),
            Op::Recv { .. }
            | Op::Send { .. }
            | Op::IdValid { .. }
            | Op::Addfd { .. }
            | Op::SetFlags { .. }
            | Op::Poll { .. }
            | Op::Select { .. }
            | Op::EpollAdd { .. }
            | Op::EpollWait { .. }
            | Op::OpenMem { .. }
            | Op::ReadMem { .. }
            | Op::WriteMem { .. } => self.supervise(op, binds),
            Op::Attach(_)
            | Op::Seize { .. }
            | Op::Interrupt(_)
            | Op::WaitStop(_)
            | Op::Resume { .. }
            | Op::ToSyscall { .. }
            | Op::Detach { .. }
            | Op::SetOptions { .. }
            | Op::EventMessage(_)
            | Op::GetRegister { .. }
            | Op::SetRegister { .. }
            | Op::GetFilter { .. } => self.trace(op),
            // The director does these itself.
            Op::Signal { .. }
            | Op::Reap(_)
            | Op::Delay(_)
            | Op::Await(_)
            | Op::State(_)
            | Op::Status { .. }
            | Op::Freeze { .. }
            | Op::LetGo { .. } => (-i64::from(libc::ENOSYS)).into(),
        }
    }

    fn install(&self, program: u64, flags: u64, prctl: bool) -> i64 {
        if prctl {
            let mode = libc::SECCOMP_MODE_FILTER as u64;
            return sys(libc::SYS_prctl, [libc::PR_SET_SECCOMP as u64, mode, program, 0, 0, 0]);
        }
        let operation = u64::from(libc::SECCOMP_SET_MODE_FILTER);
        sys(libc::SYS_seccomp, [operation, flags, program, 0, 0, 0])
    }

    fn strict(&self, prctl: bool) -> i64 {
        if prctl {
            let mode = libc::SECCOMP_MODE_STRICT as u64;
            return sys(libc::SYS_prctl, [libc::PR_SET_SECCOMP as u64, mode, 0, 0, 0, 0]);
        }
        sys(libc::SYS_seccomp, [u64::from(libc::SECCOMP_SET_MODE_STRICT), 0, 0, 0, 0, 0])
    }
}

/// Goes on as an actor in a process that has executed the tool anew. The
/// stage has been set up again from what was left in the shared memory.
pub(super) fn resume(me: ActorId) -> ! {
    MAIN.store(me.0, Ordering::Release);
    let player = Player { stage: stage(), me };
    let phase = player.area().phase.load(Ordering::Acquire);
    player.resume(phase.saturating_sub(ACTING) as usize)
}

/// Takes back the name by which a killed worker's actors are known.
pub(super) fn name_again() {
    let name = *b"ul-exec\0";
    sys(libc::SYS_prctl, [libc::PR_SET_NAME as u64, name.as_ptr() as u64, 0, 0, 0, 0]);
}

/// Writes to this actor's own memory in the arena.
fn poke<T: Copy>(address: u64, value: T) {
    // SAFETY: addresses come from the arena's layout: mapped, writable, and
    // used by nobody else while this actor acts.
    unsafe { std::ptr::write_volatile(address as *mut T, value) };
}

/// Reads this actor's own memory in the arena.
fn peek<T: Copy>(address: u64) -> T {
    // SAFETY: as for poke; every T that is asked for is plain data.
    unsafe { std::ptr::read_volatile(address as *const T) }
}

/// A reply with `len` bytes that lie at an address of the arena.
fn read_back(raw: i64, address: u64, len: usize) -> Reply {
    let mut reply = Reply::from(raw);
    let room = (reply.words.len()) * 8;
    for at in 0..len.min(room) {
        let byte = u64::from(peek::<u8>(address + at as u64));
        reply.words[at / 8] |= byte << (at % 8 * 8);
    }
    reply
}
