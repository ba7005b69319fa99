// SPDX-License-Identifier: MIT
//! A device: the controller of a driver's model with a simulated disk behind it, and how long things take there.
use crate::controller::{Controller, Registers};
use crate::disk::{Attached, SimDisk};
use crate::events::Event;
use crate::faults::Fault;
use crate::random::Random;
use orion_driver::model::Hardware;
use orion_pd::config::Device;
use orion_region::Window;
use orion_system::bus::Bus;
use std::cell::RefCell;
use std::rc::Rc;

/// Nanoseconds of a stall: from less than a driver waits to more than it has patience.
const STALL_NS: std::ops::Range<u64> = 500_000_000..6_000_000_000;

/// A device of a machine that has power.
#[derive(Debug)]
pub struct SimDevice {
    disk: Rc<RefCell<SimDisk>>,
    controller: Controller,
    model: Rc<RefCell<dyn Hardware>>,
    /// When each request that the model holds is done, in the model's order.
    due: Vec<u64>,
    /// Nanoseconds that a request takes at most; 0: none takes any time.
    usual_ns: u64,
    /// Nanoseconds that each request takes, one after the other, if it is such a device.
    serial_ns: u64,
    /// When such a device has done all that it was given.
    free_at: u64,
    /// Until then it does nothing.
    stalled: u64,
    resets: u64,
    random: Random,
}

impl SimDevice {
    /// A device of this kind that reaches `memory`: bus addresses and bytes. Its queues can be as `options` say, as its driver is
    /// told.
    pub fn new(
        bus: Bus,
        disk: &Rc<RefCell<SimDisk>>,
        memory: Vec<(u64, Window)>,
        options: u32,
        usual_ns: u64,
        mut random: Random,
    ) -> Self {
        let shape = disk.borrow().shape;
        let controller = Controller::new(bus, shape, Attached(disk.clone()), memory, options, &mut random);
        Self {
            disk: disk.clone(),
            model: controller.hardware(),
            controller,
            due: Vec::new(),
            usual_ns,
            serial_ns: 0,
            free_at: 0,
            stalled: 0,
            resets: 0,
            random,
        }
    }

    /// It is one of several ways to the disk of this name.
    pub fn is_way(&self, volume: &str) {
        if let Some(model) = self.controller.nvme() {
            let model = &mut *model.borrow_mut();
            let name = volume.as_bytes();
            model.shape.subsystem[..name.len()].copy_from_slice(name);
            (model.shape.controller.cmic, model.shape.controller.ana_seconds) = (8, 2);
            model.shape.controller.oaes = (1 << 8 | 1 << 11).into();
            for space in model.spaces.values_mut() {
                space.identify.nguid = [7; 16];
                space.identify.ana_group = 1.into();
            }
            model.access = [(1, 1)].into();
        }
    }

    /// Its controller, if it is one of NVMe.
    pub fn nvme(&self) -> Option<&orion_nvme::model::Shared> {
        self.controller.nvme()
    }

    /// The registers by which a life of its driver finds it, by where they are mapped.
    pub fn registers(&self, device: &Device) -> Vec<(u64, Registers)> {
        self.controller.registers(device)
    }

    /// When it has something to do; `None` while it has nothing.
    pub fn next(&self) -> Option<u64> {
        let model = self.model.borrow();
        // After a reset there is nothing to be done of what was there before.
        let due = self.due.iter().take(model.held()).min().copied();
        // Targets on a bus of their own begin to be busy when they please.
        let news = (model.is_notified() || model.held() > self.due.len()).then_some(0);
        due.into_iter().chain(news).min().map(|at| at.max(self.stalled)).filter(|at| *at != u64::MAX)
    }

    /// Does one thing.
    pub fn step(&mut self, now: u64) {
        let model = self.model.clone();
        let model = &mut *model.borrow_mut();
        // What was there before a reset is gone.
        self.due.truncate(model.held());
        self.count_resets(model.resets());
        if model.is_notified() {
            model.take();
            // Among what it was told may be to give up what it has.
            self.due.truncate(model.held());
        }
        while self.due.len() < model.held() {
            let due = if self.serial_ns > 0 { self.queued(now) } else { now + self.duration() };
            self.due.push(due);
        }
        self.misbehave(now, model);
        if now < self.stalled {
            return;
        }
        let ready: Vec<usize> = (0..self.due.len()).filter(|i| self.due[*i] <= now).collect();
        if ready.is_empty() {
            return;
        }
        let nth = ready[self.random.below(ready.len())];
        if nth > 0 {
            self.disk.borrow_mut().events.note(Event::OutOfOrder);
        }
        self.due.remove(nth);
        model.finish(nth);
    }

    /// From now on requests are done one after the other, each in so many nanoseconds.
    pub fn serve_in_turn(&mut self, ns: u64) {
        self.serial_ns = ns;
    }

    fn queued(&mut self, now: u64) -> u64 {
        self.free_at = self.free_at.max(now) + self.serial_ns;
        self.free_at
    }

    fn count_resets(&mut self, resets: u64) {
        while self.resets < resets {
            self.resets += 1;
            self.disk.borrow_mut().events.note(Event::DeviceReset);
        }
    }

    fn duration(&mut self) -> u64 {
        if self.usual_ns == 0 {
            return 0;
        }
        let usual = self.random.below(self.usual_ns as usize) as u64;
        let disk = &mut *self.disk.borrow_mut();
        if disk.shape.faults.has(Fault::Tails) && self.random.below(100) == 0 {
            disk.events.note(Event::Tail);
            return usual + self.usual_ns * 100;
        }
        usual
    }

    /// Stalls, or leaves.
    fn misbehave(&mut self, now: u64, model: &mut dyn Hardware) {
        let disk = &mut *self.disk.borrow_mut();
        if disk.shape.faults.has(Fault::Stalls) && self.random.below(3000) == 0 {
            disk.events.note(Event::Stall);
            self.stalled = now + STALL_NS.start + self.random.below((STALL_NS.end - STALL_NS.start) as usize) as u64;
        }
        if disk.shape.faults.has(Fault::Vanishing) && self.random.below(10_000) == 0 && self.stalled != u64::MAX {
            disk.events.note(Event::Vanished);
            self.stalled = u64::MAX;
            model.vanish();
        }
    }

    /// It leaves for good.
    pub fn vanish(&mut self) {
        if std::mem::replace(&mut self.stalled, u64::MAX) != u64::MAX {
            self.disk.borrow_mut().events.note(Event::Vanished);
            self.model.borrow_mut().vanish();
        }
    }

    /// Whether it has left.
    pub fn has_left(&self) -> bool {
        self.stalled == u64::MAX
    }

    /// Whether its driver was interrupted since this was last asked.
    pub fn take_interrupt(&self) -> bool {
        self.model.borrow_mut().take_interrupt()
    }

    /// Takes the power away: of the requests that it holds some are done, in part, and nobody is told.
    pub fn lose_power(&mut self) {
        let model = self.model.clone();
        let model = &mut *model.borrow_mut();
        while model.held() > 0 {
            let nth = self.random.below(model.held());
            // A device that its driver has given up reaches no memory.
            if self.random.below(2) == 0 && model.reaches_memory() {
                model.finish(nth);
            } else {
                model.forget(nth);
            }
            self.disk.borrow_mut().events.note(Event::CaughtInFlight);
        }
        self.count_resets(model.resets());
        self.disk.borrow_mut().lose_power();
    }
}
