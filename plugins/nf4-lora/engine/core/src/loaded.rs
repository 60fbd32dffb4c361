//! A model opened from disk: weights on the device, tokenizer, chat template.

use crate::backend::{Backend, LinearSource};
use crate::batch::TokenRow;
use crate::control::{Control, Polled};
use crate::model::{Model, WeightSource};
use crate::requests::PromptRow;
use crate::shape::{ModelShape, plain_inverse_frequencies};
use escada_engine_formats::atomic::sha256_hex;
use escada_engine_formats::error::{Code, EngineError, Result};
use escada_engine_formats::{
    ChatTemplate, CodedTensor, Message, ModelConfig, ModelSource, Nf4Tensor, Tensor, Tokenizer, nf4,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};

/// How linear layers are held; embedding and head keep the values of the file, as bitsandbytes leaves a tied head (in f32, or
/// in the 16 or 8 bits that hold them exactly).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightFormat {
    Nf4,
    F32,
}

/// Format of the linear layers in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantization {
    pub format: WeightFormat,
    /// Values per first-level block (NF4).
    pub block_size: usize,
    /// Scales in 8 bits (NF4).
    pub double_quant: bool,
}

impl Quantization {
    /// The values of a linear layer `[N, K]` in NF4. Errors: `RequestInvalid`, `NonFinite`.
    pub fn encode(&self, values: &[f32], shape: &[usize]) -> Result<Nf4Tensor> {
        nf4::quantize(values, shape[0], shape[1], self.block_size, self.double_quant)
    }

    /// Part of a run's identity.
    fn label(&self) -> String {
        match self.format {
            WeightFormat::F32 => "f32".to_owned(),
            WeightFormat::Nf4 if self.double_quant => format!("nf4-{}-double", self.block_size),
            WeightFormat::Nf4 => format!("nf4-{}", self.block_size),
        }
    }
}

/// A model ready to compute.
pub struct Loaded<B: Backend> {
    pub model: Model<B>,
    pub tokenizer: Tokenizer,
    pub template: ChatTemplate,
    pub architecture: String,
    /// Where it was opened from.
    pub path: PathBuf,
    /// SHA-256 of the model's files.
    pub digest: String,
    pub quantization: Quantization,
    pub parameters: u64,
}

impl<B: Backend> Loaded<B> {
    /// Opens `path` (a `.gguf` file or a Hugging Face folder) and uploads its weights.
    ///
    /// Errors: those of reading; `RequestInvalid` for a block size that NF4 does not have.
    pub fn open(backend: &B, path: &Path, quantization: Quantization) -> Result<Self> {
        Self::open_with(backend, path, quantization, Control::none())
    }

    /// As [`Loaded::open`], polled for tensor by tensor. Errors: also `Cancelled`.
    pub fn open_with(
        backend: &B,
        path: &Path,
        quantization: Quantization,
        control: Control<'_>,
    ) -> Result<Self> {
        nf4::check_blocksize(quantization.block_size)?;
        let source = ModelSource::open(path)?;
        let (tokenizer, template) = source.tokenizer_and_template()?;
        let shape = shape_of(source.config());
        let model = Model::load(
            backend,
            shape,
            &mut Polled {
                source: SourceWeights {
                    source: &source,
                    quantization,
                },
                control,
            },
        )?;
        control.poll(|| "reading the model's digest".to_owned())?;
        Ok(Self {
            model,
            digest: digest_of(&source, &template)?,
            tokenizer,
            template,
            architecture: source.config().architecture.clone(),
            path: path.to_owned(),
            quantization,
            parameters: source.parameters(),
        })
    }

    /// Model and weight format: what an adapter was trained on.
    pub fn identity(&self) -> String {
        format!("sha256:{} {}", self.digest, self.quantization.label())
    }

    /// Token ids that generation starts from.
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>> {
        self.checked(self.template.encode(&self.tokenizer, messages, true)?)
    }

    /// Token ids of a request's messages or plain text.
    pub fn prompt_of(&self, row: &PromptRow) -> Result<Vec<u32>> {
        match (&row.messages, &row.prompt) {
            (Some(messages), None) => self.prompt(messages),
            (None, Some(text)) => self.text_prompt(text),
            _ => {
                let message = "one of `messages` and `prompt` is wanted";
                Err(EngineError::new(Code::RequestInvalid, message))
            }
        }
        .map_err(|error| error.in_row(&row.id))
    }

    /// Token ids of plain text to be gone on with: behind the start of a text, where the model is used to find one.
    fn text_prompt(&self, text: &str) -> Result<Vec<u32>> {
        let start = self
            .tokenizer
            .bos_id()
            .filter(|_| self.tokenizer.starts_with_bos());
        let ids = start.into_iter().chain(self.text(text)?);
        self.checked(ids.collect())
    }

    /// Token ids of plain text: control strings in it stay text.
    pub fn text(&self, text: &str) -> Result<Vec<u32>> {
        self.checked(self.tokenizer.encode_text(text)?)
    }

