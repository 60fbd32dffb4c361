//! NEON: 4 lanes, part of every 64-bit ARM.

use super::Simd;
use crate::gemm::micro::{Tile, tile_body};
use std::arch::aarch64::*;
use std::arch::asm;

/// Advanced SIMD of AArch64.
#[derive(Clone, Copy)]
pub struct Neon;

/// Which of four codes a byte of four lanes looks up, and which byte of its entry.
const LANE_OF_BYTE: [u8; 16] = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3];
const BYTE_OF_ENTRY: [u8; 16] = [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3];

/// The entries of `codes` (0..=15, each four times): byte `b` of entry `c` is byte `4*c + b` of the table.
#[inline(always)]
unsafe fn entries(table: uint8x16x4_t, codes: uint8x16_t) -> float32x4_t {
    let index = vsliq_n_u8::<2>(vld1q_u8(BYTE_OF_ENTRY.as_ptr()), codes);
    vreinterpretq_f32_u8(vqtbl4q_u8(table, index))
}

/// `[a0, a1, b0, b1]` and `[a2, a3, b2, b3]`.
#[inline(always)]
unsafe fn halves(a: float32x4_t, b: float32x4_t) -> (float32x4_t, float32x4_t) {
    let (a, b) = (vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b));
    (
        vreinterpretq_f32_f64(vtrn1q_f64(a, b)),
        vreinterpretq_f32_f64(vtrn2q_f64(a, b)),
    )
}

