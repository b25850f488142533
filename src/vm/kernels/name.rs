//! What names of kernels stand for; pure.

use std::cmp::Ordering;

/// A kernel of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The package's name without `linux-image-`; what `uname -r` says.
    pub name: String,
    /// The package's version.
    pub version: String,
    /// The suites that have it.
    pub suites: Vec<String>,
}

/// Flavours as they end names, and how they may be said in short.
const FLAVOURS: &[(&str, &str)] =
    &[("cloud-amd64", "cloud"), ("rt-amd64", "rt"), ("amd64", "plain")];

impl Package {
    /// As a line of a table.
    pub(super) fn to_line(&self) -> String {
        format!("{}\t{}\t{}", self.name, self.version, self.suites.join(","))
    }

    /// Of such a line.
    pub(super) fn of_line(line: &str) -> Option<Package> {
        let mut fields = line.split('\t').map(str::to_owned);
        let (name, version) = (fields.next()?, fields.next()?);
        let suites = fields.next()?.split(',').map(str::to_owned).collect();
        Some(Package { name, version, suites })
    }

    /// The release and the flavour in its name.
    fn parts(&self) -> Option<(&str, &str)> {
        FLAVOURS.iter().find_map(|(flavour, _)| {
            Some((self.name.strip_suffix(flavour)?.strip_suffix('-')?, *flavour))
        })
    }

    /// The upstream version.
    fn upstream(&self) -> &str {
        self.version.split('-').next().unwrap_or_default()
    }

    /// Orders packages by age, oldest first.
    pub(super) fn by_age(&self, other: &Package) -> Ordering {
        natural(self.upstream(), other.upstream()).then(natural(&self.name, &other.name))
    }

    /// Whether this is what stands for it in a name, flavour apart: a suite, a
    /// release, the version of a package, or the beginning of such.
    fn is(&self, wanted: &str) -> bool {
        let begins = |text: &str| {
            let rest = text.strip_prefix(wanted);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '+', '-', '~']))
        };
        let release = self.parts().map(|(release, _)| release);
        match is_suite(wanted) {
            true => self.suites.iter().any(|suite| suite == wanted),
            false => begins(&self.version) || release.is_some_and(begins),
        }
    }
}

/// Whether what a name says is a suite's, which begins with a letter; releases
/// do not.
pub(super) fn is_suite(wanted: &str) -> bool {
    wanted.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// What a name says and the flavour that it asks for: the cloud flavour, which
/// is the smallest, unless another is named.
pub(super) fn parse(name: &str) -> (&str, &'static str) {
    let split = FLAVOURS.iter().find_map(|(flavour, short)| {
        let rest = name.strip_suffix(flavour).or_else(|| name.strip_suffix(short))?;
        Some((rest.strip_suffix('-')?, *flavour))
    });
    split.unwrap_or((name, FLAVOURS[0].0))
}

/// The newest of these that a name stands for. They stand oldest first.
pub(super) fn best<'p>(packages: &'p [Package], name: &str) -> Option<&'p Package> {
    let (wanted, flavour) = parse(name);
    let fits = |package: &&Package| {
        package.is(wanted) && package.parts().is_some_and(|(_, own)| own == flavour)
    };
    let exact = packages.iter().find(|package| package.name == name);
    exact.or_else(|| packages.iter().rfind(fits))
}

/// What comes near a name that stands for nothing, as the end of a sentence.
pub(super) fn near(packages: &[Package], name: &str) -> String {
    let (wanted, flavour) = parse(name);
    let major = wanted.split(['.', '-']).next().unwrap_or(wanted);
    let newest = |wanted: &str, flavour: &str| {
        let of = |package: &&Package| {
            package.is(wanted) && package.parts().is_some_and(|(_, own)| own == flavour)
        };
        packages.iter().rfind(of).map(|package| package.name.as_str())
    };
    let same = packages.iter().rfind(|package| package.is(wanted));
    if let Some(other) = same {
        return format!("; of flavour {flavour} there is none, but there is {}", other.name);
    }
    match newest(major, FLAVOURS[0].0) {
        Some(newest) => format!("; the newest of {major}.x is {newest}"),
        None => "; `unotify-lab kernels list --available` shows what there is".to_owned(),
    }
}

