// SPDX-License-Identifier: MIT
//! What is to be done with an array, as a line of text: what follows `ctl raid`.
use crate::text::{Mistake, Order, Words};
use orion_metrics::{Grow, Order as PdOrder, Verb, Work};

mod layout;

pub use layout::layout;

const VERBS: &str = "an array has check, repair, fail, remove, add, re-add, replace and grow; write help";
const DEVICE: &str = "name one of the array's devices, as `health` shows them";

/// Reads what follows `ctl raid`.
pub(crate) fn parse<'a>(words: &mut Words<'a>) -> Result<Order<'a>, Mistake<'a>> {
    let array = words.next().ok_or(Mistake { word: "", what: "name an array's volume, as `health` shows them" })?;
    let word = words.next().ok_or(Mistake { word: "", what: VERBS })?;
    let verb = match word {
        "check" => Verb::ArrayCheck,
        "repair" => Verb::ArrayRepair,
        "fail" => Verb::ArrayFail,
        "remove" => Verb::ArrayRemove,
        "add" => Verb::ArrayAdd,
        "re-add" => Verb::ArrayReAdd,
        "replace" => Verb::ArrayReplace,
        "grow" => return grow(words).map(|grow| Order::Tell(PdOrder::Disk(grow.work()), array)),
        word => return Err(Mistake { word, what: VERBS }),
    };
    let work = Work::new(verb, 0);
    let order = match verb {
        Verb::ArrayCheck => Order::Tell(PdOrder::Disk(work), array),
        Verb::ArrayRepair => {
            let how = match words.next() {
                None => 0,
                Some("all") => 1,
                Some(word) => return Err(Mistake { word, what: "write all, or nothing" }),
            };
            Order::Tell(PdOrder::Disk(Work { how, ..work }), array)
        }
        _ => Order::Member(work, array, words.next().ok_or(Mistake { word: "", what: DEVICE })?),
    };
    crate::text::end(words).map(|()| order)
}

/// What an array is to become, in mdadm's words.
fn grow<'a>(words: &mut Words<'a>) -> Result<Grow, Mistake<'a>> {
    let mut grow = Grow::default();
    while let Some(word) = words.next() {
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key, value),
            None => (word, words.next().unwrap_or("")),
        };
        let number = || crate::text::number::<u32>(value);
        let wrong = |what| Err(Mistake { word, what });
        match key {
            "--raid-devices" | "-n" => match number() {
                Some(disks) => grow.disks = Some(disks),
                None => return wrong("write how many members it is to have, as in --raid-devices 5"),
            },
            "--chunk" | "-c" => match number().and_then(|kib| kib.checked_mul(2)) {
                Some(sectors) => grow.chunk = Some(sectors),
                None => return wrong("write KiB of a chunk, as in --chunk 64"),
            },
            "--layout" | "-p" => match layout(value) {
                Some(layout) => grow.layout = Some(layout),
                None => return wrong("write a layout of RAID 5 or 6, as in --layout left-symmetric"),
            },
            "--level" | "-l" => match value.strip_prefix("raid").unwrap_or(value) {
                "0" => grow.level = Some(0),
                level => match level.parse() {
                    Ok(level @ (1 | 4 | 5 | 6)) => grow.level = Some(level),
                    _ => return wrong("write the level 0, 1, 4, 5 or 6, as in --level 6"),
                },
            },
            _ => return wrong("write --raid-devices N, --chunk KIB, --layout NAME or --level N"),
        }
    }
    if grow == Grow::default() {
        return Err(Mistake {
            word: "",
            what: "say what is to change: --raid-devices N, --chunk KIB, --layout NAME, --level N",
        });
    }
    Ok(grow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse;

    #[test]
    fn orders_to_arrays() {
        let tell = |verb| Ok(Order::Tell(PdOrder::Disk(Work::new(verb, 0)), "data"));
        assert_eq!(parse("ctl raid data check"), tell(Verb::ArrayCheck));
        assert_eq!(parse("ctl raid data repair"), tell(Verb::ArrayRepair));
        let all = Work { how: 1, ..Work::new(Verb::ArrayRepair, 0) };
        assert_eq!(parse("ctl raid data repair all"), Ok(Order::Tell(PdOrder::Disk(all), "data")));
        let member = |verb| Ok(Order::Member(Work::new(verb, 0), "data", "m1"));
        assert_eq!(parse("ctl raid data fail m1"), member(Verb::ArrayFail));
        assert_eq!(parse("ctl raid data remove m1"), member(Verb::ArrayRemove));
        assert_eq!(parse("ctl raid data add m1"), member(Verb::ArrayAdd));
        assert_eq!(parse("ctl raid data re-add m1"), member(Verb::ArrayReAdd));
        assert_eq!(parse("ctl raid data replace m1"), member(Verb::ArrayReplace));
        let grow = |grow: Grow| Ok(Order::Tell(PdOrder::Disk(grow.work()), "data"));
        let four = Grow { disks: Some(4), ..Grow::default() };
        assert_eq!(parse("ctl raid data grow --raid-devices 4"), grow(four));
        assert_eq!(parse("ctl raid data grow -n=4"), grow(four));
        let all = Grow { disks: Some(5), chunk: Some(128), layout: Some(18), level: Some(6) };
        assert_eq!(
            parse("ctl raid data grow --level raid6 -c 64 --layout=left-symmetric-6 --raid-devices=5"),
            grow(all)
        );
        assert_eq!(parse("ctl raid data grow -l 0"), grow(Grow { level: Some(0), ..Grow::default() }));
        for line in [
            "ctl raid",
            "ctl raid data",
            "ctl raid data grow",
            "ctl raid data grow --raid-devices",
            "ctl raid data grow --raid-devices 0",
            "ctl raid data grow --chunk 4294967295",
            "ctl raid data grow --layout up",
            "ctl raid data grow --level 10",
            "ctl raid data grow 4",
            "ctl raid data fail",
            "ctl raid data check m1",
            "ctl raid data repair m1",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
