// SPDX-License-Identifier: MIT
//! From a system to a plan for a board: every PD, ring, region, channel, address, interrupt and configuration.
//!
//! Each PD's addresses, channel ids and tables are filled in a fixed order (by name, and disks as they stand), so the
//! same input gives the same plan.
use crate::model::System;
use crate::plan::{Board, Plan};
use crate::problem::Problem;
use std::collections::BTreeMap;

mod audit;
mod build;
mod clients;
mod controls;
mod device;
mod disks;
mod joined;
mod ladder;
mod limits;
mod manager;
mod partitions;
mod sddf;
mod services;
mod slots;
mod space;
mod supervision;

pub use audit::{RECORDS as AUDIT_RECORDS, TAKEN as AUDIT_TAKEN};
use build::Build;
pub(crate) use clients::DRIVER_QUEUE_MAX;

/// What the command line adds to a system.
#[derive(Clone, Debug)]
pub struct Options {
    /// Put devices behind an IOMMU; x86-64 only.
    pub iommu: bool,
    /// Volumes (or disks) to serve to the outside: each gets a client PD of its own.
    pub exports: Vec<Export>,
    /// What is forced on disks, by name.
    pub disks: BTreeMap<String, DiskOptions>,
    /// Whether the demo may write: each client's setting `writes`.
    pub demo_writes: bool,
    /// Whether the launcher keeps the audit records; only in a system without an audit of its own.
    pub audit: bool,
    /// Further settings of every client, by key.
    pub client_settings: BTreeMap<String, u64>,
    /// Settings of the supervisor, by key: its times and limits.
    pub supervisor_settings: BTreeMap<String, u64>,
    /// What tests want to see ended; on seL4 only.
    pub torture: Option<Torture>,
}

/// What tests want to see ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Torture {
    /// PDs under the supervisor, so many times, in any way, at any time.
    Times(u64),
    /// Every life of a PD, by its name, as soon as it begins.
    Always(String),
    /// The supervisor itself, after so many milliseconds.
    Supervisor(u64),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            iommu: false,
            exports: Vec::new(),
            disks: BTreeMap::new(),
            demo_writes: true,
            audit: false,
            client_settings: BTreeMap::new(),
            supervisor_settings: BTreeMap::new(),
            torture: None,
        }
    }
}

/// A volume, or a disk that no volume lies on, that is served whole: read, write and flush.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Its name.
    pub volume: String,
}

/// What is forced on a disk, whatever `system.xml` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskOptions {
    /// Bytes.
    pub size: Option<u64>,
    /// Whether it is read-only.
    pub read_only: Option<bool>,
}

/// The plan of `system` for `board`.
///
/// # Errors
/// What this board cannot give, by place in `system.xml`.
pub fn derive(system: &System, board: Board, options: &Options) -> Result<Plan, Vec<Problem>> {
    let mut build = Build::new(system, board, options);
    build.unsupported();
    build.own_parts();
    build.priorities();
    // A system without disks is plain Microkit: nothing is added.
    if !system.disks.is_empty() {
        let slots = build.disk_slots();
        let clients = build.clients();
        build.parts(&clients);
        build.data_regions(&clients);
        build.client_links(&clients);
        build.controls(&clients);
        build.audit(&clients);
        build.joined_parts(&clients);
        build.drivers(&slots, &clients);
        build.joined_rings(&clients);
        build.grants(&clients);
        build.manager();
        build.patience();
        build.supervisor();
        build.services();
        build.figures();
        build.children();
    } else {
        build.exports_without_disks();
    }
    build.check_limits();
    build.finish()
}
