//! Passing a descriptor to another process (`SCM_RIGHTS` of unix(7)).

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// The data beside the descriptor; a stream carries none without any.
const COMPANION: u8 = b'd';

/// Sends `descriptor` over `socket`. The caller's own stays open.
///
/// # Errors
///
/// The errno of sendmsg(2).
pub fn send_descriptor(socket: BorrowedFd<'_>, descriptor: BorrowedFd<'_>) -> Result<(), Errno> {
    let data = [COMPANION];
    let descriptors = [descriptor.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&descriptors)];
    loop {
        let data = [IoSlice::new(&data)];
        match sendmsg::<()>(socket.as_raw_fd(), &data, &message, MsgFlags::MSG_NOSIGNAL, None) {
            Err(Errno::EINTR) => {}
            sent => return sent.map(drop),
        }
    }
}

/// Waits for a descriptor to come over `socket`; it is close-on-exec here.
/// `None` where the other end has hung up, or sent only data.
///
/// # Errors
///
/// The errno of recvmsg(2); `ENOBUFS` where more than one descriptor came.
pub fn receive_descriptor(socket: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Errno> {
    let mut data = [0];
    // Room for as many as a message can have (SCM_MAX_FD): one that is cut
    // off would leave descriptors that nobody owns.
    let mut control = nix::cmsg_space!([i32; 253]);
    loop {
        let mut data = [IoSliceMut::new(&mut data)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(socket.as_raw_fd(), &mut data, Some(&mut control), flags) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
            Ok(message) => {
                let numbers = message.cmsgs()?.flat_map(|part| match part {
                    ControlMessageOwned::ScmRights(numbers) => numbers,
                    _ => Vec::new(),
                });
                // SAFETY: the kernel has just made these descriptors for the
                // caller, and nobody else has seen their numbers.
                let own = |number| unsafe { OwnedFd::from_raw_fd(number) };
                let mut found: Vec<OwnedFd> = numbers.map(own).collect();
                return if found.len() > 1 { Err(Errno::ENOBUFS) } else { Ok(found.pop()) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_arrives_is_the_same_open_file() {
        let (one, other) = UnixStream::pair().expect("a pair of sockets");
        let mut file = tempfile::tempfile().expect("a file");
        send_descriptor(one.as_fd(), file.as_fd()).expect("it is sent");
        let arrived = receive_descriptor(other.as_fd()).expect("it arrives");
        let mut arrived = File::from(arrived.expect("there is one"));
        file.write_all(b"moved").expect("it can be written");
        // The position is shared: it stands behind what was written.
        let mut rest = String::new();
        arrived.read_to_string(&mut rest).expect("it can be read");
        assert_eq!(rest, "");
        drop(one);
        assert!(receive_descriptor(other.as_fd()).expect("it is told").is_none());
    }

    #[test]
    fn data_alone_brings_nothing() {
        let (mut one, other) = UnixStream::pair().expect("a pair of sockets");
        one.write_all(b"d").expect("it is sent");
        assert!(receive_descriptor(other.as_fd()).expect("it arrives").is_none());
    }
}
