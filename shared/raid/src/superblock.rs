// SPDX-License-Identifier: MIT
//! A superblock as it was understood, whatever its version.
use crate::wire::{self, HEAD_BYTES, Head, SUM_AT, feature, sum};
use crate::{Error, Kind, MEMBERS_MAX, SECTOR, old};
use heapless::Vec;
use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, IntoBytes};

/// An identifier of an array or a device, written as mdadm does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uuid(pub [u8; 16]);

/// How and where a superblock is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 0.90, by a little-endian machine, in the last 64 to 128 KiB.
    V090,
    /// 0.90, by a big-endian machine.
    V090Big,
    /// 1.0, in the last 8 to 12 KiB.
    V10,
    /// 1.1, at the start.
    V11,
    /// 1.2, 4 KiB from the start.
    V12,
}

/// What a device is to its array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The member of this number.
    Active(u16),
    /// Takes the place of one that fails.
    Spare,
    /// Failed.
    Faulty,
    /// Holds the write journal.
    Journal,
}

/// What a reshape changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reshape {
    /// Where it is, in sectors of the array.
    pub position: u64,
    /// Whether it goes from the end to the start.
    pub backwards: bool,
    /// The new level.
    pub level: i32,
    /// Members more or less.
    pub delta_disks: i32,
    /// The new layout.
    pub layout: u32,
    /// The new chunk, in sectors.
    pub chunk: u32,
    /// What is added to the data offset.
    pub offset: i32,
}

/// The place of the list of bad blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Its first sector on the device.
    pub at: u64,
    /// Its sectors.
    pub sectors: u16,
    /// Binary logarithm of the sectors that it counts in.
    pub shift: u8,
}

/// The place of the partial parity log, which takes that of the bitmap in a superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ppl {
    /// Its first sector on the device.
    pub at: u64,
    /// Its sectors.
    pub sectors: u16,
}

/// A superblock. Sizes and offsets are in sectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Super {
    /// How it is written.
    pub version: Version,
    /// The array's identifier.
    pub set: Uuid,
    /// The array's name in UTF-8, padded with zeroes; empty for 0.90.
    pub name: [u8; 32],
    /// Level; -1 is linear.
    pub level: i32,
    /// Layout; its meaning depends on the level.
    pub layout: u32,
    /// Bits of [`feature`].
    pub features: u32,
    /// Sectors of a chunk; 0: none.
    pub chunk: u32,
    /// Members of the complete array.
    pub raid_disks: u32,
    /// Sectors of each member that are used; levels 1 and up.
    pub size: u64,
    /// First sector of data.
    pub data_offset: u64,
    /// Sectors that may hold data.
    pub data_size: u64,
    /// The sector of the superblock.
    pub super_offset: u64,
    /// The device's number among all the array ever had.
    pub number: u32,
    /// The device's identifier; 0.90 has none.
    pub device: Uuid,
    /// The device's role in its own words.
    pub role: Role,
    /// Roles of all devices, by number.
    pub roles: Vec<u16, MEMBERS_MAX>,
    /// Counts changes.
    pub events: u64,
    /// Seconds since 1970 at which it was created.
    pub created: u64,
    /// Seconds since 1970 at which it was last changed.
    pub updated: u64,
    /// The array is in sync up to this sector of its members; `None`: everywhere.
    pub resync: Option<u64>,
    /// The device is rebuilt up to this sector of its data; `None`: everywhere. Of a journal: where its log begins.
    pub recovery: Option<u64>,
    /// The reshape that is under way.
    pub reshape: Option<Reshape>,
    /// First sector of the bitmap on the device.
    pub bitmap: Option<u64>,
    /// The place of the partial parity log.
    pub ppl: Option<Ppl>,
    /// The list of bad blocks.
    pub log: Option<Log>,
    /// Bits: 1: write-mostly; 2: fail fast.
    pub flags: u8,
}

