//! The envelope of the protocol: requests in, events and replies out. `PROTOCOL.md` is the contract.

use escada_engine_formats::error::{Code, EngineError};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Version of the protocol that this build speaks.
pub const PROTOCOL: u32 = 1;

/// One request. `params` stays untyped here: each operation checks its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub v: u32,
    pub id: u64,
    pub method: String,
    #[serde(default)]
    pub params: Map<String, Value>,
}

/// Parses one line; the error carries the request's id where one could be read.
pub fn parse(line: &str) -> Result<Request, (Option<u64>, EngineError)> {
    let invalid = |message: String| EngineError::new(Code::RequestInvalid, message);
    let value: Value = serde_json::from_str(line).map_err(|e| (None, invalid(format!("not JSON: {e}"))))?;
    let id = value.get("id").and_then(Value::as_u64);
    let request: Request = serde_json::from_value(value).map_err(|e| (id, invalid(e.to_string())))?;
    if request.v != PROTOCOL {
        let message = format!(
            "v: this engine speaks protocol {PROTOCOL}, the request says {}",
            request.v
        );
        return Err((id, invalid(message)));
    }
    Ok(request)
}

/// Progress of a running operation.
pub fn event_line(id: u64, event: Value) -> String {
    json!({ "v": PROTOCOL, "id": id, "event": event }).to_string()
}

/// The final reply to a request. `id` is null where the request's could not be read.
pub fn reply_line(id: Option<u64>, outcome: Result<Value, EngineError>) -> String {
    let reply = match outcome {
        Ok(result) => json!({ "v": PROTOCOL, "id": id, "result": result }),
        Err(error) => {
            let mut body = json!({ "code": error.code.name(), "message": error.message });
            if let Some(fields) = error.fields {
                body["fields"] = Value::Object(*fields);
            }
            json!({ "v": PROTOCOL, "id": id, "error": body })
        }
    };
    reply.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read() {
        let request =
            parse(r#"{"v":1,"id":3,"method":"hello","params":{}}"#).unwrap_or_else(|e| panic!("{e:?}"));
        assert_eq!((request.id, request.method.as_str()), (3, "hello"));
    }

    #[test]
    fn a_bad_request_keeps_its_id_where_it_has_one() {
        for (line, id) in [
            ("{", None),
            ("[]", None),
            (r#"{"v":1,"id":9,"method":7}"#, Some(9)),
            (r#"{"v":2,"id":9,"method":"hello"}"#, Some(9)),
            (r#"{"v":1,"id":9,"method":"hello","extra":1}"#, Some(9)),
        ] {
            let (found, error) = parse(line).err().unwrap_or_else(|| panic!("{line} passed"));
            assert_eq!((found, error.code), (id, Code::RequestInvalid), "{line}");
        }
    }
}
