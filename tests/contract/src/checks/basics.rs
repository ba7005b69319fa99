// SPDX-License-Identifier: MIT
//! Limits, and that what is written is what is read.
use crate::device::Device;
use crate::pattern::Numbers;
use crate::under::{Under, request};
use orion_block::Op;

/// Blocks of the area in which most checks work.
pub const AREA: u64 = 64;

/// The area's blocks: all of a small device.
pub async fn area<D: Device>(under: &Under<D>) -> u64 {
    under.limits().await.capacity.min(AREA)
}

/// Blocks that fit the memory for payload at once.
pub async fn at_once<D: Device>(under: &Under<D>) -> u64 {
    let memory = under.memory();
    memory / u64::from(under.limits().await.block.bytes())
}

/// No device has no block, or an atomic unit of nothing.
pub async fn limits<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let l = under.limits().await;
    let fits = l.capacity.checked_mul(u64::from(l.block.bytes())).is_some();
    let ok = l.capacity > 0 && fits && l.atomic_blocks > 0 && l.queue_depth > 0 && l.physical >= l.block;
    if ok { Ok(true) } else { Err(format!("{l:?}")) }
}

/// Each block holds what was written last, its neighbours what they held.
pub async fn round_trip<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let area = area(under).await;
    for lba in 0..area {
        under.write(1, lba..lba + 1, 0, false).await?;
    }
    under.holds(1, 0..area).await?;
    for lba in (0..area).step_by(3) {
        under.write(2, lba..lba + 1, 4096, false).await?;
    }
    for lba in 0..area {
        under.holds(if lba % 3 == 0 { 2 } else { 1 }, lba..lba + 1).await?;
    }
    Ok(true)
}

/// Requests larger than a device below may take at once are done as a whole, wherever they begin.
pub async fn large<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let limits = under.limits().await;
    let most = at_once(under).await.min(limits.capacity - 1);
    let most = if limits.max_blocks == 0 { most } else { most.min(limits.max_blocks.into()) };
    for (version, first) in [(3, 0), (4, 1), (5, limits.capacity - most)] {
        let blocks = first..first + most;
        under.write(version, blocks.clone(), 0, false).await?;
        under.holds(version, blocks.clone()).await?;
        under.versions(blocks.start..blocks.start + most.min(20), &[version]).await?;
        under.versions(blocks.end - most.min(20)..blocks.end, &[version]).await?;
    }
    Ok(true)
}

/// Some hundred requests one after another, against an array of versions.
pub async fn random<D: Device>(under: &Under<D>) -> Result<bool, String> {
    let area = area(under).await;
    under.write(1, 0..area, 0, false).await?;
    let mut array = vec![1; area as usize];
    let mut numbers = Numbers::new(7);
    let limits = under.limits().await;
    for version in 2..400 {
        let first = numbers.within(area);
        let len = 1 + numbers.within((area - first).min(24));
        let (blocks, part) = (first..first + len, first as usize..(first + len) as usize);
        match numbers.within(8) {
            0..3 => {
                under.write(version, blocks, 512 * numbers.within(8), numbers.within(2) == 0 && limits.fua).await?;
                array[part].fill(version);
            }
            3 if limits.write_zeroes => {
                under.must(request(Op::WriteZeroes, blocks, 0)).await?;
                array[part].fill(0);
            }
            4 => under.must(request(Op::Flush, 0..0, 0)).await?,
            _ => {
                under.scribble(0, len).await;
                under.must(request(Op::Read, blocks.clone(), 0)).await?;
                for (lba, want) in blocks.clone().zip(&array[part]) {
                    under.version(lba, (lba - first) * u64::from(limits.block.bytes()), &[*want]).await?;
                }
            }
        }
    }
    Ok(true)
}
