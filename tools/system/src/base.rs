// SPDX-License-Identifier: MIT
//! A description that another tool wrote, as sdfgen does, under a `system.xml`: the elements of both, in one tree.
//!
//! The base is Microkit's own format and passes through as it is. A `<protection_domain>` of `system.xml` without a
//! program speaks of one of the base: it says what that one is to Orion, and nothing else.
use crate::element::{Element, Position};
use crate::problem::{Problems, suggest};
use crate::schema;

/// Puts the elements of `base` before those of `root`.
pub fn merge(base: Element, root: &mut Element, problems: &mut Problems) {
    schema::check(&base, problems);
    for foreign in base.children.iter().filter(|child| child.ours) {
        problems.add(foreign.at, "the base has an element of Orion's", "move it into system.xml");
    }
    let mut children = base.children;
    children.retain(|child| !child.ours);
    for child in std::mem::take(&mut root.children) {
        if speaks_of_base(&child) {
            speak(child, &mut children, problems);
        } else {
            children.push(child);
        }
    }
    root.children = children;
}

fn speaks_of_base(element: &Element) -> bool {
    !element.ours && element.name == "protection_domain" && element.plain("program_image").next().is_none()
}

/// Gives what `element` says to the PD of that name.
fn speak(element: Element, base: &mut [Element], problems: &mut Problems) {
    let name = element.value("name").unwrap_or_default();
    let others = element.attributes.iter().find(|a| !a.ours && a.name != "name").map(|a| a.at);
    if let Some(at) = others.or(element.children.first().map(|child| child.at)) {
        let what = format!("{name:?} has no program, so that it is one of the base, which says all of it already");
        problems.add(at, what, "leave only its name and attributes of Orion's, or add a <program_image>");
    }
    let Some(pd) = find(base, name) else {
        let mut known = Vec::new();
        base.iter().for_each(|element| names(element, &mut known));
        let what = format!("the base has no protection domain {name:?}, and this one has no program");
        return problems.add(element.at, what, suggest(name, known, "add a <program_image path=\"...\"/>"));
    };
    let twice = pd.attributes.iter().find(|a| a.ours).map(|a| a.at);
    if let Some(first) = twice {
        return again(name, element.at, first, problems);
    }
    pd.attributes.extend(element.attributes.into_iter().filter(|a| a.ours));
}

fn again(name: &str, at: Position, first: Position, problems: &mut Problems) {
    let what = format!("{name:?} of the base is spoken of twice, here and on {}", first.line_text());
    problems.add(at, what, "say all of it in one place");
}

/// The PD `name` among `elements` or within one of them.
fn find<'a>(elements: &'a mut [Element], name: &str) -> Option<&'a mut Element> {
    for element in elements.iter_mut().filter(|element| element.name == "protection_domain") {
        if element.value("name") == Some(name) {
            return Some(element);
        }
        if let Some(found) = find(&mut element.children, name) {
            return Some(found);
        }
    }
    None
}

fn names<'a>(element: &'a Element, known: &mut Vec<&'a str>) {
    if element.name == "protection_domain" {
        known.extend(element.value("name"));
        element.children.iter().for_each(|child| names(child, known));
    }
}
