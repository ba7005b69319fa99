// SPDX-License-Identifier: MIT
//! The protection domain: console rings in, a UART out.
use crate::line::Line;
use crate::plain::Plain;
use crate::{Pl011, Uart, Wire};
use embedded_io::Write;
use orion_pd::config::Console as Record;
use orion_pd::{Channel, ChannelSet, Config, InitError, Instant, ProtectionDomain, World};
use orion_ring::bytes::Reader;

/// Most PDs that print: each takes one of the 62 channels.
pub const MOST_CONSOLES: usize = 62;
/// Bytes taken from one PD before the next one's turn.
const TURN: usize = 64;
/// Turns of each PD in one call: a PD that prints for ever does not keep this one from returning.
const MOST_TURNS: usize = 64;

/// Where the bytes of a PD come from.
pub trait Source {
    /// Takes bytes that were printed; how many.
    fn read(&mut self, to: &mut [u8]) -> usize;
    /// Bytes that were printed and had no room, modulo 2^32.
    fn dropped(&self) -> u32;
    /// Whether the PD is to be notified that there is room again.
    fn wants_signal(&mut self) -> bool {
        false
    }
}

/// The ring of one PD.
#[derive(Debug)]
pub enum Ring {
    /// Of one of ours.
    Ours(Reader),
    /// Of a plain sDDF client.
    Plain(Plain),
}

impl Source for Ring {
    fn read(&mut self, to: &mut [u8]) -> usize {
        match self {
            Self::Ours(ring) => ring.read(to),
            Self::Plain(ring) => ring.read(to),
        }
    }
    fn dropped(&self) -> u32 {
        match self {
            Self::Ours(ring) => ring.dropped(),
            // sDDF's clients count nothing.
            Self::Plain(_) => 0,
        }
    }
    fn wants_signal(&mut self) -> bool {
        match self {
            Self::Ours(_) => false,
            Self::Plain(ring) => ring.wants_signal(),
        }
    }
}

/// What one PD prints.
#[derive(Debug)]
pub struct Console<S> {
    name: &'static str,
    source: S,
    line: Line,
    /// Lost bytes that were reported.
    dropped: u32,
}

impl<S: Source> Console<S> {
    /// The console of the PD `name`.
    pub fn new(name: &'static str, source: S) -> Self {
        Self { name, source, line: Line::default(), dropped: 0 }
    }

    #[cfg(test)]
    pub(crate) fn source(&mut self) -> &mut S {
        &mut self.source
    }

    /// Prints up to [`TURN`] bytes; whether there may be more.
    fn turn<U: Uart>(&mut self, wire: &mut Wire<U>) -> bool {
        let mut bytes = [0; TURN];
        let count = self.source.read(&mut bytes).min(TURN);
        // A UART that is stuck must not stop the system: what it does not take is lost.
        let _ = self.line.add(bytes.get(..count).unwrap_or_default(), self.name, wire);
        let dropped = self.source.dropped();
        if count == 0 && dropped != self.dropped {
            let lost = dropped.wrapping_sub(self.dropped);
            let _ = writeln!(wire, "{}: ({lost} bytes of its output were lost)", self.name);
            self.dropped = dropped;
        }
        count == TURN
    }
}

/// Prints what is there, in turns; whether more may be there.
pub fn drain<S: Source, U: Uart>(consoles: &mut [Console<S>], wire: &mut Wire<U>) -> bool {
    (0..MOST_TURNS).all(|_| consoles.iter_mut().filter_map(|c| c.turn(wire).then_some(())).count() > 0)
}

/// The console of the system.
#[derive(Debug)]
pub struct Serial<U> {
    wire: Wire<U>,
    consoles: heapless::Vec<Console<Ring>, MOST_CONSOLES>,
    /// Of each console, the channel of the PD that prints.
    channels: heapless::Vec<Channel, MOST_CONSOLES>,
}

impl<U: Uart> Serial<U> {
    /// The console of the configuration, on `uart`.
    ///
    /// # Errors
    /// [`InitError`] where a ring is not mapped.
    pub fn new<W: World>(world: &mut W, uart: U) -> Result<Self, InitError> {
        let Config { consoles: records, .. } = world.config();
        let (mut consoles, mut channels) = (heapless::Vec::new(), heapless::Vec::new());
        for record in records.iter().filter(|record| record.role.get() != 0) {
            let console = Console::new(record.pd.as_str(), ring(world, record)?);
            let channel = Channel(u8::try_from(record.channel.get()).unwrap_or(u8::MAX));
            let pushed = consoles.push(console).is_ok() && channels.push(channel).is_ok();
            if !pushed {
                return Err(InitError("more than 62 PDs print; a console has no channel for them"));
            }
        }
        Ok(Self { wire: Wire(uart), consoles, channels })
    }

    /// Prints what the PDs have written. Returns when it wants to be called again though nothing happened.
    pub fn serve<W: World>(&mut self, world: &mut W) -> Option<Instant> {
        let more = drain(&mut self.consoles, &mut self.wire);
        for (console, channel) in self.consoles.iter_mut().zip(&self.channels) {
            if console.source.wants_signal() {
                world.notify(*channel);
            }
        }
        more.then(|| world.now())
    }
}

fn ring<W: World>(world: &mut W, record: &Record) -> Result<Ring, InitError> {
    let unmapped = InitError("a console ring is not mapped; build the image and its configuration together");
    let window = world.window(record.vaddr.get()).ok_or(unmapped)?;
    let ring = match record.role.get() {
        1 => Reader::attach(window).map(Ring::Ours),
        _ => Plain::attach(window).map(Ring::Plain),
    };
    ring.map_err(|_| InitError("a console ring is too small; make the configuration again with orion"))
}

/// On a board with a pl011: the first device of the configuration.
impl<W: World> ProtectionDomain<W> for Serial<Pl011<W::Mmio>> {
    fn init(world: &mut W) -> Result<Self, InitError> {
        let none = InitError("the console has no UART; make the configuration again with orion");
        let device = world.config().devices.first().ok_or(none)?;
        let registers = world.mmio(device.config_vaddr.get()).ok_or(none)?;
        Self::new(world, Pl011::new(registers))
    }

    fn notified(&mut self, _: ChannelSet, world: &mut W) -> Option<Instant> {
        self.serve(world)
    }
}
