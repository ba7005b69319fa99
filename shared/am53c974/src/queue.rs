// SPDX-License-Identifier: MIT
//! A queue with room for a fixed number of things.

/// At most `N` things, the oldest first.
#[derive(Debug)]
pub struct Queue<T, const N: usize> {
    things: [T; N],
    len: usize,
}

impl<T: Copy, const N: usize> Queue<T, N> {
    /// Nothing; `blank` fills the room.
    pub fn new(blank: T) -> Self {
        Self { things: [blank; N], len: 0 }
    }

    /// Adds a thing behind the others. One that there is no room for is dropped: users never have more than `N`.
    pub fn push(&mut self, thing: T) {
        debug_assert!(self.len < N, "never more than there is room for");
        if let Some(place) = self.things.get_mut(self.len) {
            *place = thing;
            self.len += 1;
        }
    }

    /// Adds a thing before the others.
    pub fn push_first(&mut self, thing: T) {
        self.push(thing);
        if let Some(all) = self.things.get_mut(..self.len) {
            all.rotate_right(1);
        }
    }

    /// The things.
    pub fn all(&self) -> &[T] {
        self.things.get(..self.len).unwrap_or_default()
    }

    /// Takes the thing at `at`.
    pub fn remove(&mut self, at: usize) -> Option<T> {
        let rest = self.things.get_mut(at..self.len)?;
        let thing = *rest.first()?;
        rest.rotate_left(1);
        self.len -= 1;
        Some(thing)
    }

    /// Takes the oldest.
    pub fn pop(&mut self) -> Option<T> {
        self.remove(0)
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::Queue;

    #[test]
    fn things_stay_in_their_order() {
        let mut queue = Queue::<u8, 4>::new(0);
        assert_eq!((queue.pop(), queue.remove(1)), (None, None));
        [3, 4, 5].into_iter().for_each(|thing| queue.push(thing));
        queue.push_first(2);
        assert_eq!(queue.all(), [2, 3, 4, 5]);
        assert_eq!((queue.remove(2), queue.pop(), queue.remove(2)), (Some(4), Some(2), None));
        queue.push(9);
        assert_eq!(queue.all(), [3, 5, 9]);
        queue.clear();
        assert!(queue.all().is_empty());
    }
}
