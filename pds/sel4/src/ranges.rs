// SPDX-License-Identifier: MIT
//! What the configuration says is mapped, and what of it the PD has taken.
use orion_pd::Config;
use orion_pd::config::{Device, Link};

/// Bytes of a server's, client's or control page, of a function's configuration page and of a page of registers.
const PAGE: u64 = 4096;
/// Bytes of the region in which the gatekeeper's state survives a restart.
const STATE: u64 = 4 * PAGE;
/// Most mapped ranges of a PD: 62 channels of four pages each, and more.
const MOST: usize = 512;

/// What a range holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Memory shared with peers or devices.
    Memory,
    /// A device's registers.
    Registers,
}

/// A mapped range: each can be taken once.
#[derive(Debug)]
pub struct Ranges {
    config: Config<'static>,
    taken: [u64; MOST / 64],
}

impl Ranges {
    /// All that `config` names, nothing of it taken.
    pub const fn new(config: Config<'static>) -> Self {
        Self { config, taken: [0; MOST / 64] }
    }

    /// Takes the range of `kind` at `vaddr`: its length; `None` where there is none or it was taken.
    pub fn take(&mut self, kind: Kind, vaddr: u64) -> Option<usize> {
        let mut all = all(self.config).enumerate();
        let (index, range) = all.find(|(_, r)| r.0 == kind && r.1 == vaddr && vaddr != 0)?;
        let word = self.taken.get_mut(index / 64)?;
        let bit = 1 << (index % 64);
        if *word & bit != 0 {
            return None;
        }
        *word |= bit;
        usize::try_from(range.2).ok()
    }
}

type Range = (Kind, u64, u64);

fn all(config: Config<'static>) -> impl Iterator<Item = Range> {
    let regions = config.regions.iter().map(|r| (Kind::Memory, r.vaddr.get(), r.size.get()));
    let consoles = config.consoles.iter().map(|c| (Kind::Memory, c.vaddr.get(), c.size.get()));
    let links = config.links.iter().flat_map(link);
    let devices = config.devices.iter().flat_map(device);
    let controls = config.controls.iter().flat_map(|c| [c.own, c.peer]).map(|page| (Kind::Memory, page.get(), PAGE));
    let state = config.setting("state_vaddr").map(|vaddr| (Kind::Memory, vaddr, STATE));
    let own = config.setting("metrics_vaddr").zip(config.setting("metrics_bytes"));
    let figures = own.map(|(vaddr, bytes)| (Kind::Memory, vaddr, bytes));
    let watches = config.watches.iter().map(|w| (Kind::Memory, w.vaddr.get(), w.size.get()));
    let audit = [("audit_vaddr", orion_audit::RECORDS_BYTES), ("audit_taken_vaddr", orion_audit::TAKEN_BYTES)];
    let audit = audit.into_iter().filter_map(move |(key, size)| Some((Kind::Memory, config.setting(key)?, size)));
    let pages = ["pulse_vaddr", "lives_vaddr", "orders_vaddr"].into_iter();
    let pages = pages.filter_map(move |key| Some((Kind::Memory, config.setting(key)?, PAGE)));
    let pulses = config.children.iter().map(|child| (Kind::Memory, child.pulse.get(), PAGE));
    let ranges = regions.chain(consoles).chain(links).chain(devices).chain(controls);
    ranges.chain(state).chain(figures).chain(watches).chain(audit).chain(pages).chain(pulses)
}

fn link(link: &Link) -> [Range; 4] {
    let queue = link.queue_bytes.get();
    [
        (Kind::Memory, link.info.get(), PAGE),
        (Kind::Memory, link.ext.get(), PAGE),
        (Kind::Memory, link.requests.get(), queue),
        (Kind::Memory, link.responses.get(), queue),
    ]
}

fn device(device: &Device) -> [Range; 3] {
    // I/O ports of x86-64 have a number and no address; nothing is mapped that low.
    let bars = if device.bar_vaddr.get() <= u64::from(u16::MAX) { 0 } else { device.bar_vaddr.get() };
    [
        (Kind::Memory, device.dma_vaddr.get(), device.dma_size.get()),
        (Kind::Registers, device.config_vaddr.get(), PAGE),
        (Kind::Registers, bars, device.bar_size.get()),
    ]
}
