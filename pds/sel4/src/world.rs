// SPDX-License-Identifier: MIT
//! What seL4 gives to a PD.
use crate::children;
use crate::clock::{self, Clock};
use crate::console;
use crate::ranges::{Kind, Ranges};
use core::fmt;
use core::ptr::NonNull;
use orion_pd::config::{self, BadConfig, Header};
use orion_pd::{Channel, Config, Fault, Instant, Verdict, World};
use orion_region::{Volatile, Window};
use sel4_microkit::{DeferredAction, DeferredActionSlot};

/// Channels of a PD, interrupts included (Microkit 2.3.0).
const CHANNELS: u8 = 62;

/// The world of a Microkit protection domain.
pub struct Sel4World {
    config: Config<'static>,
    ranges: Ranges,
    clock: Clock,
    /// The last notification or acknowledgement: it goes with the system call that waits for the next event.
    deferred: DeferredActionSlot,
    /// The end of a child that the PD was not told yet. There is one at a time: it is told at once.
    fault: Option<Fault>,
}

impl Sel4World {
    /// The world as the configuration at [`config::VADDR`] describes it. To be called once in the life of a PD.
    ///
    /// # Errors
    /// [`BadConfig`] where what is mapped there is not a configuration of this version.
    pub(crate) fn new() -> Result<Self, BadConfig> {
        let config = Config::parse(blob()?)?;
        let mut ranges = Ranges::new(config);
        if let Some(record) = config.consoles.iter().find(|c| c.role.get() == 0)
            && let Some(ring) = window(&mut ranges, record.vaddr.get())
        {
            console::open(record, ring, config.setting("pulse_vaddr").is_some());
        }
        let clock = Clock::new(clock::hertz(boot_information(&config)));
        Ok(Self { config, ranges, clock, deferred: DeferredActionSlot::new(), fault: None })
    }

    /// What is left to do when the PD waits for its next event.
    pub(crate) fn take_deferred(&mut self) -> Option<DeferredAction> {
        self.deferred.take()
    }

    /// A child came to its end, for the PD to take.
    #[cold]
    pub(crate) fn ended(&mut self, fault: Fault) {
        // Else it waits for an answer until somebody else's message takes the place of its own, of which a debug kernel
        // complains.
        children::stop(fault.child);
        self.fault = Some(fault);
    }
}

impl World for Sel4World {
    type Mmio = Volatile;

    fn config(&self) -> Config<'static> {
        self.config
    }

    fn window(&mut self, vaddr: u64) -> Option<Window> {
        window(&mut self.ranges, vaddr)
    }

    #[expect(unsafe_code, reason = "hands out mapped registers")]
    fn mmio(&mut self, vaddr: u64) -> Option<Volatile> {
        let len = self.ranges.take(Kind::Registers, vaddr)?;
        // SAFETY: the system description maps `len` bytes of device memory at this page-aligned address for as long
        // as the PD lives, and `take` gives it to one user only.
        Some(unsafe { Volatile::new(pointer(vaddr)?, len) })
    }

    fn notify(&mut self, channel: Channel) {
        if channel.0 < CHANNELS {
            let action = DeferredAction::new_notify(sel4_channel(channel));
            let _only_acknowledgements_fail = self.deferred.defer(action);
        }
    }

    fn irq_ack(&mut self, channel: Channel) {
        if channel.0 < CHANNELS {
            let action = DeferredAction::new_irq_ack(sel4_channel(channel));
            let _fails_only_without_the_capability = self.deferred.defer(action);
        }
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn print(&mut self, line: fmt::Arguments<'_>) {
        console::print(line);
    }

    /// A PD has no end here: its last line says all.
    fn finish(&mut self, _verdict: Verdict) {}

    fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    /// Every program of ours begins anew at the same address.
    fn restart(&mut self, child: u8) -> bool {
        children::begin(child)
    }

    fn stop(&mut self, child: u8) {
        children::stop(child);
    }
}

fn sel4_channel(channel: Channel) -> sel4_microkit::Channel {
    sel4_microkit::Channel::new(usize::from(channel.0))
}

fn pointer(vaddr: u64) -> Option<NonNull<u8>> {
    NonNull::new(core::ptr::with_exposed_provenance_mut(usize::try_from(vaddr).ok()?))
}

#[expect(unsafe_code, reason = "hands out mapped memory")]
fn window(ranges: &mut Ranges, vaddr: u64) -> Option<Window> {
    let len = ranges.take(Kind::Memory, vaddr)?;
    // SAFETY: the system description maps `len` bytes at this page-aligned address for as long as the PD lives, with
    // the access that the configuration's record implies; `take` gives them to one user only; nothing else of this
    // program lies there.
    Some(unsafe { Window::new(pointer(vaddr)?, len) })
}

/// What the kernel said about the machine's counter, where the system description maps it (x86-64).
#[expect(unsafe_code, reason = "the kernel's boot information is mapped")]
fn boot_information(config: &Config<'static>) -> Option<&'static [u8]> {
    let base = pointer(config.setting("tsc_vaddr")?)?;
    // SAFETY: the system description maps a page there, read-only and never changed, for as long as the PD lives.
    Some(unsafe { core::slice::from_raw_parts(base.as_ptr(), 4096) })
}

/// The configuration blob.
#[expect(unsafe_code, reason = "the configuration is mapped at a fixed address")]
fn blob() -> Result<&'static [u8], BadConfig> {
    let unmapped = BadConfig { what: "no configuration at its address", at: 0 };
    let base = pointer(config::VADDR).ok_or(unmapped)?;
    // SAFETY: the system description maps at least a page there, read-only and never changed, for as long as the PD
    // lives; a header is less than a page and has no alignment or invalid values.
    let header = unsafe { base.cast::<Header>().as_ref() };
    let len = usize::try_from(header.len.get()).unwrap_or(usize::MAX).clamp(size_of::<Header>(), config::MAX_LEN);
    if header.magic != config::MAGIC {
        return Err(BadConfig { what: "not an Orion configuration", at: 0 });
    }
    // SAFETY: `orion` wrote the blob, of which the whole is mapped as said above.
    Ok(unsafe { core::slice::from_raw_parts(base.as_ptr(), len) })
}
