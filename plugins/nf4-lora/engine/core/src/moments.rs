//! Where the optimizer's moments lie: f32 or, for tensors that are large enough, 8-bit codes with block scales.

use crate::backend::MOMENT_BLOCK;
use crate::parameters::{Parameter, Role};
use crate::train_config::Optim;

/// Smaller tensors keep f32 moments, as in bitsandbytes.
const LEAST_8BIT_ELEMENTS: usize = 4096;

/// The moments of one trainable tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct MomentSlot {
    pub parameter: Parameter,
    pub eight_bit: bool,
    /// First element among the f32 moments, or among the codes.
    pub at: usize,
    /// First block among the scales (8-bit only).
    pub block: usize,
}

impl MomentSlot {
    /// Whether weight decay applies.
    pub fn decays(&self) -> bool {
        self.parameter.role != Role::Vector
    }

    /// Blocks of scales.
    pub fn blocks(&self) -> usize {
        self.parameter.len().div_ceil(MOMENT_BLOCK)
    }
}

/// Parameters `offset .. offset+len` whose f32 moments are `at .. at+len`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullRun {
    pub offset: usize,
    pub at: usize,
    pub len: usize,
    pub decays: bool,
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
    /// Lays out the moments of `parameters`, in their order.
    pub fn new(parameters: &[Parameter], optim: Optim) -> Self {
        let mut layout = Self::default();
        for parameter in parameters {
            let len = parameter.len();
            let large = parameter.role != Role::Embedding && len >= LEAST_8BIT_ELEMENTS;
            let eight_bit = optim.eight_bit() && large;
            let slot = MomentSlot {
                parameter: parameter.clone(),
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

    /// Neighbouring f32 tensors of one kind as one range: one call instead of hundreds.
    pub fn full_runs(&self) -> Vec<FullRun> {
        let mut runs: Vec<FullRun> = Vec::new();
        for slot in self.slots.iter().filter(|slot| !slot.eight_bit) {
            let (offset, len, decays) = (slot.parameter.offset, slot.parameter.len(), slot.decays());
            match runs.last_mut() {
                Some(run)
                    if run.offset + run.len == offset
                        && run.at + run.len == slot.at
                        && run.decays == decays =>
                {
                    run.len += len;
                }
                _ => runs.push(FullRun {
                    offset,
                    at: slot.at,
                    len,
                    decays,
                }),
            }
        }
        runs
    }

    /// Trainable values.
    pub fn parameters(&self) -> usize {
        self.full + self.codes
    }

    /// Elements of the largest tensor.
    pub fn largest(&self) -> usize {
        self.slots
            .iter()
            .map(|slot| slot.parameter.len())
            .max()
            .unwrap_or(0)
    }

    /// Bytes of both moments.
    pub fn bytes(&self) -> usize {
        2 * (self.full * size_of::<f32>() + self.codes + self.blocks * size_of::<f32>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, offset: usize, rows: usize, cols: usize) -> Parameter {
        Parameter {
            name: name.to_owned(),
            offset,
            rows,
            cols,
            role: Role::Matrix,
        }
    }

    fn runs(layout: &MomentLayout) -> Vec<(usize, usize, usize)> {
        let of = |run: &FullRun| (run.offset, run.at, run.len);
        layout.full_runs().iter().map(of).collect()
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
        assert_eq!(runs(&eight), [(0, 0, 4095), (12288, 4095, 12)]);
        assert_eq!((eight.codes, eight.blocks), (4096 + 4097, 16 + 17));
        let full = MomentLayout::new(&tensors, Optim::AdamwTorch);
        assert_eq!(runs(&full), [(0, 0, 12300)]);
        assert_eq!(full.bytes(), 2 * 4 * 12300);
    }

    #[test]
    fn embeddings_keep_f32_moments_and_vectors_do_not_decay() {
        let of = |role, offset, rows, cols| Parameter {
            role,
            ..tensor("x", offset, rows, cols)
        };
        let parameters = [
            of(Role::Embedding, 0, 64, 128),
            of(Role::Matrix, 8192, 64, 128),
            of(Role::Vector, 16384, 1, 128),
            of(Role::Vector, 16512, 1, 128),
        ];
        let eight = MomentLayout::new(&parameters, Optim::Adamw8bit);
        assert_eq!(
            (eight.full, eight.codes, eight.largest()),
            (8192 + 256, 8192, 8192)
        );
        assert_eq!(runs(&eight), [(0, 0, 8192), (16384, 8192, 256)]);
        let full = MomentLayout::new(&parameters, Optim::AdamwTorch);
        let decays: Vec<bool> = full.full_runs().iter().map(|run| run.decays).collect();
        assert_eq!(
            (runs(&full), decays),
            (vec![(0, 0, 16384), (16384, 16384, 256)], vec![true, false])
        );
    }
}