impl Simd for Neon {
    type V = float32x4_t;
    type Table = uint8x16x4_t;
    const LANES: usize = 4;
    // Of 32 registers the table takes four: twelve rows would leave too few for codes and scales.
    const MR: usize = 8;
    const PANEL: usize = 3;
    const STRIP: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        vdupq_n_f32(x)
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> float32x4_t {
        vld1q_f32(p)
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: float32x4_t) {
        vst1q_f32(p, v)
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> float32x4_t {
        let zero = vdup_n_f32(0.0);
        match n {
            0 => vcombine_f32(zero, zero),
            1 => vcombine_f32(vld1_lane_f32::<0>(p, zero), zero),
            2 => vcombine_f32(vld1_f32(p), zero),
            3 => vcombine_f32(vld1_f32(p), vld1_lane_f32::<0>(p.add(2), zero)),
            _ => vld1q_f32(p),
        }
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, v: float32x4_t, n: usize) {
        match n {
            0 => {}
            1 => vst1q_lane_f32::<0>(p, v),
            2 => vst1_f32(p, vget_low_f32(v)),
            3 => {
                vst1_f32(p, vget_low_f32(v));
                vst1q_lane_f32::<2>(p.add(2), v);
            }
            _ => vst1q_f32(p, v),
        }
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vaddq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vsubq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vmulq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vdivq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        vfmaq_f32(c, a, b)
    }
    #[inline(always)]
    unsafe fn fnma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        vfmsq_f32(c, a, b)
    }
    // `fmax` and `fmin` give NaN when either is, `fmaxnm` and `fminnm` the other: neither keeps the second.
    #[inline(always)]
    unsafe fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vbslq_f32(vcgtq_f32(a, b), a, b)
    }
    #[inline(always)]
    unsafe fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vbslq_f32(vcltq_f32(a, b), a, b)
    }
    #[inline(always)]
    unsafe fn sqrt(a: float32x4_t) -> float32x4_t {
        vsqrtq_f32(a)
    }
    #[inline(always)]
    unsafe fn round(a: float32x4_t) -> float32x4_t {
        vrndnq_f32(a)
    }
    #[inline(always)]
    unsafe fn pow2(a: float32x4_t) -> float32x4_t {
        let bits = vaddq_s32(vcvtq_s32_f32(a), vdupq_n_s32(127));
        vreinterpretq_f32_s32(vshlq_n_s32::<23>(bits))
    }
    #[inline(always)]
    unsafe fn select_less(a: float32x4_t, b: float32x4_t, x: float32x4_t, y: float32x4_t) -> float32x4_t {
        vbslq_f32(vcltq_f32(a, b), x, y)
    }
    #[inline(always)]
    unsafe fn reduce_sum(a: float32x4_t) -> f32 {
        // Not `vaddvq`, whose order of addition is the compiler's.
        let pair = vadd_f32(vget_low_f32(a), vget_high_f32(a));
        vget_lane_f32::<0>(pair) + vget_lane_f32::<1>(pair)
    }
    #[inline(always)]
    unsafe fn reduce_max(a: float32x4_t) -> f32 {
        vmaxvq_f32(a)
    }
    #[inline(always)]
    unsafe fn table(p: *const f32) -> uint8x16x4_t {
        vld1q_u8_x4(p.cast())
    }
    #[inline(always)]
    unsafe fn lookup(table: uint8x16x4_t, p: *const u8) -> (float32x4_t, float32x4_t) {
        let four = vreinterpretq_u8_u32(vdupq_n_u32(p.cast::<u32>().read_unaligned()));
        let bytes = vqtbl1q_u8(four, vld1q_u8(LANE_OF_BYTE.as_ptr()));
        (
            entries(table, vandq_u8(bytes, vdupq_n_u8(15))),
            entries(table, vshrq_n_u8::<4>(bytes)),
        )
    }
    #[inline(always)]
    unsafe fn from_bytes(p: *const i8) -> float32x4_t {
        let bytes = vreinterpret_s8_u32(vdup_n_u32(p.cast::<u32>().read_unaligned()));
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes))))
    }
    #[inline(always)]
    unsafe fn widen(p: *const u16) -> float32x4_t {
        vreinterpretq_f32_u32(vshlq_n_u32::<16>(vmovl_u16(vld1_u16(p))))
    }
    #[inline(always)]
    unsafe fn transpose(src: *const f32, src_ld: usize, dst: *mut f32, dst_ld: usize) {
        let (r0, r1) = (vld1q_f32(src), vld1q_f32(src.add(src_ld)));
        let (r2, r3) = (vld1q_f32(src.add(2 * src_ld)), vld1q_f32(src.add(3 * src_ld)));
        // Even columns of two rows, then odd ones; column j and column j+2 side by side.
        let (c0, c2) = halves(vtrn1q_f32(r0, r1), vtrn1q_f32(r2, r3));
        let (c1, c3) = halves(vtrn2q_f32(r0, r1), vtrn2q_f32(r2, r3));
        vst1q_f32(dst, c0);
        vst1q_f32(dst.add(dst_ld), c1);
        vst1q_f32(dst.add(2 * dst_ld), c2);
        vst1q_f32(dst.add(3 * dst_ld), c3);
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        asm!("prfm pldl1keep, [{}]", in(reg) p, options(nostack, preserves_flags, readonly));
    }
    #[inline(always)]
    unsafe fn prefetch_far(p: *const f32) {
        asm!("prfm pldl2keep, [{}]", in(reg) p, options(nostack, preserves_flags, readonly));
    }
    #[inline(always)]
    unsafe fn pack_strip(src: *const f32, ld: usize, k: usize, dst: *mut f32) {
        let whole = k / 4 * 4;
        for p in (0..whole).step_by(4) {
            let to = dst.add(p * Self::STRIP);
            for i in (0..Self::STRIP).step_by(4) {
                Self::transpose(src.add(i * ld + p), ld, to.add(i), Self::STRIP);
            }
        }
        for p in whole..k {
            for i in 0..Self::STRIP {
                *dst.add(p * Self::STRIP + i) = *src.add(i * ld + p);
            }
        }
    }
    #[inline(always)]
    unsafe fn tile(t: &Tile) {
        whole_tile(t)
    }
}

#[inline(never)]
#[target_feature(enable = "neon")]
unsafe fn whole_tile(t: &Tile) {
    tile_body::<Neon>(t)
}
