//! Additional parameters that a Provider needs (`AUTHORIZE_PARAMETERS`, `TOKEN_PARAMETERS`): `audience`,
//! `resource`, `access_type`. Knows none of them, only the reserved ones.

use std::fmt;

use crate::claims_request::{ClaimsRequest, ClaimsRequestError};

/// Reserved parameters: those that we send, or that would change their meaning.
const RESERVED: [&str; 21] = [
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
    "grant_type",
    "code",
    "code_verifier",
    "refresh_token",
    "id_token_hint",
    "token",
    "token_type_hint",
];

/// The only parameter that may be repeated (RFC 8707 2; RFC 6749 3.1 forbids it for all others).
const REPEATABLE: &str = "resource";

/// Maximum length: intermediaries accept every authorization URL of this size.
const MAX_LENGTH: usize = 4 * 1024;

/// Additional parameters for one kind of request, in order. Prints no value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RequestParameters(Vec<(String, String)>);

/// Reason why parameters are refused. Names only reserved parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestParametersError {
    /// No `name=value`, a control character, invalid UTF-8, or too long.
    #[error("it is not of the form name=value&name=value, percent-encoded, at most 4096 bytes")]
    Malformed,
    /// A reserved parameter.
    #[error("{0} is sent by the proxy itself and cannot be set")]
    Reserved(&'static str),
    /// A repeated parameter (RFC 6749 3.1).
    #[error("a parameter other than resource is there more than once")]
    Repeated,
    /// An empty value, which removes a default, without such a default.
    #[error("a parameter has no value")]
    Empty,
}

impl RequestParameters {
    /// Name of the parameter with a claims request (OIDC Core 5.5).
    pub(super) const CLAIMS: &str = "claims";

    /// Parses `application/x-www-form-urlencoded` parameters and merges them over `defaults`: one of the same name
    /// replaces the default, one with an empty value removes it.
    ///
    /// # Errors
    /// See [`RequestParametersError`].
    pub fn parse(text: &str, defaults: &Self) -> Result<Self, RequestParametersError> {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        let is_text = |text: &str| !text.contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER);
        let is_pair = |(name, value): &(String, String)| !name.is_empty() && is_text(name) && is_text(value);
        if text.len() > MAX_LENGTH || pairs.is_empty() || !pairs.iter().all(is_pair) {
            return Err(RequestParametersError::Malformed);
        }
        if let Some(ours) = RESERVED.into_iter().find(|ours| pairs.iter().any(|(name, _)| name == ours)) {
            return Err(RequestParametersError::Reserved(ours));
        }
        let is_repeated = |(index, (name, _)): (usize, &(String, String))| {
            name != REPEATABLE && pairs[..index].iter().any(|(earlier, _)| earlier == name)
        };
        if pairs.iter().enumerate().any(is_repeated) {
            return Err(RequestParametersError::Repeated);
        }
        if pairs.iter().any(|(name, value)| value.is_empty() && defaults.value(name).is_none()) {
            return Err(RequestParametersError::Empty);
        }
        let is_kept = |(name, _): &&(String, String)| !pairs.iter().any(|(given, _)| given == name);
        let kept = defaults.0.iter().filter(is_kept).cloned();
        Ok(Self(kept.chain(pairs.iter().filter(|(_, value)| !value.is_empty()).cloned()).collect()))
    }

    /// The claims request among the parameters; `None` if there is none.
    ///
    /// # Errors
    /// If it is none of OIDC Core 5.5, so that nothing can be added to it.
    pub fn claims(&self) -> Result<Option<ClaimsRequest>, ClaimsRequestError> {
        self.value(Self::CLAIMS).map(|json| ClaimsRequest::parse(json.as_bytes())).transpose()
    }

    /// Its claims request with the claims of `further` that it does not ask for itself.
    pub(super) fn with_claims(&self, further: ClaimsRequest) -> ClaimsRequest {
        match self.claims() {
            Ok(Some(claims)) => claims.and(further),
            Ok(None) | Err(_) => further, // the configuration refuses others where applications may ask
        }
    }

    /// The same parameters, and these claims as far as they are not asked for already.
    #[must_use]
    pub fn and_claims(&self, further: ClaimsRequest) -> Self {
        let others = self.0.iter().filter(|(name, _)| name != Self::CLAIMS).cloned();
        let claims = (Self::CLAIMS.to_owned(), self.with_claims(further).to_json());
        Self(others.chain([claims]).collect())
    }

    /// First value of this name.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The parameters in their order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for RequestParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RequestParameters, RequestParametersError> {
        RequestParameters::parse(text, &RequestParameters::default())
    }

    fn pairs(parameters: &RequestParameters) -> Vec<(&str, &str)> {
        parameters.pairs().collect()
    }

    #[test]
    fn parameters_keep_their_order_and_resource_may_repeat() {
        let parameters =
            parse("audience=https%3A%2F%2Fapi&resource=https://a&resource=https://b&claims={\"a\":1}").unwrap();

        let expected = [
            ("audience", "https://api"),
            ("resource", "https://a"),
            ("resource", "https://b"),
            ("claims", "{\"a\":1}"),
        ];
        assert_eq!(pairs(&parameters), expected);
    }

    #[test]
    fn a_parameter_of_ours_cannot_be_set() {
        for ours in RESERVED {
            assert_eq!(parse(&format!("audience=a&{ours}=x")), Err(RequestParametersError::Reserved(ours)));
        }
    }

    #[test]
    fn what_is_no_list_of_parameters_is_refused() {
        let long = format!("a={}", "b".repeat(MAX_LENGTH));
        for text in ["&", "=a", "a=%0d%0ax", "a%00=b", "a=%ff", &long] {
            assert_eq!(parse(text), Err(RequestParametersError::Malformed), "{text:.20}");
        }
        assert_eq!(parse("prompt=a&prompt=b"), Err(RequestParametersError::Repeated));
        assert_eq!(parse("THE-SECRET"), Err(RequestParametersError::Empty));
    }

    #[test]
    fn a_setting_replaces_a_default_and_an_empty_one_removes_it() {
        let defaults = parse("access_type=offline&prompt=consent").unwrap();
        let over = |text: &str| RequestParameters::parse(text, &defaults).unwrap();

        assert_eq!(pairs(&over("prompt=login")), [("access_type", "offline"), ("prompt", "login")]);
        assert_eq!(pairs(&over("prompt=&hd=a")), [("access_type", "offline"), ("hd", "a")]);
    }

    #[test]
    fn no_value_is_printed() {
        assert_eq!(format!("{:?}", parse("a=THE-SECRET").unwrap()), r#"{"a"}"#);
    }
}
