//! Zeroed memory on cache-line boundaries.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

mod sealed {
    pub trait Sealed {}
}

/// Numbers for which zero bytes are a value and every value may be written over: the ones that are kept here.
pub trait Plain: sealed::Sealed + Copy + Send + Sync + 'static {}

macro_rules! plain {
    ($($number:ty),*) => {$(
        impl sealed::Sealed for $number {}
        impl Plain for $number {}
    )*};
}
plain!(u8, i8, u16, u32, f32);

/// Bytes of a cache line.
const ALIGN: usize = 64;

/// `[len]` plain numbers, aligned to 64 bytes.
pub struct Aligned<T: Plain> {
    data: NonNull<T>,
    len: usize,
}

// SAFETY: owns its memory as a Vec does.
unsafe impl<T: Plain> Send for Aligned<T> {}
unsafe impl<T: Plain> Sync for Aligned<T> {}

impl<T: Plain> Aligned<T> {
    /// `[len]` zeroes, or `None` when the memory is not to be had.
    pub fn try_zeroed(len: usize) -> Option<Self> {
        let layout = Self::layout(len)?;
        // SAFETY: the layout is never empty, and zero bytes are a value of `Plain` numbers.
        let data = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Self {
            data: data.cast(),
            len,
        })
    }

    /// `[len]` zeroes; ends the process as `Vec` does when there is no memory.
    pub fn zeroed(len: usize) -> Self {
        match Self::try_zeroed(len) {
            Some(memory) => memory,
            None => handle_alloc_error(Layout::new::<T>()),
        }
    }

    fn layout(len: usize) -> Option<Layout> {
        let bytes = len.checked_mul(size_of::<T>())?.max(ALIGN);
        Layout::from_size_align(bytes, ALIGN).ok()
    }
}

impl<T: Plain> Drop for Aligned<T> {
    fn drop(&mut self) {
        if let Some(layout) = Self::layout(self.len) {
            // SAFETY: allocated with the same layout.
            unsafe { dealloc(self.data.as_ptr().cast(), layout) }
        }
    }
}

impl<T: Plain> Deref for Aligned<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: owned, initialised, `len` long.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }
}

impl<T: Plain> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: owned, initialised, `len` long.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), self.len) }
    }
}
