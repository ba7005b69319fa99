// SPDX-License-Identifier: MIT
//! Which block of a stripe is wrong, by two parities: were it one of data, P differs by what was changed, and Q by that times the
//! power of its place (H. P. Anvin, "The mathematics of RAID-6", section 4).
use super::findings::{Finding, Mend};
use super::line::data_of;
use super::members::bit;
use super::sums::{PIECE, Rows, Sums, parts};
use super::{Ctx, Raid};
use crate::geometry::Stripe;
use crate::parity;
use core::ops::Range;
use heapless::Vec;
use orion_layer::Io;
use orion_parity::Parity;

const SECTOR: usize = 512;
/// Sectors of a piece.
const SECTORS: usize = PIECE / SECTOR;

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Whose sector is wrong where P and Q differ by `p` and `q` from what the data say; `None` where it is not one alone.
fn culprit(machine: Parity, stripe: &Stripe, p: &[u8], q: &[u8]) -> Option<u32> {
    match (is_zero(p), is_zero(q)) {
        (true, _) => stripe.q,
        (false, true) => Some(stripe.p),
        _ => stripe.members().find(|role| {
            let mut rest = [0; SECTOR];
            rest.copy_from_slice(q.get(..SECTOR).unwrap_or(&[0; SECTOR]));
            machine.add_product(&mut rest, p, parity::power(stripe.power(*role)));
            is_zero(&rest)
        }),
    }
}

impl Raid {
    /// Looks at a stripe whose parity differs: finds out whose sectors are wrong, and puts right in memory what is known to be, which is
    /// written again then. Whether parity is to be made anew for the rest.
    pub(super) fn judge_stripe(&mut self, n: usize, stripe: &Stripe, mend: Mend, io: &mut Io<'_, Ctx>) -> bool {
        let Some(line) = self.lines.get(n) else { return false };
        let (have, first) = (line.have, line.band * self.lines.height + line.low);
        let one = self.lines.bytes(n).0;
        let both = stripe.q.is_some_and(|q| have & bit(q) != 0) && have & bit(stripe.p) != 0;
        let tells = both && data_of(stripe) & !have == 0;
        let (mut unknown, mut mended) = (false, 0);
        for within in parts(one) {
            let sector = first + (within.start / SECTOR) as u64;
            let found = self.lend(n, io, |sums, mut rows| {
                let found = wrong_sectors(sums, &rows, stripe, have, tells, &within);
                for (wrong, at) in found.iter().filter(|_| mend != Mend::Nothing) {
                    let sector = within.start + at * SECTOR..within.start + (at + 1) * SECTOR;
                    if let Some(role) = *wrong {
                        put_right(sums, &mut rows, stripe, role, *at, sector);
                    }
                }
                found
            });
            for (wrong, at) in found.unwrap_or_default() {
                self.background.findings.add(wrong, sector + at as u64);
                unknown |= wrong.is_none();
                mended |= wrong.map_or(0, bit);
            }
        }
        if let Some(line) = self.lines.get_mut(n).filter(|_| mend != Mend::Nothing) {
            line.lost |= mended;
        }
        unknown && mend == Mend::Everything
    }

    /// What the last check found: the first of them, while the array is as it was. [`Raid::mismatches`] counts all.
    pub fn findings(&self) -> impl Iterator<Item = Finding> + '_ {
        self.background.findings.iter()
    }

    /// Sectors that differ of which it was known whose is wrong, and of which it was not.
    pub fn judged(&self) -> (u64, u64) {
        (self.background.findings.known, self.background.findings.unknown)
    }
}

/// The sectors of a piece that differ, by their number in it, and whose are wrong. What P and Q differ by is in private memory then.
fn wrong_sectors(
    sums: &mut Sums,
    rows: &Rows<'_>,
    stripe: &Stripe,
    have: u64,
    tells: bool,
    within: &Range<usize>,
) -> Vec<(Option<u32>, usize), SECTORS> {
    rows.sums(sums, stripe, 0, within);
    let Sums { p, q, machine, .. } = sums;
    for (role, sum) in [(Some(stripe.p), &mut *p), (stripe.q, &mut *q)] {
        match role.filter(|role| have & bit(*role) != 0) {
            Some(role) => machine.add(sum.get_mut(..within.len()).unwrap_or_default(), rows.get(role, within.clone())),
            None => sum.fill(0),
        }
    }
    let mut found = Vec::new();
    for (at, (p, q)) in p.chunks(SECTOR).zip(q.chunks(SECTOR)).take(within.len() / SECTOR).enumerate() {
        if !is_zero(p) || (stripe.q.is_some() && !is_zero(q)) {
            let wrong = if tells { culprit(*machine, stripe, p, q) } else { None };
            let _ = found.push((wrong, at));
        }
    }
    found
}

/// Puts one member's sector right by what P and Q differ by.
fn put_right(sums: &Sums, rows: &mut Rows<'_>, stripe: &Stripe, role: u32, at: usize, within: Range<usize>) {
    let by = if Some(role) == stripe.q { &sums.q } else { &sums.p };
    if let Some(by) = by.chunks(SECTOR).nth(at) {
        sums.machine.add(rows.get_mut(role, within), by);
    }
}
