// SPDX-License-Identifier: MIT
//! What a board or Microkit cannot give: judged once all is derived.
use super::build::{Build, PAGE};
use crate::microkit::MAX_PDS;
use crate::plan::{Board, Region, RegionKind};
use orion_caps::CAPABILITIES_MAX;
use orion_pd::config::{MAX_LEN, VADDR};

/// Page mappings that the kernel's initialiser has room for, of 2^17 slots (measured; the rest it needs itself).
const MAX_FRAME_CAPS: u64 = 120_000;

impl Build<'_> {
    /// Parts of the user's own that this board does not have.
    pub fn unsupported(&mut self) {
        let list = match self.board {
            Board::Host => &self.system.not_on_host,
            Board::QemuVirtAarch64 => &self.system.not_on_aarch64,
            Board::X86_64Generic => &self.system.not_on_x86_64,
        };
        for (at, what) in list {
            let remedy = "leave it out for this board, or use another board (--board)";
            self.problems.add(*at, format!("{what} cannot be had on the board {}", self.board.name()), remedy);
        }
        if self.board == Board::X86_64Generic && !self.options.iommu {
            // The kernel's initialiser panics there.
            for at in self.system.taken.peripherals.values() {
                let remedy = "build with --iommu, or leave it out";
                self.problems.add(*at, "an IOMMU address space on a board without an IOMMU", remedy);
            }
        }
        if self.options.iommu && self.board != Board::X86_64Generic {
            let what = format!("the board {} has no IOMMU", self.board.name());
            self.problems.add(self.system.at, what, "leave out --iommu");
        }
    }

    /// Counts of PDs, capabilities, mappings and configurations.
    pub fn check_limits(&mut self) {
        let grants = self.pds.values().map(|part| part.blob.grants.len()).max().unwrap_or(0);
        if grants > CAPABILITIES_MAX {
            let what =
                format!("{grants} grants and exports do not fit the gatekeeper's {CAPABILITIES_MAX} capabilities");
            self.problems.add(self.system.at, what, "join extents, or grant or export less");
        }
        let start = self.system.at;
        if self.pds.len() > MAX_PDS {
            let derived = self.pds.values().filter(|part| part.pd.derived).count();
            let what = format!("{} protection domains, {derived} of them derived, are too many", self.pds.len());
            self.problems.add(start, what, format!("Microkit takes {MAX_PDS}: have fewer clients or disks"));
        }
        let caps = self.frame_caps();
        let sum: u64 = caps.iter().map(|(caps, _)| *caps).sum();
        if self.board != Board::Host && sum > MAX_FRAME_CAPS {
            let largest = caps.iter().max().map_or("", |(_, name)| name.as_str());
            let what = format!("all mappings together need {sum} page capabilities, most of them for {largest:?}");
            let remedy =
                format!("the initialiser has room for {MAX_FRAME_CAPS}: make regions smaller or map them less");
            self.problems.add(start, what, remedy);
        }
        self.check_configurations();
        self.check_registers();
    }

    /// Nothing of the user's may be where the registers of a derived PD's device are.
    fn check_registers(&mut self) {
        let devices = self.regions.values().filter(|region| region.kind == RegionKind::Device);
        let places = devices.filter_map(|device| Some((device.phys?, device.size, device.name.clone())));
        for (start, size, device) in places.collect::<Vec<_>>() {
            for (name, region) in &self.system.regions {
                let Some(phys) = region.phys else { continue };
                let end = phys.saturating_add(region.size.unwrap_or(region.page));
                if phys < start + size && start < end {
                    let what = format!("the memory region {name:?} has the registers {device:?} in it, at {start:#x}");
                    self.problems.add(region.at, what, "use other addresses: whoever maps these programs the device");
                }
            }
        }
    }

    /// What each region costs: one for each page, and one more for each mapping, IOMMU mappings included.
    fn frame_caps(&self) -> Vec<(u64, String)> {
        let cost = |region: &Region| {
            let maps = self.pds.values().flat_map(|part| &part.pd.maps).filter(|map| map.region == region.name).count();
            let io = if self.iommu() { region.dma_by.len() } else { 0 };
            let each = u64::try_from(maps + io).unwrap_or(u64::MAX).max(1).saturating_add(1);
            (region.size / region.page.max(PAGE)).saturating_mul(each).min(1 << 40)
        };
        self.regions.values().map(|region| (cost(region), region.name.clone())).collect()
    }

    /// A configuration must fit, and nothing of the user's may lie where it is mapped.
    fn check_configurations(&mut self) {
        let end = VADDR + u64::try_from(MAX_LEN).unwrap_or(0);
        for (name, part) in self.pds.iter().filter(|(_, part)| part.ours) {
            let len = part.blob.bytes().len();
            if len > MAX_LEN {
                let what = format!("the configuration of {name:?} is {len} bytes, more than {MAX_LEN}");
                self.problems.add(part.at, what, "have fewer clients, disks or grants");
            }
            for map in &part.pd.maps {
                let region = self.regions.get(&map.region);
                let size = region.map_or(PAGE, |region| region.size);
                let own = region.is_some_and(|region| region.kind == RegionKind::Plain);
                if own && map.vaddr < end && VADDR < map.vaddr.saturating_add(size) {
                    let what = format!("{:?} is mapped over {name:?}'s configuration at {VADDR:#x}", map.region);
                    self.problems.add(part.at, what, format!("keep {VADDR:#x}..{end:#x} free in clients"));
                }
            }
        }
    }
}
