//! Other system calls, as far as scenarios need them. What is not here has a
//! result that nobody knows.

use super::act::HARNESS;
use super::notify::{AddfdRequest, Response};
use super::seccomp::is_x32;
use super::signal::{Code, info};
use super::step::{ERESTART_RESTARTBLOCK, ERESTARTNOHAND, error};
use super::task::{Descriptor, Ending, Todo, Wait};
use super::world::{FileKind, TaskId, World};
use crate::abi::{self, AUDIT_ARCH_I386};
use crate::filter::{Arch, Syscall};
use crate::scenario::Op;
use crate::scenario::arena::held;

const PAGE: u64 = 0x1000;

/// Calls that come back at once and change nothing that the model follows: what
/// they return is not known, and what their arguments point to may be written.
const HARMLESS: &[i64] = &[
    libc::SYS_access,
    libc::SYS_capget,
    libc::SYS_chmod,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_faccessat,
    libc::SYS_fchmod,
    libc::SYS_fstat,
    libc::SYS_fsync,
    libc::SYS_getcpu,
    libc::SYS_getcwd,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getgroups,
    libc::SYS_getitimer,
    libc::SYS_getpgid,
    libc::SYS_getpgrp,
    libc::SYS_getpriority,
    libc::SYS_getrandom,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getrlimit,
    libc::SYS_getrusage,
    libc::SYS_getsid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_lseek,
    libc::SYS_lstat,
    libc::SYS_newfstatat,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_readlink,
    libc::SYS_readlinkat,
    libc::SYS_rt_sigpending,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_yield,
    libc::SYS_set_tid_address,
    libc::SYS_stat,
    libc::SYS_statx,
    libc::SYS_sysinfo,
    libc::SYS_time,
    libc::SYS_times,
    libc::SYS_umask,
    libc::SYS_uname,
];

/// Calls that may wait, and else are as those.
const WAITING: &[i64] = &[
    libc::SYS_clock_nanosleep,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_wait,
    libc::SYS_flock,
    libc::SYS_futex,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_select,
];

/// Calls that may change what lies in the scratch directory, and nothing else.
const ON_PATHS: &[i64] = &[
    libc::SYS_link,
    libc::SYS_linkat,
    libc::SYS_mkdirat,
    libc::SYS_mknod,
    libc::SYS_mknodat,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_symlink,
    libc::SYS_symlinkat,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
];

