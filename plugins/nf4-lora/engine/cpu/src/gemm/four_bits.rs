//! Weights in 4 bits, decoded on the way into the product: NF4, and GGUF's Q4_0 and Q4_1.
//!
//! A panel holds `NR = 2 L` rows of the weight (`L` lanes); for each column `k` it has `L` bytes: byte `j` carries
//! the code of row `j` in its low nibble and that of row `j + L` in its high one, so that one load and two look-ups
//! give two vectors in order. Scales are decoded to f32 once, per panel and run of columns with one scale. A decoded
//! weight is `round(table[code] * scale)`, or `round(code * scale + shift)`: bit for bit the value of the storage format.

use super::coded::{Coded, CodedBackward, CodedForward, LINE_BYTES, Sums, store};
use super::micro::Tile;
use crate::buffer::Aligned;
use crate::isa::Isa;
use crate::simd::Simd;
use crate::team::{Parts, Team};
use escada_engine_formats::nf4::Nf4Tensor;
use escada_engine_formats::nf4_tables::CODES;
use escada_engine_formats::q4::{Q4_BLOCK, Q4Tensor};
use std::marker::PhantomData;

static NF4_TABLE: [f32; 16] = CODES;
/// Codes of `SHIFTED` weights as numbers.
static CODE_TABLE: [f32; 16] = [
    0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0,
];

/// Numbers per panel and run: the scales of its rows, and behind them the shifts of `SHIFTED` ones.
const fn run_numbers(nr: usize, shifted: bool) -> usize {
    if shifted { 2 * nr } else { nr }
}

/// A weight `[N, K]` in 4-bit panels.
pub struct FourBitWeight<const SHIFTED: bool> {
    pub rows: usize,
    pub cols: usize,
    /// Columns that share a scale in every row: the block size, or its common divisor with `K`.
    run: usize,
    /// `[N/NR, K, L] u8`
    codes: Aligned<u8>,
    /// `[N/NR, K/run, NR] f32`, of `SHIFTED` ones `[N/NR, K/run, 2, NR]`: scale, shift.
    scales: Aligned<f32>,
}

/// NF4 panels.
pub type Nf4Weight = FourBitWeight<false>;
/// Panels of Q4_0 and Q4_1.
pub type Q4Weight = FourBitWeight<true>;

impl Nf4Weight {
    /// Rearranges a stored tensor; `None` when there is no memory.
    pub fn pack(team: &Team, isa: Isa, tensor: &Nf4Tensor) -> Option<Self> {
        let (rows, cols) = (tensor.rows, tensor.cols);
        // Blocks run over the flattened tensor; where K is no multiple of the block size they start at different
        // columns in different rows, but always at multiples of the common divisor.
        let run = common_divisor(cols, tensor.blocksize).max(1);
        let code = |at: usize| tensor.packed[at / 2] >> (4 * (1 - at % 2)) & 15;
        let scale = |at: usize| (tensor.block_absmax(at / tensor.blocksize), 0.0);
        Self::fill(team, isa, (rows, cols, run), code, scale)
    }
}

impl Q4Weight {
    /// Rearranges a stored tensor; `None` when there is no memory.
    pub fn pack(team: &Team, isa: Isa, tensor: &Q4Tensor) -> Option<Self> {
        let code = |at: usize| tensor.codes[at];
        let scale = |at: usize| (tensor.scales[at / Q4_BLOCK], tensor.shifts[at / Q4_BLOCK]);
        Self::fill(team, isa, (tensor.rows, tensor.cols, Q4_BLOCK), code, scale)
    }
}

