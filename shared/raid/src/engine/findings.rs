// SPDX-License-Identifier: MIT
//! What a check found: which sectors differ, and whose are wrong where that can be told.
use heapless::Vec;

/// Findings that are kept; all are counted.
const KEPT: usize = 32;

/// What a check does with what differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mend {
    /// Nothing: it says what differs.
    #[default]
    Nothing,
    /// It mends what is known to be wrong: one block of a stripe with two parities, one copy that most others contradict.
    Certain,
    /// It mends that, and makes alike what else differs: parity like the data, copies like the first that can be read. This is
    /// what md's `repair` does with everything.
    Everything,
}

/// Sectors that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whose is wrong; `None` where nobody can know.
    pub wrong: Option<u32>,
    /// The first of them, counted in the members' data.
    pub sector: u64,
    /// How many.
    pub sectors: u64,
}

/// All that were found.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding, KEPT>,
    /// Sectors of which it is known who is wrong, and of which it is not.
    pub known: u64,
    pub unknown: u64,
}

impl Findings {
    /// One more sector.
    pub fn add(&mut self, wrong: Option<u32>, sector: u64) {
        *if wrong.is_some() { &mut self.known } else { &mut self.unknown } += 1;
        match self.list.last_mut() {
            Some(last) if last.wrong == wrong && last.sector.checked_add(last.sectors) == Some(sector) => {
                last.sectors += 1
            }
            _ => drop(self.list.push(Finding { wrong, sector, sectors: 1 })),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Finding> + '_ {
        self.list.iter().copied()
    }
}
