// SPDX-License-Identifier: MIT
//! The search for the first disk there is: INQUIRY to each target in turn, and where its unit 0 is no disk REPORT LUNS.
use super::{Initiator, Port};
use crate::rules::{Rule, Then};
use crate::unit::Ask;
use crate::wire::{inquiry, luns};
use crate::{Cdb, Place};

/// Units of a target that are looked at.
const UNITS_LOOKED_AT: usize = 16;

/// How far the search has come.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// The disk that is looked for.
    pub unit: u8,
    target: u16,
    /// Units of the target that are to be asked, of which `looked` were; `None` before REPORT LUNS.
    luns: Option<[u16; UNITS_LOOKED_AT]>,
    count: usize,
    looked: usize,
    listing: bool,
    tries: u8,
}

impl Search {
    /// From the beginning.
    pub fn new(unit: u8) -> Self {
        Self { unit, target: 0, luns: None, count: 0, looked: 0, listing: false, tries: 0 }
    }

    /// The next question.
    pub fn ask(&self) -> (Place, Option<Ask>) {
        let lun = self.luns.and_then(|luns| luns.get(self.looked).copied()).unwrap_or(0);
        let place = Place { target: self.target, lun };
        let ask = if self.listing {
            Ask { cdb: Cdb::report_luns(luns::LEN.into()), len: luns::LEN, list: false }
        } else {
            Ask { cdb: Cdb::inquiry(None, inquiry::LEN), len: inquiry::LEN, list: false }
        };
        (place, Some(ask))
    }

    /// Goes on to the next target.
    fn next_target(&mut self) {
        *self = Self { target: self.target.saturating_add(1), ..Self::new(self.unit) };
    }

    /// Goes on to the next unit of the target, or the next target.
    fn next_unit(&mut self) {
        match self.luns {
            None => self.listing = true,
            Some(_) if self.looked + 1 < self.count => self.looked += 1,
            Some(_) => self.next_target(),
        }
    }

    fn listed(&mut self, bytes: &[u8]) {
        let mut found = [0; UNITS_LOOKED_AT];
        // Unit 0 was asked already.
        let units = luns::units(bytes).filter(|lun| *lun != 0);
        self.count = found.iter_mut().zip(units).map(|(to, lun)| *to = lun).count();
        (self.luns, self.looked, self.listing) = (Some(found), 0, false);
        if self.count == 0 {
            self.next_target();
        }
    }
}

impl<P: Port, T: Copy + Default> Initiator<P, T> {
    /// The search's question was answered, or was not.
    pub(super) fn searched(&mut self, result: Result<&[u8], &'static Rule>) {
        let (now, patience, targets) = (self.now, self.timeout_ns, self.port.targets());
        let Some(search) = &mut self.search else { return };
        match result {
            Ok(bytes) if search.listing => search.listed(bytes),
            Ok(bytes) => {
                if inquiry::Inquiry::parse(bytes).is_some_and(|found| found.is_disk()) {
                    let (unit, place) = (search.unit, search.ask().0);
                    (self.search, self.sought) = (None, None);
                    if let Some(logical) = self.units.get_mut(usize::from(unit)) {
                        logical.place = place;
                        logical.begin(now, patience);
                    }
                    return;
                }
                search.next_unit();
            }
            // A unit attention, or a busy target: once more.
            Err(rule) if rule.then != Then::Fail && search.tries < crate::rules::AGAIN_MAX => search.tries += 1,
            Err(_) if search.listing || search.luns.is_none() => search.next_target(),
            Err(_) => search.next_unit(),
        }
        if search.target >= targets {
            self.search = None;
        }
    }
}
