//! Structures and numbers of `include/uapi/linux/seccomp.h`, `filter.h` and
//! `audit.h`.

use serde::{Deserialize, Serialize};

/// One classic BPF instruction, `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SockFilter {
    /// Opcode: class, size or operation, and mode or source.
    pub code: u16,
    /// Instructions to skip when a conditional jump's test is true.
    pub jt: u8,
    /// Instructions to skip when a conditional jump's test is false.
    pub jf: u8,
    /// Generic operand.
    pub k: u32,
}

/// A program as `seccomp(2)` takes it, `struct sock_fprog`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SockFprog {
    /// Number of instructions.
    pub len: u16,
    /// User address of the first instruction.
    pub filter: u64,
}

/// What a filter is run over, `struct seccomp_data`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SeccompData {
    /// System call number, as the low 32 bits of the register hold it.
    pub nr: i32,
    /// `AUDIT_ARCH_*` value of the entry that was used.
    pub arch: u32,
    /// Address of the instruction after the system call instruction.
    pub instruction_pointer: u64,
    /// The six argument registers, whole.
    pub args: [u64; 6],
}

/// What RECV fills in, `struct seccomp_notif`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeccompNotif {
    /// The cookie that names this notification on its listener.
    pub id: u64,
    /// Thread id of the target, as the receiver's PID namespace sees it; 0
    /// where it is not visible there.
    pub pid: u32,
    /// Always 0 so far.
    pub flags: u32,
    /// What the filter was run over.
    pub data: SeccompData,
}

/// What SEND takes, `struct seccomp_notif_resp`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeccompNotifResp {
    /// Cookie of the notification that is answered.
    pub id: u64,
    /// Value that the target's call returns when `error` is 0.
    pub val: i64,
    /// Negative errno, or 0.
    pub error: i32,
    /// `SECCOMP_USER_NOTIF_FLAG_*`.
    pub flags: u32,
}

/// What ADDFD takes, `struct seccomp_notif_addfd`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeccompNotifAddfd {
    /// Cookie of the notification whose target gets the descriptor.
    pub id: u64,
    /// `SECCOMP_ADDFD_FLAG_*`.
    pub flags: u32,
    /// Descriptor in the supervisor.
    pub srcfd: u32,
    /// Number wanted in the target, with `SECCOMP_ADDFD_FLAG_SETFD`.
    pub newfd: u32,
    /// `O_CLOEXEC` or 0.
    pub newfd_flags: u32,
}

/// What `SECCOMP_GET_NOTIF_SIZES` fills in, `struct seccomp_notif_sizes`; in
/// bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeccompNotifSizes {
    /// Size of the kernel's `struct seccomp_notif`.
    pub notif: u16,
    /// Size of the kernel's `struct seccomp_notif_resp`.
    pub resp: u16,
    /// Size of the kernel's `struct seccomp_data`.
    pub data: u16,
}

const _: () = assert!(size_of::<SockFilter>() == 8);
const _: () = assert!(size_of::<SockFprog>() == 16);
const _: () = assert!(size_of::<SeccompData>() == 64);
const _: () = assert!(size_of::<SeccompNotif>() == 80);
const _: () = assert!(size_of::<SeccompNotifResp>() == 24);
const _: () = assert!(size_of::<SeccompNotifAddfd>() == 24);
const _: () = assert!(size_of::<SeccompNotifSizes>() == 6);

/// `AUDIT_ARCH_X86_64`: the `syscall` instruction, x32 calls included.
pub const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
/// `AUDIT_ARCH_I386`: `int $0x80` and the 32-bit fast entries.
pub const AUDIT_ARCH_I386: u32 = 0x4000_0003;
/// `AUDIT_ARCH_AARCH64`.
pub const AUDIT_ARCH_AARCH64: u32 = 0xc000_00b7;
/// `AUDIT_ARCH_RISCV64`.
pub const AUDIT_ARCH_RISCV64: u32 = 0xc000_00f3;
/// Set in the number of every x32 call (`__X32_SYSCALL_BIT`).
pub const X32_SYSCALL_BIT: u32 = 0x4000_0000;

/// Encodes an ioctl number of the seccomp group: `_IOC(direction, '!', nr, size)`.
const fn ioctl_number(direction: u32, nr: u32, size: usize) -> u32 {
    assert!(size < 1 << 14);
    direction << 30 | (size as u32) << 16 | (b'!' as u32) << 8 | nr
}

const WRITE: u32 = 1;
const READ: u32 = 2;

/// `SECCOMP_IOCTL_NOTIF_RECV`.
pub const NOTIF_RECV: u32 = ioctl_number(READ | WRITE, 0, size_of::<SeccompNotif>());
/// `SECCOMP_IOCTL_NOTIF_SEND`.
pub const NOTIF_SEND: u32 = ioctl_number(READ | WRITE, 1, size_of::<SeccompNotifResp>());
/// `SECCOMP_IOCTL_NOTIF_ID_VALID`, as headers have it since Linux 5.9.
pub const NOTIF_ID_VALID: u32 = ioctl_number(WRITE, 2, size_of::<u64>());
/// `SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR`: what headers before Linux 5.9
/// called ID_VALID. Every kernel accepts it.
pub const NOTIF_ID_VALID_WRONG_DIR: u32 = ioctl_number(READ, 2, size_of::<u64>());
/// `SECCOMP_IOCTL_NOTIF_SET_FLAGS`.
pub const NOTIF_SET_FLAGS: u32 = ioctl_number(WRITE, 4, size_of::<u64>());

/// `SECCOMP_IOCTL_NOTIF_ADDFD` for a structure of `size` bytes; the kernel
/// reads the size from the ioctl number (`EA_IOCTL` in `kernel/seccomp.c`).
pub const fn notif_addfd(size: usize) -> u32 {
    ioctl_number(WRITE, 3, size)
}

const _: () = assert!(NOTIF_RECV == 0xc050_2100);
const _: () = assert!(NOTIF_SEND == 0xc018_2101);
const _: () = assert!(NOTIF_ID_VALID == 0x4008_2102);
const _: () = assert!(NOTIF_ID_VALID_WRONG_DIR == 0x8008_2102);
const _: () = assert!(notif_addfd(24) == 0x4018_2103);
const _: () = assert!(NOTIF_SET_FLAGS == 0x4008_2104);

/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`, for SET_FLAGS (Linux 6.6).
pub const SYNC_WAKE_UP: u64 = 1;
