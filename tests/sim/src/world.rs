// SPDX-License-Identifier: MIT
//! What a PD sees of the simulated world.
use crate::client::{Flights, Job};
use crate::controller::Registers;
use crate::journal::Journal;
use crate::memory::Memory;
use crate::operator::Operator;
use crate::puppet::Strings;
use orion_pd::{Channel, Config, Instant, Verdict, World};
use orion_region::Window;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

/// What all PDs share.
#[derive(Debug, Default)]
pub struct Common {
    /// Notifications that wait for each PD, a bit for each of its channels.
    pub pending: Vec<u64>,
    /// The clock, in nanoseconds.
    pub now: u64,
    /// What was printed.
    pub lines: Vec<String>,
    /// What PDs reported of their jobs, by name.
    pub verdicts: BTreeMap<String, Verdict>,
    /// Notifications sent.
    pub notified: u64,
    /// What the clients of a checked world did and found.
    pub journal: Journal,
    /// What each such client has to do, by name.
    pub jobs: BTreeMap<String, Job>,
    /// What each such client has in flight, by name.
    pub flights: BTreeMap<String, Rc<RefCell<Flights>>>,
    /// Who faces the manager.
    pub operator: Operator,
    /// What puppets are to do and were told, by name.
    pub puppets: BTreeMap<String, Strings>,
}

/// What one PD sees.
#[derive(Debug)]
pub struct SimWorld {
    pub(crate) config: Config<'static>,
    pub(crate) memory: Memory,
    /// Region and whether it was taken, by address.
    pub(crate) maps: BTreeMap<u64, (String, bool)>,
    /// Register files that have not been taken, by address.
    pub(crate) registers: BTreeMap<u64, Registers>,
    /// The PD and its channel at the other end, by channel.
    pub(crate) peers: Vec<(u8, (usize, u8))>,
    pub(crate) common: Rc<RefCell<Common>>,
}

impl World for SimWorld {
    type Mmio = Registers;

    fn config(&self) -> Config<'static> {
        self.config
    }

    fn window(&mut self, vaddr: u64) -> Option<Window> {
        let (name, taken) = self.maps.get_mut(&vaddr)?;
        if std::mem::replace(taken, true) {
            return None;
        }
        self.memory.window(name)
    }

    fn mmio(&mut self, vaddr: u64) -> Option<Registers> {
        self.registers.remove(&vaddr)
    }

    fn notify(&mut self, channel: Channel) {
        let found = self.peers.iter().find(|(own, _)| *own == channel.0);
        let (_, (pd, end)) = *found.expect("a PD notifies only on its channels");
        let mut common = self.common.borrow_mut();
        common.pending[pd] |= 1 << end;
        common.notified += 1;
    }

    fn irq_ack(&mut self, _: Channel) {}

    fn now(&self) -> Instant {
        Instant(self.common.borrow().now)
    }

    fn print(&mut self, line: fmt::Arguments<'_>) {
        self.common.borrow_mut().lines.push(format!("{}: {line}", self.config.name));
    }

    fn finish(&mut self, verdict: Verdict) {
        self.common.borrow_mut().verdicts.insert(self.config.name.into(), verdict);
    }
}
