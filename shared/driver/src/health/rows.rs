// SPDX-License-Identifier: MIT
//! A disk's health as rows of its driver's page, and back. Who reads them trusts nothing of them.
use super::{ATTRIBUTES_MAX, Attribute, Health, Text};
use orion_metrics::{DiskAttributes, DiskState, DiskText, PER_ROW, Row};

/// Rows that a disk takes at most: nine texts, its state, its attributes.
pub const HEALTH_ROWS: usize = 10 + ATTRIBUTES_MAX.div_ceil(PER_ROW);

/// The text that is about power.
const POWER: u8 = 5;
/// The one about its size.
const SIZE: u8 = 6;
/// The one about writes that were compared.
const VERIFY: u8 = 7;
/// The one about zones that changed.
const ZONES: u8 = 8;

impl Health {
    /// It as rows, of the disk `unit` that the system calls `name`, and that says `identity` of itself, and is of this
    /// `size` now.
    pub fn rows<'a>(&'a self, unit: u8, name: &'a str, identity: Text, size: Text) -> impl Iterator<Item = Row> + 'a {
        let texts = [name, self.model.as_str(), self.serial.as_str(), self.firmware.as_str()];
        let some = [(POWER, self.power), (VERIFY, self.verify), (ZONES, self.zones)].into_iter();
        let some = some.filter(|(_, text)| !text.as_str().is_empty());
        let some = some.map(move |(what, text)| Row::DiskText(DiskText::new(unit, what, text.as_str())));
        let texts = (0..).zip(texts).map(move |(what, text)| Row::DiskText(DiskText::new(unit, what, text)));
        let identity = Some(identity).filter(|identity| *identity != Text::default());
        let identity = identity.map(|identity| Row::DiskText(DiskText::new(unit, 4, identity.as_str())));
        let size = Some(size).filter(|size| *size != Text::default());
        let size = size.map(|size| Row::DiskText(DiskText::new(unit, SIZE, size.as_str())));
        let texts = texts.chain(identity).chain(size);
        let attributes = self.attributes.chunks(PER_ROW).filter(|some| some.iter().any(|one| one.id != 0));
        let attributes = attributes.map(move |some| Row::DiskAttributes(row_of(unit, some)));
        texts.chain(some).chain([Row::DiskState(self.state(unit))]).chain(attributes)
    }

    fn counts(&self) -> [Option<u64>; 7] {
        [
            self.power_on_hours,
            self.power_cycles,
            self.unsafe_shutdowns,
            self.media_errors,
            self.errors_logged,
            self.read_kblocks,
            self.written_kblocks,
        ]
    }

    fn state(&self, unit: u8) -> DiskState {
        let unknown = DiskState::unknown(unit);
        DiskState {
            failing: self.failing.map_or(unknown.failing, u8::from),
            temperature: self.temperature.map_or(unknown.temperature, Into::into),
            // One that passed 254 is worn out either way.
            used: self.used_percent.map_or(unknown.used, |used| used.min(254)),
            spare: self.spare_percent.map_or(unknown.spare, |spare| spare.min(100)),
            counts: self.counts().map(|count| count.unwrap_or(u64::MAX).into()),
            ..unknown
        }
    }

    /// Takes what a row says of this disk.
    pub fn take(&mut self, row: &Row) {
        match row {
            Row::DiskText(DiskText { what: 1, text, .. }) => self.model = Text::new(text),
            Row::DiskText(DiskText { what: 2, text, .. }) => self.serial = Text::new(text),
            Row::DiskText(DiskText { what: 3, text, .. }) => self.firmware = Text::new(text),
            Row::DiskText(DiskText { what: 4, text, .. }) => self.identity = Text::new(text),
            Row::DiskText(DiskText { what: POWER, text, .. }) => self.power = Text::new(text),
            Row::DiskText(DiskText { what: SIZE, text, .. }) => self.size = Text::new(text),
            Row::DiskText(DiskText { what: VERIFY, text, .. }) => self.verify = Text::new(text),
            Row::DiskText(DiskText { what: ZONES, text, .. }) => self.zones = Text::new(text),
            Row::DiskState(state) => self.take_state(state),
            Row::DiskAttributes(row) => row.list.iter().for_each(|one| self.take_attribute(*one)),
            _ => {}
        }
    }

