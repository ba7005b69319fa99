// SPDX-License-Identifier: MIT
//! Administrative commands, carried out as soon as they are seen.
use super::queues::Pair;
use super::{Mischief, Model, Taken};
use std::vec;
use std::vec::Vec;
use zerocopy::IntoBytes;

impl Model {
    pub(super) fn serve_admin(&mut self) {
        loop {
            let mut pair = self.admin;
            let Some(command) = self.fetch(&mut pair) else { return };
            self.admin = pair;
            *self.done.entry((true, command.opcode())).or_default() += 1;
            if command.opcode() == 0x0c {
                assert!(
                    self.events.len() <= self.shape.controller.aerl.into(),
                    "more requests for events than it takes"
                );
                self.events.push(command.id());
                continue;
            }
            match self.mischief {
                Some(Mischief::LoseAdmin) => {}
                Some(Mischief::AdminId) => self.answer_admin(0x77, 0, 0),
                Some(Mischief::AdminStatus(status)) => self.answer_admin(command.id(), status, 0),
                _ => {
                    let Some((status, result)) = self.administer(&command) else { continue };
                    self.answer_admin(command.id(), status, result.into());
                    continue;
                }
            }
            self.mischief = None;
        }
    }

    /// `None`: the answer comes later.
    fn administer(&mut self, command: &Taken) -> Option<(u16, u32)> {
        let [ten, eleven] = [command.dwords[10], command.dwords[11]];
        Some(match command.opcode() {
            0x80 | 0x84 | 0x0d | 0x15 => return self.manage(command),
            0x06 => (self.identify(command, ten & 0xff), 0),
            0x02 => (self.log(command, ten), 0),
            0x09 if ten & 0xff == 2 => (self.set_power(eleven), 0),
            0x09 if ten & 0xff == 0xc => (self.set_rest(command, eleven), 0),
            0x09 => self.set_feature(ten & 0xff, eleven),
            0x0a if ten & 0xff == 2 => (0, self.power.state),
            0x0a if ten & 0xff == 6 => (0, u32::from(!self.shape.cache_off)),
            0x05 => {
                assert_eq!(eleven, 3, "a completion queue");
                if self.refused(ten & 0xffff) {
                    return Some((0x101, 0));
                }
                let half =
                    Pair { answers: command.long(6), entries: [0, (ten >> 16) + 1], phase: true, ..Pair::default() };
                self.halves.insert(ten as u16, half);
                (0, 0)
            }
            0x01 => {
                let weighted = self.config >> 11 & 1 != 0;
                let priority = if weighted { eleven >> 1 & 3 } else { 0 };
                assert_eq!(eleven, ten << 16 | priority << 1 | 1, "a submission queue");
                let id = ten as u16;
                let half = self.halves.remove(&id).expect("a submission queue before its completion queue");
                let entries = [(ten >> 16) + 1, half.entries[1]];
                let most = (self.shape.capabilities & 0xffff) as u32 + 1;
                assert!(entries.iter().all(|n| *n >= 2 && *n <= most), "queues of {entries:?} entries");
                self.requests.insert(id, Pair { commands: command.long(6), entries, priority, ..half });
                (0, 0)
            }
            0x08 => (0, self.abort(ten as u16, (ten >> 16) as u16)),
            0x7c => {
                self.shadows = Some([command.long(6), command.long(8)]);
                (0, 0)
            }
            _ => (1, 0),
        })
    }

    /// Whether there is no queue of this number.
    fn refused(&self, id: u32) -> bool {
        id == 0 || id > u32::from(self.shape.queues)
    }

    fn set_feature(&mut self, feature: u32, value: u32) -> (u16, u32) {
        match feature {
            7 => {
                let granted = u32::from(self.shape.grants) - 1;
                return (0, granted << 16 | granted);
            }
            8 if !self.shape.gathers => return (0x10e, 0),
            1 | 8 | 0x0b => {}
            _ => return (2, 0),
        }
        self.features.insert(feature, value);
        (0, 0)
    }

