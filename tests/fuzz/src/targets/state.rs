// SPDX-License-Identifier: MIT
//! The region in which capabilities survive a restart of the gatekeeper, with anything in it. Checksums are mended, so that
//! what is behind them is reached.
use super::Input;
use orion_caps::{COMPLETE, Gatekeeper, IMAGE_MAX, WRITING, crc32c};

/// What an earlier life left.
pub fn state(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (how, first) = (input.byte(), usize::from(input.half()));
    let rest = input.0;
    let (one, two) = rest.split_at(first.min(rest.len()));
    let mut halves = [one.to_vec(), two.to_vec()];
    for half in &mut halves {
        half.resize(IMAGE_MAX, 0);
        if how & 1 == 1 {
            half[..8].copy_from_slice(b"ORIONCAP");
            half[8..12].copy_from_slice(&1u32.to_le_bytes());
            let records = u32::from_le_bytes(half[32..36].try_into().unwrap()) as usize % 129;
            half[32..36].copy_from_slice(&(records as u32).to_le_bytes());
            let end = half.len().min(296 + records * 56);
            let sum = crc32c(&half[16..end]);
            half[12..16].copy_from_slice(&sum.to_le_bytes());
        }
    }
    let word = |bit: u8| if how & bit != 0 { COMPLETE } else { WRITING };
    let mut layer = Gatekeeper::new();
    let origin = u64::from_le_bytes(halves[0][24..32].try_into().unwrap());
    let restored = layer.restore([(word(2), &halves[0]), (word(4), &halves[1])], origin);
    if restored.is_err() {
        let held = (0..62).flat_map(|client| (0..16).map(move |window| (client, window)));
        let mut held = held.filter_map(|(client, window)| layer.window(client, window));
        assert!(held.next().is_none(), "what can't be read allows nothing");
    }
    let mut image = vec![0; IMAGE_MAX];
    if let Some(len) = layer.image(1, origin, &mut image) {
        let mut again = Gatekeeper::new();
        let back = again.restore([(COMPLETE, &image[..len]), (WRITING, &[])], origin);
        assert!(back.is_ok() || restored.is_err() || restored == Ok(None), "an image of its own is not understood");
    }
}
