//! Scenarios, claims and stored traces: those that are compiled in, and files
//! that a user names.

use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::claim::{self, ClaimError, Document};
use crate::live::Job;
use crate::scenario::{self, Diagnostic, LARGEST_FILE, Mistakes, Scenario};
use crate::verdict::StoredTrace;

static SCENARIOS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/scenarios");

/// The text of a scenario file that is compiled in, by `theme/name`.
pub(super) fn built_in_source(id: &str) -> Option<&'static str> {
    SCENARIOS.get_file(format!("{id}.toml"))?.contents_utf8()
}

/// Folders of `scenarios/` that hold no scenarios.
const CLAIMS: &str = "claims";
const TRACES: &str = "traces";
/// What exploring and fuzzing found on this machine: nobody's behaviour yet.
const FOUND: &str = "found";

/// A file with one scenario or several.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// `theme/name`.
    pub id: String,
    /// Where it is, for messages.
    pub path: String,
    /// Its text.
    pub text: Cow<'static, str>,
    /// The traces that it is known to have, one for every set of facts.
    pub stored: Vec<StoredTrace>,
}

impl SourceFile {
    /// The theme: the folder.
    pub fn theme(&self) -> &str {
        self.id.rsplit_once('/').map_or("", |(theme, _)| theme)
    }

    /// SHA-256 of the text, in hexadecimal.
    pub fn hash(&self) -> String {
        let digest = Sha256::digest(self.text.as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// One scenario of a file.
#[derive(Clone, Debug)]
pub struct Case<'c> {
    /// The file.
    pub file: &'c SourceFile,
    /// What it says.
    pub scenario: Scenario,
}

impl Case<'_> {
    /// A run of it; delays in races are drawn from the seed.
    pub fn job(&self, seed: u64) -> Job {
        Job {
            file: self.file.id.clone(),
            id: self.scenario.id.clone(),
            source: self.file.text.to_string(),
            seed,
        }
    }
}

/// What a user asks for: `theme/name`, a case of it, a theme, or a path.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Ids and paths; none for everything.
    pub wanted: Vec<String>,
    /// Only this theme.
    pub theme: Option<String>,
}

/// Why scenarios cannot be had.
#[derive(Debug, Error)]
pub enum CatalogueError {
    /// A file is wrong.
    #[error("{0}")]
    Mistakes(Box<Mistakes>),
    /// A file cannot be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// Nothing is called that.
    #[error("{wanted:?} is neither a scenario nor a file{near}")]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// A hint, or nothing.
        near: String,
    },
    /// A theme is empty.
    #[error("there is no theme {0:?}; `unotify-lab list` shows them")]
    NoTheme(String),
    /// A claim table is wrong.
    #[error(transparent)]
    Claim(#[from] ClaimError),
}

/// Files and documents.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Files, by id.
    pub files: Vec<SourceFile>,
    /// Documents and their claims, by file name.
    pub documents: Vec<Document>,
}

impl Catalogue {
    /// What is compiled in.
    ///
    /// # Errors
    ///
    /// A claim table that cannot be read, which a test would have told.
    pub fn built_in() -> Result<Catalogue, CatalogueError> {
        let mut catalogue = Catalogue::default();
        let mut stored: Vec<(String, StoredTrace)> = Vec::new();
        for (path, text) in texts(&SCENARIOS) {
            match path.split_once('/') {
                Some((CLAIMS, _)) => catalogue.documents.push(claim::parse(&path, text)?),
                Some((TRACES, rest)) => stored.extend(StoredTrace::of_file(rest, text)),
                Some((FOUND, _)) => {}
                _ => {
                    if let Some(id) = path.strip_suffix(".toml") {
                        catalogue.files.push(SourceFile {
                            id: id.to_owned(),
                            path: format!("scenarios/{path}"),
                            text: Cow::Borrowed(text),
                            stored: Vec::new(),
                        });
                    }
                }
            }
        }
        catalogue.files.sort_by(|a, b| a.id.cmp(&b.id));
        for (id, trace) in stored {
            if let Some(file) = catalogue.files.iter_mut().find(|file| file.id == id) {
                file.stored.push(trace);
            }
        }
        Ok(catalogue)
    }

    /// Adds the files that a selection names by path.
    ///
    /// # Errors
    ///
    /// Files that cannot be read.
    pub fn with_paths(mut self, selection: &Selection) -> Result<Self, CatalogueError> {
        for wanted in &selection.wanted {
            let path = Path::new(wanted);
            if path.exists() {
                for path in scenario_files(path)? {
                    let file = self.read(&path)?;
                    // The file on disk stands for the one compiled in.
                    self.files.retain(|known| known.id != file.id);
                    self.files.push(file);
                }
            }
        }
        Ok(self)
    }

