//! What stands before every system call: strict mode and filters
//! (`__secure_computing`, `__seccomp_filter`), and how filters are installed
//! (`seccomp_set_mode_filter`).

use std::collections::VecDeque;
use std::rc::Rc;

use super::signal::{Code, bit, info};
use super::step::error;
use super::task::{Descriptor, Ending, Todo};
use super::world::{FileKind, Filter, FilterId, Listener, OpenFile, TaskId, World};
use crate::abi::{AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, SockFilter, X32_SYSCALL_BIT};
use crate::bpf::{
    INSTALLED_FILTER_OVERHEAD, MAX_INSNS_PER_PATH, always_allows, evaluate, translated_len,
    validate,
};
use crate::filter::winner;

const TSYNC: u64 = libc::SECCOMP_FILTER_FLAG_TSYNC;
const LOG: u64 = libc::SECCOMP_FILTER_FLAG_LOG;
const SPEC_ALLOW: u64 = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
const NEW_LISTENER: u64 = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
const TSYNC_ESRCH: u64 = libc::SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
const WAIT_KILLABLE_RECV: u64 = libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;

/// Longest program (`BPF_MAXINSNS`).
const MOST_INSTRUCTIONS: u16 = 4096;
/// Largest error number (`MAX_ERRNO`).
const LARGEST_ERROR: u16 = 4095;
/// Where the first id of each listener is: random in the kernel.
const ID_DISTANCE: u64 = 1 << 40;

/// The calls of strict mode: read, write, exit, rt_sigreturn, and their
/// numbers in the i386 table (`mode1_syscalls`).
const STRICT: [i64; 4] = [libc::SYS_read, libc::SYS_write, libc::SYS_exit, libc::SYS_rt_sigreturn];
const STRICT_I386: [i64; 4] = [3, 4, 1, 119];

/// Every action that a kernel with notifications knows.
const ACTIONS: [u32; 8] = [
    libc::SECCOMP_RET_KILL_PROCESS,
    libc::SECCOMP_RET_KILL_THREAD,
    libc::SECCOMP_RET_TRAP,
    libc::SECCOMP_RET_ERRNO,
    libc::SECCOMP_RET_USER_NOTIF,
    libc::SECCOMP_RET_TRACE,
    libc::SECCOMP_RET_LOG,
    libc::SECCOMP_RET_ALLOW,
];

const URETPROBE: i32 = 335;
const UPROBE: i32 = 336;

