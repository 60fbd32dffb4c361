//! The template library, set up as transformers sets up its own.

use super::date::strftime_now;
use super::json::tojson;
use super::methods::{method, percent, raise_exception, trim};
use super::rewrite::{PERCENT, rewritten};
use crate::error::{Code, EngineError, Result};
use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;

/// Steps one rendering may take: a second or so, and far more than any real template needs for a context of text.
const MAX_STEPS: u64 = 2_000_000;

/// An environment with `source` parsed under `name`. The inner error says what is wrong with the source.
pub(super) fn environment(
    name: &'static str,
    source: &str,
) -> Result<std::result::Result<Environment<'static>, minijinja::Error>> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(MAX_STEPS));
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build();
    environment.set_syntax(syntax.map_err(|cause| EngineError::new(Code::Internal, cause.to_string()))?);
    environment.set_unknown_method_callback(method);
    environment.add_filter("tojson", tojson);
    environment.add_filter("trim", |text: String, chars: Option<String>| {
        trim(&text, chars.as_deref())
    });
    environment.add_filter(PERCENT, |left: minijinja::Value, right: minijinja::Value| {
        percent(&left, &right)
    });
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", |format: String| strftime_now(&format));
    let added = environment.add_template_owned(name, rewritten(source).into_owned());
    Ok(added.map(|()| environment))
}
