//! What is in a Debian package.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{KernelsError, cache_error, output};

/// Takes the kernel image out of a package into `to`; whether it has one.
pub(super) fn extract(package: &Path, to: &Path) -> Result<bool, KernelsError> {
    let list = output(Command::new("dpkg-deb").arg("--contents").arg(package), "dpkg-deb")?;
    let member = list
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .find(|path| path.rsplit('/').next().is_some_and(|name| name.starts_with("vmlinuz")));
    let Some(member) = member else { return Ok(false) };
    let program = |program, error| KernelsError::Program { program, error };
    let mut unpack = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| program("dpkg-deb", error))?;
    let archive = unpack.stdout.take().expect("it was piped");
    let image = Command::new("tar")
        .args(["--extract", "--to-stdout", member])
        .stdin(archive)
        .output()
        .map_err(|error| program("tar", error))?;
    // tar may stop reading before the end: only its own word counts.
    let _ = unpack.wait();
    if !image.status.success() {
        let stderr = String::from_utf8_lossy(&image.stderr).trim().to_owned();
        return Err(KernelsError::Failed { program: "tar", stderr });
    }
    let folder = to.parent().unwrap_or(to);
    fs::create_dir_all(folder).map_err(cache_error(folder))?;
    // Whole or not at all: a name appears when all of it is there.
    let part = to.with_extension(format!("part-{}", std::process::id()));
    fs::write(&part, &image.stdout)
        .and_then(|()| fs::rename(&part, to))
        .map_err(cache_error(to))?;
    Ok(true)
}

/// Packages of the same kernel that a package depends on, with their versions
/// where they are named: first those that may have the image.
pub(super) fn dependencies(
    package: &Path,
    kernel: &str,
) -> Result<Vec<(String, Option<String>)>, KernelsError> {
    let mut field = Command::new("dpkg-deb");
    field.arg("--field").arg(package).arg("Depends");
    let text = output(&mut field, "dpkg-deb")?;
    let mut found: Vec<(String, Option<String>)> = text
        .split([',', '|'])
        .filter_map(|one| {
            // `linux-binary-7.2.13+deb14-cloud-amd64 (= 7.2.13-1)`
            let (name, version) = match one.trim().split_once(" (= ") {
                Some((name, version)) => (name, Some(version.trim_end_matches(')').to_owned())),
                None => (one.split_whitespace().next()?, None),
            };
            let same = name.starts_with("linux-") && name.ends_with(kernel);
            same.then(|| (name.to_owned(), version))
        })
        .collect();
    found.sort_by_key(|(name, _)| !name.contains("-binary-") && !name.contains("-image-"));
    Ok(found)
}
