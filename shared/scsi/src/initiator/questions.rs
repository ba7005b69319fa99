// SPDX-License-Identifier: MIT
//! Questions to the units: one at a time for each, in a slot of its own.
use super::ended::judge;
use super::slot::Stage;
use super::{Answer, Initiator, Port, Search, UNITS, number};
use crate::Place;
use crate::port::Change;
use crate::rules::{self, Learn, Then};
use crate::wire::sense::Sense;
use orion_block::Instant;

impl<P: Port, T: Copy + Default> Initiator<P, T> {
    /// Asks every unit what is to be asked of it now.
    pub(super) fn ask_all(&mut self) {
        for unit in 0..UNITS {
            self.ask(u8::try_from(unit).unwrap_or(0));
        }
        self.settle();
    }

    fn ask(&mut self, unit: u8) {
        let slot = self.question_slot(unit);
        let (place, asked) = match (&self.search, self.units.get(usize::from(unit))) {
            (Some(search), _) if search.unit == unit => search.ask(),
            (_, Some(logical)) => (logical.place, logical.ask(self.now)),
            _ => return,
        };
        let busy = self.slots.get(usize::from(slot)).is_none_or(|record| record.stage != Stage::Free);
        let Some(asked) = asked.filter(|_| !busy && self.alive) else { return };
        let deadline = self.now.after(self.timeout_ns);
        if let Some(logical) = self.units.get_mut(usize::from(unit)) {
            logical.wait_until(deadline);
        }
        if let Some(record) = self.slots.get_mut(usize::from(slot)) {
            (record.stage, record.deadline, record.unit) = (Stage::Sent, deadline, unit);
            record.due = Instant(deadline.0.saturating_sub(self.timeout_ns / 4));
            record.bytes = asked.len.into();
        }
        self.watch_until(self.abort_at(deadline));
        let data = match self.units.get(usize::from(unit)).filter(|_| asked.list) {
            Some(logical) => self.own.told(&self.port.own(), unit, logical.list()),
            None => self.own.answer(unit, asked.len),
        };
        self.send(slot, place, asked.cdb, data);
    }

    /// A question was answered, or was not.
    #[cold]
    #[inline(never)]
    pub(super) fn question_ended(&mut self, answer: Answer) {
        let Some(record) = self.slots.get_mut(usize::from(answer.slot)) else { return };
        let (asked, unit) = (record.bytes, record.unit);
        record.stage = Stage::Free;
        let got = usize::try_from(asked.saturating_sub(answer.missing)).unwrap_or(0);
        if answer.trouble.is_none() && answer.status == rules::status::GOOD {
            self.resets = 0;
            let bytes = self.own.answered(&self.port.own(), unit, got);
            self.question_answered(unit, bytes.get(..got).unwrap_or_default());
        } else {
            let sense = self.sense_of(&answer);
            self.question_refused(unit, &answer, sense);
        }
        self.ask(unit);
        self.plan(unit);
        self.settle();
    }

    fn question_answered(&mut self, unit: u8, bytes: &[u8]) {
        if self.search.as_ref().is_some_and(|search| search.unit == unit) {
            return self.searched(Ok(bytes));
        }
        if let Some(logical) = self.units.get_mut(usize::from(unit)) {
            if let Some(inquiry) = logical.introduction(bytes) {
                self.port.introduced(logical.place, &inquiry);
            }
            self.changed |= logical.answered(bytes);
        }
    }

    fn question_refused(&mut self, unit: u8, answer: &Answer, sense: Option<Sense>) {
        let rule = judge(answer, sense);
        if self.search.as_ref().is_some_and(|search| search.unit == unit) {
            return self.searched(Err(rule));
        }
        // Being asked already, it need not be examined again for what every power on says.
        if matches!(rule.learn, Learn::PowerLost | Learn::Failing | Learn::Inventory) || rule.then == Then::Accept {
            self.learn(unit, rule);
        }
        if let Some(logical) = self.units.get_mut(usize::from(unit)) {
            self.changed |= logical.refused(rule, self.now);
        }
    }

    /// Keeps the watch for the next question to a unit.
    fn plan(&mut self, unit: u8) {
        let slot = usize::from(self.question_slot(unit));
        let free = self.slots.get(slot).is_some_and(|record| record.stage == Stage::Free);
        let at = self.units.get(usize::from(unit)).and_then(|logical| logical.asks_at());
        if let Some(at) = at.filter(|_| free) {
            self.watch_until(at);
        }
    }

    /// Lets requests in once it is known what every unit is. Those above are told once, so that none may be left out.
    fn settle(&mut self) {
        if !self.open && self.search.is_none() && self.units.iter().all(|unit| unit.is_settled()) {
            self.open = true;
            self.changed = true;
            if !self.units.iter().any(|unit| unit.serves) {
                self.fault = self.units.first().and_then(|unit| unit.gone());
            }
        }
    }

    /// Asks a unit everything anew.
    pub(super) fn examine(&mut self, unit: u8) {
        let (now, patience) = (self.now, self.timeout_ns);
        if let Some(logical) = self.units.get_mut(usize::from(unit)).filter(|logical| logical.serves) {
            logical.examine(now, patience);
            self.watch_until(now);
        }
    }

    /// Something happened to a unit, or to any.
    #[cold]
    #[inline(never)]
    pub(super) fn unit_changed(&mut self, place: Option<Place>, change: Change) {
        let (now, patience) = (self.now, self.timeout_ns);
        let count = usize::from(self.count);
        let concerned = |unit: &&mut super::LogicalUnit| place.is_none_or(|place| place == unit.place);
        let mut any = false;
        for unit in self.units.iter_mut().take(count).filter(concerned) {
            any = true;
            match change {
                Change::Left if unit.serves => {
                    unit.leave("it was taken away");
                    self.changed = true;
                }
                Change::Left => {}
                Change::Came | Change::Altered => unit.examine(now, patience),
            }
        }
        // One that nobody is connected to may be what was looked for.
        if change == Change::Came && !any {
            self.look_again();
        }
        self.watch_until(now);
    }

    /// Looks for units that are not there.
    pub(super) fn look_again(&mut self) {
        let (now, patience, count) = (self.now, self.timeout_ns, usize::from(self.count));
        // One that was never found has no place to be looked for at.
        if let Some(unit) = self.sought.filter(|_| self.search.is_none()) {
            self.search = Some(Search::new(unit));
        }
        let known = (0..).zip(self.units.iter_mut()).take(count).filter(|(number, _)| Some(*number) != self.sought);
        for (_, unit) in known.filter(|(_, unit)| !unit.serves && unit.is_settled()) {
            unit.examine(now, patience);
        }
        self.watch_until(now);
    }

    /// When a unit has something to be asked, if its slot is free for it.
    pub(super) fn next_question(&self) -> Option<Instant> {
        let slots = (0..number(UNITS)).map(|unit| usize::from(self.depth + unit));
        let free = slots.map(|slot| self.slots.get(slot).is_some_and(|record| record.stage == Stage::Free));
        let asked = self.units.iter().zip(free).filter(|(_, free)| *free).filter_map(|(unit, _)| unit.asks_at());
        let searching = self.search.as_ref().filter(|search| {
            let slot = usize::from(self.question_slot(search.unit));
            self.slots.get(slot).is_some_and(|record| record.stage == Stage::Free)
        });
        asked.chain(searching.map(|_| self.now)).min()
    }
}
