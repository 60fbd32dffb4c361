//! Matrix products. `C [M, N] = A [M, K] · B [K, N]` is computed panel by panel: a panel is two or three vectors
//! of columns of `B`; an element of `C` is, for each block of `K` in order, one chain of
//! multiply-adds over the block, added to what is there.

pub mod bf16;
pub mod block;
#[cfg(target_arch = "x86_64")]
pub mod blocks16;
pub mod coded;
pub mod dense;
pub mod driver;
pub mod four_bits;
pub mod grid;
pub mod micro;
pub mod q8;
#[cfg(target_arch = "x86_64")]
pub mod tile16;
