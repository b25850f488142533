//! Kernels by name, from the Debian archive that this machine's apt knows.
//!
//! apt itself does all of it, with a state of its own: lists, signatures,
//! checksums, downloads. The system's apt state is not touched.

use std::cmp::Ordering;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use thiserror::Error;

/// Why a kernel cannot be had.
#[derive(Debug, Error)]
pub enum KernelsError {
    /// A file or folder of the cache cannot be used.
    #[error("{path}: {error}; set --cache or XDG_CACHE_HOME to a folder that can be written")]
    Cache {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A program of apt or dpkg is missing.
    #[error("{program}: {error}; kernels by name need a Debian system's apt")]
    Program {
        /// Which.
        program: &'static str,
        /// Why.
        error: io::Error,
    },
    /// A program of apt or dpkg failed.
    #[error("{program} failed:\n{stderr}")]
    Failed {
        /// Which.
        program: &'static str,
        /// What it complained of.
        stderr: String,
    },
    /// The archive cannot be read.
    #[error("the Debian archive cannot be read; see --mirror, or this machine's apt sources:\n{0}")]
    Archive(String),
    /// A file is no package, or a damaged one.
    #[error("{path}: no Debian package, or a damaged one: {why}")]
    Package {
        /// The file.
        path: PathBuf,
        /// What dpkg or tar said.
        why: String,
    },
    /// apt knows no Debian archive.
    #[error("this machine's apt configuration names no Debian archive; use --mirror")]
    NoArchive,
    /// The archive has no such kernel.
    #[error("the archive has no kernel {name:?}{near}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What comes near, or nothing.
        near: String,
    },
    /// A package has no kernel in it.
    #[error("no kernel image: {0}")]
    NoImage(String),
}

/// A kernel that is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelImage {
    /// What it is called: the package's name without `linux-image-`, or the
    /// file's.
    pub name: String,
    /// The image.
    pub path: PathBuf,
}

/// The archive, and the cache of what came from it.
#[derive(Clone, Debug)]
pub struct Archive {
    cache: PathBuf,
    mirror: Option<String>,
}

/// Suites that are looked through, and the archive they are in.
const SUITES: &[(&str, Source)] = &[
    ("bookworm", Source::Main),
    ("trixie", Source::Main),
    ("trixie-backports", Source::Main),
    ("sid", Source::Main),
    ("experimental", Source::Main),
    ("bullseye-security", Source::Security),
    ("bookworm-security", Source::Security),
    ("trixie-security", Source::Security),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Main,
    Security,
}

/// Package lists older than this are fetched anew.
const OLDEST_LISTS: Duration = Duration::from_secs(24 * 60 * 60);

/// What begins the name of every kernel's package.
const IMAGE: &str = "linux-image-";
/// What begins the name of a package that only depends on the image.
const BINARY: &str = "linux-binary-";

impl Archive {
    /// The archive with a cache in `cache`, or in the user's cache folder;
    /// `mirror` stands for the machine's own configuration.
    pub fn new(cache: Option<PathBuf>, mirror: Option<String>) -> Archive {
        let default = || {
            let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
            let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
            base.unwrap_or_else(std::env::temp_dir).join("unotify-lab")
        };
        Archive { cache: cache.unwrap_or_else(default), mirror }
    }

    /// The kernel that a name stands for: a path (an image, or a package with
    /// one), or `debian:` and a release (`debian:6.12`), a full name
    /// (`debian:7.2.12+deb13-cloud-amd64`), or a release and a flavour
    /// (`debian:6.12-amd64`). It is fetched unless it is in the cache.
    ///
    /// # Errors
    ///
    /// Names that stand for nothing, and all that can go wrong on the way.
    pub fn kernel(&self, name: &str) -> Result<KernelImage, KernelsError> {
        let Some(wanted) = name.strip_prefix("debian:") else {
            return self.kernel_at(Path::new(name));
        };
        let cached = self.cached()?;
        if let Some(image) = cached.iter().find(|image| image.name == wanted) {
            return Ok(image.clone());
        }
        let names = match self.available() {
            Ok(names) => names,
            // What is there already can be had without the archive.
            Err(error) => {
                let names: Vec<String> = cached.iter().map(|image| image.name.clone()).collect();
                let found = best(&names, wanted).map(str::to_owned);
                let image = cached.into_iter().find(|image| Some(&image.name) == found.as_ref());
                return image.ok_or(error);
            }
        };
        let found = best(&names, wanted).ok_or_else(|| KernelsError::Unknown {
            name: wanted.to_owned(),
            near: near(&names, wanted),
        })?;
        self.fetch(found)
    }

