//! The catalogue on the oldest and the newest kernel, in virtual machines, and
//! what goes wrong with kernels.
//!
//! It needs QEMU and kernels that were fetched before
//! (`unotify-lab kernels fetch debian:5.10 debian:7.2`). Without them the tests
//! are listed as ignored, with the reason; with `UNOTIFY_LAB_KERNELS=required`
//! they fail.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};
use unotify_lab::suite::{FactStanding, Matrix, RunRecord, read_records};
use unotify_lab::verdict::Verdict;
use unotify_lab::vm::{Archive, KernelImage};

fn main() {
    let arguments = Arguments::from_args();
    let trials = vec![
        needs(&["5.10", "7.2"], "matrix_of_the_oldest_this_and_the_newest", |images| {
            matrix_conforms(&images[0], &images[1])
        }),
        needs(&["5.10"], "guest_killed_in_the_middle", |images| guest_killed(&images[0])),
        needs(&["5.10"], "package_as_kernel", |images| package(&images[0])),
        needs(&["5.10"], "cut_off_image", |images| cut_off_image(&images[0])),
        with_apt("mirror_answers_404", mirror_404),
        with_apt("mirror_is_not_signed", mirror_unsigned),
        with_apt("unwritable_cache", || {
            let place = ["--kernel", "debian:6.1", "--cache", "/proc/no-such-folder"];
            refused(&place, 2, "/proc/no-such-folder")
        }),
        with_apt("damaged_package", || {
            file(
                "kernel",
                "!<arch>\ndebian-binary   1445",
                "kernel: no Debian package, or a damaged one",
            )
        }),
        Trial::test("not_a_package", || {
            file("kernel.deb", "no archive", "kernel.deb: not a bzImage, but something else")
        }),
        Trial::test("uncompressed_kernel", || {
            file("vmlinux", "\x7fELF\x02\x01", "name arch/x86/boot/bzImage of the kernel's tree")
        }),
        Trial::test("not_a_kernel", || {
            refused(&["--kernel", "Cargo.toml"], 2, "Cargo.toml: not a bzImage")
        }),
        Trial::test("no_such_file", || {
            refused(&["--kernel", "/no/such/image"], 2, "/no/such/image: No such file")
        }),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

/// A test that boots the newest cached kernel of each series; ignored with the
/// reason where that cannot be done, unless it is required.
fn needs(
    series: &[&str],
    test: &str,
    run: impl FnOnce(&[KernelImage]) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let cached = Archive::new(None, None).cached().unwrap_or_default();
    let newest = |series: &&str| {
        let of_series = |image: &&KernelImage| {
            image.name.starts_with(&format!("{series}.")) && image.name.ends_with("-cloud-amd64")
        };
        let image = cached.iter().rfind(of_series).cloned();
        image.ok_or(format!("no kernel {series} in the cache"))
    };
    let images: Result<Vec<KernelImage>, String> = series.iter().map(newest).collect();
    let images = images.and_then(|images| starts("qemu-system-x86_64").map(|()| images));
    match images {
        Ok(images) => Trial::test(test, move || run(&images)),
        Err(why) => lacking(test, why),
    }
}

/// A test of what apt and dpkg say.
fn with_apt(test: &str, run: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    match starts("apt-get").and_then(|()| starts("dpkg-deb")) {
        Ok(()) => Trial::test(test, run),
        Err(why) => lacking(test, why),
    }
}

fn starts(program: &str) -> Result<(), String> {
    let started = Command::new(program).arg("--version").stdout(Stdio::null()).status();
    started.map(drop).map_err(|_| format!("no {program}"))
}

fn lacking(test: &str, why: String) -> Trial {
    if std::env::var_os("UNOTIFY_LAB_KERNELS").is_some_and(|value| value == "required") {
        Trial::test(test, move || Err(why.into()))
    } else {
        let kind = format!("not run: {why}");
        Trial::test(test, || Ok(())).with_kind(kind).with_ignored_flag(true)
    }
}

fn lab(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unotify-lab"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn told(output: &Output) -> String {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}: {out}{err}", output.status)
}

fn matrix_conforms(oldest: &KernelImage, newest: &KernelImage) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_str().ok_or("not text")?;
    let (oldest, newest) = (format!("debian:{}", oldest.name), format!("debian:{}", newest.name));
    let output =
        lab(&["matrix", "--kernel", &oldest, "--kernel", &newest, "--output", path]).output()?;
    if output.status.code() != Some(0) {
        return Err(told(&output).into());
    }
    let records = read_records(folder.path())?;
    records.iter().try_for_each(conforms)?;
    let matrix = Matrix::of(records);
    if matrix.kernels.len() != 3 {
        return Err(format!("kernels: {:?}", matrix.kernels).into());
    }
    let column = |series: &str| {
        let found = matrix.kernels.iter().position(|kernel| kernel.name.starts_with(series));
        found.ok_or(format!("no kernel {series}: {:?}", matrix.kernels))
    };
    let (old, new) = (column("5.10.")?, column("7.2.")?);
    for fact in ["recv-ends-when-last-user-exits", "released-at-exit", "addfd-send", "set-flags"] {
        let row = matrix.facts.iter().find(|row| row.fact == fact).ok_or("no such fact")?;
        let standing = (row.standing[old], row.standing[new]);
        if standing != (FactStanding::Fails, FactStanding::Holds) {
            return Err(format!("{fact}: {standing:?}").into());
        }
    }
    let case = matrix.cases.iter().find(|case| case.scenario == "recv/after-last-exit");
    let step = case.and_then(|case| case.steps.first()).ok_or("RECV's end does not differ")?;
    let told = |kernel: usize| step.outcomes[kernel].as_ref().map(ToString::to_string);
    let seen = (told(old), told(new));
    let seen = (seen.0.as_deref(), seen.1.as_deref());
    if seen != (Some("blocks"), Some("ENOENT")) {
        return Err(format!("{}: {seen:?}", step.step).into());
    }
    Ok(())
}

