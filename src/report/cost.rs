//! What calls cost under filters and with a supervisor, as `benches/cost.rs`
//! measures it: in times of a bare call, as seconds say more of the machine.

use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the form.
pub const COST_FORMAT: u32 = 1;

/// What was measured, on one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// [`COST_FORMAT`].
    #[schemars(extend("const" = COST_FORMAT))]
    pub format: u32,
    /// The upstream release of the kernel, and the machine.
    pub kernel: String,
    /// How many processors the machine has.
    pub processors: usize,
    /// What the bare call is.
    pub bare: String,
    /// What was varied.
    pub charts: Vec<Chart>,
}

/// Curves over the same quantity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// What is varied.
    pub across: String,
    /// Its curves.
    pub curves: Vec<Curve>,
}

/// One way of doing it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// Which.
    pub name: String,
    /// What was measured, by what was varied.
    pub points: Vec<Point>,
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// So many of what is varied.
    pub at: u32,
    /// So many times a bare call.
    pub times: f64,
}

/// Why costs cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CostError {
    /// The file system's word.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error.
        why: io::Error,
    },
    /// Not what `benches/cost.rs` writes.
    #[error("{}: it is not a record of costs: {why}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        why: serde_json::Error,
    },
    /// Of another version.
    #[error("{}: a record of costs of format {format}; this tool reads {COST_FORMAT}",
            path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        format: u32,
    },
}

/// Reads what `benches/cost.rs` wrote.
///
/// # Errors
///
/// A file that cannot be read, or is something else.
pub fn read_costs(path: &Path) -> Result<Costs, CostError> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let form = |why| CostError::Form { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path)
        .map_err(|why| CostError::File { path: path.to_owned(), why })?;
    let Head { format } = serde_json::from_str(&text).map_err(form)?;
    match format {
        COST_FORMAT => serde_json::from_str(&text).map_err(form),
        format => Err(CostError::Version { path: path.to_owned(), format }),
    }
}
