//! Memory that the worker and all actors of a scenario share.
//!
//! It is made of atomics only, so that every process can look at any moment.
//! Actors write what they saw; the worker reads it when nobody runs.

use std::fs::File;
use std::ops::Deref;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64, Ordering};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use crate::abi::{SeccompData, SeccompNotif};
use crate::scenario::arena::MOST_ACTORS;
use crate::scenario::{ActorId, LONGEST_READ, SlotId};

/// Most names that a scenario can bind.
pub(super) const MOST_SLOTS: usize = 64;
/// Most records that one actor can write in a run.
const MOST_RECORDS: usize = 128;
/// 64-bit words of data in one record.
const RECORD_WORDS: usize = LONGEST_READ / 8;

/// The layout of the shared memory.
#[repr(C)]
pub(super) struct Shared {
    /// Where actors whose turns begin together wait for each other.
    pub gate: Gate,
    pub actors: [ActorArea; MOST_ACTORS],
    slots: [SlotArea; MOST_SLOTS],
}

/// A gate that lets all through at once.
#[repr(C)]
pub(super) struct Gate {
    /// How many have come to it.
    pub arrived: AtomicU32,
    /// Whether they may go on.
    pub open: AtomicU32,
}

/// What one actor tells.
#[repr(C)]
pub(super) struct ActorArea {
    /// Its thread id, as the worker sees it; 0 before it is known.
    pub tid: AtomicI32,
    /// [`IDLE`], [`SPINNING`], or the act that it is in, plus [`ACTING`].
    pub phase: AtomicU32,
    /// The turn that a spinning actor is to take next, plus 1.
    pub go: AtomicU32,
    /// How long it waits at an open gate, in rounds of a loop.
    pub delay: AtomicU32,
    /// Goes up while a spinning actor goes round.
    pub beat: AtomicU32,
    /// What went wrong in its preparation, as an errno; 0 for nothing.
    pub fault: AtomicI32,
    written: AtomicU32,
    records: [RecordArea; MOST_RECORDS],
    /// Its own numbers of bound names.
    local: [AtomicI64; MOST_SLOTS],
    local_set: AtomicU64,
    /// What its handlers write over an interrupted call's result, by signal.
    pub handler_results: [AtomicU64; 65],
    pub handler_has_result: AtomicU64,
    /// Which signals' handlers asked for `siginfo_t`.
    pub handler_has_info: AtomicU64,
}

/// The actor waits in read(2) for its next turn.
pub(super) const IDLE: u32 = 0;
/// The actor waits for its next turn without a system call, as its filters do
/// not let it read.
pub(super) const SPINNING: u32 = 1;
/// Added to the number of the act that an actor is in.
pub(super) const ACTING: u32 = 2;

#[repr(C)]
struct RecordArea {
    kind: AtomicU32,
    act: AtomicU32,
    raw: AtomicI64,
    words: [AtomicU64; RECORD_WORDS],
}

#[repr(C)]
struct SlotArea {
    /// 0 for unset, 1 while the value is being written, 2 for set.
    set: AtomicU32,
    value: AtomicI64,
    notification: [AtomicU64; 10],
}

/// One thing that an actor saw.
#[derive(Clone, Copy)]
pub(super) struct Record {
    pub kind: RecordKind,
    pub raw: i64,
    pub words: [u64; RECORD_WORDS],
}

/// What a record is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// An act has ended.
    Done(usize),
    /// A signal handler ran.
    Handler,
}

impl Record {
    /// A record without data.
    pub fn done(act: usize, raw: i64) -> Record {
        Record { kind: RecordKind::Done(act), raw, words: [0; RECORD_WORDS] }
    }
}

impl ActorArea {
    /// Adds a record. A signal handler may come between: it takes a place of
    /// its own. A full log loses what follows, which the worker notices.
    pub fn write(&self, record: &Record) {
        let at = self.written.fetch_add(1, Ordering::AcqRel) as usize;
        let Some(area) = self.records.get(at) else { return };
        for (word, value) in area.words.iter().zip(record.words) {
            word.store(value, Ordering::Relaxed);
        }
        area.raw.store(record.raw, Ordering::Relaxed);
        let (kind, act) = match record.kind {
            RecordKind::Done(act) => (1, act as u32),
            RecordKind::Handler => (2, 0),
        };
        area.act.store(act, Ordering::Relaxed);
        area.kind.store(kind, Ordering::Release);
    }

    /// The record of that number, if it has been written.
    pub fn read(&self, index: usize) -> Option<Record> {
        let area = self.records.get(index)?;
        let kind = match area.kind.load(Ordering::Acquire) {
            1 => RecordKind::Done(area.act.load(Ordering::Relaxed) as usize),
            2 => RecordKind::Handler,
            _ => return None,
        };
        let mut words = [0; RECORD_WORDS];
        for (word, value) in words.iter_mut().zip(&area.words) {
            *word = value.load(Ordering::Relaxed);
        }
        Some(Record { kind, raw: area.raw.load(Ordering::Relaxed), words })
    }

