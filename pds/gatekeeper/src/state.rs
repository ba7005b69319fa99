// SPDX-License-Identifier: MIT
//! The region that keeps the capabilities over a restart of this PD: two halves, each a word and an image.
use core::sync::atomic::Ordering::{Acquire, Release};
use orion_caps::{COMPLETE, Gatekeeper, IMAGE_MAX, Unreadable, WRITING, crc32c};
use orion_pd::World;
use orion_region::Window;

/// Bytes of a half.
const HALF: usize = 0x2000;
/// Bytes from a half's word to its image.
const IMAGE: usize = 64;
const _: () = assert!(IMAGE + IMAGE_MAX <= HALF);

/// The region, and what was written last.
#[derive(Debug)]
pub struct State {
    region: Window,
    origin: u64,
    sequence: u64,
    /// The half to be written next.
    next: usize,
}

impl State {
    /// Takes over what an earlier life left, if there was one. `None` where the system has no such region, because no
    /// client may change anything.
    ///
    /// # Errors
    /// What is there can't be read: `layer` refuses everything from now on.
    pub fn restore<W: World>(world: &mut W, layer: &mut Gatekeeper) -> Result<Option<Self>, Unreadable> {
        let Some(vaddr) = world.config().setting("state_vaddr") else { return Ok(None) };
        let region = world.window(vaddr).filter(|r| r.len() >= 2 * HALF).ok_or(Unreadable);
        let origin = u64::from(crc32c(world.config().grants_bytes()));
        let restored = region.and_then(|region| {
            let mut images = [[0; IMAGE_MAX]; 2];
            let [first, second] = &mut images;
            region.copy_out(IMAGE, first);
            region.copy_out(HALF + IMAGE, second);
            let halves = [(region.load(0, Acquire), &first[..]), (region.load(HALF, Acquire), &second[..])];
            Ok((region, layer.restore(halves, origin)?))
        });
        match restored {
            Ok((region, found)) => {
                let (sequence, next) = found.map_or((0, 0), |(sequence, half)| (sequence, 1 - half));
                Ok(Some(Self { region, origin, sequence, next }))
            }
            Err(unreadable) => {
                *layer = Gatekeeper::new();
                Err(unreadable)
            }
        }
    }

    /// Whether an earlier life left something.
    pub fn restored(&self) -> bool {
        self.sequence > 0
    }

    /// The number of what was written or taken over last; 0 before.
    pub fn number(&self) -> u64 {
        self.sequence
    }

    /// Writes what `layer` holds; whether it is kept.
    pub fn keep(&mut self, layer: &Gatekeeper) -> bool {
        let mut image = [0; IMAGE_MAX];
        let Some(len) = layer.image(self.sequence + 1, self.origin, &mut image) else { return false };
        let at = self.next * HALF;
        self.region.store(at, WRITING, Release);
        let kept = image.get(..len).is_some_and(|bytes| self.region.copy_in(at + IMAGE, bytes));
        self.region.store(at, if kept { COMPLETE } else { WRITING }, Release);
        self.sequence += 1;
        self.next = 1 - self.next;
        kept
    }
}