impl<const SHIFTED: bool> FourBitWeight<SHIFTED> {
    /// Panels of `code(i)` and the scale and shift `scale(i)` of element `i` of the flattened weight.
    fn fill(
        team: &Team,
        isa: Isa,
        (rows, cols, run): (usize, usize, usize),
        code: impl Fn(usize) -> u8 + Sync,
        scale: impl Fn(usize) -> (f32, f32) + Sync,
    ) -> Option<Self> {
        let (lanes, nr) = (isa.lanes(), isa.panel_columns());
        let (panels, numbers) = (rows.div_ceil(nr), run_numbers(nr, SHIFTED));
        let (c, s) = (cols.checked_mul(lanes)?, (cols / run).checked_mul(numbers)?);
        let mut codes = Aligned::try_zeroed(panels.checked_mul(c)?)?;
        let mut scales = Aligned::try_zeroed(panels.checked_mul(s)?)?;
        let (codes_of, scales_of) = (Parts::new(&mut codes), Parts::new(&mut scales));
        team.run(panels, |panel| {
            // SAFETY: panels are disjoint.
            let (codes, scales) = unsafe {
                (
                    codes_of.part(panel * c..(panel + 1) * c),
                    scales_of.part(panel * s..(panel + 1) * s),
                )
            };
            for inside in 0..nr.min(rows - panel * nr) {
                let start = (panel * nr + inside) * cols;
                let (byte, half) = (inside % lanes, inside / lanes * 4);
                for (k, slot) in codes.iter_mut().skip(byte).step_by(lanes).enumerate() {
                    *slot |= code(start + k) << half;
                }
                for (j, numbers) in scales.chunks_exact_mut(numbers).enumerate() {
                    let (scale, shift) = scale(start + j * run);
                    numbers[inside] = scale;
                    if SHIFTED {
                        numbers[nr + inside] = shift;
                    }
                }
            }
        });
        Some(Self {
            rows,
            cols,
            run,
            codes,
            scales,
        })
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.codes.len() + self.scales.len() * size_of::<f32>()
    }

    /// Source for `X · Wᵀ`.
    pub fn forward(&self) -> CodedForward<View<'_, SHIFTED>> {
        CodedForward(self.view())
    }

    /// Source for `dY · W`.
    pub fn backward(&self) -> CodedBackward<View<'_, SHIFTED>> {
        CodedBackward(self.view())
    }

    fn view(&self) -> View<'_, SHIFTED> {
        View {
            codes: self.codes.as_ptr(),
            scales: self.scales.as_ptr(),
            n: self.rows,
            k: self.cols,
            run: self.run,
            weight: PhantomData,
        }
    }

    /// Copies row `row`, decoded, to `out [cols]`.
    pub fn row(&self, isa: Isa, row: usize, out: &mut [f32]) {
        let (lanes, nr) = (isa.lanes(), isa.panel_columns());
        let (panel, inside) = (row / nr, row % nr);
        for (k, value) in out.iter_mut().enumerate() {
            let byte = self.codes[(panel * self.cols + k) * lanes + inside % lanes];
            let code = byte >> (inside / lanes * 4) & 15;
            let run = panel * (self.cols / self.run) + k / self.run;
            let numbers = &self.scales[run * run_numbers(nr, SHIFTED)..];
            *value = if SHIFTED {
                f32::from(code) * numbers[inside] + numbers[nr + inside]
            } else {
                NF4_TABLE[code as usize] * numbers[inside]
            };
        }
    }
}

fn common_divisor(mut a: usize, mut b: usize) -> usize {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The codes and scales of a weight.
#[derive(Clone, Copy)]
pub struct View<'a, const SHIFTED: bool> {
    codes: *const u8,
    scales: *const f32,
    n: usize,
    k: usize,
    run: usize,
    weight: PhantomData<&'a ()>,
}

// SAFETY: a read-only view whose memory the caller of the product keeps borrowed.
unsafe impl<const SHIFTED: bool> Send for View<'_, SHIFTED> {}
unsafe impl<const SHIFTED: bool> Sync for View<'_, SHIFTED> {}

/// Scales, and shifts of `SHIFTED` weights, of the two vectors of a panel.
#[derive(Clone, Copy)]
struct Numbers<S: Simd> {
    scales: [S::V; 2],
    shifts: [S::V; 2],
}

