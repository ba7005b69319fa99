// SPDX-License-Identifier: MIT
//! Answers chosen requests with an error: how tests reach what a good disk never does.
use crate::{Id, Io, Layer};
use heapless::Vec;
use orion_block::{Completion, Error, Limits, Op, Request};

/// One rule: which requests fail, and how.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The operation.
    pub op: Op,
    /// First and one past the last block; a request that touches them fails at the first it touches. Ignored for a
    /// flush.
    pub blocks: (u64, u64),
    /// The error.
    pub error: Error,
    /// How many requests fail; then the rule is spent.
    pub times: u32,
}

impl Fault {
    fn hits(&self, req: &Request) -> bool {
        let touches = req.op == Op::Flush || (req.lba.0 < self.blocks.1 && req.end().is_none_or(|e| e > self.blocks.0));
        self.times > 0 && self.op == req.op && touches
    }

    /// Blocks of `req` before the first that fails.
    fn before(&self, req: &Request) -> u32 {
        let before = self.blocks.0.saturating_sub(req.lba.0);
        if req.op == Op::Flush { 0 } else { u32::try_from(before).unwrap_or(0) }
    }
}

/// Fails what its rules name and hands the rest to the device below.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    rules: Vec<Fault, 16>,
}

impl Faults {
    /// Adds a rule; whether there was room for it.
    pub fn add(&mut self, fault: Fault) -> bool {
        self.rules.retain(|r| r.times > 0);
        self.rules.push(fault).is_ok()
    }
}

impl Layer for Faults {
    /// How it ends though its first blocks succeed.
    type Ctx = Option<Error>;
    const FANOUT: usize = 1;

    fn limits(&self, below: &[Limits]) -> Limits {
        below.first().copied().unwrap_or_default()
    }

    fn submit(&mut self, id: Id, io: &mut Io<'_, Self::Ctx>) {
        let req = io.request(id);
        let Some(rule) = self.rules.iter_mut().find(|r| r.hits(&req)) else {
            return io.lower(id, 0, 0, req);
        };
        rule.times -= 1;
        let (error, before) = (rule.error, rule.before(&req));
        if before == 0 {
            return io.done(id, Completion::error(error));
        }
        // What is said to have succeeded has to be done.
        if let Some(ctx) = io.ctx(id) {
            *ctx = Some(error);
        }
        io.lower(id, 0, 0, Request { blocks: before, ..req });
    }

    fn complete(&mut self, id: Id, _: u8, done: Completion, io: &mut Io<'_, Self::Ctx>) {
        let fails = io.ctx(id).and_then(|ctx| *ctx).filter(|_| done.status.is_ok());
        io.done(id, fails.map_or(done, |error| Completion { status: Err(error), ..done }));
    }
}