    /// The kernels in the cache, oldest release first.
    ///
    /// # Errors
    ///
    /// A cache that cannot be read.
    pub fn cached(&self) -> Result<Vec<KernelImage>, KernelsError> {
        let folder = self.cache.join("kernels");
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(KernelsError::Cache { path: folder, error }),
        };
        let mut images: Vec<KernelImage> = entries
            .flatten()
            .map(|entry| KernelImage {
                name: entry.file_name().to_string_lossy().into_owned(),
                path: entry.path().join("vmlinuz"),
            })
            .filter(|image| image.path.exists())
            .collect();
        images.sort_by(|a, b| natural(&a.name, &b.name));
        Ok(images)
    }

    /// Removes a kernel from the cache.
    ///
    /// # Errors
    ///
    /// A kernel that is not there, a cache that cannot be written.
    pub fn remove(&self, name: &str) -> Result<(), KernelsError> {
        let wanted = name.strip_prefix("debian:").unwrap_or(name);
        let known = self.cached()?;
        if !known.iter().any(|image| image.name == wanted) {
            let names: Vec<String> = known.into_iter().map(|image| image.name).collect();
            let near = format!(" in the cache; it holds {}", names.join(", "));
            return Err(KernelsError::Unknown { name: wanted.to_owned(), near });
        }
        let path = self.cache.join("kernels").join(wanted);
        fs::remove_dir_all(&path).map_err(|error| KernelsError::Cache { path, error })
    }

    /// The names of the archive's kernels, oldest release first.
    ///
    /// # Errors
    ///
    /// Whatever apt says.
    pub fn available(&self) -> Result<Vec<String>, KernelsError> {
        let stamp = self.cache.join("apt/names");
        let sources = self.sources()?;
        let list = self.folder("apt")?.join("sources.list");
        let same = fs::read_to_string(&list).is_ok_and(|text| text == sources);
        let age = fs::metadata(&stamp)
            .and_then(|stamp| stamp.modified())
            .ok()
            .and_then(|time| SystemTime::now().duration_since(time).ok());
        if same
            && age.is_some_and(|age| age < OLDEST_LISTS)
            && let Ok(names) = fs::read_to_string(&stamp)
        {
            return Ok(names.lines().map(str::to_owned).collect());
        }
        fs::write(&list, sources).map_err(|error| KernelsError::Cache { path: list, error })?;
        let mut update = self.apt("apt-get")?;
        update.args(["update", "-q", "--error-on=any"]);
        output(&mut update, "apt-get").map_err(|error| match error {
            KernelsError::Failed { stderr, .. } => KernelsError::Archive(stderr),
            other => other,
        })?;
        let names = self.names()?;
        fs::write(&stamp, names.join("\n") + "\n")
            .map_err(|error| KernelsError::Cache { path: stamp, error })?;
        Ok(names)
    }

    fn kernel_at(&self, path: &Path) -> Result<KernelImage, KernelsError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !path.exists() {
            return Err(KernelsError::NoImage(format!("{}: No such file", path.display())));
        }
        if path.extension().is_some_and(|extension| extension == "deb") {
            let image = self.cache.join("kernels").join(name.trim_end_matches(".deb"));
            let none = || {
                KernelsError::NoImage(format!(
                    "{} has none; newer packages have it in {BINARY}…",
                    path.display()
                ))
            };
            let found = self.extract(path, &image).map_err(|error| match error {
                KernelsError::Failed { stderr, .. } => {
                    let first = stderr.lines().next().unwrap_or_default();
                    let why = first.trim_start_matches("dpkg-deb: error: ").to_owned();
                    KernelsError::Package { path: path.to_owned(), why }
                }
                other => other,
            });
            found?.ok_or_else(none)
        } else {
            Ok(KernelImage { name, path: path.to_owned() })
        }
    }

    fn folder(&self, name: &str) -> Result<PathBuf, KernelsError> {
        let path = self.cache.join(name);
        fs::create_dir_all(&path)
            .map_err(|error| KernelsError::Cache { path: path.clone(), error })?;
        Ok(path)
    }

    /// apt with a state of its own.
    fn apt(&self, program: &'static str) -> Result<Command, KernelsError> {
        let state = self.folder("apt/state")?;
        let cache = self.folder("apt/cache")?;
        self.folder("apt/state/lists/partial")?;
        self.folder("apt/cache/archives/partial")?;
        let status = self.cache.join("apt/status");
        let list = self.cache.join("apt/sources.list");
        for path in [&status, &list] {
            if !path.exists() {
                fs::write(path, "")
                    .map_err(|error| KernelsError::Cache { path: path.clone(), error })?;
            }
        }
        let mut command = Command::new(program);
        let options = [
            format!("Dir::State={}", state.display()),
            format!("Dir::State::status={}", status.display()),
            format!("Dir::Cache={}", cache.display()),
            format!("Dir::Etc::sourcelist={}", list.display()),
            "Dir::Etc::sourceparts=-".to_owned(),
            "Dir::Etc::preferences=/dev/null".to_owned(),
            "Dir::Etc::preferencesparts=/dev/null".to_owned(),
            "APT::Architecture=amd64".to_owned(),
            "APT::Get::List-Cleanup=0".to_owned(),
            // The download folder is the user's own, not apt's.
            "APT::Sandbox::User=".to_owned() + &whoami(),
        ];
        for option in options {
            command.args(["-o", &option]);
        }
        command.stdin(Stdio::null());
        Ok(command)
    }

    /// The sources list: the machine's own archives, in all suites.
    fn sources(&self) -> Result<String, KernelsError> {
        let (main, security) = match &self.mirror {
            Some(mirror) => {
                let mirror = mirror.trim_end_matches('/');
                (mirror.to_owned(), Some(format!("{mirror}-security")))
            }
            None => configured()?,
        };
        let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let signed = if Path::new(keyring).exists() {
            format!("[signed-by={keyring}] ")
        } else {
            String::new()
        };
        let lines = SUITES.iter().filter_map(|(suite, source)| {
            let archive = match source {
                Source::Main => Some(&main),
                Source::Security => security.as_ref(),
            };
            Some(format!("deb {signed}{} {suite} main\n", archive?))
        });
        Ok(lines.collect())
    }

    /// The kernels that the lists have, oldest release first.
    fn names(&self) -> Result<Vec<String>, KernelsError> {
        let text = output(self.apt("apt-cache")?.args(["pkgnames", IMAGE]), "apt-cache")?;
        let mut names: Vec<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix(IMAGE))
            .filter(|name| name.starts_with(|c: char| c.is_ascii_digit()))
            // Names of a mere series (6.1-cloud-amd64) only lead to another.
            .filter(|name| {
                name.split(['-', '+']).next().is_some_and(|n| n.matches('.').count() == 2)
            })
            .filter(|name| name.ends_with("amd64"))
            .map(str::to_owned)
            .collect();
        names.sort_by(|a, b| natural(a, b));
        Ok(names)
    }

    fn fetch(&self, name: &str) -> Result<KernelImage, KernelsError> {
        let folder = self.cache.join("kernels").join(name);
        let image = KernelImage { name: name.to_owned(), path: folder.join("vmlinuz") };
        if image.path.exists() {
            return Ok(image);
        }
        let downloads = self.folder("download")?;
        // In the newest suites the image package only depends on the binary.
        for package in [format!("{IMAGE}{name}"), format!("{BINARY}{name}")] {
            let mut download = self.apt("apt-get")?;
            download.args(["download", "-q", &package]).current_dir(&downloads);
            output(&mut download, "apt-get")?;
            let file = fs::read_dir(&downloads)
                .map_err(|error| KernelsError::Cache { path: downloads.clone(), error })?
                .flatten()
                .map(|entry| entry.path())
                .find(|path| {
                    let file = path.file_name().unwrap_or_default().to_string_lossy();
                    file.starts_with(&format!("{package}_"))
                })
                .ok_or_else(|| KernelsError::NoImage(package.clone()))?;
            let found = self.extract(&file, &folder)?;
            let _ = fs::remove_file(&file);
            if found.is_some() {
                return Ok(image);
            }
        }
        Err(KernelsError::NoImage(name.to_owned()))
    }

    /// Takes the image out of a package; `None` if it has none.
    fn extract(&self, package: &Path, to: &Path) -> Result<Option<KernelImage>, KernelsError> {
        let list = output(Command::new("dpkg-deb").arg("--contents").arg(package), "dpkg-deb")?;
        let member = list
            .lines()
            .filter_map(|line| line.split_whitespace().nth(5))
            .find(|path| path.rsplit('/').next().is_some_and(|name| name.starts_with("vmlinuz")));
        let Some(member) = member else { return Ok(None) };
        let program = |program, error| KernelsError::Program { program, error };
        let mut unpack = Command::new("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(package)
            .stdout(Stdio::piped())
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
            let stderr = String::from_utf8_lossy(&image.stderr).into_owned();
            return Err(KernelsError::Failed { program: "tar", stderr });
        }
        let cache = |error| KernelsError::Cache { path: to.to_owned(), error };
        fs::create_dir_all(to).map_err(cache)?;
        // Whole or not at all: a name appears when all of it is there.
        let (part, path) = (to.join("vmlinuz.part"), to.join("vmlinuz"));
        fs::write(&part, &image.stdout).and_then(|()| fs::rename(&part, &path)).map_err(cache)?;
        let name = to.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Some(KernelImage { name, path }))
    }
}

