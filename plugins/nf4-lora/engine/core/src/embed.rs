//! Embeddings: the mean of a text's final hidden states.

use crate::backend::Backend;
use crate::control::Control;
use crate::decoder::{Decoder, Feed, PASS_TOKENS};
use crate::lora::Adapter;
use crate::model::Model;
use crate::row_adapters::RowAdapters;
use escada_engine_formats::error::{Code, EngineError, Result};

/// Embeddings `[texts, C]` f32 of tokenized texts, in order: the mean over a text's tokens of the hidden states behind
/// the last norm, added in f64; with `normalize` divided by its Euclidean length. `progress` gets (texts done, tokens).
///
/// A text's embedding depends on its tokens and its adapter only, not on the other texts.
/// Errors: `RequestInvalid` for a text without tokens or beyond the context; `Cancelled`.
pub fn embed<'a, B: Backend>(
    backend: &B,
    model: &Model<B>,
    adapters: impl Into<RowAdapters<'a, B>>,
    texts: &[Vec<u32>],
    normalize: bool,
    progress: &mut dyn FnMut(usize, usize),
    control: impl Into<Control<'a>>,
) -> Result<Vec<f32>> {
    let control = control.into();
    check(texts, model.shape.context_tokens)?;
    let c = model.shape.hidden;
    let mut embeddings = vec![0.0; texts.len() * c];
    let (mut done, mut tokens) = (0, 0);
    for group in adapters.into().groups(texts.len()) {
        let mut rows = group.rows;
        // Equally long texts lie side by side, so that the cache of a pass has no gaps.
        rows.sort_by_key(|&row| std::cmp::Reverse(texts[row].len()));
        for rows in passes(&rows, texts) {
            control.poll(|| format!("embedding, with {done} rows done"))?;
            let own: Vec<&[u32]> = rows.iter().map(|&row| texts[row].as_slice()).collect();
            let sums = sums(backend, model, group.adapter, &own, control)?;
            for ((row, text), sum) in rows.iter().zip(&own).zip(sums.chunks(c)) {
                write_mean(sum, text.len(), normalize, &mut embeddings[row * c..][..c]);
                tokens += text.len();
            }
            done += rows.len();
            progress(done, tokens);
        }
    }
    Ok(embeddings)
}

fn check(texts: &[Vec<u32>], context: usize) -> Result<()> {
    let refuse = |row: usize, what: String| {
        let message = format!("request {}, text: {what}", row + 1);
        Err(EngineError::new(Code::RequestInvalid, message))
    };
    for (row, text) in texts.iter().enumerate() {
        if text.is_empty() {
            return refuse(row, "it has no tokens; leave it out".to_owned());
        }
        if text.len() > context {
            let n = text.len();
            return refuse(
                row,
                format!("{n} tokens do not fit the context of {context}; embed it in parts"),
            );
        }
    }
    Ok(())
}

/// Cuts `rows`, longest first, into passes; the cache of one holds `PASS_TOKENS` tokens, or one longer text.
fn passes<'r>(rows: &'r [usize], texts: &[Vec<u32>]) -> Vec<&'r [usize]> {
    let mut passes = Vec::new();
    let mut rest = rows;
    while let Some(&first) = rest.first() {
        let count = (PASS_TOKENS / texts[first].len()).clamp(1, rest.len());
        let (pass, others) = rest.split_at(count);
        passes.push(pass);
        rest = others;
    }
    passes
}

/// Sums `[texts, C]` of the hidden states of each text's tokens.
fn sums<B: Backend>(
    backend: &B,
    model: &Model<B>,
    adapter: Option<&Adapter<B>>,
    texts: &[&[u32]],
    control: Control<'_>,
) -> Result<Vec<f64>> {
    let c = model.shape.hidden;
    let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
    let mut decoder = Decoder::with_control(backend, model, adapter, &[], (texts.len(), longest), control)?;
    let mut sums = vec![0.0; texts.len() * c];
    // More than one round only for a text longer than a pass, which then is alone.
    for before in (0..longest).step_by(PASS_TOKENS) {
        let feeds: Vec<Feed<'_>> = texts
            .iter()
            .enumerate()
            .map(|(slot, text)| Feed {
                slot,
                before,
                tokens: &text[before..text.len().min(before + PASS_TOKENS)],
            })
            .collect();
        decoder.feed(&feeds)?;
        let hidden = decoder.hidden(feeds.iter().map(|feed| feed.tokens.len()).sum())?;
        let mut tokens = hidden.chunks(c);
        for feed in &feeds {
            let sum = &mut sums[feed.slot * c..][..c];
            for token in tokens.by_ref().take(feed.tokens.len()) {
                sum.iter_mut()
                    .zip(token)
                    .for_each(|(sum, x)| *sum += f64::from(*x));
            }
        }
    }
    Ok(sums)
}

fn write_mean(sum: &[f64], tokens: usize, normalize: bool, out: &mut [f32]) {
    let length = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
    let divisor = if normalize && length > 0.0 {
        length
    } else {
        tokens as f64
    };
    for (out, x) in out.iter_mut().zip(sum) {
        *out = (x / divisor) as f32;
    }
}
