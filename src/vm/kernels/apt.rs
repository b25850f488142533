//! The Debian archive, by way of apt with a state of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use super::name::Package;
use super::{IMAGE, KernelsError, cache_error, output};

/// Suites that are looked through, and the archive they are in. Others are
/// when they are named.
const SUITES: &[&str] = &[
    "bookworm",
    "trixie",
    "trixie-backports",
    "sid",
    "experimental",
    "bullseye-security",
    "bookworm-security",
    "trixie-security",
];

/// Package lists older than this are fetched anew.
const OLDEST_LISTS: Duration = Duration::from_secs(24 * 60 * 60);

/// What stands before a source that the archive does not have.
const LEFT_OUT: &str = "# ";

/// apt, with a folder for its state.
pub(super) struct Apt<'a> {
    /// Where it keeps what it knows.
    pub folder: PathBuf,
    /// An archive to use instead of the one that the machine is configured for.
    pub mirror: Option<&'a str>,
}

impl Apt<'_> {
    /// The table of kernels as it was when it was fetched last.
    pub fn known(&self) -> Option<Vec<Package>> {
        let text = fs::read_to_string(self.table()).ok()?;
        Some(text.lines().filter_map(Package::of_line).collect())
    }

    /// The archive's kernels, oldest first, also those of `suite`.
    pub fn kernels(&self, suite: Option<&str>) -> Result<Vec<Package>, KernelsError> {
        let archives = match self.mirror {
            Some(mirror) => {
                let mirror = mirror.trim_end_matches('/');
                (mirror.to_owned(), Some(format!("{mirror}-security")))
            }
            None => configured()?,
        };
        let suites = SUITES.iter().copied().chain(suite.filter(|name| !SUITES.contains(name)));
        let wanted: Vec<String> = suites.filter_map(|suite| source(&archives, suite)).collect();
        let before = fs::read_to_string(self.list()).unwrap_or_default();
        let has =
            |line: &String| before.lines().any(|one| one.trim_start_matches(LEFT_OUT) == line);
        if self.age().is_some_and(|age| age < OLDEST_LISTS)
            && wanted.iter().all(has)
            && let Some(known) = self.known()
        {
            return Ok(known);
        }
        // Suites that were asked for once are of use again, if of this archive.
        let mut sources = wanted;
        let ours = |line: &str| {
            let mut words = line.split_whitespace().rev();
            let suite = words.nth(1).unwrap_or_default();
            source(&archives, suite).as_deref() == Some(line)
        };
        for line in before.lines().filter(|line| ours(line)) {
            if !sources.iter().any(|one| one == line) {
                sources.push(line.to_owned());
            }
        }
        self.update(&mut sources)?;
        let mut packages = self.packages()?;
        packages.sort_by(Package::by_age);
        let table: String = packages.iter().map(|package| package.to_line() + "\n").collect();
        fs::write(self.table(), table).map_err(cache_error(&self.table()))?;
        Ok(packages)
    }

    /// Has the lists fetched anew the next time.
    pub fn forget(&self) {
        let _ = fs::remove_file(self.table());
    }

    /// Downloads a package into a folder that is empty otherwise.
    pub fn download(
        &self,
        package: &str,
        version: Option<&str>,
        folder: &Path,
    ) -> Result<PathBuf, KernelsError> {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).map_err(cache_error(folder))?;
        let what = version.map_or(package.to_owned(), |version| format!("{package}={version}"));
        let mut download = self.command("apt-get")?;
        download.args(["download", "-q", &what]).current_dir(folder);
        output(&mut download, "apt-get").map_err(|error| match error {
            KernelsError::Failed { stderr, .. } => {
                // The archive may have a newer one by now.
                self.forget();
                KernelsError::Fetch { package: what, why: stderr }
            }
            other => other,
        })?;
        let entries = fs::read_dir(folder).map_err(cache_error(folder))?;
        let mut files = entries.flatten().map(|entry| entry.path());
        files
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .ok_or_else(|| KernelsError::NoImage(package.to_owned()))
    }

    /// Fetches the lists of these sources; those that the archive does not have
    /// are left out.
    fn update(&self, sources: &mut Vec<String>) -> Result<(), KernelsError> {
        loop {
            self.make_folders()?;
            let text: String = sources.iter().map(|line| format!("{line}\n")).collect();
            fs::write(self.list(), text).map_err(cache_error(&self.list()))?;
            let mut update = self.command("apt-get")?;
            update.args(["update", "-q", "--error-on=any"]);
            let stderr = match output(&mut update, "apt-get") {
                Ok(_) => return Ok(()),
                Err(KernelsError::Failed { stderr, .. }) => stderr,
                Err(other) => return Err(other),
            };
            let mut left_out = false;
            for line in &mut *sources {
                // `deb [signed-by=…] URI SUITE main`
                let mut words = line.split_whitespace().rev().skip(1);
                let (suite, uri) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
                let missing = format!("'{uri} {suite} Release' does not have a Release file");
                if !line.starts_with(LEFT_OUT) && stderr.contains(&missing) {
                    *line = format!("{LEFT_OUT}{line}");
                    left_out = true;
                }
            }
            if !left_out || sources.iter().all(|line| line.starts_with(LEFT_OUT)) {
                // Another time it may be there.
                let _ = fs::remove_file(self.list());
                return Err(KernelsError::Archive(stderr));
            }
        }
    }

    /// The kernels that the lists have.
    fn packages(&self) -> Result<Vec<Package>, KernelsError> {
        let names = output(self.command("apt-cache")?.args(["pkgnames", IMAGE]), "apt-cache")?;
        let names = names.lines().filter(|name| {
            let name = name.strip_prefix(IMAGE).unwrap_or_default();
            // Names of a mere series (6.1-cloud-amd64) only lead to another.
            let release = name.split(['-', '+']).next().unwrap_or_default();
            name.starts_with(|c: char| c.is_ascii_digit())
                && release.matches('.').count() == 2
                && name.ends_with("amd64")
        });
        let mut madison = self.command("apt-cache")?;
        let text = output(madison.arg("madison").args(names), "apt-cache")?;
        let mut packages: Vec<Package> = Vec::new();
        // `linux-image-… | 6.1.177-1 | URI bookworm-security/main amd64 Packages`
        for line in text.lines() {
            let fields: Vec<&str> = line.split('|').map(str::trim).collect();
            let [name, version, source] = fields[..] else { continue };
            let suite = source.split_whitespace().nth(1).and_then(|part| part.split('/').next());
            let (Some(name), Some(suite)) = (name.strip_prefix(IMAGE), suite) else { continue };
            match packages.iter_mut().find(|known| known.name == name && known.version == version) {
                Some(known) => known.suites.push(suite.to_owned()),
                None => packages.push(Package {
                    name: name.to_owned(),
                    version: version.to_owned(),
                    suites: vec![suite.to_owned()],
                }),
            }
        }
        Ok(packages)
    }

    fn list(&self) -> PathBuf {
        self.folder.join("sources.list")
    }

    fn table(&self) -> PathBuf {
        self.folder.join("kernels")
    }

    /// How old the table is.
    fn age(&self) -> Option<Duration> {
        let time = fs::metadata(self.table()).and_then(|table| table.modified()).ok()?;
        SystemTime::now().duration_since(time).ok()
    }

    fn make_folders(&self) -> Result<(), KernelsError> {
        for name in ["state/lists/partial", "cache/archives/partial"] {
            let path = self.folder.join(name);
            fs::create_dir_all(&path).map_err(cache_error(&path))?;
        }
        let status = self.folder.join("status");
        fs::write(&status, "").map_err(cache_error(&status))
    }

    /// A program of apt with a state of its own.
    fn command(&self, program: &'static str) -> Result<Command, KernelsError> {
        self.make_folders()?;
        let at = |name: &str| self.folder.join(name).display().to_string();
        let options = [
            format!("Dir::State={}", at("state")),
            format!("Dir::State::status={}", at("status")),
            format!("Dir::Cache={}", at("cache")),
            format!("Dir::Etc::sourcelist={}", at("sources.list")),
            "Dir::Etc::sourceparts=-".to_owned(),
            "Dir::Etc::preferences=/dev/null".to_owned(),
            "Dir::Etc::preferencesparts=/dev/null".to_owned(),
            "APT::Architecture=amd64".to_owned(),
            "APT::Get::List-Cleanup=0".to_owned(),
            // The download folder is the user's own, not apt's.
            format!("APT::Sandbox::User={}", whoami()),
        ];
        let mut command = Command::new(program);
        for option in options {
            command.args(["-o", &option]);
        }
        command.stdin(Stdio::null());
        Ok(command)
    }
}

/// The line of a sources list for a suite of the main archive or of the
/// security one.
fn source((main, security): &(String, Option<String>), suite: &str) -> Option<String> {
    let archive = match suite.ends_with("-security") {
        true => security.as_ref()?,
        false => main,
    };
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let signed = match Path::new(keyring).exists() {
        true => format!("signed-by={keyring} "),
        false => String::new(),
    };
    // Translations, icons and the like are of no use here.
    Some(format!("deb [{signed}target=Packages] {archive} {suite} main"))
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