impl Super {
    /// The superblock in `bytes`, which were read at `sector` of a device of `sectors`. `None` where there is none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8], sector: u64, sectors: u64) -> Option<Result<Self, Error>> {
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        let major = rest.first_chunk::<4>()?;
        let little = u32::from_le_bytes(*magic) == wire::MAGIC;
        let big = u32::from_be_bytes(*magic) == wire::MAGIC;
        let parsed = match (little, big, u32::from_le_bytes(*major)) {
            (true, _, 1) => parse_1(bytes, sector, sectors),
            (true, _, 0) => old::parse(bytes, false, sector, sectors),
            (_, true, _) => old::parse(bytes, true, sector, sectors),
            (true, _, major) => Err(Kind::Major(major)),
            _ => return None,
        };
        Some(parsed.map_err(|kind| Error { kind, at: sector }))
    }

    /// Writes it into `bytes`, zeroes behind it; the bytes that it takes. Version 1 only, and what it says of a reshape.
    pub fn emit(&self, bytes: &mut [u8]) -> Option<usize> {
        let (head, roles) = bytes.split_at_mut_checked(HEAD_BYTES)?;
        if matches!(self.version, Version::V090 | Version::V090Big) || roles.len() < self.roles.len() * 2 {
            return None;
        }
        roles.fill(0);
        for (to, role) in roles.chunks_exact_mut(2).zip(&self.roles) {
            to.copy_from_slice(&role.to_le_bytes());
        }
        self.head()?.write_to(head).ok()?;
        let used = HEAD_BYTES + self.roles.len() * 2;
        let sum = sum(bytes.get(..used)?, SUM_AT);
        bytes.get_mut(SUM_AT..SUM_AT + 4)?.copy_from_slice(&sum.to_le_bytes());
        Some(used)
    }

    fn head(&self) -> Option<Head> {
        let from =
            |at: u64| i32::try_from(at.wrapping_sub(self.super_offset).cast_signed()).ok().map(i32::cast_unsigned);
        let reshape = self.reshape;
        let log = self.log;
        let to = |value: Option<i32>| value.unwrap_or(0).cast_unsigned().into();
        Some(Head {
            magic: wire::MAGIC.into(),
            major: 1.into(),
            features: self.features.into(),
            pad0: 0.into(),
            set: self.set.0,
            name: self.name,
            ctime: self.created.into(),
            level: self.level.cast_unsigned().into(),
            layout: self.layout.into(),
            size: self.size.into(),
            chunk: self.chunk.into(),
            raid_disks: self.raid_disks.into(),
            bitmap_offset: self.ppl.map_or_else(|| self.bitmap.map_or(Some(0), from), |ppl| self.ppl_word(ppl))?.into(),
            new_level: to(reshape.map(|r| r.level)),
            reshape_position: reshape.map_or(0, |r| r.position).into(),
            delta_disks: to(reshape.map(|r| r.delta_disks)),
            new_layout: reshape.map_or(0, |r| r.layout).into(),
            new_chunk: reshape.map_or(0, |r| r.chunk).into(),
            new_offset: to(reshape.map(|r| r.offset)),
            data_offset: self.data_offset.into(),
            data_size: self.data_size.into(),
            super_offset: self.super_offset.into(),
            recovery_offset: self.recovery.unwrap_or(0).into(),
            number: self.number.into(),
            corrected: 0.into(),
            device: self.device.0,
            flags: self.flags,
            log_shift: log.map_or(0, |log| log.shift),
            log_size: log.map_or(0, |log| log.sectors).into(),
            log_offset: log.map_or(Some(0), |log| from(log.at))?.into(),
            utime: self.updated.into(),
            events: self.events.into(),
            resync_offset: self.resync.unwrap_or(wire::ALL).into(),
            sum: 0.into(),
            roles: u32::try_from(self.roles.len()).ok()?.into(),
            pad3: [0; 32],
        })
    }

    /// Where the partial parity log is: sectors from here, signed, and its size, in 16 bits each.
    fn ppl_word(&self, ppl: Ppl) -> Option<u32> {
        let from = i16::try_from(ppl.at.wrapping_sub(self.super_offset).cast_signed()).ok()?;
        Some(u32::from(from.cast_unsigned()) | u32::from(ppl.sectors) << 16)
    }

    /// Whether an unfinished write may have left parity, or copies, that disagree.
    pub fn is_dirty(&self) -> bool {
        self.resync.is_some()
    }

    /// Members before the reshape that is under way; without one, those of the complete array.
    pub fn old_disks(&self) -> u32 {
        let more = self.reshape.map_or(0, |reshape| reshape.delta_disks);
        self.raid_disks.saturating_add_signed(more.saturating_neg())
    }

    /// The larger number of members, before or after the reshape that is under way.
    pub fn most_disks(&self) -> u32 {
        self.raid_disks.max(self.old_disks())
    }

    /// Whether it has this bit of [`feature`].
    pub fn has(&self, bit: u32) -> bool {
        self.features & bit != 0
    }

    /// Its name as text: what stands before the first zero.
    pub fn name(&self) -> &str {
        let end = self.name.iter().position(|&byte| byte == 0).unwrap_or(self.name.len());
        let bytes = self.name.get(..end).unwrap_or_default();
        match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => bytes.get(..error.valid_up_to()).and_then(|b| core::str::from_utf8(b).ok()).unwrap_or(""),
        }
    }

    /// The role that this superblock gives the device `number`.
    pub fn role_of(&self, number: u32) -> Role {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        self.roles.get(index).map_or(Role::Spare, |&role| role_from(role))
    }
}

