// SPDX-License-Identifier: MIT
//! Disks by their places, as targets answer for them.
use super::{Disk, Reply, failed};
use crate::Place;
use crate::wire::sense::Sense;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

/// What is connected.
#[derive(Debug, Default)]
pub struct Bus {
    /// The disks.
    pub disks: BTreeMap<Place, Disk>,
}

impl Bus {
    /// A bus with one disk at target 0, unit 0.
    pub fn of(disk: Disk) -> Self {
        Self { disks: [(Place::default(), disk)].into() }
    }

    /// The disk of the first place.
    ///
    /// # Panics
    /// Where there is none.
    pub fn first(&mut self) -> &mut Disk {
        self.disks.values_mut().next().expect("a disk")
    }

    /// Performs a command; `None` where no target answers to its selection.
    pub fn perform(&mut self, nexus: u64, place: Place, cdb: &[u8], out: &[u8]) -> Option<Reply> {
        let luns: Vec<u16> = self.disks.keys().filter(|p| p.target == place.target).map(|p| p.lun).collect();
        if luns.is_empty() {
            return None;
        }
        if cdb[0] == 0xa0 {
            return Some(Reply { data: report(&luns, cdb), ..Reply::default() });
        }
        Some(match (self.disks.get_mut(&place), cdb[0]) {
            (Some(disk), _) => disk.perform(nexus, cdb, out),
            // 6.6.2: no unit there that could be supported.
            (None, 0x12) => Reply { data: [&[0x7f, 0, 5, 2, 31][..], &[0; 31]].concat(), ..Reply::default() },
            (None, _) => failed(Sense::new(5, 0x25, 0)),
        })
    }
}

fn report(luns: &[u16], cdb: &[u8]) -> Vec<u8> {
    let mut data = vec![0; 8];
    data[..4].copy_from_slice(&(luns.len() as u32 * 8).to_be_bytes());
    for lun in luns {
        let [a, b] = if *lun < 256 { lun.to_be_bytes() } else { (0x4000 | lun).to_be_bytes() };
        data.extend([a, b, 0, 0, 0, 0, 0, 0]);
    }
    data.truncate(u32::from_be_bytes([cdb[6], cdb[7], cdb[8], cdb[9]]) as usize);
    data
}
