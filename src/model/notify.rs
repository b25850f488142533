//! The notification mechanism: `seccomp_do_user_notification` and the ioctls
//! of a listener.

use super::rules::{self, SEND, SETFD};
use super::step::{ERESTARTSYS, error};
use super::task::{Extra, State, Todo, Wait};
use super::world::{Addition, FileKind, FilterId, Notification, Phase, Received, TaskId, World};

/// What SEND passes.
#[derive(Clone, Copy)]
pub(super) struct Response {
    pub id: u64,
    pub val: i64,
    pub error: i32,
    pub flags: u32,
}

/// What ADDFD passes.
#[derive(Clone, Copy)]
pub(super) struct AddfdRequest {
    pub id: u64,
    pub flags: u32,
    pub srcfd: u32,
    pub newfd: u32,
    pub newfd_flags: u32,
}

impl World<'_> {
    /// A filter has said USER_NOTIF of a task's call.
    pub fn notify(&mut self, task: TaskId, filter: FilterId) {
        let fifo = self.fact("recv-fifo");
        let data = self.tasks[task].call.data;
        let Some(listener) = &mut self.filters[filter].listener else {
            return self.ready(task, Todo::Leave(Some(error(libc::ENOSYS))));
        };
        let id = listener.next_id;
        listener.next_id += 1;
        let notification = Notification {
            id,
            task,
            data,
            state: Phase::Init,
            val: 0,
            error: 0,
            flags: 0,
            completed: 0,
            additions: Vec::new(),
        };
        let at = if fifo { listener.notifications.len() } else { 0 };
        listener.notifications.insert(at, notification);
        self.count_request(filter, true);
        self.wait_for_reply(task, filter, id, false);
    }

    /// The notification of that id, where the listener is open.
    fn notification(&mut self, filter: FilterId, id: u64) -> Option<&mut Notification> {
        let listener = self.filters[filter].listener.as_mut()?;
        listener.notifications.iter_mut().find(|known| known.id == id)
    }

    /// Sleeps, unless what it would wait for is there already.
    fn wait_for_reply(&mut self, task: TaskId, filter: FilterId, id: u64, killable: bool) {
        let complete = self.notification(filter, id).is_some_and(|known| known.completed > 0);
        let disturbed = if killable { self.tasks[task].killed } else { self.disturbed(task) };
        let wait = Wait::Reply { filter, id, killable };
        if complete || disturbed {
            self.ready(task, Todo::Wake(wait));
        } else {
            self.sleep(task, wait);
        }
    }

    /// should_sleep_killable: since `wait-killable-reply-wins` also once the
    /// reply is there.
    fn sleeps_killable(&mut self, filter: FilterId, id: u64) -> bool {
        let wins = self.fact("wait-killable-reply-wins");
        let flagged = self.filters[filter].wait_killable;
        let state = self.notification(filter, id).map(|known| known.state);
        flagged && (state == Some(Phase::Sent) || wins && state == Some(Phase::Replied))
    }

    /// Its sleep for a reply has ended, for better or worse. What it was, it
    /// knows before it has the listener's lock again; others may be faster.
    pub fn wake_notified(&mut self, task: TaskId, filter: FilterId, id: u64, killable: bool) {
        let disturbed = if killable { self.tasks[task].killed } else { self.disturbed(task) };
        match self.notification(filter, id) {
            // Detached meanwhile: the reply was made ENOSYS.
            None => return self.ready(task, Todo::Leave(Some(error(libc::ENOSYS)))),
            Some(known) if known.completed > 0 => known.completed -= 1,
            Some(_) if disturbed => {
                return self.ready(task, Todo::Interrupted { filter, id, killable });
            }
            Some(_) => return self.wait_for_reply(task, filter, id, killable),
        }
        self.go_on_notified(task, filter, id);
    }

    /// Interrupted, it has the lock again.
    pub fn interrupted(&mut self, task: TaskId, filter: FilterId, id: u64, killable: bool) {
        if self.notification(filter, id).is_none() {
            return self.ready(task, Todo::Leave(Some(ERESTARTSYS)));
        }
        if killable || !self.sleeps_killable(filter, id) {
            self.withdraw(task, &Wait::Reply { filter, id, killable });
            return self.ready(task, Todo::Leave(Some(ERESTARTSYS)));
        }
        self.go_on_notified(task, filter, id);
    }

    /// Adds what is to be added, and leaves if there is a reply.
    fn go_on_notified(&mut self, task: TaskId, filter: FilterId, id: u64) {
        let loops = self.fact("withdrawn-addfd-is-no-reply");
        let known = self.notification(filter, id).expect("it was there just now");
        // Before there was a loop, a reply left requests unanswered, and to be
        // woken for nothing was a reply of zeros.
        let answered = !loops && known.additions.is_empty();
        if !known.additions.is_empty() && (loops || known.state != Phase::Replied) {
            let addition = known.additions.remove(0);
            self.add(task, filter, id, &addition);
        }
        let known = self.notification(filter, id).expect("nobody else takes it away");
        if known.state == Phase::Replied || answered {
            let (val, number, flags) = (known.val, known.error, known.flags);
            self.withdraw(task, &Wait::Reply { filter, id, killable: false });
            let todo = match rules::response_returns(val, number, flags) {
                Some(result) => Todo::Leave(Some(result)),
                None => Todo::Execute,
            };
            return self.ready(task, todo);
        }
        let killable = self.sleeps_killable(filter, id);
        // Awake still, it may be found to be running (wants_signal).
        self.ready(task, Todo::Wake(Wait::Reply { filter, id, killable }));
    }

    /// seccomp_handle_addfd, in the target.
    fn add(&mut self, task: TaskId, filter: FilterId, id: u64, addition: &Addition) {
        let result = self.put_descriptor(task, addition);
        let known = self.notification(filter, id).expect("its own task adds");
        if addition.send {
            if result < 0 {
                known.state = Phase::Sent;
            } else {
                (known.val, known.error, known.flags) = (result, 0, 0);
            }
        }
        self.tell_added(addition.by, result);
    }

    fn tell_added(&mut self, by: TaskId, result: i64) {
        self.tasks[by].added = Some(result);
        if let State::Asleep(wait @ Wait::Added { .. }) = &self.tasks[by].state {
            let wait = *wait;
            self.ready(by, Todo::Wake(wait));
        }
    }

    /// A task leaves what it waits for, whatever comes of it.
    pub fn withdraw(&mut self, task: TaskId, wait: &Wait) {
        match *wait {
            Wait::Reply { filter, id, .. } => {
                let Some(listener) = &mut self.filters[filter].listener else { return };
                let Some(at) = listener.notifications.iter().position(|known| known.id == id)
                else {
                    return;
                };
                let known = listener.notifications.remove(at);
                for addition in known.additions {
                    self.tell_added(addition.by, error(libc::ESRCH));
                }
            }
            Wait::Request(filter) => {
                if let Some(listener) = &mut self.filters[filter].listener {
                    listener.queue.retain(|other| *other != task);
                }
            }
            Wait::Added { filter, id } => {
                if let Some(known) = self.notification(filter, id) {
                    known.additions.retain(|addition| addition.by != task);
                }
                self.tasks[task].added = None;
            }
            _ => {}
        }
    }

    /// A request more: for the first who sleeps in RECV where a semaphore
    /// counts (before `recv-restarts`), else for whoever comes first. Whether
    /// those who poll are told.
    fn count_request(&mut self, filter: FilterId, told: bool) {
        let Some(listener) = &mut self.filters[filter].listener else { return };
        match listener.queue.pop_front() {
            Some(task) => self.ready(task, Todo::Receive(filter)),
            None => listener.requests += 1,
        }
        if told {
            self.wake_waiters(filter, false);
        }
    }

    /// RECV waits for a request (`recv_wait_event`; before `recv-restarts`
    /// `down_interruptible`).
    pub fn wait_for_request(&mut self, task: TaskId, filter: FilterId) {
        let ends = self.fact("recv-ends-when-last-user-exits");
        let unused = ends && self.filters[filter].users == 0;
        let semaphore = !self.fact("recv-restarts");
        let interrupted = if semaphore { error(libc::EINTR) } else { ERESTARTSYS };
        let disturbed = self.disturbed(task);
        let Some(listener) = &mut self.filters[filter].listener else {
            return self.ready(task, Todo::Leave(Some(error(libc::EINVAL))));
        };
        listener.queue.retain(|other| *other != task);
        if unused {
            self.ready(task, Todo::Receive(filter));
        } else if listener.requests > 0 {
            listener.requests -= 1;
            self.ready(task, Todo::Receive(filter));
        } else if disturbed {
            self.ready(task, Todo::Leave(Some(interrupted)));
        } else {
            if semaphore {
                listener.queue.push_back(task);
            }
            self.sleep(task, Wait::Request(filter));
        }
    }

    /// RECV has counted a request off and looks for its notification.
    pub fn receive(&mut self, task: TaskId, filter: FilterId) {
        let listener = self.filters[filter].listener.as_mut().expect("it is open");
        let waiting = |known: &&mut Notification| known.state == Phase::Init;
        let Some(known) = listener.notifications.iter_mut().find(waiting) else {
            return self.ready(task, Todo::Leave(Some(error(libc::ENOENT))));
        };
        known.state = Phase::Sent;
        let (id, target, data) = (known.id, known.task, known.data);
        self.wake_pollers(filter);
        if !self.can_write_back(task) {
            return self.ready(task, Todo::PutBack { filter, id });
        }
        let pid = self.tid_as_seen_by(target, task);
        let received = Received { id, pid, target, data };
        self.tasks[task].call.extra = Extra::Received(Box::new(received));
        self.ready(task, Todo::Leave(Some(0)));
    }

    /// RECV could not write what it has taken, and puts it back as it was, if
    /// it is still there.
    pub fn put_back(&mut self, task: TaskId, filter: FilterId, id: u64) {
        let killable = self.sleeps_killable(filter, id);
        if let Some(known) = self.notification(filter, id) {
            known.state = Phase::Init;
            known.completed += u32::from(killable);
            if killable {
                self.complete(filter, id);
            }
            self.count_request(filter, self.fact("recv-restarts"));
        }
        self.ready(task, Todo::Leave(Some(error(libc::EFAULT))));
    }

    /// Wakes the task behind a notification.
    fn complete(&mut self, filter: FilterId, id: u64) {
        let Some(known) = self.notification(filter, id) else { return };
        let task = known.task;
        if let State::Asleep(wait @ Wait::Reply { .. }) = &self.tasks[task].state {
            let wait = *wait;
            self.ready(task, Todo::Wake(wait));
        }
    }

    /// SEND.
    pub fn send(&mut self, filter: FilterId, response: Response) -> i64 {
        let Response { id, val, error: number, flags } = response;
        if let Some(refused) = rules::response_refused(self.setting.0.profile, val, number, flags) {
            return error(refused);
        }
        let Some(known) = self.notification(filter, id) else { return error(libc::ENOENT) };
        if known.state != Phase::Sent {
            return error(libc::EINPROGRESS);
        }
        known.state = Phase::Replied;
        (known.val, known.error, known.flags) = (val, number, flags);
        known.completed += 1;
        self.complete(filter, id);
        0
    }

    /// ID_VALID.
    pub fn id_valid(&mut self, filter: FilterId, id: u64) -> i64 {
        match self.notification(filter, id) {
            Some(known) if known.state == Phase::Sent => 0,
            _ => error(libc::ENOENT),
        }
    }

    /// SET_FLAGS.
    pub fn set_flags(&self, flags: u64) -> i64 {
        let known = if self.fact("set-flags") { crate::abi::SYNC_WAKE_UP } else { return -22 };
        if flags & !known != 0 { error(libc::EINVAL) } else { 0 }
    }

    /// ADDFD: `size` as the ioctl number has it, `tail` the byte after the
    /// fields. The task sleeps until its target has added the descriptor.
    pub fn addfd(
        &mut self,
        task: TaskId,
        filter: FilterId,
        request: AddfdRequest,
        size: usize,
        tail: bool,
    ) {
        match self.queue_addition(task, filter, request, size, tail) {
            Ok(()) => self.wait_for_addition(task, filter, request.id),
            Err(number) => self.ready(task, Todo::Leave(Some(error(number)))),
        }
    }

    fn queue_addition(
        &mut self,
        task: TaskId,
        filter: FilterId,
        request: AddfdRequest,
        size: usize,
        tail: bool,
    ) -> Result<(), i32> {
        let AddfdRequest { id, flags, srcfd, newfd, newfd_flags } = request;
        let (passed, fields) = ((size, tail), (flags, newfd, newfd_flags));
        if let Some(number) = rules::addfd_refused(self.setting.0.profile, passed, fields) {
            return Err(number);
        }
        let file = self.file(task, srcfd as i32).ok_or(libc::EBADF)?;
        if self.files[file].kind == FileKind::Path {
            return Err(libc::EBADF);
        }
        let Some(known) = self.notification(filter, id) else { return Err(libc::ENOENT) };
        if known.state != Phase::Sent {
            return Err(libc::EINPROGRESS);
        }
        if flags & SEND != 0 {
            if !known.additions.is_empty() {
                return Err(libc::EBUSY);
            }
            known.state = Phase::Replied;
        }
        known.additions.insert(
            0,
            Addition {
                by: task,
                file,
                number: (flags & SETFD != 0).then_some(newfd),
                close_on_exec: newfd_flags != 0,
                send: flags & SEND != 0,
            },
        );
        known.completed += 1;
        self.tasks[task].added = None;
        self.complete(filter, id);
        Ok(())
    }

    /// ADDFD waits for the target.
    pub fn wait_for_addition(&mut self, task: TaskId, filter: FilterId, id: u64) {
        if let Some(result) = self.tasks[task].added.take() {
            return self.ready(task, Todo::Leave(Some(result)));
        }
        if self.disturbed(task) {
            self.withdraw(task, &Wait::Added { filter, id });
            return self.ready(task, Todo::Leave(Some(ERESTARTSYS)));
        }
        self.sleep(task, Wait::Added { filter, id });
    }

    /// The events that are ready on a listener (`seccomp_notify_poll`).
    pub fn listener_events(&self, filter: FilterId) -> u32 {
        let this = &self.filters[filter];
        let mut events = 0;
        for known in this.listener.iter().flat_map(|listener| &listener.notifications) {
            events |= match known.state {
                Phase::Init => libc::POLLIN | libc::POLLRDNORM,
                Phase::Sent => libc::POLLOUT | libc::POLLWRNORM,
                Phase::Replied => 0,
            } as u32;
        }
        if this.users == 0 && self.fact("hup-when-unused") {
            events |= libc::POLLHUP as u32;
        }
        events
    }

    /// The last descriptor of a listener is closed (`seccomp_notify_detach`).
    pub fn detach(&mut self, filter: FilterId) {
        let Some(listener) = self.filters[filter].listener.take() else { return };
        for known in listener.notifications {
            for addition in &known.additions {
                self.tell_added(addition.by, error(libc::ESRCH));
            }
            let replied =
                (known.state == Phase::Replied).then_some((known.val, known.error, known.flags));
            self.end_of_detached(known.task, replied);
        }
    }

    /// A target whose listener is gone: a reply that was there counts, else
    /// the call fails with ENOSYS.
    fn end_of_detached(&mut self, task: TaskId, replied: Option<(i64, i32, u32)>) {
        let todo = match replied {
            Some((val, number, flags)) => match rules::response_returns(val, number, flags) {
                Some(result) => Todo::Leave(Some(result)),
                None => Todo::Execute,
            },
            None => Todo::Leave(Some(error(libc::ENOSYS))),
        };
        if matches!(
            self.tasks[task].state,
            State::Asleep(Wait::Reply { .. }) | State::Ready(Todo::Wake(Wait::Reply { .. }))
        ) {
            self.ready(task, todo);
        }
    }
}
