//! Which kernel a run was on.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::profile::Release;

/// A kernel, as a reader of a run record needs to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// `uname -v`.
    pub version: String,
    /// `uname -m`.
    pub machine: String,
    /// Options that bear on seccomp, as far as the kernel's configuration can
    /// be read; absent ones are `n`.
    pub config: BTreeMap<String, String>,
    /// Settings that bear on seccomp, by their path under /proc/sys.
    pub settings: BTreeMap<String, String>,
}

const OPTIONS: &[&str] = &[
    "CONFIG_SECCOMP",
    "CONFIG_SECCOMP_FILTER",
    "CONFIG_SECCOMP_CACHE_DEBUG",
    "CONFIG_BPF_JIT",
    "CONFIG_BPF_JIT_ALWAYS_ON",
    "CONFIG_CHECKPOINT_RESTORE",
    "CONFIG_IA32_EMULATION",
    "CONFIG_X86_X32_ABI",
    "CONFIG_USERFAULTFD",
    "CONFIG_USER_NS",
    "CONFIG_PID_NS",
    "CONFIG_AUDIT",
    "CONFIG_AUDITSYSCALL",
    "CONFIG_PREEMPT",
    "CONFIG_PREEMPT_DYNAMIC",
    "CONFIG_PREEMPT_RT",
    "CONFIG_SECURITY_YAMA",
    "CONFIG_HZ",
];

const SETTINGS: &[&str] = &[
    "kernel/seccomp/actions_avail",
    "kernel/seccomp/actions_logged",
    "net/core/bpf_jit_enable",
    "net/core/bpf_jit_harden",
    "vm/unprivileged_userfaultfd",
    "kernel/yama/ptrace_scope",
    "kernel/unprivileged_userns_clone",
];

impl Kernel {
    /// The kernel that runs here.
    ///
    /// # Errors
    ///
    /// uname(2)'s.
    pub fn running() -> nix::Result<Kernel> {
        let name = nix::sys::utsname::uname()?;
        let text = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
        let release = text(name.release());
        let config = configuration(&release).map_or_else(BTreeMap::new, |config| {
            let value = |option: &str| {
                let line = config.lines().find_map(|line| {
                    line.strip_prefix(option).and_then(|rest| rest.strip_prefix('='))
                });
                line.unwrap_or("n").to_owned()
            };
            OPTIONS.iter().map(|option| ((*option).to_owned(), value(option))).collect()
        });
        let settings = SETTINGS
            .iter()
            .filter_map(|setting| {
                let value = fs::read_to_string(format!("/proc/sys/{setting}")).ok()?;
                Some(((*setting).to_owned(), value.trim().to_owned()))
            })
            .collect();
        Ok(Kernel {
            version: text(name.version()),
            machine: text(name.machine()),
            release,
            config,
            settings,
        })
    }
}

impl Kernel {
    /// The upstream release. Distributions keep a release's name while the
    /// patch level goes on, and say which one it is in the version: Debian as
    /// `… Debian 6.1.192-2 (…)`.
    pub fn upstream(&self) -> Option<Release> {
        let packaged = self.version.split_once("Debian ").and_then(|(_, rest)| rest.parse().ok());
        packaged.or_else(|| self.release.parse().ok())
    }
}

/// The kernel's configuration, from itself or from where distributions put it.
fn configuration(release: &str) -> Option<String> {
    if let Ok(packed) = fs::File::open("/proc/config.gz") {
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut text).ok()?;
        return Some(text);
    }
    fs::read_to_string(format!("/boot/config-{release}")).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("6.18.44", "#1 SMP PREEMPT_DYNAMIC @0", "6.18.44")]
    #[case::debian("6.1.0-56-cloud-amd64", "#1 SMP Debian 6.1.192-2 (2026-11-16)", "6.1.192")]
    #[case::backports("7.2.12+deb13-amd64", "#1 SMP Debian 7.2.12-1~bpo13+1 (2026)", "7.2.12")]
    fn upstream(#[case] release: &str, #[case] version: &str, #[case] expected: &str) {
        let kernel = Kernel {
            release: release.to_owned(),
            version: version.to_owned(),
            machine: "x86_64".to_owned(),
            config: BTreeMap::new(),
            settings: BTreeMap::new(),
        };
        assert_eq!(kernel.upstream().map(|found| found.to_string()), Some(expected.to_owned()));
    }
}
