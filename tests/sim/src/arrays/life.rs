// SPDX-License-Identifier: MIT
//! One life of a world with arrays: from when there is power to when it is lost, and what becomes of the disks before that.
use super::kinds::{Group, Log};
use super::{World, logs};
use crate::deaths::Deaths;
use crate::events::Event;
use crate::faults::{Fault, FaultSet};
use crate::machine::Machine;
use orion_control::Name;
use orion_control::operator::Request;
use orion_metrics::{Grow, Order, Verb, Work};

/// Steps after which a life is said to hang.
const STEPS_MAX: u64 = 3_000_000;
/// Steps between two looks at the arrays.
const LOOK: u64 = 16;
const VERBS: [Verb; 6] =
    [Verb::ArrayCheck, Verb::ArrayRepair, Verb::ArrayAdd, Verb::ArrayAdd, Verb::ArrayFail, Verb::ArrayRemove];

/// What is to happen in a life.
struct Plan {
    /// The step at which power is lost; never, where everything is to come to rest before.
    loss: u64,
    /// The step from which on nothing more happens to members.
    calm: u64,
    /// Weak members may have faults; each group its own.
    struck: Vec<bool>,
    /// Its layer has died.
    died: Vec<bool>,
    /// It is served.
    served: Vec<bool>,
    /// Members may be lost while parity may become wrong.
    gentle: bool,
    /// They may while a partial parity log is replayed: what was being written is in doubt.
    rough: bool,
    /// The kinds of faults of weak members.
    faults: FaultSet,
    deaths: Deaths,
}

impl World {
    /// What becomes of the disks while there is no power.
    pub(super) fn between(&mut self) -> Result<(), String> {
        let kind = self.kind.clone();
        let absent: Vec<usize> = self.away.iter().copied().collect();
        for disk in absent {
            self.away.remove(&disk);
            let Some(group) = kind.groups.iter().find(|group| group.disks().contains(&disk)) else { continue };
            // What the array relies on comes back.
            let needed = self.is_member(group, disk) && !self.is_clean(group) && !logs(group);
            match self.random.below(4) {
                _ if needed => {}
                0 => _ = self.away.insert(disk),
                1 => {
                    self.story(|| format!("d{disk:02} is an empty one"));
                    self.disks[disk].borrow_mut().wipe();
                }
                _ => {}
            }
        }
        if kind.groups.iter().all(|group| self.is_whole(group)) {
            self.weaken();
            if self.random.below(4) == 0 {
                self.rots()?;
            }
        }
        let left: Vec<usize> = self.away.iter().copied().collect();
        self.story(|| format!("without {left:?}"));
        Ok(())
    }

    /// Other members become weak: as many as each level bears.
    fn weaken(&mut self) {
        let kind = self.kind.clone();
        self.disks.iter().for_each(|disk| disk.borrow_mut().heal());
        self.weak.clear();
        for group in &kind.groups {
            let mut members: Vec<usize> = self.members(group).into_iter().flatten().collect();
            let mut pairs: Vec<Vec<usize>> = members.chunks(2).map(<[usize]>::to_vec).collect();
            for _ in 0..group.limit() {
                let from =
                    if group.level == 10 { pairs.remove(self.random.below(pairs.len())) } else { members.clone() };
                let one = from[self.random.below(from.len())];
                members.retain(|disk| *disk != one);
                self.weak.push(one);
            }
        }
        let weak = self.weak.clone();
        self.story(|| format!("weak are {weak:?}"));
    }

    fn plan(&mut self, last: bool) -> Plan {
        let kind = self.kind.clone();
        let rough = |group: &Group| group.has_hole() && !self.is_whole(group) && !self.is_clean(group);
        debug_assert!(!kind.groups.iter().any(rough) || self.away.is_empty());
        let whole =
            kind.groups.iter().all(|group| !group.has_hole() || self.members(group).iter().all(Option::is_some));
        let gentle = last || !whole || self.random.below(3) == 0;
        let loss = [60, 600, 6_000, 60_000][self.random.below(4)];
        let loss = if gentle { u64::MAX } else { 1 + self.random.below(loss) as u64 };
        let all = [Fault::Errors, Fault::Tails, Fault::Stalls, Fault::Vanishing];
        let some: Vec<Fault> = all.into_iter().filter(|_| self.random.below(3) == 0).collect();
        let faults = some.into_iter().fold(FaultSet::default(), FaultSet::with);
        let count = kind.groups.len();
        let deaths = [0, 0, 0, 1, 3][self.random.below(5)];
        let calm = if last { 0 } else { [600, 6_000, 20_000][self.random.below(3)] };
        Plan {
            loss,
            calm,
            struck: vec![false; count],
            died: vec![false; count],
            served: vec![false; count],
            gentle,
            rough: false,
            faults,
            deaths: Deaths::new(if last { 0 } else { deaths }, self.random.number()),
        }
    }

