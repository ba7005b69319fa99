// SPDX-License-Identifier: MIT
//! The plan while it is put together: PDs with their free ids and addresses, regions, channels.
use super::Options;
use super::ladder::Ladder;
use super::space::Space;
use crate::element::Position;
use crate::microkit::MAX_ID;
use crate::model::{Sddf, System, UserPd};
use crate::plan::{Board, Channel, Disk, Map, NewArray, Pd, Plan, Region, RegionKind};
use crate::problem::{Problem, Problems};
use crate::sddf::{self, Resources};
use orion_pd::config::{self, Link, NONE, Name};
use std::collections::BTreeMap;

/// A page.
pub const PAGE: u64 = 0x1000;
/// A large page.
pub const LARGE_PAGE: u64 = 0x20_0000;
/// Where derived mappings begin and end in each PD.
const DERIVED: std::ops::Range<u64> = 0x400_0000..0x8000_0000;

/// What is kept free for a region whose size only the Microkit tool learns, from its prefill file.
const UNKNOWN_SIZE: u64 = 16 << 20;

/// A PD while it is put together.
pub struct Part {
    pub pd: Pd,
    pub blob: config::Builder,
    /// Where `system.xml` speaks of it.
    pub at: Position,
    /// Whether it gets a configuration.
    pub ours: bool,
    /// Whether it is a plain sDDF component, which gets sections of its program instead.
    pub sddf: Option<Sddf>,
    /// The regions and interrupts of the device that it drives, as sDDF lists them.
    pub resources: Resources,
    /// Ids in use, one bit each.
    ids: u64,
    space: Space,
}

/// Bytes of stack of a PD that runs our code: some hold all their tables on it. Microkit's default is 8 KiB.
pub const STACK: u64 = 0x10_0000;

impl Part {
    fn new(name: &str, image: &str, priority: u8, derived: bool, at: Position) -> Self {
        let pd = Pd {
            name: name.to_owned(),
            image: image.to_owned(),
            program: stem(image).to_owned(),
            derived,
            priority,
            parent: None,
            budget: None,
            stack: derived.then_some(STACK),
            maps: Vec::new(),
            irqs: Vec::new(),
            ioports: Vec::new(),
            disk: None,
            config: Vec::new(),
            wiring: Vec::new(),
            sections: Vec::new(),
        };
        let blob = config::Builder { name: name.to_owned(), ..config::Builder::default() };
        let space = Space::new(DERIVED.start, DERIVED.end, PAGE);
        Self { pd, blob, at, ours: derived, sddf: None, resources: Resources::default(), ids: 0, space }
    }

    /// Takes the id `id`; whether it was free.
    pub fn take_id(&mut self, id: u8) -> bool {
        let free = id < 64 && self.ids & (1 << id) == 0;
        self.ids |= 1_u64.checked_shl(u32::from(id)).unwrap_or(0);
        free
    }

    /// Keeps `vaddr..vaddr + size` free of other mappings.
    pub fn take_space(&mut self, vaddr: u64, size: u64) {
        self.space.take(vaddr, size);
    }

    /// The lowest free id of channels and interrupts.
    pub fn id(&mut self) -> Option<u8> {
        let id = (0..=u8::try_from(MAX_ID).ok()?).find(|id| self.ids & (1 << id) == 0)?;
        self.ids |= 1 << id;
        Some(id)
    }
}

/// The file name of `path` without its last extension.
fn stem(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    match file.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => file,
    }
}

/// A plan while it is put together.
pub struct Build<'a> {
    pub system: &'a System,
    pub board: Board,
    pub options: &'a Options,
    pub pds: BTreeMap<String, Part>,
    pub regions: BTreeMap<String, Region>,
    pub channels: Vec<Channel>,
    pub disks: Vec<Disk>,
    pub arrays: Vec<NewArray>,
    /// Bus addresses, equal to physical ones where there is no IOMMU.
    pub bus: Space,
    /// Those below 4 GiB, for devices that reach no further, where the others are above.
    pub low: Option<Space>,
    pub problems: Problems,
    /// The derived PDs' priorities.
    ladder: Ladder,
}

