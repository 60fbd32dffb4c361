//! NF4 weights: kept as 4-bit panels, decoded on the way into the product.
//!
//! A panel holds `NR = 2 L` rows of the weight (`L` lanes); for each column `k` it has `L` bytes: byte `j` carries
//! the code of row `j` in its low nibble and that of row `j + L` in its high one, so that one load and two look-ups
//! give two vectors in order. Scales are decoded to f32 once, per panel and run of columns with one scale. A
//! decoded weight is `round(table[code] * scale)`: bit for bit the value of the storage format.

use super::coded::{Coded, CodedBackward, CodedForward, LINE_BYTES, store};
use super::micro::{Tile, finish};
use crate::buffer::Aligned;
use crate::isa::Isa;
use crate::simd::Simd;
use crate::team::{Parts, Team};
use escada_engine_formats::nf4::Nf4Tensor;

/// The 16 NF4 values as f32 bits, code 0 first.
pub const NF4_BITS: [u32; 16] = [
    0xbf80_0000,
    0xbf32_39b1,
    0xbf06_6b30,
    0xbeca_32a0,
    0xbe91_a24d,
    0xbe3d_353f,
    0xbdba_7871,
    0x0000_0000,
    0x3da2_faff,
    0x3e24_cae3,
    0x3e7c_04dd,
    0x3ead_033a,
    0x3ee1_a4b8,
    0x3f10_07ab,
    0x3f39_13b3,
    0x3f80_0000,
];

/// `NF4_BITS` as numbers.
pub static NF4_TABLE: [f32; 16] = {
    let mut table = [0.0; 16];
    let mut code = 0;
    while code < 16 {
        table[code] = f32::from_bits(NF4_BITS[code]);
        code += 1;
    }
    table
};

/// Code of the value zero, for padding rows.
const ZERO_CODES: u8 = 0x77;

/// A weight `[N, K]` in NF4 panels.
pub struct Nf4Weight {
    pub rows: usize,
    pub cols: usize,
    /// Columns that share a scale in every row: the block size, or its common divisor with `K`.
    run: usize,
    /// `[N/NR, K, L] u8`
    codes: Aligned<u8>,
    /// `[N/NR, K/run, NR] f32`
    scales: Aligned<f32>,
}