    /// Lives until power is lost.
    pub(super) fn live(&mut self, last: bool) -> Result<(), String> {
        let kind = self.kind.clone();
        let mut plan = self.plan(last);
        let doubtful = kind.groups.iter().any(|group| group.log == Log::Ppl && !self.is_clean(group));
        // Either weak members have no faults until the log is replayed, or what was being written is in doubt.
        if doubtful && self.random.below(3) == 0 {
            self.story(|| "a partial parity log with members that fail".into());
            self.common.iter_mut().for_each(|common| common.journal.doubt());
            plan.rough = true;
        } else {
            let clean: Vec<usize> = self.weak.clone();
            clean.iter().for_each(|disk| self.disks[*disk].borrow_mut().heal());
        }
        let requests = if last { 0 } else { [0, 10, 30, 100][self.random.below(4)] };
        let depth = [1, 3, 8, 16][self.random.below(4)];
        self.story(|| {
            format!("{requests} requests, {depth} at a time; loss at {}, faults {:?}", plan.loss, plan.faults)
        });
        let mut machine = self.boot(requests, depth);
        while machine.steps < plan.loss {
            if machine.steps.is_multiple_of(LOOK) && machine.steps < plan.calm {
                self.strike(&mut machine, &mut plan);
            } else if machine.steps >= plan.calm {
                self.disks.iter().for_each(|disk| disk.borrow_mut().shape.faults = FaultSet::default());
            }
            let moved = self.step(&mut machine, &mut plan);
            let common = &mut *machine.common.borrow_mut();
            if let Some(what) = common.journal.violation.take() {
                return Err(format!("{what}\n{}", common.lines.join("\n")));
            }
            let waits = super::CLIENTS.iter().any(|(name, ..)| !common.verdicts.contains_key(*name));
            let settled = machine.steps.is_multiple_of(LOOK) && !waits && self.settled(&machine);
            if !moved && waits || machine.steps > STEPS_MAX {
                return Err(format!("it never comes to rest, or clients wait for ever\n{}", common.lines.join("\n")));
            }
            if !moved || settled && !plan.deaths.any() {
                break;
            }
        }
        self.after(machine);
        Ok(())
    }

    /// Power is lost: what has left is away.
    fn after(&mut self, machine: Machine) {
        for (disk, device) in machine.devices.iter().enumerate() {
            if device.has_left() {
                self.away.insert(disk);
            }
        }
        let lines = machine.common.borrow().lines.join("\n    ");
        self.story(|| format!("    {lines}"));
        self.disks.iter().for_each(|disk| disk.borrow_mut().shape.faults = FaultSet::default());
        self.lose_power(machine);
    }

    /// Lets something go on; whether anything did.
    fn step(&mut self, machine: &mut Machine, plan: &mut Plan) -> bool {
        self.spare(machine, plan);
        let before = plan.deaths.last;
        if plan.deaths.step(machine, false).is_none() {
            return false;
        }
        self.mourn(machine, plan, before);
        if !plan.deaths.any() {
            return machine.step();
        }
        if machine.step_now().is_err() {
            let _ = plan.deaths.step(machine, true);
        }
        true
    }

    /// Drivers of weak disks do not die besides, nor the layers of arrays whose parity may be wrong then.
    fn spare(&self, machine: &Machine, plan: &mut Plan) {
        if plan.deaths.spared.is_empty() || machine.steps.is_multiple_of(LOOK) {
            let weak = self.weak.iter().chain(&self.away).map(|disk| self.driver(machine, *disk));
            let struck = self.kind.groups.iter().zip(&plan.struck).filter(|(group, struck)| {
                let lacks = group.has_hole() && self.lacks(machine, group);
                group.log != Log::Journal && (**struck || lacks)
            });
            let layers = struck.filter_map(|(group, _)| machine.pd(&format!("raid_{}", group.volume)));
            plan.deaths.spared = weak.chain(layers).collect();
        }
    }

    fn lacks(&self, machine: &Machine, group: &Group) -> bool {
        machine.array(group.volume).is_none_or(|array| array.missing().next().is_some())
    }

    fn mourn(&mut self, machine: &Machine, plan: &mut Plan, before: Option<usize>) {
        let Some(dead) = plan.deaths.last.filter(|dead| Some(*dead) != before || plan.deaths.any()) else { return };
        for (group, died) in self.kind.groups.iter().zip(&mut plan.died) {
            *died |= machine.pd(&format!("raid_{}", group.volume)) == Some(dead);
        }
    }

    /// Whether weak members of a group may have faults now.
    fn is_free(&self, machine: &Machine, group: &Group, plan: &Plan, at: usize) -> bool {
        let array = machine.array(group.volume);
        let in_sync = array.is_some_and(orion_raid::Raid::is_in_sync);
        match group.log {
            Log::Journal => true,
            // Where a log could not say everything parity is put in sync.
            Log::Ppl => !plan.died[at] && if plan.served[at] { in_sync } else { plan.rough },
            Log::Nothing => in_sync && !plan.died[at] && (plan.gentle || !group.has_hole()),
        }
    }

