// SPDX-License-Identifier: MIT
//! Runs a case: a system lives, loses power, lives again, and nothing that was promised is lost.
use crate::case::Case;
use crate::client::{Job, Part};
use crate::deaths::Deaths;
use crate::disk::{DiskShape, SimDisk};
use crate::events::{Event, Events};
use crate::faults::FaultSet;
use crate::machine::{Machine, Pace};
use crate::random::Random;
use crate::system::System;
use crate::world::Common;
use std::cell::RefCell;
use std::rc::Rc;

/// How many systems there are.
pub const SYSTEMS: usize = 14;
/// Steps after which a life is said to hang.
const STEPS_MAX: u64 = 4_000_000;

/// A system, and what its clients may do there.
#[derive(Debug)]
struct Setting {
    system: Rc<System>,
    /// Clients by name, and what they were granted.
    clients: Vec<(&'static str, Vec<Part>)>,
    disks: usize,
    shape: DiskShape,
    /// Whether all can write zeroes.
    zeroes: bool,
    /// What disks begin with.
    start: Vec<u8>,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    /// What happened.
    pub events: Events,
    /// Steps of PDs and devices.
    pub steps: u64,
    /// Virtual nanoseconds.
    pub ns: u64,
}

/// Runs a case to its end, or to what is wrong first.
///
/// # Errors
/// What is wrong.
pub fn run(case: &Case) -> Result<Ran, String> {
    let setting = setting(case.system);
    let mut random = Random::new(case.seed);
    let shape = DiskShape { faults: case.faults, ..setting.shape };
    let disks: Vec<_> = (0..setting.disks)
        .map(|_| Rc::new(RefCell::new(SimDisk::new(shape, &setting.start, random.number()))))
        .collect();
    let (mut common, mut ran) = (Common::default(), Ran::default());
    for life in 0..=case.losses + 1 {
        // The last life only reads what is there.
        let last = life > case.losses;
        let requests = if last { 0 } else { case.requests };
        common.jobs = setting.jobs(case, requests, random.number());
        let pace = Pace { step_ns: 200, device_ns: 20_000 };
        let mut machine = Machine::boot(&setting.system, &disks, common, pace, random.number());
        // As often as not in the first steps: while what was lost before is still being read.
        let loss = if life < case.losses { 1 + random.below(case.within) as u64 } else { STEPS_MAX };
        let deaths = Deaths::new(case.deaths, case.seed << 8 ^ u64::from(life));
        live(&mut machine, &disks, &setting, loss, deaths)?;
        ran.steps += machine.steps;
        common = machine.lose_power();
        common.journal.events.note(Event::PowerLoss);
    }
    disks.iter().for_each(|disk| ran.events.add(&disk.borrow().events));
    ran.events.add(&common.journal.events);
    ran.ns = common.now;
    Ok(ran)
}

/// Lets a machine live until all is done, or until it has made `loss` steps.
fn live(
    machine: &mut Machine,
    disks: &[Rc<RefCell<SimDisk>>],
    setting: &Setting,
    loss: u64,
    mut deaths: Deaths,
) -> Result<(), String> {
    while machine.steps < loss {
        let Some(moved) = step(machine, &mut deaths) else { return Ok(()) };
        let common = &mut *machine.common.borrow_mut();
        for (number, disk) in disks.iter().enumerate() {
            let damaged = disk.borrow_mut().take_damaged();
            damaged.into_iter().for_each(|block| common.journal.spoil(number, block as u64));
        }
        if let Some(what) = common.journal.violation.take() {
            return Err(format!("{what}\n{}", common.lines.join("\n")));
        }
        let waiting = setting.clients.iter().any(|(name, _)| !common.verdicts.contains_key(*name));
        // A driver that began again on a device that then left tells nobody: it would have to be given up.
        if !moved && deaths.happened() && common.lines.iter().any(|line| line.contains("the disk is offline")) {
            return Ok(());
        }
        if !moved && waiting {
            return Err(format!("everything is at rest, though clients wait for answers\n{}", common.lines.join("\n")));
        }
        if !moved || !waiting {
            return Ok(());
        }
    }
    if loss < STEPS_MAX { Ok(()) } else { Err(format!("no end after {STEPS_MAX} steps")) }
}

/// Lets something go on; whether anything did. `None`: a driver whose device has left can't begin again.
fn step(machine: &mut Machine, deaths: &mut Deaths) -> Option<bool> {
    deaths.step(machine, false)?;
    if !deaths.any() {
        return Some(machine.step());
    }
    // Nobody is dead for so long that the others lose patience.
    if machine.step_now().is_err() {
        deaths.step(machine, true)?;
    }
    Some(true)
}

impl Setting {
    fn jobs(&self, case: &Case, requests: u32, seed: u64) -> std::collections::BTreeMap<String, Job> {
        let jobs = self.clients.iter().enumerate().map(|(number, (name, parts))| {
            let job = Job {
                parts: parts.clone(),
                requests,
                depth: case.depth,
                strict: !case.faults.fails_requests(),
                through: !self.shape.cache,
                zeroes: self.zeroes,
                discards: true,
                seed: seed ^ (number as u64) << 32,
            };
            ((*name).to_string(), job)
        });
        jobs.collect()
    }
}

/// The systems, each planned once in each thread.
fn setting(number: usize) -> Rc<Setting> {
    thread_local! {
        static PLANNED: RefCell<Vec<Option<Rc<Setting>>>> = const { RefCell::new(Vec::new()) };
    }
    PLANNED.with_borrow_mut(|planned| {
        planned.resize(SYSTEMS, None);
        planned[number % SYSTEMS].get_or_insert_with(|| Rc::new(plan(number % SYSTEMS))).clone()
    })
}

/// A client of a system: its name, its program, its grants' attributes.
type Client = (&'static str, &'static str, &'static [&'static str]);
const ALL: &str = "rights=\"read write flush discard zero\"";

