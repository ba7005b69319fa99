// SPDX-License-Identifier: MIT
//! What lies on what: volumes down to the disks, and what serves each step of the way.
use crate::model::{Disk, Joined, Partition, System, Target, Volume};

/// Something that a PD serves over a ring of its own, whose name the ring says.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A disk, served by its driver.
    Disk(&'a Disk),
    /// A partition, served by the layer that reads its table.
    Partition(&'a Volume),
    /// Several devices, served by the layer that joins them.
    Joined(&'a Volume, &'a Joined),
}

impl<'a> Source<'a> {
    /// Its name: disks and volumes share one space of names.
    pub fn name(self) -> &'a str {
        match self {
            Self::Disk(disk) => &disk.name,
            Self::Partition(volume) | Self::Joined(volume, _) => &volume.name,
        }
    }
}

impl Volume {
    /// All that it names as what it lies on.
    pub fn below(&self) -> impl Iterator<Item = &Target> {
        self.on.iter().chain(self.joined.iter().flat_map(|joined| &joined.members))
    }
}

impl System {
    /// What serves `target`: the first disk, partition or joined devices on the way down; `None` where a name is unknown or volumes lie on
    /// each other in a circle.
    pub fn source(&self, target: &Target) -> Option<Source<'_>> {
        let mut target = target;
        for _ in 0..=self.volumes.len() {
            let name = match target {
                Target::Disk(name, _) => return self.disk(name).map(Source::Disk),
                Target::Volume(name, _) => name,
            };
            let volume = self.volume(name)?;
            match (&volume.joined, &volume.partition) {
                (Some(joined), _) => return Some(Source::Joined(volume, joined)),
                (_, Some(_)) => return Some(Source::Partition(volume)),
                _ => target = volume.on.as_ref()?,
            }
        }
        None
    }

    /// What a source is made of: what a partition lies on, the devices that are joined; nothing of a disk.
    pub fn under<'a>(&'a self, source: Source<'a>) -> Vec<Source<'a>> {
        match source {
            Source::Disk(_) => Vec::new(),
            Source::Partition(volume) => volume.on.iter().filter_map(|on| self.source(on)).collect(),
            Source::Joined(_, joined) => joined.members.iter().filter_map(|member| self.source(member)).collect(),
        }
    }

    /// All sources below one, and itself, each once.
    pub fn way_down<'a>(&'a self, source: Source<'a>) -> Vec<Source<'a>> {
        let mut all = vec![source];
        let mut next = 0;
        while let Some(source) = all.get(next).copied() {
            next += 1;
            for below in self.under(source) {
                if all.iter().all(|known| known.name() != below.name()) {
                    all.push(below);
                }
            }
        }
        all
    }

    /// The disks that `target` comes down to, each once.
    pub fn disks_below(&self, target: &Target) -> Vec<&Disk> {
        let all = self.source(target).map_or_else(Vec::new, |source| self.way_down(source));
        let disk = |source: Source<'_>| self.disk(source.name()).filter(|_| matches!(source, Source::Disk(_)));
        all.into_iter().filter_map(disk).collect()
    }

    /// Whether `target` comes down to this disk.
    pub fn comes_down(&self, target: &Target, disk: &str) -> bool {
        self.disks_below(target).iter().any(|below| below.name == disk)
    }

    /// The volume that joins the source of this name to others.
    pub fn joined_over(&self, source: &str) -> Option<(&Volume, &Joined)> {
        let member = |target: &Target| self.source(target).is_some_and(|found| found.name() == source);
        self.joined().find(|(_, joined)| joined.members.iter().any(member))
    }

    /// The volumes that join devices, as they stand.
    pub fn joined(&self) -> impl Iterator<Item = (&Volume, &Joined)> {
        self.volumes.iter().filter_map(|volume| Some((volume, volume.joined.as_ref()?)))
    }

    /// The same, each after all that lie under it.
    pub fn joined_upward(&self) -> Vec<(&Volume, &Joined)> {
        let depth = |(volume, joined): &(&Volume, &Joined)| self.way_down(Source::Joined(volume, joined)).len();
        let mut all: Vec<_> = self.joined().collect();
        all.sort_by_cached_key(|found| (depth(found), found.0.name.clone()));
        all
    }

    /// The highest volume over the disk or volume `below`; itself where nothing lies on it.
    pub fn highest<'a>(&'a self, below: &'a str) -> &'a str {
        let mut name = below;
        for _ in 0..=self.volumes.len() {
            let over = |volume: &&Volume| volume.below().any(|on| on.name() == name);
            match self.volumes.iter().find(over) {
                Some(volume) => name = &volume.name,
                None => break,
            }
        }
        name
    }

    /// The volumes that are partitions of the disk or the joined devices `base`, by name.
    pub fn partitions_of(&self, base: &str) -> Vec<(&str, &Partition)> {
        let on = |volume: &Volume| volume.on.as_ref().is_some_and(|on| on.name() == base);
        let here = self.volumes.iter().filter(|volume| on(volume));
        let mut found: Vec<_> =
            here.filter_map(|volume| Some((volume.name.as_str(), volume.partition.as_ref()?))).collect();
        found.sort_unstable_by_key(|(name, _)| *name);
        found
    }
}
