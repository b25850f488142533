//! Kernels by name, from the Debian archive that this machine's apt knows.
//!
//! apt itself does all of it, with a state of its own: lists, signatures,
//! checksums, downloads. The system's apt state is not touched.

mod apt;
mod name;
mod package;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};
use thiserror::Error;

use super::image::{ImageError, Kind, kind};
use apt::Apt;
pub use name::Package;

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
    /// The archive does not give a package.
    #[error(
        "fetching {package}: {why}\nif the archive has a newer one, try again: the lists are \
         fetched anew"
    )]
    Fetch {
        /// Which.
        package: String,
        /// What apt said.
        why: String,
    },
    /// A package has no kernel in it.
    #[error("no kernel image: {0}")]
    NoImage(String),
    /// A file is no kernel.
    #[error(transparent)]
    Image(#[from] ImageError),
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

/// What begins the name of every kernel's package.
const IMAGE: &str = "linux-image-";
/// Of how many packages one kernel consists at most.
const MOST_PACKAGES: usize = 4;

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
    /// one), or `debian:` and a full name (`7.2.12+deb13-cloud-amd64`), or the
    /// newest of a release (`6.12`, `6.12.118`), of a package's version
    /// (`6.12.118-1`) or of a suite (`trixie-backports`), each of these of the
    /// cloud flavour unless another follows (`6.12-rt`, `sid-plain`). It is
    /// fetched unless it is in the cache.
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
        let (said, _) = name::parse(wanted);
        let suite = name::is_suite(said).then_some(said);
        let packages = match self.locked(|apt| apt.kernels(suite)) {
            Ok(packages) => packages,
            // What is there already can be had without the archive.
            Err(error) => {
                let found = self.without_archive(&cached, wanted);
                return found.ok_or(error);
            }
        };
        let found = name::best(&packages, wanted).ok_or_else(|| KernelsError::Unknown {
            name: wanted.to_owned(),
            near: match suite {
                Some(suite)
                    if !packages.iter().any(|one| one.suites.iter().any(|s| s == suite)) =>
                {
                    format!(": no suite {suite} with kernels")
                }
                _ => name::near(&packages, wanted),
            },
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
            Err(error) => return Err(cache_error(&folder)(error)),
        };
        let mut images: Vec<KernelImage> = entries
            .flatten()
            .map(|entry| KernelImage {
                name: entry.file_name().to_string_lossy().into_owned(),
                path: entry.path().join("vmlinuz"),
            })
            .filter(|image| image.path.exists())
            .collect();
        images.sort_by(|a, b| name::natural(&a.name, &b.name));
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
            let near = match names.is_empty() {
                true => " in the cache, which is empty".to_owned(),
                false => format!(" in the cache; it holds {}", names.join(", ")),
            };
            return Err(KernelsError::Unknown { name: wanted.to_owned(), near });
        }
        let path = self.cache.join("kernels").join(wanted);
        fs::remove_dir_all(&path).map_err(cache_error(&path))
    }

    /// The archive's kernels, oldest release first.
    ///
    /// # Errors
    ///
    /// Whatever apt says.
    pub fn available(&self) -> Result<Vec<Package>, KernelsError> {
        self.locked(|apt| apt.kernels(None))
    }

    /// What a name stands for among the kernels that are there.
    fn without_archive(&self, cached: &[KernelImage], wanted: &str) -> Option<KernelImage> {
        let known = self.apt().known().unwrap_or_default();
        let packages: Vec<Package> = cached
            .iter()
            .map(|image| {
                let package = known.iter().find(|package| package.name == image.name).cloned();
                package.unwrap_or_else(|| Package {
                    name: image.name.clone(),
                    version: String::new(),
                    suites: Vec::new(),
                })
            })
            .collect();
        let found = name::best(&packages, wanted)?;
        cached.iter().find(|image| image.name == found.name).cloned()
    }

    fn apt(&self) -> Apt<'_> {
        Apt { folder: self.cache.join("apt"), mirror: self.mirror.as_deref() }
    }

    /// Does something with apt while no other process does.
    fn locked<T>(
        &self,
        work: impl FnOnce(&Apt<'_>) -> Result<T, KernelsError>,
    ) -> Result<T, KernelsError> {
        fs::create_dir_all(&self.cache).map_err(cache_error(&self.cache))?;
        let path = self.cache.join("lock");
        let file = fs::File::create(&path).map_err(cache_error(&path))?;
        let lock = Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, errno)| cache_error(&path)(errno.into()))?;
        let done = work(&self.apt());
        drop(lock);
        done
    }

    fn kernel_at(&self, path: &Path) -> Result<KernelImage, KernelsError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if kind(path)? == Kind::Image {
            return Ok(KernelImage { name, path: path.to_owned() });
        }
        let name = name.trim_end_matches(".deb").to_owned();
        let image = self.cache.join("packages").join(&name).join("vmlinuz");
        let found = package::extract(path, &image).map_err(|error| match error {
            KernelsError::Failed { stderr, .. } => {
                let first = stderr.lines().next().unwrap_or_default();
                let why = first.trim_start_matches("dpkg-deb: error: ").to_owned();
                KernelsError::Package { path: path.to_owned(), why }
            }
            other => other,
        })?;
        if found {
            return Ok(KernelImage { name, path: image });
        }
        let others = package::dependencies(path, "")?;
        let others: Vec<String> = others.into_iter().map(|(name, _)| name).collect();
        let hint = match others.is_empty() {
            true => String::new(),
            false => format!("; it depends on {}, of which one may have it", others.join(", ")),
        };
        Err(KernelsError::NoImage(format!("{} has none{hint}", path.display())))
    }

    fn fetch(&self, kernel: &Package) -> Result<KernelImage, KernelsError> {
        let name = &kernel.name;
        let path = self.cache.join("kernels").join(name).join("vmlinuz");
        let image = KernelImage { name: name.clone(), path };
        self.locked(|apt| {
            if image.path.exists() {
                return Ok(image.clone());
            }
            let folder = self.cache.join("download");
            // In the newest suites the package of the image only depends on it.
            let mut next = vec![(format!("{IMAGE}{name}"), Some(kernel.version.clone()))];
            for number in 0..MOST_PACKAGES {
                let Some((package, version)) = next.get(number).cloned() else { break };
                let file = apt.download(&package, version.as_deref(), &folder)?;
                let found = package::extract(&file, &image.path)?;
                let more = package::dependencies(&file, name)?;
                let _ = fs::remove_dir_all(&folder);
                if found {
                    return Ok(image.clone());
                }
                let new = |one: &(String, _)| !next.iter().any(|known| known.0 == one.0);
                let more: Vec<_> = more.into_iter().filter(new).collect();
                next.extend(more);
            }
            Err(KernelsError::NoImage(format!("{IMAGE}{name} and what it depends on have none")))
        })
    }
}

/// What the file system says of a place in the cache.
fn cache_error(path: &Path) -> impl FnOnce(io::Error) -> KernelsError {
    let path = path.to_owned();
    |error| KernelsError::Cache { path, error }
}

/// What a program prints; its words are not translated.
fn output(command: &mut Command, program: &'static str) -> Result<String, KernelsError> {
    let done = command.env("LC_ALL", "C").output();
    let done = done.map_err(|error| KernelsError::Program { program, error })?;
    if !done.status.success() {
        let stderr = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        return Err(KernelsError::Failed { program, stderr });
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
