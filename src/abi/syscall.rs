//! System calls by bare instruction.
//!
//! libc folds `[-4095, -1]` into `errno` and hides what the register held,
//! and a task that shares no thread-local storage with libc must not write
//! `errno` at all. So actors make every call through these few instructions
//! and see the raw register.

use std::arch::{asm, global_asm};

// The traced call sits at one known address, so that `instruction_pointer`
// in `struct seccomp_data` can be told apart from any other call site.
global_asm!(
    ".pushsection .text.unotify_traced, \"ax\"",
    ".global unotify_traced_syscall",
    ".type unotify_traced_syscall, @function",
    "unotify_traced_syscall:", // (number, &[args; 6]) -> raw
    "mov rax, rdi",
    "mov r11, rsi",
    "mov rdi, [r11]",
    "mov rsi, [r11 + 8]",
    "mov rdx, [r11 + 16]",
    "mov r10, [r11 + 24]",
    "mov r8, [r11 + 32]",
    "mov r9, [r11 + 40]",
    "syscall",
    ".global unotify_traced_syscall_return",
    "unotify_traced_syscall_return:",
    "ret",
    // The 32-bit entry, from 64-bit code: registers as the i386 ABI has them.
    ".global unotify_traced_int80",
    ".type unotify_traced_int80, @function",
    "unotify_traced_int80:", // (number, &[args; 6]) -> raw
    "push rbx",
    "push rbp",
    "mov rax, rdi",
    "mov r11, rsi",
    "mov rbx, [r11]",
    "mov rcx, [r11 + 8]",
    "mov rdx, [r11 + 16]",
    "mov rsi, [r11 + 24]",
    "mov rdi, [r11 + 32]",
    "mov rbp, [r11 + 40]",
    "int 0x80",
    ".global unotify_traced_int80_return",
    "unotify_traced_int80_return:",
    "movsxd rax, eax",
    "pop rbp",
    "pop rbx",
    "ret",
    // clone(2) onto a stack of its own: the child calls entry(argument) and
    // ends its thread. Nothing of the caller's frame is touched.
    ".global unotify_clone_thread",
    ".type unotify_clone_thread, @function",
    "unotify_clone_thread:", // (flags, stack top, entry, argument) -> tid or -errno
    "sub rsi, 16",
    "mov [rsi], rdx",
    "mov [rsi + 8], rcx",
    "mov eax, 56",
    "xor edx, edx",
    "xor r10d, r10d",
    "xor r8d, r8d",
    "syscall",
    "test rax, rax",
    "jz 2f",
    "ret",
    "2:",
    "xor ebp, ebp",
    "pop rax",
    "pop rdi",
    "call rax",
    "mov edi, 0",
    "mov eax, 60",
    "syscall",
    "hlt",
    // What the kernel returns to after a signal handler.
    ".global unotify_signal_return",
    ".type unotify_signal_return, @function",
    "unotify_signal_return:",
    "mov eax, 15",
    "syscall",
    ".popsection",
);

unsafe extern "C" {
    fn unotify_traced_syscall(number: u64, args: *const [u64; 6]) -> i64;
    fn unotify_traced_int80(number: u64, args: *const [u64; 6]) -> i64;
    fn unotify_clone_thread(
        flags: u64,
        stack_top: u64,
        entry: extern "C" fn(u64),
        argument: u64,
    ) -> i64;
    static unotify_traced_syscall_return: u8;
    static unotify_traced_int80_return: u8;
    static unotify_signal_return: u8;
}

/// Makes a system call that a scenario asks for and returns the raw register.
///
/// # Safety
///
/// The caller decides what the call does to this process.
pub unsafe fn traced_syscall(number: u64, args: &[u64; 6]) -> i64 {
    // SAFETY: the routine reads six words and keeps the C ABI; the rest is
    // the caller's promise.
    unsafe { unotify_traced_syscall(number, args) }
}

/// As [`traced_syscall`], through `int $0x80` and so the i386 table.
///
/// # Safety
///
/// The caller decides what the call does to this process.
pub unsafe fn traced_int80(number: u64, args: &[u64; 6]) -> i64 {
    // SAFETY: as for the 64-bit entry.
    unsafe { unotify_traced_int80(number, args) }
}

/// The two addresses that a traced call shows as `instruction_pointer`: for
/// the `syscall` instruction and for `int $0x80`.
pub fn traced_return_addresses() -> [u64; 2] {
    [&raw const unotify_traced_syscall_return as u64, &raw const unotify_traced_int80_return as u64]
}

/// Address of the `rt_sigreturn` routine, for `sa_restorer`.
pub fn signal_return_address() -> u64 {
    &raw const unotify_signal_return as u64
}

/// Starts a thread that runs `entry(argument)` on the stack that ends at
/// `stack_top` (16-byte aligned); returns its thread id or a negative errno.
///
/// # Safety
///
/// `flags` must be those of a thread, the stack must be mapped, unused and
/// large enough, and `entry` must use neither libc nor thread-local storage.
pub unsafe fn clone_thread(
    flags: u64,
    stack_top: u64,
    entry: extern "C" fn(u64),
    argument: u64,
) -> i64 {
    // SAFETY: the caller's promise.
    unsafe { unotify_clone_thread(flags, stack_top, entry, argument) }
}

/// Makes a system call for the harness's own ends; returns the raw register.
///
/// It is inlined, so its call site differs from a traced call's.
///
/// # Safety
///
/// The caller decides what the call does to this process.
#[inline(always)]
pub unsafe fn raw_syscall(number: i64, args: [u64; 6]) -> i64 {
    let result: i64;
    // SAFETY: the kernel clobbers rcx and r11 and nothing else; memory
    // effects are the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// The errno in a raw return register, as libc would fold it.
pub fn errno_of(raw: i64) -> Option<i32> {
    (-4095..0).contains(&raw).then_some(-raw as i32)
}
