//! Reads filters: rules, or assembly.

use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;

use super::file::Builder;
use super::raw::{Many, RawFilter, RawRule};
use super::{Filter, FilterBody, Span};
use crate::filter::{Action, Rule, Rules, SyntaxError};

impl Builder {
    pub(super) fn filter(&mut self, raw: &RawFilter, place: Range<usize>) -> Filter {
        let single = !raw.on.0.is_empty() || raw.action.is_some() || !raw.when.0.is_empty();
        let bodies = usize::from(raw.asm.is_some())
            + usize::from(!raw.rules.is_empty())
            + usize::from(single);
        // A filter that treats all calls alike has a default and no rule.
        let same_for_all = bodies == 0 && raw.default.is_some();
        if bodies != 1 && !same_for_all {
            let message = format!("a filter has one program, not {bodies}");
            self.mistake(place.clone(), message, "either on/when/do, or rules, or asm");
        }
        let body = match &raw.asm {
            Some(text) => {
                if let Err(error) = crate::bpf::assemble(text.get_ref()) {
                    // Escapes in the string would shift places: tell them
                    // within the string only where there are none.
                    let at = text.span();
                    let quotes = if at.len() >= text.get_ref().len() + 6 { 3 } else { 1 };
                    let from = at.start + quotes;
                    let place = from + error.span.start..from + error.span.end;
                    self.mistake(place, error.message, error.expected.unwrap_or_default());
                }
                FilterBody::Assembly(text.get_ref().clone())
            }
            None => {
                let mut rules: Vec<Rule> =
                    raw.rules.iter().filter_map(|rule| self.rule(rule)).collect();
                if single {
                    let row = RawRule {
                        on: raw.on.clone(),
                        when: raw.when.clone(),
                        arch: raw.arch.clone(),
                        action: raw.action.clone(),
                    };
                    rules.extend(self.rule(&Spanned::new(place.clone(), row)));
                }
                let default = raw
                    .default
                    .as_ref()
                    .and_then(|action| self.parsed::<Action>(action))
                    .unwrap_or(Action::Allow);
                FilterBody::Rules(Rules { rules, default })
            }
        };
        Filter {
            body,
            flags: raw.flags.as_ref().and_then(|flags| self.value(flags)),
            listener: raw.listener.as_ref().map(|name| self.name(name)),
            via_prctl: match raw.via.as_ref().map(|via| (via.get_ref().as_str(), via.span())) {
                None | Some(("seccomp", _)) => false,
                Some(("prctl", _)) => true,
                Some((other, span)) => {
                    let message = format!("unknown way {other:?} to install a filter");
                    self.mistake(span, message, "seccomp or prctl");
                    false
                }
            },
            span: Span(place),
        }
    }

    fn rule(&mut self, raw: &Spanned<RawRule>) -> Option<Rule> {
        let span = raw.span();
        let raw = raw.get_ref();
        let Some(action) = &raw.action else {
            self.mistake(span, "a rule says what to `do`".to_owned(), "do = \"ACTION\"");
            return None;
        };
        Some(Rule {
            on: self.all_parsed(&raw.on),
            arch: match &raw.arch {
                Some(arch) => self.parsed(arch)?,
                None => Default::default(),
            },
            when: self.all_parsed(&raw.when),
            action: self.parsed(action)?,
        })
    }

    fn all_parsed<T: FromStr<Err = SyntaxError>>(&mut self, texts: &Many) -> Vec<T> {
        texts.0.iter().filter_map(|text| self.parsed(text)).collect()
    }

    fn parsed<T: FromStr<Err = SyntaxError>>(&mut self, text: &Spanned<String>) -> Option<T> {
        match text.get_ref().parse() {
            Ok(value) => Some(value),
            Err(error) => {
                // Within the quotes, and to the closing one at most.
                let (start, end) = (text.span().start + 1, text.span().end);
                let place = start + error.span.start..(start + error.span.end).min(end);
                self.mistake(place, error.message, error.expected.unwrap_or_default());
                None
            }
        }
    }
}