impl<'a> Build<'a> {
    pub fn new(system: &'a System, board: Board, options: &'a Options) -> Self {
        // The aarch64 board's RAM, above where the image is loaded; RAM of the x86-64 board (2 GiB), clear of what
        // the kernel takes at both ends; the host's window of pluggable memory.
        let mut bus = match board {
            Board::QemuVirtAarch64 => Space::new(0x9000_0000, 0xbfe0_0000, 0),
            Board::X86_64Generic => Space::new(0x1000_0000, 0x7e00_0000, 0),
            Board::Host => Space::new(0x1_0000_0000, 0x3_0000_0000, 0),
        };
        // The host's machines have RAM up to 2 GiB where they need it, and ROM in the first MiB.
        let low = (board == Board::Host).then(|| Space::new(0x100_0000, 0x8000_0000, 0));
        for region in system.regions.values() {
            if let Some(phys) = region.phys {
                bus.take(phys, region.size.unwrap_or(region.page));
            }
        }
        Self {
            system,
            board,
            options,
            pds: BTreeMap::new(),
            regions: BTreeMap::new(),
            channels: Vec::new(),
            disks: Vec::new(),
            arrays: Vec::new(),
            bus,
            low,
            problems: Problems::default(),
            ladder: Ladder::default(),
        }
    }

    /// Finds priorities for the derived PDs.
    pub fn priorities(&mut self) {
        match Ladder::over(self.system) {
            Some(ladder) => self.ladder = ladder,
            None => {
                let what = "there are no priorities left above the clients' for the gatekeeper and the drivers";
                self.problems.add(self.system.at, what, "give the clients lower priorities: at most 240 in all");
            }
        }
    }

    /// Whether devices are behind an IOMMU.
    pub fn iommu(&self) -> bool {
        self.options.iommu && self.board == Board::X86_64Generic
    }

    /// The user's own PDs, regions and channels.
    pub fn own_parts(&mut self) {
        for (name, region) in &self.system.regions {
            let region = Region {
                name: name.clone(),
                kind: RegionKind::Plain,
                size: region.size.unwrap_or(region.page),
                page: region.page,
                phys: region.phys,
                bus: None,
                dma_by: Vec::new(),
            };
            self.regions.insert(name.clone(), region);
        }
        for (name, user) in &self.system.pds {
            let part = self.own_part(name, user);
            self.pds.insert(name.clone(), part);
        }
        for channel in &self.system.channels {
            let [a, b] = &channel.ends;
            let calls = if a.calls {
                Some('a')
            } else if b.calls {
                Some('b')
            } else {
                None
            };
            self.channels.push(Channel { a: (a.pd.clone(), a.id), b: (b.pd.clone(), b.id), calls });
        }
    }

    fn own_part(&self, name: &str, user: &UserPd) -> Part {
        let mut part = Part::new(name, &user.image, user.priority, false, user.at);
        part.pd.budget = user.budget;
        part.pd.stack = user.stack;
        part.sddf = user.sddf;
        part.ids = user.ids.keys().filter(|id| **id < 64).fold(0, |ids, id| ids | 1 << id);
        for map in &user.maps {
            let known = self.system.regions.get(&map.region).and_then(|region| region.size);
            part.space.take(map.vaddr, known.unwrap_or(UNKNOWN_SIZE));
            let (region, vaddr) = (map.region.clone(), map.vaddr);
            part.pd.maps.push(Map { region, vaddr, write: map.write, cached: map.cached });
        }
        part
    }

    /// Adds a derived PD.
    pub fn derived(&mut self, name: &str, program: &str, priority: u8, at: Position) {
        let priority = self.ladder.of(priority);
        let part = Part::new(name, &format!("{program}.elf"), priority, true, at);
        self.pds.insert(name.to_owned(), part);
    }

    /// Adds a problem of the PD `pd`.
    pub fn problem(&mut self, pd: &str, what: String, remedy: &str) {
        let at = self.pds.get(pd).map_or(self.system.at, |part| part.at);
        self.problems.add(at, what, remedy);
    }

    /// Adds a region that nothing maps yet.
    pub fn region(&mut self, region: Region) {
        if let Some(own) = self.system.regions.get(&region.name) {
            let what = format!("the memory region {:?} has the name of one that orion derives", region.name);
            self.problems.add(own.at, what, "choose another name");
        }
        self.regions.insert(region.name.clone(), region);
    }

    /// Maps `region` into `pd`; the address, or 0 after a problem.
    pub fn map(&mut self, pd: &str, region: &str, write: bool) -> u64 {
        let Some(info) = self.regions.get(region) else { return 0 };
        let (size, page, cached) = (info.size, info.page, info.kind != RegionKind::Device);
        let Some(part) = self.pds.get_mut(pd) else { return 0 };
        let Some(vaddr) = part.space.allocate(size, page) else {
            let what = format!("{pd:?} has no room for {size:#x} bytes of {region:?} below {:#x}", DERIVED.end);
            self.problem(pd, what, "make data regions smaller, or give it fewer");
            return 0;
        };
        part.pd.maps.push(Map { region: region.to_owned(), vaddr, write, cached });
        vaddr
    }

