// SPDX-License-Identifier: MIT
//! A table of 64 slots.

/// Slots of a table.
pub(crate) const SLOTS: usize = 64;

/// Up to [`SLOTS`] values, each named by the number of its slot.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    values: [Option<T>; SLOTS],
    used: u64,
}

impl<T> Slots<T> {
    pub(crate) const fn new() -> Self {
        Self { values: [const { None }; SLOTS], used: 0 }
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.used == u64::MAX
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.used == 0
    }

    pub(crate) const fn len(&self) -> usize {
        self.used.count_ones() as usize
    }

    /// The number of the slot that now holds `value`; `None` where all are used.
    pub(crate) fn insert(&mut self, value: T) -> Option<u8> {
        let slot = u8::try_from(self.used.trailing_ones()).ok()?;
        *self.values.get_mut(usize::from(slot))? = Some(value);
        self.used |= 1 << slot;
        Some(slot)
    }

    pub(crate) fn get(&self, slot: u8) -> Option<&T> {
        self.values.get(usize::from(slot))?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: u8) -> Option<&mut T> {
        self.values.get_mut(usize::from(slot))?.as_mut()
    }

    pub(crate) fn remove(&mut self, slot: u8) -> Option<T> {
        let value = self.values.get_mut(usize::from(slot))?.take()?;
        self.used &= !(1 << slot);
        Some(value)
    }

    /// The numbers of the slots in use.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u8> + use<T> {
        let used = self.used;
        (0..64u8).filter(move |slot| used & (1 << slot) != 0)
    }
}
