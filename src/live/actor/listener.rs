//! What an actor does with a listener, and with its target's memory.

use super::{Player, Reply, peek, poke, read_back, sys};
use crate::abi::{
    NOTIF_ID_VALID, NOTIF_ID_VALID_WRONG_DIR, NOTIF_RECV, NOTIF_SEND, NOTIF_SET_FLAGS,
    SeccompNotif, SeccompNotifAddfd, SeccompNotifResp, notif_addfd,
};
use crate::live::shared::notification_of;
use crate::scenario::arena::desk;
use crate::scenario::{Arg, Op, Place, SlotId};

impl Player {
    pub(super) fn supervise(&self, op: &Op, binds: Option<SlotId>) -> Reply {
        match *op {
            Op::Recv { listener, place, dirty } => self.recv(listener, place, dirty, binds),
            Op::Send { listener, id, val, error, flags, place } => {
                let response = SeccompNotifResp {
                    id: self.value(id),
                    val: self.value(val) as i64,
                    error: self.value(error) as i32,
                    flags: self.value(flags) as u32,
                };
                let address = self.put(response, place);
                self.ioctl(listener, NOTIF_SEND, address).into()
            }
            Op::IdValid { listener, id, old_number, place } => {
                let address = self.put(self.value(id), place);
                let request = if old_number { NOTIF_ID_VALID_WRONG_DIR } else { NOTIF_ID_VALID };
                self.ioctl(listener, request, address).into()
            }
            Op::Addfd { listener, id, srcfd, newfd, newfd_flags, flags, size, tail, place } => {
                let request = SeccompNotifAddfd {
                    id: self.value(id),
                    flags: self.value(flags) as u32,
                    srcfd: self.value(srcfd) as u32,
                    newfd: self.value(newfd) as u32,
                    newfd_flags: self.value(newfd_flags) as u32,
                };
                // A structure of a later kernel: known fields, then a tail.
                let longer = [0u64; 0x1000 / 8];
                poke(desk(self.me.0), longer);
                poke(desk(self.me.0) + 24, self.value(tail) as u8);
                let address = self.put(request, place);
                let raw = self.ioctl(listener, notif_addfd(usize::from(size)), address);
                self.bind(binds, raw);
                raw.into()
            }
            Op::SetFlags { listener, flags } => {
                self.ioctl(listener, NOTIF_SET_FLAGS, self.value(flags)).into()
            }
            Op::Poll { fd, events, timeout } => self.poll(fd, events, timeout),
            Op::Select { fd, timeout } => self.select(fd, timeout),
            Op::EpollAdd { epoll, fd, events } => {
                // struct epoll_event is packed on x86-64: 32 and 64 bits.
                let address = desk(self.me.0);
                poke(address, self.value(events) as u32);
                poke(address + 4, [0u32; 2]);
                let add = libc::EPOLL_CTL_ADD as u64;
                let args = [self.value(epoll), add, self.value(fd), address, 0, 0];
                sys(libc::SYS_epoll_ctl, args).into()
            }
            Op::EpollWait { epoll, timeout } => {
                let address = desk(self.me.0);
                let args = [self.value(epoll), address, 1, self.value(timeout), 0, 0];
                ready(sys(libc::SYS_epoll_wait, args), address, 4)
            }
            Op::OpenMem { id } => {
                let raw = self.open_mem(id);
                self.bind(binds, raw);
                raw.into()
            }
            Op::ReadMem { fd, address, len } => {
                let (fd, from, to) = (self.value(fd), self.value(address), desk(self.me.0));
                let raw = sys(libc::SYS_pread64, [fd, to, len as u64, from, 0, 0]);
                read_back(raw, to, raw.max(0) as usize)
            }
            Op::WriteMem { fd, address, from, len } => {
                let args = [self.value(fd), from, len as u64, self.value(address), 0, 0];
                sys(libc::SYS_pwrite64, args).into()
            }
            _ => (-i64::from(libc::ENOSYS)).into(),
        }
    }

    fn ioctl(&self, listener: Arg, request: u32, arg: u64) -> i64 {
        sys(libc::SYS_ioctl, [self.value(listener), u64::from(request), arg, 0, 0, 0])
    }

    fn recv(&self, listener: Arg, place: Place, dirty: Option<u8>, binds: Option<SlotId>) -> Reply {
        let address = self.put([0u64; 10], place);
        if let Some(at) = dirty
            && matches!(place, Place::Desk | Place::Edge)
        {
            poke(address + u64::from(at), 1u8);
        }
        let raw = self.ioctl(listener, NOTIF_RECV, address);
        if raw != 0 {
            return raw.into();
        }
        let reply = read_back(raw, address, size_of::<SeccompNotif>());
        if let Some(slot) = binds {
            let notification = notification_of(&reply.words[..10]);
            let process = self.stage.schedule.process_of(self.me);
            self.stage.shared.bind_notification(process.0, slot, &notification);
        }
        reply
    }

    fn poll(&self, fd: Arg, events: Arg, timeout: Arg) -> Reply {
        let address = desk(self.me.0);
        poke(address, self.value(fd) as u32);
        // `events` and, cleared, `revents`.
        poke(address + 4, self.value(events) as u16 as u32);
        let raw = sys(libc::SYS_poll, [address, 1, self.value(timeout), 0, 0, 0]);
        ready(raw, address + 6, 2)
    }

    fn select(&self, fd: Arg, timeout: Arg) -> Reply {
        let (fd, timeout) = (self.value(fd), self.value(timeout) as i64);
        let sets = desk(self.me.0);
        let (word, bit) = (fd % 1024 / 64, 1u64 << (fd % 64));
        for set in 0..3 {
            poke(sets + set * 128, [0u64; 16]);
            poke(sets + set * 128 + word * 8, bit);
        }
        let time = sets + 3 * 128;
        poke(time, [timeout / 1000, timeout % 1000 * 1000]);
        let time = if timeout < 0 { 0 } else { time };
        let args = [fd % 1024 + 1, sets, sets + 128, sets + 256, time, 0];
        let mut reply = Reply::from(sys(libc::SYS_select, args));
        if reply.raw >= 0 {
            for set in 0..3 {
                let has = peek::<u64>(sets + set * 128 + word * 8) & bit != 0;
                reply.words[0] |= u64::from(has) << set;
            }
        }
        reply
    }

    fn open_mem(&self, id: SlotId) -> i64 {
        let path = desk(self.me.0);
        let mut at = path;
        for byte in *b"/proc/" {
            poke(at, byte);
            at += 1;
        }
        at = decimal(at, u64::from(self.stage.shared.notification(id).pid));
        for byte in *b"/mem\0" {
            poke(at, byte);
            at += 1;
        }
        let flags = (libc::O_RDWR | libc::O_CLOEXEC) as u64;
        sys(libc::SYS_openat, [libc::AT_FDCWD as u64, path, flags, 0, 0, 0])
    }
}

/// A reply with the events that a poll-like call wrote, if it found any.
fn ready(raw: i64, address: u64, size: usize) -> Reply {
    if raw == 1 { read_back(raw, address, size) } else { raw.into() }
}

/// Writes a number in decimal at an address; returns the address after it.
pub(super) fn decimal(at: u64, number: u64) -> u64 {
    let digits = number.checked_ilog10().unwrap_or(0) + 1;
    let mut rest = number;
    for place in (0..u64::from(digits)).rev() {
        poke(at + place, b'0' + (rest % 10) as u8);
        rest /= 10;
    }
    at + u64::from(digits)
}
