//! NF4 against vectors made by bitsandbytes 0.50.2 on a CPU.
//!
//! First-level codes, scales and decoded values must agree bit for bit. Second-level codes follow the CUDA rule, for
//! which the vectors hold hashes too; the CPU's codes are rebuilt here to check that they are *decoded* exactly.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{f32_bytes, float, floats, json_fixture};
use escada_engine_formats::atomic::sha256_hex;
use escada_engine_formats::nf4::{BLOCKSIZES, nest_absmax, quantize};
use escada_engine_formats::nf4_tables::DYNAMIC_MAP;
use escada_engine_formats::{AbsMax, Nf4Tensor};
use half::{bf16, f16};
use serde_json::Value;

struct Case {
    golden: Value,
    rows: usize,
    cols: usize,
    blocksize: usize,
    dtype: String,
    input: Vec<f32>,
}

impl Case {
    fn label(&self) -> String {
        format!(
            "{}x{} {} blocks of {}",
            self.rows, self.cols, self.dtype, self.blocksize
        )
    }
}

/// Blocks of 64 at shapes of every kind; the other sizes at widths that they do not divide.
fn cases() -> Vec<Case> {
    let files = [
        "golden/nf4_cpu_bnb0502.json",
        "golden/nf4_blocksizes_bnb0502.json",
    ];
    let cases: Vec<Case> = files
        .iter()
        .flat_map(|file| {
            let golden = json_fixture(file);
            golden["cases"]
                .as_array()
                .expect("cases")
                .iter()
                .map(case)
                .collect::<Vec<_>>()
        })
        .collect();
    let covered = |size| cases.iter().any(|case| case.blocksize == size);
    assert!(BLOCKSIZES.into_iter().all(covered));
    cases
}

fn case(golden: &Value) -> Case {
    let size = |at: usize| golden["shape"][at].as_u64().expect("shape") as usize;
    let (rows, cols, dtype) = (
        size(0),
        size(1),
        golden["dtype"].as_str().expect("dtype").to_owned(),
    );
    let input: Vec<f32> = (0..rows * cols)
        .map(|at| stored(generated(at as u64), &dtype))
        .collect();
    assert_eq!(
        sha256_hex(&f32_bytes(&input)),
        golden["input_f32_sha256"],
        "the generator differs"
    );
    Case {
        golden: golden.clone(),
        rows,
        cols,
        blocksize: golden["blocksize"].as_u64().unwrap_or(64) as usize,
        dtype,
        input,
    }
}

/// The generator described in the golden file.
fn generated(at: u64) -> f32 {
    let u = ((at * 2_654_435_761) % (1 << 32)) >> 8;
    let v = u as f32 / (1 << 24) as f32 - 0.5;
    let gain = (1 + (at / 64) % 7) as f32;
    (v * gain) * 0.1_f32
}

fn stored(value: f32, dtype: &str) -> f32 {
    match dtype {
        "bf16" => bf16::from_f32(value).to_f32(),
        "f16" => f16::from_f32(value).to_f32(),
        _ => value,
    }
}

/// Bytes of `values` in the storage type of the case.
fn dtype_bytes(values: &[f32], dtype: &str) -> Vec<u8> {
    match dtype {
        "bf16" => values
            .iter()
            .flat_map(|value| bf16::from_f32(*value).to_le_bytes())
            .collect(),
        "f16" => values
            .iter()
            .flat_map(|value| f16::from_f32(*value).to_le_bytes())
            .collect(),
        _ => f32_bytes(values),
    }
}

fn decoded(tensor: &Nf4Tensor) -> Vec<f32> {
    let mut out = vec![f32::NAN; tensor.len()];
    tensor.decode_into(&mut out);
    out
}

fn plain_absmax(tensor: &Nf4Tensor) -> &[f32] {
    match &tensor.absmax {
        AbsMax::Plain(values) => values,
        AbsMax::Nested { .. } => panic!("expected plain scales"),
    }
}

#[test]
fn codes_scales_and_values_equal_bitsandbytes() {
    for case in cases() {
        let label = case.label();
        let tensor = quantize(&case.input, case.rows, case.cols, case.blocksize, false).unwrap();
        assert_eq!(
            sha256_hex(&tensor.packed),
            case.golden["packed_sha256"],
            "codes of {label}"
        );
        let absmax = plain_absmax(&tensor);
        assert_eq!(
            sha256_hex(&f32_bytes(absmax)),
            case.golden["absmax_f32_sha256"],
            "scales of {label}"
        );
        assert_eq!(
            &absmax[..4],
            &floats(&case.golden["first8"]["absmax"])[..4],
            "first scales of {label}"
        );
        let values = dtype_bytes(&decoded(&tensor), &case.dtype);
        assert_eq!(
            sha256_hex(&values),
            case.golden["decoded_sha256"],
            "values of {label}"
        );
    }
}

