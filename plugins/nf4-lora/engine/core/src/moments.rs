//! Where the optimizer's moments lie: f32 or, for tensors that are large enough, 8-bit codes with block scales.

use crate::backend::MOMENT_BLOCK;
use crate::lora::LoraTensor;
use crate::train_config::Optim;

/// Smaller tensors keep f32 moments, as in bitsandbytes.
const LEAST_8BIT_ELEMENTS: usize = 4096;

/// The moments of one trainable tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct MomentSlot {
    pub name: String,
    pub rows: usize,
    pub cols: usize,
    /// First element among the parameters.
    pub offset: usize,
    pub eight_bit: bool,
    /// First element among the f32 moments, or among the codes.
    pub at: usize,
    /// First block among the scales (8-bit only).
    pub block: usize,
}

impl MomentSlot {
    /// Elements of the tensor.
    pub fn len(&self) -> usize {
        self.rows * self.cols
    }

    /// Never true for a slot of a layout.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Blocks of scales.
    pub fn blocks(&self) -> usize {
        self.len().div_ceil(MOMENT_BLOCK)
    }
}

/// Slots of all trainable tensors, and the sizes of the buffers they lie in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MomentLayout {
    pub slots: Vec<MomentSlot>,
    /// f32 elements per moment.
    pub full: usize,
    /// 8-bit elements per moment.
    pub codes: usize,
    /// Scales per moment.
    pub blocks: usize,
}

impl MomentLayout {
    /// Lays out the moments of `tensors`, in their order.
    pub fn new(tensors: &[LoraTensor], optim: Optim) -> Self {
        let mut layout = Self::default();
        for tensor in tensors {
            let len = tensor.rows * tensor.cols;
            let eight_bit = optim.eight_bit() && len >= LEAST_8BIT_ELEMENTS;
            let slot = MomentSlot {
                name: tensor.name.clone(),
                rows: tensor.rows,
                cols: tensor.cols,
                offset: tensor.offset,
                eight_bit,
                at: if eight_bit { layout.codes } else { layout.full },
                block: layout.blocks,
            };
            if eight_bit {
                layout.codes += len;
                layout.blocks += slot.blocks();
            } else {
                layout.full += len;
            }
            layout.slots.push(slot);
        }
        layout
    }

    /// Neighbouring f32 tensors as one range `(first parameter, first moment, length)`: one call instead of hundreds.
    pub fn full_runs(&self) -> Vec<(usize, usize, usize)> {
        let mut runs: Vec<(usize, usize, usize)> = Vec::new();
        for slot in self.slots.iter().filter(|slot| !slot.eight_bit) {
            match runs.last_mut() {
                Some((offset, at, len)) if *offset + *len == slot.offset && *at + *len == slot.at => {
                    *len += slot.len();
                }
                _ => runs.push((slot.offset, slot.at, slot.len())),
            }
        }
        runs
    }

    /// Bytes of both moments.
    pub fn bytes(&self) -> usize {
        2 * (self.full * size_of::<f32>() + self.codes + self.blocks * size_of::<f32>())
    }
}

/// One moment of all tensors on the host.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Moment {
    /// `[layout.full] f32`
    pub full: Vec<f32>,
    /// `[layout.codes] u8`
    pub codes: Vec<u8>,
    /// `[layout.blocks] f32`
    pub scales: Vec<f32>,
}

impl Moment {
    /// The moment of a run that has not begun; a fresh 8-bit block is code 0 with scale 0, as in bitsandbytes.
    pub fn fresh(layout: &MomentLayout) -> Self {
        Self {
            full: vec![0.0; layout.full],
            codes: vec![0; layout.codes],
            scales: vec![0.0; layout.blocks],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, offset: usize, rows: usize, cols: usize) -> LoraTensor {
        LoraTensor {
            name: name.to_owned(),
            offset,
            rows,
            cols,
        }
    }

    #[test]
    fn small_tensors_stay_f32_and_neighbours_join() {
        let tensors = [
            tensor("a", 0, 1, 4095),
            tensor("b", 4095, 2, 2048),
            tensor("c", 8191, 1, 4097),
            tensor("d", 12288, 1, 7),
            tensor("e", 12295, 1, 5),
        ];
        let eight = MomentLayout::new(&tensors, Optim::Adamw8bit);
        let kinds: Vec<bool> = eight.slots.iter().map(|slot| slot.eight_bit).collect();
        assert_eq!(kinds, [false, true, true, false, false]);
        assert_eq!(eight.full_runs(), [(0, 0, 4095), (12288, 4095, 12)]);
        assert_eq!((eight.codes, eight.blocks), (4096 + 4097, 16 + 17));
        let full = MomentLayout::new(&tensors, Optim::AdamwTorch);
        assert_eq!(full.full_runs(), [(0, 0, 12300)]);
        assert_eq!(full.bytes(), 2 * 4 * 12300);
    }
}
