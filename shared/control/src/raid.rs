// SPDX-License-Identifier: MIT
//! What is to be done with an array, as a line of text: what follows `ctl raid`.
use crate::text::{Mistake, Order, Words};
use orion_metrics::{Order as PdOrder, Verb, Work};

const VERBS: &str = "an array has check, repair, fail, remove, add and re-add; write help";
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
        for line in [
            "ctl raid",
            "ctl raid data",
            "ctl raid data grow",
            "ctl raid data fail",
            "ctl raid data check m1",
            "ctl raid data repair m1",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
