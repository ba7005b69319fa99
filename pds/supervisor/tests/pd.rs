// SPDX-License-Identifier: MIT
//! The PD in a world that only records, in virtual time.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;
use orion_pd::config::{self, Builder, Name, Setting};
use orion_pd::supervision::{BEAT, Life, PULSE, State, life_offset};
use orion_pd::{Cause, Channel, ChannelSet, Config, Fault, Instant, ProtectionDomain, Verdict, World};
use orion_region::{Volatile, Window};
use orion_supervisor::Supervisor;
use std::collections::VecDeque;

const MS: u64 = 1_000_000;

fn at(ms: u64) -> Instant {
    Instant(ms * MS)
}

/// A world with pages, virtual time, and faults to be told.
struct Recorder {
    config: Config<'static>,
    pages: Vec<(u64, Window)>,
    now: Instant,
    faults: VecDeque<Fault>,
    did: Vec<String>,
    can_restart: bool,
}

impl World for Recorder {
    type Mmio = Volatile;
    fn config(&self) -> Config<'static> {
        self.config
    }
    fn window(&mut self, vaddr: u64) -> Option<Window> {
        let at = self.pages.iter().position(|(page, _)| *page == vaddr)?;
        Some(self.pages.remove(at).1)
    }
    fn mmio(&mut self, _: u64) -> Option<Volatile> {
        None
    }
    fn notify(&mut self, channel: Channel) {
        self.did.push(format!("notify {}", channel.0));
    }
    fn irq_ack(&mut self, _: Channel) {}
    fn now(&self) -> Instant {
        self.now
    }
    fn print(&mut self, line: fmt::Arguments<'_>) {
        self.did.push(line.to_string());
    }
    fn finish(&mut self, _: Verdict) {}
    fn take_fault(&mut self) -> Option<Fault> {
        self.faults.pop_front()
    }
    fn restart(&mut self, child: u8) -> bool {
        self.did.push(format!("restart {child}"));
        self.can_restart
    }
    fn stop(&mut self, child: u8) {
        self.did.push(format!("stop {child}"));
    }
}

#[expect(unsafe_code, reason = "memory that stays for good")]
fn page() -> (Window, Window) {
    let bytes: &'static mut [u64; 512] = Box::leak(Box::new([0; 512]));
    let base = NonNull::from(bytes).cast::<u8>();
    // SAFETY: 4096 bytes that are never freed, aligned to 8, and named by nobody else but through these windows.
    unsafe { (Window::new(base, 4096), Window::new(base, 4096)) }
}

struct Stage {
    world: Recorder,
    supervisor: Supervisor,
    lives: Window,
    children: Vec<Window>,
}

fn stage(children: &[&str]) -> Stage {
    let setting = |key: &str, value: u64| Setting { key: Name::new(key), value: value.into() };
    let limits = [("ping_ms", 100), ("pings", 2), ("restarts", 2), ("backoff_ms", 10)];
    let mut settings: Vec<Setting> = limits.iter().map(|(key, value)| setting(key, *value)).collect();
    settings.push(setting("lives_vaddr", 0x1000));
    let record = |number: u16, name: &str| config::Child {
        number: number.into(),
        channel: (10 + number).into(),
        pad: 0.into(),
        pulse: (0x2000 + u64::from(number) * 0x1000).into(),
        pd: Name::new(name),
    };
    let records = (0..).zip(children).map(|(number, name)| record(number, name)).collect();
    let blob = Builder { settings, children: records, ..Builder::default() }.bytes();
    let config = Config::parse(Box::leak(blob.into_boxed_slice())).unwrap();
    let (mut pages, mut theirs) = (Vec::new(), Vec::new());
    let (ours, lives) = page();
    pages.push((0x1000, ours));
    for number in 0..children.len() as u64 {
        let (ours, other) = page();
        pages.push((0x2000 + number * 0x1000, ours));
        theirs.push(other);
    }
    let mut world = Recorder { config, pages, now: at(0), faults: VecDeque::new(), did: Vec::new(), can_restart: true };
    let supervisor = <Supervisor as ProtectionDomain<Recorder>>::init(&mut world).unwrap();
    Stage { world, supervisor, lives, children: theirs }
}

