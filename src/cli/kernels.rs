//! `unotify-lab kernels`

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::output::Output;
use super::{End, Failure};
use crate::vm::{Archive, KernelsError};

/// Where kernels come from and where they are kept.
#[derive(Debug, Args)]
pub(super) struct ArchiveArguments {
    /// A Debian archive to use instead of the one that apt is configured for
    #[arg(long, global = true, value_name = "URI")]
    mirror: Option<String>,
    /// Where kernels are kept, instead of the user's cache folder
    #[arg(long, global = true, value_name = "FOLDER")]
    cache: Option<PathBuf>,
}

impl ArchiveArguments {
    pub fn archive(&self) -> Archive {
        Archive::new(self.cache.clone(), self.mirror.clone())
    }
}

#[derive(Debug, Args)]
pub(super) struct KernelsArguments {
    #[command(flatten)]
    archive: ArchiveArguments,
    #[command(subcommand)]
    command: KernelsCommand,
}

#[derive(Debug, Subcommand)]
enum KernelsCommand {
    /// The kernels that are there: a name, a tabulator, the image's path
    List {
        /// Those of the archive instead: name, the package's version, suites
        #[arg(long)]
        available: bool,
    },
    /// Fetch kernels by name
    Fetch {
        /// The newest of a release (debian:6.12, debian:6.12.118), of a package's
        /// version (debian:6.12.118-1) or of a suite (debian:trixie-backports),
        /// of the cloud flavour unless another follows (debian:sid-rt,
        /// debian:6.12-plain); or a full name
        /// (debian:7.2.12+deb13-cloud-amd64)
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Remove kernels that were fetched
    Remove {
        /// As `list` shows them
        #[arg(required = true)]
        names: Vec<String>,
    },
}

pub(super) fn kernels(arguments: &KernelsArguments, output: &mut Output) -> Result<End, Failure> {
    let archive = arguments.archive.archive();
    match &arguments.command {
        KernelsCommand::List { available: false } => {
            for image in archive.cached()? {
                writeln!(output, "{}\t{}", image.name, image.path.display())?;
            }
        }
        KernelsCommand::List { available: true } => {
            for package in archive.available()? {
                let suites = package.suites.join(", ");
                writeln!(output, "{}\t{}\t{suites}", package.name, package.version)?;
            }
        }
        KernelsCommand::Fetch { names } => {
            for name in names {
                let image = archive.kernel(name)?;
                writeln!(output, "{}\t{}", image.name, image.path.display())?;
            }
        }
        KernelsCommand::Remove { names } => {
            for name in names {
                archive.remove(name)?;
            }
        }
    }
    Ok(End::Known)
}

impl From<KernelsError> for Failure {
    fn from(error: KernelsError) -> Self {
        match error {
            KernelsError::Unknown { .. }
            | KernelsError::NoImage(_)
            | KernelsError::Package { .. }
            | KernelsError::Image(_)
            | KernelsError::Cache { .. } => Failure::User(error.to_string()),
            _ => Failure::Harness(error.to_string()),
        }
    }
}
