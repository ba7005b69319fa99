// SPDX-License-Identifier: MIT
//! Commands as lines of text: of the console, and of `orion ctl`.
use crate::{Ask, Kind, Name};
use core::fmt;
use core::str::FromStr;
use orion_caps::{Budget, Extent, Rights, WINDOWS};
use orion_metrics::{Order as PdOrder, Work};

/// What can be written, a line for each.
pub const HELP: [&str; 20] = [
    "status                                 protection domains, volumes, rings, rights, rates, latencies, errors",
    "top                                    the same, of what happened since the last look",
    "health                                 disks: model, serial number, temperature, wear, counts, attributes",
    "ctl list                               who holds what",
    "ctl look CLIENT[:WINDOW]               what a capability allows, and how often it was used",
    "ctl freeze|thaw CLIENT[:WINDOW]        suspend a capability and all below it, and end that",
    "ctl revoke CLIENT[:WINDOW]             take it back for good",
    "ctl limit CLIENT[:WINDOW] [in-flight=N] [iops=N] [bandwidth=SIZE] [burst=MS]   its budget; nothing: no limit",
    "ctl narrow CLIENT[:WINDOW] [blocks=0..N] [rights=read,write]   leave it only these of its blocks and rights, for good",
    "ctl delegate VOLUME CLIENT:WINDOW blocks=A..B rights=read,write [in-flight=N] [iops=N] [expires=EPOCH] ...",
    "ctl reset PD                           have a protection domain count from 0 again, with no times",
    "ctl disk DISK format [block=BYTES] [erase=data|key] confirm=DISK    give it its blocks anew, empty",
    "ctl disk DISK sanitize blocks|overwrite|key confirm=DISK    destroy all that was ever written to its device",
    "ctl disk DISK namespaces | create blocks=N [block=BYTES] | attach N | detach N | delete N confirm=DISK",
    "ctl disk DISK power STATE | idle=US     a power state; or those with which the longest wait is US microseconds, 0: none",
    "ctl disk DISK zones [from=BLOCK]        how its zones are",
    "ctl disk DISK zone open|close|finish BLOCK | reset BLOCK confirm=DISK | reset-all confirm=DISK    change one, or all",
    "ctl raid VOLUME check | repair [all] | fail | remove | add | re-add | replace DISK    an array: compare copies or parity; change its devices",
    "ctl raid VOLUME grow [--raid-devices N] [--chunk KIB] [--layout NAME] [--level N]    give an array what it is to have",
    "ctl advance VOLUME                     begin the volume's next epoch",
];

/// What a line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order<'a> {
    /// [`HELP`].
    Help,
    /// How everything is.
    Status,
    /// How everything is, since the last look.
    Top,
    /// How the disks are.
    Health,
    /// Who holds what.
    List,
    /// A command to the gatekeeper. Where a volume is named, the command's window is the manager's on it.
    Command(Ask, Option<&'a str>),
    /// Something that a PD is to do, or that is to be done with a disk.
    Tell(PdOrder, &'a str),
    /// Something that is to be done with the array of the volume that is named first, and its device that is named then; the
    /// port of that goes into `how`.
    Member(Work, &'a str, &'a str),
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mistake<'a> {
    /// The word; empty where one is missing.
    pub word: &'a str,
    /// What is wrong, and what to write.
    pub what: &'static str,
}

impl fmt::Display for Mistake<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.word.is_empty() { f.write_str(self.what) } else { write!(f, "{:?}: {}", self.word, self.what) }
    }
}

/// Reads a line.
///
/// # Errors
/// [`Mistake`].
pub fn parse(line: &str) -> Result<Order<'_>, Mistake<'_>> {
    let mut words = line.split_ascii_whitespace();
    let order = match words.next() {
        Some("help") => Order::Help,
        Some("status") => Order::Status,
        Some("top") => Order::Top,
        Some("health") => Order::Health,
        Some("ctl") => return command(&mut words),
        Some(word) => return Err(Mistake { word, what: "there is no such command; write help" }),
        None => return Err(Mistake { word: "", what: "nothing was asked; write help" }),
    };
    end(&mut words)?;
    Ok(order)
}

pub(crate) type Words<'a> = core::str::SplitAsciiWhitespace<'a>;

pub(crate) fn end<'a>(words: &mut Words<'a>) -> Result<(), Mistake<'a>> {
    words.next().map_or(Ok(()), |word| Err(Mistake { word, what: "nothing more is expected; remove it" }))
}