/// What the two bytes of a role say.
pub(crate) fn role_from(role: u16) -> Role {
    match role {
        wire::SPARE => Role::Spare,
        wire::FAULTY => Role::Faulty,
        wire::JOURNAL => Role::Journal,
        active => Role::Active(active),
    }
}

/// `offset` sectors, signed, from `at`; within a device of `sectors`.
fn from(at: u64, offset: u32, sectors: u64) -> Option<u64> {
    at.checked_add_signed(i64::from(offset.cast_signed())).filter(|&at| at < sectors)
}

/// The seconds of a time.
fn seconds(time: u64) -> u64 {
    time & ((1 << 40) - 1)
}

fn roles(bytes: &[u8], count: u32) -> Result<Vec<u16, MEMBERS_MAX>, Kind> {
    let count = usize::try_from(count).ok().filter(|&count| count <= MEMBERS_MAX).ok_or(Kind::Roles(count))?;
    let bytes = bytes.get(HEAD_BYTES..HEAD_BYTES + count * 2).ok_or(Kind::Short)?;
    Ok(bytes.chunks_exact(2).filter_map(|role| U16::read_from_bytes(role).ok()).map(U16::get).collect())
}

fn parse_1(bytes: &[u8], sector: u64, sectors: u64) -> Result<Super, Kind> {
    let (head, _) = Head::ref_from_prefix(bytes).map_err(|_| Kind::Short)?;
    let roles = roles(bytes, head.roles.get())?;
    let found = sum(bytes.get(..HEAD_BYTES + roles.len() * 2).ok_or(Kind::Short)?, SUM_AT);
    if found != head.sum.get() {
        return Err(Kind::Sum { says: head.sum.get(), is: found });
    }
    let features = head.features.get();
    if features & !feature::ALL != 0 {
        return Err(Kind::Features(features & !feature::ALL));
    }
    if head.super_offset.get() != sector {
        return Err(Kind::Elsewhere(head.super_offset.get()));
    }
    let version = match sector {
        0 => Version::V11,
        8 => Version::V12,
        _ => Version::V10,
    };
    let has = |bit| features & bit != 0;
    let index = usize::try_from(head.number.get()).unwrap_or(usize::MAX);
    let role = role_from(*roles.get(index).ok_or(Kind::Number(head.number.get()))?);
    let parsed = Super {
        version,
        set: Uuid(head.set),
        name: head.name,
        level: head.level.get().cast_signed(),
        layout: head.layout.get(),
        features,
        chunk: head.chunk.get(),
        raid_disks: head.raid_disks.get(),
        size: head.size.get(),
        data_offset: head.data_offset.get(),
        data_size: head.data_size.get(),
        super_offset: sector,
        number: head.number.get(),
        device: Uuid(head.device),
        role,
        roles,
        events: head.events.get(),
        created: seconds(head.ctime.get()),
        updated: seconds(head.utime.get()),
        resync: Some(head.resync_offset.get()).filter(|&at| at != wire::ALL),
        recovery: (has(feature::RECOVERY) || role == Role::Journal).then(|| head.recovery_offset.get()),
        reshape: has(feature::RESHAPE).then(|| reshape(head)),
        bitmap: bitmap_at(head, sector, sectors)?,
        ppl: ppl_at(head, sector, sectors)?,
        log: log(head, sector, sectors)?,
        flags: head.flags,
    };
    parsed.check(sectors).map(|()| parsed)
}