    /// Whether more was written than there was room for.
    pub fn overflowed(&self) -> bool {
        self.written.load(Ordering::Acquire) as usize > MOST_RECORDS
    }
}

impl Shared {
    /// Binds a name to a value, in one actor's process.
    pub fn bind(&self, actor: usize, slot: SlotId, value: i64) {
        let area = &self.actors[actor];
        area.local[slot.0].store(value, Ordering::Relaxed);
        area.local_set.fetch_or(1 << slot.0, Ordering::Release);
        let common = &self.slots[slot.0];
        if common.set.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            common.value.store(value, Ordering::Relaxed);
            common.set.store(2, Ordering::Release);
        }
    }

    /// What a name stands for in an actor's process: its own number for it,
    /// or that of whoever bound it first.
    pub fn value(&self, process: usize, slot: SlotId) -> Option<i64> {
        let area = &self.actors[process];
        if area.local_set.load(Ordering::Acquire) & 1 << slot.0 != 0 {
            return Some(area.local[slot.0].load(Ordering::Relaxed));
        }
        let common = &self.slots[slot.0];
        (common.set.load(Ordering::Acquire) == 2).then(|| common.value.load(Ordering::Acquire))
    }

    /// A forked child has its parent's descriptors and handlers.
    pub fn inherit(&self, parent: usize, child: usize) {
        let (from, to) = (&self.actors[parent], &self.actors[child]);
        for (value, copy) in from.local.iter().zip(&to.local) {
            copy.store(value.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        to.local_set.store(from.local_set.load(Ordering::Acquire), Ordering::Release);
        for (result, copy) in from.handler_results.iter().zip(&to.handler_results) {
            copy.store(result.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        for (bits, copy) in [
            (&from.handler_has_result, &to.handler_has_result),
            (&from.handler_has_info, &to.handler_has_info),
        ] {
            copy.store(bits.load(Ordering::Acquire), Ordering::Release);
        }
    }

    /// Binds a name to a notification.
    pub fn bind_notification(&self, actor: usize, slot: SlotId, notification: &SeccompNotif) {
        let data = &notification.data;
        let mut words = [0; 10];
        words[0] = notification.id;
        words[1] = u64::from(notification.pid) | u64::from(notification.flags) << 32;
        words[2] = u64::from(data.nr as u32) | u64::from(data.arch) << 32;
        words[3] = data.instruction_pointer;
        words[4..].copy_from_slice(&data.args);
        for (word, value) in self.slots[slot.0].notification.iter().zip(words) {
            word.store(value, Ordering::Relaxed);
        }
        self.bind(actor, slot, notification.id as i64);
    }

    /// The notification that a name stands for.
    pub fn notification(&self, slot: SlotId) -> SeccompNotif {
        let mut words = [0; 10];
        for (word, value) in words.iter_mut().zip(&self.slots[slot.0].notification) {
            *word = value.load(Ordering::Acquire);
        }
        notification_of(&words)
    }

    /// An actor's thread id.
    pub fn tid(&self, actor: ActorId) -> i32 {
        self.actors[actor.0].tid.load(Ordering::Acquire)
    }
}

/// `struct seccomp_notif` in ten words, as it lies in memory.
pub(super) fn notification_of(words: &[u64]) -> SeccompNotif {
    let mut args = [0; 6];
    args.copy_from_slice(&words[4..10]);
    SeccompNotif {
        id: words[0],
        pid: words[1] as u32,
        flags: (words[1] >> 32) as u32,
        data: SeccompData {
            nr: words[2] as i32,
            arch: (words[2] >> 32) as u32,
            instruction_pointer: words[3],
            args,
        },
    }
}

/// A mapping of the shared memory.
pub(super) struct Mapping {
    shared: NonNull<Shared>,
}

impl Mapping {
    /// New shared memory, all zero, and the file behind it.
    pub fn new() -> nix::Result<(Mapping, File)> {
        let file = File::from(memfd_create(c"unotify-lab", MFdFlags::MFD_CLOEXEC)?);
        file.set_len(size_of::<Shared>() as u64)
            .map_err(|error| nix::Error::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
        Ok((Mapping::of(&file)?, file))
    }

    /// The shared memory behind a file.
    pub fn of(file: impl AsFd) -> nix::Result<Mapping> {
        let len = std::num::NonZeroUsize::new(size_of::<Shared>()).expect("it has members");
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses.
        let address = unsafe { mmap(None, len, protection, MapFlags::MAP_SHARED, file, 0)? };
        Ok(Mapping { shared: address.cast() })
    }
}

impl Deref for Mapping {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        // SAFETY: the mapping is as large as Shared and lives as long as
        // self; Shared is made of atomics, for which all zero is valid.
        unsafe { self.shared.as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nothing borrowed from self outlives it.
        let unmapped = unsafe { munmap(self.shared.cast(), size_of::<Shared>()) };
        debug_assert!(unmapped.is_ok());
    }
}
