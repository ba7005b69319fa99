// SPDX-License-Identifier: MIT
//! The derivation tree: which capabilities there are, which came from which, and what each allows now.
use crate::budget::{Gate, Meter};
use crate::{CAPABILITIES_MAX, CLIENTS_MAX, Capability, Extent, Holding, Rights, TooMany, WINDOWS};
use heapless::Vec;
use orion_block::{BlockSize, Instant, Limits, POLICY_BLOCK};

/// No entry.
pub(crate) const NOTHING: u8 = u8::MAX;
/// Not suspended.
pub(crate) const AWAKE: u8 = u8::MAX;
/// Volumes of a gatekeeper.
pub(crate) const VOLUMES_MAX: usize = 64;
/// Longest way from a grant to a capability derived from it.
pub(crate) const DEPTH_MAX: u8 = 8;

/// Whether an entry of the table is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Free,
    Live,
    /// Revoked; requests that it let pass, or revoked entries below it, are still counted here.
    Ending,
}

/// A capability at work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// What it allows now: nothing while it, or one above it, is suspended, or its volume is not known.
    pub allowed: Rights,
    /// Blocks on the volume, in the gatekeeper's unit.
    pub extent: Extent,
    /// Binary logarithm of the volume's blocks in one of ours.
    pub scale: u8,
    /// It, or one above it, has a budget, or its volume is given only so many requests at once.
    pub metered: bool,
    /// It is live and not metered: a request that ends has nothing to do but to be counted.
    pub plain: bool,
    /// What it allows without any budget and without another unit of blocks: the same as `allowed`, or nothing.
    pub quick: Rights,
    pub life: Life,
    /// Nothing can be written to the volume, whatever is granted.
    pub read_only: bool,
    pub parent: u8,
    pub depth: u8,
    /// The client that derived it; [`NOTHING`] of a grant.
    pub maker: u8,
    /// How high stood who suspended it (0: `admin`); [`AWAKE`] if nobody did.
    pub frozen: u8,
    /// The entries below it.
    pub below: u32,
    /// Its requests that have ended; those that passed and have not are in flight.
    pub ended: u64,
    /// Its requests that wait.
    pub waiting: u16,
    pub passed: u64,
    pub granted: Capability,
    /// Blocks on the volume, in units of 4096 bytes.
    pub policy: Extent,
    pub meter: Meter,
}

impl Entry {
    pub fn new(granted: Capability, parent: u8, depth: u8, maker: u8) -> Self {
        Self {
            allowed: Rights::NONE,
            extent: Extent::default(),
            scale: 0,
            metered: false,
            plain: false,
            quick: Rights::NONE,
            life: Life::Live,
            read_only: false,
            parent,
            depth,
            maker,
            frozen: AWAKE,
            below: 0,
            ended: 0,
            waiting: 0,
            passed: 0,
            granted,
            policy: Extent::default(),
            meter: Meter::new(&granted.budget),
        }
    }

    /// Whether nothing counts on it: no request in flight, no entry below.
    fn idle(&self) -> bool {
        self.below == 0 && self.passed == self.ended
    }

    /// What a client should be told that it may do.
    pub fn useful(&self) -> Rights {
        if self.read_only { self.allowed.without(Rights::MODIFYING) } else { self.allowed }
    }
}

/// All capabilities.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Tree {
    /// Index into `entries`, by client and window.
    windows: [[u8; WINDOWS]; CLIENTS_MAX],
    pub entries: Vec<Entry, CAPABILITIES_MAX>,
    /// The epoch of each volume.
    pub epochs: [u32; VOLUMES_MAX],
    pub ready: bool,
    /// Volumes that are given only so many requests at once, a bit each.
    pub laned: u64,
    /// Nothing may be changed by anybody: nobody watches over the system.
    pub unwatched: bool,
    /// Requests that capabilities let pass whose places others took.
    pub retired: u64,
}

impl Tree {
    pub const fn new() -> Self {
        Self {
            windows: [[NOTHING; WINDOWS]; CLIENTS_MAX],
            entries: Vec::new(),
            epochs: [0; VOLUMES_MAX],
            ready: false,
            laned: 0,
            unwatched: false,
            retired: 0,
        }
    }

    /// The index of what a window holds.
    #[inline]
    pub fn index(&self, client: u8, window: usize) -> Option<u8> {
        self.windows.get(usize::from(client))?.get(window).copied()
    }

    #[inline]
    pub fn entry(&self, index: u8) -> Option<&Entry> {
        self.entries.get(usize::from(index))
    }

    #[inline]
    pub fn entry_mut(&mut self, index: u8) -> Option<&mut Entry> {
        self.entries.get_mut(usize::from(index))
    }

