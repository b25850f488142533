//! What supervisors pass to a listener.

use std::collections::BTreeSet;
use std::os::fd::AsRawFd;

use super::{Divergence, Oracle, Trouble, kind};
use crate::abi::{SeccompNotifAddfd, SeccompNotifResp};
use crate::generate::{Addfd, Id, Response, from_bytes};
use crate::live::oracle::{DESCRIPTOR_LIMIT, DESCRIPTORS, Notified};
use crate::model::rules;
use crate::profile::Profile;

/// Round trips that give ids which are used up, before the first case: what an
/// id stands for is then the same for every case.
pub(super) const USED_UP: u8 = 7;

fn notified() -> Result<Notified, Trouble> {
    let mut task = Notified::new()?;
    for _ in 0..USED_UP {
        let id = id_of(&task, Id::Known(0, 0));
        let sent = task.send(&SeccompNotifResp { id, ..SeccompNotifResp::default() });
        sent.map_err(|error| Trouble(format!("SECCOMP_IOCTL_NOTIF_SEND: {error}")))?;
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
    pub fn new(profile: Profile) -> Result<Self, Trouble> {
        Ok(Self { profile, task: notified()? })
    }
}

impl Oracle for Responses {
    fn check(
        &mut self,
        bytes: &[u8],
        seen: &mut dyn FnMut(u64),
    ) -> Result<Option<Divergence>, Trouble> {
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
            let returned = self.task.returned()?;
            let foreseen = rules::response_returns(val, error, flags);
            seen(kind((returned.map(i64::signum), error.signum())));
            // A value that is the result of the call itself cannot be told
            // from it.
            let foreseen = foreseen.filter(|raw| *raw != self.task.own_result());
            if number == expected && returned != foreseen {
                return Ok(Some(Divergence(format!(
                    "send{case}\nthe target saw {returned:?}\nforeseen:      {foreseen:?}"
                ))));
            }
        }
        Ok((number != expected).then(|| {
            let text = format!("send{case} ({:?})\nerrno {number}, foreseen {expected}", case.id);
            Divergence(text)
        }))
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
    pub fn new(profile: Profile) -> Result<Self, Trouble> {
        let source = std::fs::File::open("/dev/null")
            .map_err(|error| Trouble(format!("/dev/null: {error}")))?;
        let number = source.as_raw_fd() as u32;
        let task = notified()?;
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
    fn check(
        &mut self,
        bytes: &[u8],
        seen: &mut dyn FnMut(u64),
    ) -> Result<Option<Divergence>, Trouble> {
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
            let text = format!("addfd{case} ({:?})\n{added:?}, foreseen {foreseen:?}", case.id);
            return Ok(Some(Divergence(text)));
        }
        let Ok(number) = added else { return Ok(None) };
        self.open.insert(number);
        let sent = flags & libc::SECCOMP_ADDFD_FLAG_SEND as u32 != 0;
        if sent || self.open.len() > 40 {
            if sent {
                // The target may be on its way already; its next call shows it.
                self.task.returned()?;
            }
            let got = self.task.flags_of(number)?;
            self.open = (0..DESCRIPTORS).collect();
            let close_on_exec = i64::from(newfd_flags != 0);
            if got != close_on_exec {
                let text = format!("addfd{case}\nF_GETFD {got}, foreseen {close_on_exec}");
                return Ok(Some(Divergence(text)));
            }
        }
        Ok(None)
    }
}
