//! Working memory that stays with its thread, so that kernels do not allocate once they have run.

use crate::buffer::Aligned;
use std::cell::RefCell;

/// Independent areas per thread.
pub const AREAS: usize = 6;

thread_local! {
    static MEMORY: RefCell<[Aligned<f32>; AREAS]> = RefCell::new(std::array::from_fn(|_| Aligned::zeroed(0)));
}

/// At least `len` f32 of this thread's area `area`, aligned to a cache line, contents left from the last use.
/// Valid until the next call for the same area by the same thread.
pub fn with_scratch(area: usize, len: usize) -> *mut f32 {
    MEMORY.with_borrow_mut(|areas| {
        if areas[area].len() < len {
            areas[area] = Aligned::zeroed(len.next_power_of_two());
        }
        areas[area].as_mut_ptr()
    })
}
