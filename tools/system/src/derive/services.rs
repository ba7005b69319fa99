// SPDX-License-Identifier: MIT
//! The clock and the console of the seL4 boards; on the host a PD's own poll keeps deadlines and the launcher prints
//! what stands in each PD's console ring.
use super::build::{Build, PAGE, Part, memory};
use super::clients::setting;
use crate::check::{SERIAL_PRIORITY, TICK_PRIORITY};
use crate::element::Position;
use crate::model::UserRegion;
use crate::plan::{Board, Irq, IrqSource, RegionKind};
use crate::sddf;
use orion_pd::config::{Console, Device, NONE, Name, Wake};

/// The clock's name.
pub const TICK: &str = "tick";
pub const SERIAL: &str = "serial";
/// The clock's budget and period in microseconds: it runs once each period and sleeps by spending its budget.
const TICK_BUDGET: (u32, u32) = (100, 10_000);
/// The aarch64 board's UART.
const PL011: u64 = 0x0900_0000;
/// The interrupt of the aarch64 board's PL011 (GIC), and of the x86-64 board's COM1 (pin of the I/O APIC).
const UART_GIC: u32 = 33;
const UART_PIN: u32 = 4;
/// The I/O ports of COM1: first, count.
const COM1: (u16, u16) = (0x3f8, 8);

