// SPDX-License-Identifier: MIT
//! Of rings, layers, capabilities, partitions and what all PDs share.
use super::bug;
use crate::Bug;

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
];
