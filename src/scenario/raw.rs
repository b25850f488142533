//! The tables of a scenario file as TOML has them, before they mean anything.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

/// The JSON Schema of a scenario file: what TOML has of it. Steps, actions and
/// conditions are strings there.
pub fn schema() -> Schema {
    schemars::schema_for!(RawFile)
}

fn needs() -> serde_json::Value {
    let words: Vec<&str> = super::Need::ALL.iter().map(|(_, word, _)| *word).collect();
    serde_json::json!({ "enum": words })
}

/// A table whose entries keep their places.
pub(super) type Table<T> = BTreeMap<Spanned<String>, T>;

/// A scenario file of unotify-lab.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Scenario")]
pub(super) struct RawFile {
    /// What is shown, in a sentence.
    pub summary: String,
    /// Names of the behaviours that it decides.
    #[serde(default)]
    pub behaviours: Vec<String>,
    /// Kernel facts that its trace depends on.
    #[serde(default)]
    pub facts: Vec<String>,
    /// What must be there, else it is skipped.
    #[serde(default)]
    #[schemars(with = "Vec<String>", extend("items" = needs()))]
    pub needs: Vec<Spanned<String>>,
    /// Names of pages on which the kernel's own accesses wait.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub held: Vec<Spanned<String>>,
    /// Parameters with their values: one scenario for each combination.
    #[serde(default)]
    pub each: BTreeMap<String, Vec<String>>,
    /// Memory with a name: a string, or a size in bytes.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawBuffer>")]
    pub buffers: Table<RawBuffer>,
    /// Filters for stacks and for `install`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawFilter>")]
    pub filter: Table<Spanned<RawFilter>>,
    /// Who is filtered.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawActor>")]
    pub target: Table<RawActor>,
    /// Who takes all listeners.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawActor>")]
    pub supervisor: Table<RawActor>,
    /// Who traces.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawActor>")]
    pub tracer: Table<RawActor>,
    /// What happens.
    pub schedule: RawSchedule,
}

/// The order in which they act.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Schedule")]
pub(super) struct RawSchedule {
    /// The script, a turn a line.
    #[schemars(with = "String")]
    pub steps: Spanned<String>,
    /// In which orders the steps are taken, if not in the file's.
    #[schemars(with = "Option<RawOrders>")]
    pub orders: Option<Spanned<RawOrders>>,
}

/// `"all"`, or a number: so many at the most.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RawOrders {
    All,
    Most(u32),
}

impl JsonSchema for RawOrders {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Orders".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "All orders of the steps, or so many at the most.",
            "anyOf": [{ "const": "all" }, { "type": "integer", "minimum": 1 }],
        })
    }
}

impl<'de> Deserialize<'de> for RawOrders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AllOrMost;
        impl Visitor<'_> for AllOrMost {
            type Value = RawOrders;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("\"all\" or a number from 1 on")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<RawOrders, E> {
                match word {
                    "all" => Ok(RawOrders::All),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
                }
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<RawOrders, E> {
                let most = u32::try_from(number).ok().filter(|most| *most > 0);
                let wrong = || E::invalid_value(serde::de::Unexpected::Signed(number), &self);
                most.map(RawOrders::Most).ok_or_else(wrong)
            }
        }
        deserializer.deserialize_any(AllOrMost)
    }
}

/// Who takes part.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Actor")]
pub(super) struct RawActor {
    /// Whether it sets no_new_privs; true for targets.
    pub no_new_privs: Option<bool>,
    /// Installed before the first step, the oldest first.
    #[serde(default)]
    #[schemars(with = "Vec<RawEntry>")]
    pub filters: Vec<Spanned<RawEntry>>,
    /// Signals and the flags of their handlers.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub handlers: Table<Spanned<String>>,
    /// Signals.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub ignored: Vec<Spanned<String>>,
    /// Signals.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub blocked: Vec<Spanned<String>>,
    /// Those that it takes.
    pub listeners: Option<Vec<String>>,
    /// Listeners of which it keeps its descriptor.
    #[serde(default)]
    pub keeps: Vec<String>,
    /// How it takes listeners: `pidfd_getfd` or `scm_rights`.
    #[schemars(with = "Option<String>")]
    pub via: Option<Spanned<String>>,
    /// A user id.
    pub user: Option<u32>,
    /// Whether it drops all capabilities.
    #[serde(default)]
    pub no_capabilities: bool,
    /// The processor to which it is bound.
    pub cpu: Option<u32>,
    /// `fifo` or `idle`.
    #[schemars(with = "Option<String>")]
    pub policy: Option<Spanned<String>>,
    /// `user`, `pid`, `mount`.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub namespaces: Vec<Spanned<String>>,
}

