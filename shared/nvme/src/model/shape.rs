// SPDX-License-Identifier: MIT
//! What a controller is, and what its namespaces are.
use crate::wire::{Controller, Namespace};
use std::collections::BTreeMap;
use std::vec::Vec;
use zerocopy::{FromZeros, IntoBytes};

/// What a controller is.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its capabilities register.
    pub capabilities: u64,
    /// Its version register.
    pub version: u32,
    /// What it says of itself.
    pub controller: Controller,
    /// What its subsystem is called.
    pub subsystem: [u8; 256],
    /// Its health log page.
    pub health: [u8; 512],
    /// Its power states beyond the first: microwatts are not told, whether requests are done in it, microseconds in and out.
    pub power: Vec<(bool, u32, u32)>,
    /// Reads of its status until it has become ready, or has stopped.
    pub slow: u32,
    /// Most blocks that it verifies at once.
    pub verify_blocks: u32,
    /// Most pages that it appends to a zone at once, as a binary logarithm; 0: as many as a command has.
    pub append_pages: u8,
    /// It never becomes ready.
    pub never_ready: bool,
    /// It never stops.
    pub never_stops: bool,
    /// Its interrupts are messages.
    pub messages: bool,
    /// Pairs of queues that it says it grants, and that it has.
    pub grants: u16,
    /// Pairs of queues for requests that it has.
    pub queues: u16,
    /// It holds interrupts back if it is asked to.
    pub gathers: bool,
    /// It interrupts only where all that it had written was given back.
    pub patient: bool,
    /// It has no volatile cache that is on, though it has one.
    pub cache_off: bool,
}

impl Shape {
    /// A good controller, with everything optional: an MDTS of 512 KiB, doorbells that can be shadowed, SGLs.
    #[expect(clippy::new_without_default, reason = "as all of the model is made")]
    pub fn new() -> Self {
        let mut controller = Controller::new_zeroed();
        controller.model = *b"Orion model                             ";
        controller.serial = *b"serial 1            ";
        controller.firmware = *b"1.0     ";
        controller.version = 0x0001_0400.into();
        (controller.mdts, controller.sqes, controller.cqes, controller.vwc) = (7, 0x66, 0x44, 1);
        controller.aerl = 3;
        controller.oaes = (1 << 8 | 1 << 27).into();
        controller.namespaces = 8.into();
        controller.oacs = (1 << 8).into();
        controller.oncs = (1 | 1 << 2 | 1 << 3 | 1 << 7).into();
        controller.sgls = 1.into();
        let mut health = [0; 512];
        health[1..3].copy_from_slice(&310u16.to_le_bytes());
        (health[3], health[5], health[128]) = (98, 3, 77);
        Self {
            // 1024 entries, contiguous queues, 10 seconds, NVM command set.
            capabilities: 1023 | 1 << 16 | 20 << 24 | 1 << 37,
            version: 0x0001_0400,
            controller,
            subsystem: [0; 256],
            health,
            power: Vec::new(),
            slow: 0,
            verify_blocks: u32::MAX,
            append_pages: 0,
            never_ready: false,
            never_stops: false,
            messages: true,
            patient: false,
            grants: 8,
            queues: 8,
            gathers: true,
            cache_off: false,
        }
    }

    /// With a change.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// One that offers nothing optional but its volatile cache.
    #[must_use]
    pub fn plain(self) -> Self {
        self.with(|shape| {
            shape.controller.oacs = 0.into();
            shape.controller.oncs = 0.into();
            shape.controller.sgls = 0.into();
        })
    }
}

/// A namespace.
#[derive(Clone, Debug)]
pub struct Space {
    /// What it says of itself.
    pub identify: Namespace,
    /// Its UUID; zeroes: it has none.
    pub uuid: [u8; 16],
    /// Of blocks that were written to where there is protection information: guard and reference tag.
    pub protection: BTreeMap<u64, (u16, u32)>,
    /// Its zones, where it has such.
    pub zones: Option<super::Zones>,
    /// Its content, as reads see it.
    pub content: Vec<u8>,
    /// Its content after a loss of power.
    pub durable: Vec<u8>,
}

impl Space {
    /// A namespace of `blocks` blocks of `1 << shift` bytes.
    pub fn new(blocks: usize, shift: u8) -> Self {
        let mut identify = Namespace::new_zeroed();
        identify.size = (blocks as u64).into();
        identify.capacity = [(blocks as u64).into(); 2];
        identify.formats[0] = (u32::from(shift) << 16).into();
        identify.dlfeat = 1;
        let content: Vec<u8> = (0..blocks << shift).map(|i| (i / 512 * 7 + i) as u8).collect();
        Self { identify, uuid: [0; 16], protection: BTreeMap::new(), zones: None, durable: content.clone(), content }
    }

    /// The same without bytes: a medium holds them.
    pub fn bare(blocks: u64, shift: u8) -> Self {
        Self::new(0, shift).with(|identify| {
            identify.size = blocks.into();
            identify.capacity = [blocks.into(); 2];
        })
    }

    /// With a change of what it says of itself.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Namespace)) -> Self {
        change(&mut self.identify);
        self
    }

    /// Binary logarithm of a block's bytes.
    pub fn shift(&self) -> u32 {
        let format = self.identify.formats[usize::from(self.identify.format & 0xf)].get();
        format >> 16 & 0xff
    }

    /// What Identify shows.
    pub(super) fn page(&self) -> Vec<u8> {
        let mut page = self.identify.as_bytes().to_vec();
        page.resize(4096, 0);
        page
    }
}
