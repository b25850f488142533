//! The published report in a real browser: no error on its console, filters
//! work, what a link leads to is open. Where there is no Chromium the tests
//! are shown as ignored; `UNOTIFY_LAB_BROWSER=required` makes that a failure.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};
use scraper::{Html, Selector};

const NAMES: &[&str] = &["chromium", "chromium-browser", "google-chrome", "chrome"];

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let places = NAMES.iter().flat_map(|name| folders.iter().map(move |dir| dir.join(name)));
    places.into_iter().find(|place| place.is_file())
}

/// The report of the published records, whatever it looks like by now.
fn page(folder: &Path) -> Result<PathBuf, Failed> {
    let reports = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports");
    let page = folder.join("index.html");
    let status = Command::new(env!("CARGO_BIN_EXE_unotify-lab"))
        .arg("report")
        .arg(reports.join("records"))
        .arg("--costs")
        .arg(reports.join("cost.json"))
        .args(["--format", "html", "--output"])
        .arg(&page)
        .status()?;
    if status.success() { Ok(page) } else { Err("there is no report".into()) }
}

/// The page as the browser has it after its scripts ran, with these words after
/// its name; a message on its console is an error.
fn opened(browser: &Path, after: &str) -> Result<Html, Failed> {
    let profile = tempfile::tempdir()?;
    let page = page(profile.path())?;
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update"])
        .args(["--disable-sync", "--enable-logging=stderr", "--virtual-time-budget=5000"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg("--dump-dom")
        .arg(format!("file://{}{after}", page.display()))
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    if told.contains("Page load failed") {
        return Err(format!("{} cannot be opened", page.display()).into());
    }
    if let Some(line) = told.lines().find(|line| line.contains("CONSOLE")) {
        return Err(format!("on the console: {line}").into());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    match text.contains("</html>") {
        true => Ok(Html::parse_document(&text)),
        false => Err("the browser shows nothing".into()),
    }
}

fn count(page: &Html, selector: &str) -> usize {
    page.select(&Selector::parse(selector).expect("a selector")).count()
}

fn check(holds: bool, what: &str) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(what.into()) }
}

const ROWS: &str = ".matrix tbody tr";
const SHOWN: &str = ".matrix tbody tr:not([hidden])";

fn all_rows(browser: &Path) -> Result<(), Failed> {
    let page = opened(browser, "")?;
    check(count(&page, "#filters:not([hidden])") == 1, "the filters are there")?;
    check(count(&page, ROWS) > 600, "the matrix has all scenarios")?;
    check(count(&page, ROWS) == count(&page, SHOWN), "nothing is left out at first")
}

fn filters(browser: &Path) -> Result<(), Failed> {
    let page = opened(browser, "?theme=recv&changed=1")?;
    let shown = count(&page, SHOWN);
    check(shown > 0 && shown < 30, "few scenarios of recv changed")?;
    let of_recv = count(&page, ".matrix tbody tr.changed[data-theme=recv]");
    check(shown == of_recv, "all that are shown are of recv and changed")
}

fn pair(browser: &Path) -> Result<(), Failed> {
    // The last two kernels differ in less than the first and the last.
    let near = opened(browser, "?a=6&b=7&changed=1")?;
    let far = opened(browser, "?a=0&b=7&changed=1")?;
    check(count(&near, SHOWN) < count(&far, SHOWN), "a pair is compared")?;
    let cells = count(&near, ".matrix thead th:not([hidden])");
    check(cells == 3, "only the pair's columns are shown")
}

fn link(browser: &Path) -> Result<(), Failed> {
    let page = opened(browser, "#poll.hup-of-zombie")?;
    check(count(&page, "[id='poll.hup-of-zombie'] > details.seen[open]") == 1, "it is open")
}

type Test = fn(&Path) -> Result<(), Failed>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let browser = browser();
    let required = std::env::var_os("UNOTIFY_LAB_BROWSER").is_some_and(|value| value == "required");
    let left_out = browser.is_none() && !required;
    let tests: &[(&str, Test)] =
        &[("all_rows", all_rows), ("filters", filters), ("pair", pair), ("link", link)];
    let trials = tests.iter().map(|(name, test)| {
        let (browser, test) = (browser.clone(), *test);
        let run = move || test(&browser.ok_or("there is no Chromium in PATH")?);
        let name = if left_out { format!("{name} (no Chromium)") } else { (*name).to_owned() };
        Trial::test(name, run).with_ignored_flag(left_out)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
