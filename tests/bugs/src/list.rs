// SPDX-License-Identifier: MIT
//! The bugs.
use crate::Bug;

const fn bug(file: &'static str, right: &'static str, wrong: &'static str, what: &'static str) -> Bug {
    Bug { file, right, wrong, what }
}

const RING_SERVER: &str = "shared/ring/src/server/lives.rs";
const RING_CLIENT: &str = "shared/ring/src/client/lives.rs";
const NODE_LIVES: &str = "shared/layer/src/node/lives.rs";
const SERVER: &str = "shared/ring/src/server.rs";
const CLIENT: &str = "shared/ring/src/client.rs";
const COUNTER: &str = "shared/ring/src/counter.rs";
const ADMIT: &str = "shared/layer/src/node/admit.rs";
const END: &str = "shared/layer/src/node/end.rs";
const SPLIT: &str = "shared/layer/src/split.rs";
const GATEKEEPER: &str = "shared/caps/src/gatekeeper.rs";
const GPT: &str = "shared/gpt/src/engine.rs";
const SCSI_PORT: &str = "shared/virtio/src/scsi/port.rs";
const DRIVER: &str = "shared/virtio/src/blk/admit.rs";

/// Every bug, by its number.
pub const BUGS: &[Bug] = &[
    bug(SERVER, "self.memory.load(CLIENT_AWAKE, Relaxed) != 1", "false", "a sleeping client is not woken"),
    bug(SERVER, "self.room -= taken", "()", "answers that the client has not taken are forgotten"),
    bug(
        SERVER,
        "self.shape.distance(self.head, tail)",
        "Some(tail.wrapping_sub(self.head))",
        "any count of requests is believed",
    ),
    bug(
        CLIENT,
        "answers <= self.published.wrapping_sub(self.head)",
        "answers <= 64",
        "answers to nothing are believed",
    ),
    bug(
        CLIENT,
        "self.outstanding() >= self.limit",
        "self.outstanding() > self.limit",
        "one request more than the ring holds",
    ),
    bug(COUNTER, "1 << capacity.ilog2()", "capacity", "the slots of a ring jump when its counters wrap"),
    bug(
        "shared/layer/src/slots.rs",
        "self.generation = self.generation.wrapping_add(1)",
        "()",
        "a late completion is taken for that of the slot's next request",
    ),
    bug("shared/layer/src/slots.rs", "done.blocks >= asked", "false", "a failure that claims all blocks is passed on"),
    bug(ADMIT, "share.split(Some(index))", "()", "only the first part of a split request is done"),
    bug(ADMIT, "req.end().is_some_and(|end| end <= limits.capacity)", "true", "blocks beyond the device are asked for"),
    bug(ADMIT, "Err(Error::Invalid)", "Ok(())", "a request without blocks is passed on"),
    bug(SPLIT, "most.min(room_to_boundary(lba, limits.boundary))", "most", "a part crosses a boundary"),
    bug(SPLIT, "at < lowest", "at > lowest", "the last failure of a split request is told, not the first"),
    bug(
        "shared/block/src/request.rs",
        "self.buf.offset.wrapping_add(u64::from(skip) << shift)",
        "self.buf.offset",
        "every part of a split request has the payload of the first",
    ),
    bug(END, "slot.outstanding & bit == 0", "false", "an answer that was given already is believed"),
    bug(END, "share.held = share.held.wrapping_sub(1)", "()", "a client's slots are never given back"),
    bug(GATEKEEPER, "self.tree.index(client, window)", "self.tree.index(client, 0)", "every window is window 0"),
    bug(
        GATEKEEPER,
        "!entry.allowed.contains(Rights::needed(req.op))",
        "req.op != Op::WriteZeroes && !entry.allowed.contains(Rights::needed(req.op))",
        "zeroes are written without the right",
    ),
    bug(
        "shared/caps/src/window.rs",
        "end > self.blocks",
        "end > self.blocks + 1",
        "one block beyond a grant is allowed",
    ),
    bug(
        "shared/caps/src/window.rs",
        "self.first.checked_add(block)",
        "Some(block)",
        "a grant begins where the volume does",
    ),
    bug(GATEKEEPER, "self.deny_waiting(io)", "()", "requests that wait for a budget outlive their right"),
    bug(GATEKEEPER, "entry.metered && self.waits(id, index, &req, io)", "false", "budgets are not kept"),
    bug(
        "shared/caps/src/image.rs",
        "crc32c(whole) != header.checksum.get()",
        "false",
        "kept capabilities that are damaged hold",
    ),
    bug(
        GPT,
        "req.translate(upper.first, upper.blocks)",
        "req.translate(upper.first, u64::MAX)",
        "a partition has no end",
    ),
    bug(GPT, "Lba(found.first)", "Lba(found.first + 1)", "a partition begins a block late"),
    bug(
        "shared/gpt/src/copies.rs",
        "crc.ok_or(Kind::HeaderSize(size))? != header.crc.get()",
        "false",
        "a header's checksum is not looked at",
    ),
    bug("shared/gpt/src/chain.rs", "self.links.contains(&at)", "false", "a chain of boot records may have a loop"),
    bug(
        "shared/gpt/src/table.rs",
        "self.partitions.iter().find(meets)",
        "self.partitions.iter().find(meets).filter(|_| false)",
        "partitions may overlap",
    ),
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
    bug("shared/pd/src/links/regions.rs", "end <= size", "end > 0", "payload may reach beyond its region"),
    bug(
        "shared/nbd/src/command.rs",
        "end.is_none_or(|end| end > export.size)",
        "false",
        "NBD requests beyond the export are passed on",
    ),
    bug(
        RING_CLIENT,
        "(self.head, self.taken, self.seen, self.lives.began) = (head, head, head, head)",
        "(self.taken, self.seen, self.lives.began) = (self.head, self.head, self.head)",
        "a client takes answers to an earlier life",
    ),
    bug(
        RING_SERVER,
        "(self.head, self.taken, self.seen, self.lives.began) = (start, start, start, start)",
        "(self.taken, self.seen, self.lives.began) = (self.head, self.head, self.head)",
        "requests of an earlier life are taken",
    ),
    bug(
        RING_SERVER,
        "self.outstanding > 0 || self.offered.is_none()",
        "self.offered.is_none()",
        "a client's next life is served while requests of the last are under way",
    ),
    bug(RING_CLIENT, "!follows(self.lives.server, info.epoch)", "false", "a server's life may go back"),
    bug(RING_SERVER, "!follows(self.lives.client, life)", "false", "a client's life may go back"),
    bug(RING_CLIENT, "self.lives.restarted = self.lives.known", "()", "nobody is told that what was asked is lost"),
    bug(
        "shared/ring/src/page.rs",
        "lives::next(memory.load(lives::EPOCH, Relaxed))",
        "memory.load(lives::EPOCH, Relaxed).max(1)",
        "a server's next life looks like the last",
    ),
    bug(
        NODE_LIVES,
        "slot.lost(port, children)",
        "slot.lost(u8::MAX, children)",
        "what a restart has lost is not asked again",
    ),
    bug(
        NODE_LIVES,
        "self.way == Way::Short && self.port == port && self.refused == 0",
        "self.port == port && self.refused == 0",
        "what was answered is asked again",
    ),
    bug("shared/pd/src/links/replay.rs", "self.ring.push(*submission)", "Err(Full)", "a client asks nothing again"),
    bug(
        GATEKEEPER,
        "self.forget_waiting(upper, io)",
        "()",
        "what a dead client had waiting keeps its next life waiting",
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
        "shared/raid/src/engine/flush.rs",
        "ctx.changed || ctx.refused != 0 || self.meta.owes()",
        "false",
        "a mirror's write is answered before the superblocks say which member missed it",
    ),
    bug(
        "shared/raid/src/engine/stripe.rs",
        "changed || self.meta.owes()",
        "false",
        "a stripe's write is answered before the superblocks say which member missed it",
    ),
    bug(
        "shared/raid/src/engine/mirror.rs",
        "self.members.is_used(place.member)",
        "child == 0 && self.members.is_used(place.member)",
        "of several copies only the first is written",
    ),
    bug("shared/raid/src/engine/mirror.rs", "!synced", "false", "copies that may differ are read from any member"),
    bug(
        "shared/raid/src/engine/sums.rs",
        "machine.add_difference(q, old, new",
        "machine.add_difference(q, old, old",
        "Q is not brought up to date",
    ),
    bug(
        "shared/raid/src/engine/log.rs",
        "self.log.there && self.meta.sync.is_none()",
        "false",
        "nothing is in the partial parity log",
    ),
    bug(
        "shared/raid/src/engine/log.rs",
        "limits.volatile_cache && !(forced && limits.fua)",
        "false",
        "what is logged is written before the log is durable",
    ),
    bug(
        "shared/raid/src/engine/replay.rs",
        "self.ppl_of(role).filter(|_| self.members.is_used(role))",
        "self.ppl_of(role).filter(|_| at != At::Header || self.members.is_whole(role))",
        "the log of a member that is being rebuilt is not replayed",
    ),
    bug(
        "shared/raid/src/engine/prepare.rs",
        "found.events >= self.bits.head.cleared",
        "true",
        "a member that left before bits were cleared gets only what they say",
    ),
    bug(
        "shared/raid/src/engine/intent.rs",
        "head.events >= self.meta.events()",
        "true",
        "a bitmap that is out of date is believed",
    ),
    bug(
        "shared/raid/src/engine/bits.rs",
        "self.is_said_whole() && self.members.filling == 0 && self.meta.sync.is_none()",
        "true",
        "bits are cleared though a member lacks what they stand for",
    ),
    bug(
        "shared/raid/src/engine/bits.rs",
        "self.bits_byte(Table::Durable, byte, io) & mask == 0",
        "false",
        "what is written has no bit in the bitmap",
    ),
    bug(
        "shared/raid/src/engine/prepare.rs",
        "self.meta.all().next().map(|(_, own)| own.set) == Some(found.set)",
        "true",
        "a device of another array is taken for a new one and written over",
    ),
    bug(
        "shared/multipath/src/layer.rs",
        "matches!(error, Error::Offline | Error::TimedOut | Error::Io | Error::Again)",
        "matches!(error, Error::Offline | Error::TimedOut | Error::Io)",
        "a way that changes fails the request that it does not take",
    ),
    bug(
        "shared/multipath/src/layer.rs",
        "self.paths.may_open().then_some(Instant(u64::MAX))",
        "None",
        "a request fails while another way is about to open",
    ),
    bug(
        "pds/multipath/src/ways.rs",
        "there.all(|route| route.same_disk(&first))",
        "there.all(|route| route.identity == first.identity)",
        "disks of two subsystems are taken for one",
    ),
    bug(
        "pds/multipath/src/ways.rs",
        "now.is_none_or(|now| !now.same_disk(disk))",
        "false",
        "what was asked of a disk is asked again of another that came in its place",
    ),
    bug(
        "shared/nvme/src/nvme/access.rs",
        "self.admin.wanted.logs |= 1 << page::ACCESS",
        "()",
        "what a way is worth is not asked anew when a request is refused because of it",
    ),
    bug("shared/nvme/src/nvme/orders/verify.rs", "check.bad += 1", "()", "blocks that cannot be read are verified"),
    bug(
        "shared/raid/src/engine/line.rs",
        "writes != 0 && self.journal.there",
        "false",
        "nothing is in the write journal",
    ),
    bug(
        "shared/raid/src/engine/recover.rs",
        ".filter(|_| !round)",
        ".filter(|_| false)",
        "a write journal is not replayed",
    ),
    bug(
        "shared/raid/src/engine/recover.rs",
        "item.sum() == Some(log.sum(&bytes))",
        "true",
        "what was half logged is replayed",
    ),
    bug(
        "shared/raid/src/engine/recover.rs",
        "matches!(item, Item::Data(..)) && !self",
        "false && !self",
        "data that were logged without parity get none",
    ),
    bug(
        "shared/raid/src/journal.rs",
        "!= self.sum(&clear)",
        "!= word(bytes, SUM_AT)?",
        "damaged meta blocks of a write journal are believed",
    ),
    bug(
        "shared/raid/src/engine/journal.rs",
        "self.batches.first().map_or(self.last, |batch| batch.at)",
        "self.last",
        "a write journal begins behind what is not written",
    ),
    bug(
        "shared/raid/src/engine/journal.rs",
        "limits.volatile_cache && !limits.fua",
        "false",
        "what is logged is written before the journal is durable",
    ),
    bug(
        "shared/raid/src/engine/journal.rs",
        "self.journal.watched & !members != 0",
        "false",
        "a write journal begins behind what a member had only cached when it failed",
    ),
    bug(
        "shared/raid/src/engine/journal.rs",
        "if same { journal.oldest() }",
        "if true { journal.oldest() }",
        "a write journal forgets a member that failed before all superblocks say that it did",
    ),
    bug(
        "shared/raid/src/engine/journal.rs",
        "(log.sectors - BLOCK).saturating_sub(self.journal.used())",
        "(log.sectors - BLOCK)",
        "a write journal runs into its own beginning",
    ),
    bug(
        "shared/raid/src/engine/journal.rs",
        "done.status.is_err()",
        "false",
        "a write journal that fails goes unnoticed",
    ),
    bug(
        "shared/raid/src/engine/journal.rs",
        "if self.journal.there { parity }",
        "if false { parity }",
        "parity of a member that is missing is logged unknown",
    ),
];
