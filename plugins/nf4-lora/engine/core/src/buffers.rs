//! Device memory that is kept between steps and grows when a longer batch comes.

use crate::backend::Backend;
use escada_engine_formats::error::Result;

/// An `f32` buffer that never shrinks.
pub struct Growing<B: Backend> {
    buffer: B::Buffer,
}

impl<B: Backend> Growing<B> {
    /// Empty; takes memory at the first `reserve`.
    pub fn new(backend: &B) -> Result<Self> {
        Ok(Self {
            buffer: backend.alloc(0)?,
        })
    }

    /// Makes room for `len` elements. Old contents are lost when it has to grow.
    pub fn reserve(&mut self, backend: &B, len: usize) -> Result<()> {
        if backend.len(&self.buffer) < len {
            // The old memory goes first: the peak is then the new size, not the sum.
            self.buffer = backend.alloc(0)?;
            self.buffer = backend.alloc(len)?;
        }
        Ok(())
    }
}

impl<B: Backend> std::ops::Deref for Growing<B> {
    type Target = B::Buffer;
    fn deref(&self) -> &B::Buffer {
        &self.buffer
    }
}

impl<B: Backend> std::ops::DerefMut for Growing<B> {
    fn deref_mut(&mut self) -> &mut B::Buffer {
        &mut self.buffer
    }
}

/// A `u32` index that never shrinks.
pub struct GrowingIndex<B: Backend> {
    index: B::Index,
}

impl<B: Backend> GrowingIndex<B> {
    pub fn new(backend: &B) -> Result<Self> {
        Ok(Self {
            index: backend.alloc_index(0)?,
        })
    }

    /// Replaces the contents by `data`, which is at the start of a possibly longer index.
    pub fn set(&mut self, backend: &B, data: &[u32]) -> Result<()> {
        self.reserve(backend, data.len())?;
        backend.upload_index(data, &mut self.index)
    }

    /// Makes room for `len` elements. Old contents are lost when it has to grow.
    pub fn reserve(&mut self, backend: &B, len: usize) -> Result<()> {
        if backend.index_len(&self.index) < len {
            self.index = backend.alloc_index(len)?;
        }
        Ok(())
    }
}

impl<B: Backend> std::ops::Deref for GrowingIndex<B> {
    type Target = B::Index;
    fn deref(&self) -> &B::Index {
        &self.index
    }
}

impl<B: Backend> std::ops::DerefMut for GrowingIndex<B> {
    fn deref_mut(&mut self) -> &mut B::Index {
        &mut self.index
    }
}
