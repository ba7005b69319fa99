// SPDX-License-Identifier: MIT
//! Format, sanitize, and namespaces that come and go: what takes its time goes on when the test says so, and not faster.
use super::{Model, Space, Taken};
use crate::wire::manage::NewSpace;
use crate::wire::status;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

/// What the controller does beside requests.
#[derive(Debug, Default)]
pub struct Manage {
    /// Namespaces that there are and that are not attached.
    pub detached: BTreeMap<u32, Space>,
    /// The command that formats, and its namespace; per cent that are left.
    pub formatting: Option<(Taken, u8)>,
    /// It sanitizes: of 65,536 so many are done.
    pub sanitizing: Option<u16>,
    /// How the last sanitize ended, as its log page has it.
    pub sanitized: u16,
    /// A format or a sanitize that is ended next fails.
    pub fails: bool,
    /// Namespaces whose format was cut off: nothing can be read before another.
    pub torn: Vec<u32>,
    /// Blocks of 512 bytes that are of no namespace.
    pub room: u64,
}

impl Model {
    /// The administrative commands of this page; `None` where the answer comes later.
    pub(super) fn manage(&mut self, command: &Taken) -> Option<(u16, u32)> {
        if self.manage.sanitizing.is_some() {
            return Some((status::SANITIZING, 0));
        }
        let (id, ten) = (command.namespace(), command.dwords[10]);
        Some(match command.opcode() {
            0x80 => return self.begin_format(command),
            0x84 => (self.begin_sanitize(ten), 0),
            0x0d if ten == 0 => self.create(command),
            0x0d => (self.delete(id), 0),
            0x15 => (self.attach(command, id, ten), 0),
            _ => (status::INVALID_OPCODE, 0),
        })
    }

    fn offers(&self, bit: u16) {
        assert!(self.shape.controller.oacs.get() & bit != 0, "a command that is not offered");
    }

    fn begin_format(&mut self, command: &Taken) -> Option<(u16, u32)> {
        self.offers(2);
        let (id, ten) = (command.namespace(), command.dwords[10]);
        let Some(space) = self.spaces.get(&id) else { return Some((status::INVALID_NAMESPACE, 0)) };
        assert!(self.taken.iter().all(|taken| taken.namespace() != id), "a format beside requests");
        if ten & 0xf > space.identify.formats_count.into() || ten >> 12 != 0 {
            return Some((0x10a, 0));
        }
        assert!(self.manage.formatting.is_none(), "two formats at a time");
        self.manage.formatting = Some((*command, 100));
        None
    }

    /// So many per cent of a format are left.
    pub fn format_goes_on(&mut self, left: u8) {
        if let Some((_, percent)) = &mut self.manage.formatting {
            *percent = left;
        }
    }

    /// The format ends; whether there was one.
    pub fn format_ends(&mut self) -> bool {
        let Some((command, _)) = self.manage.formatting.take() else { return false };
        let failed = core::mem::take(&mut self.manage.fails);
        if !failed {
            let space = self.spaces.get_mut(&command.namespace()).unwrap();
            let bytes = space.content.len();
            space.identify.format = (command.dwords[10] & 0x1f) as u8;
            space.identify.dps = (command.dwords[10] >> 5 & 0xf) as u8;
            (space.content, space.durable) = (vec![0; bytes], vec![0; bytes]);
            let blocks = (bytes >> space.shift()) as u64;
            space.identify.size = blocks.into();
            space.identify.capacity = [blocks.into(), 0.into()];
            self.manage.torn.retain(|id| *id != command.namespace());
        }
        self.answer_admin(command.id(), if failed { status::WRITE_FAULT } else { 0 }, 0);
        true
    }

    fn begin_sanitize(&mut self, ten: u32) -> u16 {
        let bit = match ten & 7 {
            2 => 1,
            3 => 2,
            4 => 0,
            _ => return status::INVALID_FIELD,
        };
        assert!(self.shape.controller.sanicap.get() >> bit & 1 != 0, "a sanitize that is not offered");
        assert!(ten & 7 != 3 || ten >> 4 & 0xf == 1, "16 passes");
        assert!(self.taken.is_empty(), "a sanitize beside requests");
        self.manage.sanitizing = Some(0);
        0
    }

    /// So much of 65,536 of a sanitize is done.
    pub fn sanitize_goes_on(&mut self, done: u16) {
        if self.manage.sanitizing.is_some() {
            self.manage.sanitizing = Some(done);
        }
    }

