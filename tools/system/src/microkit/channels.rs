// SPDX-License-Identifier: MIT
//! The user's channels.
use super::MAX_ID;
use crate::element::{Element, Position};
use crate::model::{End, System, UserChannel, UserPd};
use crate::problem::{Problems, suggest};
use crate::read;

/// Reads a channel.
pub fn read(element: &Element, system: &mut System, problems: &mut Problems) {
    let ends: Vec<&Element> = element.plain("end").collect();
    let [a, b] = ends.as_slice() else {
        let what = format!("a channel has two ends, not {}", ends.len());
        return problems.add(element.at, what, "write two <end pd=\"...\" id=\"...\"/>");
    };
    let (Some(a), Some(b)) = (end(a, system, problems), end(b, system, problems)) else {
        return;
    };
    if a.pd == b.pd {
        let what = format!("both ends of the channel are {:?}", a.pd);
        problems.add(b.at, what, "a channel joins two protection domains; name another one");
    }
    check_calls(&a, &b, system, problems);
    system.channels.push(UserChannel { ends: [a, b] });
}

fn end(element: &Element, system: &mut System, problems: &mut Problems) -> Option<End> {
    let pd = read::required(element, "pd", problems);
    let id = read::required(element, "id", problems);
    let calls = element.attribute("pp").and_then(|a| read::choice(a, &["true", "false"], problems)) == Some("true");
    if let Some(a) = element.attribute("notify") {
        read::choice(a, &["true", "false"], problems);
    }
    let (pd, id) = (pd?, id?);
    let number = u8::try_from(read::decimal(id, 0, MAX_ID, problems)?).ok()?;
    let known: Vec<String> = system.pds.keys().cloned().collect();
    let Some(user) = system.pds.get_mut(&pd.value) else {
        let what = format!("there is no protection domain {:?}", pd.value);
        let remedy = suggest(&pd.value, known.iter().map(String::as_str), "add a <protection_domain> of that name");
        problems.add(pd.at, what, remedy);
        return None;
    };
    take_id(user, number, id.at, problems);
    Some(End { pd: pd.value.clone(), id: number, calls, at: element.at })
}

/// Notes that `pd` uses the id `id`.
pub fn take_id(pd: &mut UserPd, id: u8, at: Position, problems: &mut Problems) {
    if let Some(first) = pd.ids.insert(id, at) {
        let what = format!("the id {id} of this protection domain is in use since {}", first.line_text());
        problems.add(at, what, "give each channel and each interrupt of a protection domain an id of its own");
    }
}

fn check_calls(a: &End, b: &End, system: &System, problems: &mut Problems) {
    if a.calls && b.calls {
        problems.add(b.at, "both ends may make protected calls", "remove pp=\"true\" from one end");
        return;
    }
    let (caller, callee) = if b.calls { (b, a) } else { (a, b) };
    let priority = |end: &End| system.pds.get(&end.pd).map_or(0, |pd| pd.priority);
    if caller.calls && priority(caller) >= priority(callee) {
        let (from, to) = (priority(caller), priority(callee));
        let what = format!("{:?} (priority {from}) calls {:?} (priority {to})", caller.pd, callee.pd);
        problems.add(caller.at, what, "a caller's priority must be lower: lower it or raise the other");
    }
}
