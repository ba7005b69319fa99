// SPDX-License-Identifier: MIT
//! Flush, force unit access, and what is there after the power was lost.
use super::basics::area;
use crate::device::Device;
use crate::under::{Under, request, whole};
use orion_block::{Error, Op, Request};

/// A flush has no blocks, may be in flight with anything, and leaves everything as it is.
pub async fn flush<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let area = area(under).await;
    under.must(request(Op::Flush, 0..0, 0)).await?;
    let write = under.prepare(31, 0..area, 0).await;
    let flush = request(Op::Flush, 0..0, 0);
    for (tag, req) in [(1, flush), (2, write), (3, flush)] {
        under.send(tag, req).await;
    }
    let mut open = vec![(1, flush), (2, write), (3, flush)];
    while !open.is_empty() {
        let (tag, done) = under.next().await;
        let at = open.iter().position(|(t, _)| *t == tag).ok_or_else(|| format!("tag {tag} was answered twice"))?;
        whole(&open.remove(at).1, done)?;
    }
    under.holds(31, 0..area).await?;
    Ok(true)
}

/// A write with FUA is a write, wherever FUA is offered; elsewhere it may be refused.
pub async fn fua<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let area = area(under).await;
    under.write(32, 0..area, 0, false).await?;
    let req = Request { fua: true, ..under.prepare(33, 2..6, 0).await };
    let done = under.ask(req).await?;
    match done.status {
        Err(Error::Unsupported | Error::Invalid) if !under.limits().await.fua => return Ok(true),
        _ => whole(&req, done)?,
    }
    under.holds(33, 2..6).await?;
    under.holds(32, 0..2).await?;
    under.holds(32, 6..area).await?;
    Ok(true)
}

/// After a loss of power: what was flushed, or written with FUA, is there; of the rest each block holds its old or its
/// new content.
pub async fn power<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let limits = under.limits().await;
    for round in 0..8 {
        let (old, new, fua) = (40 + 3 * round, 41 + 3 * round, 42 + 3 * round);
        under.write(old, 0..24, 0, false).await?;
        under.must(request(Op::Flush, 0..0, 0)).await?;
        under.write(new, 8..16, 0, false).await?;
        // Force unit access may flush more than it must: in every other round nothing is written with it.
        let forced = limits.fua && round % 2 == 1;
        if forced {
            under.write(fua, 18..22, 0, true).await?;
        }
        if !under.0.borrow_mut().lose_power() {
            return Ok(false);
        }
        under.holds(old, 0..8).await?;
        under.holds(old, 16..18).await?;
        // Without a volatile cache a completed write is durable.
        let possible = [new, old];
        under.versions(8..16, if limits.volatile_cache { &possible } else { &possible[..1] }).await?;
        under.holds(if forced { fua } else { old }, 18..22).await?;
        under.holds(old, 22..24).await?;
    }
    Ok(true)
}

/// A restart in the middle of traffic is a delay: every request is answered, with success, and nothing is lost.
pub async fn restart<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let area = area(under).await;
    under.write(70, 0..area, 0, false).await?;
    let requests: Vec<Request> = (0..8).map(|i| request(Op::Read, i..i + 1, i * 4096)).collect();
    for (tag, req) in (0..).zip(&requests) {
        under.send(tag, *req).await;
    }
    let restarted = under.0.borrow_mut().restart();
    for _ in &requests {
        let (tag, done) = under.next().await;
        whole(&requests[tag as usize], done)?;
    }
    if restarted {
        under.holds(70, 0..area).await?;
    }
    Ok(restarted)
}
