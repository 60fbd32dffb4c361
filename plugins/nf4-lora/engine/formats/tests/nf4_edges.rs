//! NF4 outside the usual: ragged and zero blocks, odd counts, extreme scales, refusals.
#![allow(clippy::unwrap_used)]

use escada_engine_formats::nf4::{BLOCKSIZES, quantize};
use escada_engine_formats::nf4_tables::{CODES, DYNAMIC_MAP};
use escada_engine_formats::{AbsMax, Code, Nf4Tensor};

fn decoded(tensor: &Nf4Tensor) -> Vec<f32> {
    let mut out = vec![f32::NAN; tensor.len()];
    tensor.decode_into(&mut out);
    out
}

#[test]
fn every_code_decodes_to_one_rounded_product() {
    let packed: Vec<u8> = (0..8_u8).map(|at| (2 * at) << 4 | (2 * at + 1)).collect();
    for absmax in [1.0, f32::MIN_POSITIVE, 1e-38, 65_504.0, 3e38, 0.0, 0.123_456_79] {
        let tensor = Nf4Tensor {
            rows: 1,
            cols: 16,
            blocksize: 64,
            packed: packed.clone(),
            absmax: AbsMax::Plain(vec![absmax]),
        };
        let expected = CODES.map(|code| code * absmax);
        assert_eq!(
            decoded(&tensor).iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
            expected.map(f32::to_bits)
        );
    }
}

#[test]
fn ragged_blocks_have_their_own_scale_and_pad_with_seven() {
    for count in [1, 2, 31, 33, 63, 64, 65, 129, 3700] {
        let values: Vec<f32> = (0..count)
            .map(|at| ((at * 37 % 101) as f32 - 50.0) / 50.0)
            .collect();
        let tensor = quantize(&values, 1, count, 64, false).unwrap();
        assert_eq!(
            (tensor.packed.len(), tensor.absmax.blocks()),
            (count.div_ceil(2), count.div_ceil(64))
        );
        if count % 2 == 1 {
            assert_eq!(tensor.packed.last().map(|byte| byte & 15), Some(7), "{count}");
        }
        for (block, values) in values.chunks(64).enumerate() {
            let largest = values
                .iter()
                .fold(0.0_f32, |largest, value| largest.max(value.abs()));
            assert_eq!(tensor.block_absmax(block), largest, "{count}");
        }
        for (value, back) in values.iter().zip(decoded(&tensor)) {
            assert!((value - back).abs() <= 0.16, "{value} became {back} of {count}");
        }
    }
}

#[test]
fn rows_decode_like_the_whole_even_where_blocks_cross_them() {
    let (rows, cols) = (87, 101);
    let values: Vec<f32> = (0..rows * cols).map(|at| (at as f32 * 0.7).sin()).collect();
    for blocksize in BLOCKSIZES {
        for double in [false, true] {
            let tensor = quantize(&values, rows, cols, blocksize, double).unwrap();
            assert_eq!(tensor.absmax.is_nested(), double);
            let (whole, mut row) = (decoded(&tensor), vec![0.0; cols]);
            for (at, expected) in whole.chunks(cols).enumerate() {
                tensor.decode_row_into(at, &mut row);
                assert_eq!(row, expected, "row {at}, blocks of {blocksize}");
            }
        }
    }
}

#[test]
fn zero_blocks_stay_zero_even_with_double_quantization() {
    let mut values = vec![0.05; 64 * 8];
    values[64..128].fill(0.0);
    let tensor = quantize(&values, 8, 64, 64, true).unwrap();
    assert!(tensor.packed[32..64].iter().all(|byte| *byte == 0x77));
    assert!(decoded(&tensor)[64..128].iter().all(|value| *value == 0.0));
    let zero = quantize(&[0.0; 64], 1, 64, 64, true).unwrap();
    assert_eq!(decoded(&zero), [0.0; 64]);
}

#[test]
fn zero_blocks_written_by_cuda_are_read_as_they_are() {
    let mut tensor = quantize(&[0.0; 64], 1, 64, 64, false).unwrap();
    tensor.packed.fill(0);
    assert!(
        decoded(&tensor)
            .iter()
            .all(|value| value.to_bits() == (-0.0_f32).to_bits())
    );
}

#[test]
fn the_table_of_the_file_is_used_for_nested_scales() {
    let mut table = Box::new([0.0; 256]);
    table[3] = 0.5;
    let absmax = AbsMax::Nested {
        codes: vec![3],
        table,
        absmax: vec![2.0],
        offset: 0.25,
        nested_blocksize: 256,
    };
    assert_eq!(absmax.value(0), 1.25);
}

#[test]
fn tiny_scales_do_not_overflow() {
    let mut values = [0.0; 64];
    values[0] = f32::from_bits(1);
    values[1] = -1e-39;
    let tensor = quantize(&values, 1, 64, 64, false).unwrap();
    assert!(decoded(&tensor).iter().all(|value| value.is_finite()));
    assert_eq!(decoded(&tensor)[2..], [0.0; 62]);
}

#[test]
fn nan_and_infinity_are_refused_with_their_place() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN] {
        let mut values = vec![0.1; 300];
        values[299] = bad;
        let error = quantize(&values, 1, 300, 64, true).err().unwrap();
        assert_eq!(error.code, Code::NonFinite);
        assert!(error.message.contains("256"), "{}", error.message);
    }
}

#[test]
fn bad_requests_name_the_field() {
    for blocksize in [0, 1, 2, 3, 16, 31, 63, 96, 100, 2047, 8192] {
        let error = quantize(&[0.0; 4], 2, 2, blocksize, false).err().unwrap();
        assert_eq!(error.code, Code::RequestInvalid);
        assert!(error.message.contains("blockSize") && error.message.contains("2048, 4096"));
    }
    assert!(quantize(&[0.0; 5], 2, 2, 64, false).is_err());
    assert!(quantize(&[0.0; 4], usize::MAX, usize::MAX, 64, false).is_err());
}

/// Second-level codes against a plain search over all entries: the nearest value wins, a tie goes to the even code.
#[test]
fn second_level_codes_are_the_nearest() {
    let values: Vec<f32> = (0..512 * 64)
        .map(|at| {
            if at % 64 == 0 {
                1.0 + (at as f32).sin()
            } else {
                0.0
            }
        })
        .collect();
    let tensor = quantize(&values, 512, 64, 64, true).unwrap();
    let AbsMax::Nested {
        codes,
        absmax,
        offset,
        ..
    } = &tensor.absmax
    else {
        panic!("not nested")
    };
    for (block, code) in codes.iter().enumerate() {
        let scaled = (values[block * 64] - offset) * (1.0 / absmax[block / 256]);
        let distance = |entry: f32| (f64::from(entry) - f64::from(scaled)).abs();
        let best = DYNAMIC_MAP
            .iter()
            .copied()
            .map(distance)
            .fold(f64::INFINITY, f64::min);
        assert!(distance(DYNAMIC_MAP[usize::from(*code)]) <= best + 1e-7);
    }
}
