// SPDX-License-Identifier: MIT
//! What an array's logs say that is not in its members yet: its write journal, or partial parity logs. It is replayed in memory,
//! and nothing is written.
use super::devices::Devices;
use orion_raid::journal::{BLOCK, BLOCK_BYTES, Item, Log};
use orion_raid::wire::feature;
use orion_raid::{Array, Error, Kind, Read, ppl};
use std::collections::BTreeMap;

/// What some sectors of a device should hold.
enum Page {
    /// A block of the journal, at this sector of its device.
    Logged(u64),
    /// One sector.
    Computed(Vec<u8>),
}

impl Page {
    fn sectors(&self) -> u64 {
        if matches!(self, Self::Logged(_)) { BLOCK } else { 1 }
    }
}

/// What the logs say.
#[derive(Default)]
pub struct Replayed {
    /// The journal's device.
    journal: usize,
    /// What belongs on the members, by device and sector.
    pages: BTreeMap<(usize, u64), Page>,
    /// Data whose parity was not logged, by stripe and then by sector of the array: where they are in the journal.
    cached: BTreeMap<u64, BTreeMap<u64, u64>>,
    /// The stripe of which P was taken last.
    settled: Option<u64>,
    /// The same by sector of the array alone.
    bare: BTreeMap<u64, u64>,
}

/// The devices of an array as they will be once its logs are replayed.
pub struct View<'a> {
    pub devices: &'a mut Devices,
    pub replayed: &'a Replayed,
}

impl Read for View<'_> {
    fn read(&mut self, device: usize, sector: u64, to: &mut [u8]) -> bool {
        let end = sector.saturating_add(to.len() as u64 / 512);
        let read = self.devices.read(device, sector, to);
        let mut known = 0;
        let near = (device, sector.saturating_sub(BLOCK - 1))..(device, end);
        for ((_, at), page) in self.replayed.pages.range(near).filter(|((_, at), page)| at + page.sectors() > sector) {
            let Some(bytes) = self.replayed.bytes(page, self.devices) else { return false };
            known += overlay(to, sector, *at, &bytes);
        }
        // What a member cannot read may all have been logged.
        read || known == end - sector
    }
}

/// Copies what lies at the sector `at` over what `to` holds from `sector` on; the sectors that are in both.
fn overlay(to: &mut [u8], sector: u64, at: u64, bytes: &[u8]) -> u64 {
    let end = sector + to.len() as u64 / 512;
    let (first, last) = (at.max(sector), (at + bytes.len() as u64 / 512).min(end));
    let range = |first: u64, base: u64, last: u64| {
        let byte = |sector: u64| usize::try_from((sector - base) * 512).unwrap_or(usize::MAX);
        byte(first)..byte(last)
    };
    if first >= last {
        return 0;
    }
    if let Some((to, from)) = to.get_mut(range(first, sector, last)).zip(bytes.get(range(first, at, last))) {
        to.copy_from_slice(from);
    }
    last - first
}

impl Replayed {
    /// What the logs of the array say, which is then as after a replay.
    ///
    /// # Errors
    /// Why they cannot be relied upon.
    pub fn of(array: &mut Array, devices: &mut Devices) -> Result<Self, Kind> {
        if array.lacks_journal() && !array.force {
            return Err(Kind::NoJournal);
        }
        let mut replayed = Self::default();
        if let Some(journal) = array.journal {
            replayed.journal = journal;
            let known = replayed.read_journal(array, devices)?;
            if !known && array.is_degraded() && !array.force {
                return Err(Kind::Dirty);
            }
        }
        if array.newest.has(feature::PPL | feature::PPLS)
            && array.newest.is_dirty()
            && replayed.read_ppls(array, devices)
        {
            array.newest.resync = None;
        }
        Ok(replayed)
    }

    fn bytes(&self, page: &Page, devices: &mut Devices) -> Option<Vec<u8>> {
        match page {
            Page::Computed(bytes) => Some(bytes.clone()),
            Page::Logged(at) => {
                let mut bytes = vec![0; BLOCK_BYTES];
                devices.read(self.journal, *at, &mut bytes).then_some(bytes)
            }
        }
    }