impl Stage {
    /// What it does when it is called at `ms`, and when it wants to be called again.
    fn call(&mut self, ms: u64) -> (Vec<String>, Option<u64>) {
        self.world.now = at(ms);
        let next = self.supervisor.notified(ChannelSet::default(), &mut self.world);
        (std::mem::take(&mut self.world.did), next.map(|at| at.0 / MS))
    }

    fn life(&self, child: u8) -> (State, u32) {
        let Life { state, restarts } = Life::of(self.lives.load(life_offset(child), Ordering::Relaxed));
        (state, restarts)
    }
}

#[test]
fn what_faults_is_told_restarted_and_at_last_given_up() {
    let mut stage = stage(&["gatekeeper", "blk_d0"]);
    assert_eq!(stage.call(0), (Vec::new(), Some(100)));
    stage.world.faults.push_back(Fault { child: 1, cause: Cause::Memory(0x10) });
    stage.world.faults.push_back(Fault { child: 9, cause: Cause::Panic });
    let said = "blk_d0 touched 0x10, which it may not; it is restarted";
    assert_eq!(stage.call(10).0, [said, "restart 1", "notify 11"]);
    assert_eq!((stage.life(0), stage.life(1)), ((State::Runs, 0), (State::Runs, 1)));
    stage.world.faults.push_back(Fault { child: 1, cause: Cause::Panic });
    assert_eq!(stage.call(20), (Vec::from(["blk_d0 panicked; it is restarted in 10 ms".to_string()]), Some(30)));
    assert_eq!(stage.life(1), (State::Waits, 1));
    assert_eq!(stage.call(30).0, ["restart 1", "notify 11"]);
    stage.world.faults.push_back(Fault { child: 1, cause: Cause::Start });
    let (did, _) = stage.call(31);
    assert!(did[0].starts_with("blk_d0 could not start; it was restarted 2 times in 60 s and is given up"), "{did:?}");
    assert_eq!(did[1..], ["notify 10", "notify 11", "stop 1"]);
    assert_eq!((stage.life(0), stage.life(1)), ((State::Runs, 0), (State::GivenUp, 2)));
}

#[test]
fn who_hangs_is_stopped_and_restarted_while_who_answers_is_left_alone() {
    let mut stage = stage(&["well", "hung"]);
    let mut all = Vec::new();
    for ms in (0..=300).step_by(10) {
        let (did, _) = stage.call(ms);
        if did.iter().any(|line| line == "notify 10") {
            let pulse = stage.children[0].load(PULSE, Ordering::Relaxed);
            stage.children[0].store(PULSE, pulse + 1, Ordering::Relaxed);
        }
        all.extend(did);
    }
    let asked = ["notify 10", "notify 11"];
    assert_eq!(all[..6], [asked, asked, ["notify 10", "stop 1"]].concat());
    assert_eq!(all[6..], ["hung did not answer in time; it is restarted", "restart 1", "notify 11"]);
}

#[test]
fn what_cannot_be_started_is_tried_again_later_and_given_up_like_who_crashes() {
    let mut stage = stage(&["a"]);
    stage.world.can_restart = false;
    stage.world.faults.push_back(Fault { child: 0, cause: Cause::Killed });
    let before = stage.lives.load(BEAT, Ordering::Relaxed);
    let tried = "restart 0";
    let (did, next) = stage.call(5);
    assert_eq!(did, ["a was killed; it is restarted", tried, "a could not start; it is restarted in 10 ms"]);
    assert_eq!(next, Some(15));
    let (did, next) = stage.call(15);
    assert_eq!((did[0].as_str(), did.len(), next), (tried, 4, Some(115)));
    assert!(did[1].starts_with("a could not start; it was restarted 2 times in 60 s and is given up"), "{did:?}");
    assert_eq!((did[2..].to_vec(), stage.life(0).0), (vec!["notify 10".into(), "stop 0".into()], State::GivenUp));
    assert_ne!(stage.lives.load(BEAT, Ordering::Relaxed), before, "it shows that it lives");
}