impl World<'_> {
    /// Executes a call by its number and registers.
    pub fn system_call(&mut self, task: TaskId) {
        let call = &self.tasks[task].call;
        let (data, register, result) = (call.data, call.register, call.result);
        let number = if data.arch == AUDIT_ARCH_I386 {
            match Syscall::from_number(data.nr, Arch::I386).number(Arch::X86_64) {
                Some(native) => native,
                None => return self.ready(task, Todo::Leave(Some(error(libc::ENOSYS)))),
            }
        } else {
            data.nr
        };
        if number < 0 {
            // What a tracer has put there, or ENOSYS.
            return self.ready(task, Todo::Leave(Some(result)));
        }
        if is_x32(register) && data.arch != AUDIT_ARCH_I386 {
            return self.ready(task, Todo::Leave(Some(error(libc::ENOSYS))));
        }
        let ends = [libc::SYS_exit, libc::SYS_exit_group].contains(&i64::from(number));
        let held = (0..self.setting.0.schedule.held.len())
            .any(|page| data.args.iter().any(|arg| (held(page)..held(page) + PAGE).contains(arg)));
        if held && !ends {
            self.leave_off("a call has an address on a held page, and may look at it or not");
            return self.unknown_result(task);
        }
        let [a, b, c, d, ..] = data.args;
        // Only results of the native table are known to be ids, which are other
        // numbers in each run.
        let tells_an_id = [libc::SYS_getpid, libc::SYS_gettid, libc::SYS_getppid];
        if data.arch == AUDIT_ARCH_I386 && tells_an_id.contains(&i64::from(number)) {
            return self.unknown_result(task);
        }
        let result = match i64::from(number) {
            libc::SYS_getpid => {
                let process = self.tasks[task].process;
                self.tid_as_seen_by(process, task)
            }
            libc::SYS_gettid => self.tid_as_seen_by(task, task),
            libc::SYS_getppid => match self.process_ref(task).parent {
                Some(parent) if !self.is_empty(parent) => self.tid_as_seen_by(parent, task),
                // Orphans are the harness's.
                _ => HARNESS,
            },
            libc::SYS_seccomp => self.seccomp(task, a, b, c),
            libc::SYS_prctl => match self.prctl(task, data.args) {
                Some(result) => result,
                None => return self.unknown_result(task),
            },
            libc::SYS_exit => {
                let ending = Ending::Exit((a & 0xff) as i32);
                return self.thread_ends(task, ending);
            }
            libc::SYS_exit_group => return self.exit_group(task, a),
            libc::SYS_mkdir => match self.mkdir(task, a) {
                Some(result) => result,
                None => return self.unknown_result(task),
            },
            libc::SYS_rmdir => match self.rmdir(task, a) {
                Some(result) => result,
                None => return self.unknown_result(task),
            },
            libc::SYS_openat if a as i32 == libc::AT_FDCWD => match self.openat(task, b, c) {
                Some(result) => result,
                None => {
                    self.leave_off("whether a file is opened is not known");
                    return self.unknown_result(task);
                }
            },
            libc::SYS_close => self.close(task, a as i32),
            libc::SYS_dup => match self.file(task, a as i32) {
                Some(file) => self.duplicate(task, file, 0, false),
                None => error(libc::EBADF),
            },
            libc::SYS_dup2 => match self.file(task, a as i32) {
                Some(_) if a as u32 == b as u32 => i64::from(b as u32),
                Some(_) if u64::from(b as u32) >= self.process_ref(task).most_descriptors => {
                    error(libc::EBADF)
                }
                Some(file) => {
                    self.replace(task, b as i32, Descriptor { file, close_on_exec: false });
                    i64::from(b as u32)
                }
                None => error(libc::EBADF),
            },
            libc::SYS_fcntl => match self.fcntl(task, a as i32, b as i32, c) {
                Some(result) => result,
                None => return self.unknown_result(task),
            },
            libc::SYS_epoll_create1 if a as u32 & !0x8_0000 != 0 => error(libc::EINVAL),
            libc::SYS_epoll_create1 => {
                self.open(task, FileKind::Epoll(Vec::new()), None, a & 0x8_0000 != 0)
            }
            libc::SYS_pidfd_open => match self.task_of(a as i64) {
                Some(target) if !self.processes[target].reaped => {
                    self.open(task, FileKind::Pid(target), None, true)
                }
                _ => error(libc::ESRCH),
            },
            libc::SYS_setrlimit if a == u64::from(libc::RLIMIT_NOFILE) => self.limit(task, b),
            libc::SYS_prlimit64 if a == 0 && b == u64::from(libc::RLIMIT_NOFILE) => {
                self.limit(task, c)
            }
            libc::SYS_kill => self.kill(task, a as i64, b as i32, true),
            libc::SYS_tkill => self.tkill(task, None, a as i64, b as i32),
            libc::SYS_tgkill => self.tkill(task, Some(a as i64), b as i64, c as i32),
            // A change of ids takes capabilities away and makes a process
            // unreadable (commit_creds).
            libc::SYS_setuid if self.tasks[task].root && a != 0 => self.lose_root(task),
            libc::SYS_setresuid if self.tasks[task].root && b as i32 != -1 && b != 0 => {
                self.lose_root(task)
            }
            libc::SYS_setuid | libc::SYS_setresuid => return self.unknown_result(task),
            libc::SYS_ioctl if self.file(task, a as i32).is_none() => error(libc::EBADF),
            libc::SYS_ioctl => match self.listener(task, a as i32) {
                Some(filter) => return self.raw_ioctl(task, filter, b as u32, c),
                None => return self.unknown_result(task),
            },
            libc::SYS_write if self.file(task, a as i32).is_none() => error(libc::EBADF),
            libc::SYS_write | libc::SYS_read => return self.transfer(task, number, a as i32, c),
            libc::SYS_pause => return self.sleep_or_stir(task, ERESTARTNOHAND),
            // do_no_restart_syscall: a supervisor can answer with what asks
            // for a restart, too.
            libc::SYS_restart_syscall if !self.tasks[task].restart_block => error(libc::EINTR),
            // do_restart_poll
            libc::SYS_restart_syscall if matches!(self.op(task), Op::Poll { .. }) => {
                return self.wait_for_events(task);
            }
            libc::SYS_nanosleep | libc::SYS_restart_syscall => {
                let time = if number == libc::SYS_nanosleep as i32 {
                    self.read(task, a, 16)
                } else {
                    Some(vec![1; 16])
                };
                match time {
                    None => error(libc::EFAULT),
                    Some(time) if time.iter().all(|byte| *byte == 0) => 0,
                    Some(_) => return self.sleep_or_stir(task, ERESTART_RESTARTBLOCK),
                }
            }
            libc::SYS_poll if b == 0 && c as i32 == -1 => {
                return self.sleep_or_stir(task, ERESTART_RESTARTBLOCK);
            }
            libc::SYS_select if a == 0 && data.args[4] == 0 => {
                return self.sleep_or_stir(task, ERESTARTNOHAND);
            }
            libc::SYS_fork | libc::SYS_vfork | libc::SYS_clone | libc::SYS_clone3 => {
                self.leave_off("a task comes to be that the scenario does not name");
                0
            }
            libc::SYS_execve | libc::SYS_execveat => {
                self.leave_off("another program is executed");
                0
            }
            libc::SYS_ptrace => {
                self.smudge(task);
                return self.unknown_result(task);
            }
            libc::SYS_rt_sigaction
            | libc::SYS_rt_sigprocmask
            | libc::SYS_rt_sigreturn
            | libc::SYS_rt_sigsuspend
            | libc::SYS_setns
            | libc::SYS_unshare
            | libc::SYS_chdir
            | libc::SYS_munmap => {
                return self.unknown_with_effects(task, number);
            }
            // Anonymous memory that can be read and written, at a place of the
            // scenario's choice.
            libc::SYS_mmap if c & 3 == 3 && d & 0x30 == 0x30 => {
                self.process(task).mapped.insert((a, a.saturating_add(b)));
                a as i64
            }
            libc::SYS_mmap if d & 0x10 == 0 => return self.unknown_result(task),
            335 if !self.fact("uretprobe-known") => error(libc::ENOSYS),
            335 => {
                // No probe: the process made a mistake.
                let fault = info(Code::User, None, 0);
                self.force_signal(task, libc::SIGILL, fault);
                0
            }
            336 if self.fact("uprobe-outside-is-eproto") => error(libc::EPROTO),
            336 if self.fact("uprobe-exempt") => error(libc::ENXIO),
            // No call has had this number before.
            336 => error(libc::ENOSYS),
            _ if number > 1000 => error(libc::ENOSYS),
            libc::SYS_pwrite64 if self.is_memory(task, a as i32) => {
                self.leave_off("a call writes into a memory");
                0
            }
            other if HARMLESS.contains(&other) => {
                self.smudge(task);
                return self.unknown_result(task);
            }
            other if WAITING.contains(&other) => return self.may_block(task),
            other if ON_PATHS.contains(&other) => {
                self.paths_unknown = true;
                return self.unknown_result(task);
            }
            _ => {
                self.leave_off("a call that the model does not know may change anything");
                return self.unknown_result(task);
            }
        };
        self.ready(task, Todo::Leave(Some(result)));
    }

    /// A call of which nothing is known, but that it changes nothing here.
    fn may_block(&mut self, task: TaskId) {
        self.smudge(task);
        self.unknown_result(task);
        self.or(|world| world.sleep(task, Wait::Other { interrupted: None }));
    }

    fn unknown_with_effects(&mut self, task: TaskId, number: i32) {
        let harmless = i64::from(number) == libc::SYS_chdir;
        if !harmless {
            self.leave_off("a call changes what the model does not follow");
        }
        self.unknown_result(task);
    }

    fn lose_root(&mut self, task: TaskId) -> i64 {
        (self.tasks[task].root, self.tasks[task].capable) = (false, false);
        self.process(task).dumpable = false;
        0
    }

    /// Whether a descriptor reads the memory of a process.
    fn is_memory(&self, task: TaskId, fd: i32) -> bool {
        let file = self.file(task, fd);
        file.is_some_and(|file| matches!(self.files[file].kind, FileKind::Memory(..)))
    }

    fn sleep_or_stir(&mut self, task: TaskId, interrupted: i64) {
        if self.disturbed(task) {
            self.interrupt_call(task, interrupted);
        } else {
            self.sleep(task, Wait::Other { interrupted: Some(interrupted) });
        }
    }

    /// A call under way ends for a signal.
    pub fn interrupt_call(&mut self, task: TaskId, interrupted: i64) {
        self.tasks[task].restart_block |= interrupted == ERESTART_RESTARTBLOCK;
        self.ready(task, Todo::Leave(Some(interrupted)));
    }

    fn prctl(&mut self, task: TaskId, args: [u64; 6]) -> Option<i64> {
        let [option, a, b, c, d, _] = args;
        Some(match option as i32 {
            libc::PR_SET_NO_NEW_PRIVS if a != 1 || b != 0 || c != 0 || d != 0 => {
                error(libc::EINVAL)
            }
            libc::PR_SET_NO_NEW_PRIVS => {
                self.tasks[task].no_new_privs = true;
                0
            }
            libc::PR_GET_NO_NEW_PRIVS if a != 0 || b != 0 || c != 0 || d != 0 => {
                error(libc::EINVAL)
            }
            libc::PR_GET_NO_NEW_PRIVS => i64::from(self.tasks[task].no_new_privs),
            libc::PR_GET_SECCOMP if self.tasks[task].filter.is_some() => 2,
            libc::PR_GET_SECCOMP => i64::from(self.tasks[task].strict),
            libc::PR_SET_SECCOMP if a == u64::from(libc::SECCOMP_MODE_STRICT) => {
                self.enter_strict(task)
            }
            libc::PR_SET_SECCOMP if a == u64::from(libc::SECCOMP_MODE_FILTER) => {
                self.install_at(task, 0, b)
            }
            libc::PR_SET_SECCOMP => error(libc::EINVAL),
            libc::PR_SET_DUMPABLE if a <= 1 => {
                self.process(task).dumpable = a == 1;
                0
            }
            libc::PR_SET_DUMPABLE => error(libc::EINVAL),
            _ => return None,
        })
    }

    /// tkill(2), and tgkill(2) with a thread group (`do_tkill`).
    fn tkill(&mut self, task: TaskId, group: Option<i64>, tid: i64, signal: i32) -> i64 {
        if tid <= 0 || group.is_some_and(|group| group <= 0) {
            return error(libc::EINVAL);
        }
        let process = self.task_of(tid).map(|target| World::tid(self.tasks[target].process));
        if group.is_some() && process.is_some() && group != process {
            return error(libc::ESRCH);
        }
        self.kill(task, tid, signal, false)
    }

    fn kill(&mut self, task: TaskId, pid: i64, signal: i32, whole: bool) -> i64 {
        if !(0..=64).contains(&signal) {
            return error(libc::EINVAL);
        }
        let code = if whole { Code::User } else { Code::Tkill };
        match self.task_of(pid) {
            Some(target) if self.send_signal(target, signal, whole, info(code, None, 0)) => 0,
            Some(_) => error(libc::ESRCH),
            None => {
                let _ = task;
                self.leave_off("a signal for somebody who takes no part");
                0
            }
        }
    }

    /// read(2) and write(2): how much is known of a file.
    fn transfer(&mut self, task: TaskId, number: i32, fd: i32, len: u64) {
        let Some(file) = self.file(task, fd) else {
            return self.ready(task, Todo::Leave(Some(error(libc::EBADF))));
        };
        let writes = i64::from(number) == libc::SYS_write;
        match (&self.files[file].kind, writes) {
            (FileKind::Null, true) => self.ready(task, Todo::Leave(Some(len as i64))),
            (FileKind::Null, false) => self.ready(task, Todo::Leave(Some(0))),
            (FileKind::Listener(_), _) => {
                self.ready(task, Todo::Leave(Some(error(libc::EINVAL))));
            }
            (FileKind::Memory(..), true) => {
                self.leave_off("a call writes into a memory");
                self.unknown_result(task);
            }
            _ => self.may_block(task),
        }
    }

    /// An ioctl whose structure the scenario has built itself.
    fn raw_ioctl(&mut self, task: TaskId, filter: super::world::FilterId, request: u32, at: u64) {
        let words = |world: &Self, count: u64| -> Option<Vec<u64>> {
            (0..count).map(|index| world.read_u64(task, at.wrapping_add(8 * index))).collect()
        };
        let result = match request {
            abi::NOTIF_RECV => match self.read(task, at, 80) {
                None => error(libc::EFAULT),
                Some(bytes)
                    if bytes.iter().any(|byte| *byte != 0)
                        && self.fact("recv-checks-zeroed-buffer") =>
                {
                    error(libc::EINVAL)
                }
                Some(_) => {
                    self.leave_off("what RECV writes is read by the scenario itself");
                    0
                }
            },
            abi::NOTIF_SEND => match words(self, 3) {
                None => error(libc::EFAULT),
                Some(words) => {
                    let response = Response {
                        id: words[0],
                        val: words[1] as i64,
                        error: words[2] as i32,
                        flags: (words[2] >> 32) as u32,
                    };
                    self.send(filter, response)
                }
            },
            abi::NOTIF_ID_VALID_WRONG_DIR | abi::NOTIF_ID_VALID => match words(self, 1) {
                _ if request == abi::NOTIF_ID_VALID && !self.fact("id-valid-write-direction") => {
                    error(libc::EINVAL)
                }
                None => error(libc::EFAULT),
                Some(words) => self.id_valid(filter, words[0]),
            },
            abi::NOTIF_SET_FLAGS => self.set_flags(at),
            // ADDFD of any size and direction (EA_IOCTL).
            _ if request & 0xffff == abi::notif_addfd(24) & 0xffff => {
                let size = (request >> 16 & 0x3fff) as usize;
                match words(self, 3) {
                    _ if !self.fact("addfd") || !(24..4096).contains(&size) => error(libc::EINVAL),
                    None => error(libc::EFAULT),
                    Some(words) => {
                        let request = AddfdRequest {
                            id: words[0],
                            flags: words[1] as u32,
                            srcfd: (words[1] >> 32) as u32,
                            newfd: words[2] as u32,
                            newfd_flags: (words[2] >> 32) as u32,
                        };
                        return self.addfd(task, filter, request, size, false);
                    }
                }
            }
            // What every file knows (do_vfs_ioctl).
            _ if [0x5421, 0x5450, 0x5451, 0x5452].contains(&request) => {
                return self.unknown_result(task);
            }
            _ => error(libc::EINVAL),
        };
        self.ready(task, Todo::Leave(Some(result)));
    }
}