fn conforms(record: &RunRecord) -> Result<(), Failed> {
    for case in &record.cases {
        match &case.verdict {
            Verdict::Conforms | Verdict::Backported(_) | Verdict::Skipped(_) => {}
            other => {
                let release = &record.kernel.release;
                return Err(format!("{} on {release}: {other:?}", case.scenario).into());
            }
        }
    }
    Ok(())
}

/// QEMU is killed once there is a result: it is told, the kernel is booted
/// again, and nothing is missing.
fn guest_killed(image: &KernelImage) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let qemu = folder.path().join("qemu-system-x86_64");
    std::fs::write(&qemu, QEMU_KILLED_AT_A_RESULT)?;
    std::fs::set_permissions(&qemu, Permissions::from_mode(0o755))?;
    let path = std::env::var("PATH")?;
    let kernel = format!("debian:{}", image.name);
    let output = lab(&["vm", "run", "--accelerator", "tcg", "--kernel", &kernel, "recv"])
        .args(["--repeat", "6", "--format", "json"])
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .env("PATH_TO_QEMU", &path)
        .output()?;
    if output.status.code() != Some(0) {
        return Err(told(&output).into());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    // What decides facts is run first, so it may be one of those scenarios.
    if !complaint.contains("QEMU was killed by SIGKILL, while ") {
        return Err(format!("it is not told: {complaint}").into());
    }
    let record: RunRecord = serde_json::from_slice(&output.stdout)?;
    conforms(&record)
}

/// Stands for QEMU, and is it but for this: the first machine is killed with
/// its first result.
const QEMU_KILLED_AT_A_RESULT: &str = r#"#!/bin/sh
itself="$0"
PATH="$PATH_TO_QEMU"
mkdir "$itself.first" 2>/dev/null || exec qemu-system-x86_64 "$@"
mkfifo "$itself.line"
qemu-system-x86_64 "$@" >"$itself.line" &
while read -r line; do
    printf '%s\n' "$line"
    case "$line" in '{"result":'*) kill -9 $! $$ ;; esac
done <"$itself.line"
"#;