    /// Reads the journal to its end; whether its first block is good.
    fn read_journal(&mut self, array: &Array, devices: &mut Devices) -> Result<bool, Kind> {
        let Some(own) = devices.supers.get(self.journal).cloned() else { return Err(Kind::NoJournal) };
        let log = Log::new(own.set, own.data_size, if own.level == 6 { 2 } else { 1 });
        if log.sectors < 2 * BLOCK {
            return Err(Kind::JournalSmall { has: log.sectors, need: 2 * BLOCK });
        }
        let (mut at, mut seq, mut passed) = (log.first(own.recovery.unwrap_or(0)), None, 0);
        let mut block = [0; BLOCK_BYTES];
        while passed < log.sectors {
            if !devices.read(self.journal, own.data_offset + at, &mut block) {
                return Err(Kind::NoJournal);
            }
            let Some(meta) = log.parse(&block, at, seq) else { break };
            let (mut items, mut next) = (Vec::new(), log.behind(at, BLOCK));
            meta.walk(|item| {
                items.push((item, own.data_offset + next));
                next = if item.sum().is_some() { log.behind(next, BLOCK) } else { next };
            });
            let mut bytes = [0; BLOCK_BYTES];
            let whole = items
                .iter()
                .filter_map(|(item, at)| Some((item.sum()?, *at)))
                .all(|(sum, at)| devices.read(self.journal, at, &mut bytes) && log.sum(&bytes) == sum);
            if !whole {
                break;
            }
            items.iter().for_each(|(item, at)| self.take(array, *item, *at));
            passed += BLOCK * (1 + meta.blocks());
            (at, seq) = (next, Some(meta.seq.wrapping_add(1)));
        }
        self.bare = self.cached.values().flatten().map(|(sector, at)| (*sector, *at)).collect();
        Ok(passed > 0)
    }

    /// Takes what a meta block says.
    fn take(&mut self, array: &Array, item: Item, at: u64) {
        let geometry = &array.geometry;
        match item {
            Item::Data(sector, _) => {
                if let Some(place) = geometry.place(sector, 0) {
                    self.cached.entry(place.sector).or_default().insert(sector, at);
                }
            }
            Item::P(sector, _) => {
                // Parity alone is of a stripe that is written.
                let Some(data) = self.cached.remove(&sector) else {
                    self.settled = None;
                    return;
                };
                self.settled = Some(sector);
                for (logical, at) in data {
                    if let Some(place) = geometry.place(logical, 0) {
                        self.put(array, place.member, place.sector, at);
                    }
                }
                if let Some(stripe) = geometry.stripe(sector) {
                    self.put(array, stripe.p, sector, at);
                }
            }
            // It follows P, and goes with it.
            Item::Q(sector, _) => {
                if let Some(q) =
                    geometry.stripe(sector).and_then(|stripe| stripe.q).filter(|_| self.settled == Some(sector))
                {
                    self.put(array, q, sector, at);
                }
            }
            Item::Written(sector) => {
                self.cached.remove(&sector);
                for slot in array.slots.iter().flatten() {
                    self.pages.remove(&(slot.device, slot.offset + sector));
                }
            }
        }
    }

    /// A member's block is in the journal.
    fn put(&mut self, array: &Array, role: u32, sector: u64, at: u64) {
        let slot = usize::try_from(role).ok().and_then(|role| array.slots.get(role).copied().flatten());
        if let Some(slot) = slot {
            self.pages.insert((slot.device, slot.offset + sector), Page::Logged(at));
        }
    }

    /// Puts the data whose parity was not logged over what was read from the array's `sector` on.
    ///
    /// # Errors
    /// The first sector that cannot be read.
    pub fn lay_over(&self, devices: &mut Devices, sector: u64, to: &mut [u8]) -> Result<(), Error> {
        let end = sector.saturating_add(to.len() as u64 / 512);
        for (logical, at) in self.bare.range(sector.saturating_sub(BLOCK - 1)..end) {
            let bytes = self.bytes(&Page::Logged(*at), devices);
            let bytes = bytes.ok_or(Error { kind: Kind::Lost, at: *logical })?;
            overlay(to, sector, *logical, &bytes);
        }
        Ok(())
    }

