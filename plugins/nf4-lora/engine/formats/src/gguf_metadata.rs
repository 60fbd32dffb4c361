//! Metadata of a GGUF file for a model that comes as a folder: its shape, its tokenizer, its chat template.

use crate::checkpoint_source::ModelSource;
use crate::config::RopeScaling;
use crate::error::{EngineError, Result};
use crate::gguf_tokenizer::{BYTE, CONTROL, NORMAL, UNKNOWN, USER_DEFINED, named_pre_tokenizers};
use crate::gguf_writer::GgufMetadata;
use serde::Deserialize;
use serde_json::Value as Json;
use std::collections::HashMap;

/// Tokens that the embedding has rows for and the tokenizer no text.
const UNUSED: i64 = 5;

/// Of the layout of quantized blocks.
const QUANTIZATION_VERSION: u32 = 2;

/// What a `tokenizer.json` says, as far as GGUF can say it.
#[derive(Deserialize)]
struct TokenizerJson {
    model: Model,
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(default)]
    normalizer: Json,
    #[serde(default)]
    pre_tokenizer: Json,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    vocab: HashMap<String, u32>,
    #[serde(default)]
    merges: Vec<(String, String)>,
    #[serde(default)]
    unk_token: Option<String>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
    special: bool,
}

/// Errors: `ModelUnsupported` for scaled rotary frequencies or a tokenizer that GGUF has no name for.
pub fn gguf_metadata(source: &ModelSource) -> Result<GgufMetadata> {
    let mut out = GgufMetadata::default();
    shape(source, &mut out)?;
    tokenizer(source, &mut out)?;
    if let Some(template) = source.chat_template()? {
        out.text("tokenizer.chat_template", template.source());
    }
    Ok(out)
}

fn shape(source: &ModelSource, out: &mut GgufMetadata) -> Result<()> {
    let config = source.config();
    if let RopeScaling::Linear { .. } = config.rope_scaling {
        let detail = "linear scaling of rotary frequencies in GGUF";
        return Err(EngineError::unsupported(source.path(), detail));
    }
    let name = config.gguf_architecture();
    out.text("general.architecture", name);
    out.uint("general.quantization_version", QUANTIZATION_VERSION);
    let sizes = [
        ("block_count", config.layers),
        ("context_length", config.context),
        ("embedding_length", config.hidden),
        ("feed_forward_length", config.intermediate),
        ("attention.head_count", config.heads),
        ("attention.head_count_kv", config.kv_heads),
        ("attention.key_length", config.head_dim),
        ("attention.value_length", config.head_dim),
        ("rope.dimension_count", config.head_dim),
        ("vocab_size", config.vocab),
    ];
    let window = config
        .sliding_window
        .map(|size| ("attention.sliding_window", size));
    for (key, size) in sizes.into_iter().chain(window) {
        let size = u32::try_from(size).map_err(|cause| EngineError::invalid_file(source.path(), cause))?;
        out.uint(&format!("{name}.{key}"), size);
    }
    out.float(&format!("{name}.rope.freq_base"), config.rope_theta as f32);
    out.float(
        &format!("{name}.attention.layer_norm_rms_epsilon"),
        config.rms_eps,
    );
    Ok(())
}

fn tokenizer(source: &ModelSource, out: &mut GgufMetadata) -> Result<()> {
    let unsupported = |detail: String| EngineError::unsupported(source.path(), detail);
    let (tokenizer, _) = source.tokenizer_and_template()?;
    let json: TokenizerJson = serde_json::from_str(&tokenizer.to_json()?)
        .map_err(|cause| unsupported(format!("the tokenizer in GGUF: {cause}")))?;
    if json.model.kind != "BPE" {
        return Err(unsupported(format!(
            "a tokenizer of kind {} in GGUF",
            json.model.kind
        )));
    }
    let (tokens, types) = tokens(&json, source.config().vocab);
    if json.model.byte_fallback {
        let scores = scores(&json, &tokens).map_err(unsupported)?;
        out.text("tokenizer.ggml.model", "llama");
        out.text("tokenizer.ggml.pre", "default");
        out.floats("tokenizer.ggml.scores", &scores);
    } else {
        let name = pre_tokenizer(&json)
            .ok_or_else(|| unsupported("a tokenizer whose pre-tokenizer has no name in GGUF".to_owned()))?;
        out.text("tokenizer.ggml.model", "gpt2");
        out.text("tokenizer.ggml.pre", name);
        let merges = json
            .model
            .merges
            .iter()
            .map(|(left, right)| format!("{left} {right}"));
        out.texts("tokenizer.ggml.merges", &merges.collect::<Vec<_>>());
    }
    out.texts("tokenizer.ggml.tokens", &tokens);
    out.ints("tokenizer.ggml.token_type", &types);
    // The end of a text first, then those of turns.
    let text_end = tokenizer.text_end();
    let others = tokenizer
        .eos_ids()
        .iter()
        .copied()
        .filter(|id| Some(*id) != text_end);
    let ends = ["eos", "eot", "eom"]
        .into_iter()
        .zip(text_end.into_iter().chain(others));
    for (name, id) in tokenizer.bos_id().map(|id| ("bos", id)).into_iter().chain(ends) {
        out.uint(&format!("tokenizer.ggml.{name}_token_id"), id);
    }
    Ok(())
}

