//! What supervisors pass to a listener.

use std::fmt;

use arbitrary::{Arbitrary, Result, Unstructured};

use super::Choose;

/// Which notification is meant: one that is known, or a number beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    /// That of the notification of this index, modulo how many there are, and
    /// so much more.
    Known(u8, i64),
    /// A number.
    Number(u64),
}

impl<'a> Arbitrary<'a> for Id {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.weighted(&[(12, 0), (2, 1), (1, 2)]) {
            0 => Id::Known(u.up_to(7) as u8, 0),
            1 => Id::Known(u.up_to(7) as u8, u.one(&[1, -1, 2, 1 << 32])),
            _ => Id::Number(u.one(&[0, 1, u64::MAX, 1 << 63])),
        })
    }
}

/// `struct seccomp_notif_resp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// `id`
    pub id: Id,
    /// `val`
    pub val: i64,
    /// `error`
    pub error: i32,
    /// `flags`
    pub flags: u32,
}

const VALUES: &[i64] =
    &[0, 1, 3, -1, -4095, -4096, -512, i64::MAX, i64::MIN, 0xffff_ffff, 0x1_0000_0000, -38];
const ERRORS: &[i32] =
    &[0, -1, -38, -4095, -4096, 1, 5, 4095, -512, -513, -514, -516, i32::MAX, i32::MIN];

impl<'a> Arbitrary<'a> for Response {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let id = u.arbitrary()?;
        let mut response = Response { id, val: 0, error: 0, flags: 0 };
        match u.weighted(&[(4, 0), (4, 1), (4, 2), (2, 3), (1, 4)]) {
            0 => response.val = u.one(VALUES),
            1 => response.error = u.one(ERRORS),
            2 => response.flags = 1,
            3 => {
                response.val = u.one(VALUES);
                response.error = u.one(ERRORS);
                response.flags = u.one(&[0, 1, 2, 3, 1 << 31]);
            }
            _ => (response.val, response.error) = (u.arbitrary()?, u.arbitrary()?),
        }
        Ok(response)
    }
}

impl fmt::Display for Response {
    /// As options of `send`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.val != 0 {
            write!(f, " val={}", self.val)?;
        }
        if self.error != 0 {
            write!(f, " error={}", self.error)?;
        }
        if self.flags != 0 {
            write!(f, " flags={}", self.flags)?;
        }
        Ok(())
    }
}

/// `struct seccomp_notif_addfd`, and how it is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addfd {
    /// `id`
    pub id: Id,
    /// `flags`
    pub flags: u32,
    /// `srcfd`
    pub srcfd: u32,
    /// `newfd`
    pub newfd: u32,
    /// `newfd_flags`
    pub newfd_flags: u32,
    /// The size in the ioctl's number.
    pub size: u16,
    /// The first byte after the fields.
    pub tail: u8,
}

impl<'a> Arbitrary<'a> for Addfd {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let flags = u.weighted(&[(4, 0), (4, 1), (4, 2), (3, 3), (1, 4)]);
        let (mut size, mut tail) = (24, 0);
        if u.once_in(10) {
            size = u.one(&[0, 23, 25, 32, 4095, 4096, 0x3fff]);
            tail = u.one(&[0, 1]);
        }
        Ok(Addfd {
            id: u.arbitrary()?,
            flags,
            srcfd: u.weighted(&[(12, 0), (1, 1), (1, 77), (1, u32::MAX)]),
            newfd: if flags & 1 != 0 || u.once_in(10) {
                u.weighted(&[(4, 40), (2, 0), (2, 3), (1, 1023), (1, 1024), (1, u32::MAX)])
            } else {
                0
            },
            newfd_flags: u.weighted(&[(8, 0), (4, 0x8_0000), (1, 0x800), (1, u32::MAX)]),
            size,
            tail,
        })
    }
}

impl fmt::Display for Addfd {
    /// As options of `addfd`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = if self.size == 24 { 0 } else { u32::from(self.size) };
        for (key, value) in [
            ("srcfd", self.srcfd),
            ("newfd", self.newfd),
            ("newfd_flags", self.newfd_flags),
            ("flags", self.flags),
            ("size", size),
            ("tail", u32::from(self.tail)),
        ] {
            if value != 0 {
                write!(f, " {key}={value}")?;
            }
        }
        Ok(())
    }
}
