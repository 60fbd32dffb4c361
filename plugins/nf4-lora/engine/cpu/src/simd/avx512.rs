//! AVX-512: 16 lanes.

use super::Simd;
use crate::gemm::micro::{Tile, tile_body};
use std::arch::x86_64::*;

/// AVX-512 F/BW/DQ/VL.
#[derive(Clone, Copy)]
pub struct Avx512;

#[inline(always)]
fn first(n: usize) -> __mmask16 {
    ((1u32 << n) - 1) as __mmask16
}

impl Simd for Avx512 {
    type V = __m512;
    type Table = __m512;
    const LANES: usize = 16;
    const MR: usize = 12;
    const PANEL: usize = 3;
    const STRIP: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        _mm512_set1_ps(x)
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m512 {
        _mm512_loadu_ps(p)
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m512) {
        _mm512_storeu_ps(p, v)
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> __m512 {
        _mm512_maskz_loadu_ps(first(n), p)
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, v: __m512, n: usize) {
        _mm512_mask_storeu_ps(p, first(n), v)
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        _mm512_add_ps(a, b)
    }
    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        _mm512_sub_ps(a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        _mm512_mul_ps(a, b)
    }
    #[inline(always)]
    unsafe fn div(a: __m512, b: __m512) -> __m512 {
        _mm512_div_ps(a, b)
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fmadd_ps(a, b, c)
    }
    #[inline(always)]
    unsafe fn fnma(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fnmadd_ps(a, b, c)
    }
    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        _mm512_max_ps(a, b)
    }
    #[inline(always)]
    unsafe fn min(a: __m512, b: __m512) -> __m512 {
        _mm512_min_ps(a, b)
    }
    #[inline(always)]
    unsafe fn sqrt(a: __m512) -> __m512 {
        _mm512_sqrt_ps(a)
    }
    #[inline(always)]
    unsafe fn round(a: __m512) -> __m512 {
        _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a)
    }
    #[inline(always)]
    unsafe fn pow2(a: __m512) -> __m512 {
        let bits = _mm512_add_epi32(_mm512_cvtps_epi32(a), _mm512_set1_epi32(127));
        _mm512_castsi512_ps(_mm512_slli_epi32::<23>(bits))
    }
    #[inline(always)]
    unsafe fn select_less(a: __m512, b: __m512, x: __m512, y: __m512) -> __m512 {
        _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), y, x)
    }
    #[inline(always)]
    unsafe fn reduce_sum(a: __m512) -> f32 {
        let half = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a));
        super::avx2::sum8(half)
    }
    #[inline(always)]
    unsafe fn reduce_max(a: __m512) -> f32 {
        let half = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a));
        super::avx2::max8(half)
    }
    #[inline(always)]
    unsafe fn table(p: *const f32) -> __m512 {
        _mm512_loadu_ps(p)
    }
    #[inline(always)]
    unsafe fn lookup(table: __m512, p: *const u8) -> (__m512, __m512) {
        // The permutation reads the low four bits of an index only, so that nothing has to be masked off.
        let bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(p.cast()));
        let high = _mm512_srli_epi32::<4>(bytes);
        (
            _mm512_permutexvar_ps(bytes, table),
            _mm512_permutexvar_ps(high, table),
        )
    }
    #[inline(always)]
    unsafe fn from_bytes(p: *const i8) -> __m512 {
        _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p.cast())))
    }
    #[inline(always)]
    unsafe fn widen(p: *const u16) -> __m512 {
        let halves = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast()));
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(halves))
    }
    #[allow(clippy::needless_range_loop)]
    #[inline(always)]
    unsafe fn transpose(src: *const f32, src_ld: usize, dst: *mut f32, dst_ld: usize) {
        // Lane l of quads[g][j] holds column 4l+j of rows 4g..4g+4.
        let zero = _mm512_setzero_ps();
        let mut quads = [[zero; 4]; 4];
        for (g, out) in quads.iter_mut().enumerate() {
            *out = quad(src.add(4 * g * src_ld), src_ld);
        }
        for j in 0..4 {
            let v0 = _mm512_shuffle_f32x4::<0x44>(quads[0][j], quads[1][j]);
            let v1 = _mm512_shuffle_f32x4::<0xEE>(quads[0][j], quads[1][j]);
            let v2 = _mm512_shuffle_f32x4::<0x44>(quads[2][j], quads[3][j]);
            let v3 = _mm512_shuffle_f32x4::<0xEE>(quads[2][j], quads[3][j]);
            _mm512_storeu_ps(dst.add(j * dst_ld), _mm512_shuffle_f32x4::<0x88>(v0, v2));
            _mm512_storeu_ps(dst.add((4 + j) * dst_ld), _mm512_shuffle_f32x4::<0xDD>(v0, v2));
            _mm512_storeu_ps(dst.add((8 + j) * dst_ld), _mm512_shuffle_f32x4::<0x88>(v1, v3));
            _mm512_storeu_ps(dst.add((12 + j) * dst_ld), _mm512_shuffle_f32x4::<0xDD>(v1, v3));
        }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        _mm_prefetch::<_MM_HINT_T0>(p.cast());
    }
    #[inline(always)]
    unsafe fn prefetch_far(p: *const f32) {
        _mm_prefetch::<_MM_HINT_T1>(p.cast());
    }
    #[inline(always)]
    unsafe fn pack_strip(src: *const f32, ld: usize, k: usize, dst: *mut f32) {
        // Lanes 0 and 1 of both sources in turn, and lanes 2 and 3.
        let low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
        let high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
        let whole = k / 16 * 16;
        for p in (0..whole).step_by(16) {
            let (top, bottom) = (quad(src.add(p), ld), quad(src.add(4 * ld + p), ld));
            for j in 0..4 {
                let (a, b) = (_mm512_castps_pd(top[j]), _mm512_castps_pd(bottom[j]));
                for (lane, order) in [(0, low), (2, high)] {
                    let v = _mm512_castpd_ps(_mm512_permutex2var_pd(a, order, b));
                    let column = |l: usize| dst.add((p + 4 * l + j) * Self::STRIP);
                    _mm256_storeu_ps(column(lane), _mm512_castps512_ps256(v));
                    _mm256_storeu_ps(column(lane + 1), _mm512_extractf32x8_ps::<1>(v));
                }
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

/// Four rows of 16 columns: lane l of element j holds column 4l+j of the four.
#[inline(always)]
unsafe fn quad(src: *const f32, ld: usize) -> [__m512; 4] {
    let r0 = _mm512_loadu_ps(src);
    let r1 = _mm512_loadu_ps(src.add(ld));
    let r2 = _mm512_loadu_ps(src.add(2 * ld));
    let r3 = _mm512_loadu_ps(src.add(3 * ld));
    let t0 = _mm512_castps_pd(_mm512_unpacklo_ps(r0, r1));
    let t1 = _mm512_castps_pd(_mm512_unpackhi_ps(r0, r1));
    let t2 = _mm512_castps_pd(_mm512_unpacklo_ps(r2, r3));
    let t3 = _mm512_castps_pd(_mm512_unpackhi_ps(r2, r3));
    [
        _mm512_castpd_ps(_mm512_unpacklo_pd(t0, t2)),
        _mm512_castpd_ps(_mm512_unpackhi_pd(t0, t2)),
        _mm512_castpd_ps(_mm512_unpacklo_pd(t1, t3)),
        _mm512_castpd_ps(_mm512_unpackhi_pd(t1, t3)),
    ]
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn whole_tile(t: &Tile) {
    tile_body::<Avx512>(t)
}
