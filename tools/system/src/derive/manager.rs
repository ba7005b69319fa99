// SPDX-License-Identifier: MIT
//! The manager: its control connection to the gatekeeper, the pages of figures that it reads, what was typed.
use super::build::{Build, PAGE, memory};
use super::clients::{GATEKEEPER, setting};
use super::joined::joined_name;
use super::services::SERIAL;
use crate::check::MANAGER_PRIORITY;
use crate::model::{Joining, Target, Volume, WINDOWS};
use crate::plan::{Board, RegionKind};
use crate::policy::rights_text;
use orion_caps::Rights;
use orion_metrics::{ROW, ROWS_MAX};
use orion_pd::config::{self, Control, Grant, NONE, Name, Ring, Role, Watch};

/// The manager's name.
pub const MANAGER: &str = "manager";
/// The page on which the manager tells others to do something.
const ORDERS: &str = "orders";
/// The clock.
const TICK: &str = "tick";
/// Bytes of the gatekeeper's page of figures, with all that it holds.
const HOLDINGS: u64 = PAGE + (ROW * ROWS_MAX) as u64;
/// Bytes of what a driver found by what it was told: namespaces, zones.
const REPORT: u64 = PAGE;
/// Of a device's flags: an operator may have it do what destroys data.
const ADMIN: u32 = 4;
/// Bytes of what a disk says of itself: six texts, its state, five rows of attributes.
const HEALTH: u64 = (ROW * 12) as u64;
/// Disks of one driver of which that is shown.
const DISKS_SHOWN: u64 = 21;
/// Clients and volumes of a gatekeeper with a manager: it is one of them to the policy engine.
const CLIENTS: usize = orion_caps::CLIENTS_MAX - 1;

impl<'a> Build<'a> {
    /// The manager's PD, and its windows on every volume, each with its rights.
    pub fn manager(&mut self) {
        let Some(manager) = self.system.manager.clone() else { return };
        self.derived(MANAGER, MANAGER, MANAGER_PRIORITY, manager.at);
        let [commands, answers] = ["commands", "answers"].map(|part| format!("control_{MANAGER}_{part}"));
        for region in [&commands, &answers] {
            self.region(memory(region, RegionKind::Page, PAGE));
        }
        let (here, there) = self.channel(MANAGER, GATEKEEPER);
        let ends = [(MANAGER, here, &commands, &answers), (GATEKEEPER, there, &answers, &commands)];
        for (pd, channel, own, peer) in ends {
            let (own, peer) = (self.map(pd, own, true), self.map(pd, peer, false));
            let Some(part) = self.pds.get_mut(pd) else { continue };
            part.blob.controls.push(Control {
                link: NONE.into(),
                channel: channel.into(),
                pad: [0.into(); 2],
                own: own.into(),
                peer: peer.into(),
            });
            // The gatekeeper asks by it too: see `figures`.
            part.blob.settings.push(setting("manager_channel", u64::from(channel)));
        }
        if let Some(part) = self.pds.get_mut(MANAGER) {
            part.blob.settings.push(setting("rights", u64::from(manager.rights)));
        }
        self.manager_windows(manager.rights);
    }

    /// A window on each volume below the gatekeeper, of the volume's number.
    fn manager_windows(&mut self, rights: u16) {
        let Some(gatekeeper) = self.pds.get_mut(GATEKEEPER) else { return };
        let links = gatekeeper.blob.links.iter().enumerate();
        let (clients, volumes): (Vec<_>, Vec<_>) = links.partition(|(_, link)| link.role() == Role::Server);
        let (clients, volumes) = (clients.len(), volumes.into_iter().map(|(at, _)| at).collect::<Vec<_>>());
        for (window, volume) in (0..).zip(&volumes) {
            gatekeeper.blob.grants.push(Grant {
                client: NONE.into(),
                window: u16::into(window),
                volume: u16::try_from(*volume).unwrap_or(NONE).into(),
                rights: rights.into(),
                first: 0.into(),
                blocks: u64::MAX.into(),
                in_flight: 0.into(),
                line: self.system.manager.as_ref().map_or(0, |manager| manager.at.line).into(),
                iops: 0.into(),
                burst_ms: 0.into(),
                bandwidth: 0.into(),
                weight: 0.into(),
                pad: 0.into(),
            });
        }
        let at = self.system.manager.as_ref().map_or(self.system.at, |manager| manager.at);
        if volumes.len() > usize::from(WINDOWS) {
            let rights = rights_text(rights);
            let what = format!("the manager has {rights:?} on {} volumes, and {WINDOWS} windows", volumes.len());
            self.problems.add(at, what, "remove the manager, or have fewer disks and partitions");
        }
        if clients > CLIENTS {
            let what = format!("{clients} clients and a manager are more than the gatekeeper has room for");
            self.problems.add(at, what, format!("have at most {CLIENTS} clients"));
        }
    }

