// SPDX-License-Identifier: MIT
//! The protection domain: console rings in, a UART out.
use crate::input::Input;
use crate::line::Line;
use crate::plain::Plain;
use crate::{Pl011, Uart, Wire};
use embedded_io::Write;
use orion_metrics::Counter;
use orion_pd::config::Console as Record;
use orion_pd::{Channel, ChannelSet, Config, InitError, Instant, ProtectionDomain, Reporter, World};
use orion_ring::bytes::{Reader, Writer};

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
    /// Bytes that were printed.
    printed: u64,
}

impl<S: Source> Console<S> {
    /// The console of the PD `name`.
    pub fn new(name: &'static str, source: S) -> Self {
        Self { name, source, line: Line::default(), dropped: 0, printed: 0 }
    }

    #[cfg(test)]
    pub(crate) fn source(&mut self) -> &mut S {
        &mut self.source
    }

    /// Prints up to [`TURN`] bytes; whether there may be more.
    fn turn<U: Uart>(&mut self, wire: &mut Wire<U>) -> bool {
        let mut bytes = [0; TURN];
        let count = self.source.read(&mut bytes).min(TURN);
        self.printed += u64::try_from(count).unwrap_or(0);
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

/// What is typed, and the channel of the manager that reads it.
type Typing = (Input<Writer>, Option<Channel>);

/// The console of the system.
#[derive(Debug)]
pub struct Serial<U> {
    wire: Wire<U>,
    consoles: heapless::Vec<Console<Ring>, MOST_CONSOLES>,
    /// Of each console, the channel of the PD that prints.
    channels: heapless::Vec<Channel, MOST_CONSOLES>,
    /// What is typed, and the manager that reads it.
    input: Option<Typing>,
    /// The UART's interrupt.
    irq: Option<Channel>,
    reporter: Reporter,
}

impl<U: Uart> Serial<U> {
    /// The console of the configuration, on `uart`.
    ///
    /// # Errors
    /// [`InitError`] where a ring is not mapped.
    pub fn new<W: World>(world: &mut W, uart: U) -> Result<Self, InitError> {
        let Config { consoles: records, .. } = world.config();
        let (mut consoles, mut channels) = (heapless::Vec::new(), heapless::Vec::new());
        for record in records.iter().filter(|record| matches!(record.role.get(), 1 | 2)) {
            let console = Console::new(record.pd.as_str(), ring(world, record)?);
            let channel = Channel(u8::try_from(record.channel.get()).unwrap_or(u8::MAX));
            let pushed = consoles.push(console).is_ok() && channels.push(channel).is_ok();
            if !pushed {
                return Err(InitError("more than 62 PDs print; a console has no channel for them"));
            }
        }
        let mut wire = Wire(uart);
        let input = input(world)?;
        if input.is_some() {
            wire.0.listen();
        }
        let irq = world.config().setting("irq").and_then(|id| u8::try_from(id).ok()).map(Channel);
        Ok(Self { wire, consoles, channels, input, irq, reporter: Reporter::new(world)? })
    }

    /// Prints what the PDs have written, and takes what was typed. Returns when it wants to be called again though nothing
    /// happened.
    pub fn serve<W: World>(&mut self, from: ChannelSet, world: &mut W) -> Option<Instant> {
        if self.reporter.asked(from) && self.reporter.answer(from) {
            self.figures(world);
        }
        let typed = self.irq.is_some_and(|irq| from.contains(irq));
        let only_typed = self.irq.is_some_and(|irq| from == ChannelSet::default().with(irq));
        let more = !only_typed && self.print(world);
        if typed {
            self.take(world);
        }
        more.then(|| world.now())
    }

    /// Prints what is there, around the line that is being typed; whether there may be more.
    fn print<W: World>(&mut self, world: &mut W) -> bool {
        let Self { wire, consoles, channels, input, .. } = self;
        input.iter().for_each(|(input, _)| input.hide(wire));
        let more = drain(consoles, wire);
        input.iter().for_each(|(input, _)| input.show(wire));
        for (console, channel) in consoles.iter_mut().zip(channels) {
            if console.source.wants_signal() {
                world.notify(*channel);
            }
        }
        more
    }

    fn take<W: World>(&mut self, world: &mut W) {
        if let Some((input, manager)) = &mut self.input
            && input.take(&mut self.wire)
            && let Some(manager) = manager
        {
            world.notify(*manager);
        }
        if let Some(irq) = self.irq {
            world.irq_ack(irq);
        }
    }

    fn figures<W: World>(&mut self, world: &mut W) {
        let (mut printed, mut dropped) = (0, 0);
        for console in &self.consoles {
            printed += console.printed;
            dropped += u64::from(console.source.dropped());
        }
        self.reporter.figures.set(Counter::Bytes, printed);
        self.reporter.figures.set(Counter::Dropped, dropped);
        self.reporter.publish(world, []);
    }
}

/// What is typed, where a manager reads it.
fn input<W: World>(world: &mut W) -> Result<Option<Typing>, InitError> {
    let unmapped = InitError("the ring of what is typed is not mapped; build the image and its configuration together");
    let Some(record) = world.config().consoles.iter().find(|record| record.role.get() == 4) else { return Ok(None) };
    let window = world.window(record.vaddr.get()).ok_or(unmapped)?;
    let manager = u8::try_from(record.channel.get()).ok().filter(|channel| *channel < 62).map(Channel);
    Ok(Some((Input::new(Writer::attach(window).map_err(|_| unmapped)?), manager)))
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

    fn notified(&mut self, from: ChannelSet, world: &mut W) -> Option<Instant> {
        self.serve(from, world)
    }
}
