// SPDX-License-Identifier: MIT
//! Reads the write-intent bitmap of an array before it is served.
use super::bits::{Bits, PAGE, TABLE, Table};
use super::{Ctx, Raid};
use crate::bitmap::HEAD_BYTES;
use crate::{Bitmap, Error, Kind, Super};
use orion_block::{Completion, Lba, Op, Request};
use orion_layer::Io;

/// How far it is read.
#[derive(Clone, Debug, Default)]
pub(super) struct Intent {
    /// It has to be read.
    pub wanted: bool,
    asked: bool,
    role: u32,
    page: u64,
    head: Option<Bitmap>,
    any: bool,
}

impl Raid {
    /// Reads the next page, of the first member that has an up-to-date bitmap; whether all is read.
    pub(super) fn intent_on(&mut self, io: &mut Io<'_, Ctx>) -> bool {
        if self.intent.asked {
            return false;
        }
        if self.intent.head.is_some_and(|head| self.intent.page * PAGE as u64 >= head.bytes()) {
            return true;
        }
        let members = self.geometry.as_ref().map_or(0, crate::Geometry::members);
        while self.intent.role < members {
            let role = self.intent.role;
            let own = self.members.get(role).filter(|_| self.members.is_whole(role)).copied();
            let at = own.and_then(|member| Some((member, self.meta.own(member.port)?.bitmap?)));
            if let Some(((member, at), id)) = at.zip(io.own()) {
                let lba = Lba((at + self.intent.page * (PAGE as u64 / 512)) >> member.scale);
                let blocks = u32::try_from((PAGE / 512) >> member.scale).unwrap_or(0);
                self.intent.asked = true;
                let req = Request { op: Op::Read, fua: false, lba, blocks, buf: self.bits_page() };
                io.lower(id, member.port, 0, req);
                return false;
            }
            self.intent.role += 1;
        }
        self.intent_stale(io)
    }

    /// No member has one that is up to date: everything may differ.
    fn intent_stale(&mut self, io: &mut Io<'_, Ctx>) -> bool {
        let extent = self.extent();
        let set = self.meta.all().next().map(|(_, own)| own.set).unwrap_or_default();
        let known = self.bits.head;
        let head = Bitmap { set, sectors: extent, stale: false, cleared: self.meta.events(), ..known };
        self.intent_all(u8::MAX, io);
        // What a member lacks that is being rebuilt is not known either.
        self.members.partial = 0;
        self.bits = if known.chunk > 0 && Bits::fits(&head) { Bits::new(head, true) } else { Bits::default() };
        true
    }

    /// Fills both tables.
    fn intent_all(&mut self, value: u8, io: &mut Io<'_, Ctx>) {
        for at in (0..TABLE).step_by(PAGE) {
            self.put_bits(Table::Set, at, &[value; PAGE], io);
            self.put_bits(Table::Durable, at, &[0; PAGE], io);
        }
    }

    /// A page was read, or not.
    pub(super) fn intent_ended(&mut self, done: Completion, io: &mut Io<'_, Ctx>) {
        self.intent.asked = false;
        let mut bytes = [0; PAGE];
        let read = done.status.is_ok() && io.read_payload(self.bits_page(), &mut bytes);
        if self.intent.page == 0 {
            self.intent.head = None;
            match Bitmap::parse(&bytes).and_then(|head| self.intent_fits(head)) {
                Ok(Some(head)) if read => {
                    self.intent_all(u8::MAX, io);
                    self.intent.head = Some(head);
                }
                Err(kind) if read => {
                    let port = self.members.get(self.intent.role).map_or(0, |member| member.port);
                    let at = self.devices().position(|own| own == port).unwrap_or(0);
                    self.fault = Some(Error { kind, at: u64::try_from(at).unwrap_or(0) });
                    self.geometry = None;
                    return;
                }
                _ => {}
            }
        } else if !read {
            self.intent.head = None;
        }
        let Some(head) = self.intent.head else {
            (self.intent.role, self.intent.page) = (self.intent.role + 1, 0);
            return;
        };
        let from = if self.intent.page == 0 { HEAD_BYTES } else { 0 };
        let byte = usize::try_from(self.intent.page).unwrap_or(0) * PAGE + from - HEAD_BYTES;
        let own = bytes.get(from..).unwrap_or_default();
        let len = own.len().min(TABLE.saturating_sub(byte));
        let own = own.get(..len).unwrap_or_default();
        self.put_bits(Table::Set, byte, own, io);
        self.intent.any |= own.iter().any(|byte| *byte != 0);
        self.intent.page += 1;
        self.bits = Bits::new(Bitmap { stale: false, ..head }, self.intent.any);
    }

    /// Whether this is the bitmap of this array, and tells of its last write: `None` where it is out of date.
    fn intent_fits(&mut self, head: Bitmap) -> Result<Option<Bitmap>, Kind> {
        if self.meta.all().any(|(_, own)| own.set != head.set) {
            return Err(Kind::OtherBitmap(head.set));
        }
        if !self.meta.all().all(|(_, own)| has_room(own, &head)) {
            return Err(Kind::Bitmap);
        }
        self.bits.head = head;
        let now = head.events >= self.meta.events() && !head.stale && head.sectors == self.extent();
        Ok((now && Bits::fits(&head)).then_some(head))
    }
}

/// Whether a device has room for such a bitmap where its superblock says that it is.
fn has_room(own: &Super, head: &Bitmap) -> bool {
    let Some(at) = own.bitmap else { return true };
    let end = at.saturating_add(head.bytes() / 512);
    let meets = |first: u64, behind: u64| at < behind && first < end;
    let data = meets(own.data_offset, own.data_offset.saturating_add(own.data_size));
    !data && !meets(own.super_offset, own.super_offset.saturating_add(2))
}