fn whoami() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid());
    user.ok().flatten().map_or_else(|| "root".to_owned(), |user| user.name)
}

/// The Debian archives of the machine's own configuration: the main one and
/// the security one.
fn configured() -> Result<(String, Option<String>), KernelsError> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(ORIGIN)|$(RELEASE)|$(REPO_URI)"]);
    command.args(["Created-By: Packages"]);
    let text = output(&mut command, "apt-get")?;
    let mut main = None;
    let mut security = None;
    for line in text.lines() {
        let fields: Vec<&str> = line.splitn(3, '|').collect();
        let [origin, suite, uri] = fields[..] else { continue };
        if origin != "Debian" && !uri.trim_end_matches('/').ends_with("/debian") {
            continue;
        }
        let uri = uri.trim_end_matches('/').to_owned();
        let place = if suite.ends_with("-security") { &mut security } else { &mut main };
        place.get_or_insert(uri);
    }
    main.map(|main| (main, security)).ok_or(KernelsError::NoArchive)
}

fn output(command: &mut Command, program: &'static str) -> Result<String, KernelsError> {
    let done = command.output().map_err(|error| KernelsError::Program { program, error })?;
    if !done.status.success() {
        let stderr = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        return Err(KernelsError::Failed { program, stderr });
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// The newest kernel of a name, a release, or a release and a flavour; the
/// cloud flavour, which is the smallest, unless another is named.
fn best<'n>(names: &'n [String], wanted: &str) -> Option<&'n str> {
    if let Some(exact) = names.iter().find(|name| *name == wanted) {
        return Some(exact);
    }
    let (release, flavour) = match wanted.split_once('-') {
        Some((release, flavour)) => (release, flavour),
        None => (wanted, "cloud-amd64"),
    };
    let of_release = |name: &&String| {
        name.strip_prefix(release).is_some_and(|rest| rest.starts_with(['.', '+', '-', '~']))
    };
    let of_flavour = |name: &&String| {
        let Some((version, own)) = name.split_once('-') else { return false };
        // An ABI number stands before the flavour in older names.
        let own = own.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches('-');
        own == flavour && !version.is_empty()
    };
    names.iter().filter(of_release).rfind(of_flavour).map(String::as_str)
}