    fn take_state(&mut self, state: &DiskState) {
        let percent = |number: u8| (number != u8::MAX).then_some(number);
        self.failing = percent(state.failing).map(|failing| failing != 0);
        self.temperature = Some(state.temperature.get()).filter(|degrees| *degrees != i16::MIN);
        (self.used_percent, self.spare_percent) = (percent(state.used), percent(state.spare));
        let counts = state.counts.map(|count| Some(count.get()).filter(|count| *count != u64::MAX));
        [
            self.power_on_hours,
            self.power_cycles,
            self.unsafe_shutdowns,
            self.media_errors,
            self.errors_logged,
            self.read_kblocks,
            self.written_kblocks,
        ] = counts;
    }

    /// Puts an attribute behind those that are there; one too many is left out.
    fn take_attribute(&mut self, [id, value, worst, threshold, raw @ ..]: [u8; 10]) {
        let free = self.attributes.iter_mut().find(|place| place.id == 0).filter(|_| id != 0);
        if let Some(place) = free {
            let raw = raw.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
            *place = Attribute { id, value, worst, threshold, raw };
        }
    }
}

fn row_of(unit: u8, some: &[Attribute]) -> DiskAttributes {
    let mut row = DiskAttributes::none(unit);
    for (to, from) in row.list.iter_mut().zip(some) {
        let [a, b, c, d, e, f, ..] = from.raw.to_le_bytes();
        *to = [from.id, from.value, from.worst, from.threshold, a, b, c, d, e, f];
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn health() -> impl Strategy<Value = Health> {
        let some = || prop::option::of(0..u64::MAX);
        let attribute = (1u8.., any::<[u8; 3]>(), 0u64..1 << 48);
        let attributes = prop::collection::vec(attribute, 0..=ATTRIBUTES_MAX);
        let counts = (some(), some(), some(), some(), some(), some(), some());
        let state = (
            any::<Option<bool>>(),
            prop::option::of(i16::MIN + 1..),
            prop::option::of(0u8..255),
            prop::option::of(0u8..=100),
        );
        (prop::array::uniform8("[!-~]{0,40}"), state, counts, attributes).prop_map(
            |([model, serial, firmware, identity, power, size, verify, zones], state, counts, list)| {
                let mut attributes = [Attribute::default(); ATTRIBUTES_MAX];
                for (to, (id, [value, worst, threshold], raw)) in attributes.iter_mut().zip(list) {
                    *to = Attribute { id, value, worst, threshold, raw };
                }
                Health {
                    model: Text::new(model.as_bytes()),
                    serial: Text::new(serial.as_bytes()),
                    firmware: Text::new(firmware.as_bytes()),
                    identity: Text::new(identity.as_bytes()),
                    power: Text::new(power.as_bytes()),
                    size: Text::new(size.as_bytes()),
                    verify: Text::new(verify.as_bytes()),
                    zones: Text::new(zones.as_bytes()),
                    failing: state.0,
                    temperature: state.1,
                    used_percent: state.2,
                    spare_percent: state.3,
                    power_on_hours: counts.0,
                    power_cycles: counts.1,
                    unsafe_shutdowns: counts.2,
                    media_errors: counts.3,
                    errors_logged: counts.4,
                    read_kblocks: counts.5,
                    written_kblocks: counts.6,
                    attributes,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn health_comes_back_as_it_went(health in health(), unit: u8) {
            let rows: Vec<Row> = health.rows(unit, "d0", health.identity, health.size).collect();
            prop_assert!(rows.len() <= HEALTH_ROWS);
            let mut back = Health::default();
            rows.iter().map(|row| Row::parse(&row.bytes()).unwrap()).for_each(|row| back.take(&row));
            prop_assert_eq!(back, health);
        }

        /// Whatever a compromised driver writes, it is taken for some health, of text that can be shown.
        #[test]
        fn any_rows_are_some_health(rows in prop::collection::vec((4u8..7, prop::collection::vec(any::<u8>(), 63)), 0..20)) {
            let mut health = Health::default();
            for (tag, rest) in rows {
                let bytes: Vec<u8> = [tag, 0].into_iter().chain(rest.into_iter().skip(1)).collect();
                health.take(&Row::parse(bytes.as_slice().try_into().unwrap()).unwrap());
            }
            for text in [health.model, health.serial, health.firmware, health.identity] {
                prop_assert!(text.as_str().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            }
            prop_assert!(health.attributes.iter().all(|one| one.raw < 1 << 48));
        }
    }
}
