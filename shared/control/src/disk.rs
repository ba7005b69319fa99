// SPDX-License-Identifier: MIT
//! What is to be done with a disk, as a line of text: what follows `ctl disk`.
use crate::text::{Mistake, Order, Words, number};
use orion_metrics::{Order as PdOrder, Verb, Work, erase, sanitize};

const VERBS: &str = "a disk has format, sanitize, namespaces, create, attach, detach, delete, power, zones, zone and verify; write help";

/// Reads what follows `ctl disk`.
pub(crate) fn parse<'a>(words: &mut Words<'a>) -> Result<Order<'a>, Mistake<'a>> {
    let disk = words.next().ok_or(Mistake { word: "", what: "name a disk, as `health` shows them" })?;
    let verb = words.next().ok_or(Mistake { word: "", what: VERBS })?;
    let mut work = work(verb, words)?;
    let mut confirmed = false;
    for word in words.by_ref() {
        confirmed |= setting(word, disk, &mut work)?;
    }
    if work.verb == Verb::Create && work.count == 0 {
        return Err(Mistake { word: "", what: "say how large it is to be: blocks=N" });
    }
    if work.verb.destroys() && !confirmed {
        return Err(Mistake {
            word: "",
            what: "this destroys data: name the disk once more at the end, as in confirm=d0",
        });
    }
    Ok(Order::Tell(PdOrder::Disk(work), disk))
}

/// The verb, with what must follow it.
fn work<'a>(verb: &'a str, words: &mut Words<'a>) -> Result<Work, Mistake<'a>> {
    let plain = |verb| Ok(Work::new(verb, 0));
    match verb {
        "format" => plain(Verb::Format),
        "namespaces" => plain(Verb::Namespaces),
        "zones" => plain(Verb::Zones),
        "verify" => plain(Verb::Verify),
        "create" => plain(Verb::Create),
        "attach" => about(Verb::Attach, words, NAMESPACE),
        "detach" => about(Verb::Detach, words, NAMESPACE),
        "delete" => about(Verb::Delete, words, NAMESPACE),
        "sanitize" => {
            let what = "write how: blocks, overwrite or key";
            let word = words.next().ok_or(Mistake { word: "", what })?;
            let how = match word {
                "blocks" => sanitize::BLOCKS,
                "overwrite" => sanitize::OVERWRITE,
                "key" => sanitize::KEY,
                word => return Err(Mistake { word, what }),
            };
            Ok(Work { how, ..Work::new(Verb::Sanitize, 0) })
        }
        "power" => power(words),
        "zone" => zone(words),
        word => Err(Mistake { word, what: VERBS }),
    }
}

const NAMESPACE: &str = "write the number of a namespace, as `ctl disk DISK namespaces` shows them";
const STATE: &str = "write the number of a power state, or idle=MICROSECONDS";
const ZONE: &str = "write what to do, open, close, finish, reset or reset-all, and the zone's first block";

fn about<'a>(verb: Verb, words: &mut Words<'a>, what: &'static str) -> Result<Work, Mistake<'a>> {
    let word = words.next().ok_or(Mistake { word: "", what })?;
    let first = word.parse().map_err(|_| Mistake { word, what })?;
    Ok(Work { first, ..Work::new(verb, 0) })
}

fn power<'a>(words: &mut Words<'a>) -> Result<Work, Mistake<'a>> {
    let word = words.next().ok_or(Mistake { word: "", what: STATE })?;
    let (verb, number) = match word.split_once('=') {
        Some(("idle", number)) => (Verb::IdlePower, number),
        _ => (Verb::Power, word),
    };
    let first = number.parse().map_err(|_| Mistake { word, what: STATE })?;
    Ok(Work { first, ..Work::new(verb, 0) })
}

fn zone<'a>(words: &mut Words<'a>) -> Result<Work, Mistake<'a>> {
    let word = words.next().ok_or(Mistake { word: "", what: ZONE })?;
    let verb = match word {
        "open" => Verb::OpenZone,
        "close" => Verb::CloseZone,
        "finish" => Verb::FinishZone,
        "reset" => Verb::ResetZone,
        "reset-all" => return Ok(Work::new(Verb::ResetZones, 0)),
        word => return Err(Mistake { word, what: ZONE }),
    };
    about(verb, words, ZONE)
}

