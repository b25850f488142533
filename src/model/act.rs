//! The acts of a scenario as system calls, and what comes of them as
//! outcomes.

use super::file::Poll;
use super::notify::{AddfdRequest, Response};
use super::step::error;
use super::task::{Control, State, Todo, Wait};
use super::world::{FileKind, FilterId, TaskId, World};
use crate::scenario::arena::desk;
use crate::scenario::{ActorId, Arg, Disposition, Entry, Field, Op, Place, SlotId, Transfer};
use crate::trace::Outcome;

/// The harness's own id, which getppid(2) may tell.
pub(super) const HARNESS: i64 = 999;

impl World<'_> {
    /// The step of the act that a task is at.
    pub fn op(&self, task: TaskId) -> Op {
        self.setting.0.schedule.acts[self.tasks[task].at].op
    }

    /// The same, unless the task is about the harness's own business.
    pub fn op_in_hand(&self, task: TaskId) -> Option<Op> {
        self.tasks[task].control.is_none().then(|| self.op(task))
    }

    /// The value of an argument, for a task.
    pub fn value(&self, task: TaskId, arg: Arg) -> u64 {
        match arg {
            Arg::Value(value) => value,
            Arg::Slot(slot, by) => self.bound(task, slot).unwrap_or(-1).wrapping_add(by) as u64,
            Arg::Field(slot, field) => {
                let Some(received) = self.received.get(&slot) else { return 0 };
                match field {
                    Field::Id => received.id,
                    Field::Pid => received.pid as u64,
                    Field::Nr => received.data.nr as u64,
                    Field::Arg(index) => received.data.args[usize::from(index) % 6],
                }
            }
            Arg::Pid(ActorId(actor)) => World::tid(actor) as u64,
        }
    }

    fn bound(&self, task: TaskId, slot: SlotId) -> Option<i64> {
        self.process_ref(task).bound.get(&slot).or(self.bound.get(&slot)).copied()
    }

    /// Binds a name to what a step gave.
    pub fn bind(&mut self, task: TaskId, slot: Option<SlotId>, value: i64) {
        if let Some(slot) = slot.filter(|_| value >= 0) {
            self.process(task).bound.insert(slot, value);
            self.bound.entry(slot).or_insert(value);
        }
    }

    /// Begins the act that a task is at: with a system call, or at once.
    pub fn begin_act(&mut self, task: TaskId) {
        let op = self.op(task);
        if let Some(Place::Held(page)) = op.place()
            && self.pages.get(&page) == Some(&true)
        {
            self.leave_off("what is left in a held page is used");
        }
        let value = |arg: Arg| self.value(task, arg);
        let at = desk(task);
        let ioctl =
            |fd: Arg, request: u32| (libc::SYS_ioctl, [value(fd), u64::from(request), at, 0, 0, 0]);
        let ptrace =
            |tracee: ActorId| (libc::SYS_ptrace, [0, World::tid(tracee.0) as u64, 0, 0, 0, 0]);
        let (number, args) = match op {
            Op::Call { entry, number, args } => {
                let args = args.map(value);
                return self.begin_call(task, entry, number, args);
            }
            Op::Store { to, from, len } => {
                let bytes = self.read(task, from, len).unwrap_or_default();
                self.write(task, to, &bytes);
                return self.note_done(task, Outcome::Returned(0));
            }
            Op::Load { address, len, unit } => {
                if self.is_smudged(task, address, len) {
                    return self.note_done(task, Outcome::Anything);
                }
                let bytes = self.read(task, address, len).unwrap_or_default();
                return self.note_done(task, Outcome::read(&bytes, unit));
            }
            Op::Install { program, flags, prctl: false, .. } => {
                (libc::SYS_seccomp, [1, value(flags), program, 0, 0, 0])
            }
            Op::Install { program, .. } => {
                (libc::SYS_prctl, [libc::PR_SET_SECCOMP as u64, 2, program, 0, 0, 0])
            }
            Op::Strict { prctl: false } => (libc::SYS_seccomp, [0; 6]),
            Op::Strict { .. } => (libc::SYS_prctl, [libc::PR_SET_SECCOMP as u64, 1, 0, 0, 0, 0]),
            Op::NoNewPrivs => (libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0, 0]),
            Op::Dispose { signal, .. } => (libc::SYS_rt_sigaction, [signal as u64, at, 0, 8, 0, 0]),
            Op::Mask { block, .. } => {
                (libc::SYS_rt_sigprocmask, [u64::from(!block), at, 0, 8, 0, 0])
            }
            Op::Fork(_) => (libc::SYS_clone, [libc::SIGCHLD as u64, 0, 0, 0, 0, 0]),
            Op::Thread(_) => (libc::SYS_clone, [0x0005_0f00, 0, 0, 0, 0, 0]),
            Op::Exec => (libc::SYS_execve, [at + 84, at, at + 32, 0, 0, 0]),
            Op::Pass(_) => (libc::SYS_sendmsg, [918, at, 0, 0, 0, 0]),
            Op::Take { via: Transfer::ScmRights, .. } => (libc::SYS_recvmsg, [919, at, 0, 0, 0, 0]),
            Op::Take { .. } => (libc::SYS_pidfd_getfd, [3, 3, 0, 0, 0, 0]),
            Op::Recv { listener, .. } => ioctl(listener, crate::abi::NOTIF_RECV),
            Op::Send { listener, .. } => ioctl(listener, crate::abi::NOTIF_SEND),
            Op::IdValid { listener, old_number: true, .. } => {
                ioctl(listener, crate::abi::NOTIF_ID_VALID_WRONG_DIR)
            }
            Op::IdValid { listener, .. } => ioctl(listener, crate::abi::NOTIF_ID_VALID),
            Op::Addfd { listener, size, .. } => {
                ioctl(listener, crate::abi::notif_addfd(usize::from(size)))
            }
            Op::SetFlags { listener, .. } => ioctl(listener, crate::abi::NOTIF_SET_FLAGS),
            Op::Poll { timeout, .. } => (libc::SYS_poll, [at, 1, value(timeout), 0, 0, 0]),
            Op::Select { .. } => (libc::SYS_select, [1, at, at, at, at, 0]),
            Op::EpollAdd { epoll, fd, .. } => {
                (libc::SYS_epoll_ctl, [value(epoll), 1, value(fd), at, 0, 0])
            }
            Op::EpollWait { epoll, timeout } => {
                (libc::SYS_epoll_wait, [value(epoll), at, 1, value(timeout), 0, 0])
            }
            Op::OpenMem { .. } => {
                let flags = (libc::O_RDWR | libc::O_CLOEXEC) as u64;
                (libc::SYS_openat, [libc::AT_FDCWD as u64, at, flags, 0, 0, 0])
            }
            Op::ReadMem { fd, address, len } => {
                (libc::SYS_pread64, [value(fd), at, len as u64, value(address), 0, 0])
            }
            Op::WriteMem { fd, address, from, len } => {
                (libc::SYS_pwrite64, [value(fd), from, len as u64, value(address), 0, 0])
            }
            Op::WaitStop(tracee) => {
                (libc::SYS_wait4, [World::tid(tracee.0) as u64, at, 0x4000_0000, 0, 0, 0])
            }
            Op::Attach(tracee)
            | Op::Seize { tracee, .. }
            | Op::Interrupt(tracee)
            | Op::Resume { tracee, .. }
            | Op::ToSyscall { tracee, .. }
            | Op::Detach { tracee, .. }
            | Op::SetOptions { tracee, .. }
            | Op::EventMessage(tracee)
            | Op::GetRegister { tracee, .. }
            | Op::SetRegister { tracee, .. }
            | Op::GetFilter { tracee, .. } => ptrace(tracee),
            Op::Signal { .. }
            | Op::Reap(_)
            | Op::Delay(_)
            | Op::Await(_)
            | Op::State(_)
            | Op::Status { .. }
            | Op::Freeze { .. }
            | Op::LetGo { .. } => {
                unreachable!("the director's own steps are not given to an actor")
            }
        };
        self.begin_call(task, Entry::Native, number as u64, args);
    }

    /// Executes the call that a task is in.
    pub fn execute(&mut self, task: TaskId) {
        match self.tasks[task].control {
            Some(Control::Tell) => return self.ready(task, Todo::Leave(Some(1))),
            Some(Control::Listen) if !self.tasks[task].call.altered => return self.read_turn(task),
            Some(_) => return self.exit_group(task, 0),
            None => {}
        }
        let op = self.op(task);
        if self.tasks[task].call.altered || matches!(op, Op::Call { .. }) {
            return self.system_call(task);
        }
        let value = |arg: Arg| self.value(task, arg);
        let result = match op {
            Op::Install { program, flags, prctl, .. } => {
                let flags = if prctl { 0 } else { value(flags) & 0xffff_ffff };
                self.install_at(task, flags, program)
            }
            Op::Strict { .. } => self.enter_strict(task),
            Op::NoNewPrivs => {
                self.tasks[task].no_new_privs = true;
                0
            }
            Op::Dispose { signal, disposition } => self.dispose(task, signal, disposition),
            Op::Mask { signal, block } => {
                self.mask(task, signal, block);
                0
            }
            Op::Fork(child) => self.fork(task, child.0),
            Op::Thread(child) => self.start_thread(task, child.0),
            Op::Exec => return self.exec(task),
            Op::Pass(fd) => match self.file(task, value(fd) as i32) {
                Some(file) => {
                    self.passed.push_back(file);
                    1
                }
                None => error(libc::EBADF),
            },
            Op::Take { slot, from, via } => self.take(task, slot, from, via),
            Op::Poll { .. } | Op::Select { .. } | Op::EpollWait { .. } => {
                return self.wait_for_events(task);
            }
            Op::EpollAdd { epoll, fd, events } => {
                let (epoll, fd, events) = (value(epoll), value(fd), value(events));
                match self.epoll_add(task, epoll as i32, fd as i32, events as u32) {
                    Some(result) => result,
                    None => {
                        self.leave_off("whether a file can be polled is not known");
                        return self.unknown_result(task);
                    }
                }
            }
            Op::OpenMem { id } => return self.open_mem(task, id),
            Op::ReadMem { fd, address, len } => {
                let (fd, address) = (value(fd), value(address));
                return self.read_mem(task, fd as i32, address, len);
            }
            Op::WriteMem { fd, address, from, len } => {
                let (fd, address) = (value(fd) as i32, value(address));
                self.write_mem(task, fd, address, from, len)
            }
            Op::WaitStop(child) => return self.wait_for_child(task, child.0),
            Op::Recv { listener, .. }
            | Op::Send { listener, .. }
            | Op::IdValid { listener, .. }
            | Op::Addfd { listener, .. }
            | Op::SetFlags { listener, .. } => {
                let fd = value(listener) as i32;
                self.tasks[task].call.holds = self.file(task, fd);
                return match (self.file(task, fd), self.listener(task, fd)) {
                    (Some(_), Some(filter)) => self.listen(task, filter, op),
                    // Files have requests of their own.
                    (Some(file), None) if self.files[file].kind != FileKind::Null => {
                        self.unknown_result(task);
                    }
                    (Some(_), None) => self.ready(task, Todo::Leave(Some(error(libc::ENOTTY)))),
                    (None, _) => self.ready(task, Todo::Leave(Some(error(libc::EBADF)))),
                };
            }
            _ => return self.ptrace(task, op),
        };
        self.ready(task, Todo::Leave(Some(result)));
    }

    /// One of the listener's ioctls.
    fn listen(&mut self, task: TaskId, filter: FilterId, op: Op) {
        // SET_FLAGS passes no structure.
        if let Some(place) = op.place() {
            // ADDFD looks at its size before it looks at the structure, and then
            // at all of that.
            let (sized, longer) = match op {
                Op::Addfd { size, .. } => {
                    let fits = self.fact("addfd") && (24..4096).contains(&size);
                    (fits, size > 24)
                }
                _ => (true, false),
            };
            let fault = match place {
                Place::Edge if longer => Some(false),
                place => self.fault(task, place),
            };
            match fault {
                Some(true) => return,
                Some(false) => {
                    let number = if sized { libc::EFAULT } else { libc::EINVAL };
                    return self.ready(task, Todo::Leave(Some(error(number))));
                }
                None => {}
            }
        }
        let value = |arg: Arg| self.value(task, arg);
        // What lies on a page of zeros.
        let zeros = op.place() == Some(Place::ReadOnly);
        let field = |arg: Arg| if zeros { 0 } else { value(arg) };
        let result = match op {
            Op::Recv { place, dirty, .. } => {
                let seen = matches!(place, Place::Desk | Place::Edge);
                if dirty.is_some() && seen && self.fact("recv-checks-zeroed-buffer") {
                    error(libc::EINVAL)
                } else {
                    return self.wait_for_request(task, filter);
                }
            }
            Op::Send { id, val, error, flags, .. } => {
                let response = Response {
                    id: field(id),
                    val: field(val) as i64,
                    error: field(error) as i32,
                    flags: field(flags) as u32,
                };
                self.send(filter, response)
            }
            Op::IdValid { id, old_number, .. } => {
                if !old_number && !self.fact("id-valid-write-direction") {
                    error(libc::EINVAL)
                } else {
                    self.id_valid(filter, field(id))
                }
            }
            Op::Addfd { id, srcfd, newfd, newfd_flags, flags, size, tail, .. } => {
                let request = AddfdRequest {
                    id: field(id),
                    flags: field(flags) as u32,
                    srcfd: field(srcfd) as u32,
                    newfd: field(newfd) as u32,
                    newfd_flags: field(newfd_flags) as u32,
                };
                let tail = field(tail) as u8 != 0;
                return self.addfd(task, filter, request, usize::from(size), tail);
            }
            Op::SetFlags { flags, .. } => self.set_flags(value(flags)),
            _ => unreachable!("only the listener's steps come here"),
        };
        self.ready(task, Todo::Leave(Some(result)));
    }

    /// Whether a structure cannot be read (`Some(false)`), or its page is waited
    /// for (`Some(true)`).
    fn fault(&mut self, task: TaskId, place: Place) -> Option<bool> {
        match place {
            Place::Null | Place::Unmapped => Some(false),
            Place::Desk | Place::Edge | Place::ReadOnly => None,
            Place::Held(page) => match self.pages.get(&page) {
                Some(true) => None,
                Some(false) => Some(false),
                None => {
                    self.sleep(task, Wait::Page(page));
                    Some(true)
                }
            },
        }
    }

    /// Whether RECV can write what it has got.
    pub fn can_write_back(&self, task: TaskId) -> bool {
        match self.op(task) {
            Op::Recv { place, .. } => place != Place::ReadOnly,
            _ => self.can_write(task, self.tasks[task].call.data.args[2], 80),
        }
    }

    /// The poll-like call that a task is in.
    pub fn poll_of(&self, task: TaskId) -> Option<Poll> {
        let value = |arg: Arg| self.value(task, arg);
        let call = &self.tasks[task].call.data;
        Some(match self.op(task) {
            Op::Poll { fd, events, timeout } => Poll::Events {
                fd: value(fd) as i32,
                events: value(events) as u16 as u32,
                timeout: i64::from(value(timeout) as i32),
            },
            Op::Select { fd, timeout } => {
                Poll::Select { fd: (value(fd) % 1024) as i32, timeout: value(timeout) as i64 }
            }
            Op::EpollWait { epoll, timeout } => {
                Poll::Epoll { fd: value(epoll) as i32, timeout: i64::from(value(timeout) as i32) }
            }
            // Nothing to look for: poll(2) as a sleep.
            Op::Call { .. } if call.args[1] == 0 => {
                Poll::Events { fd: -1, events: 0, timeout: i64::from(call.args[2] as i32) }
            }
            _ => return None,
        })
    }

    fn dispose(&mut self, task: TaskId, signal: i32, disposition: Disposition) -> i64 {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            return error(libc::EINVAL);
        }
        let process = self.process(task);
        process.dispositions.insert(signal, disposition);
        if disposition == Disposition::Ignore {
            process.pending.remove(&signal);
            self.tasks[task].pending.remove(&signal);
        }
        0
    }

    fn take(&mut self, task: TaskId, slot: SlotId, from: Option<ActorId>, via: Transfer) -> i64 {
        let number = match via {
            Transfer::ScmRights => match self.passed.pop_front() {
                Some(file) => self.duplicate(task, file, 0, true),
                None => {
                    self.leave_off("a descriptor is taken that nobody passed");
                    0
                }
            },
            Transfer::PidfdGetfd => {
                let Some(ActorId(from)) = from else { return error(libc::EINVAL) };
                let owner = self.tasks[from].process;
                let Some(number) = self.bound(owner, slot) else { return error(libc::EBADF) };
                // The first thread may have none any more (__pidfd_fget).
                if self.tasks[owner].state == State::Gone {
                    return error(libc::ESRCH);
                }
                let Some(file) = self.file(owner, number as i32) else {
                    return error(libc::EBADF);
                };
                // The pidfd has the lowest number meanwhile.
                let pidfd = self.free_number(task, 0).unwrap_or(0);
                self.duplicate(task, file, pidfd + 1, true)
            }
        };
        self.bind(task, Some(slot), number);
        number
    }

    /// EPOLL_CTL_ADD (`do_epoll_ctl`); `None` where the model does not know.
    fn epoll_add(&mut self, task: TaskId, epoll: i32, fd: i32, events: u32) -> Option<i64> {
        let (Some(epoll), Some(file)) = (self.file(task, epoll), self.file(task, fd)) else {
            return Some(error(libc::EBADF));
        };
        match self.files[file].kind {
            // Neither has a poll function.
            FileKind::Null | FileKind::Memory(..) => return Some(error(libc::EPERM)),
            FileKind::Path => return Some(error(libc::EBADF)),
            FileKind::Other => return None,
            FileKind::Epoll(_) if file != epoll => return None,
            FileKind::Epoll(_) | FileKind::Listener(_) | FileKind::Pid(_) => {}
        }
        let FileKind::Epoll(interest) = &mut self.files[epoll].kind else {
            return Some(error(libc::EINVAL));
        };
        if file == epoll {
            return Some(error(libc::EINVAL));
        }
        if interest.iter().any(|(known, at, _)| *known == file && *at == fd) {
            return Some(error(libc::EEXIST));
        }
        interest.push((file, fd, events));
        Some(0)
    }
}