    /// Perhaps something happens to a weak member, or somebody orders something.
    fn strike(&mut self, machine: &mut Machine, plan: &mut Plan) {
        let kind = self.kind.clone();
        for (at, group) in kind.groups.iter().enumerate() {
            plan.served[at] |= machine.array(group.volume).is_some_and(|array| array.is_served());
            let free = self.is_free(machine, group, plan, at);
            let weak: Vec<usize> = self
                .weak
                .iter()
                .copied()
                .filter(|disk| group.disks().contains(disk) && !self.away.contains(disk))
                .collect();
            plan.struck[at] |= free && plan.faults != FaultSet::default();
            for disk in &weak {
                self.disks[*disk].borrow_mut().shape.faults = if free { plan.faults } else { FaultSet::default() };
            }
            if self.random.below(40) == 0 {
                self.orders(machine, group, free, &weak);
            }
            if !free || weak.is_empty() {
                continue;
            }
            let disk = weak[self.random.below(weak.len())];
            match self.random.below(400) {
                0 => {
                    plan.struck[at] = true;
                    self.story(|| format!("step {}: d{disk:02} leaves", machine.steps));
                    machine.devices[disk].vanish();
                }
                1 | 2 => {
                    plan.struck[at] = true;
                    let most = [64, 1200][self.random.below(2)];
                    let first = kind.data + self.random.below(most);
                    let count = 1 + self.random.below(24);
                    self.story(|| format!("step {}: d{disk:02} cannot read {count} from {first}", machine.steps));
                    self.disks[disk].borrow_mut().lose(first..first + count);
                }
                _ => {}
            }
        }
    }

    /// Orders something of an array.
    fn orders(&mut self, machine: &mut Machine, group: &Group, free: bool, weak: &[usize]) {
        let verb = VERBS[self.random.below(VERBS.len())];
        let disk = match verb {
            Verb::ArrayAdd => Some(group.first + self.random.below(group.disks().len())),
            Verb::ArrayFail | Verb::ArrayRemove if !free || weak.is_empty() => return,
            Verb::ArrayFail | Verb::ArrayRemove => Some(weak[self.random.below(weak.len())]),
            _ => None,
        };
        let how = disk.map_or(0, |disk| (disk - group.first) as u32);
        let first = disk.map_or(0, |_| self.random.number());
        let work = match verb {
            Verb::ArrayGrow if !group.grows() => return,
            Verb::ArrayGrow => self.growth(group).work(),
            _ => Work { how, first, ..Work::new(verb, 0) },
        };
        self.story(|| format!("step {}: {} {} {disk:?} {work:?}", machine.steps, group.volume, verb.text()));
        self.order(machine, group, work);
    }

    /// One member more, or other chunks.
    fn growth(&mut self, group: &Group) -> Grow {
        match self.random.below(2) {
            0 => Grow { disks: Some(group.members as u32 + 1), ..Grow::default() },
            _ => Grow { chunk: Some([16, 32, 64][self.random.below(3)]), ..Grow::default() },
        }
    }

    /// Orders this of an array.
    pub(super) fn order(&self, machine: &mut Machine, group: &Group, work: Work) {
        let order = Request::Order(Order::Disk(work), Name::new(group.volume)).emit(1);
        machine.common.borrow_mut().operator.sends.extend(order);
    }

    pub(super) fn settled(&self, machine: &Machine) -> bool {
        let volumes = self.kind.groups.iter().map(|group| group.volume).chain(["v"]);
        volumes.into_iter().all(|volume| machine.array(volume).is_some_and(orion_raid::Raid::is_settled))
    }

    /// Has an array compared or repaired, until it is done: how many sectors differed; or until `loss` steps are made.
    pub(super) fn works(
        &mut self,
        machine: &mut Machine,
        group: &Group,
        verb: Verb,
        loss: u64,
    ) -> Result<Option<u64>, String> {
        let (mut again, mut begun) = (0, false);
        while machine.steps < loss {
            if !machine.step() || machine.steps > STEPS_MAX {
                let lines = machine.common.borrow().lines.join("\n");
                return Err(format!("{} does nothing of {}\n{lines}", group.volume, verb.text()));
            }
            // It is refused before the volumes are known, and so are clients.
            let ready = machine.common.borrow().verdicts.len() == super::CLIENTS.len();
            if !begun && machine.steps >= again && ready && self.settled(machine) {
                again = machine.steps + 20 * LOOK;
                self.order(machine, group, Work::new(verb, 0));
            }
            let array = machine.array(group.volume).ok_or("no array")?;
            begun |= array.checks();
            if begun && !array.checks() && self.settled(machine) {
                return Ok(Some(array.mismatches()));
            }
        }
        machine.common.borrow_mut().journal.events.note(Event::PowerLoss);
        Ok(None)
    }
}