    /// What a window holds.
    pub fn held(&self, at: Holding) -> Option<(u8, &Entry)> {
        let index = self.index(at.client, usize::from(at.window))?;
        Some((index, self.entry(index)?))
    }

    /// Puts a new capability into its window, which must be free; its index.
    pub fn insert(&mut self, entry: Entry) -> Result<u8, TooMany> {
        let (client, window) = (usize::from(entry.granted.client), usize::from(entry.granted.window));
        let place = self.windows.get_mut(client).and_then(|w| w.get_mut(window)).filter(|w| **w == NOTHING);
        let place = place.ok_or(TooMany)?;
        let free = self.entries.iter().position(|e| e.life == Life::Free).unwrap_or(self.entries.len());
        let index = u8::try_from(free).map_err(|_| TooMany)?;
        match self.entries.get_mut(free) {
            Some(slot) => {
                self.retired += slot.passed;
                *slot = entry;
            }
            None => self.entries.push(entry).map_err(|_| TooMany)?,
        }
        *place = index;
        if let Some(parent) = self.entry_mut(entry.parent) {
            parent.below += 1;
        }
        Ok(index)
    }

    /// Appends an entry of an image, in the place that it had there.
    pub fn restore_entry(&mut self, entry: Entry) -> Option<()> {
        let (client, window) = (usize::from(entry.granted.client), usize::from(entry.granted.window));
        let index = u8::try_from(self.entries.len()).ok()?;
        if entry.life == Life::Live {
            let place = self.windows.get_mut(client).and_then(|w| w.get_mut(window)).filter(|w| **w == NOTHING)?;
            *place = index;
        }
        self.entries.push(entry).ok()
    }

    /// The entry and all above it, upwards.
    fn upwards(&self, index: u8) -> impl Iterator<Item = (u8, &Entry)> {
        let mut next = index;
        core::iter::from_fn(move || {
            let (at, entry) = (next, self.entry(next)?);
            next = entry.parent;
            Some((at, entry))
        })
        .take(usize::from(DEPTH_MAX) + 1)
    }

    /// Whether `index` is `root` or was derived from it.
    pub fn below(&self, index: u8, root: u8) -> bool {
        self.upwards(index).any(|(at, _)| at == root)
    }

    /// Whether a capability of `client` with the right `right` has all blocks of the capability `index`.
    pub fn covers(&self, client: u8, right: Rights, index: u8) -> bool {
        let Some(target) = self.entry(index) else { return false };
        let inner = target.policy;
        let holds = |e: &Entry| {
            let ends = e.policy.end().zip(inner.end());
            let around = e.policy.first <= inner.first && ends.is_some_and(|(outer, inner)| inner <= outer);
            e.granted.port == target.granted.port && around && e.allowed.contains(right)
        };
        self.entries.iter().any(|e| e.life == Life::Live && e.granted.client == client && holds(e))
    }

    /// How high `client` stands above the capability: 0 by `admin`, else 1 and more by what it holds of those above;
    /// `None` where it may not act on it.
    pub fn authority(&self, client: u8, index: u8) -> Option<u8> {
        if self.covers(client, Rights::ADMIN, index) {
            return Some(0);
        }
        let above = self.upwards(index).skip(1).filter(|(_, e)| e.granted.client == client);
        above.map(|(_, e)| e.depth + 1).min()
    }

    /// Takes the capability and all below it out of their windows; how many they were.
    pub fn remove(&mut self, root: u8) -> u32 {
        let mut removed = 0;
        for index in self.indices() {
            if !self.below(index, root) {
                continue;
            }
            let Some(entry) = self.entry_mut(index).filter(|e| e.life == Life::Live) else {
                continue;
            };
            entry.life = Life::Ending;
            (entry.allowed, entry.quick, entry.plain) = (Rights::NONE, Rights::NONE, false);
            let Capability { client, window, .. } = entry.granted;
            if let Some(place) = self.windows.get_mut(usize::from(client)).and_then(|w| w.get_mut(usize::from(window)))
            {
                *place = NOTHING;
            }
            removed += 1;
        }
        self.indices().for_each(|index| self.reap(index));
        removed
    }

    pub fn indices(&self) -> impl Iterator<Item = u8> + use<> {
        0..u8::try_from(self.entries.len()).unwrap_or(NOTHING)
    }

    /// Frees a revoked entry, and those above it, once nothing counts on them.
    fn reap(&mut self, mut index: u8) {
        while let Some(entry) = self.entry_mut(index).filter(|e| e.life == Life::Ending && e.idle()) {
            entry.life = Life::Free;
            index = entry.parent;
            if let Some(parent) = self.entry_mut(index) {
                parent.below = parent.below.saturating_sub(1);
            }
        }
    }

