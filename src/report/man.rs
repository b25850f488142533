//! Manual pages of documents that are written in Markdown.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use roff::{Inline, Roff, bold, italic, roman};

/// What a manual page needs besides its text.
#[derive(Clone, Copy, Debug)]
pub struct ManPage<'a> {
    /// Its name, as in `unotify-lab-scenario`.
    pub name: &'a str,
    /// Its section, as in `5`.
    pub section: &'a str,
    /// What it is about, in some words.
    pub summary: &'a str,
    /// Other pages, as in `seccomp(2)`.
    pub see_also: &'a [&'a str],
}

/// A document as a manual page: what stands under the title is its
/// description, and the first column of a table holds the terms.
pub fn man_page(page: ManPage<'_>, markdown: &str) -> String {
    let mut writer = Writer::default();
    let source = concat!("unotify-lab ", env!("CARGO_PKG_VERSION"));
    // Lines that hold a long word cannot be adjusted.
    writer.roff.control("ad", ["l"]);
    writer.section("NAME");
    writer.roff.text([roman(format!("{} - {}", page.name, page.summary))]);
    writer.section("DESCRIPTION");
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        writer.event(event);
    }
    writer.section("SEE ALSO");
    writer.roff.text([roman(page.see_also.join(", "))]);
    // Its date is left empty, which the writer cannot say.
    let head = format!(".TH {} {} \"\" \"{source}\"\n", page.name, page.section);
    head + &writer.roff.to_roff()
}

#[derive(Default)]
struct Writer {
    roff: Roff,
    /// What stands in the block that is read now.
    inlines: Vec<Inline>,
    /// How deep in bold and in italic text.
    strong: usize,
    emphasis: usize,
    /// Whether this is the page's title, which has its own line.
    title: bool,
    /// Whether these are the heads of a table's columns.
    head: bool,
    /// The number of the cell in its row.
    cell: usize,
    code: bool,
}

impl Writer {
    fn section(&mut self, title: &str) {
        self.roff.control("SH", [title.to_uppercase().as_str()]);
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.strong > 0 => self.inlines.push(bold(text.as_ref())),
            Event::Text(text) if self.emphasis > 0 => self.inlines.push(italic(text.as_ref())),
            Event::Text(text) => self.inlines.push(roman(text.as_ref())),
            Event::Code(text) => self.inlines.push(bold(text.as_ref())),
            Event::SoftBreak | Event::HardBreak => self.inlines.push(roman(" ")),
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => self.title = *level == HeadingLevel::H1,
            Tag::Paragraph => {
                self.roff.control("PP", []);
            }
            Tag::Item => {
                self.roff.control("IP", ["\\(bu", "2"]);
            }
            Tag::CodeBlock(_) => {
                self.code = true;
                self.roff.control("PP", []);
                self.roff.control("RS", ["4"]);
                self.roff.control("EX", []);
            }
            Tag::TableHead => self.head = true,
            Tag::TableRow => self.cell = 0,
            Tag::TableCell if !self.head && self.cell == 0 => {
                self.roff.control("TP", []);
            }
            Tag::Strong => self.strong += 1,
            Tag::Emphasis => self.emphasis += 1,
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => {
                let text: String = self.inlines.drain(..).map(|inline| plain(&inline)).collect();
                if !self.title {
                    self.section(&text);
                }
            }
            TagEnd::CodeBlock => {
                self.block();
                self.roff.control("EE", []);
                self.roff.control("RE", []);
                self.code = false;
            }
            TagEnd::TableHead => self.head = false,
            TagEnd::TableCell if self.head => self.inlines.clear(),
            TagEnd::TableCell => {
                self.cell += 1;
                self.block();
            }
            TagEnd::Paragraph | TagEnd::Item => self.block(),
            TagEnd::Strong => self.strong -= 1,
            TagEnd::Emphasis => self.emphasis -= 1,
            _ => {}
        }
    }

    /// Writes what was gathered.
    fn block(&mut self) {
        if !self.inlines.is_empty() {
            let inlines = std::mem::take(&mut self.inlines);
            self.roff.text(inlines);
        }
    }
}

fn plain(inline: &Inline) -> String {
    match inline {
        Inline::Roman(text) | Inline::Bold(text) | Inline::Italic(text) => text.clone(),
        Inline::LineBreak => " ".to_owned(),
    }
}
