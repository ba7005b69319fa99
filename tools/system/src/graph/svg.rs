// SPDX-License-Identifier: MIT
//! SVG shapes.
use crate::emit::escaped;
use std::fmt::Write as _;

/// Colours of a box.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    fill: &'static str,
    edge: &'static str,
    /// Colour of its heading.
    pub ink: &'static str,
}

impl Style {
    pub const CLIENT: Self = Self { fill: "#edf4ff", edge: "#5b8fd9", ink: "#173f7a" };
    pub const EXPORT: Self = Self { fill: "#e9f7f8", edge: "#4aa3ab", ink: "#12565c" };
    pub const OTHER: Self = Self { fill: "#f6f7f9", edge: "#b9c1ca", ink: "#55606c" };
    pub const GATEKEEPER: Self = Self { fill: "#fff7e6", edge: "#dfa233", ink: "#7a5200" };
    pub const DRIVER: Self = Self { fill: "#edf8f0", edge: "#58ab75", ink: "#1d5a33" };
    pub const SERVICE: Self = Self { fill: "#f5f0fb", edge: "#a58acb", ink: "#523580" };
}

/// A width that `text` does not exceed by much at `size` pixels in a sans-serif font; nobody can measure it here.
pub fn text_width(text: &str, size: f64) -> f64 {
    let narrow = |c: char| matches!(c, 'i' | 'j' | 'l' | 't' | 'f' | 'r' | '.' | ',' | ':' | ' ' | '\u{b7}');
    let ems: f64 = text.chars().map(|c| if narrow(c) { 0.34 } else { 0.59 }).sum();
    ems * size
}

/// A picture that grows by shapes.
#[derive(Debug)]
pub struct Canvas {
    text: String,
}

type Point = (f64, f64);

impl Canvas {
    pub fn new(width: f64, height: f64) -> Self {
        let mut canvas = Self { text: String::new() };
        canvas.add(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 \
             {width:.0} {height:.0}\" font-family=\"Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', \
             'DejaVu Sans', sans-serif\">"
        ));
        canvas.add(format_args!(
            "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
             orient=\"auto-start-reverse\"><path d=\"M0 0.8 L7.4 4 L0 7.2 z\" fill=\"#5d6975\"/></marker></defs>"
        ));
        canvas.add(format_args!("<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"));
        canvas
    }

    fn add(&mut self, shape: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{shape}");
    }

    /// Text whose base line begins at a point.
    pub fn text(&mut self, (x, y): Point, text: &str, size: f64, ink: &str, bold: bool) {
        let weight = if bold { " font-weight=\"600\"" } else { "" };
        let text = escaped(text);
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{ink}\"{weight}>{text}</text>"
        ));
    }

    /// A box.
    pub fn card(&mut self, (x, y): Point, (width, height): Point, style: Style) {
        let Style { fill, edge, .. } = style;
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"9\" fill=\"{fill}\" \
             stroke=\"{edge}\" stroke-width=\"1.4\"/>"
        ));
    }

    /// A short label on a background: `label` is its text, size and colour.
    pub fn pill(&mut self, (x, y): Point, (width, height): Point, fill: &str, label: (&str, f64, &str)) {
        let radius = height / 2.0;
        let (text, size, ink) = (escaped(label.0), label.1, label.2);
        let (middle, line) = (x + width / 2.0, y + radius + size * 0.35);
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{radius:.1}\" \
             fill=\"{fill}\"/>"
        ));
        self.add(format_args!(
            "<text x=\"{middle:.1}\" y=\"{line:.1}\" font-size=\"{size}\" fill=\"{ink}\" \
             text-anchor=\"middle\">{text}</text>"
        ));
    }

    /// A ring between two boxes.
    pub fn ring(&mut self, x: f64, from: f64, to: f64) {
        let (from, to) = (from + 2.0, to - 2.0);
        self.add(format_args!(
            "<line x1=\"{x:.1}\" y1=\"{from:.1}\" x2=\"{x:.1}\" y2=\"{to:.1}\" stroke=\"#5d6975\" \
             stroke-width=\"1.8\" marker-start=\"url(#tip)\" marker-end=\"url(#tip)\"/>"
        ));
    }

    /// What joins a driver and its device.
    pub fn wire(&mut self, x: f64, from: f64, to: f64) {
        self.add(format_args!(
            "<line x1=\"{x:.1}\" y1=\"{from:.1}\" x2=\"{x:.1}\" y2=\"{to:.1}\" stroke=\"#8a94a0\" \
             stroke-width=\"1.8\" stroke-dasharray=\"2 3\"/>"
        ));
    }

    /// A line beside which something else begins.
    pub fn divider(&mut self, x: f64, from: f64, to: f64) {
        self.add(format_args!(
            "<line x1=\"{x:.1}\" y1=\"{from:.1}\" x2=\"{x:.1}\" y2=\"{to:.1}\" stroke=\"#dde2e7\" stroke-width=\"1\"/>"
        ));
    }

    /// An arc above two points.
    pub fn arc(&mut self, (x1, y1): Point, (x2, y2): Point, height: f64) {
        let top = y1.min(y2) - height;
        self.add(format_args!(
            "<path d=\"M{x1:.1} {y1:.1} C{x1:.1} {top:.1} {x2:.1} {top:.1} {x2:.1} {y2:.1}\" fill=\"none\" \
             stroke=\"#9aa5b1\" stroke-width=\"1.4\" stroke-dasharray=\"5 4\"/>"
        ));
    }

    /// A disk: a drum.
    pub fn disk(&mut self, (x, y): Point, (width, height): Point) {
        let (rx, ry) = (width / 2.0, 9.0);
        let (cx, left, right) = (x + rx, x, x + width);
        let (top, base) = (y + ry, y + height - ry);
        self.add(format_args!(
            "<path d=\"M{left:.1} {top:.1} V{base:.1} A{rx:.1} {ry} 0 0 0 {right:.1} {base:.1} V{top:.1}\" \
             fill=\"#f1f3f5\" stroke=\"#8a94a0\" stroke-width=\"1.4\"/>"
        ));
        self.add(format_args!(
            "<ellipse cx=\"{cx:.1}\" cy=\"{top:.1}\" rx=\"{rx:.1}\" ry=\"{ry}\" fill=\"#fafbfc\" stroke=\"#8a94a0\" \
             stroke-width=\"1.4\"/>"
        ));
    }

    /// The picture.
    pub fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}