/// A disk's name, bus and queues: the second of a system has four packed rings, the third two split ones.
fn disk(number: usize) -> String {
    let queues = ["", " queues=\"4\" ring=\"packed\"", " queues=\"2\""][number % 3];
    format!("name=\"d{number}\" bus=\"virtio-blk\"{queues}")
}

fn xml(disks: usize, volumes: &str, clients: &[Client]) -> String {
    let mut xml = String::from("<system xmlns:orion=\"urn:orion-storage:1\">");
    for number in 0..disks {
        xml += &format!("<orion:disk {} timeout=\"1000ms\"/>", disk(number));
    }
    xml += volumes;
    for (name, program, grants) in clients {
        xml += &format!(
            "<protection_domain name=\"{name}\" priority=\"90\" orion:queue=\"16\" orion:data=\"128K\">
             <program_image path=\"{program}.elf\"/></protection_domain>"
        );
        for grant in *grants {
            xml += &format!("<orion:grant client=\"{name}\" {grant} {ALL}/>");
        }
    }
    xml + "</system>"
}

/// The same with its disks on these buses.
fn on(xml: &str, buses: &[&str]) -> String {
    let disks =
        buses.iter().enumerate().map(|(number, bus)| (disk(number), format!("name=\"d{number}\" bus=\"{bus}\"")));
    disks.fold(xml.to_owned(), |xml, (was, now)| xml.replace(&was, &now))
}

fn part(disk: usize, first: u64, blocks: u64) -> Part {
    Part { window: 0, disk, first, blocks }
}

