// SPDX-License-Identifier: MIT
//! One function of a PCI device.
use crate::bars::Places;
use crate::{BarRegisters, Capabilities, Fault, Interrupt, Message, Part, Space, bars, cfg, command, interrupt};
use orion_region::Mmio;

/// Who a function says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its vendor.
    pub vendor: u16,
    /// The vendor's number for it.
    pub device: u16,
    /// Class, subclass and programming interface.
    pub class: [u8; 3],
    /// The subsystem's number, by which a card's maker tells it from others.
    pub subsystem: u16,
}

/// A function whose BARs are placed and whose interrupt is set up. It reaches no memory until [`set_dma`](Self::set_dma).
#[derive(Debug)]
pub struct Function<M> {
    config: M,
    window: M,
    places: Places,
    interrupt: Interrupt,
    identity: Identity,
}

impl<M: Mmio> Function<M> {
    /// The function with the configuration page `config`. Its memory BARs are placed in `bars`, a window at bus address
    /// `bars_bus`. It interrupts by `message`, or by its pin where there is none.
    ///
    /// # Errors
    /// Any [`Fault`] but [`Fault::NoBar`].
    pub fn new(config: M, bars: M, bars_bus: u64, message: Option<Message>) -> Result<Self, Fault> {
        Self::of(Space::Memory, config, bars, bars_bus, message)
    }

    /// As [`new`](Self::new), of a function whose registers are ports: `bars` are the ports from `bars_bus`.
    ///
    /// # Errors
    /// Any [`Fault`] but [`Fault::NoBar`].
    pub fn with_ports(config: M, bars: M, bars_bus: u64, message: Option<Message>) -> Result<Self, Fault> {
        Self::of(Space::Ports, config, bars, bars_bus, message)
    }

    fn of(space: Space, config: M, window: M, bus: u64, message: Option<Message>) -> Result<Self, Fault> {
        let identity = identify(&config)?;
        let no_intx = if message.is_some() { command::NO_INTX } else { 0 };
        let decode = if space == Space::Memory { command::MEMORY } else { command::PORTS };
        // Off with it: what a life before left running must not reach memory any more.
        config.write16(cfg::COMMAND, no_intx);
        let places = bars::place(&config, space, bus, window.len())?;
        config.write16(cfg::COMMAND, no_intx | decode);
        let interrupt = interrupt::set_up(&config, &window, &places, message)?;
        Ok(Self { config, window, places, interrupt, identity })
    }

    /// Who it says that it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// How it interrupts.
    pub fn interrupt(&self) -> Interrupt {
        self.interrupt
    }

    /// Whether it interrupts by messages, which need no acknowledgement at the device.
    pub fn messages(&self) -> bool {
        self.interrupt != Interrupt::Pin
    }

    /// Its capabilities.
    pub fn capabilities(&self) -> Capabilities<'_, M> {
        Capabilities::new(&self.config)
    }

    /// Its configuration page.
    pub fn config(&self) -> &M {
        &self.config
    }

    /// Where BAR `bar` lies in the window.
    pub fn place(&self, bar: usize) -> Option<Part> {
        self.places.get(bar).copied().flatten()
    }

    /// Lets it reach memory, or not.
    pub fn set_dma(&mut self, on: bool) {
        set_dma(&self.config, on);
    }

    /// Its configuration page and the window, for a driver that knows where in it its registers are.
    pub fn into_parts(self) -> (M, M) {
        (self.config, self.window)
    }

    /// The registers behind BAR `bar`, and with them the function.
    ///
    /// # Errors
    /// [`Fault::NoBar`] where it has none of that number in the space that it was opened for.
    pub fn registers(self, bar: usize) -> Result<BarRegisters<M>, Fault> {
        let part = self.place(bar).ok_or(Fault::NoBar)?;
        Ok(BarRegisters::new(self.config, self.window, part, self.interrupt))
    }
}

/// Lets the function reach memory, or not.
pub fn set_dma(config: &impl Mmio, on: bool) {
    let old = config.read16(cfg::COMMAND) & !command::MASTER;
    config.write16(cfg::COMMAND, old | if on { command::MASTER } else { 0 });
}

fn identify(config: &impl Mmio) -> Result<Identity, Fault> {
    if config.len() < cfg::LEN {
        return Err(Fault::Page);
    }
    let vendor = config.read16(cfg::VENDOR);
    // 6.1: no device has this, and nothing answers with it. Nor do zeroes name anybody.
    if vendor == u16::MAX || vendor == 0 {
        return Err(Fault::Absent);
    }
    if config.read8(cfg::HEADER_TYPE) & 0x7f != 0 {
        return Err(Fault::Kind);
    }
    Ok(Identity {
        vendor,
        device: config.read16(cfg::DEVICE),
        class: [cfg::CLASS, cfg::SUBCLASS, cfg::INTERFACE].map(|at| config.read8(at)),
        subsystem: config.read16(cfg::SUBSYSTEM),
    })
}
