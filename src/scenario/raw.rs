//! The tables of a scenario file as TOML has them, before they mean anything.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

/// A table whose entries keep their places.
pub(super) type Table<T> = BTreeMap<Spanned<String>, T>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    pub summary: String,
    #[serde(default)]
    pub behaviours: Vec<String>,
    #[serde(default)]
    pub facts: Vec<String>,
    #[serde(default)]
    pub needs: Vec<Spanned<String>>,
    #[serde(default)]
    pub held: Vec<String>,
    #[serde(default)]
    pub each: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub buffers: Table<RawBuffer>,
    #[serde(default)]
    pub filter: Table<Spanned<RawFilter>>,
    #[serde(default)]
    pub target: Table<RawActor>,
    #[serde(default)]
    pub supervisor: Table<RawActor>,
    #[serde(default)]
    pub tracer: Table<RawActor>,
    pub schedule: RawSchedule,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSchedule {
    pub steps: Spanned<String>,
    /// In which orders the steps are taken, if not in the file's.
    pub orders: Option<Spanned<RawOrders>>,
}

/// `"all"`, or a number: so many at the most.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RawOrders {
    All,
    Most(u32),
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawActor {
    pub no_new_privs: Option<bool>,
    #[serde(default)]
    pub filters: Vec<Spanned<RawEntry>>,
    #[serde(default)]
    pub handlers: Table<Spanned<String>>,
    #[serde(default)]
    pub ignored: Vec<Spanned<String>>,
    #[serde(default)]
    pub blocked: Vec<Spanned<String>>,
    pub listeners: Option<Vec<String>>,
    #[serde(default)]
    pub keeps: Vec<String>,
    pub via: Option<Spanned<String>>,
    pub user: Option<u32>,
    #[serde(default)]
    pub no_capabilities: bool,
    pub cpu: Option<u32>,
    pub policy: Option<Spanned<String>>,
    #[serde(default)]
    pub namespaces: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFilter {
    #[serde(default)]
    pub on: Many,
    #[serde(default)]
    pub when: Many,
    pub arch: Option<Spanned<String>>,
    #[serde(rename = "do")]
    pub action: Option<Spanned<String>>,
    #[serde(default)]
    pub rules: Vec<Spanned<RawRule>>,
    pub default: Option<Spanned<String>>,
    pub asm: Option<Spanned<String>>,
    pub flags: Option<Spanned<String>>,
    pub listener: Option<Spanned<String>>,
    pub via: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    #[serde(default)]
    pub on: Many,
    #[serde(default)]
    pub when: Many,
    pub arch: Option<Spanned<String>>,
    #[serde(rename = "do")]
    pub action: Option<Spanned<String>>,
}

/// A string, or a list of strings.
#[derive(Clone, Default)]
pub(super) struct Many(pub Vec<Spanned<String>>);

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

pub(super) enum RawBuffer {
    Text(String),
    Size(u32),
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
