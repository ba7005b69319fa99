// SPDX-License-Identifier: MIT
//! The systems with arrays: what they are made of, and what their disks begin with.
use crate::client::Part;
use crate::system::System;
use orion_raid::create::{Device, New};
use orion_raid::wire::SUPER_BYTES;
use orion_raid::{Array, Super, Uuid, Version};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;

/// Bytes of a sector, and of a block of the disks.
pub const SECTOR: usize = 512;
/// First sector of a member's data, and how many there are.
pub const DATA: usize = 256;
const SIZE: usize = 1280;
/// Sectors of a chunk.
const CHUNK: u32 = 16;
/// Sectors of a write journal: it is used again and again.
const JOURNAL: usize = 416;
/// Sectors at the begin of an array in which the superblock of the one above it lies.
const ABOVE: usize = 16;

/// How a loss of power is borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// What may differ is put in sync afterwards.
    Nothing,
    /// A partial parity log.
    Ppl,
    /// A write journal.
    Journal,
}

/// An array of disks.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its volume.
    pub volume: &'static str,
    /// Its level in mdadm's numbers.
    pub level: i32,
    /// Its members at first.
    pub members: usize,
    /// How it bears a loss of power.
    pub log: Log,
    /// Its first disk: members come first, then an empty one, then one for a journal.
    pub first: usize,
}

impl Group {
    /// Its disks, without that of a journal.
    pub fn disks(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.members + 1
    }

    /// How many of its members it can lack.
    pub fn limit(&self) -> usize {
        match self.level {
            1 => self.members - 1,
            // One of each pair.
            6 | 10 => 2,
            _ => 1,
        }
    }

    /// Whether a loss of power may leave parity wrong, from which follows what is missing.
    pub fn has_hole(&self) -> bool {
        self.level > 1 && self.level != 10 && self.log == Log::Nothing
    }

    /// Whether it is reshaped while it is used.
    pub fn grows(&self) -> bool {
        self.has_hole() && self.volume == "v"
    }

    /// Whether it knows which member is wrong.
    pub fn can_tell(&self) -> bool {
        self.level == 6 || self.level == 1 && self.members > 2
    }

    /// All its disks.
    pub fn all(&self) -> std::ops::Range<usize> {
        self.first..self.end()
    }

    fn end(&self) -> usize {
        self.disks().end + usize::from(self.log == Log::Journal)
    }
}

/// A system.
#[derive(Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// Its arrays of disks.
    pub groups: Vec<Group>,
    /// What its disks begin with.
    pub images: Vec<Vec<u8>>,
    /// It, planned.
    pub system: Rc<System>,
    /// First sector in which a member holds what clients write.
    pub data: usize,
}

type Shape = (&'static str, &'static [(i32, usize, Log)]);

/// All kinds.
const SHAPES: [Shape; 10] = [
    ("raid1", &[(1, 2, Log::Nothing)]),
    ("raid1-of-3", &[(1, 3, Log::Nothing)]),
    ("raid10", &[(10, 4, Log::Nothing)]),
    ("raid5-ppl", &[(5, 3, Log::Ppl)]),
    ("raid5-journal", &[(5, 4, Log::Journal)]),
    ("raid6", &[(6, 4, Log::Nothing)]),
    ("raid6-journal", &[(6, 5, Log::Journal)]),
    ("raid50", &[(5, 3, Log::Ppl), (5, 3, Log::Ppl)]),
    ("raid60", &[(6, 4, Log::Nothing), (6, 4, Log::Nothing)]),
    ("raid60-journal", &[(6, 4, Log::Journal), (6, 4, Log::Journal)]),
];

/// How many kinds there are.
pub const KINDS: usize = SHAPES.len();

/// What clients may do: name, window of 4096-byte blocks.
pub const CLIENTS: [(&str, u64, u64); 2] = [("a", 0, 12), ("b", 100, 6)];

/// What a client was granted, in blocks of the array.
pub fn parts(client: usize) -> Vec<Part> {
    let (_, first, count) = CLIENTS[client];
    vec![Part { window: 0, disk: 0, first: first * 8, blocks: count * 8 }]
}

/// A kind by its number, planned once in each thread.
pub fn kind(number: usize) -> Rc<Kind> {
    thread_local! {
        static PLANNED: RefCell<[Option<Rc<Kind>>; KINDS]> = const { RefCell::new([const { None }; KINDS]) };
    }
    PLANNED.with_borrow_mut(|planned| planned[number % KINDS].get_or_insert_with(|| Rc::new(plan(number))).clone())
}

/// The number of the kind of this name.
pub fn named(name: &str) -> Option<usize> {
    SHAPES.iter().position(|(own, _)| *own == name)
}

fn plan(number: usize) -> Kind {
    let (name, shapes) = SHAPES[number % KINDS];
    let nested = shapes.len() > 1;
    let (mut groups, mut images) = (Vec::<Group>::new(), Vec::new());
    for ((level, members, log), volume) in shapes.iter().zip(if nested { ["left", "right"] } else { ["v", ""] }) {
        let first = groups.last().map_or(0, Group::end);
        let group = Group { volume, level: *level, members: *members, log: *log, first };
        images.extend(begin(&group));
        groups.push(group);
    }
    if nested {
        above(&groups, &mut images);
    }
    let system = Rc::new(System::new(&xml(&groups, number), &[]));
    Kind { name, groups, images, system, data: DATA + if nested { ABOVE } else { 0 } }
}

