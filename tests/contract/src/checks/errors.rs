// SPDX-License-Identifier: MIT
//! An error on one part of a request.
use crate::device::Device;
use crate::under::{Under, request};
use orion_block::{Error, Op};

/// A request of which one block fails says how many blocks before it succeeded; those have, and the rest is old or new.
pub async fn part<D: Device>(under: &Under<D>) -> Result<bool, String> {
    for (op, bad) in [(Op::Write, 13), (Op::Write, 0), (Op::Write, 31), (Op::Read, 17), (Op::Read, 0)] {
        under.write(51, 0..32, 0, false).await?;
        if !under.0.borrow_mut().fail(op, bad, Error::Medium) {
            return Ok(false);
        }
        let req = match op {
            Op::Write => under.prepare(52, 0..32, 0).await,
            _ => request(op, 0..32, 0),
        };
        under.scribble(0, if op == Op::Read { 32 } else { 0 }).await;
        let done = under.ask(req).await?;
        if !matches!(done.status, Err(Error::Medium | Error::Io)) || u64::from(done.blocks) > bad {
            return Err(format!("{req:?}, of which block {bad} is bad, was answered with {done:?}"));
        }
        let good = u64::from(done.blocks);
        if op == Op::Write {
            under.versions(0..good, &[52]).await?;
            under.versions(good..32, &[51, 52]).await?;
        } else {
            let bytes = u64::from(under.limits().await.block.bytes());
            for lba in 0..good {
                under.version(lba, lba * bytes, &[51]).await?;
            }
        }
        // The device goes on.
        under.write(53, 0..32, 0, false).await?;
        under.holds(53, 0..32).await?;
    }
    Ok(true)
}
