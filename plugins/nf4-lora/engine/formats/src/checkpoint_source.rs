//! A model on disk, whatever its format: one way to its shape, weights, tokenizer, chat template and digest.

use crate::atomic::sha256_hex;
use crate::chat::ChatTemplate;
use crate::config::ModelConfig;
use crate::error::{Code, EngineError, Result};
use crate::folder_files::{FolderFiles, check_single, check_there, of_model};
use crate::gguf::GgufFile;
use crate::gguf_llama::CodedTensor;
use crate::hf_folder::HfFolder;
use crate::nf4::Nf4Tensor;
use crate::tensor::Tensor;
use crate::tokenizer::Tokenizer;
use crate::{gguf_llama, gguf_tokenizer};
use std::path::Path;

enum Store {
    Gguf(GgufFile),
    Folder(HfFolder),
}

/// An opened model: a `.gguf` file, or a folder with `config.json`, `tokenizer.json` and `*.safetensors`.
///
/// Tensors have the names and the row order of Hugging Face checkpoints in both cases.
pub struct ModelSource {
    store: Store,
    config: ModelConfig,
}

impl ModelSource {
    /// Opens `path` and checks that every tensor its configuration asks for is there with the right shape. A folder without
    /// safetensors and with one GGUF file means that file.
    ///
    /// Errors: `ModelNotFound`; `ModelIncomplete` says what is missing; `ModelUnreadable`; `ModelFileInvalid` for a damaged
    /// file; `ModelUnsupported` names a missing ability. None of them is one of a moment.
    pub fn open(path: &Path) -> Result<Self> {
        let source = Self::opened(path).map_err(of_model)?;
        source.check_tensors().map_err(of_model)?;
        Ok(source)
    }

    fn opened(path: &Path) -> Result<Self> {
        check_there(path)?;
        let inner = if path.is_dir() {
            FolderFiles::list(path)?.only_gguf()?
        } else {
            None
        };
        let (store, config) = if path.is_dir() && inner.is_none() {
            let folder = HfFolder::open(path)?;
            let config = folder.config()?;
            (Store::Folder(folder), config)
        } else {
            let path = inner.as_deref().unwrap_or(path);
            check_single(path)?;
            let file = GgufFile::open(path)?;
            let config = ModelConfig::from_gguf(&file)?;
            (Store::Gguf(file), config)
        };
        Ok(Self { store, config })
    }

    pub fn path(&self) -> &Path {
        match &self.store {
            Store::Gguf(file) => file.path(),
            Store::Folder(folder) => folder.path(),
        }
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Decodes a tensor by its Hugging Face name, e.g. `model.layers.0.self_attn.q_proj.weight`. With tied embeddings
    /// `lm_head.weight` is the embedding.
    ///
    /// Errors: `ModelFileInvalid` if it is missing or holds NaN or infinity; `ModelUnsupported` for its storage type.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let name = self.untied(name);
        let tensor = match &self.store {
            Store::Gguf(file) => gguf_llama::tensor(file, &self.config, name)?,
            Store::Folder(folder) => folder.tensor(name)?,
        };
        if tensor.values.iter().all(|value| value.is_finite()) {
            return Ok(tensor);
        }
        Err(EngineError::invalid_file(
            self.path(),
            format!("tensor \"{name}\" holds NaN or infinity"),
        ))
    }

    /// The tensor as it is stored, if that is NF4 (a bitsandbytes checkpoint); `None` otherwise, and for GGUF.
    ///
    /// Errors: `ModelFileInvalid` for companions that contradict each other; `ModelUnsupported` for FP4.
    pub fn nf4_tensor(&self, name: &str) -> Result<Option<Nf4Tensor>> {
        match &self.store {
            Store::Gguf(_) => Ok(None),
            Store::Folder(folder) => folder.nf4_tensor(name),
        }
    }

    /// A matrix as it is stored, if that is in 4 or 8 bits in a GGUF file; `None` otherwise.
    ///
    /// Errors: `ModelFileInvalid` if it is missing.
    pub fn coded(&self, name: &str) -> Result<Option<CodedTensor>> {
        match &self.store {
            Store::Gguf(file) => gguf_llama::coded(file, &self.config, self.untied(name)),
            Store::Folder(_) => Ok(None),
        }
    }

    /// Whether the model is a bitsandbytes checkpoint: linear layers that it keeps plain were left out of quantization
    /// on purpose (`llm_int8_skip_modules`).
    pub fn is_nf4(&self) -> bool {
        match &self.store {
            Store::Gguf(_) => false,
            Store::Folder(folder) => folder.is_nf4(),
        }
    }

