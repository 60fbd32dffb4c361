//! Plain Rust on arrays of four: runs everywhere, never fuses.

use super::Simd;
use crate::gemm::micro::{Tile, tile_body};

/// No special instruction set.
#[derive(Clone, Copy)]
pub struct Portable;

const L: usize = 4;
type V = [f32; L];

#[inline(always)]
fn map2(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Simd for Portable {
    type V = V;
    type Table = [f32; 16];
    const LANES: usize = L;
    const MR: usize = 4;
    const PANEL: usize = 2;
    const STRIP: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> V {
        [x; L]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> V {
        p.cast::<V>().read_unaligned()
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: V) {
        p.cast::<V>().write_unaligned(v)
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> V {
        let mut v = [0.0; L];
        for (i, x) in v.iter_mut().enumerate().take(n) {
            *x = *p.add(i);
        }
        v
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, v: V, n: usize) {
        for (i, x) in v.iter().enumerate().take(n) {
            *p.add(i) = *x;
        }
    }
    #[inline(always)]
    unsafe fn add(a: V, b: V) -> V {
        map2(a, b, |x, y| x + y)
    }
    #[inline(always)]
    unsafe fn sub(a: V, b: V) -> V {
        map2(a, b, |x, y| x - y)
    }
    #[inline(always)]
    unsafe fn mul(a: V, b: V) -> V {
        map2(a, b, |x, y| x * y)
    }
    #[inline(always)]
    unsafe fn div(a: V, b: V) -> V {
        map2(a, b, |x, y| x / y)
    }
    #[inline(always)]
    unsafe fn fma(a: V, b: V, c: V) -> V {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn fnma(a: V, b: V, c: V) -> V {
        std::array::from_fn(|i| c[i] - a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn max(a: V, b: V) -> V {
        map2(a, b, |x, y| if x > y { x } else { y })
    }
    #[inline(always)]
    unsafe fn min(a: V, b: V) -> V {
        map2(a, b, |x, y| if x < y { x } else { y })
    }
    #[inline(always)]
    unsafe fn sqrt(a: V) -> V {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    unsafe fn round(a: V) -> V {
        // Adding 1.5 * 2^23 leaves no fraction bits: the sum itself rounds, ties to even.
        const SHIFT: f32 = 12_582_912.0;
        a.map(|x| (x + SHIFT) - SHIFT)
    }
    #[inline(always)]
    unsafe fn pow2(a: V) -> V {
        a.map(|x| f32::from_bits(((x as i32).wrapping_add(127) as u32) << 23))
    }
    #[inline(always)]
    unsafe fn select_less(a: V, b: V, x: V, y: V) -> V {
        std::array::from_fn(|i| if a[i] < b[i] { x[i] } else { y[i] })
    }
    #[inline(always)]
    unsafe fn reduce_sum(a: V) -> f32 {
        (a[0] + a[2]) + (a[1] + a[3])
    }
    #[inline(always)]
    unsafe fn reduce_max(a: V) -> f32 {
        let larger = |x: f32, y: f32| if x > y { x } else { y };
        larger(larger(a[0], a[2]), larger(a[1], a[3]))
    }
    #[inline(always)]
    unsafe fn table(p: *const f32) -> [f32; 16] {
        p.cast::<[f32; 16]>().read_unaligned()
    }
    #[inline(always)]
    unsafe fn lookup(table: [f32; 16], p: *const u8) -> (V, V) {
        let low = std::array::from_fn(|i| table[(*p.add(i) & 15) as usize]);
        let high = std::array::from_fn(|i| table[(*p.add(i) >> 4) as usize]);
        (low, high)
    }
    #[inline(always)]
    unsafe fn from_bytes(p: *const i8) -> V {
        std::array::from_fn(|i| f32::from(*p.add(i)))
    }
    #[inline(always)]
    unsafe fn widen(p: *const u16) -> V {
        std::array::from_fn(|i| f32::from_bits(u32::from(*p.add(i)) << 16))
    }
    #[inline(always)]
    unsafe fn transpose(src: *const f32, src_ld: usize, dst: *mut f32, dst_ld: usize) {
        for i in 0..L {
            for j in 0..L {
                *dst.add(j * dst_ld + i) = *src.add(i * src_ld + j);
            }
        }
    }
    #[inline(always)]
    unsafe fn tile(t: &Tile) {
        whole_tile(t)
    }
}

#[inline(never)]
unsafe fn whole_tile(t: &Tile) {
    tile_body::<Portable>(t)
}
