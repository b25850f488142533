//! The published reports are what their records give, and hold together.
//!
//! `UPDATE_DOCUMENTATION=1 cargo test --test reports` writes them anew.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rstest::rstest;
use scraper::{ElementRef, Html, Selector};
use unotify_lab::report::book::{self, Book};
use unotify_lab::report::cost::read_costs;
use unotify_lab::suite::{Catalogue, RunRecord, Selection, read_records};
use unotify_lab::verdict::{Difference, Standing, Verdict};

static REPORTS: LazyLock<PathBuf> =
    LazyLock::new(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("reports"));

fn book(records: Vec<RunRecord>) -> Book {
    let catalogue = Catalogue::built_in().expect("the catalogue is well formed");
    let scenarios = catalogue.select(&Selection::default()).expect("its scenarios are");
    Book::of(records, &scenarios, &catalogue.documents)
}

/// The book that is published.
fn published() -> Book {
    let costs = read_costs(&REPORTS.join("cost.json")).expect("it is there");
    Book { costs: Some(costs), ..book(records()) }
}

fn records() -> Vec<RunRecord> {
    read_records(&REPORTS.join("records")).expect("the records are there")
}

fn page() -> Html {
    Html::parse_document(&book::html(&published()))
}

fn all<'p>(page: &'p Html, selector: &str) -> Vec<ElementRef<'p>> {
    page.select(&Selector::parse(selector).expect("a selector")).collect()
}

