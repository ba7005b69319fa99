// SPDX-License-Identifier: MIT
//! What a request costs in an array of two members that answer at once.
use crate::layers::{Load, REQUESTS, answer, queue, step};
use orion_block::Buf;
use orion_layer::Node;
use orion_raid::engine::{FANOUT, Plan, Raid};
use orion_raid::geometry::{Copies, Level};

/// Striped in chunks of 64 KiB.
pub const RAID0: Plan = Plan { level: Level::Raid0(None), chunk: 128, offset: 2048, mostly: 0 };
/// Mirrored.
pub const RAID1: Plan = Plan { level: Level::Raid1, chunk: 0, offset: 2048, mostly: 0 };
/// Two near copies, in chunks of 64 KiB.
pub const RAID10: Plan = Plan { level: Level::Raid10(Copies::NEAR2), chunk: 128, offset: 2048, mostly: 0 };

/// Slots of the node: as many as are kept are needed beside the clients'.
const SLOTS: usize = 34;

/// Has an array do [`REQUESTS`] requests.
pub fn run(plan: Plan) -> u64 {
    let mut node = Node::<Raid, SLOTS, FANOUT>::new(Raid::build(plan, Buf::default()), 0);
    let (mut members, mut load) = ([queue::<512>(), queue::<512>()], Load { sent: 0, done: 0 });
    while load.done < REQUESTS {
        step(&mut node, &mut load, &mut members);
        for member in &mut members {
            answer(member);
        }
    }
    load.done
}
