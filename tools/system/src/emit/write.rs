// SPDX-License-Identifier: MIT
//! XML text, indented.

/// A text that grows by lines.
#[derive(Debug, Default)]
pub struct Writer {
    text: String,
    depth: usize,
}

impl Writer {
    /// Adds a line as it is.
    pub fn line(&mut self, line: &str) {
        self.text.extend(std::iter::repeat_n("  ", self.depth));
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Adds an empty line.
    pub fn gap(&mut self) {
        self.text.push('\n');
    }

    /// Adds a comment of one line, after an empty line where it begins a part.
    pub fn comment(&mut self, comment: &str) {
        if self.depth == 1 && !self.text.ends_with("\n\n") {
            self.gap();
        }
        self.line(&format!("<!-- {comment} -->"));
    }

    /// Adds an element without children.
    pub fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.line(&format!("<{name}{}/>", list(attributes)));
    }

    /// Begins an element.
    pub fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.line(&format!("<{name}{}>", list(attributes)));
    }

    /// Ends an element.
    pub fn close(&mut self, name: &str) {
        self.line(&format!("</{name}>"));
    }

    /// What `body` adds stands one step further right.
    pub fn deeper(&mut self, body: impl FnOnce(&mut Self)) {
        self.depth += 1;
        body(self);
        self.depth -= 1;
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }
}

fn list(attributes: &[(&str, &str)]) -> String {
    attributes.iter().map(|(name, value)| format!(" {name}=\"{}\"", escaped(value))).collect()
}

/// Text as it may stand in an attribute's value or between tags.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\r' | '\t' => out.push_str(&format!("&#{};", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// A number in hexadecimal.
pub fn hex(number: u64) -> String {
    format!("{number:#x}")
}
