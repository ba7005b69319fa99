// SPDX-License-Identifier: MIT
//! The machine's memory: one allocation for each region of the plan, seen through as many windows as it has mappings.
#![allow(unsafe_code, reason = "windows on shared memory are made here")]
use orion_region::Window;
use orion_system::plan::{Plan, RegionKind};
use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::rc::Rc;

/// Bytes of a page.
const PAGE: usize = 4096;

/// A page of memory.
#[derive(Debug)]
#[repr(C, align(4096))]
struct Page(UnsafeCell<[u64; PAGE / 8]>);

/// One region. Only ever reached through raw pointers, since several windows share it.
#[derive(Debug)]
struct Region(Box<[Page]>);

/// All regions, by name. Lives as long as anything that has a window on it: see [`Memory::window`].
#[derive(Clone, Debug)]
pub struct Memory(Rc<BTreeMap<String, Region>>);

impl Memory {
    /// Zeroed memory for every region of a plan but device registers.
    pub fn new(plan: &Plan) -> Self {
        let regions = plan.regions.iter().filter(|r| r.kind != RegionKind::Device).map(|r| {
            let pages = usize::try_from(r.size).expect("regions of a test fit memory").div_ceil(PAGE);
            (r.name.clone(), Region((0..pages).map(|_| Page(UnsafeCell::new([0; PAGE / 8]))).collect()))
        });
        Self(Rc::new(regions.collect()))
    }

    /// A window on a region. Whoever takes it must be dropped before the machine is, which [`Machine`](crate::Machine)
    /// sees to.
    pub fn window(&self, name: &str) -> Option<Window> {
        let region = &self.0.get(name)?.0;
        let base = NonNull::new(region.as_ptr().cast_mut().cast::<u8>())?;
        // SAFETY: the allocation lives as long as the machine, whose PDs are dropped first; no reference to its bytes is
        // ever made; it is aligned to a page.
        Some(unsafe { Window::new(base, region.len() * PAGE) })
    }
}
