//! Texts that others may have written.

use super::{Oracle, kind};
use crate::generate::from_bytes;
use crate::scenario::{Scenario, parse};
use crate::suite::RunRecord;

/// Scenario files.
pub(super) struct ScenarioText;

/// Stored results.
pub(super) struct RecordText;

impl Oracle for ScenarioText {
    fn check(&mut self, bytes: &[u8], seen: &mut dyn FnMut(u64)) -> Result<(), String> {
        if let Ok(text) = std::str::from_utf8(bytes)
            && let Ok(scenarios) = parse("fuzz/case", "fuzz/case", text)
        {
            seen(kind(scenarios.len()));
            scenarios.iter().try_for_each(reads_back)?;
        }
        let mut made: Scenario = from_bytes(bytes);
        made.id = "fuzz/case".to_owned();
        made.summary = "Made of bytes".to_owned();
        reads_back(&made)
    }
}

/// What is printed reads back as what prints the same.
fn reads_back(scenario: &Scenario) -> Result<(), String> {
    let text = scenario.to_string();
    let again = parse("fuzz/case", "fuzz/case", &text)
        .map_err(|mistakes| format!("{text}\nis not read back: {mistakes}"))?;
    match again.as_slice() {
        [again] if again.to_string() == text => Ok(()),
        others => {
            let texts: Vec<String> = others.iter().map(ToString::to_string).collect();
            Err(format!("{text}\nreads back as\n{}", texts.join("\n")))
        }
    }
}

impl Oracle for RecordText {
    fn check(&mut self, bytes: &[u8], seen: &mut dyn FnMut(u64)) -> Result<(), String> {
        let Ok(text) = std::str::from_utf8(bytes) else { return Ok(()) };
        let Ok(record) = RunRecord::read(text) else { return Ok(()) };
        seen(kind(record.repeat));
        let printed = serde_json::to_string(&record).map_err(|error| error.to_string())?;
        let again = RunRecord::read(&printed).map_err(|error| format!("{printed}\n{error}"))?;
        let again = serde_json::to_string(&again).map_err(|error| error.to_string())?;
        if again == printed { Ok(()) } else { Err(format!("{printed}\nreads back as\n{again}")) }
    }
}
