// SPDX-License-Identifier: MIT
//! Parameter lists that are sent (SBC-3, section 5.28).

/// Bytes of an UNMAP list with one descriptor.
pub const UNMAP_LEN: usize = 24;

/// The list of an UNMAP of `blocks` blocks from `lba`.
pub fn unmap(lba: u64, blocks: u32) -> [u8; UNMAP_LEN] {
    let mut list = [0; UNMAP_LEN];
    // Bytes that follow the first field, bytes of descriptors.
    let head = [0, 22, 0, 16, 0, 0, 0, 0].into_iter().chain(lba.to_be_bytes()).chain(blocks.to_be_bytes());
    list.iter_mut().zip(head).for_each(|(to, from)| *to = from);
    list
}

#[cfg(test)]
mod tests {
    use super::super::hex;

    #[test]
    fn what_sg_unmap_sends() {
        let bytes = hex("00 16 00 10 00 00 00 00 00 00 00 00 00 00 12 34 00 00 00 63 00 00 00 00");
        assert_eq!(super::unmap(0x1234, 0x63)[..], bytes);
    }
}