fn text(element: ElementRef<'_>) -> String {
    element.text().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn published_reports_are_what_the_records_give() {
    let book = published();
    let mut files = vec![("index.html".to_owned(), book::html(&book))];
    let pages = book::markdown(&book).into_iter();
    files.extend(pages.map(|page| (format!("{}.md", page.name), page.text)));
    for (name, fresh) in files {
        let path = REPORTS.join(&name);
        if std::env::var_os("UPDATE_DOCUMENTATION").is_some() {
            fs::write(&path, fresh).expect("the report can be written");
        } else {
            let stored = fs::read_to_string(&path).unwrap_or_default();
            // The difference itself would fill the screen.
            assert!(stored == fresh, "reports/{name}: run with UPDATE_DOCUMENTATION=1");
        }
    }
}

#[test]
fn the_page_is_whole_and_its_links_lead_somewhere() {
    let text = book::html(&published());
    assert!(text.len() < 5_000_000, "{} bytes", text.len());
    let page = Html::parse_document(&text);
    let mut ids = HashSet::new();
    for element in all(&page, "[id]") {
        let id = element.attr("id").expect("it has one");
        assert!(ids.insert(id), "two elements are called {id:?}");
    }
    for element in all(&page, "[href], [src]") {
        for name in ["href", "src"] {
            let Some(link) = element.attr(name) else { continue };
            match link.strip_prefix('#') {
                Some(id) => assert!(ids.contains(id), "{link} leads nowhere"),
                None => assert_eq!(link, "data:,", "the page needs nothing else"),
            }
        }
    }
    for (list, name) in [("[aria-labelledby]", "aria-labelledby"), ("label[for]", "for")] {
        for element in all(&page, list) {
            let id = element.attr(name).expect("it has one");
            assert!(ids.contains(id), "{name}={id:?}");
        }
    }
    assert!(all(&page, "th:not([scope])").is_empty(), "every head of a table says of what");
    assert_eq!(all(&page, "main").len(), 1);
    assert!(all(&page, "svg[role=img]:not([aria-label])").is_empty());
}

#[rstest]
#[case::before("6.1.192", "blocks")]
#[case::after("7.2.13", "ENOENT")]
fn what_recv_does_after_the_last_exit_is_a_click_away(#[case] kernel: &str, #[case] outcome: &str) {
    let page = page();
    let link = all(&page, "#changes ~ div a[href='#recv.after-last-exit']");
    assert_eq!(link.len(), 1, "the changes lead to it");
    let steps: Vec<String> =
        all(&page, "[id='recv.after-last-exit'] dl.steps dd").into_iter().map(text).collect();
    let told = steps.iter().find(|step| step.starts_with(outcome) && step.contains(kernel));
    assert!(told.is_some(), "{steps:?}");
    let article = |within: &str| {
        all(&page, &format!("[id='recv.after-last-exit'] {within}")).into_iter().map(text)
    };
    assert_eq!(article("figure svg").len(), 2, "a drawing for each of the two ways");
    let version = kernel.rsplit_once('.').expect("a release").0;
    let series = if version == "7.2" { "6.12" } else { "5.10" };
    let command = format!("unotify-lab vm run --kernel debian:{series} -v recv/after-last-exit");
    assert!(article("code.command").any(|one| one == command), "{command}");
    let claim = "seccomp_unotify(2), BUGS";
    let claims: Vec<String> = article("ul.short li").collect();
    let told = claims.iter().find(|one| one.contains(claim)).expect("the manual page's sentence");
    assert!(told.ends_with("✓ ✓ ✗ ✗ ✗ ✗ ✗ ✗") || told.ends_with("✓✓✗✗✗✗✗✗"), "{told}");
}

#[test]
fn a_behaviour_has_the_facts_behind_it_with_their_commits() {
    let page = page();
    let told: Vec<String> =
        all(&page, "[id='recv.after-last-exit'] ul.short li").into_iter().map(text).collect();
    let fact = told.iter().find(|one| one.contains("95036a79e7b5")).expect("the commit is told");
    assert!(fact.contains("mainline since 6.11"), "{fact}");
    assert!(fact.contains("5.10.262 to 6.1.192: no; 6.12.118 to 7.2.13: yes"), "{fact}");
    // What changed says why, and leads to the fact.
    let link = "#changes ~ div a.why[href='#fact-recv-ends-when-last-user-exits']";
    assert!(!all(&page, link).is_empty());
    // Columns name kernels that were run, and no others.
    for head in all(&page, "table.changes thead th").into_iter().map(text) {
        let kernel = head.strip_prefix("on ");
        let known =
            kernel.is_none_or(|name| published().kernels.iter().any(|one| one.kernel.name == name));
        assert!(known, "{head}");
    }
}

#[test]
fn findings_are_marked_and_found() {
    let mut records = records();
    let scenario = "recv/after-last-exit";
    let last = records.last_mut().expect("there are some");
    let case = last.cases.iter_mut().find(|case| case.scenario == scenario).expect("it was run");
    let difference =
        Difference { line: 3, expected: "end: S: recv L  ENOENT".into(), seen: "EINVAL".into() };
    case.verdict = Verdict::Diverges(difference);
    let claim = last.claims.iter_mut().find(|one| one.standing == Standing::Held);
    claim.expect("one holds").standing = Standing::Failed { seen: "EINVAL".into() };
    let book = book(records);
    assert_eq!(book.findings().len(), 2);
    let page = Html::parse_document(&book::html(&book));
    let first = |selector: &str| all(&page, selector).first().copied().map(text);
    assert_eq!(first("nav a[href='#findings']").as_deref(), Some("2 findings"));
    let told = first("#findings ~ ul li").expect("it is listed");
    assert!(told.starts_with("recv/after-last-exit on 7.2.13: diverges at line 3"), "{told}");
    let there = all(&page, "#findings ~ ul a[href='#recv.after-last-exit']");
    let back = all(&page, "[id='recv.after-last-exit'] .finding a[href='#findings']");
    assert_eq!((there.len(), back.len()), (1, 1));
    let command = "unotify-lab vm run --kernel debian:7.2 -v recv/after-last-exit";
    let mut commands = all(&page, "[id='recv.after-last-exit'] code.command").into_iter();
    assert!(commands.any(|one| text(one) == command), "the kernel's own command");
    assert_eq!(all(&page, ".matrix tr.found").len(), 1);
    assert_eq!(all(&page, ".matrix tr.found td b.bad").len(), 1, "the cell is marked");
    let changes = &book::markdown(&book)[0].text;
    assert!(changes.contains("* `recv/after-last-exit` on 7.2.13: diverges at line 3"));
    // And there is nothing of it where there is no finding.
    let plain = Html::parse_document(&book::html(&published()));
    assert!(all(&plain, "#findings, #found, .finding, a[href='#findings']").is_empty());
}

#[test]
fn ten_kernels_fit_into_five_million_bytes() {
    let mut records = records();
    for number in 0.. {
        if records.len() >= 10 {
            break;
        }
        let mut another = records[number].clone();
        another.kernel.release.push_str("-another");
        records.push(another);
    }
    let costs = read_costs(&REPORTS.join("cost.json")).expect("it is there");
    let text = book::html(&Book { costs: Some(costs), ..book(records) });
    assert!(text.len() < 5_000_000, "{} bytes", text.len());
}

#[test]
fn nothing_in_a_record_becomes_markup() {
    let evil = "<script>alert(1)</script>\" onload='x' `*_[a](b)";
    let mut record = records().remove(0);
    record.kernel.release = evil.to_owned();
    record.kernel.version = evil.to_owned();
    let case = &mut record.cases[0];
    case.scenario = format!("evil/{evil}");
    case.behaviours = vec![evil.to_owned()];
    let trace = case.trace.as_mut().expect("it has a trace");
    trace.events[0].text = evil.to_owned();
    trace.events[0].actor = Some(evil.to_owned());
    trace.events[0].label = Some(evil.to_owned());
    let book = book(vec![record]);
    let page = Html::parse_document(&book::html(&book));
    assert_eq!(all(&page, "script").len(), 1, "the page's own");
    assert!(all(&page, "[onload]").is_empty());
    for page in book::markdown(&book) {
        let outside = page.text.lines().filter(|line| !line.starts_with("    "));
        for line in outside.filter(|line| line.contains("<script>")) {
            let fenced = line.split('`').skip(1).any(|part| part.contains("<script>"));
            assert!(fenced || line.contains("\\<script"), "{line}");
        }
    }
}

#[test]
fn every_kernel_alone_and_no_kernel_twice_can_be_reported() {
    for record in records() {
        let book = book(vec![record]);
        assert!(book.changes().is_empty());
        assert!(book::html(&book).contains("All of these kernels did the same."));
    }
}

#[test]
fn other_forms_say_the_same() {
    let book = published();
    let rst = book::rst(&book);
    assert!(
        rst.contains("Changed between 6.1.192 and 6.12.118\n------------------------------------")
    );
    assert!(rst.contains("``end: S: recv L``\\ : ``blocks``\\  → ``ENOENT``"));
    let man = book::man(&book);
    assert!(man.contains(".SH \"CHANGED BETWEEN 6.1.192 AND 6.12.118\""));
    let data: serde_json::Value = serde_json::to_value(&book).expect("a book is plain data");
    assert_eq!(data["kernels"].as_array().map(Vec::len), Some(book.kernels.len()));
}

#[rstest]
#[case::newer("{\"format\":2}", "a record of costs of format 2; this tool reads 1")]
#[case::other("{\"format\":1}", "missing field")]
fn costs_of_another_form_are_refused(#[case] text: &str, #[case] told: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cost.json");
    fs::write(&path, text).expect("it is written");
    let error = read_costs(&path).expect_err("it is refused").to_string();
    assert!(error.contains("cost.json: ") && error.contains(told), "{error}");
}

#[test]
fn costs_are_drawn_and_told() {
    let page = page();
    assert_eq!(all(&page, "[aria-labelledby=costs] figure svg[role=img]").len(), 3);
    let told: Vec<&str> = all(&page, "[aria-labelledby=costs] figure svg[role=img]")
        .into_iter()
        .filter_map(|svg| svg.attr("aria-label"))
        .collect();
    assert!(told.iter().all(|told| told.contains(" for 4")), "{told:?}");
}

#[test]
fn a_race_is_shown_on_two_processors() {
    let shown = |id: &str| {
        let page = page();
        let commands = all(&page, &format!("[id='{id}'] code.command")).into_iter().map(text);
        commands.collect::<Vec<_>>()
    };
    let race = "unotify-lab vm run --kernel debian:5.10 --cpus 2 -v races/two-replies";
    assert_eq!(shown("races.two-replies"), [race]);
    assert!(shown("recv.basic").iter().all(|command| !command.contains("--cpus")));
}

#[test]
fn each_way_of_a_race_has_its_count_on_each_kernel() {
    let page = page();
    let kernels = book(records()).kernels.len();
    let tables = all(&page, "table.ways");
    assert!(tables.len() > 10, "{} races", tables.len());
    for row in all(&page, "table.ways tbody tr") {
        let cells = row.select(&Selector::parse("td").expect("a selector")).count();
        assert_eq!(cells, kernels, "{}", text(row));
    }
}
