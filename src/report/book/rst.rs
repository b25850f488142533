//! The book as reStructuredText, for the kernel's documentation.

use pulldown_cmark::{Event, HeadingLevel, Parser, Tag, TagEnd};

use super::{Book, markdown};

/// All pages, one after another.
pub fn rst(book: &Book) -> String {
    let mut writer = Writer::default();
    for page in markdown(book) {
        for event in Parser::new(&page.text) {
            writer.event(event);
        }
    }
    writer.out
}

#[derive(Default)]
struct Writer {
    out: String,
    /// What stands in the block that is read now.
    block: String,
    /// How many lists it is in.
    depth: usize,
    /// Whether the block is the first of an item of a list.
    begins: bool,
    literal: bool,
}

impl Writer {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(Tag::List(_)) => {
                self.flush();
                self.depth += 1;
            }
            Event::End(TagEnd::List(_)) => {
                self.depth -= 1;
                self.out.push('\n');
            }
            Event::Start(Tag::Item) => self.begins = true,
            Event::End(TagEnd::Item | TagEnd::Paragraph) => self.flush(),
            Event::End(TagEnd::Heading(level)) => self.heading(level),
            Event::Start(Tag::CodeBlock(_)) => {
                self.out.push_str("::\n\n");
                self.literal = true;
            }
            Event::End(TagEnd::CodeBlock) => {
                for line in std::mem::take(&mut self.block).lines() {
                    self.out.push_str(&format!("    {line}\n"));
                }
                self.out.push('\n');
                self.literal = false;
            }
            Event::Text(text) if self.literal => self.block.push_str(&text),
            Event::Text(text) => self.block.push_str(&escaped(&text)),
            Event::Code(text) => self.block.push_str(&code(&text)),
            Event::SoftBreak | Event::HardBreak => self.block.push(' '),
            _ => {}
        }
    }

    fn flush(&mut self) {
        let block = std::mem::take(&mut self.block);
        if block.is_empty() {
            return;
        }
        if self.depth == 0 {
            self.out.push_str(&format!("{block}\n\n"));
            return;
        }
        let indent = "  ".repeat(self.depth - 1);
        if std::mem::take(&mut self.begins) {
            // A list inside another one stands apart from its head.
            let apart = if self.depth > 1 { "\n" } else { "" };
            self.out.push_str(&format!("{apart}{indent}* {block}\n"));
        } else {
            self.out.push_str(&format!("\n{indent}  {block}\n"));
        }
    }

    fn heading(&mut self, level: HeadingLevel) {
        let title = std::mem::take(&mut self.block);
        let line = match level {
            HeadingLevel::H1 => "=",
            HeadingLevel::H2 => "-",
            HeadingLevel::H3 => "~",
            _ => "^",
        };
        self.out.push_str(&format!("{title}\n{}\n\n", line.repeat(title.chars().count())));
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\*`_|".contains(c) {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}

/// A literal; what follows at once would not end it.
fn code(text: &str) -> String {
    match text.trim() == text && !text.is_empty() && !text.contains('`') {
        true => format!("``{text}``\\ "),
        false => escaped(text),
    }
}
