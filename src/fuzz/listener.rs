//! What supervisors pass to a listener.

use std::collections::BTreeSet;

use nix::errno::Errno;

use super::{Oracle, kind};
use crate::abi::{SeccompNotifAddfd, SeccompNotifResp};
use crate::generate::{Addfd, Id, Response, from_bytes};
use crate::live::oracle::{DESCRIPTOR_LIMIT, DESCRIPTORS, Notified};
use crate::model::rules;
use crate::profile::Profile;

/// Round trips that give ids which are used up, before the first case: what an
/// id stands for is then the same for every case.
const USED_UP: usize = 7;

fn notified() -> Result<Notified, Errno> {
    let mut task = Notified::new()?;
    for _ in 0..USED_UP {
        let id = id_of(&task, Id::Known(0, 0));
        task.send(&SeccompNotifResp { id, ..SeccompNotifResp::default() })?;
        task.returned()?;
    }
    Ok(task)
}

fn id_of(task: &Notified, id: Id) -> u64 {
    match id {
        Id::Number(number) => number,
        Id::Known(index, off) => {
            let index = usize::from(index) % task.ids().len();
            let known = task.ids().nth(index).unwrap_or_default();
            known.wrapping_add_signed(off)
        }
    }
}

/// Responses to one notification after another.
pub(super) struct Responses {
    profile: Profile,
    task: Notified,
}

impl Responses {
    pub fn new(profile: Profile) -> Result<Self, String> {
        Ok(Self { profile, task: notified().map_err(|error| error.to_string())? })
    }
}

impl Oracle for Responses {
    fn check(&mut self, bytes: &[u8], seen: &mut dyn FnMut(u64)) -> Result<(), String> {
        let case: Response = from_bytes(bytes);
        let Response { val, error, flags, .. } = case;
        let id = id_of(&self.task, case.id);
        let pending = self.task.ids().next() == Some(id);
        let missing = (!pending).then_some(libc::ENOENT);
        let expected =
            rules::response_refused(&self.profile, val, error, flags).or(missing).unwrap_or(0);
        let sent = self.task.send(&SeccompNotifResp { id, val, error, flags });
        let number = sent.err().map_or(0, |error| error as i32);
        seen(kind((number, pending, flags)));
        if sent.is_ok() {
            let returned = self.task.returned().map_err(|error| format!("RECV: {error}"))?;
            let foreseen = rules::response_returns(val, error, flags);
            seen(kind((returned.map(i64::signum), error.signum())));
            // A value that is the result of the call itself cannot be told
            // from it.
            let foreseen = foreseen.filter(|raw| *raw != self.task.own_result());
            if number == expected && returned != foreseen {
                return Err(format!(
                    "send{case}\nthe target saw {returned:?}\nforeseen:      {foreseen:?}"
                ));
            }
        }
        if number == expected {
            return Ok(());
        }
        Err(format!("send{case} ({:?})\nerrno {number}, foreseen {expected}", case.id))
    }
}

/// Descriptors that are added, one after another.
pub(super) struct Additions {
    profile: Profile,
    task: Notified,
    /// The descriptors that the target has.
    open: BTreeSet<u32>,
    _source: std::fs::File,
    source: u32,
}

impl Additions {
    pub fn new(profile: Profile) -> Result<Self, String> {
        let source = std::fs::File::open("/dev/null").map_err(|error| error.to_string())?;
        let number = std::os::fd::AsRawFd::as_raw_fd(&source) as u32;
        let task = notified().map_err(|error| error.to_string())?;
        let open = (0..DESCRIPTORS).collect();
        Ok(Self { profile, task, open, _source: source, source: number })
    }

    /// What ADDFD should give.
    fn foresee(&self, case: &Addfd, id: u64, source: bool) -> Result<u32, i32> {
        let Addfd { flags, newfd, newfd_flags, .. } = *case;
        let passed = (usize::from(case.size), case.tail != 0);
        if let Some(error) =
            rules::addfd_refused(&self.profile, passed, (flags, newfd, newfd_flags))
        {
            return Err(error);
        }
        if !source {
            return Err(libc::EBADF);
        }
        if self.task.ids().next() != Some(id) {
            return Err(libc::ENOENT);
        }
        let wanted = (flags & libc::SECCOMP_ADDFD_FLAG_SETFD as u32 != 0).then_some(newfd);
        let most = u64::from(DESCRIPTOR_LIMIT);
        match rules::addfd_place(&self.profile, wanted, most)? {
            Some(place) => Ok(place),
            None => (0..DESCRIPTOR_LIMIT).find(|one| !self.open.contains(one)).ok_or(libc::EMFILE),
        }
    }
}

impl Oracle for Additions {
    fn check(&mut self, bytes: &[u8], seen: &mut dyn FnMut(u64)) -> Result<(), String> {
        let case: Addfd = from_bytes(bytes);
        let id = id_of(&self.task, case.id);
        // 0 stands for a descriptor that is there, all others for none.
        let source = case.srcfd == 0;
        let srcfd = if source { self.source } else { u32::MAX - case.srcfd % 2 };
        let Addfd { flags, newfd, newfd_flags, .. } = case;
        let foreseen = self.foresee(&case, id, source);
        let request = SeccompNotifAddfd { id, flags, srcfd, newfd, newfd_flags };
        let added = self.task.addfd(&request, case.size, case.tail).map_err(|error| error as i32);
        seen(kind((added.is_ok(), added.err(), flags)));
        if added != foreseen {
            return Err(format!("addfd{case} ({:?})\n{added:?}, foreseen {foreseen:?}", case.id));
        }
        let Ok(number) = added else { return Ok(()) };
        self.open.insert(number);
        let sent = flags & libc::SECCOMP_ADDFD_FLAG_SEND as u32 != 0;
        if sent || self.open.len() > 40 {
            if sent {
                // The target may be on its way already; its next call shows it.
                self.task.returned().map_err(|error| format!("RECV: {error}"))?;
            }
            let got = self.task.flags_of(number).map_err(|error| error.to_string())?;
            self.open = (0..DESCRIPTORS).collect();
            let close_on_exec = i64::from(newfd_flags != 0);
            if got != close_on_exec {
                return Err(format!("addfd{case}\nF_GETFD {got}, foreseen {close_on_exec}"));
            }
        }
        Ok(())
    }
}
