//! OAuth error response (RFC 6749 4.1.2.1 and 5.2), made safe for log lines and pages.
//!
//! Anyone can send a browser to the callback with any parameters, and a description may contain names and tokens:
//! codes, numbers and GUIDs are kept, text is not.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::RefusalReason;
use super::error_code::{error_code, is_error_code};

/// Maximum numeric codes kept; no known response has more than three.
const MAX_CODES: usize = 8;

/// The prefix of a numeric code in an `error_description`.
const NUMBER_PREFIX: &str = "AADSTS";

/// An error response: codes, numbers and GUIDs, but no text. A clone is cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct OAuthError(Arc<Fields>);

#[derive(PartialEq, Eq)]
struct Fields {
    error: String,
    suberror: Option<String>,
    numbers: Vec<u32>,
    trace_id: Option<Uuid>,
    correlation_id: Option<Uuid>,
}

/// Fields of a log line; absent ones are not written.
#[derive(Default)]
pub struct OAuthErrorFields<'a> {
    /// `provider.error`.
    pub error: Option<&'a str>,
    /// `provider.suberror`.
    pub suberror: Option<&'a str>,
    /// `provider.error_codes`, separated by commas.
    pub error_codes: Option<String>,
    /// `provider.trace_id`.
    pub trace_id: Option<String>,
    /// `provider.correlation_id`.
    pub correlation_id: Option<String>,
}

/// Response body. Members beside `error` are in no standard: one of another type counts as absent.
#[derive(Deserialize)]
struct Body {
    error: String,
    #[serde(default)]
    suberror: Value,
    #[serde(default)]
    error_codes: Value,
    #[serde(default)]
    error_description: Value,
    #[serde(default)]
    trace_id: Value,
    #[serde(default)]
    correlation_id: Value,
}

impl OAuthError {
    /// Parses a body that may be an error response.
    pub(crate) fn from_json(body: &[u8]) -> Option<Self> {
        let body: Body = serde_json::from_slice(body).ok()?;
        let listed = body.error_codes.as_array().map(Vec::as_slice).unwrap_or_default().iter();
        let listed = listed.filter_map(|number| u32::try_from(number.as_u64()?).ok());
        let described = numbers_in(body.error_description.as_str().unwrap_or_default());
        Some(Self::new(
            &body.error,
            body.suberror.as_str(),
            listed.chain(described),
            body.trace_id.as_str(),
            body.correlation_id.as_str(),
        ))
    }

    /// Parses the parameters of an authorization error response.
    pub(super) fn from_parameters(error: &str, parameter: impl Fn(&str) -> Option<String>) -> Self {
        let description = parameter("error_description").unwrap_or_default();
        Self::new(
            error,
            parameter("error_subcode").as_deref(),
            numbers_in(&description),
            parameter("trace_id").as_deref(),
            parameter("correlation_id").as_deref(),
        )
    }

    fn new(
        error: &str,
        suberror: Option<&str>,
        numbers: impl Iterator<Item = u32>,
        trace_id: Option<&str>,
        correlation_id: Option<&str>,
    ) -> Self {
        let mut distinct = Vec::new();
        for number in numbers {
            if distinct.len() < MAX_CODES && !distinct.contains(&number) {
                distinct.push(number);
            }
        }
        Self(Arc::new(Fields {
            error: error_code(error),
            suberror: suberror.filter(|code| is_error_code(code)).map(str::to_owned),
            numbers: distinct,
            trace_id: trace_id.and_then(guid),
            correlation_id: correlation_id.and_then(guid),
        }))
    }

    /// The `error`: at most 64 letters, digits and `_-.`.
    #[must_use]
    pub fn error(&self) -> &str {
        &self.0.error
    }

    /// Reason by the first known number. It is more specific than `error`.
    #[must_use]
    pub fn numbered_reason(&self) -> Option<RefusalReason> {
        self.0.numbers.iter().find_map(|number| RefusalReason::of_number(*number))
    }

    /// Reason of an authorization error response.
    #[must_use]
    pub fn authorization_reason(&self) -> RefusalReason {
        self.numbered_reason().unwrap_or_else(|| RefusalReason::of_authorization_error(self.error()))
    }

    /// Reason why a token endpoint refuses this client.
    #[must_use]
    pub fn client_reason(&self) -> RefusalReason {
        self.numbered_reason().unwrap_or(RefusalReason::Client)
    }

    /// Log fields about `error`.
    #[must_use]
    pub fn fields(error: Option<&Self>) -> OAuthErrorFields<'_> {
        let Some(Self(fields)) = error else { return OAuthErrorFields::default() };
        OAuthErrorFields {
            error: Some(&fields.error),
            suberror: fields.suberror.as_deref(),
            error_codes: (!fields.numbers.is_empty()).then(|| separated(&fields.numbers, ",")),
            trace_id: fields.trace_id.map(|id| id.to_string()),
            correlation_id: fields.correlation_id.map(|id| id.to_string()),
        }
    }
}