impl Build<'_> {
    /// `tick`, `serial`, and what every PD of ours needs of them.
    pub fn services(&mut self) {
        let ours: Vec<String> = self.pds.iter().filter(|(_, part)| part.ours).map(|(name, _)| name.clone()).collect();
        if self.board == Board::Host {
            return ours.iter().for_each(|pd| self.console_of_host(pd));
        }
        let start = self.system.at;
        self.derived(TICK, TICK, TICK_PRIORITY, start);
        if let Some(part) = self.pds.get_mut(TICK) {
            part.pd.budget = Some(TICK_BUDGET);
        }
        let console = self.base_console().is_none();
        if console {
            self.derived(SERIAL, SERIAL, SERIAL_PRIORITY, start);
            self.uart();
        }
        for pd in &ours {
            if console {
                self.console(pd);
            }
            self.wake(pd);
        }
        self.plain_consoles(console);
        if console {
            self.wake(SERIAL);
        }
        if self.board == Board::X86_64Generic {
            self.counter_frequency();
        }
    }

    /// The serial queues of plain sDDF clients; a problem where the base has the console.
    fn plain_consoles(&mut self, console: bool) {
        let plain = |(name, part): (&String, &Part)| Some((name.clone(), part.sddf.filter(|sddf| sddf.serial)?.at));
        for (pd, at) in self.pds.iter().filter_map(plain).collect::<Vec<_>>() {
            if console {
                self.plain_console(&pd);
            } else {
                let what = "the UART is the base's, so that Orion has no console to give";
                self.problems.add(at, what, "write orion:sddf=\"blk\", and let the base's console print");
            }
        }
    }

    /// Where the description that is built upon has the UART already.
    fn base_console(&self) -> Option<Position> {
        let covers = |start: u64, size: u64, at: u64| start <= at && at < start.saturating_add(size);
        let found = if self.board == Board::X86_64Generic {
            self.system.taken.ports.iter().find(|(first, count, _)| covers(*first, *count, COM1.0.into())).map(|p| p.2)
        } else {
            let uart = |r: &&UserRegion| r.phys.is_some_and(|phys| covers(phys, r.size.unwrap_or(r.page), PL011));
            self.system.regions.values().find(uart).map(|region| region.at)
        };
        found.filter(|at| at.base)
    }

    fn uart(&mut self) {
        if self.board == Board::X86_64Generic {
            let (first, count) = COM1;
            for (port, length, at) in &self.system.taken.ports {
                if *port < u64::from(first + count) && u64::from(first) < port + length {
                    self.problems.add(*at, "the I/O ports of COM1 belong to the console", "use other ports");
                }
            }
            if let Some(part) = self.pds.get_mut(SERIAL) {
                part.pd.ioports.push((0, first, count));
                part.blob.settings.push(setting("port", u64::from(first)));
                part.blob.settings.push(setting("ioport_id", 0));
            }
            return;
        }
        let vaddr = self.registers(SERIAL, "regs_uart", PL011, PAGE);
        let device = Device {
            transport: 0.into(),
            irq: NONE.into(),
            flags: 0.into(),
            config_vaddr: vaddr.into(),
            config_offset: 0.into(),
            bar_vaddr: 0.into(),
            bar_bus: 0.into(),
            bar_size: 0.into(),
            msi_address: 0.into(),
            msi_data: 0.into(),
            timeout_ms: 0.into(),
            dma_vaddr: 0.into(),
            dma_bus: 0.into(),
            dma_size: 0.into(),
            unit: u32::MAX.into(),
            options: 0.into(),
            name: Name::new("uart"),
        };
        if let Some(part) = self.pds.get_mut(SERIAL) {
            part.blob.devices.push(device);
        }
    }

    /// A ring from `pd` to the launcher, which is no PD and has no channel.
    fn console_of_host(&mut self, pd: &str) {
        let region = format!("console_{pd}");
        self.region(memory(&region, RegionKind::Console, PAGE));
        let vaddr = self.map(pd, &region, true);
        self.console_record(pd, pd, (0, NONE), vaddr);
    }

    /// The UART's interrupt: something was typed.
    pub fn uart_interrupt(&mut self) {
        let (source, taken, number) = if self.board == Board::X86_64Generic {
            let index = u64::try_from(self.disks.len()).unwrap_or(u64::MAX);
            let vector = self.free_vector(index);
            let pin = UART_PIN;
            (IrqSource::Pin { pin, vector, edge: false }, self.system.taken.pins.get(&u64::from(pin)), pin)
        } else {
            let number = UART_GIC;
            (IrqSource::Gic { number, edge: false }, self.system.taken.gic.get(&u64::from(number)), number)
        };
        if let Some(at) = taken {
            let what = format!("interrupt {number} belongs to the console, at which a manager's operators type");
            self.problems.add(*at, what, "use another interrupt, or remove <orion:manager>");
        }
        let id = self.id(SERIAL);
        if let Some(part) = self.pds.get_mut(SERIAL) {
            part.blob.settings.push(setting("irq", u64::from(id)));
            part.pd.irqs.extend(u8::try_from(id).ok().map(|id| Irq { id, source }));
        }
    }

    /// Enters the ring into which `printer` prints into `owner`'s table.
    pub fn console_record(&mut self, owner: &str, printer: &str, (role, channel): (u16, u16), vaddr: u64) {
        let size = self.regions.get(&format!("console_{printer}")).map_or(0, |region| region.size);
        let console = Console {
            role: role.into(),
            channel: channel.into(),
            pad: 0.into(),
            vaddr: vaddr.into(),
            size: size.into(),
            pd: Name::new(printer),
        };
        if let Some(part) = self.pds.get_mut(owner) {
            part.blob.consoles.push(console);
        }
    }

    /// A ring from `pd` to the console.
    fn console(&mut self, pd: &str) {
        let region = format!("console_{pd}");
        self.region(memory(&region, RegionKind::Console, PAGE));
        let (here, there) = (self.map(pd, &region, true), self.map(SERIAL, &region, true));
        let (channel, peer) = self.channel(pd, SERIAL);
        self.console_record(pd, pd, (0, channel), here);
        self.console_record(SERIAL, pd, (1, peer), there);
    }

    /// The serial queue of a plain sDDF client, which the console reads.
    fn plain_console(&mut self, pd: &str) {
        let region = format!("console_{pd}");
        self.region(memory(&region, RegionKind::Console, sddf::SERIAL_BYTES));
        let (here, there) = (self.map(pd, &region, true), self.map(SERIAL, &region, true));
        let (channel, peer) = self.channel(pd, SERIAL);
        self.console_record(pd, pd, (0, channel), here);
        self.console_record(SERIAL, pd, (2, peer), there);
    }

    /// A channel by which the clock wakes `pd`.
    fn wake(&mut self, pd: &str) {
        let (tick, channel) = self.channel(TICK, pd);
        for (owner, channel, peer) in [(TICK, tick, pd), (pd, channel, TICK)] {
            let wake = Wake { channel: channel.into(), pad: 0.into(), peer: Name::new(peer) };
            if let Some(part) = self.pds.get_mut(owner) {
                part.blob.wakes.push(wake);
            }
        }
    }

    /// The page in which the kernel says the frequency of the time stamp counter, and the setting that says where.
    fn counter_frequency(&mut self) {
        let name = "tsc_frequency";
        self.region(memory(name, RegionKind::BootInfo, PAGE));
        let ours: Vec<String> = self.pds.iter().filter(|(_, part)| part.ours).map(|(name, _)| name.clone()).collect();
        for pd in ours {
            let vaddr = self.map(&pd, name, false);
            if let Some(part) = self.pds.get_mut(&pd) {
                part.blob.settings.push(setting("tsc_vaddr", vaddr));
            }
        }
    }
}
