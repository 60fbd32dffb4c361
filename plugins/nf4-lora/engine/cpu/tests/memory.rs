//! Memory that the system does not give is a failure of its own, not a broken engine.
#![allow(clippy::unwrap_used)]

use escada_engine_core::backend::Backend;
use escada_engine_cpu::CpuBackend;
use escada_engine_formats::error::Code;

#[test]
fn memory_that_is_not_to_be_had_has_a_code_of_its_own() {
    let backend = CpuBackend::new(1).unwrap();
    // More than the address space holds, and more than it can count.
    for len in [1 << 46, usize::MAX / 2] {
        let codes = [
            backend.alloc(len).err(),
            backend.alloc_index(len).err(),
            backend.alloc_bytes(len.saturating_mul(4)).err(),
        ];
        for error in codes {
            let error = error.unwrap();
            assert_eq!(error.code, Code::NoMemory, "{error}");
            assert_eq!(error.code.name(), "ENGINE_OUT_OF_MEMORY");
            assert!(error.message.contains("free some"), "{error}");
        }
    }
}
