//! Memory: what lies where, and how a supervisor comes by it
//! (`/proc/PID/mem`).

use super::step::error;
use super::task::{Extra, Todo};
use super::world::{FileKind, TaskId, World};
use crate::scenario::SlotId;
use crate::scenario::arena::{ARENA, ARENA_DATA, ARENA_END, MOST_HELD, READONLY, desk, held};
use crate::trace::Outcome;

const PAGE: u64 = 0x1000;

impl World<'_> {
    /// Bytes of a task's memory; `None` where some cannot be read.
    pub fn read(&self, task: TaskId, address: u64, len: usize) -> Option<Vec<u8>> {
        let bytes = self.setting.0.schedule.arena.bytes();
        let process = self.process_ref(task);
        (address..address.checked_add(len as u64)?)
            .map(|at| {
                self.mapped(task, at)?;
                let initial = at.checked_sub(ARENA).and_then(|at| bytes.get(at as usize));
                Some(process.memory.get(&at).or(initial).copied().unwrap_or(0))
            })
            .collect()
    }

    /// Whether a call that the model does not know may have written here.
    pub fn is_smudged(&self, task: TaskId, address: u64, len: usize) -> bool {
        let smudged = &self.process_ref(task).smudged;
        let end = address.saturating_add(len as u64);
        smudged.iter().any(|(from, to)| *from < end && address < *to)
    }

    /// A call that the model does not know has had these arguments, and may have
    /// written where they point to.
    pub fn smudge(&mut self, task: TaskId) {
        for address in self.tasks[task].call.data.args {
            let arena = &self.setting.0.schedule.arena;
            let named = arena.region(address).filter(|(name, _)| name.starts_with('&'));
            let len = match named {
                Some((_, len)) => len as u64,
                None if (ARENA..ARENA_END).contains(&address) => continue,
                None => PAGE - address % PAGE,
            };
            if self.mapped(task, address) == Some(true) {
                self.process(task).smudged.insert((address, address + len));
            }
        }
    }

    /// Whether an address is mapped, and can be written.
    fn mapped(&self, task: TaskId, address: u64) -> Option<bool> {
        let page = address & !(PAGE - 1);
        let process = self.process_ref(task);
        let desks = (0..self.tasks.len()).any(|actor| page == desk(actor));
        let held = (0..MOST_HELD).find(|index| page == held(*index));
        match address {
            _ if (ARENA..ARENA + ARENA_DATA).contains(&address) => Some(true),
            _ if page == READONLY => Some(false),
            _ if desks => Some(true),
            _ if held.is_some() => (self.pages.get(&held?) == Some(&true)).then_some(true),
            _ => process
                .mapped
                .iter()
                .any(|(start, end)| (*start..*end).contains(&address))
                .then_some(true),
        }
    }

    pub fn read_u32(&self, task: TaskId, address: u64) -> Option<u32> {
        let bytes = self.read(task, address, 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    pub fn read_u64(&self, task: TaskId, address: u64) -> Option<u64> {
        let bytes = self.read(task, address, 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// A NUL-terminated string; `None` where it cannot be read.
    pub fn read_text(&self, task: TaskId, address: u64) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        for at in address.. {
            match self.read(task, at, 1)?[0] {
                0 => return Some(text),
                byte if text.len() < PAGE as usize => text.push(byte),
                _ => return None,
            }
        }
        None
    }

    /// Whether all of a range can be written.
    pub fn can_write(&self, task: TaskId, address: u64, len: usize) -> bool {
        let end = address.checked_add(len as u64);
        end.is_some_and(|end| (address..end).all(|at| self.mapped(task, at) == Some(true)))
    }

    /// Writes bytes; whether that is possible.
    pub fn write(&mut self, task: TaskId, address: u64, bytes: &[u8]) -> bool {
        let can = self.can_write(task, address, bytes.len());
        if can {
            let memory = &mut self.process(task).memory;
            memory.extend((address..).zip(bytes.iter().copied()));
        }
        can
    }

    /// Opens the memory of a notification's target.
    pub fn open_mem(&mut self, task: TaskId, slot: SlotId) {
        let Some(received) = self.received.get(&slot).cloned() else {
            return self.ready(task, Todo::Leave(Some(error(libc::ENOENT))));
        };
        let target = self.tasks[received.target].process;
        if received.pid == 0 || self.processes[target].reaped {
            return self.ready(task, Todo::Leave(Some(error(libc::ENOENT))));
        }
        if self.is_empty(target) || !self.tasks[received.target].lives() {
            return self.unknown_result(task);
        }
        if !self.processes[target].dumpable && !self.tasks[task].root {
            return self.ready(task, Todo::Leave(Some(error(libc::EACCES))));
        }
        let kind = FileKind::Memory(target, self.processes[target].image);
        let flags = Some(libc::O_RDWR as u64);
        let number = self.open(task, kind, flags, true);
        self.ready(task, Todo::Leave(Some(number)));
    }

    /// The process whose memory a descriptor reads, or the result where there is
    /// none.
    fn memory_behind(&self, task: TaskId, fd: i32, at: u64) -> Result<TaskId, Option<i64>> {
        // ksys_pread64, before it looks at the descriptor.
        if at.cast_signed() < 0 {
            return Err(Some(error(libc::EINVAL)));
        }
        let file = self.file(task, fd).ok_or(Some(error(libc::EBADF)))?;
        match self.files[file].kind {
            FileKind::Memory(process, image) => {
                if self.is_empty(process) || self.processes[process].image != image {
                    // Its memory is gone: the end of the file.
                    return Err(Some(0));
                }
                Ok(process)
            }
            _ => Err(None),
        }
    }

    /// Reads an opened memory.
    pub fn read_mem(&mut self, task: TaskId, fd: i32, address: u64, len: usize) {
        let result = match self.memory_behind(task, fd, address) {
            Ok(process) if self.is_smudged(process, address, len) => None,
            Ok(process) => {
                let readable = |len: &usize| self.read(process, address, *len).is_some();
                // As far as it goes; whole where all of it can be read.
                let most =
                    if readable(&len) { len } else { (0..len).rev().find(readable).unwrap_or(0) };
                if most == 0 {
                    Some(error(libc::EIO))
                } else {
                    let bytes = self.read(process, address, most).unwrap_or_default();
                    let outcome = Outcome::read(&bytes, 1);
                    self.tasks[task].call.extra = Extra::Outcome(Box::new(outcome));
                    Some(most as i64)
                }
            }
            Err(Some(0)) => {
                self.tasks[task].call.extra = Extra::Outcome(Box::new(Outcome::EndOfFile));
                Some(0)
            }
            Err(result) => result,
        };
        match result {
            Some(result) => self.ready(task, Todo::Leave(Some(result))),
            None => self.unknown_result(task),
        }
    }

    /// Writes an opened memory; the result.
    pub fn write_mem(&mut self, task: TaskId, fd: i32, address: u64, from: u64, len: usize) -> i64 {
        match self.memory_behind(task, fd, address) {
            Ok(process) => {
                let bytes = self.read(task, from, len).unwrap_or_default();
                if self.read(process, address, len).is_none() {
                    return error(libc::EIO);
                }
                let memory = &mut self.processes[process].memory;
                memory.extend((address..).zip(bytes));
                len as i64
            }
            Err(Some(result)) => result,
            Err(None) => {
                self.leave_off("a file that is no memory is written");
                0
            }
        }
    }
}