/// A package works as a kernel, whatever it is called; half of one is refused.
fn package(image: &KernelImage) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (root, deb) = (folder.path().join("root"), folder.path().join("package"));
    std::fs::create_dir_all(root.join("DEBIAN"))?;
    std::fs::create_dir_all(root.join("boot"))?;
    std::fs::copy(&image.path, root.join("boot/vmlinuz-test"))?;
    let control = "Package: linux-image-test\nVersion: 1\nArchitecture: amd64\n\
                   Maintainer: nobody <nobody@example.org>\nDescription: a kernel\n";
    std::fs::write(root.join("DEBIAN/control"), control)?;
    let built = Command::new("dpkg-deb")
        .args(["-Zgzip", "-z1", "--root-owner-group", "--build"])
        .args([&root, &deb])
        .stdout(Stdio::null())
        .status()?;
    if !built.success() {
        return Err(format!("dpkg-deb: {built}").into());
    }
    let cache = folder.path().join("cache");
    let text = |path: &Path| path.to_str().map(str::to_owned).ok_or("not text");
    let (deb_text, cache) = (text(&deb)?, text(&cache)?);
    let bisect = ["--accelerator", "tcg", "--bisect", "--fact", "addfd-send", "--cache", &cache];
    let output = lab(&["vm", "run", "--kernel", &deb_text]).args(bisect).output()?;
    if (output.status.code(), output.stdout.as_slice()) != (Some(0), b"good\n") {
        return Err(told(&output).into());
    }
    let whole = std::fs::read(&deb)?;
    let cut = folder.path().join("cut");
    std::fs::write(&cut, &whole[..whole.len() / 2])?;
    let expected = "cut: no Debian package, or a damaged one";
    refused(&["--kernel", &text(&cut)?, "--cache", &cache], 2, expected)
}

/// It is no image, and a bisection cannot tell of a build that was broken off.
fn cut_off_image(image: &KernelImage) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("bzImage");
    let whole = std::fs::read(&image.path)?;
    std::fs::write(&path, &whole[..whole.len() / 3])?;
    let path = path.to_str().ok_or("not text")?;
    let arguments = ["--accelerator", "tcg", "--kernel", path];
    refused(&arguments, 2, "bzImage: a bzImage that is cut off: ")?;
    let bisect = [&arguments[..], &["--bisect", "--scenario", "recv/after-last-exit"]].concat();
    refused(&bisect, 125, "cannot tell: ")
}

/// A file of this name with this in it is refused so.
fn file(name: &str, contents: &str, expected: &str) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(name);
    std::fs::write(&path, contents)?;
    refused(&["--kernel", path.to_str().ok_or("not text")?], 2, expected)
}

fn mirror_404() -> Result<(), Failed> {
    let mirror = mirror(|_| None)?;
    let folder = tempfile::tempdir()?;
    let cache = folder.path().to_str().ok_or("not text")?;
    let arguments = ["--kernel", "debian:6.1", "--cache", cache, "--mirror", &mirror];
    refused(&arguments, 3, "the Debian archive cannot be read; see --mirror")?;
    refused(&arguments, 3, "does not have a Release file")
}

/// One that has all suites, and signatures that nobody we know has made: two
/// ways, as apt asks for both.
fn mirror_unsigned() -> Result<(), Failed> {
    let release = "Origin: Debian\nSuite: none\nCodename: none\nArchitectures: amd64\n\
                   Components: main\nDate: Sat, 01 Jan 2022 00:00:00 UTC\n";
    let mirror = mirror(move |path| {
        let there = path.ends_with("/InRelease") || path.ends_with("/Release");
        there.then(|| release.to_owned())
    })?;
    let folder = tempfile::tempdir()?;
    let cache = folder.path().to_str().ok_or("not text")?;
    let arguments = ["--kernel", "debian:6.1", "--cache", cache, "--mirror", &mirror];
    refused(&arguments, 3, "the Debian archive cannot be read; see --mirror")?;
    refused(&arguments, 3, "is not signed")
}

/// Serves an archive, of which `content` knows the files; its address.
fn mirror(
    content: impl Fn(&str) -> Option<String> + Send + 'static,
) -> Result<String, std::io::Error> {
    let server = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}/debian", server.local_addr()?);
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = [0; 4096];
            let len = stream.read(&mut request).unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..len]).into_owned();
            let (status, body) = match content(request.split(' ').nth(1).unwrap_or_default()) {
                Some(body) => ("200 OK", body),
                None => ("404 Not Found", String::new()),
            };
            let len = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    Ok(address)
}

/// `vm run` ends with this status, and a message that names the place.
fn refused(arguments: &[&str], status: i32, expected: &str) -> Result<(), Failed> {
    let output = lab(&["vm", "run"]).args(arguments).output()?;
    let told = told(&output);
    if output.status.code() == Some(status) && told.contains(expected) {
        Ok(())
    } else {
        Err(told.into())
    }
}