/// Reads what follows `ctl`.
fn command<'a>(words: &mut Words<'a>) -> Result<Order<'a>, Mistake<'a>> {
    let verb = words.next().ok_or(Mistake { word: "", what: "ctl what? write help" })?;
    let kind = match verb {
        "list" => return end(words).map(|()| Order::List),
        "reset" => {
            let pd =
                words.next().ok_or(Mistake { word: "", what: "name a protection domain, as `status` shows them" })?;
            return end(words).map(|()| Order::Tell(PdOrder::Reset, pd));
        }
        "disk" => return crate::disk::parse(words),
        "raid" => return crate::raid::parse(words),
        "look" => Kind::Look,
        "freeze" => Kind::Freeze,
        "thaw" => Kind::Unfreeze,
        "revoke" => Kind::Revoke,
        "limit" => Kind::Limit,
        "narrow" => Kind::Narrow,
        "delegate" => Kind::Delegate,
        "advance" => Kind::Advance,
        word => return Err(Mistake { word, what: "ctl has no such command; write help" }),
    };
    let volume = match kind {
        Kind::Delegate | Kind::Advance => {
            Some(words.next().ok_or(Mistake { word: "", what: "name a volume, as `ctl list` shows them" })?)
        }
        _ => None,
    };
    let mut ask = if kind == Kind::Advance { Ask::on(kind, "", 0) } else { on(kind, words.next())? };
    for word in words.by_ref() {
        setting(word, &mut ask)?;
    }
    if kind == Kind::Delegate && (ask.extent.blocks == 0 || ask.rights == Rights::NONE) {
        let what = "say what to delegate: blocks=A..B rights=read,write";
        return Err(Mistake { word: "", what });
    }
    if kind == Kind::Narrow && ask.extent.blocks == 0 && ask.rights == Rights::NONE {
        return Err(Mistake { word: "", what: "say what to leave: blocks=0..N or rights=read,write" });
    }
    Ok(Order::Command(ask, volume))
}

/// `CLIENT` or `CLIENT:WINDOW`.
fn on(kind: Kind, word: Option<&str>) -> Result<Ask, Mistake<'_>> {
    let word = word.ok_or(Mistake { word: "", what: "name a client and its window, as in demo:0" })?;
    let (client, window) = word.split_once(':').unwrap_or((word, "0"));
    let window = window.parse::<u8>().ok().filter(|w| usize::from(*w) < WINDOWS);
    let window = window.ok_or(Mistake { word, what: "a client has the windows 0 to 15; write demo:0" })?;
    if client.is_empty() || client.len() > size_of::<Name>() {
        return Err(Mistake { word, what: "there is no client of such a name" });
    }
    Ok(Ask::on(kind, client, window))
}

/// `KEY=VALUE`.
fn setting<'a>(word: &'a str, ask: &mut Ask) -> Result<(), Mistake<'a>> {
    let wrong = |what| Mistake { word, what };
    let Some((key, value)) = word.split_once('=') else {
        return Err(wrong("write a setting, as in iops=1000"));
    };
    let budget = matches!(ask.kind, Kind::Limit | Kind::Delegate);
    let delegates = ask.kind == Kind::Delegate;
    let shapes = delegates || ask.kind == Kind::Narrow;
    match key {
        "in-flight" if budget => ask.budget.in_flight = number(value).ok_or(wrong("write a number of requests"))?,
        "iops" if budget => ask.budget.iops = number(value).ok_or(wrong("write requests per second"))?,
        "bandwidth" if budget => {
            ask.budget.bytes = size(value).ok_or(wrong("write bytes per second, as in bandwidth=50M"))?;
        }
        "burst" if budget => ask.budget.burst_ms = number(value).ok_or(wrong("write milliseconds, as in burst=16"))?,
        "blocks" if ask.kind == Kind::Narrow && !value.starts_with("0..") => {
            return Err(wrong("what is left begins with the first block, as its holder counts; write blocks=0..N"));
        }
        "blocks" if shapes => {
            ask.extent = extent(value).ok_or(wrong("write blocks of 4096 bytes of the volume, as in blocks=0..256"))?;
        }
        "rights" if shapes => ask.rights = rights(value).ok_or(wrong("write rights, as in rights=read,flush"))?,
        "expires" if delegates => ask.expires = number(value).ok_or(wrong("write the number of an epoch"))?,
        _ => return Err(wrong("this command has no such setting; write help")),
    }
    Ok(())
}

pub(crate) fn number<T: FromStr + Default + PartialEq>(text: &str) -> Option<T> {
    text.parse().ok().filter(|n| *n != T::default())
}

/// A number, with `K`, `M`, `G` for powers of 1024.
fn size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' => (text.strip_suffix('K')?, 10),
        b'M' => (text.strip_suffix('M')?, 20),
        b'G' => (text.strip_suffix('G')?, 30),
        _ => (text, 0),
    };
    number::<u64>(digits)?.checked_mul(1 << shift)
}

fn extent(text: &str) -> Option<Extent> {
    let (first, end) = text.split_once("..")?;
    let (first, end) = (first.parse::<u64>().ok()?, end.parse::<u64>().ok()?);
    let blocks = end.checked_sub(first).filter(|blocks| *blocks > 0)?;
    Some(Extent { first, blocks })
}

fn rights(text: &str) -> Option<Rights> {
    text.split(',').try_fold(Rights::NONE, |rights, name| Some(rights.with(Rights::named(name)?)))
}

