//! The JSON Schemas of `docs/schema/` are those that the command prints, and
//! what the tool reads and writes fits them.
//!
//! `UPDATE_DOCUMENTATION=1 cargo test --test schemas` writes them anew.

use std::fs;
use std::path::Path;
use std::process::Command;

use jsonschema::Validator;
use rstest::rstest;
use serde_json::Value;
use unotify_lab::suite::Catalogue;

fn lab(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_unotify-lab"))
        .args(arguments)
        .output()
        .expect("the command starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the output is text")
}

fn validator(of: &str) -> Validator {
    let schema: Value = serde_json::from_str(&lab(&["schema", of])).expect("it is JSON");
    assert!(jsonschema::meta::is_valid(&schema), "{of}: no JSON Schema");
    jsonschema::validator_for(&schema).expect("it is a schema")
}

fn wrong(validator: &Validator, value: &Value) -> Vec<String> {
    let told =
        |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
    validator.iter_errors(value).map(told).collect()
}

#[rstest]
fn the_schemas_are_fresh(
    #[values("scenario", "trace", "record", "matrix", "report", "cost", "probe")] of: &str,
) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
    let path = folder.join(format!("{of}.json"));
    let printed = lab(&["schema", of]);
    if std::env::var_os("UPDATE_DOCUMENTATION").is_some() {
        fs::create_dir_all(&folder).expect("the folder can be made");
        fs::write(&path, printed).expect("the schema can be written");
    } else {
        let stored = fs::read_to_string(&path).expect("the schema is there");
        assert_eq!(stored, printed, "run with UPDATE_DOCUMENTATION=1");
    }
}

#[test]
fn a_record_and_its_traces_fit() {
    let text = lab(&["run", "recv", "signals", "trace", "--format", "json"]);
    let mut record: Value = serde_json::from_str(&text).expect("it is JSON");
    let records = validator("record");
    assert_eq!(wrong(&records, &record), Vec::<String>::new());
    let traces = validator("trace");
    let mut count = 0;
    for case in record["cases"].as_array().expect("cases") {
        if !case["trace"].is_null() {
            assert_eq!(wrong(&traces, &case["trace"]), Vec::<String>::new());
            count += 1;
        }
    }
    assert!(count > 50, "only {count} traces");
    record["format"] = 2.into();
    record["cases"][0]["verdict"] = "confirms".into();
    let found = wrong(&records, &record);
    assert!(found.iter().any(|error| error.starts_with("/format")), "{found:?}");
    assert!(found.iter().any(|error| error.starts_with("/cases/0/verdict")), "{found:?}");
}

/// The published records, and what is made of them and of this kernel.
#[rstest]
#[case::matrix("matrix", &["matrix", "--from", "RECORDS", "--format", "json"], "/facts/0/standing/0")]
#[case::report(
    "report",
    &["report", "RECORDS", "--costs", "COST", "--format", "json"],
    "/themes/0/scenarios/0/cases/0/variants/0"
)]
#[case::probe("probe", &["probe", "--json"], "/facts/0/holds")]
fn what_the_command_writes_fits(#[case] of: &str, #[case] arguments: &[&str], #[case] place: &str) {
    let reports = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports");
    let named = |name: &str| reports.join(name).to_str().expect("it is text").to_owned();
    let (records, cost) = (named("records"), named("cost.json"));
    let arguments: Vec<&str> = arguments
        .iter()
        .map(|one| match *one {
            "RECORDS" => records.as_str(),
            "COST" => cost.as_str(),
            other => other,
        })
        .collect();
    let mut value: Value = serde_json::from_str(&lab(&arguments)).expect("it is JSON");
    let schema = validator(of);
    assert_eq!(wrong(&schema, &value), Vec::<String>::new());
    // And it is no schema that anything fits.
    value["format"] = 99.into();
    *value.pointer_mut(place).expect("it is there") = "perhaps".into();
    let found = wrong(&schema, &value);
    assert!(found.iter().any(|error| error.starts_with("/format")), "{found:?}");
    assert!(found.iter().any(|error| error.starts_with(place)), "{found:?}");
    value.as_object_mut().expect("it is an object").remove("facts");
    let found = wrong(&schema, &value);
    assert!(found.iter().any(|error| error.contains("facts")), "{found:?}");
}

#[test]
fn the_published_costs_fit() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/cost.json");
    let text = fs::read_to_string(path).expect("it is there");
    let value: Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(wrong(&validator("cost"), &value), Vec::<String>::new());
}

#[test]
fn every_scenario_of_the_catalogue_fits() {
    let scenarios = validator("scenario");
    let catalogue = Catalogue::built_in().expect("the catalogue is sound");
    assert!(!catalogue.files.is_empty());
    for file in &catalogue.files {
        let value: Value = toml::from_str(&file.text).expect("it is TOML");
        assert_eq!(wrong(&scenarios, &value), Vec::<String>::new(), "{}", file.path);
    }
}

#[rstest]
#[case::unknown_key("summary='s'\nsumary='s'\n[schedule]\nsteps=''", "sumary")]
#[case::unknown_need("summary='s'\nneeds=['wings']\n[schedule]\nsteps=''", "/needs/0")]
#[case::no_steps("summary='s'\n[schedule]", "steps")]
#[case::a_number("summary=1\n[schedule]\nsteps=''", "/summary")]
#[case::large_buffer("summary='s'\n[buffers]\nb=70000\n[schedule]\nsteps=''", "/buffers/b")]
#[case::wrong_filter("summary='s'\n[target.T]\nfilters=[3]\n[schedule]\nsteps=''", "/target/T")]
fn a_wrong_scenario_does_not_fit(#[case] text: &str, #[case] expected: &str) {
    let value: Value = toml::from_str(text).expect("it is TOML");
    let found = wrong(&validator("scenario"), &value);
    assert!(found.iter().any(|error| error.contains(expected)), "{found:?}");
    assert!(unotify_lab::scenario::parse("t/t", "t.toml", text).is_err());
}
