// SPDX-License-Identifier: MIT
//! An XML element as its author wrote it, with where it stands.

/// A place in a text: both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Whether the text is that of the description that is built upon, not `system.xml`.
    pub base: bool,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

impl Position {
    /// `line 7`, or `line 7 of the base`.
    pub fn line_text(self) -> String {
        format!("line {}{}", self.line, if self.base { " of the base" } else { "" })
    }
}

/// An attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name without a prefix.
    pub name: String,
    /// Whether it is in Orion's namespace.
    pub ours: bool,
    /// Its value.
    pub value: String,
    /// Where its name begins.
    pub at: Position,
}

/// An element of Microkit's or of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name without a prefix.
    pub name: String,
    /// Whether it is in Orion's namespace.
    pub ours: bool,
    /// Attributes, as they stand.
    pub attributes: Vec<Attribute>,
    /// Elements within it, as they stand.
    pub children: Vec<Element>,
    /// Where its name begins.
    pub at: Position,
}

impl Element {
    /// The attribute `name` that is not in our namespace.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|a| a.name == name && !a.ours)
    }

    /// The attribute `name` in our namespace.
    pub fn our_attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|a| a.name == name && a.ours)
    }

    /// The value of the attribute `name` that is not in our namespace.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.attribute(name).map(|a| a.value.as_str())
    }

    /// Microkit's own children called `name`.
    pub fn plain<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| !child.ours && child.name == name)
    }
}