    /// Fits every capability to its volume; `None` while one is not known.
    pub fn resolve(&mut self, unit: BlockSize, volume: impl Fn(u8) -> Option<Limits>) -> Option<()> {
        for entry in self.entries.iter_mut().filter(|e| e.life == Life::Live) {
            let limits = volume(entry.granted.port)?;
            entry.policy = fit(&entry.granted, &limits).unwrap_or_default();
            let up = POLICY_BLOCK.shift() - unit.shift();
            entry.extent = Extent { first: entry.policy.first << up, blocks: entry.policy.blocks << up };
            entry.scale = unit.shift().saturating_sub(limits.block.shift());
            entry.read_only = limits.read_only;
        }
        self.ready = true;
        self.refresh();
        Some(())
    }

    /// Computes anew what each capability allows.
    pub fn refresh(&mut self) {
        let withheld = if self.unwatched { Rights::MODIFYING } else { Rights::NONE };
        for index in self.indices() {
            let awake = self.ready && self.upwards(index).all(|(_, e)| e.frozen == AWAKE);
            let laned = |e: &Entry| self.laned.checked_shr(e.granted.port.into()).is_some_and(|bits| bits & 1 == 1);
            let metered = self.upwards(index).any(|(_, e)| e.granted.budget.limits() || laned(e));
            if let Some(entry) = self.entry_mut(index) {
                let live = awake && entry.life == Life::Live;
                entry.allowed = if live { entry.granted.rights.without(withheld) } else { Rights::NONE };
                entry.metered = metered;
                entry.plain = entry.life == Life::Live && !metered;
                entry.quick = if entry.plain && entry.scale == 0 { entry.allowed } else { Rights::NONE };
            }
        }
    }

    /// Counts anew what is in flight through each capability with a budget: only what began under one was charged, and
    /// what ends under one is repaid.
    pub fn recount(&mut self) {
        for root in self.indices() {
            let below = self.indices().filter(|index| self.below(*index, root));
            let charged = below.filter(|index| self.entry(*index).is_some_and(|e| e.metered));
            let count = charged.map(|index| self.requests(index)).sum();
            if let Some(entry) = self.entry_mut(root) {
                entry.meter.set_in_flight(count);
            }
        }
    }

    /// Requests in flight of this very capability.
    fn requests(&self, index: u8) -> u32 {
        let entry = self.entry(index).filter(|e| e.life != Life::Free);
        entry.and_then(|e| u32::try_from(e.passed.saturating_sub(e.ended)).ok()).unwrap_or(0)
    }

    /// What holds back a request through this capability.
    pub fn gate(&mut self, index: u8, now: Instant) -> Gate {
        let (mut gate, mut next) = (Gate::Open, index);
        while let Some(entry) = self.entry_mut(next) {
            if entry.granted.budget.limits() {
                gate = gate.and(entry.meter.gate(now));
            }
            next = entry.parent;
        }
        gate
    }

    /// Charges a request to this capability and all above it.
    pub fn charge(&mut self, index: u8, now: Instant, bytes: u64) {
        let mut next = index;
        while let Some(entry) = self.entry_mut(next) {
            entry.meter.charge(now, bytes);
            next = entry.parent;
        }
    }

    /// A request of this capability has ended.
    #[inline]
    pub fn ended(&mut self, index: u8) {
        let Some(entry) = self.entry_mut(index) else { return };
        entry.ended = entry.ended.wrapping_add(1);
        if !entry.plain {
            self.ended_specially(index);
        }
    }

    #[cold]
    #[inline(never)]
    fn ended_specially(&mut self, index: u8) {
        if self.entry(index).is_some_and(|e| e.metered) {
            self.repay(index);
        }
        if self.entry(index).is_some_and(|e| e.life == Life::Ending) {
            self.reap(index);
        }
    }

    fn repay(&mut self, index: u8) {
        let mut next = index;
        while let Some(entry) = self.entry_mut(next) {
            entry.meter.ended();
            next = entry.parent;
        }
    }
}

pub(crate) fn policy_blocks(limits: &Limits) -> u64 {
    let shift = POLICY_BLOCK.shift();
    if limits.block.shift() <= shift { limits.capacity >> (shift - limits.block.shift()) } else { 0 }
}

/// The extent of a capability on its volume, in policy blocks; `None` where it does not lie within the volume. A volume
/// with blocks larger than a policy block has none.
pub(crate) fn fit(granted: &Capability, limits: &Limits) -> Option<Extent> {
    let size = policy_blocks(limits);
    let Extent { first, blocks } = granted.extent;
    let blocks = if blocks == u64::MAX { size.checked_sub(first)? } else { blocks };
    let extent = Extent { first, blocks };
    extent.end().is_some_and(|end| end <= size).then_some(extent)
}