    /// A page of figures of every derived PD, which the manager reads, a channel by which it asks for them, and what it
    /// knows of the system.
    pub fn figures(&mut self) {
        if self.system.manager.is_none() {
            return;
        }
        let watched = self.pds.iter().filter(|(name, part)| part.pd.derived && *name != MANAGER);
        let watched: Vec<String> = watched.map(|(name, _)| name.clone()).collect();
        self.region(memory(ORDERS, RegionKind::Page, PAGE));
        let orders = self.map(MANAGER, ORDERS, true);
        if let Some(part) = self.pds.get_mut(MANAGER) {
            part.blob.settings.push(setting("orders_vaddr", orders));
        }
        for (slot, pd) in (0..).zip(&watched) {
            self.figures_of(pd);
            // The clock is never asked, and so never told.
            if pd != TICK {
                self.orders_to(pd, slot);
                self.disks_of(pd, slot);
                self.array_of(pd, slot);
            }
        }
        let rings = self.all_rings();
        if let Some(part) = self.pds.get_mut(MANAGER) {
            part.blob.rings = rings;
        }
        if self.board != Board::Host {
            self.typed();
        }
    }

    /// The PD reads what the manager tells it, in this slot.
    fn orders_to(&mut self, pd: &str, slot: u64) {
        let vaddr = self.map(pd, ORDERS, false);
        if let Some(part) = self.pds.get_mut(pd) {
            part.blob.settings.push(setting("orders_vaddr", vaddr));
            part.blob.settings.push(setting("orders_slot", slot));
        }
    }

    /// Where the manager finds each disk of the driver `pd`, whose slot is `slot`: that, the disk's place behind the driver, and the
    /// manager's window on a volume that lies on it. It has the same rights on all of them.
    fn disks_of(&mut self, pd: &str, slot: u64) {
        let admin = Rights::from_bits(self.system.manager.as_ref().map_or(0, |manager| manager.rights));
        let Some(part) = self.pds.get_mut(pd).filter(|_| pd != SERIAL && admin.contains(Rights::ADMIN)) else { return };
        part.blob.devices.iter_mut().for_each(|device| device.flags = (device.flags.get() | ADMIN).into());
        let names: Vec<String> = part.blob.devices.iter().map(|device| device.name.as_str().to_owned()).collect();
        for (unit, disk) in (0u64..).zip(&names) {
            let Some(window) = self.window_over(disk) else { continue };
            let place = slot | unit << 8 | window << 16;
            if let Some(part) = self.pds.get_mut(MANAGER) {
                part.blob.settings.push(setting(&format!("disk {disk}"), place));
            }
        }
    }

