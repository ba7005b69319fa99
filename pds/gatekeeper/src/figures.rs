// SPDX-License-Identifier: MIT
//! What the manager sees of the gatekeeper: counters, and every capability, client and volume.
use crate::GatekeeperPd;
use orion_block::{Limits, Op, POLICY_BLOCK};
use orion_caps::Listed;
use orion_layer::{Lowers, Uppers};
use orion_metrics::{Client, Counter, Holding, Kind, Row, Volume};
use orion_pd::World;

impl GatekeeperPd {
    /// Shows the manager what there is now.
    #[cold]
    pub(crate) fn show<W: World>(&mut self, world: &mut W) {
        let Self { node, control, uppers, lowers, reporter, .. } = self;
        let layer = node.layer();
        let (commands, refused) = control.counts();
        for (counter, value) in [
            (Counter::Requests, layer.passed()),
            (Counter::Refused, layer.refused()),
            (Counter::Malformed, uppers.malformed()),
            (Counter::Misbehaved, uppers.misbehaved().into()),
            (Counter::InFlight, u64::try_from(node.in_flight()).unwrap_or(u64::MAX)),
            (Counter::Commands, commands),
            (Counter::CommandsRefused, refused),
        ] {
            reporter.figures.set(counter, value);
        }
        let volumes = (0..lowers.count()).map(|port| volume(port, node.closed(port), layer.epoch(port), lowers));
        let clients = (0..uppers.count())
            .map(|number| Row::Client(Client::new(number, uppers.closed(number), u32::from(node.held(number)))));
        let rows = volumes.chain(clients).chain(layer.listed().map(|held| holding(&held)));
        reporter.publish(world, rows);
    }
}

/// Under which a request's time is counted.
pub(crate) const fn kind(op: Op) -> Kind {
    match op {
        Op::Read => Kind::Read,
        Op::Flush => Kind::Flush,
        Op::Write | Op::Discard | Op::WriteZeroes => Kind::Write,
    }
}

fn volume(port: u8, closed: bool, epoch: u32, lowers: &impl Lowers) -> Row {
    let limits = lowers.limits(port);
    let state = match limits {
        _ if closed => 2,
        Some(_) => 1,
        None => 0,
    };
    let blocks = limits.map_or(0, |limits| policy_blocks(&limits));
    Row::Volume(Volume::new(port, state, epoch, blocks, limits.is_some_and(|limits| limits.read_only)))
}

fn policy_blocks(limits: &Limits) -> u64 {
    POLICY_BLOCK.shift().checked_sub(limits.block.shift()).map_or(0, |shift| limits.capacity >> shift)
}

fn holding(held: &Listed) -> Row {
    let granted = &held.granted;
    let frozen = match (held.frozen, held.allowed.bits()) {
        (true, _) => 1,
        (false, 0) => 2,
        (false, _) => 0,
    };
    let (parent_client, parent_window) = held.parent.map_or((u8::MAX, u8::MAX), |at| (at.client, at.window));
    Row::Holding(Holding {
        client: granted.client,
        window: granted.window,
        port: granted.port,
        parent_client,
        parent_window,
        frozen,
        rights: granted.rights.bits().into(),
        allowed: held.allowed.bits().into(),
        expires: granted.expires.into(),
        line: granted.line.into(),
        waiting: u32::from(held.waiting).into(),
        first: granted.extent.first.into(),
        blocks: granted.extent.blocks.into(),
        passed: held.passed.into(),
        in_flight: granted.budget.in_flight.into(),
        iops: granted.budget.iops.into(),
        bytes: granted.budget.bytes.into(),
        ..Holding::EMPTY
    })
}
