// SPDX-License-Identifier: MIT
//! From a plan to running processes: memory for each region, a bell for each PD, a QEMU for each disk.
use crate::audit::{AuditFile, Kept};
use crate::disk::Drive;
use crate::ground::Ground;
use crate::life::Life;
use crate::parent::Children;
use crate::programs::Program;
use crate::qemu::Image;
use crate::sys::Cpus;
use orion_system::plan::{Pd, Plan};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;

/// Programs that this world is itself: it keeps the time and drains the consoles.
const BUILT_IN: [&str; 2] = ["tick", "serial"];
/// The PD that watches over others.
pub const SUPERVISOR: &str = "supervisor";

/// What is to be started.
#[derive(Debug)]
pub struct Setup {
    /// The system.
    pub plan: Plan,
    /// The file behind each disk, by the disk's name.
    pub images: BTreeMap<String, Image>,
    /// The listening sockets of each export and of the manager, by its PD's name.
    pub listeners: BTreeMap<String, Vec<OwnedFd>>,
    /// The processors that everything runs on.
    pub cpus: Cpus,
    /// The programs of this world.
    pub programs: Vec<Program>,
    /// Where the audit records go that the launcher is to keep.
    pub audit: Option<AuditFile>,
}

/// Processes that run, and what they share. Dropping it ends them all.
#[derive(Debug)]
pub struct Running {
    /// Rung when there may be something on a console.
    pub host: File,
    /// Protection domains.
    pub pds: Vec<Life>,
    /// Disks.
    pub disks: Vec<Drive>,
    /// The audit records that the launcher keeps.
    pub audit: Option<Kept>,
    /// The supervisor's asking.
    pub children: Option<Children>,
    /// What all of them share.
    pub ground: Ground,
}

impl Setup {
    /// Starts everything. Call it from the main thread: the processes end with it.
    ///
    /// # Errors
    /// A message for people. Nothing keeps running.
    pub fn start(mut self) -> Result<Running, String> {
        let programs = self.plan.pds.iter().map(|pd| self.program(pd)).collect::<Result<Vec<_>, _>>()?;
        let ground = Ground::new(self.plan, self.cpus).map_err(|error| format!("no memory for the system: {error}"))?;
        let host = ground.host().map_err(|error| error.to_string())?;
        let audit = self.audit.take().map(|file| ground.audit(file)).transpose()?;
        let mut running = Running { host, pds: Vec::new(), disks: Vec::new(), audit, children: None, ground };
        for (_, disks) in running.ground.plan.devices() {
            running.disks.push(Drive::start(&running.ground, &disks, &mut self.images)?);
        }
        let mut pds: Vec<_> = running.ground.plan.pds.iter().zip(programs).collect();
        // Servers before their clients. It is only kinder: any order works.
        pds.sort_by_key(|(pd, _)| std::cmp::Reverse(pd.priority));
        for (pd, program) in pds {
            let Some(program) = program else { continue };
            let wrong = |error| format!("protection domain `{}`: {error}", pd.name);
            let mut parent = None;
            if pd.derived && pd.name == SUPERVISOR {
                let (children, theirs) = Children::pair().map_err(wrong)?;
                (running.children, parent) = (Some(children), Some(OwnedFd::from(theirs)));
            }
            let inherits = (self.listeners.remove(&pd.name).unwrap_or_default(), parent);
            let drive = running.disks.iter().find(|drive| drive.driver == pd.name);
            running.pds.push(Life::start(&running.ground, pd, program, inherits, drive).map_err(wrong)?);
        }
        Ok(running)
    }

    /// The program of a PD; `None` where this world does its work itself.
    fn program(&self, pd: &Pd) -> Result<Option<Program>, String> {
        if BUILT_IN.contains(&pd.program.as_str()) {
            return Ok(None);
        }
        let found = self.programs.iter().find(|program| program.name == pd.program);
        found.copied().map(Some).ok_or_else(|| {
            let names: Vec<&str> = self.programs.iter().map(|program| program.name).collect();
            let (name, image) = (&pd.name, &pd.image);
            format!(
                "protection domain `{name}` runs {image}, which the host world does not have; it runs only programs \
                 that are built into orion: {}",
                names.join(", ")
            )
        })
    }
}
