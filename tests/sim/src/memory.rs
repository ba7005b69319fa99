// SPDX-License-Identifier: MIT
//! The machine's memory: one allocation for each region of the plan, seen through as many windows as it has mappings.
#![allow(unsafe_code, reason = "windows on shared memory are made here")]
use orion_block::Buf;
use orion_layer::Payload;
use orion_pd::Config;
use orion_region::Window;
use orion_system::plan::{Plan, RegionKind};
use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::rc::Rc;

/// One region. Only ever reached through raw pointers, since several windows share it.
#[derive(Debug)]
struct Region(Box<[UnsafeCell<u64>]>);

/// All regions, by name. Lives as long as anything that has a window on it: see [`Memory::window`].
#[derive(Clone, Debug)]
pub struct Memory(Rc<BTreeMap<String, Region>>);

impl Memory {
    /// Zeroed memory for every region of a plan but device registers.
    pub fn new(plan: &Plan) -> Self {
        let regions = plan.regions.iter().filter(|r| r.kind != RegionKind::Device).map(|r| {
            let words = usize::try_from(r.size / 8).expect("regions of a test fit memory");
            (r.name.clone(), Region((0..words).map(|_| UnsafeCell::new(0)).collect()))
        });
        Self(Rc::new(regions.collect()))
    }

    /// A window on a region. Whoever takes it must be dropped before the machine is, which [`Machine`](crate::Machine)
    /// sees to.
    pub fn window(&self, name: &str) -> Option<Window> {
        let region = &self.0.get(name)?.0;
        let base = NonNull::new(UnsafeCell::raw_get(region.as_ptr()).cast::<u8>())?;
        // SAFETY: the allocation lives as long as the machine, whose PDs are dropped first; no reference to its bytes is
        // ever made; it is aligned as a u64.
        Some(unsafe { Window::new(base, region.len() * 8) })
    }
}

/// What a device reaches by DMA: the regions of its driver's configuration.
#[derive(Debug)]
pub struct Dma(Vec<Option<Window>>);

impl Dma {
    /// The regions that the driver with this configuration may name.
    pub fn new(memory: &Memory, config: &Config<'_>) -> Self {
        Self(config.regions.iter().map(|r| memory.window(r.name.as_str())).collect())
    }

    fn window(&self, buf: Buf) -> Option<&Window> {
        self.0.get(usize::from(buf.region.0))?.as_ref()
    }
}

impl Payload for Dma {
    fn read(&self, from: Buf, to: &mut [u8]) -> bool {
        self.window(from).is_some_and(|w| w.copy_out(from.offset as usize, to))
    }
    fn write(&mut self, to: Buf, from: &[u8]) -> bool {
        self.window(to).is_some_and(|w| w.copy_in(to.offset as usize, from))
    }
}