fn near(names: &[String], wanted: &str) -> String {
    let major = wanted.split(['.', '-']).next().unwrap_or(wanted);
    let near: Vec<&str> = names
        .iter()
        .filter(|name| name.starts_with(&format!("{major}.")) && name.ends_with("cloud-amd64"))
        .map(String::as_str)
        .collect();
    match near.last() {
        Some(last) => format!("; the newest of {major}.x is {last}"),
        None => "; `unotify-lab kernels list --available` shows what there is".to_owned(),
    }
}

/// Compares names with numbers in them as people do: 6.9 before 6.12.
fn natural(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| -> Vec<(u64, String)> {
        text.split(|c: char| !c.is_ascii_alphanumeric())
            .map(|part| (part.parse().unwrap_or(u64::MAX), part.to_owned()))
            .collect()
    };
    parts(a).cmp(&parts(b))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn names() -> Vec<String> {
        let mut names: Vec<String> = [
            "5.10.0-9-cloud-amd64",
            "5.10.0-46-cloud-amd64",
            "5.10.0-46-rt-amd64",
            "6.1.0-56-cloud-amd64",
            "6.12.9+deb13-cloud-amd64",
            "6.12.117+deb13-cloud-amd64",
            "6.12.117+deb13-amd64",
            "7.2.12+deb13-cloud-amd64",
        ]
        .map(str::to_owned)
        .to_vec();
        names.sort_by(|a, b| natural(a, b));
        names
    }

    #[rstest]
    #[case::series("5.10", Some("5.10.0-46-cloud-amd64"))]
    #[case::newest_by_number("6.12", Some("6.12.117+deb13-cloud-amd64"))]
    #[case::not_another_series("6.1", Some("6.1.0-56-cloud-amd64"))]
    #[case::major("7", Some("7.2.12+deb13-cloud-amd64"))]
    #[case::flavour("6.12-amd64", Some("6.12.117+deb13-amd64"))]
    #[case::real_time("5.10-rt-amd64", Some("5.10.0-46-rt-amd64"))]
    #[case::exact("6.12.9+deb13-cloud-amd64", Some("6.12.9+deb13-cloud-amd64"))]
    #[case::none("4.19", None)]
    fn names_stand_for_kernels(#[case] wanted: &str, #[case] expected: Option<&str>) {
        assert_eq!(best(&names(), wanted), expected);
    }
}