fn reshape(head: &Head) -> Reshape {
    let moved = head.features.get() & feature::NEW_OFFSET != 0;
    Reshape {
        position: head.reshape_position.get(),
        backwards: head.features.get() & feature::BACKWARDS != 0 || head.delta_disks.get().cast_signed() < 0,
        level: head.new_level.get().cast_signed(),
        delta_disks: head.delta_disks.get().cast_signed(),
        layout: head.new_layout.get(),
        chunk: head.new_chunk.get(),
        offset: if moved { head.new_offset.get().cast_signed() } else { 0 },
    }
}

fn bitmap_at(head: &Head, sector: u64, sectors: u64) -> Result<Option<u64>, Kind> {
    if head.features.get() & feature::BITMAP == 0 || head.features.get() & (feature::PPL | feature::PPLS) != 0 {
        return Ok(None);
    }
    from(sector, head.bitmap_offset.get(), sectors).map(Some).ok_or(Kind::Bitmap)
}

fn ppl_at(head: &Head, sector: u64, sectors: u64) -> Result<Option<Ppl>, Kind> {
    if head.features.get() & (feature::PPL | feature::PPLS) == 0 {
        return Ok(None);
    }
    let [a, b, c, d] = head.bitmap_offset.get().to_le_bytes();
    let (offset, size) = (i16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
    let at = sector.checked_add_signed(offset.into()).filter(|at| at.saturating_add(size.into()) <= sectors);
    at.map(|at| Some(Ppl { at, sectors: size })).ok_or(Kind::Bitmap)
}

fn log(head: &Head, sector: u64, sectors: u64) -> Result<Option<Log>, Kind> {
    let size = head.log_size.get();
    if size == 0 || head.log_offset.get() == 0 {
        return Ok(None);
    }
    let at = from(sector, head.log_offset.get(), sectors);
    let at = at.filter(|at| at.saturating_add(size.into()) <= sectors).ok_or(Kind::Log)?;
    Ok(Some(Log { at, sectors: size, shift: head.log_shift }))
}

impl Super {
    /// What must hold of every superblock of a device of so many sectors.
    pub(crate) fn check(&self, sectors: u64) -> Result<(), Kind> {
        let disks = usize::try_from(self.raid_disks).unwrap_or(usize::MAX);
        if disks == 0 || disks > MEMBERS_MAX {
            return Err(Kind::Members(self.raid_disks));
        }
        if usize::try_from(self.most_disks()).map_or(true, |most| most > MEMBERS_MAX) {
            return Err(Kind::Members(self.most_disks()));
        }
        if let Role::Active(role) = self.role
            && u32::from(role) >= self.most_disks()
        {
            return Err(Kind::Role(role, self.raid_disks));
        }
        let end = self.data_offset.checked_add(self.data_size);
        if end.is_none_or(|end| end > sectors) {
            return Err(Kind::Data { first: self.data_offset, sectors: self.data_size, device: sectors });
        }
        let within = |at: u64| at >= self.data_offset && end.is_some_and(|end| at < end);
        if within(self.super_offset) && self.data_size > 0 {
            return Err(Kind::DataMeets);
        }
        if self.level > 0 && self.size > self.data_size && self.role != Role::Journal {
            return Err(Kind::Used { used: self.size, has: self.data_size });
        }
        Ok(())
    }
}

const _: () = assert!(HEAD_BYTES == 256 && SECTOR == 512);