/// Prints `error` and the numbers, such as `invalid_client 7000222`.
impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.error())?;
        if self.0.numbers.is_empty() { Ok(()) } else { write!(f, " {}", separated(&self.0.numbers, " ")) }
    }
}

impl fmt::Debug for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OAuthError({self})")
    }
}

fn separated(numbers: &[u32], separator: &str) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(separator)
}

/// Numbers after [`NUMBER_PREFIX`]; the rest of a description is ignored.
fn numbers_in(description: &str) -> impl Iterator<Item = u32> {
    description.split(NUMBER_PREFIX).skip(1).filter_map(|rest| {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
        digits.parse().ok()
    })
}

/// Parses a GUID in its common form of 36 characters.
fn guid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == 36)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TRACE: &str = "93eb6af6-43b5-4b16-ad6e-63cf2a050b00";
    const CORRELATION: &str = "8f043819-8577-46b9-b330-a72e2e114665";

    /// All fields as a log line would have them.
    fn written(error: &OAuthError) -> String {
        let OAuthErrorFields { error, suberror, error_codes, trace_id, correlation_id } =
            OAuthError::fields(Some(error));
        [error.map(str::to_owned), suberror.map(str::to_owned), error_codes, trace_id, correlation_id]
            .map(Option::unwrap_or_default)
            .join("|")
    }

    #[test]
    fn codes_numbers_and_guids_of_an_error_response_are_kept() {
        let description = format!("AADSTS7000222: The provided client secret keys for app 'x' are expired. {TRACE}");
        let table = [
            (json!({"error": "invalid_grant"}), "invalid_grant||||", "the standard's own"),
            (
                json!({"error": "invalid_client", "error_description": description, "error_codes": [7000222],
                       "trace_id": TRACE, "correlation_id": CORRELATION, "suberror": "client_mismatch"}),
                "invalid_client|client_mismatch|7000222|93eb6af6-43b5-4b16-ad6e-63cf2a050b00|8f043819-8577-46b9-b330-a72e2e114665",
                "everything",
            ),
            (
                json!({"error": "invalid_request", "error_description": "AADSTS70002: a. AADSTS50012: b"}),
                "invalid_request||70002,50012||",
                "numbers in a description alone",
            ),
            (
                json!({"error": "a", "error_codes": [1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}),
                "a||1,2,3,4,5,6,7,8||",
                "more numbers than any response has",
            ),
        ];
        for (body, expected, reason) in table {
            let error = OAuthError::from_json(body.to_string().as_bytes()).unwrap();

            assert_eq!(written(&error), expected, "{reason}");
        }
    }

    #[test]
    fn text_is_not_kept_wherever_it_stands() {
        let table = [
            (json!({"error_description": "ada@person.example has no role"}), "a description"),
            (json!({"error_description": "AADSTS: eyJ"}), "a prefix without a number"),
            (json!({"error_description": "AADSTSeyJ50011"}), "letters behind the prefix"),
            (json!({"error_description": "AADSTS99999999999999999999"}), "a number too long to be one"),
            (json!({"error_description": ["AADSTS50011"]}), "a description that is a list"),
            (json!({"suberror": "<script>"}), "a suberror that is no code"),
            (json!({"suberror": "a b"}), "a suberror that is a sentence"),
            (json!({"suberror": 5}), "a suberror that is a number"),
            (json!({"error_codes": ["ada", -1, 1.5, 99_999_999_999_u64, null]}), "codes that are no numbers"),
            (json!({"error_codes": "50011"}), "codes that are no list"),
            (json!({"trace_id": "ada"}), "a trace id that is no GUID"),
            (json!({"trace_id": "{93eb6af6-43b5-4b16-ad6e-63cf2a050b00}"}), "a GUID in braces"),
            (json!({"correlation_id": "urn:uuid:93eb6af6-43b5-4b16-ad6e-63cf2a050b00"}), "a GUID as a URN"),
            (json!({"correlation_id": 7}), "a correlation id that is a number"),
        ];
        for (mut body, reason) in table {
            body["error"] = "e".into();
            let error = OAuthError::from_json(body.to_string().as_bytes()).unwrap();

            assert_eq!((written(&error).as_str(), error.to_string().as_str()), ("e||||", "e"), "{reason}");
        }
    }

    #[test]
    fn parameters_of_a_callback_are_reduced_alike() {
        let given = |name: &str| match name {
            "error_description" => Some("AADSTS65004: Ada declined.\r\nTrace ID: x".to_owned()),
            "error_subcode" => Some("cancel".to_owned()),
            "trace_id" => Some("a\nlevel=error".to_owned()),
            _ => None,
        };

        let error = OAuthError::from_parameters("access_denied", given);

        assert_eq!(written(&error), "access_denied|cancel|65004||");
        assert_eq!(error.to_string(), "access_denied 65004");
    }
}