impl<const SHIFTED: bool> View<'_, SHIFTED> {
    /// Calls `each` with every run of columns of one scale in `k0 .. k0+kc`: the columns, and their numbers.
    #[inline(always)]
    unsafe fn runs<S: Simd>(
        &self,
        panel: usize,
        k0: usize,
        kc: usize,
        mut each: impl FnMut(usize, usize, Numbers<S>),
    ) {
        let (l, nr) = (S::LANES, 2 * S::LANES);
        let mut k = k0;
        while k < k0 + kc {
            let run = k / self.run;
            let end = ((run + 1) * self.run).min(k0 + kc);
            let at = (panel * (self.k / self.run) + run) * run_numbers(nr, SHIFTED);
            let from = self.scales.add(at);
            let scales = [S::load(from), S::load(from.add(l))];
            let shifts = if SHIFTED {
                [S::load(from.add(nr)), S::load(from.add(nr + l))]
            } else {
                scales
            };
            each(k, end, Numbers { scales, shifts });
            k = end;
        }
    }

    #[inline(always)]
    unsafe fn table<S: Simd>() -> S::Table {
        let table = if SHIFTED { &CODE_TABLE } else { &NF4_TABLE };
        S::table(table.as_ptr())
    }

    /// Two vectors of weights.
    #[inline(always)]
    unsafe fn values<S: Simd>(table: S::Table, codes: *const u8, numbers: Numbers<S>) -> (S::V, S::V) {
        let ([low_scale, high_scale], [low_shift, high_shift]) = (numbers.scales, numbers.shifts);
        let (low, high) = S::lookup(table, codes);
        if SHIFTED {
            (
                S::fma(low, low_scale, low_shift),
                S::fma(high, high_scale, high_shift),
            )
        } else {
            (S::mul(low, low_scale), S::mul(high, high_scale))
        }
    }
}

unsafe impl<const SHIFTED: bool> Coded for View<'_, SHIFTED> {
    #[inline(always)]
    fn columns(&self) -> usize {
        self.k
    }

    #[inline(always)]
    fn rows(&self) -> usize {
        self.n
    }

    #[inline(always)]
    unsafe fn decode<S: Simd, const PART: u8>(
        &self,
        panel: usize,
        k0: usize,
        kc: usize,
        out: *mut f32,
        row: usize,
    ) {
        let l = S::LANES;
        let table = Self::table::<S>();
        let mut codes = self.codes.add((panel * self.k + k0) * l);
        let mut to = out;
        self.runs::<S>(panel, k0, kc, |from, end, numbers| {
            for _ in from..end {
                let (low, high) = Self::values::<S>(table, codes, numbers);
                store::<S, PART>(to, low, high);
                codes = codes.add(l);
                to = to.add(row);
            }
        });
    }

    #[inline(always)]
    unsafe fn fused<S: Simd, const MR: usize>(&self, panel: usize, k0: usize, t: &Tile) {
        let l = S::LANES;
        let table = Self::table::<S>();
        let mut sums = Sums::<S, MR>::start(t);
        let mut codes = self.codes.add((panel * self.k + k0) * l);
        self.runs::<S>(panel, k0, t.k, |from, end, numbers| {
            for _ in from..end {
                let (low, high) = Self::values::<S>(table, codes, numbers);
                sums.add(t, low, high);
                codes = codes.add(l);
            }
        });
        sums.finish(t);
    }

    #[inline(always)]
    unsafe fn prefetch<S: Simd>(&self, panel: usize, k0: usize, kc: usize) {
        let codes = self.codes.wrapping_add((panel * self.k + k0) * S::LANES);
        for line in 0..kc * S::LANES / LINE_BYTES {
            S::prefetch(codes.wrapping_add(line * LINE_BYTES).cast());
        }
    }
}