fn plan(number: usize) -> Setting {
    const D0: &str = "<orion:volume name=\"v\"><orion:on disk=\"d0\"/></orion:volume>";
    let shape = DiskShape { block: 512, blocks: 512, cache: true, faults: FaultSet::default() };
    let setting = |xml: String, clients: Vec<(&'static str, Vec<Part>)>| Setting {
        system: Rc::new(System::new(&xml, &[])),
        clients,
        disks: 1,
        shape,
        zeroes: true,
        start: Vec::new(),
    };
    let one: &[Client] = &[("a", "client", &["volume=\"v\" blocks=\"1..9\""])];
    match number {
        1 => setting(
            xml(
                1,
                D0,
                &[
                    ("a", "client", &["volume=\"v\" blocks=\"0..8\""]),
                    ("b", "client", &["volume=\"v\" blocks=\"8..12\""]),
                ],
            ),
            vec![("a", vec![part(0, 0, 64)]), ("b", vec![part(0, 64, 32)])],
        ),
        2 => {
            let grants: &[&str] = &["volume=\"v\" blocks=\"2..6\" shared=\"yes\""];
            setting(
                xml(1, D0, &[("a", "client", grants), ("b", "client", grants)]),
                vec![("a", vec![part(0, 16, 32)]), ("b", vec![part(0, 16, 32)])],
            )
        }
        3 => {
            let mad: Client = ("mad", "garbage", &["volume=\"v\" blocks=\"9..12\""]);
            setting(xml(1, D0, &[one[0], mad]), vec![("a", vec![part(0, 8, 64)])])
        }
        4 | 5 => partitions(setting, if number == 4 { "no" } else { "yes" }),
        6 => {
            let grants: &[&str] =
                &["disk=\"d0\" blocks=\"0..4\" window=\"0\"", "disk=\"d1\" blocks=\"3..8\" window=\"1\""];
            let parts = vec![part(0, 0, 32), Part { window: 1, ..part(1, 24, 40) }];
            Setting { disks: 2, ..setting(xml(2, "", &[("a", "client", grants)]), vec![("a", parts)]) }
        }
        7 => Setting {
            shape: DiskShape { cache: false, ..shape },
            ..setting(xml(1, D0, one), vec![("a", vec![part(0, 8, 64)])])
        },
        8 => {
            let shape = DiskShape { block: 4096, blocks: 64, ..shape };
            Setting { shape, ..setting(xml(1, D0, one), vec![("a", vec![part(0, 1, 8)])]) }
        }
        9..=13 => {
            let buses =
                [["nvme"; 2], ["ahci"; 2], ["virtio-scsi"; 2], ["nvme", "ahci"], ["am53c974", "nvme"]][number - 9];
            let grants: &[&str] =
                &["disk=\"d0\" blocks=\"0..4\" window=\"0\"", "disk=\"d1\" blocks=\"3..8\" window=\"1\""];
            let clients: [Client; 2] = [("a", "client", grants), ("b", "client", &["disk=\"d0\" blocks=\"4..8\""])];
            let parts = vec![part(0, 0, 32), Part { window: 1, ..part(1, 24, 40) }];
            let clients_parts = vec![("a", parts), ("b", vec![part(0, 32, 32)])];
            // Among those of a disk without a cache.
            let shape = DiskShape { cache: number != 12, ..shape };
            // SATA has no command for it.
            let zeroes = !buses.contains(&"ahci");
            Setting { disks: 2, shape, zeroes, ..setting(on(&xml(2, "", &clients), &buses), clients_parts) }
        }
        _ => setting(xml(1, D0, one), vec![("a", vec![part(0, 8, 64)])]),
    }
}

/// Two partitions, in a PD of their own or in the driver's. None begins at a multiple of 4096 bytes.
fn partitions(setting: impl Fn(String, Vec<(&'static str, Vec<Part>)>) -> Setting, fuse: &str) -> Setting {
    let (mut start, mut volumes) = (vec![0; 512], String::new());
    for (index, (first, blocks)) in [(67u32, 66u32), (3, 64)].into_iter().enumerate() {
        let at = 446 + index * 16;
        start[at + 4] = 0x83;
        start[at + 8..at + 12].copy_from_slice(&first.to_le_bytes());
        start[at + 12..at + 16].copy_from_slice(&blocks.to_le_bytes());
        volumes += &format!(
            "<orion:volume name=\"v{index}\"><orion:partition number=\"{}\" fuse=\"{fuse}\"><orion:on disk=\"d0\"/>
             </orion:partition></orion:volume>",
            index + 1
        );
    }
    start[510..].copy_from_slice(&[0x55, 0xaa]);
    let clients: [Client; 2] =
        [("a", "client", &["volume=\"v0\" blocks=\"0..8\""]), ("b", "client", &["volume=\"v1\" blocks=\"1..8\""])];
    let parts = vec![("a", vec![part(0, 67, 64)]), ("b", vec![part(0, 11, 56)])];
    Setting { start, ..setting(xml(1, &volumes, &clients), parts) }
}
