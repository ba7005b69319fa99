// SPDX-License-Identifier: MIT
//! Which program each name in `system.xml` stands for in this world.
use crate::world::{HostWorld, serve};
use orion_ahci_pd::AhciPd;
use orion_am53c974_pd::Am53c974Pd;
use orion_auditor::Auditor;
use orion_demo::{Demo, Reader};
use orion_export::Export;
use orion_gatekeeper::GatekeeperPd;
use orion_gpt_pd::GptPd;
use orion_manager::OnSockets;
use orion_multipath_pd::MultipathPd;
use orion_nvme_pd::NvmePd;
use orion_pd::{ProtectionDomain, Verdict};
use orion_raid_pd::RaidPd;
use orion_stack::VirtioBlkGpt;
use orion_supervisor::Supervisor;
use orion_virtio_blk::VirtioBlkPd;
use orion_virtio_scsi::VirtioScsiPd;

/// What a program's end means for the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It serves others for as long as the system runs; the system ends with it.
    Service,
    /// It has a job to do. The system ends when every job has.
    Job,
    /// It serves others, but none depends on it.
    Client,
}

/// A program.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name: the file name, without extension, of the program image in `system.xml`.
    pub name: &'static str,
    /// What its end means.
    pub role: Role,
    /// Runs it until its end.
    pub run: fn(&mut HostWorld) -> Result<Verdict, String>,
}

impl Program {
    /// The program `name`, which is the PD type `P`.
    pub const fn new<P: ProtectionDomain<HostWorld>>(name: &'static str, role: Role) -> Self {
        Self { name, role, run: serve::<P> }
    }
}

/// The programs of a release.
pub fn all() -> Vec<Program> {
    vec![
        Program::new::<GatekeeperPd>("gatekeeper", Role::Service),
        Program::new::<VirtioBlkPd<HostWorld>>("virtio-blk", Role::Service),
        Program::new::<AhciPd<HostWorld>>("ahci", Role::Service),
        Program::new::<Am53c974Pd<HostWorld>>("am53c974", Role::Service),
        Program::new::<NvmePd<HostWorld>>("nvme", Role::Service),
        Program::new::<VirtioScsiPd<HostWorld>>("virtio-scsi", Role::Service),
        Program::new::<VirtioBlkGpt<HostWorld>>("virtio-blk-gpt", Role::Service),
        Program::new::<GptPd>("gpt", Role::Service),
        Program::new::<RaidPd>("raid", Role::Service),
        Program::new::<MultipathPd>("multipath", Role::Service),
        Program::new::<Auditor>("auditor", Role::Client),
        Program::new::<Demo>("demo", Role::Job),
        Program::new::<Reader>("reader", Role::Job),
        Program::new::<Export>("export", Role::Service),
        Program::new::<OnSockets>("manager", Role::Client),
        Program::new::<Supervisor>("supervisor", Role::Client),
    ]
}