    /// The volume whose layer `pd` is, if that is an array.
    fn array_volume(&self, pd: &str) -> Option<&'a Volume> {
        let arrays = self.system.joined().filter(|(_, joined)| matches!(joined.kind, Joining::Raid(_)));
        arrays.into_iter().find(|(volume, joined)| joined_name(volume, joined) == pd).map(|(volume, _)| volume)
    }

    fn is_array(&self, pd: &str) -> bool {
        self.array_volume(pd).is_some()
    }

    /// The same of an array, whose layer is `pd`.
    fn array_of(&mut self, pd: &str, slot: u64) {
        let admin = Rights::from_bits(self.system.manager.as_ref().map_or(0, |manager| manager.rights));
        let Some(volume) = self.array_volume(pd).filter(|_| admin.contains(Rights::ADMIN)) else { return };
        if let Some(part) = self.pds.get_mut(pd) {
            part.blob.settings.push(setting("array_admin", 1));
        }
        let Some(window) = self.window_over(&volume.name) else { return };
        if let Some(part) = self.pds.get_mut(MANAGER) {
            part.blob.settings.push(setting(&format!("disk {}", volume.name), slot | window << 16));
        }
    }

    /// The manager's window on the first volume that lies on a disk, or on an array.
    fn window_over(&self, disk: &str) -> Option<u64> {
        let over = |name: &str| {
            let target = match self.system.disk(name) {
                Some(disk) => Target::Disk(name.to_owned(), disk.at),
                None => Target::Volume(name.to_owned(), self.system.at),
            };
            let way = self.system.source(&target).map_or_else(Vec::new, |source| self.system.way_down(source));
            way.iter().any(|below| below.name() == disk)
        };
        let links = self.pds.get(GATEKEEPER)?.blob.links.iter().filter(|link| link.role() == Role::Client);
        let at = links.map(|link| link.volume.as_str()).position(over)?;
        u64::try_from(at).ok()
    }

    fn figures_of(&mut self, pd: &str) {
        let region = format!("metrics_{pd}");
        let disks = self.pds.get(pd).map_or(0, |part| part.blob.devices.len());
        let size = match u64::try_from(disks).unwrap_or(0) {
            _ if pd == GATEKEEPER => HOLDINGS,
            0 if self.is_array(pd) => 2 * PAGE,
            // The console's one is a UART.
            0 => PAGE,
            _ if pd == SERIAL => PAGE,
            disks => PAGE + REPORT + (disks.min(DISKS_SHOWN) * HEALTH).next_multiple_of(PAGE),
        };
        self.region(memory(&region, RegionKind::Page, size));
        let (own, vaddr) = (self.map(pd, &region, true), self.map(MANAGER, &region, false));
        let channel = match pd {
            // It lives on the kernel's refills of its budget, and is never notified.
            TICK => NONE,
            GATEKEEPER => self.control_channel(),
            _ => {
                let (here, there) = self.channel(MANAGER, pd);
                if let Some(part) = self.pds.get_mut(pd) {
                    part.blob.settings.push(setting("manager_channel", u64::from(there)));
                }
                here
            }
        };
        let Some(part) = self.pds.get_mut(pd) else { return };
        part.blob.settings.push(setting("metrics_vaddr", own));
        part.blob.settings.push(setting("metrics_bytes", size));
        let watch = Watch {
            channel: channel.into(),
            priority: u16::from(part.pd.priority).into(),
            pad: 0.into(),
            vaddr: vaddr.into(),
            size: size.into(),
            pd: Name::new(pd),
            program: Name::new(&part.pd.program),
        };
        if let Some(part) = self.pds.get_mut(MANAGER) {
            part.blob.watches.push(watch);
        }
    }

    /// The manager's end of the channel that it has with the gatekeeper.
    fn control_channel(&self) -> u16 {
        let part = self.pds.get(MANAGER);
        part.and_then(|part| part.blob.controls.first()).map_or(NONE, |control| control.channel.get())
    }

    /// Every ring, those of the gatekeeper in its order.
    fn all_rings(&self) -> Vec<Ring> {
        let ring = |client: &str, server: &str, link: &config::Link| {
            let disk = link.volume.as_str();
            Ring {
                client: Name::new(client),
                server: Name::new(server),
                volume: Name::new(self.system.highest(disk)),
                disk: Name::new(disk),
                entries: u32::from(link.capacity.get()).into(),
                pad: 0.into(),
            }
        };
        let mut rings = Vec::new();
        let mut names: Vec<&String> = self.pds.keys().collect();
        names.sort_by_key(|name| *name != GATEKEEPER);
        for name in names {
            let Some(part) = self.pds.get(name) else { continue };
            for link in &part.blob.links {
                match link.role() {
                    Role::Server if name == GATEKEEPER => rings.push(ring(link.peer.as_str(), name, link)),
                    Role::Client if link.peer.as_str() != GATEKEEPER => {
                        rings.push(ring(name, link.peer.as_str(), link));
                    }
                    _ => {}
                }
            }
        }
        rings
    }

    /// The lines that people type at the console, on their way to the manager.
    fn typed(&mut self) {
        let region = "console_typed";
        self.region(memory(region, RegionKind::Console, PAGE));
        let (here, there) = (self.map(MANAGER, region, true), self.map(SERIAL, region, true));
        let channels = [MANAGER, SERIAL].map(|pd| {
            let consoles = self.pds.get(pd).map_or(&[][..], |part| &part.blob.consoles);
            let own = consoles.iter().find(|console| console.pd.as_str() == MANAGER);
            own.map_or(NONE, |console| console.channel.get())
        });
        let [own, serial] = channels;
        self.console_record(MANAGER, MANAGER, (3, own), here);
        self.console_record(SERIAL, MANAGER, (4, serial), there);
        self.uart_interrupt();
    }
}