/// A filter: one rule, rules, or assembly.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Filter")]
pub(super) struct RawFilter {
    /// Calls, by name or #number.
    #[serde(default)]
    pub on: Many,
    /// Conditions, all of which must hold.
    #[serde(default)]
    pub when: Many,
    /// `x86_64`, `i386` or `x32`.
    #[schemars(with = "Option<String>")]
    pub arch: Option<Spanned<String>>,
    /// An action, such as ERRNO(EPERM) or USER_NOTIF.
    #[serde(rename = "do")]
    #[schemars(with = "Option<String>")]
    pub action: Option<Spanned<String>>,
    /// Rules, of which the first that fits counts.
    #[serde(default)]
    #[schemars(with = "Vec<RawRule>")]
    pub rules: Vec<Spanned<RawRule>>,
    /// The action where no rule fits.
    #[schemars(with = "Option<String>")]
    pub default: Option<Spanned<String>>,
    /// Classic BPF as bpf_asm reads it.
    #[schemars(with = "Option<String>")]
    pub asm: Option<Spanned<String>>,
    /// Flags of seccomp(2).
    #[schemars(with = "Option<String>")]
    pub flags: Option<Spanned<String>>,
    /// The name of its listener; installs with NEW_LISTENER.
    #[schemars(with = "Option<String>")]
    pub listener: Option<Spanned<String>>,
    /// `seccomp` or `prctl`.
    #[schemars(with = "Option<String>")]
    pub via: Option<Spanned<String>>,
}

/// A rule of a filter.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rule")]
pub(super) struct RawRule {
    /// Calls, by name or #number.
    #[serde(default)]
    pub on: Many,
    /// Conditions, all of which must hold.
    #[serde(default)]
    pub when: Many,
    /// `x86_64`, `i386` or `x32`.
    #[schemars(with = "Option<String>")]
    pub arch: Option<Spanned<String>>,
    /// An action, such as ERRNO(EPERM) or USER_NOTIF.
    #[serde(rename = "do")]
    #[schemars(with = "Option<String>")]
    pub action: Option<Spanned<String>>,
}

/// A string, or a list of strings.
#[derive(Clone, Default)]
pub(super) struct Many(pub Vec<Spanned<String>>);

impl JsonSchema for Many {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Many".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A string, or a list of strings.",
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
        })
    }
}

impl<'de> Deserialize<'de> for Many {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Vec<Spanned<String>>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(vec![Spanned::new(0..0, text.to_owned())])
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element()? {
                    all.push(one);
                }
                Ok(all)
            }
        }
        // The span is that of the whole value: a single string has no other.
        struct Whole(Vec<Spanned<String>>);
        impl<'de> Deserialize<'de> for Whole {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(OneOrMany).map(Whole)
            }
        }
        let whole = Spanned::<Whole>::deserialize(deserializer)?;
        let span = whole.span();
        let placed = whole.into_inner().0.into_iter().map(|one| {
            if one.span().is_empty() { Spanned::new(span.clone(), one.into_inner()) } else { one }
        });
        Ok(Many(placed.collect()))
    }
}

/// A string, or a size in bytes.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "Buffer")]
pub(super) enum RawBuffer {
    Text(String),
    Size(#[schemars(range(max = 65536))] u32),
}

impl<'de> Deserialize<'de> for RawBuffer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrSize;
        impl Visitor<'_> for TextOrSize {
            type Value = RawBuffer;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string, or a size of at most 65536 bytes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RawBuffer, E> {
                Ok(RawBuffer::Text(text.to_owned()))
            }

            fn visit_i64<E: Error>(self, size: i64) -> Result<RawBuffer, E> {
                match u32::try_from(size) {
                    Ok(size) if size <= 65536 => Ok(RawBuffer::Size(size)),
                    _ => Err(E::custom("a buffer has at most 65536 bytes")),
                }
            }
        }
        deserializer.deserialize_any(TextOrSize)
    }
}

/// The name of a filter, or a filter.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "Entry")]
pub(super) enum RawEntry {
    Named(String),
    Inline(Box<RawFilter>),
}

impl<'de> Deserialize<'de> for RawEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrTable;
        impl<'de> Visitor<'de> for NameOrTable {
            type Value = RawEntry;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("the name of a [filter.…], or a filter in { }")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<RawEntry, E> {
                Ok(RawEntry::Named(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawEntry, A::Error> {
                let filter = RawFilter::deserialize(MapAccessDeserializer::new(map))?;
                Ok(RawEntry::Inline(Box::new(filter)))
            }
        }
        deserializer.deserialize_any(NameOrTable)
    }
}