/// Compares names with numbers in them as people do: 6.9 before 6.12.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
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

    fn packages() -> Vec<Package> {
        let table = [
            ("5.10.0-9-cloud-amd64", "5.10.70-1", "bullseye-security"),
            ("5.10.0-46-cloud-amd64", "5.10.262-1", "bullseye-security"),
            ("5.10.0-46-rt-amd64", "5.10.262-1", "bullseye-security"),
            ("6.1.0-56-cloud-amd64", "6.1.192-2", "bookworm,bookworm-security"),
            ("6.12.9+deb13-cloud-amd64", "6.12.9-1", "trixie"),
            ("6.12.101+deb12-cloud-amd64", "6.12.101-1~deb12u1", "bookworm-security"),
            ("6.12.117+deb13-cloud-amd64", "6.12.117-1", "trixie,trixie-security"),
            ("6.12.117+deb13-amd64", "6.12.117-1", "trixie,trixie-security"),
            ("7.2.12+deb13-cloud-amd64", "7.2.12-1~bpo13+1", "trixie-backports"),
            ("7.2.13+deb14-cloud-amd64", "7.2.13-1", "sid"),
            ("7.2.13+deb14-rt-amd64", "7.2.13-1", "sid"),
        ];
        let of = |(name, version, suites): (&str, &str, &str)| {
            Package::of_line(&format!("{name}\t{version}\t{suites}")).expect("it is a line")
        };
        let mut packages: Vec<Package> = table.into_iter().rev().map(of).collect();
        packages.sort_by(Package::by_age);
        packages
    }

    #[rstest]
    #[case::series("5.10", Some("5.10.0-46-cloud-amd64"))]
    #[case::newest_by_number("6.12", Some("6.12.117+deb13-cloud-amd64"))]
    #[case::not_another_series("6.1", Some("6.1.0-56-cloud-amd64"))]
    #[case::major("7", Some("7.2.13+deb14-cloud-amd64"))]
    #[case::flavour("6.12-amd64", Some("6.12.117+deb13-amd64"))]
    #[case::flavour_in_short("6.12-plain", Some("6.12.117+deb13-amd64"))]
    #[case::real_time("5.10-rt-amd64", Some("5.10.0-46-rt-amd64"))]
    #[case::real_time_in_short("5.10-rt", Some("5.10.0-46-rt-amd64"))]
    #[case::exact("6.12.9+deb13-cloud-amd64", Some("6.12.9+deb13-cloud-amd64"))]
    #[case::upstream("6.1.192", Some("6.1.0-56-cloud-amd64"))]
    #[case::upstream_is_no_beginning("6.1.19", None)]
    #[case::version("6.1.192-2", Some("6.1.0-56-cloud-amd64"))]
    #[case::backport("7.2.12-1~bpo13+1", Some("7.2.12+deb13-cloud-amd64"))]
    #[case::version_and_flavour("7.2.13-1-rt", Some("7.2.13+deb14-rt-amd64"))]
    #[case::suite("trixie-backports", Some("7.2.12+deb13-cloud-amd64"))]
    #[case::suite_whole("trixie", Some("6.12.117+deb13-cloud-amd64"))]
    #[case::newest_of_a_suite("bookworm-security", Some("6.12.101+deb12-cloud-amd64"))]
    #[case::suite_and_flavour("sid-rt", Some("7.2.13+deb14-rt-amd64"))]
    #[case::suite_without("trixie-backports-rt", None)]
    #[case::none("4.19", None)]
    fn names_stand_for_kernels(#[case] name: &str, #[case] expected: Option<&str>) {
        let packages = packages();
        assert_eq!(best(&packages, name).map(|package| package.name.as_str()), expected);
    }

    #[rstest]
    #[case::patch("6.12.4", "the newest of 6.x is 6.12.117+deb13-cloud-amd64")]
    #[case::flavour("6.1-rt", "of flavour rt-amd64 there is none, but there is 6.1.0-56-cloud")]
    #[case::nothing("4.19", "kernels list --available")]
    fn what_is_not_there_has_neighbours(#[case] name: &str, #[case] expected: &str) {
        let near = near(&packages(), name);
        assert!(near.contains(expected), "{near}");
    }

    #[test]
    fn a_table_reads_back() {
        for package in packages() {
            assert_eq!(Package::of_line(&package.to_line()), Some(package));
        }
    }
}