impl World<'_> {
    /// Asks strict mode or the filters what becomes of a task's call.
    /// `again` where a tracer has already been told.
    pub fn ask_filters(&mut self, task: TaskId, again: bool) {
        let data = self.tasks[task].call.data;
        if self.exempt(data.nr, data.arch) || self.suspended(task) {
            return self.ready(task, Todo::Execute);
        }
        if self.tasks[task].strict {
            let allowed = if data.arch == AUDIT_ARCH_I386 { &STRICT_I386 } else { &STRICT };
            if allowed.contains(&i64::from(data.nr)) {
                return self.ready(task, Todo::Execute);
            }
            self.tasks[task].dead = true;
            return self.thread_ends(task, Ending::Signal(libc::SIGKILL));
        }
        let Some((filter, word)) = self.verdict(task) else {
            return self.ready(task, Todo::Execute);
        };
        let register = self.tasks[task].call.register;
        let reason = (word & libc::SECCOMP_RET_DATA) as u16;
        match word & libc::SECCOMP_RET_ACTION_FULL {
            libc::SECCOMP_RET_ALLOW | libc::SECCOMP_RET_LOG => self.ready(task, Todo::Execute),
            libc::SECCOMP_RET_ERRNO => {
                let result = -i64::from(reason.min(LARGEST_ERROR));
                self.ready(task, Todo::Leave(Some(result)));
            }
            libc::SECCOMP_RET_TRAP => {
                let info = info(Code::Seccomp(reason), Some(&data), register);
                self.force_signal(task, libc::SIGSYS, info);
                // The register is what it was (syscall_rollback).
                self.ready(task, Todo::Leave(Some(register as i64)));
            }
            // A second TRACE after the tracer was asked lets the call go.
            libc::SECCOMP_RET_TRACE if again => self.ready(task, Todo::Execute),
            libc::SECCOMP_RET_TRACE => self.tell_tracer(task, reason),
            libc::SECCOMP_RET_USER_NOTIF => self.notify(task, filter),
            action => {
                self.tasks[task].dead = true;
                self.ready(task, Todo::Die(action));
            }
        }
    }

    /// What filters say is the end of a task.
    pub fn die(&mut self, task: TaskId, action: u32) {
        match action {
            libc::SECCOMP_RET_KILL_THREAD => self.kill_thread(task),
            _ => self.kill_process(task),
        }
    }

    fn kill_thread(&mut self, task: TaskId) {
        let process = self.tasks[task].process;
        // Before, threads that have ended and were not reaped counted, too.
        let alone = match self.fact("kill-thread-counts-live-threads") {
            true => self.live_threads(process).all(|other| other == task),
            false => self.is_alone(task),
        };
        if alone {
            self.kill_process(task);
        } else {
            self.thread_ends(task, Ending::Signal(libc::SIGSYS));
        }
    }

    /// A SIGSYS that cannot be caught (`force_sig_seccomp`).
    fn kill_process(&mut self, task: TaskId) {
        let mut info = info(Code::Seccomp(0), None, 0);
        info.forced = true;
        self.tasks[task].blocked &= !bit(libc::SIGSYS);
        self.tasks[task].pending.insert(libc::SIGSYS, info);
        self.tasks[task].signalled = true;
        self.ready(task, Todo::Deliver(None));
    }

    /// Which filter decides about a task's call, and the word that it
    /// returned; `None` for a task without filters.
    pub fn verdict(&self, task: TaskId) -> Option<(FilterId, u32)> {
        let newest_first: Vec<FilterId> = self.stack(self.tasks[task].filter).collect();
        let data = &self.tasks[task].call.data;
        let words =
            newest_first.iter().map(|filter| evaluate(&self.filters[*filter].program, data));
        let (index, word) = winner(words)?;
        Some((newest_first[index], word))
    }

    /// Whether a task's filters let a call go whatever its arguments are.
    pub fn always_lets_go(&self, task: TaskId, number: i64) -> bool {
        self.stack(self.tasks[task].filter).all(|filter| {
            always_allows(&self.filters[filter].program, number as i32, AUDIT_ARCH_X86_64)
        })
    }

    /// A filter and those older than it.
    pub fn stack(&self, newest: Option<FilterId>) -> impl Iterator<Item = FilterId> + '_ {
        std::iter::successors(newest, |filter| self.filters[*filter].older)
    }

    fn exempt(&self, number: i32, arch: u32) -> bool {
        arch != AUDIT_ARCH_I386
            && (number == URETPROBE && self.fact("uretprobe-exempt")
                || number == UPROBE && self.fact("uprobe-exempt"))
    }

    /// seccomp(2).
    pub fn seccomp(&mut self, task: TaskId, operation: u64, flags: u64, address: u64) -> i64 {
        // All but the address are unsigned int (SYSCALL_DEFINE3).
        let flags = flags & 0xffff_ffff;
        match operation as u32 {
            libc::SECCOMP_SET_MODE_STRICT if flags != 0 || address != 0 => error(libc::EINVAL),
            libc::SECCOMP_SET_MODE_STRICT => self.enter_strict(task),
            libc::SECCOMP_SET_MODE_FILTER => self.install_at(task, flags, address),
            libc::SECCOMP_GET_ACTION_AVAIL if flags != 0 => error(libc::EINVAL),
            libc::SECCOMP_GET_ACTION_AVAIL => match self.read_u32(task, address) {
                None => error(libc::EFAULT),
                Some(word) if ACTIONS.contains(&word) => 0,
                Some(_) => error(libc::EOPNOTSUPP),
            },
            libc::SECCOMP_GET_NOTIF_SIZES if flags != 0 => error(libc::EINVAL),
            libc::SECCOMP_GET_NOTIF_SIZES => {
                let sizes = [80u16, 24, 64].map(u16::to_le_bytes).concat();
                if self.write(task, address, &sizes) { 0 } else { error(libc::EFAULT) }
            }
            _ => error(libc::EINVAL),
        }
    }

    /// Enters strict mode (`seccomp_set_mode_strict`).
    pub fn enter_strict(&mut self, task: TaskId) -> i64 {
        let this = &mut self.tasks[task];
        if this.filter.is_some() {
            return error(libc::EINVAL);
        }
        this.strict = true;
        0
    }

    /// Installs the program of the `struct sock_fprog` at an address.
    pub fn install_at(&mut self, task: TaskId, flags: u64, address: u64) -> i64 {
        let mut known = TSYNC | LOG | SPEC_ALLOW | NEW_LISTENER;
        for (flag, fact) in
            [(TSYNC_ESRCH, "tsync-esrch"), (WAIT_KILLABLE_RECV, "wait-killable-recv")]
        {
            known |= if self.fact(fact) { flag } else { 0 };
        }
        let has = |flag| flags & flag != 0;
        let exclusive = self.fact("tsync-excludes-listener") && !has(TSYNC_ESRCH);
        if flags & !known != 0
            || has(TSYNC) && has(NEW_LISTENER) && exclusive
            || has(WAIT_KILLABLE_RECV) && !has(NEW_LISTENER)
        {
            return error(libc::EINVAL);
        }
        let program = match self.read_program(task, address) {
            Ok(program) => program,
            Err(number) => return number,
        };
        self.install(task, flags, program)
    }

    /// seccomp_prepare_filter: length, privilege, instructions.
    fn read_program(&self, task: TaskId, address: u64) -> Result<Rc<Vec<SockFilter>>, i64> {
        let header = self.read(task, address, 16).ok_or(error(libc::EFAULT))?;
        let len = u16::from_le_bytes([header[0], header[1]]);
        let at = u64::from_le_bytes(header[8..16].try_into().expect("eight bytes are eight"));
        if len == 0 || len > MOST_INSTRUCTIONS {
            return Err(error(libc::EINVAL));
        }
        if !self.tasks[task].no_new_privs && !self.tasks[task].capable {
            return Err(error(libc::EACCES));
        }
        // bpf_check_basics_ok
        if at == 0 {
            return Err(error(libc::EINVAL));
        }
        let bytes = self.read(task, at, usize::from(len) * 8).ok_or(error(libc::EFAULT))?;
        let instruction = |word: &[u8]| SockFilter {
            code: u16::from_le_bytes([word[0], word[1]]),
            jt: word[2],
            jf: word[3],
            k: u32::from_le_bytes([word[4], word[5], word[6], word[7]]),
        };
        let program: Vec<SockFilter> = bytes.chunks_exact(8).map(instruction).collect();
        match validate(&program) {
            Ok(()) => Ok(Rc::new(program)),
            Err(invalid) => Err(error(invalid.rule.errno())),
        }
    }

    fn install(&mut self, task: TaskId, flags: u64, program: Rc<Vec<SockFilter>>) -> i64 {
        let has = |flag| flags & flag != 0;
        // Others do not get this number, even where nothing comes of it.
        if has(NEW_LISTENER) {
            let Some(number) = self.free_number(task, 0) else { return error(libc::EMFILE) };
            self.tasks[task].call.reserves = Some(number);
        }
        if self.tasks[task].strict {
            return error(libc::EINVAL);
        }
        let older = self.tasks[task].filter;
        if has(NEW_LISTENER)
            && self.stack(older).any(|filter| self.filters[filter].listener.is_some())
        {
            return error(libc::EBUSY);
        }
        let counted = |filter: FilterId| translated_len(&self.filters[filter].program);
        let total: usize = translated_len(&program)
            + self
                .stack(older)
                .map(|filter| counted(filter) + INSTALLED_FILTER_OVERHEAD)
                .sum::<usize>();
        if total > MAX_INSNS_PER_PATH {
            return error(libc::ENOMEM);
        }
        if has(TSYNC)
            && let Some(diverged) = self.diverged(task)
        {
            if has(NEW_LISTENER) && !has(TSYNC_ESRCH) {
                self.leave_off("a listener without a filter comes to be");
            }
            return if has(TSYNC_ESRCH) { error(libc::ESRCH) } else { World::tid(diverged) };
        }
        let first_id = ID_DISTANCE * (self.filters.len() as u64 + 1);
        let listener = Listener {
            requests: 0,
            queue: VecDeque::new(),
            next_id: first_id,
            notifications: Vec::new(),
        };
        // It takes over its task's use of the older one.
        self.filters.push(Filter {
            program,
            older,
            users: 1,
            log: has(LOG),
            wait_killable: has(WAIT_KILLABLE_RECV),
            listener: has(NEW_LISTENER).then_some(listener),
        });
        let filter = self.filters.len() - 1;
        self.tasks[task].filter = Some(filter);
        self.tasks[task].counted += 1;
        if has(TSYNC) {
            self.synchronize(task, filter);
        }
        let Some(number) = self.tasks[task].call.reserves.take() else { return 0 };
        let kind = FileKind::Listener(filter);
        self.files.push(OpenFile { kind, flags: Some(libc::O_RDWR as u64) });
        let entry = Descriptor { file: self.files.len() - 1, close_on_exec: true };
        self.process(task).descriptors.insert(number, entry);
        i64::from(number)
    }

    /// A thread that cannot be brought under the filters of another
    /// (`seccomp_can_sync_threads`).
    fn diverged(&self, task: TaskId) -> Option<TaskId> {
        let own = self.tasks[task].filter;
        self.synchronized_with(task).find(|other| {
            let thread = &self.tasks[*other];
            let dead = thread.dead && self.fact("killed-task-changes-mode");
            let ancestor =
                thread.filter.is_none_or(|filter| self.stack(own).any(|above| above == filter));
            thread.strict || dead || !ancestor
        })
    }

    /// The other threads that TSYNC is about; once, those that end were, too.
    fn synchronized_with(&self, task: TaskId) -> impl Iterator<Item = TaskId> + '_ {
        let ends_too = !self.fact("released-at-exit");
        self.unreaped_threads(self.tasks[task].process)
            .filter(move |other| *other != task && (ends_too || self.tasks[*other].lives()))
    }

    fn synchronize(&mut self, task: TaskId, filter: FilterId) {
        let others: Vec<TaskId> = self.synchronized_with(task).collect();
        for other in others {
            self.filters[filter].users += 1;
            let before = self.tasks[other].filter.replace(filter);
            self.release(before);
            if self.fact("tsync-counts-filters") {
                self.tasks[other].counted = self.tasks[task].counted;
            }
            self.tasks[other].no_new_privs |= self.tasks[task].no_new_privs;
            self.late_filter(other, before.is_some());
        }
    }

    /// One user less of a filter; what has no user has none of its older ones
    /// either (`__seccomp_filter_orphan`).
    pub fn release(&mut self, mut filter: Option<FilterId>) {
        while let Some(id) = filter {
            self.filters[id].users -= 1;
            if self.filters[id].users > 0 {
                return;
            }
            self.wake_waiters(id, true);
            filter = self.filters[id].older;
        }
    }
}

/// Whether a register holds a number of the x32 table.
pub(super) fn is_x32(register: u64) -> bool {
    register as u32 & X32_SYSCALL_BIT != 0
}