/// Whether a budget limits anything, for people.
pub fn budget(budget: &Budget, f: &mut impl fmt::Write) -> fmt::Result {
    let mut first = true;
    for (value, unit) in
        [(u64::from(budget.in_flight), " in flight"), (u64::from(budget.iops), "/s"), (budget.bytes, " B/s")]
    {
        if value != 0 {
            write!(f, "{}{value}{unit}", if first { "" } else { ", " })?;
            first = false;
        }
    }
    if first { f.write_str("-") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::{String, ToString};

    #[test]
    fn lines_are_understood() {
        assert_eq!(parse(" help "), Ok(Order::Help));
        assert_eq!(parse("ctl\tlist"), Ok(Order::List));
        assert_eq!(parse("ctl freeze demo"), Ok(Order::Command(Ask::on(Kind::Freeze, "demo", 0), None)));
        assert_eq!(parse("ctl thaw demo:15"), Ok(Order::Command(Ask::on(Kind::Unfreeze, "demo", 15), None)));
        let ask = Ask::on(Kind::Advance, "", 0);
        assert_eq!(parse("ctl advance vault"), Ok(Order::Command(ask, Some("vault"))));
        let budget = Budget { in_flight: 3, iops: 1000, bytes: 50 << 20, burst_ms: 20 };
        let ask = Ask { budget, ..Ask::on(Kind::Limit, "demo", 1) };
        let line = "ctl limit demo:1 in-flight=3 iops=1000 bandwidth=50M burst=20";
        assert_eq!(parse(line), Ok(Order::Command(ask, None)));
        assert_eq!(parse("ctl limit demo:1"), Ok(Order::Command(Ask::on(Kind::Limit, "demo", 1), None)));
        let (extent, rights) = (Extent { first: 0, blocks: 9 }, Rights::READ);
        let ask = Ask { extent, rights, ..Ask::on(Kind::Narrow, "demo", 2) };
        assert_eq!(parse("ctl narrow demo:2 rights=read blocks=0..9"), Ok(Order::Command(ask, None)));
        let (extent, rights) = (Extent { first: 8, blocks: 8 }, Rights::READ.with(Rights::FLUSH));
        let ask = Ask { extent, rights, expires: 4, ..Ask::on(Kind::Delegate, "reader", 3) };
        let line = "ctl delegate vault reader:3 blocks=8..16 rights=read,flush expires=4";
        assert_eq!(parse(line), Ok(Order::Command(ask, Some("vault"))));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, part) in [
            ("", "write help"),
            ("stauts", "\"stauts\": there is no such command"),
            ("status now", "\"now\": nothing more"),
            ("ctl", "ctl what?"),
            ("ctl melt demo", "\"melt\": ctl has no such command"),
            ("ctl freeze", "name a client"),
            ("ctl freeze demo:16", "0 to 15"),
            ("ctl freeze demo:", "0 to 15"),
            ("ctl freeze :1", "no client of such a name"),
            ("ctl freeze demo iops=3", "no such setting"),
            ("ctl limit demo iops=0", "requests per second"),
            ("ctl limit demo iops=-1", "requests per second"),
            ("ctl limit demo bandwidth=99999999999999G", "bytes per second"),
            ("ctl limit demo fast", "as in iops=1000"),
            ("ctl delegate vault", "name a client"),
            ("ctl delegate vault demo:3", "say what to delegate"),
            ("ctl delegate vault demo:3 blocks=9..9 rights=read", "blocks of 4096 bytes"),
            ("ctl delegate vault demo:3 blocks=0..9 rights=reed", "write rights"),
            ("ctl narrow demo", "say what to leave"),
            ("ctl narrow demo blocks=4..8", "write blocks=0..N"),
            ("ctl narrow demo iops=4", "no such setting"),
            ("ctl reset", "name a protection domain"),
            ("ctl reset blk_d0 now", "nothing more"),
            ("ctl advance", "name a volume"),
        ] {
            let said = parse(line).unwrap_err().to_string();
            assert!(said.contains(part), "{line}: {said}");
        }
    }

    proptest! {
        /// Whatever is typed, it is understood or refused; no word of it is taken for more than it is.
        #[test]
        fn any_line_is_an_order_or_a_mistake(words in prop::collection::vec(prop_oneof![
            Just("ctl".to_string()), Just("freeze".to_string()), Just("limit".to_string()), Just("delegate".to_string()),
            Just("vault".to_string()), Just("iops=7".to_string()), Just("blocks=1..2".to_string()), "\\PC{0,60}", "[a-z=:.0-9]{1,20}",
        ], 0..8)) {
            let line = words.join(" ");
            if let Ok(Order::Command(ask, volume)) = parse(&line) {
                prop_assert!(line.contains(ask.to.as_str()) && volume.is_none_or(|v| line.contains(v)));
                prop_assert!(ask.to_window < 16 && line.trim_start().starts_with("ctl"));
            }
        }
    }

    #[test]
    fn budgets_are_shown() {
        let shown = |b: Budget| {
            let mut text = String::new();
            budget(&b, &mut text).unwrap();
            text
        };
        assert_eq!(shown(Budget::NONE), "-");
        assert_eq!(shown(Budget { in_flight: 2, iops: 9, ..Budget::NONE }), "2 in flight, 9/s");
    }
}
