//! The calls of scenarios that are about paths and descriptors.

use super::step::error;
use super::task::Descriptor;
use super::world::{FileKind, TaskId, World};

impl World<'_> {
    /// A name in the scratch directory.
    fn entry(&self, task: TaskId, address: u64) -> Option<Result<Vec<u8>, i64>> {
        if self.is_smudged(task, address, 1) || self.paths_unknown {
            return None;
        }
        let Some(name) = self.read_text(task, address) else {
            return Some(Err(error(libc::EFAULT)));
        };
        if name.is_empty() {
            return Some(Err(error(libc::ENOENT)));
        }
        if let Some(slash) = name.iter().position(|byte| *byte == b'/') {
            let missing = slash > 0 && !self.paths.contains_key(&name[..slash]);
            return missing.then_some(Err(error(libc::ENOENT)));
        }
        let special = name == b"." || name == b"..";
        (!special).then_some(Ok(name))
    }

    pub fn mkdir(&mut self, task: TaskId, path: u64) -> Option<i64> {
        Some(match self.entry(task, path)? {
            Err(number) => number,
            Ok(name) if self.paths.contains_key(&name) => error(libc::EEXIST),
            Ok(_) if !self.may_write(task) => return None,
            Ok(name) => {
                self.paths.insert(name, true);
                0
            }
        })
    }

    pub fn rmdir(&mut self, task: TaskId, path: u64) -> Option<i64> {
        Some(match self.entry(task, path)? {
            Err(number) => number,
            Ok(name) => match self.paths.get(&name) {
                None => error(libc::ENOENT),
                Some(false) => error(libc::ENOTDIR),
                Some(true) if !self.may_write(task) => return None,
                Some(true) => {
                    self.paths.remove(&name);
                    0
                }
            },
        })
    }

    /// Whether a task runs as who owns the scratch directory.
    fn may_write(&self, task: TaskId) -> bool {
        self.setting.0.schedule.actors[self.tasks[task].process].user.is_none()
    }

    pub fn openat(&mut self, task: TaskId, path: u64, flags: u64) -> Option<i64> {
        let Some(name) = self.read_text(task, path) else { return Some(error(libc::EFAULT)) };
        let cloexec = flags & libc::O_CLOEXEC as u64 != 0;
        let kind = if flags & libc::O_PATH as u64 != 0 { FileKind::Path } else { FileKind::Other };
        // O_LARGEFILE is always set; O_CREAT and the like are not kept.
        let dropped = (libc::O_CREAT | libc::O_EXCL | libc::O_TRUNC | libc::O_CLOEXEC) as u64;
        let kept = Some(flags & !dropped | 0x8000);
        match name.as_slice() {
            b"/dev/null" => return Some(self.open(task, FileKind::Null, kept, cloexec)),
            b"." => return Some(self.open(task, kind, kept, cloexec)),
            name if name.starts_with(b"/") => {
                let number = self.free_number(task, 0)?;
                // Whether it can be opened is another matter.
                self.or(|world| {
                    let _ = number;
                    world.unknown_result(task);
                });
                return Some(self.open(task, kind, kept, cloexec));
            }
            _ => {}
        }
        let creates = flags & libc::O_CREAT as u64 != 0;
        if flags & (libc::O_EXCL | libc::O_DIRECTORY) as u64 != 0 {
            return None;
        }
        Some(match self.entry(task, path)? {
            Err(number) => number,
            Ok(name) => match self.paths.get(&name) {
                None if !creates => error(libc::ENOENT),
                None if !self.may_write(task) => return None,
                Some(true) => return None,
                _ => {
                    self.paths.entry(name).or_insert(false);
                    self.open(task, kind, kept, cloexec)
                }
            },
        })
    }

    pub fn fcntl(&mut self, task: TaskId, fd: i32, command: i32, argument: u64) -> Option<i64> {
        let Some(descriptor) = self.process_ref(task).descriptors.get(&fd).copied() else {
            return Some(error(libc::EBADF));
        };
        Some(match command {
            libc::F_GETFD => i64::from(descriptor.close_on_exec),
            libc::F_SETFD => {
                let close_on_exec = argument & 1 != 0;
                self.process(task)
                    .descriptors
                    .insert(fd, Descriptor { close_on_exec, ..descriptor });
                0
            }
            libc::F_GETFL => self.files[descriptor.file].flags? as i64,
            libc::F_SETFL => {
                let changed = (libc::O_APPEND | libc::O_NONBLOCK) as u64;
                let file = &mut self.files[descriptor.file];
                file.flags = file.flags.map(|flags| flags & !changed | argument & changed);
                0
            }
            libc::F_DUPFD | libc::F_DUPFD_CLOEXEC
                if u64::from(argument as u32) >= self.process_ref(task).most_descriptors =>
            {
                error(libc::EINVAL)
            }
            libc::F_DUPFD => self.duplicate(task, descriptor.file, argument as i32, false),
            libc::F_DUPFD_CLOEXEC => self.duplicate(task, descriptor.file, argument as i32, true),
            _ => return None,
        })
    }

    pub fn limit(&mut self, task: TaskId, address: u64) -> i64 {
        let soft = self.read_u64(task, address);
        match (soft, self.read_u64(task, address.wrapping_add(8))) {
            (Some(soft), Some(hard)) if soft <= hard => {
                self.process(task).most_descriptors = soft;
                0
            }
            (Some(_), Some(_)) => error(libc::EINVAL),
            _ => error(libc::EFAULT),
        }
    }
}