fn new(level: i32, set: u8, ppl: bool) -> New<'static> {
    let layout = [(5, 2), (6, 2), (10, 0x102)].iter().find(|(own, _)| *own == level).map_or(0, |(_, layout)| *layout);
    let chunk = if level == 1 { 0 } else { CHUNK };
    let (version, set, data_offset) = (Version::V12, Uuid([set; 16]), DATA as u64);
    New { version, set, name: "sim:data", created: 1, level, layout, chunk, data_offset, ppl, clean: true }
}

fn device(number: usize, sectors: usize) -> Device {
    Device { sectors: sectors as u64, uuid: Uuid([number as u8 + 1; 16]), spare: false, missing: false }
}

/// A whole disk with this superblock.
fn image(found: &Super, sectors: usize) -> Vec<u8> {
    let mut bytes = vec![0; sectors * SECTOR];
    found.emit(bytes[4096..].first_chunk_mut::<SUPER_BYTES>().expect("room")).expect("a superblock");
    bytes
}

/// What the disks of an array begin with.
fn begin(group: &Group) -> Vec<Vec<u8>> {
    let new = new(group.level, group.first as u8 + 1, group.log == Log::Ppl);
    let sectors = DATA + SIZE;
    let devices: Vec<Device> = (0..group.members).map(|n| device(group.first + n, sectors)).collect();
    let mut supers: Vec<Super> = new.supers(&devices).expect("an array").collect();
    let journal = (group.log == Log::Journal).then(|| {
        let own = device(group.first + group.members + 1, DATA + JOURNAL);
        let made = new.journal(&mut supers, &own).expect("a journal");
        let mut bytes = image(&made.made, DATA + JOURNAL);
        bytes[DATA * SECTOR..][..made.block.len()].copy_from_slice(&made.block);
        bytes
    });
    let members = supers.iter().map(|own| image(own, sectors));
    members.chain([vec![0; sectors * SECTOR]]).chain(journal).collect()
}

/// Puts the superblocks of an array of arrays into those.
fn above(groups: &[Group], images: &mut [Vec<u8>]) {
    let arrays: Vec<Array> = groups.iter().map(|group| array(group, images).expect("an array")).collect();
    let devices: Vec<Device> =
        arrays.iter().enumerate().map(|(n, own)| device(n, own.geometry.sectors() as usize)).collect();
    for ((own, group), found) in arrays.iter().zip(groups).zip(new(0, 99, false).supers(&devices).expect("an array")) {
        let place = own.geometry.place(8, 0).expect("a place");
        let stripe = own.geometry.stripe(place.sector).expect("a stripe");
        // The first of its stripe: Q is what P is.
        assert_eq!(stripe.power(place.member), 0);
        for role in [Some(place.member), Some(stripe.p), stripe.q].into_iter().flatten() {
            let at = (DATA + place.sector as usize) * SECTOR;
            let to = &mut images[group.first + role as usize][at..];
            found.emit(to.first_chunk_mut::<SUPER_BYTES>().expect("room")).expect("a superblock");
        }
    }
}

/// An array of new disks.
fn array(group: &Group, images: &[Vec<u8>]) -> Option<Array> {
    let found = |disk: usize| {
        let image = &images[disk];
        Super::parse(image.get(4096..4096 + SUPER_BYTES)?, 8, (image.len() / SECTOR) as u64)?.ok()
    };
    let found: Vec<Super> = group.all().filter_map(found).collect();
    Array::assemble(&found, found.first()?.set).ok()
}

fn xml(groups: &[Group], number: usize) -> String {
    let mut xml = String::from("<system xmlns:orion=\"urn:orion-storage:1\">");
    for disk in 0..groups.last().map_or(0, Group::end) {
        let bus = ["virtio-blk", "nvme", "virtio-blk", "virtio-scsi"][(disk + number) % 4];
        write!(xml, "<orion:disk name=\"d{disk:02}\" bus=\"{bus}\" timeout=\"1000ms\"/>").expect("room");
    }
    for group in groups {
        let on: String = (group.first..group.end()).map(|disk| format!("<orion:on disk=\"d{disk:02}\"/>")).collect();
        write!(xml, "<orion:volume name=\"{}\"><orion:raid>{on}</orion:raid></orion:volume>", group.volume)
            .expect("room");
    }
    if groups.len() > 1 {
        let on: String = groups.iter().map(|group| format!("<orion:on volume=\"{}\"/>", group.volume)).collect();
        write!(xml, "<orion:volume name=\"v\"><orion:raid>{on}</orion:raid></orion:volume>").expect("room");
    }
    for (name, first, count) in CLIENTS {
        write!(
            xml,
            "<protection_domain name=\"{name}\" priority=\"90\" orion:queue=\"16\" orion:data=\"128K\">
             <program_image path=\"client.elf\"/></protection_domain>
             <orion:grant client=\"{name}\" volume=\"v\" blocks=\"{first}..{}\" rights=\"read write flush zero\"/>",
            first + count
        )
        .expect("room");
    }
    xml + "<orion:manager rights=\"admin\"/></system>"
}
