// SPDX-License-Identifier: MIT
//! Devices with superblocks of Linux's md.
//!
//! An input is: whether checksums are mended, then devices: the sector of the superblock and the device's sectors (8 bytes each), a
//! length (2 bytes), and so many bytes of a superblock, after which it has zeroes.
use super::Input;
use orion_raid::journal::{BLOCK_BYTES, Log, Maker};
use orion_raid::wire::{HEAD_BYTES, SUM_AT, SUPER_BYTES, sum};
use orion_raid::{Array, BadBlocks, Bitmap, Kind, Read, Super, Uuid, assemble};

/// Devices of one input at most.
const DEVICES: usize = 12;

/// Devices of which some give nothing, and every one its own bytes.
struct Given<'a>(&'a [Super], usize);

impl Read for Given<'_> {
    fn read(&mut self, device: usize, sector: u64, to: &mut [u8]) -> bool {
        let from = &self.0[device];
        let end = sector.checked_add(to.len() as u64 / 512).expect("it overflows");
        let data = from.data_offset..=from.data_offset + from.data_size;
        // Data that a reshape moves begin elsewhere.
        let moved = from.reshape.is_some();
        assert!(moved || data.contains(&sector) && data.contains(&end), "{sector}..{end} of {data:?}");
        to.fill(device as u8);
        !device.is_multiple_of(self.1)
    }
}

/// Makes the checksum right, as far as the roles are there.
fn mend(bytes: &mut [u8]) {
    let roles = u32::from_le_bytes(bytes[SUM_AT + 4..SUM_AT + 8].try_into().unwrap()) as usize;
    if bytes[4..8] == [0; 4] {
        let skip = 38 * 4;
        let sum = sum(bytes, skip);
        bytes[skip..skip + 4].copy_from_slice(&sum.to_le_bytes());
    } else if let Some(used) = roles.checked_mul(2).map(|n| n + HEAD_BYTES).filter(|&used| used <= bytes.len()) {
        let sum = sum(&bytes[..used], SUM_AT);
        bytes[SUM_AT..SUM_AT + 4].copy_from_slice(&sum.to_le_bytes());
    }
}

/// Reads superblocks, assembles what can be, and reads some of it.
pub fn raid(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mended = input.byte() % 2 == 1;
    let mut supers = Vec::new();
    while !input.is_empty() && supers.len() < DEVICES {
        let (sector, sectors, len) = (input.long(), input.long(), usize::from(input.half()).min(SUPER_BYTES));
        let mut block = vec![0; SUPER_BYTES];
        let have = len.min(input.0.len());
        block[..have].copy_from_slice(&input.0[..have]);
        input.0 = &input.0[have..];
        if mended {
            mend(&mut block);
        }
        journal(&block, sector, sectors);
        let _ = (Bitmap::parse(&block), BadBlocks::parse(&block, block[0]));
        if let Some(Ok(found)) = Super::parse(&block, sector, sectors) {
            again(&found, sectors);
            supers.push(found);
        }
    }
    for set in assemble::sets(&supers) {
        match Array::assemble(&supers, set) {
            Ok(array) => whole(&array, &supers),
            Err(error) => assert!(!error.named(&["a", "b"]).to_string().is_empty()),
        }
    }
}

/// Takes the block for a meta block of a write journal, its head made right, and makes it once more of what it says.
fn journal(block: &[u8], at: u64, sectors: u64) {
    let mut bytes: [u8; BLOCK_BYTES] = block.try_into().expect("a block");
    for parities in [1, 2] {
        let log = Log::new(Uuid([1; 16]), sectors, parities);
        bytes[..4].copy_from_slice(&0x6433_c509u32.to_le_bytes());
        bytes[4..12].copy_from_slice(&[0, 0, 0, 0, 1, 0, 0, 0]);
        bytes[24..32].copy_from_slice(&at.to_le_bytes());
        let sum = log.sum(&bytes);
        bytes[4..8].copy_from_slice(&sum.to_le_bytes());
        let Some(meta) = log.parse(&bytes, at, None) else { continue };
        assert!(meta.blocks() * 8 < sectors, "more than the log holds");
        let (mut maker, mut items) = (Maker::new(&log, at, meta.seq), Vec::new());
        let mut fits = true;
        assert!(meta.walk(|item| {
            fits &= maker.add(item);
            items.push(item);
        }));
        let again = maker.finish(&log);
        let mut found = Vec::new();
        // Sectors that are written are said one by one here, which takes more room.
        if fits {
            assert!(log.parse(&again, at, Some(meta.seq)).is_some_and(|meta| meta.walk(|item| found.push(item))));
            assert_eq!(found, items);
        }
    }
}

/// What is written is read as what it was.
fn again(found: &Super, sectors: u64) {
    let mut bytes = vec![0; SUPER_BYTES];
    if found.emit(&mut bytes).is_some() {
        let read = Super::parse(&bytes, found.super_offset, sectors);
        assert_eq!(read, Some(Ok(found.clone())));
    }
}

/// Sectors lie on their members, each copy on another.
fn whole(array: &Array, supers: &[Super]) {
    let geometry = &array.geometry;
    let sectors = geometry.sectors();
    for sector in [0, 1, sectors / 3, sectors / 2, sectors - 1] {
        let mut members = Vec::new();
        let places = (0..).map_while(|copy| geometry.place(sector, copy));
        for place in places.take(64) {
            assert!(place.member < geometry.members() && !members.contains(&place.member), "{place:?}");
            let end = place.sector.checked_add(place.run).expect("it overflows");
            assert!(place.run > 0 && end <= geometry.used(place.member), "{place:?}");
            if let Some(stripe) = geometry.stripe(place.sector) {
                assert!(!stripe.is_parity(place.member) && stripe.p < geometry.members() && stripe.q != Some(stripe.p));
            }
            members.push(place.member);
        }
        for lost in [usize::MAX, 3, 2, 1] {
            let (mut to, mut scratch) = (vec![0; 512], vec![0; 1024]);
            if let Err(error) = orion_raid::read(array, &mut Given(supers, lost), sector, &mut to, &mut scratch) {
                assert!(matches!(error.kind, Kind::Lost | Kind::Unsure) && error.at == sector);
            }
        }
    }
}