impl Nf4Weight {
    /// Rearranges a stored tensor; `None` when there is no memory.
    pub fn pack(team: &Team, isa: Isa, tensor: &Nf4Tensor) -> Option<Self> {
        let (lanes, nr) = (isa.lanes(), isa.panel_columns());
        let (rows, cols) = (tensor.rows, tensor.cols);
        let panels = rows.div_ceil(nr);
        // Blocks run over the flattened tensor; where K is no multiple of the block size they start at different
        // columns in different rows, but always at multiples of the common divisor.
        let run = common_divisor(cols, tensor.blocksize).max(1);
        let mut codes = Aligned::try_zeroed(panels.checked_mul(cols)?.checked_mul(lanes)?)?;
        let mut scales = Aligned::try_zeroed(panels.checked_mul(cols / run)?.checked_mul(nr)?)?;
        let (codes_of, scales_of) = (Parts::new(&mut codes), Parts::new(&mut scales));
        team.run(panels, |panel| {
            let (c, s) = (cols * lanes, cols / run * nr);
            // SAFETY: panels are disjoint.
            let (codes, scales) = unsafe {
                (
                    codes_of.part(panel * c..(panel + 1) * c),
                    scales_of.part(panel * s..(panel + 1) * s),
                )
            };
            pack_panel(tensor, panel, run, nr, codes, scales);
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
    pub fn forward(&self) -> CodedForward<View> {
        CodedForward(self.view())
    }

    /// Source for `dY · W`.
    pub fn backward(&self) -> CodedBackward<View> {
        CodedBackward(self.view())
    }

    fn view(&self) -> View {
        View {
            codes: self.codes.as_ptr(),
            scales: self.scales.as_ptr(),
            n: self.rows,
            k: self.cols,
            run: self.run,
        }
    }

    /// Copies row `row`, decoded, to `out [cols]`.
    pub fn row(&self, isa: Isa, row: usize, out: &mut [f32]) {
        let (lanes, nr) = (isa.lanes(), isa.panel_columns());
        let (panel, inside) = (row / nr, row % nr);
        for (k, value) in out.iter_mut().enumerate() {
            let byte = self.codes[(panel * self.cols + k) * lanes + inside % lanes];
            let code = byte >> (inside / lanes * 4) & 15;
            let scale = self.scales[(panel * (self.cols / self.run) + k / self.run) * nr + inside];
            *value = NF4_TABLE[code as usize] * scale;
        }
    }
}

/// Fills one panel: `codes [K, nr/2]`, `scales [K/run, nr]`.
fn pack_panel(tensor: &Nf4Tensor, panel: usize, run: usize, nr: usize, codes: &mut [u8], scales: &mut [f32]) {
    let (lanes, cols) = (nr / 2, tensor.cols);
    codes.fill(ZERO_CODES);
    for inside in 0..nr.min(tensor.rows - panel * nr) {
        let start = (panel * nr + inside) * cols;
        let (byte, shift) = (inside % lanes, inside / lanes * 4);
        for (k, slot) in codes.iter_mut().skip(byte).step_by(lanes).enumerate() {
            let at = start + k;
            let code = tensor.packed[at / 2] >> (4 * (1 - at % 2)) & 15;
            *slot = *slot & !(15 << shift) | code << shift;
        }
        for (j, slot) in scales.iter_mut().skip(inside).step_by(nr).enumerate() {
            *slot = tensor.block_absmax((start + j * run) / tensor.blocksize);
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
pub struct View {
    codes: *const u8,
    scales: *const f32,
    n: usize,
    k: usize,
    run: usize,
}

// SAFETY: a read-only view whose memory the caller of the product keeps borrowed.
unsafe impl Send for View {}
unsafe impl Sync for View {}

impl View {
    /// Calls `each` with every run of columns of one scale in `k0 .. k0+kc`: the columns, and the two vectors of scales.
    #[inline(always)]
    unsafe fn runs<S: Simd>(
        &self,
        panel: usize,
        k0: usize,
        kc: usize,
        mut each: impl FnMut(usize, usize, S::V, S::V),
    ) {
        let (l, nr) = (S::LANES, 2 * S::LANES);
        let mut k = k0;
        while k < k0 + kc {
            let run = k / self.run;
            let end = ((run + 1) * self.run).min(k0 + kc);
            let scale = self.scales.add((panel * (self.k / self.run) + run) * nr);
            each(k, end, S::load(scale), S::load(scale.add(l)));
            k = end;
        }
    }
}

unsafe impl Coded for View {
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
        let table = S::table(NF4_TABLE.as_ptr());
        let mut codes = self.codes.add((panel * self.k + k0) * l);
        let mut to = out;
        self.runs::<S>(panel, k0, kc, |from, end, low_scale, high_scale| {
            for _ in from..end {
                let (low, high) = S::lookup(table, codes);
                store::<S, PART>(to, S::mul(low, low_scale), S::mul(high, high_scale));
                codes = codes.add(l);
                to = to.add(row);
            }
        });
    }

    #[inline(always)]
    unsafe fn fused<S: Simd, const MR: usize>(&self, panel: usize, k0: usize, t: &Tile) {
        let l = S::LANES;
        let table = S::table(NF4_TABLE.as_ptr());
        let mut acc = [[S::splat(0.0); 2]; MR];
        let mut a = t.a;
        let mut codes = self.codes.add((panel * self.k + k0) * l);
        self.runs::<S>(panel, k0, t.k, |from, end, low_scale, high_scale| {
            for _ in from..end {
                let (low, high) = S::lookup(table, codes);
                let (low, high) = (S::mul(low, low_scale), S::mul(high, high_scale));
                for (i, sums) in acc.iter_mut().enumerate() {
                    let value = S::splat(*a.add(i * t.a_row));
                    sums[0] = S::fma(value, low, sums[0]);
                    sums[1] = S::fma(value, high, sums[1]);
                }
                a = a.add(t.a_col);
                codes = codes.add(l);
            }
        });
        finish::<S, MR, 2>(&acc, t.c, t.c_row, t.n, t.alpha, t.accumulate);
    }

    #[inline(always)]
    unsafe fn prefetch<S: Simd>(&self, panel: usize, k0: usize, kc: usize) {
        let codes = self.codes.wrapping_add((panel * self.k + k0) * S::LANES);
        for line in 0..kc * S::LANES / LINE_BYTES {
            S::prefetch(codes.wrapping_add(line * LINE_BYTES).cast());
        }
    }
}
