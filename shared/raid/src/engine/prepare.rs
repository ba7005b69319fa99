// SPDX-License-Identifier: MIT
//! Makes a device ready before it takes a role: what it holds from before must not be taken for the array's.
use super::members::{Member, bit};
use super::{ADMIN, Ctx, Raid};
use crate::ppl::{self, HEADER_BYTES};
use orion_block::{Buf, Completion, Lba, Op, Request};
use orion_layer::Io;

/// Bytes in which that is made ready.
pub(super) const PAGE_BYTES: usize = HEADER_BYTES;

/// What is being done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Step {
    #[default]
    Idle,
    /// An empty header is written where its partial parity log will be.
    Log,
}

/// The device, and the role that it is to have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prepare {
    pub step: Step,
    port: u8,
    role: u32,
}

impl Raid {
    /// The memory for one page.
    pub(super) fn page(&self) -> Buf {
        let skip = super::WORK_BYTES - PAGE_BYTES;
        Buf { offset: self.work.offset.saturating_add(skip as u64), ..self.work }
    }

    /// Gives the spare at this port a role, as soon as it is ready for it.
    pub(super) fn prepare(&mut self, port: u8, role: u32, io: &mut Io<'_, Ctx>) {
        self.prepare = Prepare { step: Step::Log, port, role };
        if !self.log.there {
            return self.join(io);
        }
        let Some(ppl) = self.meta.own(port).and_then(|own| own.ppl) else { return self.unfit(io) };
        let mut header = [0; HEADER_BYTES];
        ppl::emit(&mut header, self.log.signature, self.log.generation, &[]);
        io.write_payload(self.page(), &header);
        self.put_page(ppl.at, io);
    }

    /// Writes the page to this sector of the device.
    fn put_page(&mut self, sector: u64, io: &mut Io<'_, Ctx>) {
        let Some((id, limits)) = io.kept(ADMIN).zip(io.below(self.prepare.port)) else { return self.unfit(io) };
        let scale = limits.block.shift().saturating_sub(9);
        let blocks = u32::try_from((PAGE_BYTES / 512) >> scale).unwrap_or(0);
        let (lba, buf) = (Lba(sector >> scale), self.page());
        io.lower(id, self.prepare.port, 0, Request { op: Op::Write, fua: limits.fua, lba, blocks, buf });
    }

    /// What was asked of the device is done.
    pub(super) fn prepared(&mut self, done: Completion, io: &mut Io<'_, Ctx>) {
        match (self.prepare.step, done.status) {
            (Step::Idle, _) => {}
            // It is durable before a superblock says what the device is: each pass begins with a flush.
            (Step::Log, Ok(())) => self.join(io),
            (_, Err(_)) => self.unfit(io),
        }
    }

    /// The device cannot be used.
    fn unfit(&mut self, io: &mut Io<'_, Ctx>) {
        self.meta.spoil(self.prepare.port);
        self.prepare.step = Step::Idle;
        self.go_on(io);
        io.alarm(io.now());
    }

    /// The device has its role from now on.
    fn join(&mut self, io: &mut Io<'_, Ctx>) {
        let Prepare { port, role, .. } = core::mem::take(&mut self.prepare);
        io.alarm(io.now());
        let Some((number, offset)) = self.meta.own(port).map(|own| (own.number, own.data_offset)) else { return };
        let scale = io.below(port).map_or(0, |limits| limits.block.shift().saturating_sub(9));
        if let Some(member) = self.members.get_mut(role) {
            *member = Member { port, scale, offset, said: Some(0), ..Member::default() };
            self.members.filling |= bit(role);
            self.meta.role(number, u16::try_from(role).unwrap_or(crate::wire::FAULTY));
            // From its first sector on, also where another is being rebuilt already.
            (self.background.stuck, self.background.goal) = (false, super::background::Goal::Nothing);
            self.go_on(io);
        }
    }
}
