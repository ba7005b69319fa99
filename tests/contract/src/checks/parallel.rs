// SPDX-License-Identifier: MIT
//! Many requests in flight.
use super::basics::area;
use crate::device::Device;
use crate::pattern::Numbers;
use crate::under::{Under, request, whole};
use orion_block::{Op, Request};
use std::collections::BTreeMap;

/// Requests that a check keeps in flight.
const DEPTH: u64 = 16;

/// Many times the queue's depth of requests, in flight together: each is answered once, as a whole, under its own tag.
pub async fn each_once<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let area = area(under).await;
    let bytes = u64::from(under.limits().await.block.bytes());
    under.write(1, 0..area, 0, false).await?;
    let slots = DEPTH.min(under.memory() / bytes / 2);
    let (mut numbers, mut open) = (Numbers::new(3), BTreeMap::new());
    for tag in 0..400u32 {
        let slot = u64::from(tag) % slots;
        // The slot's memory is free again once its request has ended.
        while open.values().any(|(s, _)| *s == slot) {
            answer(under, &mut open).await?;
        }
        let first = numbers.within(area - 1);
        let len = 1 + numbers.within(2);
        let op = [Op::Read, Op::Read, Op::Flush][numbers.within(3) as usize];
        let req =
            if op == Op::Flush { request(op, 0..0, 0) } else { request(op, first..first + len, slot * 2 * bytes) };
        under.scribble(slot * 2 * bytes, 2).await;
        under.send(tag, req).await;
        open.insert(tag, (slot, req));
    }
    while !open.is_empty() {
        answer(under, &mut open).await?;
    }
    Ok(true)
}

async fn answer<D: Device>(under: &Under<D>, open: &mut BTreeMap<u32, (u64, Request)>) -> Result<(), String> {
    let (tag, done) = under.next().await;
    let (_, req) = open.remove(&tag).ok_or_else(|| format!("tag {tag} was answered, which is not outstanding"))?;
    whole(&req, done)?;
    let bytes = u64::from(under.limits().await.block.bytes());
    for i in 0..u64::from(req.blocks) {
        under.version(req.lba.0 + i, req.buf.offset + i * bytes, &[1]).await?;
    }
    Ok(())
}

/// Requests beyond what the queue holds wait, and are all answered.
pub async fn full<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let mut sent = 0;
    while sent < 5000 && under.try_send(sent, request(Op::Flush, 0..0, 0)) {
        sent += 1;
    }
    if sent == 0 {
        return Err("an empty queue takes no request".into());
    }
    let mut answered = vec![false; sent as usize];
    for _ in 0..sent {
        let (tag, done) = under.next().await;
        whole(&request(Op::Flush, 0..0, 0), done)?;
        if answered.get(tag as usize).is_none_or(|twice| *twice) {
            return Err(format!("tag {tag} was answered twice"));
        }
        answered[tag as usize] = true;
    }
    under.must(request(Op::Read, 0..1, 0)).await?;
    Ok(true)
}

/// A completed write is seen by every read submitted after its completion, whatever else is in flight.
pub async fn seen<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let bytes = u64::from(under.limits().await.block.bytes());
    under.write(1, 0..8, 0, false).await?;
    for version in 2..60 {
        let lba = u64::from(version) % 4;
        // A neighbour's write is in flight all the time.
        let other = under.prepare(version, 4 + lba..5 + lba, 4 * bytes).await;
        under.send(1, other).await;
        let own = under.prepare(version, lba..lba + 1, 0).await;
        under.send(2, own).await;
        let mut done = vec![under.next().await];
        if done[0].0 == 1 {
            done.push(under.next().await);
        }
        under.scribble(2 * bytes, 1).await;
        under.send(3, request(Op::Read, lba..lba + 1, 2 * bytes)).await;
        while done.len() < 3 {
            done.push(under.next().await);
        }
        if done.iter().any(|(_, done)| done.status.is_err() || done.blocks != 1) {
            return Err(format!("{done:?}"));
        }
        under.version(lba, 2 * bytes, &[version]).await?;
    }
    Ok(true)
}

/// Overlapping writes in flight end as one of them, block by block, the same on every later read.
pub async fn overlap<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let bytes = u64::from(under.limits().await.block.bytes());
    for round in 0..20 {
        let versions = [3 * round + 1, 3 * round + 2, 3 * round + 3];
        let blocks = [0..8, 4..12, 2..6];
        for (i, blocks) in (0..3).zip(blocks.clone()) {
            let req = under.prepare(versions[i as usize], blocks, i * 8 * bytes).await;
            under.send(i as u32, req).await;
        }
        for _ in 0..3 {
            let (tag, done) = under.next().await;
            whole(&request(Op::Write, blocks[tag as usize].clone(), 0), done)?;
        }
        for lba in 0..12 {
            let wrote = (0..3).filter(|i| blocks[*i].contains(&lba)).map(|i| versions[i]);
            let allowed: Vec<u32> = wrote.collect();
            let first = under.versions(lba..lba + 1, &allowed).await?;
            for _ in 0..3 {
                under.versions(lba..lba + 1, &first).await?;
            }
        }
    }
    Ok(true)
}
