//! Tasks that cost little: each shares this process's memory, keeps clear of
//! libc and of thread-local storage, and tells what it saw in a block of
//! memory of its own, whose upper end is its stack.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::arch::global_asm;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use nix::errno::Errno;

use crate::abi::{SockFilter, SockFprog, clone_thread, raw_syscall, signal_return_address};

/// Size and alignment of a block: a task finds its own from its stack pointer.
pub(super) const BLOCK: usize = 1 << 16;

// A call that a signal handler can leave without sigreturn(2), which the filter
// under test may forbid.
global_asm!(
    ".pushsection .text.unotify_oracle, \"ax\"",
    ".global unotify_oracle_call",
    ".type unotify_oracle_call, @function",
    "unotify_oracle_call:", // (number, &[args; 6], &saved, entry) -> raw
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "mov [rdx], rsp",
    "cmp rcx, 1",
    "je 2f",
    "ja 4f",
    "call unotify_traced_syscall",
    "jmp 3f",
    "2:",
    "call unotify_traced_int80",
    "jmp 3f",
    "4:",
    "call unotify_oracle_install",
    "3:",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "ret",
    ".global unotify_oracle_leave",
    ".type unotify_oracle_leave, @function",
    "unotify_oracle_leave:", // (saved): returns 0 from the call
    "mov rsp, rdi",
    "xor eax, eax",
    "jmp 3b",
    // A call of three arguments at an address of its own.
    "unotify_oracle_install:", // (number, &[args; 6]) -> raw
    "mov rax, rdi",
    "mov r11, rsi",
    "mov rdi, [r11]",
    "mov rsi, [r11 + 8]",
    "mov rdx, [r11 + 16]",
    "xor r10d, r10d",
    "xor r8d, r8d",
    "xor r9d, r9d",
    "syscall",
    ".global unotify_oracle_installed",
    "unotify_oracle_installed:",
    "ret",
    // The end of a task that exit(2) does not end: a filter may kill what makes
    // a call here, and an undefined instruction kills all that share handlers.
    ".global unotify_oracle_end",
    ".type unotify_oracle_end, @function",
    "unotify_oracle_end:",
    "mov eax, 39",
    "syscall",
    ".global unotify_oracle_ended",
    "unotify_oracle_ended:",
    "ud2",
    ".popsection",
);

/// Where a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// By `syscall`, at the address of calls under test.
    Syscall = 0,
    /// By `int $0x80`, at the other address of calls under test.
    Int80 = 1,
    /// By `syscall`, at the address of calls that install filters.
    Install = 2,
}

unsafe extern "C" {
    fn unotify_oracle_call(number: u64, args: *const u64, saved: *const AtomicU64, i: u64) -> i64;
    fn unotify_oracle_leave(saved: u64) -> !;
    fn unotify_oracle_end() -> !;
    static unotify_oracle_installed: u8;
    static unotify_oracle_ended: u8;
}

/// What the call that installs a filter shows as `instruction_pointer`.
pub(super) fn install_address() -> u64 {
    &raw const unotify_oracle_installed as u64
}

/// What [`end`]'s last call shows as `instruction_pointer`.
pub(super) fn end_address() -> u64 {
    &raw const unotify_oracle_ended as u64
}

/// What went on in a call, for the shared block.
#[repr(C)]
pub(super) struct Trap {
    /// How many SIGSYS there were.
    pub count: AtomicU32,
    /// `si_errno`
    pub errno: AtomicU32,
    /// `si_syscall`
    pub nr: AtomicU32,
    /// `si_arch`
    pub arch: AtomicU32,
    saved: AtomicU64,
}

impl Trap {
    /// Before a task begins.
    pub fn reset(&self) {
        self.count.store(0, Ordering::Relaxed);
        self.saved.store(0, Ordering::Relaxed);
    }

    /// After a call that came back by itself: a SIGSYS from here on is none of
    /// its.
    fn left(&self) {
        self.saved.store(0, Ordering::Relaxed);
    }
}

/// A block of memory that holds a `T` and a stack.
pub(super) struct Block<T>(NonNull<T>);

impl<T> Block<T> {
    /// A block that is all zeros, which must be a `T`: one of atomics and
    /// numbers, that begins with a [`Trap`].
    pub fn new() -> Self {
        const { assert!(size_of::<T>() < BLOCK / 2) };
        let layout = Layout::from_size_align(BLOCK, BLOCK).expect("it is a power of two");
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout) };
        Self(NonNull::new(memory.cast()).unwrap_or_else(|| handle_alloc_error(layout)))
    }

    pub fn pointer(&self) -> *mut T {
        self.0.as_ptr()
    }

    /// Starts a process that shares memory and descriptors with this one, and
    /// runs `entry` with the block's address; its id, or an errno. No signal
    /// tells of its end, so that nobody else waits for it by chance.
    pub fn start(&self, entry: extern "C" fn(u64)) -> Result<i32, Errno> {
        let made = start(self.0.as_ptr() as u64, 0, BLOCK / 2, entry);
        Errno::result(made as i32).map_err(|_| Errno::from_raw(-made as i32))
    }
}

/// Starts a task that shares memory and descriptors with this one, and runs
/// `entry` with the block's address on the stack that ends so far behind it.
pub(super) fn start(block: u64, flags: i32, stack_end: usize, entry: extern "C" fn(u64)) -> i64 {
    let flags = libc::CLONE_VM | libc::CLONE_FILES | libc::CLONE_FS | flags;
    // SAFETY: callers have one task at a time on a stack, in a block that they
    // keep. Entries keep to bare system calls.
    unsafe { clone_thread(flags as u64, block + stack_end as u64, entry, block) }
}

