//! What a file is that is to be booted, by what is in it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a file cannot be booted.
#[derive(Debug, Error)]
pub enum ImageError {
    /// It cannot be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is something else.
    #[error("{path}: not a bzImage, but {what}")]
    NotAKernel {
        /// The file.
        path: PathBuf,
        /// What it is, and what to name instead.
        what: String,
    },
    /// A part of it is missing.
    #[error("{path}: a bzImage that is cut off: {there} of {whole} bytes are there")]
    CutOff {
        /// The file.
        path: PathBuf,
        /// How long it is.
        there: u64,
        /// How long it should be.
        whole: u64,
    },
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A kernel that can be booted.
    Image,
    /// A Debian package, which may have one.
    Package,
}

const BZIMAGE: &str = "name arch/x86/boot/bzImage of the kernel's tree";

/// Whether a file is a kernel image that can be booted, by the boot protocol's
/// header (`Documentation/arch/x86/boot.rst`).
///
/// # Errors
///
/// A file that is none, or cannot be read.
pub fn check_image(path: &Path) -> Result<(), ImageError> {
    match kind(path)? {
        Kind::Image => Ok(()),
        Kind::Package => {
            let what = "a Debian package".to_owned();
            Err(ImageError::NotAKernel { path: path.to_owned(), what })
        }
    }
}

/// What a file is.
pub(super) fn kind(path: &Path) -> Result<Kind, ImageError> {
    let unreadable = |error| ImageError::Unreadable { path: path.to_owned(), error };
    let not = |what: String| Err(ImageError::NotAKernel { path: path.to_owned(), what });
    if path.is_dir() {
        return not(match path.join("arch/x86/boot/bzImage") {
            image if image.exists() => format!("a folder; name {}", image.display()),
            _ => format!("a folder; {BZIMAGE}"),
        });
    }
    let file = File::open(path).map_err(unreadable)?;
    let mut head = Vec::new();
    let there = (&file).take(HEAD).read_to_end(&mut head).map_err(unreadable)?;
    if head.starts_with(b"!<arch>\ndebian-binary") {
        return Ok(Kind::Package);
    }
    if head.get(0x202..0x206) != Some(b"HdrS") {
        return not(guess(&head));
    }
    // xloadflags, since 2.12 of the protocol: XLF_KERNEL_64.
    let number = |at: usize, len: usize| {
        head[at..at + len].iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte))
    };
    if there < HEAD as usize || number(0x206, 2) < 0x20c || number(0x236, 2) & 1 == 0 {
        return not("a kernel for processors of 32 bits, or cut off in its header".to_owned());
    }
    // setup_sects, of which 0 means 4, with the boot sector; syssize, in
    // paragraphs.
    let sectors = match number(0x1f1, 1) {
        0 => 4,
        sectors => sectors,
    };
    let whole = (sectors + 1) * 512 + number(0x1f4, 4) * 16;
    let there = file.metadata().map_err(unreadable)?.len();
    if there < whole {
        return Err(ImageError::CutOff { path: path.to_owned(), there, whole });
    }
    Ok(Kind::Image)
}

/// As much of a file as says what it is: the header of the boot protocol.
const HEAD: u64 = 0x268;

/// What a file is that is no bzImage, and what to name instead.
fn guess(head: &[u8]) -> String {
    const KNOWN: &[(usize, &[u8], &str, &str)] = &[
        (0, b"\x7fELF", "an ELF file, as vmlinux is, which has no header for booting", BZIMAGE),
        (0, b"\x1f\x8b", "something compressed by gzip", BZIMAGE),
        (0, b"\xfd7zXZ\0", "something compressed by xz", BZIMAGE),
        (0, b"\x28\xb5\x2f\xfd", "something compressed by zstd", BZIMAGE),
        (0, b"\x04\x22\x4d\x18", "something compressed by lz4", BZIMAGE),
        (0, b"!<arch>\n", "an archive that is no Debian package", BZIMAGE),
        (0, b"\xed\xab\xee\xdb", "an RPM package", "take the vmlinuz out of it"),
        (0x38, b"ARM\x64", "a kernel for ARM processors", "guests are x86-64"),
        (0x38, b"RSC\x05", "a kernel for RISC-V processors", "guests are x86-64"),
    ];
    if head.is_empty() {
        return "an empty file".to_owned();
    }
    let known = KNOWN
        .iter()
        .find(|(at, magic, ..)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    match known {
        Some((_, _, what, remedy)) => format!("{what}; {remedy}"),
        None => format!("something else (no `HdrS` at offset 0x202); {BZIMAGE}, or a .deb"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// A header that is right, of an image of 8192 bytes.
    fn image() -> Vec<u8> {
        let mut bytes = vec![0; 8192];
        bytes[0x1f1] = 3;
        bytes[0x1f4..0x1f8].copy_from_slice(&((8192_u32 - 4 * 512) / 16).to_le_bytes());
        bytes[0x202..0x206].copy_from_slice(b"HdrS");
        bytes[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
        bytes[0x236] = 1;
        bytes
    }

    fn told(bytes: &[u8]) -> Result<Kind, String> {
        let file = tempfile::NamedTempFile::new().expect("a file can be made");
        std::fs::write(file.path(), bytes).expect("it can be written");
        kind(file.path()).map_err(|error| error.to_string())
    }

    #[rstest]
    #[case::vmlinux(b"\x7fELF\x02\x01\x01", "an ELF file, as vmlinux is")]
    #[case::gzip(b"\x1f\x8b\x08", "compressed by gzip; name arch/x86/boot/bzImage")]
    #[case::empty(b"", "an empty file")]
    #[case::text(b"[package]", "something else")]
    #[case::library(b"!<arch>\n/   ", "that is no Debian package")]
    fn other_files_are_told_as_what_they_are(#[case] bytes: &[u8], #[case] expected: &str) {
        let why = told(bytes).expect_err("it is none");
        assert!(why.contains("not a bzImage, but ") && why.contains(expected), "{why}");
    }

    #[test]
    fn a_package_and_an_image_are_known_by_what_is_in_them() {
        assert_eq!(told(b"!<arch>\ndebian-binary   1"), Ok(Kind::Package));
        assert_eq!(told(&image()), Ok(Kind::Image));
    }

    #[test]
    fn an_image_has_its_whole_length() {
        let why = told(&image()[..8191]).expect_err("it is cut off");
        assert!(why.ends_with("cut off: 8191 of 8192 bytes are there"), "{why}");
        let why = told(&image()[..0x210]).expect_err("its header is cut off");
        assert!(why.contains("cut off in its header"), "{why}");
        let mut old = image();
        old[0x236] = 0;
        assert!(told(&old).expect_err("it is for others").contains("32 bits"));
    }
}