    /// The sanitize ends.
    pub fn sanitize_ends(&mut self) {
        if self.manage.sanitizing.take().is_none() {
            return;
        }
        let failed = core::mem::take(&mut self.manage.fails);
        self.manage.sanitized = if failed { 3 } else { 1 };
        for space in self.spaces.values_mut().filter(|_| !failed) {
            space.content.fill(0);
            space.durable.fill(0);
        }
        // An event of its own kind (figure 142): its log page is 81h.
        self.tell(6 | 1 << 8 | 0x81 << 16);
    }

    pub(super) fn sanitize_log(&self) -> Vec<u8> {
        let state = if self.manage.sanitizing.is_some() { 2 } else { self.manage.sanitized };
        let progress = self.manage.sanitizing.unwrap_or(u16::MAX);
        [progress.to_le_bytes(), state.to_le_bytes()].concat()
    }

    /// What a request for the namespace `id` is answered, where it cannot be done now.
    pub(super) fn unready(&self, id: u32) -> Option<u16> {
        let formats = |(command, _): &(Taken, u8)| command.namespace() == id;
        if self.manage.sanitizing.is_some() {
            Some(status::SANITIZING)
        } else if self.manage.sanitized == 3 {
            Some(status::SANITIZE_FAILED | 1 << 14)
        } else if self.manage.formatting.as_ref().is_some_and(formats) {
            Some(status::FORMATTING)
        } else if self.manage.torn.contains(&id) {
            Some(0x006 | 1 << 14)
        } else {
            None
        }
    }

    /// A reset cuts a format off, and a sanitize goes on.
    pub(super) fn manage_reset(&mut self) {
        if let Some((command, _)) = self.manage.formatting.take() {
            self.manage.torn.push(command.namespace());
        }
    }

    fn create(&mut self, command: &Taken) -> (u16, u32) {
        self.offers(8);
        let bytes: [u8; 104] = self.bus().load(command.long(6));
        let new: NewSpace = zerocopy::transmute!(bytes);
        let shape = self.spaces.values().chain(self.manage.detached.values()).next().map(|space| space.identify);
        let Some(shape) = shape.filter(|shape| new.format <= shape.formats_count) else { return (0x10a, 0) };
        assert_eq!(new.size, new.capacity, "thin provisioning");
        let shift = shape.formats[usize::from(new.format)].get() >> 16 & 0xff;
        let Some(sectors) = new.size.get().checked_mul(1 << (shift - 9)).filter(|n| *n != 0 && *n <= self.manage.room)
        else {
            return (0x115, 0);
        };
        let taken = |id: &u32| self.spaces.contains_key(id) || self.manage.detached.contains_key(id);
        let Some(id) = (1..=self.shape.controller.namespaces.get()).find(|id| !taken(id)) else { return (0x116, 0) };
        self.manage.room -= sectors;
        let mut space = Space::new(new.size.get() as usize, shift as u8);
        space.identify.formats = shape.formats;
        (space.identify.formats_count, space.identify.format) = (shape.formats_count, new.format);
        space.content.fill(0);
        // No two namespaces are the same, not even one after the other.
        self.manage_serial += 1;
        space.identify.nguid[..4].copy_from_slice(&self.manage_serial.to_le_bytes());
        self.manage.detached.insert(id, space);
        (0, id)
    }

    fn delete(&mut self, id: u32) -> u16 {
        self.offers(8);
        assert!(self.taken.iter().all(|taken| taken.namespace() != id), "a namespace is deleted beside requests");
        let Some(space) = self.spaces.remove(&id).or_else(|| self.manage.detached.remove(&id)) else {
            return status::INVALID_NAMESPACE;
        };
        self.manage.room += (space.content.len() / 512) as u64;
        0
    }

    fn attach(&mut self, command: &Taken, id: u32, how: u32) -> u16 {
        self.offers(8);
        let list: [u8; 4] = self.bus().load(command.long(6));
        let own = self.shape.controller.id.get().to_le_bytes();
        assert_eq!(list, [1, 0, own[0], own[1]], "a list of this controller alone");
        let (from, to, missing) = match how {
            0 => (&mut self.manage.detached, &mut self.spaces, 0x118),
            _ => (&mut self.spaces, &mut self.manage.detached, 0x11a),
        };
        match from.remove(&id) {
            Some(space) => {
                to.insert(id, space);
                0
            }
            None if to.contains_key(&id) => missing,
            None => status::INVALID_NAMESPACE,
        }
    }
}
