//! Writes a scenario as the file that reads back as it.

use std::fmt::{self, Write};

use super::value::{Value, quoted};
use super::{
    Act, Actor, Buffer, Callee, Entry, Filter, FilterBody, Namespace, Operation, Policy, Role,
    Scenario, StackEntry, Step, Transfer,
};
use crate::filter::Arch;

impl fmt::Display for Callee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Callee::Named(call) => call.fmt(f),
            Callee::Number(number) => write!(f, "#{number}"),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.act {
            Act::Call { entry, call, args } => {
                match entry {
                    Entry::Native => {}
                    Entry::Int80 => f.write_str("int80 ")?,
                    Entry::X32 => f.write_str("x32 ")?,
                }
                write!(f, "{call}(")?;
                for (index, arg) in args.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{}", arg.value)?;
                }
                f.write_char(')')?;
            }
            Act::Verb { verb, operands, options } => {
                f.write_str(verb.signature().word)?;
                for operand in operands {
                    write!(f, " {}", operand.value)?;
                }
                for (key, value) in options {
                    write!(f, " {key}={}", value.value)?;
                }
            }
        }
        match &self.binds {
            Some(name) => write!(f, " as {name}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.together {
            f.write_str("| ")?;
        }
        for (index, operation) in self.operations.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            if let Some(label) = &operation.label {
                write!(f, "{label}: ")?;
            }
            if let Some(actor) = self.actor.as_ref().filter(|_| index == 0) {
                write!(f, "{actor}: ")?;
            }
            write!(f, "{operation}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "summary = {}", string(&self.summary))?;
        writeln!(f, "behaviours = {}", strings(&self.behaviours))?;
        if !self.facts.is_empty() {
            writeln!(f, "facts = {}", strings(&self.facts))?;
        }
        if !self.needs.is_empty() {
            writeln!(f, "needs = {}", strings(self.needs.iter().map(|need| need.word())))?;
        }
        if !self.held.is_empty() {
            writeln!(f, "held = {}", strings(self.held.iter().map(|held| &held.value)))?;
        }
        if !self.buffers.is_empty() {
            writeln!(f, "\n[buffers]")?;
            for (name, buffer) in &self.buffers {
                match &buffer.value {
                    Buffer::Text(text) => writeln!(f, "{name} = {}", string(text))?,
                    Buffer::Size(size) => writeln!(f, "{name} = {size}")?,
                }
            }
        }
        for (name, filter) in &self.filters {
            writeln!(f, "\n[filter.{name}]")?;
            for (key, value) in filter_fields(filter) {
                writeln!(f, "{key} = {value}")?;
            }
        }
        for actor in &self.actors {
            writeln!(f)?;
            actor_table(f, actor)?;
        }
        writeln!(f, "\n[schedule]\nsteps = '''")?;
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        writeln!(f, "'''")
    }
}

fn actor_table(f: &mut fmt::Formatter<'_>, actor: &Actor) -> fmt::Result {
    writeln!(f, "[{}.{}]", actor.role.word(), actor.name)?;
    if actor.no_new_privs != (actor.role == Role::Target) {
        writeln!(f, "no_new_privs = {}", actor.no_new_privs)?;
    }
    if !actor.filters.is_empty() {
        writeln!(f, "filters = [")?;
        for entry in &actor.filters {
            match entry {
                StackEntry::Named(name) => writeln!(f, "    {},", string(name))?,
                StackEntry::Inline(filter) => {
                    let fields: Vec<String> = filter_fields(filter)
                        .into_iter()
                        .map(|(key, value)| format!("{key} = {value}"))
                        .collect();
                    writeln!(f, "    {{ {} }},", fields.join(", "))?;
                }
            }
        }
        writeln!(f, "]")?;
    }
    if !actor.handlers.is_empty() {
        let handlers: Vec<String> = actor
            .handlers
            .iter()
            .map(|(signal, flags)| format!("{signal} = {}", string(&flags.to_string())))
            .collect();
        writeln!(f, "handlers = {{ {} }}", handlers.join(", "))?;
    }
    for (key, names) in
        [("ignored", &actor.ignored), ("blocked", &actor.blocked), ("keeps", &actor.keeps)]
    {
        if !names.is_empty() {
            writeln!(f, "{key} = {}", strings(names))?;
        }
    }
    if let Some(listeners) = &actor.listeners {
        writeln!(f, "listeners = {}", strings(listeners))?;
    }
    if actor.via == Transfer::ScmRights {
        writeln!(f, "via = \"scm_rights\"")?;
    }
    if let Some(user) = actor.user {
        writeln!(f, "user = {user}")?;
    }
    if actor.no_capabilities {
        writeln!(f, "no_capabilities = true")?;
    }
    if let Some(cpu) = actor.cpu {
        writeln!(f, "cpu = {cpu}")?;
    }
    if let Some(policy) = actor.policy {
        writeln!(f, "policy = {}", string(policy.word()))?;
    }
    if !actor.namespaces.is_empty() {
        writeln!(f, "namespaces = {}", strings(actor.namespaces.iter().map(|space| space.word())))?;
    }
    Ok(())
}

impl Policy {
    /// The policy's word in a file.
    pub fn word(self) -> &'static str {
        match self {
            Policy::Fifo => "fifo",
            Policy::Idle => "idle",
        }
    }
}

impl Namespace {
    /// The namespace's word in a file.
    pub fn word(self) -> &'static str {
        match self {
            Namespace::User => "user",
            Namespace::Pid => "pid",
            Namespace::Mount => "mount",
        }
    }
}

/// The fields of a filter's table, each value as TOML.
fn filter_fields(filter: &Filter) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    match &filter.body {
        FilterBody::Assembly(text) => fields.push(("asm", string(text))),
        FilterBody::Rules(rules) => {
            let rows: Vec<String> = rules
                .rules
                .iter()
                .map(|rule| {
                    let mut parts = Vec::new();
                    if !rule.on.is_empty() {
                        parts.push(format!("on = {}", strings(&rule.on)));
                    }
                    if rule.arch != Arch::default() {
                        parts.push(format!("arch = {}", string(&rule.arch.to_string())));
                    }
                    if !rule.when.is_empty() {
                        parts.push(format!("when = {}", strings(&rule.when)));
                    }
                    parts.push(format!("do = {}", string(&rule.action.to_string())));
                    format!("{{ {} }}", parts.join(", "))
                })
                .collect();
            fields.push(("rules", format!("[{}]", rows.join(", "))));
            fields.push(("default", string(&rules.default.to_string())));
        }
    }
    if let Some(flags) = &filter.flags {
        fields.push(("flags", string(&flags.to_string())));
    }
    if let Some(listener) = &filter.listener {
        fields.push(("listener", string(listener)));
    }
    if filter.via_prctl {
        fields.push(("via", string("prctl")));
    }
    fields
}

/// A TOML string: over several lines where that reads better and is exact.
fn string(text: &str) -> String {
    let plain = text.chars().all(|c| c == '\n' || !c.is_control());
    if text.contains('\n') && plain && !text.contains("'''") && !text.ends_with('\'') {
        return format!("'''\n{text}'''");
    }
    // JSON's escapes are TOML's, but for DEL.
    let quoted = serde_json::to_string(text).expect("a string is plain data");
    quoted.replace('\u{7f}', "\\u007F")
}

fn strings<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| string(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

impl Value {
    /// The value as bytes would be quoted, for messages.
    pub(crate) fn quote(bytes: &[u8]) -> String {
        let mut text = String::new();
        quoted(&mut text, bytes).expect("writing to a string cannot fail");
        text
    }
}