    fn read(&self, path: &Path) -> Result<SourceFile, CatalogueError> {
        let shown = path.display().to_string();
        let unreadable = |error| CatalogueError::Unreadable { path: shown.clone(), error };
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(LARGEST_FILE as u64 + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let id = id_of(path);
        let known = self.files.iter().find(|file| file.id == id);
        let same = known.filter(|known| known.text == text);
        let stored = same.map(|file| file.stored.clone()).unwrap_or_default();
        Ok(SourceFile { id, path: shown, text: Cow::Owned(text), stored })
    }

    /// The cases that a selection names, in the catalogue's order.
    ///
    /// # Errors
    ///
    /// Names that stand for nothing, and files that are wrong.
    pub fn select(&self, selection: &Selection) -> Result<Vec<Case<'_>>, CatalogueError> {
        if let Some(theme) = &selection.theme
            && !self.files.iter().any(|file| file.theme() == theme)
        {
            return Err(CatalogueError::NoTheme(theme.clone()));
        }
        let wanted: Vec<String> = selection.wanted.iter().map(|wanted| name_of(wanted)).collect();
        let mut cases = Vec::new();
        let mut found = vec![false; wanted.len()];
        for file in &self.files {
            let in_theme = selection.theme.as_ref().is_none_or(|theme| file.theme() == theme);
            let may = wanted.is_empty() || wanted.iter().any(|wanted| may_name(wanted, file));
            if !in_theme || !may {
                continue;
            }
            for scenario in self.parse(file)? {
                let names = |wanted: &String| is_named(wanted, file, &scenario.id);
                for (found, wanted) in found.iter_mut().zip(&wanted) {
                    *found |= names(wanted);
                }
                if wanted.is_empty() || wanted.iter().any(names) {
                    cases.push(Case { file, scenario });
                }
            }
        }
        match found.iter().position(|found| !found) {
            Some(index) => {
                let wanted = selection.wanted[index].clone();
                let near = self.near(&wanted);
                Err(CatalogueError::Unknown { wanted, near })
            }
            _ => Ok(cases),
        }
    }

    fn parse(&self, file: &SourceFile) -> Result<Vec<Scenario>, CatalogueError> {
        let scenarios = scenario::parse(&file.id, &file.path, &file.text)
            .map_err(|mistakes| CatalogueError::Mistakes(Box::new(mistakes)))?;
        for scenario in &scenarios {
            if let Err(found) = scenario.schedule() {
                let in_case = |one: Diagnostic| one.in_case(&scenario.id);
                let diagnostics = found.into_iter().map(in_case).collect();
                let (path, source) = (file.path.clone(), file.text.to_string());
                let mistakes = Mistakes { path, source, diagnostics };
                return Err(CatalogueError::Mistakes(Box::new(mistakes)));
            }
        }
        Ok(scenarios)
    }

    fn near(&self, wanted: &str) -> String {
        let name = wanted.rsplit('/').next().unwrap_or(wanted);
        let near: Vec<&str> = self
            .files
            .iter()
            .filter(|file| file.id.contains(name))
            .map(|file| file.id.as_str())
            .take(3)
            .collect();
        match near.as_slice() {
            [] => "; `unotify-lab list` shows all".to_owned(),
            near => format!("; did you mean {}?", near.join(" or ")),
        }
    }
}

/// What a path is called in the catalogue: its last folder and its name.
fn name_of(wanted: &str) -> String {
    let path = Path::new(wanted);
    if path.is_file() { id_of(path) } else { wanted.trim_end_matches('/').to_owned() }
}

fn id_of(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let theme = path.parent().and_then(Path::file_name).map(|theme| theme.to_string_lossy());
    match theme {
        Some(theme) => format!("{theme}/{name}"),
        None => name,
    }
}

fn may_name(wanted: &str, file: &SourceFile) -> bool {
    let path = Path::new(wanted);
    wanted.split('[').next() == Some(&file.id)
        || wanted == file.theme()
        || path.is_dir() && Path::new(&file.path).starts_with(path)
}

fn is_named(wanted: &str, file: &SourceFile, case: &str) -> bool {
    !wanted.contains('[') && may_name(wanted, file) || wanted == case
}

fn scenario_files(path: &Path) -> Result<Vec<PathBuf>, CatalogueError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = |error| CatalogueError::Unreadable { path: path.display().to_string(), error };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?.path();
        let special = entry.file_name().is_some_and(|name| name == CLAIMS || name == TRACES);
        if entry.is_dir() && !special {
            files.extend(scenario_files(&entry)?);
        } else if entry.extension().is_some_and(|extension| extension == "toml") {
            files.push(entry);
        }
    }
    files.sort();
    Ok(files)
}

/// Every file below a folder with its path in `scenarios/`.
fn texts<'d>(dir: &'d Dir<'d>) -> Vec<(String, &'d str)> {
    let own = dir.files().filter_map(|file| {
        Some((file.path().to_string_lossy().into_owned(), file.contents_utf8()?))
    });
    own.chain(dir.dirs().flat_map(texts)).collect()
}
