//! Run records as files, and folders of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::record::RunRecord;

/// Why a record cannot be read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file system's word.
    #[error("{path}: {error}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file holds something else.
    #[error("{path}: {why}")]
    NotARecord {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A folder that should hold records holds none.
    #[error("{0}: no run records (*.json) in it")]
    Empty(PathBuf),
    /// A folder for new records holds records.
    #[error("{0}: it holds run records; name a new or an empty folder, or remove them")]
    NotEmpty(PathBuf),
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    |error| StoreError::File { path, error }
}

/// Reads a record; one of another version is refused as such.
///
/// # Errors
///
/// Files that cannot be read or hold no record.
pub fn read_record(path: &Path) -> Result<RunRecord, StoreError> {
    let text = fs::read_to_string(path).map_err(file(path))?;
    RunRecord::read(&text)
        .map_err(|error| StoreError::NotARecord { path: path.to_owned(), why: error.to_string() })
}

/// Reads the records of a folder, in the order of the files' names.
///
/// # Errors
///
/// As [`read_record`]'s; a folder without records.
pub fn read_records(folder: &Path) -> Result<Vec<RunRecord>, StoreError> {
    let files = record_files(folder)?;
    if files.is_empty() {
        return Err(StoreError::Empty(folder.to_owned()));
    }
    files.iter().map(|path| read_record(path)).collect()
}

/// Makes a folder for new records; one that holds some is refused, as those
/// of two occasions would make a table that nobody has seen.
///
/// # Errors
///
/// A folder that cannot be made, or holds records.
pub fn new_folder(folder: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(folder).map_err(file(folder))?;
    match record_files(folder)?.is_empty() {
        true => Ok(()),
        false => Err(StoreError::NotEmpty(folder.to_owned())),
    }
}

/// Writes a record into a folder, whole or not at all, as `RELEASE.json`; where
/// another kernel has taken that name, with a number.
///
/// # Errors
///
/// The file system's.
pub fn write_record(folder: &Path, record: &RunRecord) -> Result<PathBuf, StoreError> {
    // uname(2) can be set to say anything.
    let release = record.kernel.release.replace('/', "_");
    let free = |name: &String| !folder.join(name).exists();
    let numbered = (2..).map(|number| format!("{release}.{number}.json"));
    let name = std::iter::once(format!("{release}.json")).chain(numbered).find(free);
    let path = folder.join(name.expect("some number is free"));
    // Many of them are kept: no indentation.
    let text = serde_json::to_string(record).expect("a record is plain data") + "\n";
    let part = path.with_extension("json.part");
    fs::write(&part, text).and_then(|()| fs::rename(&part, &path)).map_err(file(&path))?;
    Ok(path)
}

fn record_files(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = fs::read_dir(folder).map_err(file(folder))?;
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(file(folder))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    Ok(paths)
}
