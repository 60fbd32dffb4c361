//! Embeddings against transformers (`test/parity/make_embedding_goldens.py`), and their independence of each other.
#![allow(clippy::unwrap_used)]

mod common;

use escada_engine_core::adapter_file;
use escada_engine_core::backend::Backend;
use escada_engine_core::embed::embed;
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_core::reference::Reference;
use escada_engine_core::row_adapters::RowAdapters;
use escada_engine_core::shape::ModelShape;
use escada_engine_core::testing::{random_adapter, random_model, tiny_shape};
use escada_engine_cpu::CpuBackend;
use escada_engine_formats::error::Code;
use serde::Deserialize;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Norm of the difference over the norm: the limit that every implementation must keep.
const LIMIT: f64 = 1e-5;
const F32: Quantization = Quantization {
    format: WeightFormat::F32,
    block_size: 64,
    double_quant: false,
};

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    base: Vec<f32>,
    /// Absent for the real model, which has no adapter.
    adapted: Option<Vec<f32>>,
}

fn cases(file: &str) -> Vec<Case> {
    serde_json::from_value(common::json_fixture(file)["texts"].clone()).unwrap()
}

fn loaded<B: Backend>(backend: &B, path: &Path) -> Loaded<B> {
    Loaded::open(backend, path, F32).unwrap()
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

fn close(what: &str, ours: &[f32], theirs: &[f32]) {
    let difference = norm(ours.iter().zip(theirs).map(|(a, b)| f64::from(a - b)));
    let relative = difference / norm(theirs.iter().map(|x| f64::from(*x)));
    assert!(
        ours.len() == theirs.len() && relative <= LIMIT,
        "{what}: {relative}"
    );
}

fn check<B: Backend>(backend: &B, model: &str) {
    let loaded = loaded(backend, &common::fixture(model));
    let folder = common::fixture(model).join("adapter");
    let adapter = adapter_file::load(backend, &loaded.model.shape, &folder).unwrap();
    let cases = cases(&format!("{model}/golden-embed.json"));
    let texts: Vec<Vec<u32>> = cases
        .iter()
        .map(|case| loaded.text(&case.text).unwrap())
        .collect();
    let flag = AtomicBool::new(false);
    let run = |adapter| {
        let values = embed(
            backend,
            &loaded.model,
            adapter,
            &texts,
            false,
            &mut |_, _| (),
            &flag,
        )
        .unwrap();
        let rows = values.chunks(loaded.model.shape.hidden).map(<[f32]>::to_vec);
        rows.collect::<Vec<_>>()
    };
    let (base, adapted) = (run(None), run(Some(&adapter)));
    assert!(cases.len() > 3);
    for (i, case) in cases.iter().enumerate() {
        assert_eq!(texts[i], case.ids, "{model}: {}", case.text);
        close(model, &base[i], &case.base);
        close(model, &adapted[i], case.adapted.as_ref().unwrap());
    }
}

#[test]
fn tiny_families_on_the_reference() {
    for model in ["tiny-llama", "tiny-llama3", "tiny-mistral", "tiny-qwen2"] {
        check(&Reference, model);
    }
}

#[test]
fn tiny_families_on_the_cpu() {
    for model in ["tiny-llama", "tiny-llama3", "tiny-mistral", "tiny-qwen2"] {
        check(&CpuBackend::new(2).unwrap(), model);
    }
}

#[test]
fn smollm2() {
    let Some(path) = common::real_model("embeddings of SmolLM2") else {
        return;
    };
    let backend = CpuBackend::new(2).unwrap();
    let loaded = loaded(&backend, &path);
    let cases = cases("smollm2/embeddings.json");
    let texts: Vec<Vec<u32>> = cases
        .iter()
        .map(|case| loaded.text(&case.text).unwrap())
        .collect();
    let flag = AtomicBool::new(false);
    let values = embed(
        &backend,
        &loaded.model,
        None,
        &texts,
        false,
        &mut |_, _| (),
        &flag,
    )
    .unwrap();
    for ((case, ids), ours) in cases.iter().zip(&texts).zip(values.chunks(576)) {
        assert_eq!(*ids, case.ids, "{}", case.text);
        close(&case.text, ours, &case.base);
    }
}

/// Lengths around the size of a pass, 512.
fn texts() -> Vec<Vec<u32>> {
    let text =
        |(i, length): (usize, &usize)| (0..*length).map(move |j| ((i * 5 + j * j + 3 * j) % 37) as u32);
    let lengths = [3, 900, 1, 40, 512, 513, 40, 7, 300];
    lengths
        .iter()
        .enumerate()
        .map(|case| text(case).collect())
        .collect()
}

#[test]
fn a_text_is_embedded_alike_in_any_company() {
    let shape = ModelShape {
        context_tokens: 1024,
        ..tiny_shape()
    };
    let (texts, flag) = (texts(), AtomicBool::new(false));
    let run = |threads: usize, order: &[usize], normalize: bool| {
        let backend = CpuBackend::new(threads).unwrap();
        let model = random_model(&backend, shape.clone(), 7).unwrap();
        let adapter = random_adapter(&backend, &shape, 3, 11).unwrap();
        let choice = order.iter().map(|i| (i % 3 == 0).then_some(0)).collect();
        let texts: Vec<Vec<u32>> = order.iter().map(|&i| texts[i].clone()).collect();
        let mut seen = (0, 0);
        let values = embed(
            &backend,
            &model,
            RowAdapters::new(vec![&adapter], choice),
            &texts,
            normalize,
            &mut |done, tokens| seen = (done, tokens),
            &flag,
        )
        .unwrap();
        assert_eq!(seen, (order.len(), texts.iter().map(Vec::len).sum()));
        values.chunks(20).map(<[f32]>::to_vec).collect::<Vec<_>>()
    };
    let all = run(2, &[0, 1, 2, 3, 4, 5, 6, 7, 8], false);
    let shuffled = [4, 8, 0, 7, 2, 6, 1, 3, 5];
    for (row, &i) in run(1, &shuffled, false).iter().zip(&shuffled) {
        assert_eq!(row, &all[i]);
    }
    for (i, row) in all.iter().enumerate() {
        assert_eq!(run(1, &[i], false)[0], *row, "text {i} alone");
        let unit = &run(1, &[i], true)[0];
        assert!((norm(unit.iter().map(|x| f64::from(*x))) - 1.0).abs() < 1e-6);
        let factor = norm(row.iter().map(|x| f64::from(*x)));
        let scaled: Vec<f32> = row.iter().map(|x| (f64::from(*x) / factor) as f32).collect();
        close("normalized", unit, &scaled);
    }
}

#[test]
fn texts_that_cannot_be_embedded_are_named() {
    let model = random_model(&Reference, tiny_shape(), 7).unwrap();
    for (text, part) in [
        (vec![], "request 2, text: it has no tokens"),
        (vec![1; 65], "65 tokens"),
    ] {
        let (texts, flag) = (vec![vec![1], text], AtomicBool::new(false));
        let error = embed(&Reference, &model, None, &texts, false, &mut |_, _| (), &flag).unwrap_err();
        assert_eq!(error.code, Code::RequestInvalid);
        assert!(error.message.contains(part), "{error}");
    }
    let cancelled = AtomicBool::new(true);
    let error = embed(
        &Reference,
        &model,
        None,
        &[vec![1]],
        false,
        &mut |_, _| (),
        &cancelled,
    );
    assert_eq!(error.unwrap_err().code, Code::Cancelled);
}
