// SPDX-License-Identifier: MIT
//! A place in a packed ring: which entry, and on which lap (virtio 1.2, 2.8.1).

/// A place in a packed ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The entry.
    pub at: u16,
    /// The wrap counter: set on the first lap, and on every other lap after it.
    pub wrap: bool,
}

impl Cursor {
    /// Where both sides begin.
    pub const START: Self = Self { at: 0, wrap: true };

    /// `count` entries further, in a ring of `size`; `count` is at most `size`.
    #[must_use]
    pub fn after(self, count: u16, size: u16) -> Self {
        let to = u32::from(self.at) + u32::from(count);
        match to.checked_sub(size.into()) {
            None => Self { at: u16::try_from(to).unwrap_or(0), ..self },
            Some(to) => Self { at: u16::try_from(to).unwrap_or(0), wrap: !self.wrap },
        }
    }

    /// As event suppression structures have it (2.8.14): the wrap counter above fifteen bits of offset.
    pub fn event(self) -> u16 {
        self.at & 0x7fff | u16::from(self.wrap) << 15
    }

    /// Whether the way from `from` up to here, in a ring of `size`, passes the place that `event` names. One that names no place
    /// is passed always: an event too many harms nobody.
    pub fn passed(self, from: Self, event: u16, size: u16) -> bool {
        let (size, event) = (u32::from(size), Self { at: event & 0x7fff, wrap: event >> 15 != 0 });
        if u32::from(event.at) >= size {
            return true;
        }
        // Two laps are one round of the wrap counter.
        let place = |cursor: Self| u32::from(cursor.at) + if cursor.wrap { 0 } else { size };
        let way = |to: u32| (to + 2 * size - place(from)) % (2 * size).max(1);
        way(place(event)) < way(place(self))
    }
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    #[test]
    fn an_event_is_passed_where_a_walk_meets_it() {
        for size in 1..9u16 {
            let starts = (0..size).flat_map(|at| [true, false].map(|wrap| Cursor { at, wrap }));
            for from in starts {
                for count in 0..=size {
                    let walk: std::vec::Vec<Cursor> = (0..count).map(|step| from.after(step, size)).collect();
                    for event in (0..size).flat_map(|at| [true, false].map(|wrap| Cursor { at, wrap })) {
                        let passed = from.after(count, size).passed(from, event.event(), size);
                        assert_eq!(
                            passed,
                            walk.contains(&event),
                            "{event:?} on the way of {count} from {from:?} in {size}"
                        );
                    }
                }
                assert!(from.after(size, size).passed(from, size | 0x8000, size), "no such place");
            }
        }
    }
}