    /// Aborts a request, if it can still be found: 0 where it was.
    fn abort(&mut self, queue: u16, id: u16) -> u32 {
        let found = [&mut self.lost, &mut self.taken].into_iter().find_map(|list| {
            let at = list.iter().position(|taken| (taken.queue, taken.id()) == (queue, id))?;
            Some(list.remove(at))
        });
        let Some(command) = found else { return 1 };
        self.answer(command.queue, command.id(), 7, false);
        0
    }

    fn identify(&mut self, command: &Taken, cns: u32) -> u16 {
        let id = command.namespace();
        let page: Vec<u8> = match cns {
            0 if id == 0 || id > self.shape.controller.namespaces.get() => return 0x00b,
            0 => self.spaces.get(&id).map_or(vec![0; 4096], |space| self.page_of(id, space)),
            0x11 => self.any_space(id).map_or(vec![0; 4096], |space| self.page_of(id, space)),
            0x10 => {
                let all = self.spaces.keys().chain(self.manage.detached.keys()).copied();
                let all: std::collections::BTreeSet<u32> = all.filter(|n| *n > id).collect();
                let mut page: Vec<u8> = all.into_iter().flat_map(u32::to_le_bytes).collect();
                page.resize(4096, 0);
                page
            }
            1 => {
                let mut page = self.shape.controller.as_bytes().to_vec();
                page.resize(4096, 0);
                page[768..1024].copy_from_slice(&self.shape.subsystem);
                self.power_states(&mut page);
                page
            }
            6 => {
                assert_eq!(command.dwords[11] >> 24, 2, "the command set of zones");
                let mut page = vec![0; 4096];
                page[0] = self.shape.append_pages;
                page
            }
            5 => {
                assert_eq!(command.dwords[11] >> 24, 2, "the command set of zones");
                let Some(zones) = self.spaces.get(&id).and_then(|space| space.zones.as_ref()) else { return 2 };
                let mut page = vec![0; 4096];
                page[2816..2824].copy_from_slice(&zones.size.to_le_bytes());
                page
            }
            3 => {
                let Some(space) = self.spaces.get(&id) else { return 0x00b };
                let (eui, nguid) = (&space.identify.eui64, &space.identify.nguid);
                let names: [(u8, &[u8]); 3] = [(1, eui), (2, nguid), (3, &space.uuid)];
                let had = names.into_iter().filter(|(_, name)| name.iter().any(|byte| *byte != 0));
                let mut page: Vec<u8> =
                    had.flat_map(|(kind, name)| [&[kind, name.len() as u8, 0, 0], name].concat()).collect();
                if space.zones.is_some() {
                    page.extend(super::zones::descriptor());
                }
                page.resize(4096, 0);
                page
            }
            2 => {
                let mut page: Vec<u8> = self.spaces.keys().filter(|n| **n > id).flat_map(|n| n.to_le_bytes()).collect();
                page.resize(4096, 0);
                page
            }
            _ => return 2,
        };
        self.bus().store(command.long(6), &page);
        0
    }

    fn any_space(&self, id: u32) -> Option<&super::Space> {
        self.spaces.get(&id).or_else(|| self.manage.detached.get(&id))
    }

    /// What Identify shows of a namespace, while it is formatted too.
    fn page_of(&self, id: u32, space: &super::Space) -> Vec<u8> {
        let mut page = space.page();
        if let Some((_, left)) = self.manage.formatting.as_ref().filter(|(command, _)| command.namespace() == id) {
            page[32] = 0x80 | left;
        }
        page
    }

    fn log(&mut self, command: &Taken, ten: u32) -> u16 {
        let bytes = ((ten >> 16) as usize + 1) * 4;
        let mut page = match ten & 0xff {
            2 => self.shape.health.to_vec(),
            3 => [&[1, 0, 0, 0, 0, 0, 0, 0][..], &self.shape.controller.firmware].concat(),
            1 | 4 => Vec::new(),
            0x0c => self.access_log(command),
            0xbf => self.changed_log(command),
            0x81 => self.sanitize_log(),
            _ => return 0x109,
        };
        page.resize(bytes, 0);
        self.bus().store(command.long(6), &page);
        0
    }
}