    /// Prompt and answer as one row; the loss covers the answer and its end-of-turn token.
    pub fn row(&self, messages: &[Message], answer: &str) -> Result<TokenRow> {
        let answered = self
            .template
            .encode_with_answer(&self.tokenizer, messages, answer)?;
        let labelled_from = answered.prompt.len();
        let mut tokens = answered.prompt;
        tokens.extend(answered.answer);
        Ok(TokenRow {
            tokens: self.checked(tokens)?,
            labelled_from,
        })
    }

    /// An embedding may be smaller than the tokenizer's vocabulary; such a token must not reach a kernel.
    fn checked(&self, ids: Vec<u32>) -> Result<Vec<u32>> {
        let rows = self.model.shape.vocabulary;
        let Some(&id) = ids.iter().find(|id| **id as usize >= rows) else {
            return Ok(ids);
        };
        let token = self.tokenizer.token_text(id).unwrap_or_default();
        let message = format!(
            "its text holds the token {token:?} (id {id}), for which the model has no embedding: it has {rows}, ids 0 to {}; \
             leave out that text, or take a model whose embedding was resized with its tokenizer",
            rows - 1
        );
        let fields = json!({ "token": token, "tokenId": id, "embeddings": rows });
        Err(EngineError::new(Code::ModelUnsupported, message).with_fields(fields))
    }
}

/// SHA-256 of the model's files; of one without a chat template together with the one that takes its place.
pub(crate) fn digest_of(source: &ModelSource, template: &ChatTemplate) -> Result<String> {
    let files = source.digest()?;
    if !template.is_plain() {
        return Ok(files);
    }
    Ok(sha256_hex(
        format!("{files}\nchat template: {}\n", template.source()).as_bytes(),
    ))
}

pub(crate) fn shape_of(config: &ModelConfig) -> ModelShape {
    ModelShape {
        layers: config.layers,
        hidden: config.hidden,
        intermediate: config.intermediate,
        heads: config.heads,
        kv_heads: config.kv_heads,
        head_size: config.head_dim,
        vocabulary: config.vocab,
        context_tokens: config.context,
        rms_epsilon: config.rms_eps,
        inverse_frequencies: plain_inverse_frequencies(config.rope_theta, config.head_dim)
            .into_iter()
            .map(|frequency| config.rope_scaling.apply(f64::from(frequency)) as f32)
            .collect(),
        qkv_bias: config.qkv_bias,
        window_tokens: config.sliding_window.unwrap_or(usize::MAX),
        tied_head: config.tie_embeddings,
    }
}

pub(crate) struct SourceWeights<'a> {
    pub source: &'a ModelSource,
    pub quantization: Quantization,
}

impl SourceWeights<'_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let tensor = self.source.tensor(name)?;
        if tensor.shape == shape {
            return Ok(tensor);
        }
        let message = format!(
            "tensor {name} has shape {:?}, the model needs {shape:?}",
            tensor.shape
        );
        Err(EngineError::new(Code::ModelFileInvalid, message))
    }
}

impl WeightSource for SourceWeights<'_> {
    fn linear<T>(
        &mut self,
        name: &str,
        rows: usize,
        cols: usize,
        take: impl FnOnce(LinearSource<'_>) -> Result<T>,
    ) -> Result<T> {
        if self.quantization.format == WeightFormat::F32 {
            return self.table(name, rows, cols, take);
        }
        // A checkpoint that is NF4 already is taken as it is: encoding its values again would round its scales again.
        if let Some(tensor) = self.source.nf4_tensor(name)? {
            if (tensor.rows, tensor.cols) != (rows, cols) {
                let message = format!("tensor {name} has shape [{}, {}]", tensor.rows, tensor.cols);
                return Err(EngineError::new(Code::ModelFileInvalid, message));
            }
            return take(LinearSource::Nf4(&tensor));
        }
        // So are the layers that it leaves out.
        if self.source.is_nf4() {
            return self.table(name, rows, cols, take);
        }
        let tensor = self.tensor(name, &[rows, cols])?;
        take(LinearSource::Nf4(
            &self.quantization.encode(&tensor.values, &tensor.shape)?,
        ))
    }

    fn table<T>(
        &mut self,
        name: &str,
        rows: usize,
        cols: usize,
        take: impl FnOnce(LinearSource<'_>) -> Result<T>,
    ) -> Result<T> {
        // Few bits already: the same values in a quarter or less of the memory.
        match self.source.coded(name)? {
            Some(CodedTensor::Q8(tensor)) if (tensor.rows, tensor.cols) == (rows, cols) => {
                return take(LinearSource::Q8(&tensor));
            }
            Some(CodedTensor::Q4(tensor)) if (tensor.rows, tensor.cols) == (rows, cols) => {
                return take(LinearSource::Q4(&tensor));
            }
            _ => {}
        }
        take(LinearSource::F32 {
            rows,
            cols,
            data: &self.tensor(name, &[rows, cols])?.values,
        })
    }

    fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>> {
        Ok(self.tensor(name, &[len])?.values)
    }
}
