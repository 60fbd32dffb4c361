//! One trait for the vector operations the kernels need, implemented per instruction-set class.
//!
//! Kernels are `#[inline(always)]` functions generic over `Simd`; `simd_entry!` wraps each entry point in one function
//! per class that carries the matching `#[target_feature]`, into which everything below it is inlined.

use crate::gemm::micro::Tile;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2Fma;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
pub use portable::Portable;

/// Vector operations on f32.
///
/// # Safety
/// Every method needs a machine that has the instruction set; pointers must be valid for the lanes touched (no
/// alignment is needed).
#[allow(clippy::missing_safety_doc)]
pub trait Simd: Copy + 'static {
    /// `LANES` f32.
    type V: Copy;
    /// A 16-entry f32 look-up table.
    type Table: Copy;
    /// f32 per vector.
    const LANES: usize;
    /// Rows of the tallest micro-kernel, of two vectors.
    const MR: usize;
    /// Vectors of a working panel (`Isa::panel_vectors`).
    const PANEL: usize;
    /// Rows of a packed strip: with `PANEL` vectors they fill the registers.
    const STRIP: usize;

    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    /// First `n <= LANES` lanes, the others zero.
    unsafe fn load_first(p: *const f32, n: usize) -> Self::V;
    /// First `n <= LANES` lanes.
    unsafe fn store_first(p: *mut f32, v: Self::V, n: usize);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// `a*b + c`, fused where the class fuses.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c - a*b`, fused where the class fuses.
    unsafe fn fnma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Larger value; `b` when either is NaN.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// Smaller value; `b` when either is NaN.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sqrt(a: Self::V) -> Self::V;
    /// Nearest integer, ties to even; `|a| < 2^22`.
    unsafe fn round(a: Self::V) -> Self::V;
    /// `2^a` for integral `a` in -126..=127.
    unsafe fn pow2(a: Self::V) -> Self::V;
    /// Lane-wise `a < b ? x : y`.
    unsafe fn select_less(a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// Sum of the lanes in a fixed tree.
    unsafe fn reduce_sum(a: Self::V) -> f32;
    /// Largest lane; no NaN expected.
    unsafe fn reduce_max(a: Self::V) -> f32;
    /// Loads a table of 16.
    unsafe fn table(p: *const f32) -> Self::Table;
    /// Looks up `LANES` bytes: the low nibbles, then the high nibbles.
    unsafe fn lookup(table: Self::Table, p: *const u8) -> (Self::V, Self::V);
    /// `LANES` signed bytes as f32.
    unsafe fn from_bytes(p: *const i8) -> Self::V;
    /// `LANES` bfloat16 values as f32.
    unsafe fn widen(p: *const u16) -> Self::V;
    /// `dst[j*dst_ld + i] = src[i*src_ld + j]` for a square of `LANES`.
    unsafe fn transpose(src: *const f32, src_ld: usize, dst: *mut f32, dst_ld: usize);
    /// Asks for the cache line at `p`, which may be any address.
    #[inline(always)]
    unsafe fn prefetch(_p: *const f32) {}
    /// Asks for the cache line at `p` in the second-level cache.
    #[inline(always)]
    unsafe fn prefetch_far(_p: *const f32) {}
    /// `dst[p*STRIP + i] = src[i*ld + p]` for `STRIP` rows and `k` columns.
    #[inline(always)]
    unsafe fn pack_strip(src: *const f32, ld: usize, k: usize, dst: *mut f32) {
        for p in 0..k {
            for i in 0..Self::STRIP {
                *dst.add(p * Self::STRIP + i) = *src.add(i * ld + p);
            }
        }
    }
    /// `gemm::micro::tile_body` of the class: a call, because a copy of all its kernels at every use would multiply
    /// the code.
    unsafe fn tile(t: &Tile);
}

/// Declares entry points: `simd_entry! { pub unsafe fn name(arg: Type) = body; }` makes
/// `name(isa, arg)` call `body::<S>(arg)` compiled for that class.
#[macro_export]
macro_rules! simd_entry {
    ($($(#[$meta:meta])* $vis:vis unsafe fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident;)*) => {$(
        $(#[$meta])*
        ///
        /// # Safety
        /// Pointers must be valid for the shapes given, and the machine must have `isa`.
        #[allow(clippy::too_many_arguments)]
        $vis unsafe fn $name(isa: $crate::isa::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx512($($arg: $ty),*) $(-> $ret)? {
                $body::<$crate::simd::Avx512>($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx2($($arg: $ty),*) $(-> $ret)? {
                $body::<$crate::simd::Avx2Fma>($($arg),*)
            }
            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn neon($($arg: $ty),*) $(-> $ret)? {
                $body::<$crate::simd::Neon>($($arg),*)
            }
            match isa {
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx512 => avx512($($arg),*),
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx2Fma => avx2($($arg),*),
                #[cfg(target_arch = "aarch64")]
                $crate::isa::Isa::Neon => neon($($arg),*),
                _ => $body::<$crate::simd::Portable>($($arg),*),
            }
        }
    )*};
}
