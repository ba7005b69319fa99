// SPDX-License-Identifier: MIT
//! A machine whose clients are puppets: what a test says they ask, and what they were told.
use crate::machine::Machine;
use crate::puppet::{Habit, Strings, Told, Wish};
use orion_block::Status;
use orion_region::Window;

/// A bit of a PD's notifications that no channel has.
const PULLED: u64 = 1 << 63;

impl Machine {
    /// Does all that can be done at this instant; when there is more to do.
    pub fn rest(&mut self) -> Option<u64> {
        let before = self.steps;
        loop {
            if let Err(next) = self.step_now() {
                return next;
            }
            assert!(self.steps - before < 1_000_000, "the system never comes to rest");
        }
    }

    /// Lets `ns` nanoseconds go by.
    pub fn pass(&mut self, ns: u64) {
        let end = self.now() + ns;
        while let Some(next) = self.rest().filter(|at| *at <= end) {
            self.set_clock(next);
        }
        self.set_clock(end);
        self.rest();
    }

    /// From now on each step of a PD or device takes this long, one after the other: there is one processor.
    pub fn steps_take(&mut self, ns: u64) {
        self.pace.step_ns = ns;
    }

    /// Lets `ns` nanoseconds go by where steps take time, so that there may never be rest.
    pub fn work(&mut self, ns: u64) {
        let end = self.now() + ns;
        while self.now() < end && self.step() {}
    }

    /// The PD `name` dies, and begins anew on the memory that its earlier life left. What it had in hand is lost.
    pub fn renew(&mut self, name: &str) {
        let pd = self.pd(name).expect("a PD of the plan");
        self.kill(pd);
        self.restart(pd).expect("it starts");
        self.rest();
    }

    /// Sets the clock, and tells nobody.
    pub fn set_clock(&mut self, now: u64) {
        self.common.borrow_mut().now = now;
    }

    /// The time, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.common.borrow().now
    }

    /// Has disks take so many nanoseconds for each request, one after the other.
    pub fn slow_disks(&mut self, ns: u64) {
        self.devices.iter_mut().for_each(|device| device.serve_in_turn(ns));
    }

    /// The model of the NVMe controller that is the device of the disk `name`.
    ///
    /// # Panics
    /// Where there is none.
    pub fn nvme(&self, name: &str) -> orion_nvme::model::Shared {
        let at = self.system.plan.disks.iter().position(|disk| disk.name == name);
        at.and_then(|at| self.devices[at].nvme()).expect("an NVMe controller").clone()
    }

    /// A window on a region of the plan.
    pub fn window(&self, region: &str) -> Window {
        self.memory.window(region).expect("a region of the plan")
    }

    /// What was printed until now.
    pub fn lines(&self) -> Vec<String> {
        self.common.borrow().lines.clone()
    }

    /// Looks at a puppet's strings, or pulls them.
    pub fn strings<T>(&mut self, name: &str, f: impl FnOnce(&mut Strings) -> T) -> T {
        f(self.common.borrow_mut().puppets.entry(name.to_owned()).or_default())
    }

    fn pull(&mut self, name: &str) {
        let pd = self.pd(name).expect("a PD of the plan");
        self.common.borrow_mut().pending[pd] |= PULLED;
    }

    /// Has a puppet ask something: the number of the answer. Nothing runs yet.
    pub fn wish(&mut self, name: &str, wish: Wish) -> u32 {
        self.pull(name);
        self.strings(name, |strings| {
            strings.count += 1;
            strings.wishes.push_back((strings.count, wish));
            strings.count
        })
    }

    /// What the puppet was told, if it was.
    pub fn told(&mut self, name: &str, number: u32) -> Option<Told> {
        self.strings(name, |strings| strings.told.iter().rev().find(|(n, _)| *n == number).map(|(_, told)| *told))
    }

    /// Has a puppet ask something, and waits for the answer.
    pub fn ask(&mut self, name: &str, wish: Wish) -> Told {
        let number = self.wish(name, wish);
        for _ in 0..1000 {
            let next = self.rest();
            if let Some(told) = self.told(name, number) {
                return told;
            }
            self.set_clock(next.unwrap_or_else(|| panic!("{name} waits for ever for {wish:?}")));
        }
        panic!("{name} waits too long for {wish:?}");
    }

    /// What a puppet is to do all the time from now on.
    pub fn habit(&mut self, name: &str, habit: Habit) {
        self.pull(name);
        self.strings(name, |strings| strings.habit = habit);
    }

    /// When each habitual read of a puppet was answered; all of them well.
    pub fn reads(&mut self, name: &str) -> Vec<u64> {
        let reads = self.strings(name, |strings| strings.reads.clone());
        assert!(reads.iter().all(|(_, status): &(u64, Status)| status.is_ok()), "{name}");
        reads.into_iter().map(|(at, _)| at).collect()
    }
}
