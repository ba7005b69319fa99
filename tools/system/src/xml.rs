// SPDX-License-Identifier: MIT
//! XML text to [`Element`]s: well-formed, without a DTD, of no namespace but ours, of bounded size.
use crate::element::{Attribute, Element, Position};
use crate::problem::Problems;
use roxmltree::{Document, Error, Node, NodeType, ParsingOptions};

/// Orion's XML namespace.
pub const NAMESPACE: &str = "urn:orion-storage:1";
/// Most bytes of a `system.xml`.
const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting of elements: a bound for everything that walks the tree.
const MAX_DEPTH: usize = 32;

/// The root element of `system.xml`, or of the description that is built upon (`base`), or `None` where the text is not well-formed; what is wrong is added to `problems`.
pub fn parse(text: &str, base: bool, problems: &mut Problems) -> Option<Element> {
    let places = Places::new(text, base);
    if text.len() > MAX_BYTES {
        problems.add(places.at(0), "the file is larger than 1 MiB", "split the system or remove what it does not need");
        return None;
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: 100_000, ..ParsingOptions::default() };
    match Document::parse_with_options(text, options) {
        Ok(document) => {
            let mut walk = Walk { places, problems, too_deep: false };
            let root = walk.element(document.root_element(), 0);
            if walk.too_deep { None } else { root }
        }
        Err(error) => {
            let (what, remedy) = explain(&error);
            problems.add(places.of(&error), what, remedy);
            None
        }
    }
}

/// Turns byte offsets into positions; the parser's own way reads the text from its start each time.
struct Places<'a> {
    text: &'a str,
    /// Byte offset of each line's start.
    lines: Vec<usize>,
    /// Whether this is the text that is built upon.
    base: bool,
}

impl<'a> Places<'a> {
    fn new(text: &'a str, base: bool) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        Self { text, lines, base }
    }

    fn at(&self, byte: usize) -> Position {
        let line = self.lines.partition_point(|start| *start <= byte);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = self.text.get(start..byte).unwrap_or("").chars().count() + 1;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Position { base: self.base, line: number(line), column: number(column) }
    }

    /// Byte offset of the first tag that is neither a comment nor a processing instruction.
    fn first_tag(&self) -> usize {
        let mut at = 0;
        while let Some(tag) = self.text.get(at..).and_then(|rest| rest.find('<')) {
            at += tag;
            let rest = self.text.get(at..).unwrap_or("");
            let skip = [("<!--", "-->"), ("<?", "?>")].into_iter().find(|(begin, _)| rest.starts_with(begin));
            let Some(length) = skip.and_then(|(_, end)| rest.find(end)) else { break };
            at += length;
        }
        at
    }

    /// Where an error is; the parser does not say it of them all.
    fn of(&self, error: &Error) -> Position {
        match error {
            Error::DtdDetected => self.at(self.first_tag()),
            Error::UnclosedRootNode | Error::UnexpectedEndOfStream => self.at(self.text.trim_end().len()),
            _ => Position { base: self.base, line: error.pos().row, column: error.pos().col },
        }
    }
}

fn explain(error: &Error) -> (String, String) {
    // roxmltree says the place last; the place stands before our message already.
    let text = error.to_string();
    let text = text.rsplit_once(" at ").map_or(text.as_str(), |(what, _)| what).to_owned();
    match error {
        Error::DtdDetected => (
            "a document type declaration (DTD) is not allowed".into(),
            "remove the <!DOCTYPE ...>; Microkit refuses it too".into(),
        ),
        Error::UnknownNamespace(prefix, _) => (
            format!("the prefix {prefix:?} is not declared"),
            format!("write <system xmlns:orion=\"{NAMESPACE}\"> and use the prefix \"orion:\""),
        ),
        Error::UnexpectedCloseTag(expected, actual, _) => {
            (format!("</{actual}> closes <{expected}>"), format!("close <{expected}> first, or correct the name"))
        }
        Error::DuplicatedAttribute(name, _) => (format!("the attribute {name:?} stands twice"), "remove one".into()),
        Error::UnclosedRootNode | Error::UnexpectedEndOfStream => {
            ("the text ends within an element".into(), "close every element that is open".into())
        }
        Error::NoRootNode => ("there is no element".into(), "write <system> ... </system>".into()),
        _ => (format!("not well-formed XML: {text}"), "correct the XML here".into()),
    }
}

struct Walk<'a, 'p> {
    places: Places<'a>,
    problems: &'p mut Problems,
    /// Whether something was left out, so that the rest would be misjudged.
    too_deep: bool,
}

impl<'a> Walk<'a, '_> {
    fn at(&self, byte: usize) -> Position {
        self.places.at(byte)
    }

    fn element(&mut self, node: Node<'_, 'a>, depth: usize) -> Option<Element> {
        let at = self.at(node.range().start);
        let name = node.tag_name().name().to_owned();
        if depth > MAX_DEPTH {
            let what = format!("<{name}> is nested more than {MAX_DEPTH} deep");
            self.problems.add(at, what, "nest fewer elements");
            self.too_deep = true;
            return None;
        }
        let ours = self.ours(node.tag_name().namespace(), &format!("the element <{name}>"), at)?;
        let attributes = node.attributes().filter_map(|attribute| self.attribute(attribute)).collect();
        let children = node.children().filter_map(|child| self.child(child, &name, depth)).collect();
        Some(Element { name, ours, attributes, children, at })
    }

    fn attribute(&mut self, attribute: roxmltree::Attribute<'_, 'a>) -> Option<Attribute> {
        let at = self.at(attribute.range().start);
        let name = attribute.name().to_owned();
        let ours = self.ours(attribute.namespace(), &format!("the attribute {name:?}"), at)?;
        Some(Attribute { name, ours, value: attribute.value().to_owned(), at })
    }

    fn child(&mut self, node: Node<'_, 'a>, parent: &str, depth: usize) -> Option<Element> {
        let text = node.text().unwrap_or("");
        if node.node_type() == NodeType::Text && !text.trim().is_empty() {
            let space = text.len() - text.trim_start().len();
            self.problems.add(
                self.at(node.range().start + space),
                format!("text within <{parent}> means nothing"),
                "remove it, or make it a comment: <!-- ... -->",
            );
        }
        if node.is_element() { self.element(node, depth + 1) } else { None }
    }

    /// Whether `namespace` is ours; `None`, and a problem, where it is neither ours nor none.
    fn ours(&mut self, namespace: Option<&str>, what: &str, at: Position) -> Option<bool> {
        match namespace {
            Some(NAMESPACE) => Some(true),
            None => Some(false),
            Some(other) => {
                self.problems.add(
                    at,
                    format!("{what} is in the unknown namespace {other:?}"),
                    format!("Orion's is {NAMESPACE:?}, and Microkit's elements have none"),
                );
                None
            }
        }
    }
}
