//! Elementary functions against values rounded from 400 bits (made with mpmath), and the same bits on every machine.
#![allow(clippy::unwrap_used)]

mod common;

use common::json_fixture;
use escada_engine_formats::math::{cos, exp, pow, sin};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Arguments and value of every row, by function.
fn table() -> BTreeMap<String, Vec<Vec<f64>>> {
    let rows: BTreeMap<String, Vec<Vec<String>>> =
        serde_json::from_value(json_fixture("math/elementary.json")).unwrap();
    let number = |hex: &String| f64::from_bits(u64::from_str_radix(hex, 16).unwrap());
    let numbers = |rows: Vec<Vec<String>>| rows.iter().map(|row| row.iter().map(number).collect()).collect();
    rows.into_iter()
        .map(|(name, rows)| (name, numbers(rows)))
        .collect()
}

fn compute(name: &str, row: &[f64]) -> f64 {
    match name {
        "sin" => sin(row[0]),
        "cos" => cos(row[0]),
        "exp" => exp(row[0]),
        _ => pow(row[0], row[1]),
    }
}

/// How many numbers lie between two of one sign.
fn distance(a: f64, b: f64) -> u64 {
    if a == b {
        return 0;
    }
    assert_eq!(a.is_sign_negative(), b.is_sign_negative(), "{a} and {b}");
    a.to_bits().abs_diff(b.to_bits())
}

#[test]
fn values_are_at_most_a_unit_in_the_last_place_off_powers_two() {
    for (name, rows) in table() {
        let bound = if name == "pow" { 2 } else { 1 };
        assert!(rows.len() > 70, "{name}");
        for row in rows {
            let (arguments, wanted) = row.split_at(row.len() - 1);
            let found = compute(&name, arguments);
            let off = distance(found, wanted[0]);
            assert!(
                off <= bound,
                "{name} {arguments:?}: {found} is {off} off {}",
                wanted[0]
            );
        }
    }
}

/// The digest holds on every platform: what is computed from these functions has the same bits wherever it is computed.
#[test]
fn the_bits_are_those_of_every_other_machine() {
    let mut hash = Sha256::new();
    for (name, rows) in table() {
        for row in rows {
            hash.update(compute(&name, &row[..row.len() - 1]).to_bits().to_le_bytes());
        }
    }
    let digest = escada_engine_formats::atomic::hex(&hash.finalize());
    assert_eq!(
        digest,
        "446d360f5750c70efe61a4b3c5c1a2f489773243f1a60a1418ade4a2bb2954a9"
    );
}

#[test]
fn edges_are_exact() {
    assert_eq!(
        (sin(0.0), cos(0.0), exp(0.0), pow(2.0, 10.0)),
        (0.0, 1.0, 1.0, 1024.0)
    );
    assert_eq!((pow(0.0, 3.0), pow(7.0, 0.0), pow(1.0, 123.4)), (0.0, 1.0, 1.0));
    assert_eq!((exp(1000.0), exp(-1000.0)), (f64::INFINITY, 0.0));
    assert_eq!(pow(10.0, 400.0), f64::INFINITY);
    assert!(exp(-720.0) > 0.0 && exp(709.7).is_finite());
    let nan = f64::NAN;
    let undefined = [
        sin(f64::INFINITY),
        cos(nan),
        exp(nan),
        pow(-1.0, 0.5),
        pow(2.0, nan),
    ];
    assert!(undefined.iter().all(|value| value.is_nan()), "{undefined:?}");
}
