//! Texts that others may have written.

use super::{Divergence, Oracle, Trouble, kind};
use crate::generate::from_bytes;
use crate::scenario::{Scenario, parse};
use crate::suite::RunRecord;

/// Scenario files.
pub(super) struct ScenarioText;

/// Stored results.
pub(super) struct RecordText;

impl Oracle for ScenarioText {
    fn check(
        &mut self,
        bytes: &[u8],
        seen: &mut dyn FnMut(u64),
    ) -> Result<Option<Divergence>, Trouble> {
        if let Ok(text) = std::str::from_utf8(bytes)
            && let Ok(scenarios) = parse("fuzz/case", "fuzz/case", text)
        {
            seen(kind(scenarios.len()));
            if let Some(divergence) = scenarios.iter().find_map(reads_back) {
                return Ok(Some(divergence));
            }
        }
        let mut made: Scenario = from_bytes(bytes);
        made.id = "fuzz/case".to_owned();
        made.summary = "Made of bytes".to_owned();
        Ok(reads_back(&made))
    }
}

/// What is printed reads back as what prints the same, or this diverges.
fn reads_back(scenario: &Scenario) -> Option<Divergence> {
    let text = scenario.to_string();
    let again = match parse("fuzz/case", "fuzz/case", &text) {
        Ok(again) => again,
        Err(mistakes) => return Some(Divergence(format!("{text}\nis not read back: {mistakes}"))),
    };
    let texts: Vec<String> = again.iter().map(ToString::to_string).collect();
    (texts != [text.as_str()])
        .then(|| Divergence(format!("{text}\nreads back as\n{}", texts.join("\n"))))
}

impl Oracle for RecordText {
    fn check(
        &mut self,
        bytes: &[u8],
        seen: &mut dyn FnMut(u64),
    ) -> Result<Option<Divergence>, Trouble> {
        let Ok(text) = std::str::from_utf8(bytes) else { return Ok(None) };
        let Ok(record) = RunRecord::read(text) else { return Ok(None) };
        seen(kind(record.repeat));
        let print = |record: &RunRecord| {
            serde_json::to_string(record).map_err(|error| Trouble(error.to_string()))
        };
        let printed = print(&record)?;
        let again = match RunRecord::read(&printed) {
            Ok(again) => print(&again)?,
            Err(error) => return Ok(Some(Divergence(format!("{printed}\n{error}")))),
        };
        Ok((again != printed).then(|| Divergence(format!("{printed}\nreads back as\n{again}"))))
    }
}
