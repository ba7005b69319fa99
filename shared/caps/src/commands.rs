// SPDX-License-Identifier: MIT
//! What each command does to the derivation tree. Rights and extents never grow on the way down, budgets only shrink.
use crate::budget::Meter;
use crate::tree::{AWAKE, DEPTH_MAX, Entry, Life, Tree};
use crate::{Budget, CLIENTS_MAX, Capability, Command, Denial, Derivation, Extent, Holding, Outcome, Rights, WINDOWS};

/// Most capabilities that one client may have derived at a time, so that it cannot use up the table.
pub(crate) const DERIVED_MAX: usize = 24;

impl Tree {
    /// Does what client `by` asks.
    pub fn command(&mut self, by: u8, command: &Command) -> Result<Outcome, Denial> {
        if !self.ready {
            return Err(Denial::NotReady);
        }
        let outcome = match *command {
            Command::Derive(wish) => self.derive(by, &wish),
            Command::Revoke(target) => self.revoke(by, target),
            Command::Freeze(target) => self.freeze(by, target),
            Command::Unfreeze(target) => self.unfreeze(by, target),
            Command::Limit(target, budget) => self.limit(by, target, budget),
            Command::Narrow { target, blocks, rights } => self.narrow(by, target, blocks, rights),
            Command::Look(target) => self.look(by, target),
            Command::Advance { window } => self.advance(by, window),
            Command::Order { window } => self.administers(by, window).map(|(index, _)| (index, 0)),
        };
        self.refresh();
        if matches!(command, Command::Limit(..)) {
            self.recount();
        }
        // What it allows is known only now.
        outcome.map(|(index, affected)| self.outcome(index, affected))
    }

    fn outcome(&self, index: u8, affected: u32) -> Outcome {
        self.entry(index).map_or_else(Outcome::default, |e| Outcome {
            affected,
            blocks: if e.life == Life::Live { e.policy.blocks } else { 0 },
            rights: e.allowed,
            passed: e.passed,
            epoch: self.epoch(e.granted.port),
        })
    }

    fn epoch(&self, port: u8) -> u32 {
        self.epochs.get(usize::from(port)).copied().unwrap_or(u32::MAX)
    }

    fn own(&self, by: u8, window: u8) -> Result<(u8, Entry), Denial> {
        let (index, entry) = self.held(Holding { client: by, window }).ok_or(Denial::NoCapability)?;
        Ok((index, *entry))
    }

    fn derive(&mut self, by: u8, wish: &Derivation) -> Result<(u8, u32), Denial> {
        let (index, from) = self.own(by, wish.from)?;
        if !from.allowed.contains(Rights::DERIVE) {
            return Err(Denial::Right);
        }
        if usize::from(wish.to.client) >= CLIENTS_MAX || usize::from(wish.to.window) >= WINDOWS {
            return Err(Denial::NoWindow);
        }
        if self.held(wish.to).is_some() {
            return Err(Denial::Taken);
        }
        if wish.rights == Rights::NONE || !from.granted.rights.contains(wish.rights) {
            return Err(Denial::Rights);
        }
        let Extent { first, blocks } = wish.extent;
        let first = from.policy.locate(first, blocks).filter(|_| blocks > 0).ok_or(Denial::Extent)?;
        let expires = match (wish.expires, from.granted.expires) {
            (0, above) => above,
            (asked, 0) => asked,
            (asked, above) => asked.min(above),
        };
        if expires != 0 && expires <= self.epoch(from.granted.port) {
            return Err(Denial::Expired);
        }
        let derived = self.entries.iter().filter(|e| e.life != Life::Free && e.maker == by).count();
        if from.depth >= DEPTH_MAX || derived >= DERIVED_MAX {
            return Err(Denial::Full);
        }
        let granted = Capability {
            client: wish.to.client,
            window: wish.to.window,
            extent: Extent { first, blocks },
            rights: wish.rights,
            budget: if wish.budget.limits() { wish.budget.tightened(from.granted.budget) } else { wish.budget },
            weight: 0,
            expires,
            ..from.granted
        };
        // It lies where its parent lies: on the same volume, in the same units.
        let scaled = self.scaled(index, Extent { first, blocks });
        let entry = Entry {
            policy: granted.extent,
            extent: scaled,
            scale: from.scale,
            read_only: from.read_only,
            ..Entry::new(granted, index, from.depth + 1, by)
        };
        Ok((self.insert(entry).map_err(|_| Denial::Full)?, 1))
    }

    /// An extent in policy blocks, in the gatekeeper's unit.
    fn scaled(&self, like: u8, policy: Extent) -> Extent {
        let up =
            self.entry(like).map_or(0, |e| e.extent.blocks.checked_div(e.policy.blocks).unwrap_or(1).trailing_zeros());
        Extent { first: policy.first << up, blocks: policy.blocks << up }
    }

    fn revoke(&mut self, by: u8, target: Holding) -> Result<(u8, u32), Denial> {
        let (index, _) = self.held(target).ok_or(Denial::NotYours)?;
        if target.client != by && self.authority(by, index).is_none() {
            return Err(Denial::NotYours);
        }
        Ok((index, self.remove(index)))
    }

