// SPDX-License-Identifier: MIT
//! What clients did to one block and what they found there: whether some legal order explains it.
//!
//! Each write stores a value of its own, so a read names the write it saw. All that happened to a value lies in one
//! *zone*: from the first end of an operation on it (`end`) to the last beginning of one (`begin`). One value was there
//! before another if its zone's end came before the other's beginning. A history is linearizable exactly if no two
//! values were each there before the other (Gibbons and Korach, "Testing shared memories", 1997, theorem 4.1).

/// The value of a block: 0 is zeroes.
pub type Value = u64;
/// A moment: events are numbered.
pub type Moment = u64;
const NEVER: Moment = u64::MAX;
/// Stands for any value.
const ANY: Value = u64::MAX;

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was done; and whether it is durable at once.
    Done {
        /// With force unit access, or on a device without a volatile cache.
        durable: bool,
    },
    /// It failed: it may have been done, and if so before its end.
    Perhaps,
    /// It was refused: it was not done.
    Not,
}

#[derive(Clone, Debug)]
struct Zone {
    value: Value,
    /// First end of an operation that shows that the value was there.
    end: Moment,
    /// Last beginning of an operation that shows it.
    begin: Moment,
    /// A failed write: it took effect before this, or never.
    before: Moment,
    durable: bool,
    /// In flight.
    open: bool,
    /// It was in flight when a PD died, and is asked again: until its end it may take effect more than once.
    again: bool,
}

impl Zone {
    /// The same if it was ever there: a failed write then took effect before its end.
    fn happened(&self) -> Self {
        Self { end: self.end.min(self.before), ..self.clone() }
    }
}

/// What happened to one block since power was last there, as far as it matters.
#[derive(Clone, Debug)]
pub struct History {
    zones: Vec<Zone>,
    /// The block's content is not known: it was discarded, or its disk has damaged it.
    wild: bool,
    /// When that was last so: a write that was in flight then may be damaged too.
    spoiled: Moment,
    /// Power was lost, and nobody has read the block since.
    lost: bool,
}

impl Default for History {
    fn default() -> Self {
        Self::known(0)
    }
}

impl History {
    /// A block that holds `value`.
    pub fn known(value: Value) -> Self {
        let zone = Zone { value, end: 0, begin: 0, before: NEVER, durable: true, open: false, again: false };
        Self { zones: vec![zone], wild: false, spoiled: 0, lost: false }
    }

    /// Whether zeroes could be told from what the block may hold now, so that writing them is a value of its own.
    pub fn can_take_zeroes(&self) -> bool {
        !self.wild && !self.lost && self.zones.iter().all(|zone| zone.value != 0)
    }

    /// Whether nothing is known of the content.
    pub fn is_wild(&self) -> bool {
        self.wild
    }

    /// Whether power was lost and nobody has read it since.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether power was lost while more than one value could be there.
    pub fn is_open(&self) -> bool {
        self.lost && self.zones.len() > 1
    }

    /// A write of `value` begins.
    pub fn write_begins(&mut self, value: Value, at: Moment) {
        // What is not known is written over, once nothing else is in flight.
        if self.wild && self.zones.iter().all(|zone| !zone.open) {
            self.zones.clear();
        }
        self.zones.push(Zone { value, end: NEVER, begin: at, before: NEVER, durable: false, open: true, again: false });
    }

    /// That write ends. No read in flight began before `oldest`.
    ///
    /// # Errors
    /// It was refused though its value was read.
    pub fn write_ends(&mut self, value: Value, at: Moment, how: Ended, oldest: Moment) -> Result<(), String> {
        let Some(index) = self.zones.iter().position(|zone| zone.value == value && zone.open) else { return Ok(()) };
        // In flight alone on a block of unknown content, it is what the block holds then.
        let settles = self.wild && self.zones.len() == 1 && self.zones[index].begin > self.spoiled;
        let zone = &mut self.zones[index];
        zone.open = false;
        match how {
            Ended::Done { durable } => {
                zone.end = zone.end.min(at);
                zone.durable = durable;
                if settles {
                    // What was there before may come back, until a flush.
                    self.wild = false;
                    self.zones.push(Zone {
                        value: ANY,
                        end: 0,
                        begin: 0,
                        before: NEVER,
                        durable: false,
                        open: false,
                        again: false,
                    });
                }
                if durable {
                    self.forget(oldest);
                }
            }
            Ended::Perhaps if zone.end == NEVER => zone.before = at,
            Ended::Perhaps => zone.end = zone.end.min(at),
            Ended::Not if zone.end == NEVER => drop(self.zones.remove(index)),
            Ended::Not => return Err(format!("value {value:#x} was read though its write was refused")),
        }
        Ok(())
    }

