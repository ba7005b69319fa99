// SPDX-License-Identifier: MIT
//! Of the drivers.
use super::bug;
use crate::Bug;

const SCSI_PORT: &str = "shared/virtio/src/scsi/port.rs";
const DRIVER: &str = "shared/virtio/src/blk/admit.rs";

pub const BUGS: &[Bug] = &[
    bug(
        DRIVER,
        "req.fua && req.op.modifies() && self.properties.limits.volatile_cache",
        "false",
        "force unit access is forgotten",
    ),
    bug("shared/virtio/src/blk/follow.rs", "self.properties.flush", "false", "a flush is answered without the device"),
    bug(DRIVER, "req.end().is_none_or(|end| end > limits.capacity)", "false", "the driver asks beyond the device"),
    bug("shared/virtio/src/blk.rs", "self.watch > self.now", "true", "a device that never answers is waited for"),
    bug("shared/virtio/src/blk.rs", "used.written > reads", "true", "a read that the device has not done succeeds"),
    bug(
        "pds/driver/src/relay.rs",
        "self.turn = upper + 1",
        "self.turn = upper",
        "the driver serves its first client for as long as that asks",
    ),
    bug(
        "shared/virtio/src/queue/packed.rs",
        "if self.taken.wrap { AVAIL | USED } else { 0 }",
        "AVAIL | USED",
        "what a packed ring held a lap ago is taken for used",
    ),
    bug(
        "shared/virtio/src/queue/packed.rs",
        "self.order.upto(id)",
        "self.order.upto(id).map(|_| 1)",
        "of a batch that is used in order one request is answered",
    ),
    bug(
        "shared/virtio/src/blk/change.rs",
        "self.bus.messages()",
        "false",
        "a resize that is told by a message is not seen",
    ),
    bug(
        "shared/virtio/src/blk/follow.rs",
        "rest.blocks > 0 || rest.flush",
        "rest.flush",
        "of what is to be cleared only the first step is",
    ),
    bug(
        "shared/virtio/src/mmio.rs",
        "self.read(reg::QUEUE_READY) == 0",
        "true",
        "a queue that was not reset is taken for reset",
    ),
    bug(
        "shared/nvme/src/queues/many.rs",
        "**owner == pair",
        "true",
        "an answer in another queue than its command went is taken",
    ),
    bug(
        "shared/nvme/src/nvme/disk.rs",
        "blocks - past",
        "blocks",
        "what begins between two boundaries of a namespace crosses the next",
    ),
    bug(
        "shared/nvme/src/nvme/jobs.rs",
        "u32::from(self.queues.pair_of(slot))",
        "1",
        "a request is aborted in a queue that does not have it",
    ),
    bug(
        "shared/nvme/src/queue.rs",
        "self.kept() <= self.patience",
        "true",
        "entries of a completion queue are never given back",
    ),
    bug(
        "shared/nvme/src/nvme/answer.rs",
        "record.state != State::Held",
        "false",
        "a second answer to a request is taken for the end of the next",
    ),
    bug(
        "shared/am53c974/src/connection.rs",
        "(State::Connected, record.saved)",
        "(State::Connected, record.moved)",
        "a target that comes back goes on where it left, not where it saved",
    ),
    bug(
        "shared/am53c974/src/connection.rs",
        "other.is_out() && !(tagged && other.tagged)",
        "false",
        "a unit without tags gets a second command",
    ),
    bug(
        "shared/am53c974/src/chip.rs",
        "left.saturating_add(u32::try_from(self.fifo_count()).unwrap_or(0))",
        "left",
        "bytes that wait in the adapter's FIFO count as written",
    ),
    bug(
        "shared/am53c974/src/chip.rs",
        "missing(self) > len - received",
        "false",
        "what the DMA engine holds where a target stops stays there",
    ),
    bug(
        "shared/am53c974/src/slot.rs",
        "sensing && self.able && !self.refuses && self.agreement != Agreement::ASYNCHRONOUS",
        "false",
        "a target that lost its power is spoken to as was agreed before",
    ),
    bug(SCSI_PORT, "data.len.saturating_sub(payload)", "0", "a SCSI read that the device has not done succeeds"),
    bug(
        "shared/scsi/src/initiator/ended.rs",
        "record.done == record.req.blocks && !record.req.fua && !record.syncing",
        "record.done == record.req.blocks && !record.syncing",
        "a write with FUA is answered while the SCSI disk may lose it",
    ),
    bug(
        "shared/scsi/src/initiator/admit.rs",
        "req.end().is_none_or(|end| end > traits.capacity)",
        "false",
        "blocks beyond a logical unit are asked for",
    ),
    bug("shared/scsi/src/unit/facts.rs", "self.volatile()", "false", "no cache of a SCSI disk is flushed"),
    bug(
        "shared/scsi/src/initiator/admit.rs",
        "most.len >> traits.shift",
        "left",
        "more zeroes are said to be written than there is memory for",
    ),
    bug(
        "shared/ahci/src/port/admit.rs",
        "req.end().is_none_or(|end| end > self.capacity)",
        "false",
        "blocks beyond a SATA drive are asked for",
    ),
    bug("shared/ahci/src/wire/log.rs", "sum == 0", "true", "a damaged log says which SATA command has failed"),
    bug(
        "shared/ahci/src/port/issue.rs",
        "self.held & !active",
        "self.held",
        "SATA commands end before the drive has done them",
    ),
    bug(
        "shared/ahci/src/engine/behind.rs",
        "ports.get(now).is_none_or(|port| port.rests())",
        "true",
        "two drives behind a port multiplier have commands at a time",
    ),
    bug(
        "shared/nvme/src/nvme/access.rs",
        "self.admin.wanted.logs |= 1 << page::ACCESS",
        "()",
        "what a way is worth is not asked anew when a request is refused because of it",
    ),
    bug("shared/nvme/src/nvme/orders/verify.rs", "check.bad += 1", "()", "blocks that cannot be read are verified"),
    bug(
        "shared/nvme/src/nvme/ordered.rs",
        "self.writes_zone(unit.0, disk.zone_of(req.lba.0))",
        "false",
        "two writes of a zone are at the controller",
    ),
    bug(
        "shared/nvme/src/nvme/compared.rs",
        "disk.compares && record.req.op == Op::Write",
        "false",
        "a write is acknowledged that was to be compared and was not",
    ),
    bug(
        "shared/nvme/src/nvme/admit.rs",
        "req.fua |= state.is_compared()",
        "()",
        "a write is compared with what the controller remembers, not with its medium",
    ),
    bug(
        "shared/nvme/src/nvme/append.rs",
        "room.is_some_and(|room| *offset <= room)",
        "true",
        "an append is believed to be where its zone is not",
    ),
    bug(
        "shared/nvme/src/nvme/zoned.rs",
        "disk.id == namespace",
        "false",
        "zones that became read-only or offline are not counted when the device tells of them",
    ),
];
