// SPDX-License-Identifier: MIT
//! How the drive is (SMART, ATA8-ACS, section 7.53): asked with commands of the driver's own, among the clients'.
use super::job::Smart;
use super::{Job, Port};
use crate::wire::ata::{TaskFile, command, smart};
use crate::wire::smart::{Page, SelfTests, attributes, thresholds};
use orion_driver::Health;
use orion_region::Mmio;
use zerocopy::FromBytes;

impl<T: Copy + Default> Port<T> {
    /// Asks the drive how it is, soon.
    pub fn ask(&mut self) {
        self.asked = true;
    }

    /// Whether there is something to do beside clients' requests.
    #[inline]
    pub fn has_job(&self) -> bool {
        self.job != Job::None || self.asked
    }

    pub(super) fn smart_task(&self, sub: Smart) -> TaskFile {
        let (features, count, low) = match sub {
            Smart::On => (smart::ENABLE, 0, 0),
            Smart::Status => (smart::RETURN_STATUS, 0, 0),
            Smart::Data => (smart::READ_DATA, 1, 0),
            Smart::Thresholds => (smart::READ_THRESHOLDS, 1, 0),
            Smart::Tests => (smart::READ_LOG, 1, smart::SELF_TEST_LOG),
        };
        TaskFile { command: command::SMART, features, count, lba: smart::KEY | low, device: 0 }
    }

    /// Takes the answer to the last question, and asks the next.
    pub(super) fn next_smart<R: Mmio>(&mut self, registers: &R) {
        let Some(drive) = self.drive.as_ref() else { return };
        let (on, tests) = (drive.smart_on, drive.self_test);
        let next = match (self.job, self.outcome) {
            (Job::None, _) if core::mem::take(&mut self.asked) && drive.smart => {
                let Health { model, serial, firmware, .. } = self.health;
                self.gathered = Health { model, serial, firmware, ..Health::default() };
                Some(if on { Smart::Status } else { Smart::On })
            }
            (Job::Smart(done), Some(well)) => {
                self.outcome = None;
                if well {
                    self.take_smart(done);
                }
                match done {
                    Smart::On => well.then_some(Smart::Status),
                    Smart::Status => Some(Smart::Data),
                    Smart::Data => Some(Smart::Thresholds),
                    Smart::Thresholds => tests.then_some(Smart::Tests),
                    Smart::Tests => None,
                }
            }
            _ => return,
        };
        match next {
            Some(next) => {
                let _ = self.start_job(registers, Job::Smart(next));
            }
            None if self.job != Job::None => {
                (self.health, self.job) = (self.gathered, Job::None);
            }
            None => {}
        }
    }

    fn take_smart(&mut self, done: Smart) {
        let bytes = self.data();
        match done {
            Smart::On => {}
            Smart::Status => {
                self.gathered.failing = match self.answer().lba_low() & 0xff_ff00 {
                    smart::FAILING => Some(true),
                    smart::KEY => Some(false),
                    _ => None,
                };
            }
            Smart::Data => {
                let _ = Page::read_from_bytes(&bytes).map(|page| attributes(&page, &mut self.gathered));
            }
            Smart::Thresholds => {
                let _ = Page::read_from_bytes(&bytes).map(|page| thresholds(&page, &mut self.gathered));
            }
            Smart::Tests => {
                let failed = SelfTests::read_from_bytes(&bytes).ok().and_then(|log| log.last_failed());
                if failed == Some(true) {
                    self.gathered.failing = Some(true);
                }
            }
        }
    }
}
