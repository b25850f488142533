//! An initramfs made in memory: the running executable as `/init`, the
//! libraries that it loads, and what it is to do.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The file in the guest that says what to do.
pub(super) const REQUEST: &str = "/request.json";

/// Directories that the guest's init mounts file systems on.
const DIRECTORIES: &[&str] = &["dev", "proc", "sys", "tmp"];

/// A cpio archive (newc) with `executable` as `/init`, what it loads, and
/// `request`. The kernel takes it uncompressed.
///
/// # Errors
///
/// Files that cannot be read, and an executable of no known form.
pub(super) fn build(executable: &Path, request: &[u8]) -> io::Result<Vec<u8>> {
    let image = std::fs::read(executable)?;
    let mut archive = Archive::default();
    for directory in DIRECTORIES {
        archive.directory(directory);
    }
    // The kernel opens it for init before anything is mounted.
    archive.add("dev/console", 0o020_600, (5, 1), &[]);
    if let Some(interpreter) = interpreter(&image)? {
        for library in loaded(&interpreter, executable)? {
            let bytes = std::fs::read(&library)?;
            archive.file(&library, 0o755, &bytes);
        }
        archive.file(&interpreter, 0o755, &std::fs::read(&interpreter)?);
    }
    archive.file(Path::new("/init"), 0o755, &image);
    archive.file(Path::new(REQUEST), 0o644, request);
    Ok(archive.finish())
}

/// `PT_INTERP` of an ELF file: the program that loads its libraries.
fn interpreter(image: &[u8]) -> io::Result<Option<PathBuf>> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "not a 64-bit ELF executable");
    let number = |at: usize, len: usize| -> io::Result<usize> {
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(image.get(at..at + len).ok_or_else(wrong)?);
        Ok(u64::from_le_bytes(bytes) as usize)
    };
    if !image.starts_with(b"\x7fELF\x02\x01") {
        return Err(wrong());
    }
    // e_phoff, e_phentsize, e_phnum of Elf64_Ehdr.
    let (table, size, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
    for index in 0..count {
        let header = table + index * size;
        const PT_INTERP: usize = 3;
        if number(header, 4)? == PT_INTERP {
            let (offset, len) = (number(header + 8, 8)?, number(header + 32, 8)?);
            let path = image.get(offset..offset + len.saturating_sub(1)).ok_or_else(wrong)?;
            return Ok(Some(PathBuf::from(String::from_utf8_lossy(path).into_owned())));
        }
    }
    Ok(None)
}

/// The libraries that an executable loads, as its own loader says.
fn loaded(interpreter: &Path, executable: &Path) -> io::Result<Vec<PathBuf>> {
    let output = Command::new(interpreter).arg("--list").arg(executable).output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(io::Error::other(format!("{}: {why}", interpreter.display())));
    }
    // `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f…)`
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = text.lines().filter_map(|line| line.split_once("=> ")?.1.split(' ').next());
    Ok(paths.filter(|path| path.starts_with('/')).map(PathBuf::from).collect())
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    directories: BTreeSet<PathBuf>,
    entries: u32,
}

impl Archive {
    fn directory(&mut self, path: &str) {
        if self.directories.insert(PathBuf::from(path)) {
            self.add(path, 0o040_755, (0, 0), &[]);
        }
    }

    fn file(&mut self, path: &Path, mode: u32, contents: &[u8]) {
        let relative = path.strip_prefix("/").unwrap_or(path);
        let parents: Vec<&Path> = relative.ancestors().skip(1).collect();
        for parent in parents.into_iter().rev().filter(|parent| *parent != Path::new("")) {
            self.directory(&parent.to_string_lossy());
        }
        self.add(&relative.to_string_lossy(), 0o100_000 | mode, (0, 0), contents);
    }

    /// One entry: a header of hexadecimal fields, the name, the contents, each
    /// padded to four bytes.
    fn add(&mut self, name: &str, mode: u32, device: (u32, u32), contents: &[u8]) {
        self.entries += 1;
        let fields = [
            self.entries,
            mode,
            0,
            0,
            1,
            0,
            contents.len() as u32,
            0,
            0,
            device.0,
            device.1,
            name.len() as u32 + 1,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }
}
