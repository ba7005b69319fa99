// SPDX-License-Identifier: MIT
//! Requests at and beyond what a device has.
use super::basics::area;
use crate::device::Device;
use crate::under::{Under, request};
use orion_block::{Error, Lba, Op, Request};

/// A request without blocks is malformed, unless it is a flush.
pub async fn no_blocks<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let limits = under.limits().await;
    for op in [Op::Read, Op::Write, Op::WriteZeroes, Op::Discard] {
        let mut with = vec![Error::Invalid, Error::Unsupported];
        if limits.read_only && op.modifies() {
            with.extend([Error::ReadOnly, Error::Denied]);
        }
        if op == Op::Read {
            with.truncate(1);
        }
        under.refused(request(op, 0..0, 0), &with).await?;
    }
    Ok(true)
}

/// Blocks beyond the last are refused, also where a request begins before it and where numbers overflow.
pub async fn beyond<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let end = under.limits().await.capacity;
    // Through a gatekeeper the bits above 40 name a window, of which there is no other.
    let with = [under.expect().beyond, Error::OutOfRange, Error::Denied];
    for (first, blocks) in [(end, 1), (end - 1, 2), (end + 1, 1), (end * 2, 8), (1 << 41, 1), (u64::MAX, 1)] {
        let req = Request { lba: Lba(first), blocks, ..request(Op::Read, 0..1, 0) };
        let with = if first < 1 << 40 { &with[..1] } else { &with[..] };
        under.refused(req, with).await?;
    }
    Ok(true)
}

/// The last block can be written and read.
pub async fn last<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let end = under.limits().await.capacity;
    under.write(9, end - 2..end - 1, 0, false).await?;
    under.write(8, end - 1..end, 0, false).await?;
    under.holds(8, end - 1..end).await?;
    under.holds(9, end - 2..end - 1).await?;
    Ok(true)
}

/// A write that reaches beyond the end is refused as a whole: no block of it is written.
pub async fn refused_write<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let end = under.limits().await.capacity;
    let first = end - 4;
    under.write(11, first..end, 0, false).await?;
    let req = under.prepare(12, first..end, 0).await;
    under.refused(Request { blocks: 5, ..req }, &[under.expect().beyond]).await?;
    under.holds(11, first..end).await?;
    Ok(true)
}

/// Payload outside the memory is refused, and nothing is read from or written to elsewhere.
pub async fn payload<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let (memory, bytes) = (under.memory(), u64::from(under.limits().await.block.bytes()));
    let mut whole = vec![0x11; memory as usize];
    under.0.borrow_mut().put(0, &whole);
    for at in [memory, memory + (1 << 20), 1 << 40, u64::MAX - 511] {
        under.refused(request(Op::Read, 0..1, at), &[Error::Invalid]).await?;
    }
    if memory >= 2 * bytes {
        let req = request(Op::Read, 0..2, memory - bytes);
        let done = under.ask(req).await?;
        // Where it was split, the first block succeeded.
        if done.status != Err(Error::Invalid) || done.blocks > 1 {
            return Err(format!("{req:?}, with payload beyond memory, was answered with {done:?}"));
        }
    }
    // The part within memory may have been written: whole blocks, from the start.
    under.0.borrow_mut().get(0, &mut whole);
    let untouched = (memory - bytes) as usize;
    if whole[..untouched].iter().any(|byte| *byte != 0x11) {
        return Err("a refused read changed memory that it did not name".into());
    }
    Ok(true)
}

/// Payload at an odd address is either refused or right.
pub async fn unaligned<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let area = area(under).await;
    under.write(13, 0..area, 0, false).await?;
    for at in [1, 4, 8, 511, 513] {
        let req = under.prepare(14, 3..4, at).await;
        let done = under.ask(req).await?;
        match done.status {
            Ok(()) => under.holds(14, 3..4).await?,
            Err(Error::Invalid) => under.holds(13, 3..4).await?,
            Err(_) => return Err(format!("{req:?} was answered with {done:?}")),
        }
        under.write(13, 3..4, 0, false).await?;
    }
    under.holds(13, 0..area).await?;
    Ok(true)
}

/// Nothing that changes blocks passes.
pub async fn read_only<D: Device>(under: &Under<D>) -> Result<bool, String> {
    under.must(request(Op::Read, 0..1, 0)).await?;
    let mut before = vec![0; under.limits().await.block.bytes() as usize];
    under.0.borrow_mut().get(0, &mut before);
    let req = under.prepare(15, 0..1, 0).await;
    under.refused(req, &[under.expect().read_only]).await?;
    under.refused(Request { fua: true, ..req }, &[under.expect().read_only]).await?;
    for op in [Op::WriteZeroes, Op::Discard] {
        under.refused(request(op, 0..1, 0), &[under.expect().read_only, Error::Unsupported]).await?;
    }
    let mut after = before.clone();
    under.must(request(Op::Read, 0..1, 0)).await?;
    under.0.borrow_mut().get(0, &mut after);
    if before == after { Ok(true) } else { Err("a refused write changed block 0".into()) }
}