    /// A new id of `pd`; [`NONE`] after a problem.
    pub fn id(&mut self, pd: &str) -> u16 {
        if let Some(id) = self.pds.get_mut(pd).and_then(Part::id) {
            return u16::from(id);
        }
        let what = format!("{pd:?} needs more than {} channels and interrupts", MAX_ID + 1);
        self.problem(pd, what, "give it fewer channels; of clients and disks together there can be about 58");
        NONE
    }

    /// A new channel between `a` and `b`: the id at each end.
    pub fn channel(&mut self, a: &str, b: &str) -> (u16, u16) {
        let ids = (self.id(a), self.id(b));
        if let (Ok(id_a), Ok(id_b)) = (u8::try_from(ids.0), u8::try_from(ids.1)) {
            self.channels.push(Channel { a: (a.to_owned(), id_a), b: (b.to_owned(), id_b), calls: None });
        }
        ids
    }

    /// Joins `client` to `server` by a ring with `capacity` entries a queue. `data` are the indices, in the server's
    /// and the client's tables, of the data region that offsets count in.
    pub fn connect(&mut self, client: &str, server: &str, capacity: u16, data: (u16, u16), volume: &str) {
        self.connect_as(&format!("{client}_{server}"), (client, server), capacity, data, volume);
    }

    /// As [`connect`](Self::connect), for two PDs that may have several rings: `label` tells this one from the others.
    pub fn connect_as(
        &mut self,
        label: &str,
        (client, server): (&str, &str),
        capacity: u16,
        data: (u16, u16),
        volume: &str,
    ) {
        let name = |part: &str| format!("link_{label}_{part}");
        // A plain sDDF component has no page of its own.
        let plain = [client, server].iter().any(|pd| self.pds.get(*pd).is_some_and(|part| part.sddf.is_some()));
        let queue_bytes = (u64::from(capacity) * 128).next_multiple_of(PAGE);
        let parts = [
            (name("info"), RegionKind::Page, PAGE, (true, false)),
            (name("ext"), RegionKind::Page, PAGE, (false, true)),
            (name("requests"), RegionKind::Queue, queue_bytes, (true, true)),
            (name("responses"), RegionKind::Queue, queue_bytes, (true, true)),
        ];
        let mut at = [[0; 4]; 2];
        let [server_at, client_at] = &mut at;
        for (((region, kind, size, (server_writes, client_writes)), s), c) in
            parts.into_iter().zip(server_at).zip(client_at)
        {
            if plain && region == name("ext") {
                continue;
            }
            self.region(memory(&region, kind, size));
            *s = self.map(server, &region, server_writes);
            *c = self.map(client, &region, client_writes);
        }
        let (server_id, client_id) = self.channel(server, client);
        let ends = [(server, client, 1, server_id, data.0), (client, server, 0, client_id, data.1)];
        for ((pd, peer, role, channel, data), [info, ext, requests, responses]) in ends.into_iter().zip(at) {
            let link = Link {
                role: u16::into(role),
                channel: channel.into(),
                capacity: capacity.into(),
                data: data.into(),
                flags: u32::from(plain).into(),
                depth: 0.into(),
                grace_us: 0.into(),
                pad: 0.into(),
                info: info.into(),
                ext: ext.into(),
                requests: requests.into(),
                responses: responses.into(),
                queue_bytes: queue_bytes.into(),
                peer: Name::new(peer),
                volume: Name::new(volume),
            };
            if let Some(part) = self.pds.get_mut(pd) {
                part.blob.links.push(link);
            }
        }
    }

    /// The plan, where nothing was wrong.
    pub fn finish(mut self) -> Result<Plan, Vec<Problem>> {
        let mut pds = Vec::new();
        for (_, mut part) in std::mem::take(&mut self.pds) {
            if part.ours {
                part.pd.config = part.blob.bytes();
            } else if part.sddf.is_some() {
                part.pd.wiring = part.blob.bytes();
                part.pd.sections = sddf::sections(&part.blob, &part.resources);
            }
            part.pd.maps.sort_by_key(|map| map.vaddr);
            pds.push(part.pd);
        }
        self.channels.sort_by(|x, y| (&x.a, &x.b).cmp(&(&y.a, &y.b)));
        self.disks.sort_by(|x, y| x.name.cmp(&y.name));
        let plan = Plan {
            board: self.board,
            iommu: self.iommu(),
            pds,
            regions: self.regions.into_values().collect(),
            channels: self.channels,
            disks: self.disks,
            arrays: self.arrays,
            own: self.system.own.clone(),
        };
        self.problems.unless_any(plan)
    }
}

/// A region of ordinary memory.
pub fn memory(name: &str, kind: RegionKind, size: u64) -> Region {
    Region { name: name.to_owned(), kind, size, page: PAGE, phys: None, bus: None, dma_by: Vec::new() }
}