    /// Computes parity from the partial parity logs; whether parity is right everywhere then.
    fn read_ppls(&mut self, array: &Array, devices: &mut Devices) -> bool {
        let (mut good, mut found) = (true, 0);
        for role in 0..array.geometry.members() {
            let slot = usize::try_from(role).ok().and_then(|role| array.slots.get(role).copied().flatten());
            let Some(slot) = slot else { continue };
            let own = devices.supers.get(slot.device).cloned();
            let Some((own, log)) = own.and_then(|own| own.ppl.map(|log| (own, log))) else { return false };
            let Some((entries, at)) = newest_header(devices, slot.device, log, ppl::signature(own.set)) else {
                good = false;
                continue;
            };
            let mut at = at;
            for entry in &entries {
                found += 1;
                let bytes = usize::try_from(entry.parity_bytes).unwrap_or(0);
                let mut parity = vec![0; bytes.min(usize::from(log.sectors) * 512)];
                let whole = parity.len() == bytes && devices.read(slot.device, at, &mut parity);
                at += u64::from(entry.parity_bytes / 512);
                if !whole {
                    good = false;
                } else if ppl::crc32c(0, &parity) == entry.sum || bytes == 0 {
                    good &= self.compute(array, devices, entry, &parity).is_some();
                } else {
                    // It was being written when the power went: nothing that it protects was.
                    break;
                }
            }
        }
        // Of a complete array only writes that were logged say that it was in sync before.
        good && if array.is_degraded() { array.newest.resync == Some(0) } else { found > 0 }
    }

    /// Computes the parity that an entry is of.
    fn compute(&mut self, array: &Array, devices: &mut Devices, entry: &ppl::Entry, partial: &[u8]) -> Option<()> {
        let geometry = &array.geometry;
        let (data, parity) = (entry.data_bytes / 512, entry.parity_bytes / 512);
        let disks = if parity == 0 { geometry.members() - 1 } else { data.checked_div(parity)? };
        let rows = u64::from(data.checked_div(disks)?);
        // Blocks of the array are sectors here: images have no others.
        let slot = array.slots.get(usize::try_from(entry.role).ok()?).copied().flatten()?;
        for row in 0..rows {
            let mut sum = vec![0; 512];
            let from = usize::try_from(row * 512).ok()?;
            add(&mut sum, partial.get(from..).unwrap_or_default());
            let first = geometry.place(entry.block.checked_add(row)?, 0)?;
            let mut whole = true;
            for disk in 0..u64::from(disks) {
                let place = geometry.place(entry.block + row + disk * geometry.chunk(), 0)?;
                let own = array.slots.get(usize::try_from(place.member).ok()?).copied().flatten();
                let mut bytes = vec![0; 512];
                whole &= place.sector == first.sector
                    && own.is_some_and(|own| devices.read(own.device, own.offset + place.sector, &mut bytes));
                add(&mut sum, &bytes);
            }
            if geometry.stripe(first.sector)?.p != entry.role {
                return None;
            }
            // What a member that is missing should have got is not known; its parity stays.
            if whole {
                self.pages.insert((slot.device, slot.offset + first.sector), Page::Computed(sum));
            }
        }
        Some(())
    }
}

/// Adds the first bytes of `data`.
fn add(sum: &mut [u8], data: &[u8]) {
    sum.iter_mut().zip(data).for_each(|(sum, data)| *sum ^= data);
}

/// The entries of the newest header of a partial parity log, of which there may be several in turn, each behind what the one
/// before it has; and where its partial parity begins.
fn newest_header(
    devices: &mut Devices,
    device: usize,
    log: orion_raid::Ppl,
    signature: u32,
) -> Option<(Vec<ppl::Entry>, u64)> {
    let (mut at, end) = (log.at, log.at + u64::from(log.sectors));
    let mut newest: Option<(u64, Vec<ppl::Entry>, u64)> = None;
    while at + 8 <= end {
        let mut bytes = [0; ppl::HEADER_BYTES];
        let read = devices.read(device, at, &mut bytes);
        let Some((generation, entries)) = ppl::parse(&bytes, signature).filter(|_| read) else { break };
        if newest.as_ref().is_some_and(|(before, ..)| generation < *before) {
            break;
        }
        let entries = entries.to_vec();
        let parity: u64 = entries.iter().map(|entry| u64::from(entry.parity_bytes / 512)).sum();
        newest = Some((generation, entries, at + 8));
        at += 8 + parity;
    }
    newest.map(|(_, entries, at)| (entries, at))
}
