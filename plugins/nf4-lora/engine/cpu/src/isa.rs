//! Instruction-set classes: chosen once at run time, part of every digest because rounding differs between them.

/// Instruction-set class of a back end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 F/BW/DQ/VL: 16 lanes, fused multiply-add.
    Avx512,
    /// AVX2 and FMA: 8 lanes, fused multiply-add.
    Avx2Fma,
    /// NEON of 64-bit ARM: 4 lanes, fused multiply-add.
    Neon,
    /// Plain Rust, 4 lanes, product and sum rounded separately.
    Portable,
}

impl Isa {
    /// Every class, the fastest first.
    pub const ALL: [Isa; 4] = [Isa::Avx512, Isa::Avx2Fma, Isa::Neon, Isa::Portable];

    /// Fastest class of this machine.
    pub fn detect() -> Isa {
        Self::ALL
            .into_iter()
            .find(|isa| isa.available())
            .unwrap_or(Isa::Portable)
    }

    /// Whether this machine can run the class.
    pub fn available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && Isa::Avx2Fma.available()
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2Fma => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx512 | Isa::Avx2Fma => false,
            Isa::Neon => cfg!(target_arch = "aarch64"),
            Isa::Portable => true,
        }
    }

    /// Name used in digests: equal names give equal bits.
    pub fn class_name(self) -> &'static str {
        match self {
            Isa::Avx512 => "x86-64-avx512",
            Isa::Avx2Fma => "x86-64-avx2",
            Isa::Neon => "aarch64-neon",
            Isa::Portable => "portable",
        }
    }

    /// f32 lanes of a vector.
    pub fn lanes(self) -> usize {
        match self {
            Isa::Avx512 => 16,
            Isa::Avx2Fma => 8,
            Isa::Neon | Isa::Portable => 4,
        }
    }

    /// Rows of a stored weight's panel (`NR`, two vectors).
    pub fn panel_columns(self) -> usize {
        2 * self.lanes()
    }

    /// Most rows of a product that go straight from the stored panels: `MR` of the class.
    pub fn direct_rows(self) -> usize {
        match self {
            Isa::Avx512 => 12,
            Isa::Avx2Fma => 6,
            Isa::Neon => 8,
            Isa::Portable => 4,
        }
    }

    /// Vectors of a working panel: as wide as the registers allow, so that a value of `A` serves many columns.
    pub fn panel_vectors(self) -> usize {
        match self {
            Isa::Avx512 | Isa::Neon => 3,
            Isa::Avx2Fma | Isa::Portable => 2,
        }
    }
}