    /// PyTorch's name of the type of a tensor, before 4 bits if it is stored so; `float32` for GGUF, whose blocks need it.
    pub fn dtype(&self, name: &str) -> String {
        let stored = match &self.store {
            Store::Gguf(_) => None,
            Store::Folder(folder) => folder.dtype(name),
        };
        stored.unwrap_or_else(|| "float32".to_owned())
    }

    /// The file, if the model is a GGUF file.
    pub fn gguf(&self) -> Option<&GgufFile> {
        match &self.store {
            Store::Gguf(file) => Some(file),
            Store::Folder(_) => None,
        }
    }

    /// Name in GGUF of the tensor that Hugging Face calls `name`; `None` for a name no llama has.
    pub fn gguf_name(name: &str) -> Option<String> {
        gguf_llama::to_gguf_name(name)
    }

    /// Rows of `values [rows, cols]` of the tensor (or its LoRA factor B) `name` in GGUF's order.
    pub fn gguf_rows(&self, name: &str, cols: usize, values: Vec<f32>) -> Vec<f32> {
        gguf_llama::to_gguf_rows(&self.config, name, cols, values)
    }

    /// Number of weights, tied ones counted once.
    pub fn parameters(&self) -> u64 {
        let sizes = self
            .config
            .tensor_names()
            .into_iter()
            .filter_map(|name| self.config.tensor_shape(&name));
        // Tensors of types that are not decoded may claim any shape.
        sizes
            .map(|shape| shape.iter().product::<usize>() as u64)
            .fold(0, u64::saturating_add)
    }

    /// The model's tokenizer. It may know tokens beyond the embedding, such as one for padding: only who uses one must
    /// look. Errors: `ModelIncomplete`, `ModelFileInvalid`, `ModelUnsupported`.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let tokenizer = match &self.store {
            Store::Gguf(file) => gguf_tokenizer::tokenizer(file),
            Store::Folder(folder) => folder.tokenizer(),
        };
        tokenizer.map_err(of_model)
    }

    /// The model's own chat template, if it has one. Errors: `ModelFileInvalid` if it cannot be parsed.
    pub fn chat_template(&self) -> Result<Option<ChatTemplate>> {
        let template = match &self.store {
            Store::Gguf(file) => gguf_tokenizer::chat_template(file),
            Store::Folder(folder) => folder.chat_template(),
        };
        template.map_err(of_model)
    }

    /// How texts become tokens: the tokenizer, with the token that ends a turn among its ends, and the model's chat template,
    /// or the plain one where it has none. Errors: as [`ModelSource::tokenizer`] and [`ModelSource::chat_template`].
    pub fn tokenizer_and_template(&self) -> Result<(Tokenizer, ChatTemplate)> {
        let tokenizer = self.tokenizer()?;
        let template = match self.chat_template()? {
            Some(template) => template,
            None => ChatTemplate::plain(self.path(), &tokenizer)?,
        };
        let end = template.turn_end(&tokenizer);
        Ok((tokenizer.with_turn_end(end), template))
    }

    /// SHA-256 (hex) of what the model is: of the GGUF file, or of a list of the folder's files with their SHA-256.
    pub fn digest(&self) -> Result<String> {
        match &self.store {
            Store::Gguf(file) => Ok(sha256_hex(file.bytes())),
            Store::Folder(folder) => folder.digest(),
        }
    }

    fn untied<'a>(&self, name: &'a str) -> &'a str {
        if self.config.tie_embeddings && name == HEAD {
            EMBEDDING
        } else {
            name
        }
    }

    fn stored_shape(&self, name: &str) -> Option<Vec<usize>> {
        match &self.store {
            Store::Gguf(file) => gguf_llama::to_gguf_name(name)
                .and_then(|name| file.tensors().get(&name))
                .map(|entry| entry.shape.clone()),
            Store::Folder(folder) => folder.shape(name),
        }
    }

    fn check_tensors(&self) -> Result<()> {
        for name in self.config.tensor_names() {
            let expected = self.config.tensor_shape(&name).ok_or_else(|| {
                EngineError::new(
                    Code::Internal,
                    format!("tensor \"{name}\" has no shape in the configuration"),
                )
            })?;
            match self.stored_shape(&name) {
                Some(shape) if shape == expected => {}
                Some(shape) => {
                    // Another 4-bit type has a better explanation than its shape.
                    self.nf4_tensor(&name)?;
                    let detail =
                        format!("tensor \"{name}\" has shape {shape:?}, the configuration says {expected:?}");
                    return Err(EngineError::invalid_file(self.path(), detail));
                }
                None => {
                    return Err(EngineError::invalid_file(
                        self.path(),
                        format!("tensor \"{name}\" is missing"),
                    ));
                }
            }
        }
        Ok(())
    }
}

const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";
