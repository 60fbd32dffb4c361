//! `embed`: from text rows to a file of vectors.

use super::Session;
use super::generation::fitting;
use super::reporter::Reporter;
use crate::backend::Backend;
use crate::control::Control;
use crate::embed::embed;
use crate::json_lines;
use crate::requests::{EmbedParams, EmbedResult, RowProgress, TextRow};
use escada_engine_formats::error::Result;
use escada_engine_formats::safetensors_writer::{Dtype, OutTensor, write_safetensors};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

impl<B: Backend> Session<B> {
    /// Mean-pooled final hidden states of every text.
    pub fn embed(
        &self,
        params: &EmbedParams,
        emit: &mut dyn FnMut(RowProgress),
        control: Control<'_>,
    ) -> Result<EmbedResult> {
        let started = Instant::now();
        let loaded = self.model()?;
        let rows: Vec<TextRow> = json_lines::read(&params.requests_path)?;
        let context = loaded.model.shape.context_tokens;
        let text = |row: &TextRow| {
            control.poll(|| "reading the texts".to_owned())?;
            let tokens = loaded.text(&row.text).map_err(|error| error.in_row(&row.id))?;
            fitting(&row.id, tokens.len(), context)?;
            Ok(tokens)
        };
        let texts = rows.iter().map(text).collect::<Result<Vec<_>>>()?;
        let own = rows.iter().map(|r| (r.id.as_str(), r.adapter_path.as_deref()));
        let adapters = self.adapters(loaded, params.adapter_path.as_deref(), own)?;
        let mut report = Reporter::new(texts.len(), emit);
        let embeddings = embed(
            &self.backend,
            &loaded.model,
            adapters.rows(),
            &texts,
            params.normalize,
            &mut |done, tokens| report.progress(done, tokens),
            control,
        )?;
        let counts: Vec<usize> = texts.iter().map(Vec::len).collect();
        let hidden = loaded.model.shape.hidden;
        write(&params.out_path, &embeddings, &counts, hidden)?;
        Ok(EmbedResult {
            rows: rows.len(),
            hidden_size: hidden,
            tokens: counts.iter().sum(),
            seconds: started.elapsed().as_secs_f64(),
        })
    }
}

/// `embeddings [rows, C] f32` and `tokens [rows] u32`.
fn write(path: &Path, embeddings: &[f32], counts: &[usize], hidden: usize) -> Result<()> {
    let rows = counts.len();
    let bytes = counts.iter().flat_map(|&count| (count as u32).to_le_bytes());
    let tokens = OutTensor {
        name: "tokens".to_owned(),
        dtype: Dtype::U32,
        shape: vec![rows],
        bytes: Cow::Owned(bytes.collect()),
    };
    let embeddings = OutTensor::f32("embeddings", vec![rows, hidden], embeddings);
    write_safetensors(path, vec![embeddings, tokens], &BTreeMap::new()).map(drop)
}
