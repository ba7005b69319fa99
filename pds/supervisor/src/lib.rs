// SPDX-License-Identifier: MIT
//! The supervisor: parent of the PDs of the storage stack. What comes to its end is restarted, what does not answer too,
//! and what comes to its end again and again is given up, so that those who need it hear of it.
//!
//! It maps no data and holds no right: all it can do is stop and restart its children.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "numbers in tests are small"))]
#[cfg(test)]
extern crate std;

mod policy;
#[cfg(test)]
mod tests;

pub use policy::{Action, REMEMBERED, Terms, Verdict, Watched};

use core::sync::atomic::Ordering;
use heapless::Vec;
use orion_metrics::Counter;
use orion_pd::supervision::{BEAT, CHILDREN_MAX, Life, PULSE, State, life_offset};
use orion_pd::{Cause, Channel, ChannelSet, Fault, InitError, Instant, ProtectionDomain, Reporter, World};
use orion_region::Window;

const UNMAPPED: InitError =
    InitError("a page of the supervisor's is not mapped: build the image and its configuration together");

/// A PD that is watched over.
#[derive(Debug)]
struct Child {
    name: &'static str,
    channel: Channel,
    page: Window,
    watched: Watched,
}

impl Child {
    fn pulse(&self) -> u32 {
        self.page.load(PULSE, Ordering::Acquire)
    }
}

/// The supervisor.
#[derive(Debug)]
pub struct Supervisor {
    children: Vec<Child, CHILDREN_MAX>,
    lives: Window,
    terms: Terms,
    reporter: Reporter,
    faults: u64,
    restarts: u64,
}

impl<W: World> ProtectionDomain<W> for Supervisor {
    fn init(world: &mut W) -> Result<Self, InitError> {
        let (config, now) = (world.config(), world.now());
        let terms = Terms::of(&config);
        let lives = config.setting("lives_vaddr").and_then(|vaddr| world.window(vaddr)).ok_or(UNMAPPED)?;
        let mut children = Vec::new();
        for record in config.children {
            let number = u8::try_from(record.channel.get()).ok().filter(|n| *n < 62);
            let child = Child {
                name: record.pd.as_str(),
                channel: Channel(number.ok_or(UNMAPPED)?),
                page: world.window(record.pulse.get()).ok_or(UNMAPPED)?,
                watched: Watched::new(now, &terms),
            };
            children.push(child).map_err(|_| InitError("more than 62 children: build the configuration again"))?;
        }
        Ok(Self { children, lives, terms, reporter: Reporter::new(world)?, faults: 0, restarts: 0 })
    }

    fn notified(&mut self, from: ChannelSet, world: &mut W) -> Option<Instant> {
        self.beat();
        while let Some(fault) = world.take_fault() {
            self.ended(fault, world);
        }
        for number in 0..self.children.len() {
            self.look(number, world);
        }
        if self.reporter.asked(from) && self.reporter.answer(from) {
            self.show(world);
        }
        // It shows that it lives though there is nothing else to do.
        let beat = world.now().after(self.terms.ping);
        self.children.iter().filter_map(|child| child.watched.due()).chain([beat]).min()
    }
}

impl Supervisor {
    /// What became of the child of this number.
    pub fn life(&self, child: u8) -> Option<Life> {
        let watched = &self.children.get(usize::from(child))?.watched;
        Some(Life { state: watched.state(), restarts: watched.restarts() })
    }

    /// Shows that it lives itself.
    fn beat(&mut self) {
        let beat = self.lives.load(BEAT, Ordering::Relaxed);
        self.lives.store(BEAT, beat.wrapping_add(1), Ordering::Release);
    }

    fn ended<W: World>(&mut self, fault: Fault, world: &mut W) {
        let Some(child) = self.children.get_mut(usize::from(fault.child)) else { return };
        let Some(verdict) = child.watched.faulted(world.now(), &self.terms) else { return };
        self.judged(fault, verdict, world);
    }

    /// Tells what becomes of a child that came to its end.
    fn judged<W: World>(&mut self, Fault { child: id, cause }: Fault, verdict: Verdict, world: &mut W) {
        let number = usize::from(id);
        let name = self.children.get(number).map_or("?", |child| child.name);
        self.faults += 1;
        match verdict {
            Verdict::GivenUp => world.print(format_args!(
                "{name} {cause}; it was restarted {} times in {} s and is given up: what needs it is offline",
                self.terms.restarts,
                self.terms.period / 1_000_000_000
            )),
            _ => world.print(format_args!("{name} {cause}; it is {verdict}")),
        }
        self.tell(number, world);
        if verdict == Verdict::GivenUp {
            world.stop(id);
        }
    }

    /// Does all that is to be done about a child now.
    fn look<W: World>(&mut self, number: usize, world: &mut W) {
        loop {
            let Some(child) = self.children.get_mut(number) else { return };
            let Ok(id) = u8::try_from(number) else { return };
            match child.watched.look(world.now(), child.pulse(), &self.terms) {
                None => return,
                Some(Action::Ping) => world.notify(child.channel),
                Some(Action::Hung) => {
                    world.stop(id);
                    self.ended(Fault { child: id, cause: Cause::Hung }, world);
                }
                Some(Action::Restart) => self.restart(id, world),
            }
        }
    }

    fn restart<W: World>(&mut self, id: u8, world: &mut W) {
        let number = usize::from(id);
        let Some(child) = self.children.get_mut(number) else { return };
        if !world.restart(id) {
            let Some(verdict) = child.watched.failed(world.now(), &self.terms) else { return };
            return self.judged(Fault { child: id, cause: Cause::Start }, verdict, world);
        }
        child.watched.restarted(world.now(), child.pulse());
        self.restarts += 1;
        self.tell(number, world);
    }

    /// Shows what became of a child; when it was given up, to everybody at once.
    fn tell<W: World>(&mut self, number: usize, world: &mut W) {
        let (Some(child), Ok(id)) = (self.children.get(number), u8::try_from(number)) else { return };
        let life = Life { state: child.watched.state(), restarts: child.watched.restarts() };
        self.lives.store(life_offset(id), life.word(), Ordering::Release);
        if life.state == State::GivenUp {
            self.children.iter().for_each(|child| world.notify(child.channel));
        }
    }

    fn show<W: World>(&mut self, world: &mut W) {
        self.reporter.figures.set(Counter::Faults, self.faults);
        self.reporter.figures.set(Counter::Restarts, self.restarts);
        self.reporter.publish(world, []);
    }
}