    fn freeze(&mut self, by: u8, target: Holding) -> Result<(u8, u32), Denial> {
        let (index, entry) = self.held(target).ok_or(Denial::NotYours)?;
        let frozen = entry.frozen;
        let level = self.authority(by, index).ok_or(Denial::NotYours)?;
        self.set_frozen(index, frozen.min(level));
        Ok((index, self.live_below(index)))
    }

    fn unfreeze(&mut self, by: u8, target: Holding) -> Result<(u8, u32), Denial> {
        let (index, entry) = self.held(target).ok_or(Denial::NotYours)?;
        let frozen = entry.frozen;
        // Who holds `admin` through a suspended capability does not count as such: `allowed` is empty then.
        let level = self.authority(by, index).ok_or(Denial::NotYours)?;
        if level > frozen {
            return Err(Denial::Right);
        }
        self.set_frozen(index, AWAKE);
        Ok((index, self.live_below(index)))
    }

    fn limit(&mut self, by: u8, target: Holding, budget: Budget) -> Result<(u8, u32), Denial> {
        let (index, _) = self.held(target).ok_or(Denial::NotYours)?;
        self.authority(by, index).ok_or(Denial::NotYours)?;
        if let Some(entry) = self.entry_mut(index) {
            entry.granted.budget = budget;
            entry.meter = Meter::new(&budget);
        }
        Ok((index, self.live_below(index)))
    }

    fn narrow(&mut self, by: u8, target: Holding, blocks: u64, rights: Rights) -> Result<(u8, u32), Denial> {
        let (index, entry) = self.held(target).ok_or(Denial::NotYours)?;
        let (has, whole) = (entry.granted.rights, entry.policy);
        if target.client != by && self.authority(by, index).is_none() {
            return Err(Denial::NotYours);
        }
        let rights = if rights == Rights::NONE { has } else { rights };
        if !has.contains(rights) {
            return Err(Denial::Rights);
        }
        if blocks > whole.blocks {
            return Err(Denial::Extent);
        }
        let end = if blocks == 0 { None } else { Extent { blocks, ..whole }.end() };
        let affected = self.live_below(index);
        for below in self.indices() {
            if self.below(below, index) {
                self.clip(below, end, rights);
            }
        }
        Ok((index, affected))
    }

    /// Leaves a capability no more than these rights, and no block of its volume from `end` on.
    fn clip(&mut self, index: u8, end: Option<u64>, rights: Rights) {
        let Some(entry) = self.entry(index).filter(|e| e.life == Life::Live) else { return };
        let Extent { first, blocks } = entry.policy;
        let left = end.map_or(blocks, |end| blocks.min(end.saturating_sub(first)));
        let rights = Rights::from_bits(entry.granted.rights.bits() & rights.bits());
        if rights == Rights::NONE || (left == 0 && blocks != 0) {
            self.remove(index);
            return;
        }
        let policy = Extent { first, blocks: left };
        let extent = self.scaled(index, policy);
        if let Some(entry) = self.entry_mut(index) {
            entry.granted.rights = rights;
            if left != blocks {
                (entry.policy, entry.extent, entry.granted.extent) = (policy, extent, policy);
            }
        }
    }

    fn set_frozen(&mut self, index: u8, frozen: u8) {
        if let Some(entry) = self.entry_mut(index) {
            entry.frozen = frozen;
        }
    }

    fn live_below(&self, root: u8) -> u32 {
        let live = |index: &u8| self.entry(*index).is_some_and(|e| e.life == Life::Live) && self.below(*index, root);
        u32::try_from(self.indices().filter(live).count()).unwrap_or(0)
    }

    fn look(&self, by: u8, target: Holding) -> Result<(u8, u32), Denial> {
        let (index, _) = self.held(target).ok_or(Denial::NotYours)?;
        let allowed =
            target.client == by || self.authority(by, index).is_some() || self.covers(by, Rights::OBSERVE, index);
        if !allowed {
            return Err(Denial::NotYours);
        }
        Ok((index, self.live_below(index)))
    }

    /// The caller's capability in `window`, if it has `admin` and is not suspended.
    fn administers(&self, by: u8, window: u8) -> Result<(u8, Entry), Denial> {
        let (index, entry) = self.own(by, window)?;
        if entry.allowed.contains(Rights::ADMIN) { Ok((index, entry)) } else { Err(Denial::Right) }
    }

    fn advance(&mut self, by: u8, window: u8) -> Result<(u8, u32), Denial> {
        let (index, entry) = self.administers(by, window)?;
        let port = entry.granted.port;
        let epoch = self.epoch(port).checked_add(1).ok_or(Denial::Full)?;
        if let Some(place) = self.epochs.get_mut(usize::from(port)) {
            *place = epoch;
        }
        let mut removed = 0;
        for index in self.indices() {
            let over = |e: &&Entry| {
                let expires = e.granted.expires;
                e.life == Life::Live && e.granted.port == port && expires != 0 && expires <= epoch
            };
            if self.entry(index).filter(over).is_some() {
                removed += self.remove(index);
            }
        }
        Ok((index, removed))
    }
}
