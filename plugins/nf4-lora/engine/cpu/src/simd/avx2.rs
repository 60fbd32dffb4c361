//! AVX2 with FMA: 8 lanes.

use super::Simd;
use crate::gemm::micro::{Tile, tile_body};
use std::arch::x86_64::*;

/// AVX2 and FMA.
#[derive(Clone, Copy)]
pub struct Avx2Fma;

/// All-ones lanes below `n` when read from `8 - n`.
static FIRST_LANES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

#[inline(always)]
unsafe fn first(n: usize) -> __m256i {
    _mm256_loadu_si256(FIRST_LANES.as_ptr().add(8 - n).cast())
}

/// Sum of 8 lanes in a fixed tree.
#[inline(always)]
pub(super) unsafe fn sum8(a: __m256) -> f32 {
    let quad = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
    let pair = _mm_add_ps(quad, _mm_movehl_ps(quad, quad));
    _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps::<1>(pair, pair)))
}

/// Largest of 8 lanes.
#[inline(always)]
pub(super) unsafe fn max8(a: __m256) -> f32 {
    let quad = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
    let pair = _mm_max_ps(quad, _mm_movehl_ps(quad, quad));
    _mm_cvtss_f32(_mm_max_ss(pair, _mm_shuffle_ps::<1>(pair, pair)))
}

#[inline(always)]
unsafe fn lookup8(table: (__m256, __m256), index: __m256i) -> __m256 {
    // Bit 3 of the index moved to the sign chooses the half; the permutation reads bits 0..2.
    let half = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(index));
    let low = _mm256_permutevar8x32_ps(table.0, index);
    let high = _mm256_permutevar8x32_ps(table.1, index);
    _mm256_blendv_ps(low, high, half)
}

impl Simd for Avx2Fma {
    type V = __m256;
    type Table = (__m256, __m256);
    const LANES: usize = 8;
    const MR: usize = 6;
    const PANEL: usize = 2;
    const STRIP: usize = 6;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        _mm256_set1_ps(x)
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m256 {
        _mm256_loadu_ps(p)
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m256) {
        _mm256_storeu_ps(p, v)
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> __m256 {
        _mm256_maskload_ps(p, first(n))
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, v: __m256, n: usize) {
        _mm256_maskstore_ps(p, first(n), v)
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        _mm256_add_ps(a, b)
    }
    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        _mm256_sub_ps(a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        _mm256_mul_ps(a, b)
    }
    #[inline(always)]
    unsafe fn div(a: __m256, b: __m256) -> __m256 {
        _mm256_div_ps(a, b)
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        _mm256_fmadd_ps(a, b, c)
    }
    #[inline(always)]
    unsafe fn fnma(a: __m256, b: __m256, c: __m256) -> __m256 {
        _mm256_fnmadd_ps(a, b, c)
    }
    #[inline(always)]
    unsafe fn max(a: __m256, b: __m256) -> __m256 {
        _mm256_max_ps(a, b)
    }
    #[inline(always)]
    unsafe fn min(a: __m256, b: __m256) -> __m256 {
        _mm256_min_ps(a, b)
    }
    #[inline(always)]
    unsafe fn sqrt(a: __m256) -> __m256 {
        _mm256_sqrt_ps(a)
    }
    #[inline(always)]
    unsafe fn round(a: __m256) -> __m256 {
        _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a)
    }
    #[inline(always)]
    unsafe fn pow2(a: __m256) -> __m256 {
        let bits = _mm256_add_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(127));
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(bits))
    }
    #[inline(always)]
    unsafe fn select_less(a: __m256, b: __m256, x: __m256, y: __m256) -> __m256 {
        _mm256_blendv_ps(y, x, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b))
    }
    #[inline(always)]
    unsafe fn reduce_sum(a: __m256) -> f32 {
        sum8(a)
    }
    #[inline(always)]
    unsafe fn reduce_max(a: __m256) -> f32 {
        max8(a)
    }
    #[inline(always)]
    unsafe fn table(p: *const f32) -> (__m256, __m256) {
        (_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8)))
    }
    #[inline(always)]
    unsafe fn lookup(table: (__m256, __m256), p: *const u8) -> (__m256, __m256) {
        let bytes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(p.cast()));
        (
            lookup8(table, bytes),
            lookup8(table, _mm256_srli_epi32::<4>(bytes)),
        )
    }
    #[inline(always)]
    unsafe fn from_bytes(p: *const i8) -> __m256 {
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p.cast())))
    }
    #[inline(always)]
    unsafe fn widen(p: *const u16) -> __m256 {
        let halves = _mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast()));
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(halves))
    }
    #[allow(clippy::needless_range_loop)]
    #[inline(always)]
    unsafe fn transpose(src: *const f32, src_ld: usize, dst: *mut f32, dst_ld: usize) {
        let zero = _mm256_setzero_ps();
        // half[h][j]: columns j (low lane) and 4+j (high lane) of rows 4h..4h+4.
        let mut half = [[zero; 4]; 2];
        for (h, out) in half.iter_mut().enumerate() {
            let row = src.add(4 * h * src_ld);
            let r0 = _mm256_loadu_ps(row);
            let r1 = _mm256_loadu_ps(row.add(src_ld));
            let r2 = _mm256_loadu_ps(row.add(2 * src_ld));
            let r3 = _mm256_loadu_ps(row.add(3 * src_ld));
            let t0 = _mm256_castps_pd(_mm256_unpacklo_ps(r0, r1));
            let t1 = _mm256_castps_pd(_mm256_unpackhi_ps(r0, r1));
            let t2 = _mm256_castps_pd(_mm256_unpacklo_ps(r2, r3));
            let t3 = _mm256_castps_pd(_mm256_unpackhi_ps(r2, r3));
            out[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(t0, t2));
            out[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(t0, t2));
            out[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(t1, t3));
            out[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(t1, t3));
        }
        for j in 0..4 {
            _mm256_storeu_ps(
                dst.add(j * dst_ld),
                _mm256_permute2f128_ps::<0x20>(half[0][j], half[1][j]),
            );
            _mm256_storeu_ps(
                dst.add((4 + j) * dst_ld),
                _mm256_permute2f128_ps::<0x31>(half[0][j], half[1][j]),
            );
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
    unsafe fn tile(t: &Tile) {
        whole_tile(t)
    }
}

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn whole_tile(t: &Tile) {
    tile_body::<Avx2Fma>(t)
}
