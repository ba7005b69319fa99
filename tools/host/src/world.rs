// SPDX-License-Identifier: MIT
//! The world as a PD's process sees it: its windows, its device's registers, its peers, a clock and a console.
use crate::bell::{Bell, Rope};
use crate::call::{self, Page};
use crate::console::Printer;
use crate::parent::Parent;
use crate::pin::Pin;
use crate::qtest::{Device, Registers};
use crate::regions::Mapped;
use crate::sockets::Listener;
use crate::sys;
use orion_pd::{Channel, ChannelSet, Config, Fault, Instant, Message, ProtectionDomain, Verdict, World};
use orion_region::Window;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// Somebody calls.
const CALLS: u64 = 1 << call::BIT;

/// A register file that has not been taken.
#[derive(Clone, Copy, Debug)]
pub struct RegisterFile {
    /// The address by which the PD asks for it.
    pub vaddr: u64,
    /// Its address in the machine.
    pub phys: u64,
    /// Bytes.
    pub len: usize,
}

/// What a PD's process has.
#[derive(Debug)]
pub struct HostWorld {
    pub(crate) config: Config<'static>,
    /// Mappings that have not been taken.
    pub(crate) maps: Vec<Mapped>,
    pub(crate) files: Vec<RegisterFile>,
    pub(crate) device: Option<Rc<RefCell<Device>>>,
    pub(crate) pin: Option<Pin>,
    pub(crate) bell: Bell,
    pub(crate) ropes: Vec<(Channel, Rope)>,
    /// Whom it may call.
    pub(crate) callees: Vec<(Channel, Page, Rope)>,
    /// Who may call it.
    pub(crate) callers: Vec<(Channel, Page)>,
    pub(crate) printer: Printer,
    pub(crate) listener: Option<Listener>,
    pub(crate) parent: Option<Parent>,
    pub(crate) verdict: Option<Verdict>,
}

impl HostWorld {
    /// Sleeps until something is for the PD to do, and says which channels are pending.
    fn wait(&self, deadline: Option<Instant>) -> ChannelSet {
        let pending = self.bell.pending();
        if pending.0 != 0 {
            // Who is busy with others hears of the device too.
            return ChannelSet(pending.0 | self.pin.as_ref().map_or(0, |pin| pin.take().0));
        }
        // Nobody but the devices of few buses has a pin.
        if let Some(pin) = &self.pin {
            return self.wait_for_pin(pin, deadline);
        }
        let rung = self.bell.doze() && self.sleep(deadline);
        self.bell.wake(rung)
    }

    /// As [`wait`](Self::wait), where the device's interrupt is a level.
    #[cold]
    fn wait_for_pin(&self, pin: &Pin, deadline: Option<Instant>) -> ChannelSet {
        let interrupt = pin.take();
        if interrupt.0 != 0 {
            return interrupt;
        }
        let limit = deadline.map(|at| Duration::from_nanos(at.0.saturating_sub(sys::now())));
        let rung = self.bell.doze() && pin.sleep(self.bell.event(), limit);
        let (pending, interrupt) = (self.bell.wake(rung), pin.take());
        ChannelSet(pending.0 | interrupt.0)
    }

    /// Whether the bell's counter was rung.
    fn sleep(&self, deadline: Option<Instant>) -> bool {
        let limit = deadline.map(|at| Duration::from_nanos(at.0.saturating_sub(sys::now())));
        match &self.listener {
            None => self.bell.sleep(limit),
            Some(listener) => listener.sleep(self.bell.event(), limit),
        }
    }
}

impl World for HostWorld {
    type Mmio = Registers;

    fn config(&self) -> Config<'static> {
        self.config
    }

    fn window(&mut self, vaddr: u64) -> Option<Window> {
        let index = self.maps.iter().position(|map| map.vaddr() == vaddr)?;
        Some(self.maps.swap_remove(index).window())
    }

    fn mmio(&mut self, vaddr: u64) -> Option<Registers> {
        let index = self.files.iter().position(|file| file.vaddr == vaddr)?;
        let device = Rc::clone(self.device.as_ref()?);
        let file = self.files.swap_remove(index);
        Some(Registers::new(device, file.phys, file.len))
    }

    fn notify(&mut self, channel: Channel) {
        if let Some((_, rope)) = self.ropes.iter().find(|(c, _)| *c == channel) {
            rope.pull();
        }
    }

    fn call(&mut self, channel: Channel, message: Message) -> Message {
        let callee = self.callees.iter().find(|(own, ..)| *own == channel);
        callee.map_or(Message::REFUSED, |(_, page, rope)| page.call(message, || rope.pull()))
    }

    /// A message is not masked while it is served: nothing is to be done. A pin is, as by the kernel of seL4.
    fn irq_ack(&mut self, _: Channel) {
        self.pin.iter().for_each(Pin::unmask);
    }

    fn now(&self) -> Instant {
        Instant(sys::now())
    }

    fn print(&mut self, line: fmt::Arguments<'_>) {
        self.printer.print(line);
    }

    fn finish(&mut self, verdict: Verdict) {
        self.verdict = Some(verdict);
    }

    fn take_fault(&mut self) -> Option<Fault> {
        self.parent.as_mut()?.take_fault()
    }

    /// The launcher starts programs from their beginning: no entry is needed.
    fn restart(&mut self, child: u8) -> bool {
        self.parent.as_mut().is_some_and(|parent| parent.restart(child))
    }

    fn stop(&mut self, child: u8) {
        if let Some(parent) = &mut self.parent {
            parent.stop(child);
        }
    }
}

/// Runs a PD in `world` until it finishes.
///
/// # Errors
/// Why it cannot start.
pub fn serve<P: ProtectionDomain<HostWorld>>(world: &mut HostWorld) -> Result<Verdict, String> {
    let mut pd = P::init(world).map_err(|error| error.to_string())?;
    world.callers.iter().for_each(|(_, page)| page.open());
    let mut deadline = pd.notified(ChannelSet::ALL, world);
    let mut pending = ChannelSet::ALL;
    loop {
        if pending.0 & CALLS != 0 {
            answer(&mut pd, world);
        }
        if let Some(verdict) = world.verdict {
            return Ok(verdict);
        }
        pending = world.wait(deadline);
        // Who only calls has not notified.
        if pending.0 != CALLS {
            let told = if pending == ChannelSet::ALL { pending } else { ChannelSet(pending.0 & !CALLS) };
            deadline = pd.notified(told, world);
        }
    }
}

/// Answers every call that waits.
fn answer<P: ProtectionDomain<HostWorld>>(pd: &mut P, world: &mut HostWorld) {
    let callers = std::mem::take(&mut world.callers);
    for (channel, page) in &callers {
        page.serve(|message| pd.protected(*channel, message, world));
    }
    world.callers = callers;
}
