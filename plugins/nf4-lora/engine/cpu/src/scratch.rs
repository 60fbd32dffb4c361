//! Working memory that stays with its thread, so that kernels do not allocate once they have run.

use crate::buffer::Aligned;
use std::cell::RefCell;
use std::marker::PhantomData;

/// What an area holds. A thread uses each for one thing at a time; different ones lie within each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Area {
    /// Fetched panels of a task.
    Panels,
    /// A stored panel on its way to be turned.
    Piece,
    /// A packed strip of rows.
    Strip,
    /// Blocks of a task of attention.
    Attention,
    /// Rows of a panel before they become integers.
    Fetched,
    /// Sums of a tile of integers.
    Sums,
    /// The left operand as integers.
    LeftCodes,
    /// Scales of those.
    LeftScales,
}

const AREAS: usize = Area::LeftScales as usize + 1;

struct Slot {
    memory: Aligned<f32>,
    taken: bool,
}

thread_local! {
    static SLOTS: RefCell<[Slot; AREAS]> = RefCell::new(std::array::from_fn(|_| Slot {
        memory: Aligned::zeroed(0),
        taken: false,
    }));
}

/// An area of this thread, its own until dropped.
pub(crate) struct Scratch {
    area: Area,
    start: *mut f32,
    /// Bound to its thread.
    thread: PhantomData<*mut f32>,
}

impl Scratch {
    /// At least `len` f32, aligned to a cache line, contents left from the last use. Panics where the area is in use: the
    /// memory of who holds it might be given away.
    pub(crate) fn take(area: Area, len: usize) -> Self {
        let start = SLOTS.with_borrow_mut(|slots| {
            let slot = &mut slots[area as usize];
            assert!(!slot.taken, "working memory {area:?} is in use");
            if slot.memory.len() < len {
                slot.memory = Aligned::zeroed(len.next_power_of_two());
            }
            slot.taken = true;
            slot.memory.as_mut_ptr()
        });
        Self {
            area,
            start,
            thread: PhantomData,
        }
    }

    /// The first of the elements; valid as long as this is.
    #[inline(always)]
    pub(crate) fn start(&self) -> *mut f32 {
        self.start
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A thread that ends gives all of it up.
        let _ = SLOTS.try_with(|slots| slots.borrow_mut()[self.area as usize].taken = false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_used_for_one_thing_at_a_time_and_keeps_its_memory() {
        let first = Scratch::take(Area::Panels, 100);
        let other = Scratch::take(Area::Piece, 100);
        assert_ne!(first.start(), other.start());
        let again = std::panic::catch_unwind(|| Scratch::take(Area::Panels, 1).area);
        assert!(again.is_err());
        let start = first.start();
        drop((first, other));
        let grown = Scratch::take(Area::Panels, 64);
        assert_eq!((grown.start(), grown.area), (start, Area::Panels));
    }
}