    /// A read that began and ended at these moments found `value`.
    ///
    /// # Errors
    /// No legal order explains it.
    pub fn read(&mut self, value: Option<Value>, begin: Moment, end: Moment) -> Result<(), String> {
        if self.wild {
            return Ok(());
        }
        let Some(index) = self.position(value) else {
            return Err(match value {
                None => "no value that was ever written there".into(),
                Some(value) => format!("value {value:#x}, which was written over before or never written"),
            });
        };
        if self.lost {
            self.survives(index)?;
            match value {
                Some(value) => *self = Self::known(value),
                None => self.spoil(begin),
            }
            return Ok(());
        }
        let zone = &mut self.zones[index];
        // What may take effect once more is not over because it was seen.
        if !(zone.open && zone.again) {
            zone.end = zone.end.min(end).min(zone.before);
        }
        zone.begin = zone.begin.max(begin);
        let zone = &self.zones[index];
        let others = self.zones.iter().enumerate().filter(|(at, _)| *at != index);
        match others.map(|(_, other)| other).find(|other| before(zone, other) && before(other, zone)) {
            None => Ok(()),
            Some(other) => {
                Err(format!("value {:#x}, which was there before {:#x} and not after", zone.value, other.value))
            }
        }
    }

    /// The zone of a value. Of what the block held before its content was known, any value may be.
    fn position(&self, value: Option<Value>) -> Option<usize> {
        let at = |value| self.zones.iter().position(|zone| zone.value == value);
        value.and_then(at).or_else(|| at(ANY))
    }

    /// A flush that began at `begin` has succeeded: `value`, if it had been written before, is durable. No read in flight
    /// began before `oldest`.
    pub fn flushed(&mut self, value: Value, begin: Moment, oldest: Moment) {
        if let Some(zone) = self.zones.iter_mut().find(|zone| zone.value == value && !zone.open && zone.end < begin) {
            zone.durable = true;
            self.forget(oldest);
        }
    }

    /// Drops values that can never be seen again: something durable came after them, before any read that is in flight.
    fn forget(&mut self, oldest: Moment) {
        let gone = |i: usize| !self.zones[i].open && self.overwritten(i, oldest);
        let gone: Vec<bool> = (0..self.zones.len()).map(gone).collect();
        let mut gone = gone.into_iter();
        self.zones.retain(|_| !gone.next().unwrap_or(false));
    }

    /// There are several copies of the block, which are written one after the other: a read may see what another did not yet.
    pub fn is_copied(&mut self, value: Value) {
        self.zones.iter_mut().filter(|zone| zone.open && zone.value == value).for_each(|zone| zone.again = true);
    }

    /// A PD has died that may have some of what is in flight: it will be asked again.
    pub fn repeats(&mut self) {
        for zone in self.zones.iter_mut().filter(|zone| zone.open) {
            (zone.again, zone.end) = (true, NEVER);
        }
    }

    /// Power is lost at `at`: writes in flight may have been done before.
    pub fn power_lost(&mut self, at: Moment) {
        if self.wild {
            return self.zones.clear();
        }
        for zone in self.zones.iter_mut().filter(|zone| zone.open) {
            (zone.open, zone.before) = (false, at);
        }
        self.lost = true;
    }

    /// The content is not known any more.
    pub fn spoil(&mut self, at: Moment) {
        (self.wild, self.lost, self.spoiled) = (true, false, at);
        self.zones.retain(|zone| zone.open);
    }

    /// Whether the value may be what the block holds after a loss of power: nothing durable came after it, and it was
    /// there at all.
    fn survives(&self, index: usize) -> Result<(), String> {
        let zone = self.zones[index].happened();
        let mut others = self.zones.iter().enumerate().filter(|(at, _)| *at != index);
        if others.any(|(_, other)| before(&zone, other) && before(other, &zone)) {
            return Err(format!("value {:#x} after a loss of power, though its write did nothing", zone.value));
        }
        if !self.overwritten(index, NEVER) {
            return Ok(());
        }
        let durable = self.zones.iter().filter(|z| z.durable).map(|z| format!("{:#x}", z.value));
        let (value, durable) = (self.zones[index].value, durable.collect::<Vec<_>>().join(", "));
        Err(format!("value {value:#x} after a loss of power, though something later was durable (of {durable})"))
    }

    /// Whether something durable, there before `oldest`, must have come after a value, by any chain of others.
    fn overwritten(&self, index: usize, oldest: Moment) -> bool {
        let mut seen = vec![false; self.zones.len()];
        let mut next = vec![index];
        let first = self.zones[index].happened();
        while let Some(at) = next.pop() {
            let from = if at == index { &first } else { &self.zones[at] };
            for (to, zone) in self.zones.iter().enumerate() {
                if to != index && !seen[to] && before(from, zone) {
                    if zone.durable && zone.end < oldest {
                        return true;
                    }
                    seen[to] = true;
                    next.push(to);
                }
            }
        }
        false
    }
}

/// Whether one value must have been there before the other.
fn before(one: &Zone, other: &Zone) -> bool {
    one.end < other.begin
}

#[cfg(test)]
mod tests;