impl<T> Drop for Block<T> {
    fn drop(&mut self) {
        let layout = Layout::from_size_align(BLOCK, BLOCK).expect("it is a power of two");
        // SAFETY: the memory is from the same layout; its task has ended.
        unsafe { dealloc(self.0.as_ptr().cast(), layout) };
    }
}

/// Waits for a task; the status of wait(2).
pub(super) fn wait(pid: i32) -> Result<i32, Errno> {
    let mut status = 0;
    loop {
        // SAFETY: the status lives through the call.
        match Errno::result(unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) }) {
            Ok(_) => return Ok(status),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Makes a call for a task's own ends.
#[inline(always)]
pub(super) fn own(number: i64, args: [u64; 6]) -> i64 {
    // SAFETY: callers name calls that touch only what the task may touch.
    unsafe { raw_syscall(number, args) }
}

/// Makes a call at a known address, out of which SIGSYS leads.
#[inline(always)]
pub(super) fn call(trap: &Trap, number: u64, args: &[u64; 6], entry: Entry) -> i64 {
    let saved = &raw const trap.saved;
    // SAFETY: filters keep the call from being made, or it is a harmless one.
    let raw = unsafe { unotify_oracle_call(number, args.as_ptr(), saved, entry as u64) };
    trap.left();
    raw
}

/// The arguments of seccomp(2) that install a filter.
pub(super) fn installing(program: *const SockFprog, flags: u64) -> [u64; 6] {
    [libc::SECCOMP_SET_MODE_FILTER.into(), flags, program as u64, 0, 0, 0]
}

/// Installs a filter on the task.
#[inline(always)]
pub(super) fn install(trap: &Trap, program: *const SockFprog, flags: u64) -> i64 {
    call(trap, libc::SYS_seccomp as u64, &installing(program, flags), Entry::Install)
}

/// The task's preparation: it ends with its parent, no signal reaches it but
/// those that its own doings raise, and SIGSYS leads out of calls.
pub(super) fn prepare() {
    own(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG as u64, libc::SIGKILL as u64, 0, 0, 0, 0]);
    // Handlers are the parent's, in the parent's memory: none may run here.
    let raised = [libc::SIGSYS, libc::SIGILL, libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE];
    let mask = !raised.iter().fold(0_u64, |mask, signal| mask | 1 << (signal - 1));
    let how = libc::SIG_SETMASK as u64;
    own(libc::SYS_rt_sigprocmask, [how, &raw const mask as u64, 0, 8, 0, 0]);
    let flags = (libc::SA_SIGINFO | libc::SA_NODEFER | 0x0400_0000) as u64;
    let action = [trapped as *const () as u64, flags, signal_return_address(), 0];
    let default = [0_u64; 4];
    for signal in raised {
        let action = if signal == libc::SIGSYS { &action } else { &default };
        own(libc::SYS_rt_sigaction, [signal as u64, action.as_ptr() as u64, 0, 8, 0, 0]);
    }
    own(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0, 0]);
}

/// Ends the task, whatever its filters say to exit(2).
pub(super) fn end() -> ! {
    own(libc::SYS_exit, [0; 6]);
    // SAFETY: the task ends there.
    unsafe { unotify_oracle_end() }
}

/// SIGSYS: notes what the kernel tells, and leaves the call without
/// sigreturn(2).
extern "C" fn trapped(_: i32, info: *const u32, context: u64) {
    let block = context & !(BLOCK as u64 - 1);
    // SAFETY: the handler runs on the task's stack, in its block, which begins
    // with a Trap.
    let trap = unsafe { &*(block as *const Trap) };
    // siginfo_t: si_signo, si_errno, si_code; then the address, the number and
    // the architecture.
    // SAFETY: the kernel has filled in the whole structure, of 128 bytes.
    let words = unsafe { &*info.cast::<[u32; 32]>() };
    let word = |index: usize| words[index];
    trap.errno.store(word(1), Ordering::Relaxed);
    trap.nr.store(word(6), Ordering::Relaxed);
    trap.arch.store(word(7), Ordering::Relaxed);
    let count = trap.count.fetch_add(1, Ordering::Relaxed);
    let saved = trap.saved.swap(0, Ordering::Relaxed);
    if saved == 0 || count > 1 << 20 {
        // Not in a call under test: the task cannot go on.
        // SAFETY: the task ends there.
        unsafe { unotify_oracle_end() }
    }
    // SAFETY: the frame that was saved is below this one and still there.
    unsafe { unotify_oracle_leave(saved) }
}

/// A program as seccomp(2) takes it; the caller keeps the instructions.
pub(super) fn fprog(program: &[SockFilter]) -> SockFprog {
    // One that is longer than the field can say is not a case.
    SockFprog { len: program.len() as u16, filter: program.as_ptr() as u64 }
}

/// Numbers that tasks write and their parent reads.
pub(super) fn get(number: &AtomicI64) -> i64 {
    number.load(Ordering::Acquire)
}

/// Sleeps while a word is `while_it_is`, as long as nobody wakes it up.
pub(super) fn sleep_while(word: &AtomicU32, while_it_is: u32) {
    while word.load(Ordering::Acquire) == while_it_is {
        let wait = libc::FUTEX_WAIT as u64;
        own(libc::SYS_futex, [word.as_ptr() as u64, wait, while_it_is.into(), 0, 0, 0]);
    }
}

/// Sets a word, and wakes up who sleeps for it.
pub(super) fn set_and_wake(word: &AtomicU32, to: u32) {
    word.store(to, Ordering::Release);
    own(libc::SYS_futex, [word.as_ptr() as u64, libc::FUTEX_WAKE as u64, 1, 0, 0, 0]);
}