#[test]
fn second_level_codes_follow_the_nearest_rule() {
    for case in cases() {
        let label = case.label();
        let nested = &case.golden["nested"];
        let golden_offset = float(&nested["offset_hex"]);
        let tensor = quantize(&case.input, case.rows, case.cols, case.blocksize, true).unwrap();
        let AbsMax::Nested { offset, .. } = tensor.absmax else {
            panic!("expected nested scales")
        };
        // The reference sums in f32: its mean may be one of the next floats.
        assert!(
            offset.to_bits().abs_diff(golden_offset.to_bits()) <= 2,
            "offset of {label}"
        );
        let plain = quantize(&case.input, case.rows, case.cols, case.blocksize, false).unwrap();
        let absmax = nest_absmax(plain_absmax(&plain), golden_offset);
        let AbsMax::Nested {
            codes,
            absmax,
            table,
            nested_blocksize,
            ..
        } = absmax
        else {
            panic!("not nested")
        };
        // The file lists the first eight of them.
        let listed = floats(&nested["nested_absmax_hex"]);
        assert_eq!(absmax[..listed.len()], listed, "second-level scales of {label}");
        assert_eq!(
            sha256_hex(&codes),
            nested["absmax_u8_sha256_nearest"],
            "second-level codes of {label}"
        );
        assert_eq!((*table, nested_blocksize), (DYNAMIC_MAP, 256));
    }
}

#[test]
fn nested_scales_made_by_the_cpu_encoder_decode_exactly() {
    for case in cases() {
        let label = case.label();
        let golden = &case.golden["nested"];
        let mut tensor = quantize(&case.input, case.rows, case.cols, case.blocksize, false).unwrap();
        let plain = plain_absmax(&tensor).to_vec();
        let mut nested = nest_absmax(&plain, float(&golden["offset_hex"]));
        let AbsMax::Nested {
            codes,
            absmax,
            offset,
            ..
        } = &mut nested
        else {
            panic!("not nested")
        };
        for (at, code) in codes.iter_mut().enumerate() {
            *code = cpu_code((plain[at] - *offset) * (1.0 / absmax[at / 256]));
        }
        assert_eq!(
            sha256_hex(codes),
            golden["absmax_u8_sha256_cpu_lut"],
            "CPU codes of {label}"
        );
        tensor.absmax = nested;
        let values = dtype_bytes(&decoded(&tensor), &case.dtype);
        assert_eq!(
            sha256_hex(&values),
            golden["decoded_sha256_cpu"],
            "values of {label}"
        );
    }
}

/// bitsandbytes' CPU encoder: the nearest code of the centre of one of 65,536 bins.
fn cpu_code(value: f32) -> u8 {
    let bin = ((value.clamp(-1.0, 1.0) + 1.0) * 0.5 * 65_535.0 + 0.5).trunc();
    let centre = -1.0 + (2.0 * bin) / 65_535.0;
    DYNAMIC_MAP
        .windows(2)
        .filter(|pair| 0.5 * (pair[0] + pair[1]) < centre)
        .count() as u8
}

#[test]
fn thresholds_are_those_of_the_cuda_kernel() {
    let golden = json_fixture("golden/nf4_thresholds.json");
    let input = floats(&golden["input_hex"]);
    let tensor = quantize(&input, 1, input.len(), 64, false).unwrap();
    let codes: Vec<u64> = tensor
        .packed
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(u64::from)
        .collect();
    let expected: Vec<u64> = golden["codes_cuda_model"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c.as_u64().unwrap())
        .collect();
    assert_eq!(codes, expected);
}

#[test]
fn the_dynamic_map_is_the_usual_one() {
    let golden = json_fixture("golden/dynamic_maps.json");
    assert_eq!(DYNAMIC_MAP.to_vec(), floats(&golden["signed_fma"]["hex"]));
    assert_eq!(
        sha256_hex(&f32_bytes(&DYNAMIC_MAP)),
        golden["signed_fma"]["sha256_le_f32"]
    );
}

/// For bf16 sources the code must not depend on how the division is done: every pair of mantissas, scales 0 to 6
/// powers of two apart.
#[test]
fn bf16_codes_do_not_depend_on_reciprocal_or_division() {
    use escada_engine_formats::nf4_tables::THRESHOLDS;
    let count = |scaled: f32| THRESHOLDS.iter().filter(|threshold| scaled > **threshold).count();
    for largest in (0..128_u32).map(|mantissa| f32::from_bits(0x3f80_0000 | mantissa << 16)) {
        for gap in 0..7 {
            for mantissa in 0..128_u32 {
                let value = f32::from_bits(((127 - gap) << 23) | mantissa << 16);
                let reciprocal = 1.0 / largest;
                let neighbours = [
                    reciprocal.to_bits() - 1,
                    reciprocal.to_bits(),
                    reciprocal.to_bits() + 1,
                ];
                for sign in [1.0, -1.0] {
                    let divided = count(sign * value / largest);
                    let all = neighbours.map(|bits| count(sign * value * f32::from_bits(bits)));
                    assert_eq!(all, [divided; 3], "{value} / {largest}");
                }
            }
        }
    }
}
