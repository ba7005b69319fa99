// SPDX-License-Identifier: MIT
//! Who is killed, found among the launcher's processes.
use crate::procfs::{self, command_line, parent_of};
use crate::sys;

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Kind {
    /// The PD that drives the disk.
    Driver,
    /// The PD of the partitions.
    Layer,
    /// The PD that holds all capabilities.
    Gatekeeper,
    /// The QEMU that is the disk's device.
    Device,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Driver, Self::Layer, Self::Gatekeeper, Self::Device];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Driver => "driver",
            Self::Layer => "layer",
            Self::Gatekeeper => "gatekeeper",
            Self::Device => "device",
        }
    }

    /// What its command line contains.
    const fn mark(self) -> &'static str {
        match self {
            Self::Driver => "program=virtio-blk ",
            Self::Layer => "program=gpt ",
            Self::Gatekeeper => "program=gatekeeper ",
            Self::Device => "qemu-system",
        }
    }
}

/// The processes below a launcher.
#[derive(Clone, Copy, Debug)]
pub struct Victims {
    launcher: u32,
}

impl Victims {
    /// Those of this launcher.
    pub const fn new(launcher: u32) -> Self {
        Self { launcher }
    }

    /// Kills the one of this kind; when, by the clock of the PDs. `None` where there is none now.
    pub fn kill(self, kind: Kind) -> Option<u64> {
        let (id, _) = children(self.launcher).into_iter().find(|(_, line)| line.contains(kind.mark()))?;
        let process = sys::process(id).ok()?;
        // Its number may have been given to another one before it was held.
        let ours = parent_of(id) == Some(self.launcher) && command_line(id).contains(kind.mark());
        (ours && sys::kill(&process)).then(sys::now)
    }
}

/// The processes that `parent` has started and that live, with their command lines.
pub fn children(parent: u32) -> Vec<(u32, String)> {
    procfs::children(parent).into_iter().filter(|(_, line)| !line.is_empty()).collect()
}
