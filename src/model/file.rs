//! Descriptors, what is ready on them, and memory.

use super::rules;
use super::step::{ERESTART_RESTARTBLOCK, ERESTARTNOHAND, error};
use super::task::{Descriptor, Extra, State, Task, Todo, Wait};
use super::world::{Addition, FileId, FileKind, FilterId, OpenFile, TaskId, World};
use crate::trace::Outcome;

/// Descriptors of the harness in every actor: they are open, and above any
/// that a scenario makes.
const HARNESS: std::ops::Range<i32> = 900..922;

/// A call that waits for events.
pub(super) enum Poll {
    Events { fd: i32, events: u32, timeout: i64 },
    Select { fd: i32, timeout: i64 },
    Epoll { fd: i32, timeout: i64 },
}

impl World<'_> {
    /// The open file behind a descriptor of a task.
    pub fn file(&self, task: TaskId, fd: i32) -> Option<FileId> {
        self.process_ref(task).descriptors.get(&fd).map(|descriptor| descriptor.file)
    }

    /// The listener behind a descriptor.
    pub fn listener(&self, task: TaskId, fd: i32) -> Option<FilterId> {
        match self.files[self.file(task, fd)?].kind {
            FileKind::Listener(filter) => Some(filter),
            _ => None,
        }
    }

    /// The lowest free number from `from` on.
    pub fn free_number(&self, task: TaskId, from: i32) -> Option<i32> {
        let process = self.process_ref(task);
        let own = |other: &&Task| other.process == self.tasks[task].process;
        let reserved: Vec<i32> =
            self.tasks.iter().filter(own).filter_map(|other| other.call.reserves).collect();
        let free = |fd: &i32| {
            !process.descriptors.contains_key(fd) && !reserved.contains(fd) && !HARNESS.contains(fd)
        };
        let most = i32::try_from(process.most_descriptors).unwrap_or(i32::MAX);
        (from..most).find(free)
    }

    /// Opens a file at the lowest number.
    pub fn open(&mut self, task: TaskId, kind: FileKind, flags: Option<u64>, cloexec: bool) -> i64 {
        let Some(number) = self.free_number(task, 0) else { return error(libc::EMFILE) };
        self.files.push(OpenFile { kind, flags });
        let descriptor = Descriptor { file: self.files.len() - 1, close_on_exec: cloexec };
        self.process(task).descriptors.insert(number, descriptor);
        i64::from(number)
    }

    /// A further descriptor of an open file, at the lowest number from `from`
    /// on.
    pub fn duplicate(&mut self, task: TaskId, file: FileId, from: i32, cloexec: bool) -> i64 {
        let Some(number) = self.free_number(task, from) else { return error(libc::EMFILE) };
        self.process(task).descriptors.insert(number, Descriptor { file, close_on_exec: cloexec });
        i64::from(number)
    }

    /// receive_fd and receive_fd_replace, in the target of an ADDFD.
    pub fn put_descriptor(&mut self, task: TaskId, addition: &Addition) -> i64 {
        let &Addition { file, number, close_on_exec, .. } = addition;
        let most = self.process_ref(task).most_descriptors;
        let number = match rules::addfd_place(self.setting.0.profile, number, most) {
            Ok(Some(number)) => number,
            Ok(None) => return self.duplicate(task, file, 0, close_on_exec),
            Err(number) => return error(number),
        };
        self.replace(task, number as i32, Descriptor { file, close_on_exec });
        i64::from(number)
    }

    /// Puts a descriptor at a number, whatever was there.
    pub fn replace(&mut self, task: TaskId, number: i32, descriptor: Descriptor) {
        let before = self.process(task).descriptors.insert(number, descriptor);
        if let Some(before) = before {
            self.released(before.file);
        }
    }

    /// close(2).
    pub fn close(&mut self, task: TaskId, fd: i32) -> i64 {
        match self.process(task).descriptors.remove(&fd) {
            Some(descriptor) => {
                self.released(descriptor.file);
                0
            }
            None => error(libc::EBADF),
        }
    }

    /// One reference less; calls under way hold one, too.
    pub fn released(&mut self, file: FileId) {
        if matches!(self.files[file].kind, FileKind::Null | FileKind::Path | FileKind::Other) {
            return;
        }
        let open = (0..self.processes.len()).any(|process| {
            self.processes[process].descriptors.values().any(|known| known.file == file)
                && !self.is_empty(process)
        });
        let in_use = self.tasks.iter().any(|task| task.call.holds == Some(file));
        let added = self.filters.iter().filter_map(|known| known.listener.as_ref()).any(|known| {
            let additions = known.notifications.iter().flat_map(|known| &known.additions);
            let mut files = additions.map(|addition| addition.file);
            files.any(|added| added == file)
        });
        if open || in_use || added || self.passed.contains(&file) {
            return;
        }
        // eventpoll_release
        for other in &mut self.files {
            if let FileKind::Epoll(interest) = &mut other.kind {
                interest.retain(|(watched, ..)| *watched != file);
            }
        }
        if let FileKind::Listener(filter) = self.files[file].kind {
            self.detach(filter);
        }
    }

    /// The events that are ready on a file; `None` where the model does not
    /// know.
    fn events(&self, file: FileId) -> Option<u32> {
        match &self.files[file].kind {
            FileKind::Listener(filter) => Some(self.listener_events(*filter)),
            FileKind::Null => {
                Some((libc::POLLIN | libc::POLLOUT | libc::POLLRDNORM | libc::POLLWRNORM) as u32)
            }
            FileKind::Pid(process) if self.has_ended(*process) => {
                Some((libc::POLLIN | libc::POLLRDNORM) as u32)
            }
            FileKind::Pid(_) => Some(0),
            _ => None,
        }
    }

    /// Looks for events, and sleeps where there are none and time is left.
    pub fn wait_for_events(&mut self, task: TaskId) {
        let Some(poll) = self.poll_of(task) else {
            return self.unknown_result(task);
        };
        let (Poll::Events { fd, .. } | Poll::Select { fd, .. } | Poll::Epoll { fd, .. }) = poll;
        // The file that it found first is kept until it returns (__pollwait).
        let file = self.file(task, fd);
        let kept = self.tasks[task].call.holds;
        self.tasks[task].call.holds = kept.or(file);
        let found = match poll {
            Poll::Events { fd, events, .. } => match file {
                None if fd < 0 => Some(Outcome::Ready(0)),
                None => Some(Outcome::Ready(libc::POLLNVAL as u32)),
                Some(file) => {
                    let always = (libc::POLLHUP | libc::POLLERR) as u32;
                    self.events(file).map(|ready| Outcome::Ready(ready & (events | always)))
                }
            },
            Poll::Select { .. } => match file {
                // Somebody has closed it meanwhile (select_poll_one).
                None if kept.is_some() => Some(Outcome::Selected(sets(libc::POLLNVAL as u32))),
                None => return self.ready(task, Todo::Leave(Some(error(libc::EBADF)))),
                Some(file) => self.events(file).map(|ready| Outcome::Selected(sets(ready))),
            },
            Poll::Epoll { .. } => match kept.or(file) {
                None => return self.ready(task, Todo::Leave(Some(error(libc::EBADF)))),
                Some(epoll) => self.epoll_events(epoll).map(|mut ready| {
                    let last = ready.pop().unwrap_or(0);
                    for other in ready {
                        self.or(|world| world.found_ready(task, Outcome::Ready(other), 1));
                    }
                    Outcome::Ready(last)
                }),
            },
        };
        let (timeout, interrupted) = match poll {
            Poll::Events { timeout, .. } => (timeout, ERESTART_RESTARTBLOCK),
            Poll::Select { timeout, .. } => (timeout, ERESTARTNOHAND),
            Poll::Epoll { timeout, .. } => (timeout, error(libc::EINTR)),
        };
        // A signal counts before the time does, but not in ep_poll (do_poll,
        // core_sys_select).
        let looks = timeout != 0 || !matches!(poll, Poll::Epoll { .. });
        let disturbed = looks && self.disturbed(task);
        let Some(found) = found else {
            self.unknown_result(task);
            if disturbed {
                self.or(|world| world.interrupt_call(task, interrupted));
            } else if timeout != 0 {
                self.or(|world| world.sleep(task, Wait::Ready));
            }
            return;
        };
        let count = match &found {
            Outcome::Selected(sets) => sets.len() as i64,
            Outcome::Ready(0) => 0,
            _ => 1,
        };
        if count == 0 && disturbed {
            return self.interrupt_call(task, interrupted);
        }
        if count == 0 && timeout != 0 {
            return self.sleep(task, Wait::Ready);
        }
        self.found_ready(task, found, count);
    }

    fn found_ready(&mut self, task: TaskId, found: Outcome, count: i64) {
        self.tasks[task].call.extra = Extra::Outcome(Box::new(found));
        self.ready(task, Todo::Leave(Some(count)));
    }

    /// What epoll_wait(2) for one event may tell of the files of an instance: in
    /// which order they became ready is not followed.
    fn epoll_events(&self, epoll: FileId) -> Option<Vec<u32>> {
        let FileKind::Epoll(interest) = &self.files[epoll].kind else { return None };
        let mut found = Vec::new();
        for (file, _, wanted) in interest {
            if wanted & (libc::EPOLLET | libc::EPOLLONESHOT) as u32 != 0 {
                return None;
            }
            let always = (libc::EPOLLHUP | libc::EPOLLERR) as u32;
            let ready = self.events(*file)? & (wanted | always);
            if ready != 0 && !found.contains(&ready) {
                found.push(ready);
            }
        }
        Some(found)
    }

    /// Something has become ready on a listener: `end` for the end of its
    /// filter's last user. Those who receive are woken as well.
    pub fn wake_waiters(&mut self, filter: FilterId, end: bool) {
        self.wake_pollers(filter);
        let ends = self.fact("recv-ends-when-last-user-exits");
        // A semaphore wakes whom it hands over to, and nobody else.
        if end && !ends || !self.fact("recv-restarts") {
            return;
        }
        for task in 0..self.tasks.len() {
            if matches!(self.tasks[task].state, State::Asleep(Wait::Request(at)) if at == filter) {
                self.ready(task, Todo::Wake(Wait::Request(filter)));
            }
        }
    }

    /// Those who poll a listener look again.
    pub fn wake_pollers(&mut self, filter: FilterId) {
        self.wake_pollers_of(&FileKind::Listener(filter));
    }

    /// Those who poll a file look again: it is the file that they had when they
    /// began to sleep, whatever their number stands for by now.
    pub fn wake_pollers_of(&mut self, kind: &FileKind) {
        for task in 0..self.tasks.len() {
            let held = self.tasks[task].call.holds.map(|file| &self.files[file].kind);
            let wakes = held.is_none_or(|held| held == kind || matches!(held, FileKind::Epoll(_)));
            if wakes && self.tasks[task].state == State::Asleep(Wait::Ready) {
                self.ready(task, Todo::Wake(Wait::Ready));
            }
        }
    }
}

/// The sets of select(2) that events stand for (`POLLIN_SET` and the like).
fn sets(events: u32) -> Vec<String> {
    const FAULTS: i16 = libc::POLLERR | libc::POLLNVAL;
    let has = |mask: i16| events & mask as u32 != 0;
    [
        ("readable", has(libc::POLLIN | libc::POLLRDNORM | libc::POLLHUP | FAULTS)),
        ("writable", has(libc::POLLOUT | libc::POLLWRNORM | FAULTS)),
        ("exceptional", has(libc::POLLPRI | libc::POLLNVAL)),
    ]
    .into_iter()
    .filter(|(_, has)| *has)
    .map(|(name, _)| name.to_owned())
    .collect()
}