/// `KEY=VALUE`; whether it confirms.
fn setting<'a>(word: &'a str, disk: &str, work: &mut Work) -> Result<bool, Mistake<'a>> {
    let wrong = |what| Mistake { word, what };
    let (key, value) = word.split_once('=').ok_or(wrong("write a setting, as in block=4096"))?;
    match (key, work.verb) {
        ("confirm", _) if value == disk => return Ok(true),
        ("confirm", _) => return Err(wrong("this is not the disk that was named first")),
        ("block", Verb::Format | Verb::Create) => {
            work.first = number(value).ok_or(wrong("write bytes of a block, as in block=4096"))?;
        }
        ("erase", Verb::Format) => {
            work.how = match value {
                "data" => erase::DATA,
                "key" => erase::KEY,
                _ => return Err(wrong("write erase=data or erase=key")),
            };
        }
        ("blocks", Verb::Create | Verb::Verify) => {
            work.count = number(value).ok_or(wrong("write a number of blocks"))?
        }
        ("from", Verb::Zones | Verb::Verify) => {
            work.first = value.parse().map_err(|_| wrong("write a block, as in from=0"))?
        }
        _ => return Err(wrong("this command has no such setting; write help")),
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use crate::text::{Order, parse};
    use orion_metrics::{Order as PdOrder, Verb, Work, erase, sanitize};
    use std::string::ToString;

    #[test]
    fn lines_about_disks_are_understood() {
        let work = |verb, how, first, count| Work { verb, unit: 0, how, first, count };
        for (line, expected) in [
            ("format confirm=d0", work(Verb::Format, 0, 0, 0)),
            ("format block=4096 erase=key confirm=d0", work(Verb::Format, erase::KEY, 4096, 0)),
            ("sanitize overwrite confirm=d0", work(Verb::Sanitize, sanitize::OVERWRITE, 0, 0)),
            ("namespaces", work(Verb::Namespaces, 0, 0, 0)),
            ("create blocks=9 block=512", work(Verb::Create, 0, 512, 9)),
            ("attach 3", work(Verb::Attach, 0, 3, 0)),
            ("detach 3", work(Verb::Detach, 0, 3, 0)),
            ("delete 3 confirm=d0", work(Verb::Delete, 0, 3, 0)),
            ("power 0", work(Verb::Power, 0, 0, 0)),
            ("power idle=100000", work(Verb::IdlePower, 0, 100_000, 0)),
            ("zones from=0", work(Verb::Zones, 0, 0, 0)),
            ("zone finish 4096", work(Verb::FinishZone, 0, 4096, 0)),
            ("verify", work(Verb::Verify, 0, 0, 0)),
            ("verify from=8 blocks=9", work(Verb::Verify, 0, 8, 9)),
            ("zone reset-all confirm=d0", work(Verb::ResetZones, 0, 0, 0)),
        ] {
            let line = std::format!("ctl disk d0 {line}");
            assert_eq!(parse(&line), Ok(Order::Tell(PdOrder::Disk(expected), "d0")), "{line}");
        }
    }

    #[test]
    fn mistakes_about_disks_are_named_and_nothing_is_destroyed_by_one() {
        for (line, part) in [
            ("", "name a disk"),
            ("d0", "a disk has format"),
            ("d0 melt", "\"melt\": a disk has format"),
            ("d0 format", "name the disk once more"),
            ("d0 format confirm=d1", "not the disk that was named first"),
            ("d0 delete confirm=d0", "number of a namespace"),
            ("d0 delete 3", "name the disk once more"),
            ("d0 zone reset 0", "name the disk once more"),
            ("d0 sanitize", "blocks, overwrite or key"),
            ("d0 sanitize confirm=d0", "blocks, overwrite or key"),
            ("d0 create", "blocks=N"),
            ("d0 create blocks=0", "number of blocks"),
            ("d0 zones to=9", "no such setting"),
            ("d0 power fast", "power state"),
            ("d0 zone melt 0", "reset-all"),
        ] {
            let line = std::format!("ctl disk {line}");
            let said = parse(&line).unwrap_err().to_string();
            assert!(said.contains(part), "{line}: {said}");
        }
    }
}
