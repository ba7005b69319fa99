// SPDX-License-Identifier: MIT
//! What a peer's numbers become. Whole connections are tested in the simulated world.
use super::regions::holds;
use super::upper::place;
use super::{Regions, WINDOW_BLOCKS};
use crate::config::{Builder, Config, Name, Region};
use orion_block::{Buf, Error, Lba, RegionId};
use std::vec;

#[test]
fn blocks_are_scaled_and_never_leave_their_window() {
    assert_eq!(place(5, 2, 0), Ok((Lba(5), 2)));
    assert_eq!(place(5, 2, 3), Ok((Lba(40), 16)));
    assert_eq!(place(3 * WINDOW_BLOCKS + 5, 2, 3), Ok((Lba(3 * WINDOW_BLOCKS + 40), 16)));
    let last = WINDOW_BLOCKS - 1;
    assert_eq!(place(last, 1, 0), Ok((Lba(last), 1)));
    assert_eq!(place(last, 2, 0), Err(Error::OutOfRange), "into the next window");
    assert_eq!(place(last, 1, 1), Err(Error::OutOfRange), "into the next window by scaling");
    assert_eq!(place(u64::MAX, 1, 0), Ok((Lba(u64::MAX), 1)));
    assert_eq!(place(u64::MAX, u16::MAX, 7), Err(Error::OutOfRange));
}

#[test]
fn payload_lies_within_one_region() {
    let region = |id: u16, bus: u64, size: u64| Region {
        id: id.into(),
        flags: 0.into(),
        pad: 0.into(),
        vaddr: 0.into(),
        size: size.into(),
        bus: bus.into(),
        name: Name::new("r"),
    };
    let far = (1 << 63) - 0x1000;
    let regions =
        vec![region(0, 0x1000, 0x1000), region(1, 0x2000, 0x2000), region(2, 0, 0x1000), region(3, far, 0x1000)];
    let blob = Builder { regions, ..Builder::default() }.bytes();
    let regions = Regions::new(&Config::parse(&blob).unwrap()).unwrap();
    let at = |region, offset| Some(Buf { region: RegionId(region), offset });
    for (size, offset, len, want) in [
        (0x1000, 0, 0x1000, true),
        (0x1000, 0xe00, 0x200, true),
        (0x1000, 0xe00, 0x201, false),
        (0x1000, u64::MAX - 0xfff, 0x1000, false),
        (0, 0, 1, false),
    ] {
        assert_eq!(holds(size, offset, len), want, "{size:x} {offset:x} {len:x}");
    }
    for (bus, len, want) in [
        (0x1000, 0x1000, at(0, 0)),
        (0x1000, 0x1001, None),
        (0x1e00, 0x400, None),
        (0x3fff, 1, at(1, 0x1fff)),
        (0x4000, 1, None),
        (0, 1, None),
        (0xfff, 1, None),
        (far + 0xfff, 1, at(3, 0xfff)),
        (far + 0xfff, 2, None),
        (1 << 63, 1, None),
        (u64::MAX, 1, None),
    ] {
        assert_eq!(regions.at_bus(bus, len), want, "{bus:x} {len:x}");
    }
    let address = |region, offset| regions.bus_address(Buf { region: RegionId(region), offset });
    assert_eq!(address(1, 0x800), 0x2800);
    assert!(address(2, 0x200) >= 1 << 63 && address(4, 0) >= 1 << 63, "no device reaches it");
}
