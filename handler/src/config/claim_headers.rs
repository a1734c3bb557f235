//! `HEADERS`: headers of the operator's own, made of claims, on every route.

use super::reader::{Reader, Setting};
use crate::proxy::{ClaimHeaders, ClaimHeadersError};

const HEADERS: Setting = Setting {
    name: "HEADERS",
    expected: "a JSON list of {name, claim, format, separator}",
    example: r#"[{"name":"X-Remote-User","claim":"preferred_username"},{"name":"X-Roles","claim":"roles","format":"list"}]"#,
};

pub(super) fn read(reader: &mut Reader<'_>) -> Option<ClaimHeaders> {
    let Some(json) = reader.optional(HEADERS) else { return Some(ClaimHeaders::default()) };
    let parsed = match serde_json::from_str(json) {
        Ok(json) => ClaimHeaders::parse(&json),
        Err(error) => Err(ClaimHeadersError(vec![format!("it is no JSON ({error})")])),
    };
    parsed.map_err(|error| error.0.into_iter().for_each(|problem| reader.mistake(HEADERS, problem))).ok()
}
