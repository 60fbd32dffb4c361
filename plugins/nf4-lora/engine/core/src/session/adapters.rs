//! The adapters that a call and its rows name, each loaded once.

use super::Session;
use crate::adapter_file;
use crate::backend::Backend;
use crate::loaded::Loaded;
use crate::lora::Adapter;
use crate::row_adapters::RowAdapters;
use escada_engine_formats::error::{Code, EngineError, Result};
use std::path::Path;

/// The adapters of a call on the device.
pub(super) struct CallAdapters<B: Backend> {
    loaded: Vec<Adapter<B>>,
    /// By row.
    numbers: Vec<Option<usize>>,
}

impl<B: Backend> CallAdapters<B> {
    pub(super) fn rows(&self) -> RowAdapters<'_, B> {
        RowAdapters::new(self.loaded.iter().collect(), self.numbers.clone())
    }
}

impl<B: Backend> Session<B> {
    /// Loads the adapters of rows `(id, adapterPath)`; a row without one takes the call's.
    ///
    /// Errors: `RequestInvalid` where no folder is; those of reading one. They name the row and the field.
    pub(super) fn adapters<'r>(
        &self,
        loaded: &Loaded<B>,
        call: Option<&'r Path>,
        rows: impl Iterator<Item = (&'r str, Option<&'r Path>)>,
    ) -> Result<CallAdapters<B>> {
        let mut known: Vec<(&Path, Adapter<B>)> = Vec::new();
        let mut numbers = Vec::new();
        if let Some(path) = call {
            let adapter = self.adapter(loaded, path);
            known.push((path, adapter.map_err(|e| at("adapterPath", e))?));
        }
        for (i, (id, own)) in rows.enumerate() {
            let Some(path) = own.or(call) else {
                numbers.push(None);
                continue;
            };
            if let Some(number) = known.iter().position(|(other, _)| *other == path) {
                numbers.push(Some(number));
                continue;
            }
            let adapter = self.adapter(loaded, path);
            let place = format!("request {} (id \"{id}\"), adapterPath", i + 1);
            known.push((path, adapter.map_err(|e| at(&place, e))?));
            numbers.push(Some(known.len() - 1));
        }
        let loaded = known.into_iter().map(|(_, adapter)| adapter).collect();
        Ok(CallAdapters { loaded, numbers })
    }

    fn adapter(&self, loaded: &Loaded<B>, path: &Path) -> Result<Adapter<B>> {
        if !path.is_dir() {
            let message = format!("there is no folder {}; name one in PEFT format", path.display());
            return Err(EngineError::new(Code::RequestInvalid, message));
        }
        adapter_file::load(&self.backend, &loaded.model.shape, path)
    }
}

fn at(place: &str, error: EngineError) -> EngineError {
    EngineError::new(error.code, format!("{place}: {}", error.message))
}