/// Text and type of every row of the embedding.
fn tokens(json: &TokenizerJson, vocabulary: usize) -> (Vec<String>, Vec<i32>) {
    let mut found = vec![None; vocabulary];
    let mut put = |id: u32, text: &str, kind: i64| {
        if let Some(place) = found.get_mut(id as usize) {
            *place = Some((text.to_owned(), kind as i32));
        }
    };
    for (text, id) in &json.model.vocab {
        let byte = json.model.byte_fallback && text.len() == 6 && text.starts_with("<0x");
        put(*id, text, if byte { BYTE } else { NORMAL });
    }
    for Added { id, content, special } in &json.added_tokens {
        put(*id, content, if *special { CONTROL } else { USER_DEFINED });
    }
    if json.model.byte_fallback
        && let Some(unknown) = &json.model.unk_token
        && let Some(id) = json.model.vocab.get(unknown)
    {
        put(*id, unknown, UNKNOWN);
    }
    let unused = |id: usize| (format!("[PAD{id}]"), UNUSED as i32);
    let each = |(id, token): (usize, Option<(String, i32)>)| token.unwrap_or_else(|| unused(id));
    found.into_iter().enumerate().map(each).unzip()
}

/// The name whose cutting, normalizing and joining are the tokenizer's own.
fn pre_tokenizer(json: &TokenizerJson) -> Option<&'static str> {
    let own = without_offsets(json.pre_tokenizer.clone());
    let normalizer = json.normalizer.get("type").and_then(Json::as_str);
    named_pre_tokenizers()
        .into_iter()
        .find_map(|(name, made, composes, whole_words)| {
            let same = without_offsets(serde_json::to_value(made).ok()?) == own;
            let wanted = composes.then_some("NFC");
            (same && normalizer == wanted && json.model.ignore_merges == whole_words).then_some(name)
        })
}

/// Where words are in the text is no matter of their ids.
fn without_offsets(mut json: Json) -> Json {
    match &mut json {
        Json::Object(fields) => {
            fields.remove("trim_offsets");
            fields
                .values_mut()
                .for_each(|value| *value = without_offsets(value.take()));
        }
        Json::Array(items) => items
            .iter_mut()
            .for_each(|value| *value = without_offsets(value.take())),
        _ => {}
    }
    json
}

/// Scores from which the merges follow: a piece's is the rank of the first pair that makes it. Errors: says what has no place
/// in a SentencePiece tokenizer of GGUF.
fn scores(json: &TokenizerJson, tokens: &[String]) -> std::result::Result<Vec<f32>, String> {
    let blanks = serde_json::json!({
        "type": "Sequence",
        "normalizers": [
            { "type": "Prepend", "prepend": "▁" },
            { "type": "Replace", "pattern": { "String": " " }, "content": "▁" },
        ],
    });
    if json.normalizer != blanks || !json.pre_tokenizer.is_null() {
        return Err(
            "a SentencePiece tokenizer that treats blanks in another way than Llama 2, in GGUF".to_owned(),
        );
    }
    let mut ranks: HashMap<String, usize> = HashMap::new();
    let mut last = String::new();
    for (rank, (left, right)) in json.model.merges.iter().enumerate() {
        let piece = format!("{left}{right}");
        if piece != last && ranks.contains_key(&piece) {
            return Err(format!(
                "a tokenizer whose merges do not follow from scores ({piece:?}), in GGUF"
            ));
        }
        ranks.entry(piece.clone()).or_insert(rank);
        last = piece;
    }
    let merged = json.model.merges.len();
    let score = |(id, token): (usize, &String)| -(ranks.get(token).copied().unwrap_or(merged + id) as f32);
    Ok(tokens.iter().enumerate().map(score).collect())
}
