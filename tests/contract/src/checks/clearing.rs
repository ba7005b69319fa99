// SPDX-License-Identifier: MIT
//! Discard and write zeroes.
use super::basics::area;
use crate::device::Device;
use crate::under::{Under, request};
use orion_block::{DiscardReads, Error, Op};

/// Zeroes are read where zeroes were written, and nowhere else; never ignored.
pub async fn zeroes<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let (area, limits) = (area(under).await, under.limits().await);
    under.write(21, 0..area, 0, false).await?;
    if !limits.write_zeroes {
        under.refused(request(Op::WriteZeroes, 1..2, 0), &[Error::Unsupported, Error::Denied]).await?;
        return under.holds(21, 0..area).await.map(|()| true);
    }
    for blocks in [1..2, 5..6, 8..area - 1] {
        under.must(request(Op::WriteZeroes, blocks.clone(), 0)).await?;
        under.holds(0, blocks).await?;
    }
    for blocks in [0..1, 2..5, 6..8, area - 1..area] {
        under.holds(21, blocks).await?;
    }
    Ok(true)
}

/// A discarded block reads as the limits say, and others are untouched.
pub async fn discard<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let (area, limits) = (area(under).await, under.limits().await);
    under.write(22, 0..area, 0, false).await?;
    let discarded = 4..area - 4;
    let req = request(Op::Discard, discarded.clone(), 0);
    if limits.discard_granularity == 0 {
        under.refused(req, &[Error::Unsupported, Error::Denied]).await?;
        return under.holds(22, 0..area).await.map(|()| true);
    }
    under.must(req).await?;
    under.holds(22, 0..4).await?;
    under.holds(22, area - 4..area).await?;
    match limits.discard_reads {
        // It may be ignored.
        DiscardReads::Zeroes => under.versions(discarded.clone(), &[0, 22]).await.map(|_| ())?,
        DiscardReads::Old => under.holds(22, discarded.clone()).await?,
        DiscardReads::Undefined => under.must(request(Op::Read, discarded.clone(), 0)).await?,
    }
    under.write(23, discarded.clone(), 0, false).await?;
    under.holds(23, discarded).await?;
    Ok(true)
}
