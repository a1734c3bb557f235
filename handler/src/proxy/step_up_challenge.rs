//! Challenges by which an Upstream asks for another sign-in: RFC 9470, and the claims challenge of Entra ID.
//!
//! The Upstream's word is bounded before anything of it reaches the Provider. A challenge that breaks a rule passes to the
//! client as it came.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, WWW_AUTHENTICATE};
use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::once_a_minute::OnceAMinute;
use super::requirement::SignInDemand;
use super::routes::Route;
use super::www_authenticate::{Challenge, Parameter, challenges};
use crate::claims_request::{ClaimsRequest, ClaimsRequestError};

/// Reason why a challenge is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StepUpChallengeError {
    /// The header breaks RFC 9110 11.6.1, or is longer than any that a challenge needs.
    #[error("WWW-Authenticate is no list of challenges of at most 8192 bytes (RFC 9110 11.6.1)")]
    Malformed,
    /// Several challenges ask, each for something else.
    #[error("several challenges ask for another sign-in")]
    Several,
    /// A parameter is repeated in its challenge (RFC 9110 11.2).
    #[error("the parameter {0} is repeated")]
    Repeated(&'static str),
    /// It asks for nothing that a sign-in could meet.
    #[error("it names neither acr_values nor max_age, or no claims")]
    Nothing,
    /// `acr_values` are no list of values, or too many.
    #[error("acr_values are not 1 to 8 values of at most 128 visible characters")]
    AcrValues,
    /// `max_age` is no number of seconds.
    #[error("max_age is not a number of 1 to 9 digits")]
    MaxAge,
    /// `claims` are no base64.
    #[error("claims are not base64")]
    Encoding,
    /// `claims` are no claims request, or ask for too much.
    #[error("claims cannot be asked for: {0}")]
    Claims(#[from] ClaimsRequestError),
}

/// The sign-in that the response of a route's Upstream asks for; `None` where the route does not follow challenges.
///
/// Logs a challenge that is not followed, once a minute.
#[must_use]
pub fn demanded_sign_in(status: StatusCode, headers: &HeaderMap, route: &Route) -> Option<SignInDemand> {
    static LAST: OnceAMinute = OnceAMinute::new();
    if status != StatusCode::UNAUTHORIZED || !route.follows_step_up_challenges() {
        return None;
    }
    let values = headers.get_all(WWW_AUTHENTICATE).map(|value| value.as_bytes());
    parse(values).unwrap_or_else(|error| {
        if LAST.is_due() {
            tracing::warn!(code = "step_up_challenge_refused", route = route.path(),
                upstream.name = route.upstream().name(), %error, "step-up challenge not followed");
        }
        None
    })
}

/// The demand in the values of `WWW-Authenticate`; `None` if no challenge asks for another sign-in.
fn parse<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Option<SignInDemand>, StepUpChallengeError> {
    let mut length = 0;
    let mut asking: Option<(Challenge, Error)> = None;
    for value in values {
        length += value.len();
        if length > MAX_LENGTH {
            return Err(StepUpChallengeError::Malformed);
        }
        for challenge in challenges(value).map_err(|_| StepUpChallengeError::Malformed)? {
            let Some(error) = error(&challenge)? else { continue };
            if asking.replace((challenge, error)).is_some() {
                return Err(StepUpChallengeError::Several);
            }
        }
    }
    let Some((challenge, error)) = asking else { return Ok(None) };
    let demand = match error {
        Error::InsufficientUserAuthentication => {
            SignInDemand { acr_values: acr_values(&challenge)?, max_age: max_age(&challenge)?, claims: None }
        }
        Error::InsufficientClaims => SignInDemand { claims: claims(&challenge)?, ..SignInDemand::default() },
    };
    if demand == SignInDemand::default() { Err(StepUpChallengeError::Nothing) } else { Ok(Some(demand)) }
}

/// Values of `error` that another sign-in can remedy.
enum Error {
    /// RFC 9470 3.
    InsufficientUserAuthentication,
    /// The claims challenge of Entra ID, of Conditional Access and of Continuous Access Evaluation.
    InsufficientClaims,
}

fn error(challenge: &Challenge) -> Result<Option<Error>, StepUpChallengeError> {
    if !challenge.is("Bearer") {
        return Ok(None);
    }
    Ok(match value(challenge, "error")? {
        Some(b"insufficient_user_authentication") => Some(Error::InsufficientUserAuthentication),
        Some(b"insufficient_claims") => Some(Error::InsufficientClaims),
        _ => None,
    })
}

fn value<'a>(challenge: &'a Challenge, name: &'static str) -> Result<Option<&'a [u8]>, StepUpChallengeError> {
    match challenge.parameter(name) {
        Parameter::Absent => Ok(None),
        Parameter::Value(value) => Ok(Some(value)),
        Parameter::Repeated => Err(StepUpChallengeError::Repeated(name)),
    }
}

fn acr_values(challenge: &Challenge) -> Result<Vec<String>, StepUpChallengeError> {
    let Some(value) = value(challenge, "acr_values")? else { return Ok(Vec::new()) };
    let is_plain = |value: &&str| {
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        value.len() <= MAX_ACR_VALUE && value.bytes().all(is_allowed)
    };
    let text = std::str::from_utf8(value).map_err(|_| StepUpChallengeError::AcrValues)?;
    let values: Vec<&str> = text.split(' ').filter(|value| !value.is_empty()).collect();
    let distinct: BTreeSet<&&str> = values.iter().collect();
    if values.is_empty()
        || distinct.len() != values.len()
        || values.len() > MAX_ACR_VALUES
        || !values.iter().all(is_plain)
    {
        return Err(StepUpChallengeError::AcrValues);
    }
    Ok(values.into_iter().map(str::to_owned).collect())
}

fn max_age(challenge: &Challenge) -> Result<Option<u64>, StepUpChallengeError> {
    let Some(value) = value(challenge, "max_age")? else { return Ok(None) };
    let is_number = value.len() <= 9 && value.iter().all(u8::is_ascii_digit); // `parse` takes a sign, too
    let seconds = std::str::from_utf8(value).ok().filter(|_| is_number).and_then(|digits| digits.parse().ok());
    seconds.map(Some).ok_or(StepUpChallengeError::MaxAge)
}

/// `claims`: base64 or base64url, with or without padding, as servers send it.
fn claims(challenge: &Challenge) -> Result<Option<ClaimsRequest>, StepUpChallengeError> {
    let Some(value) = value(challenge, "claims")? else { return Ok(None) };
    let alphabet = if value.iter().any(|byte| matches!(byte, b'-' | b'_')) { URL_SAFE } else { STANDARD };
    let padding = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let json = GeneralPurpose::new(&alphabet, padding).decode(value).map_err(|_| StepUpChallengeError::Encoding)?;
    Ok(Some(ClaimsRequest::parse_of_challenge(&json)?))
}

/// Maximum bytes of all `WWW-Authenticate` values together.
const MAX_LENGTH: usize = 8 * 1024;

/// Maximum values of `acr_values`, and characters of one.
const MAX_ACR_VALUES: usize = 8;
const MAX_ACR_VALUE: usize = 128;

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

    use super::*;

    /// The demand as `acr_values max_age claims`.
    fn read(values: &[&str]) -> Result<Option<String>, StepUpChallengeError> {
        let demand = parse(values.iter().map(|value| value.as_bytes()))?;
        Ok(demand.map(|demand| {
            let claims = demand.claims.map(|claims| claims.to_json()).unwrap_or_default();
            format!("{} {:?} {claims}", demand.acr_values.join("+"), demand.max_age)
        }))
    }

    /// Values of the header, the demand, and what is special.
    type Row<'a> = (Vec<String>, Result<Option<&'a str>, StepUpChallengeError>, &'a str);

    const CONTEXT: &str = r#"{"access_token":{"acrs":{"essential":true,"value":"c1??"}}}"#;

    fn challenge(parameters: &str) -> String {
        format!("Bearer error=\"insufficient_user_authentication\", {parameters}")
    }

    fn claims_challenge(claims: &str) -> String {
        format!("Bearer realm=\"\", error=\"insufficient_claims\", claims=\"{claims}\"")
    }

    #[test]
    fn a_challenge_for_another_sign_in_is_told_from_every_other() {
        use StepUpChallengeError::{AcrValues, Claims, Encoding, Malformed, MaxAge, Nothing, Repeated, Several};
        let (standard, url_safe) = (BASE64_STANDARD.encode(CONTEXT), BASE64_URL_SAFE_NO_PAD.encode(CONTEXT));
        assert!(standard.contains('/') && standard.ends_with('='), "{standard}");
        assert!(url_safe.contains('_'), "{url_safe}");
        let context = format!(" None {CONTEXT}");
        let (sub, large) = (r#"{"id_token":{"sub":{"value":"bob"}}}"#, " ".repeat(1025));
        let (gold, nine) = (challenge("acr_values=\"gold\""), ["a"; 9].join(" "));
        let long = format!("Bearer realm=\"{}\"", "x".repeat(8 * 1024));
        let table: Vec<Row<'_>> = vec![
            (vec![], Ok(None), "no challenge"),
            (vec!["Basic realm=\"x\"".into()], Ok(None), "another scheme"),
            (vec!["Bearer".into()], Ok(None), "no error"),
            (vec!["Bearer error=\"invalid_token\"".into()], Ok(None), "another error"),
            (vec!["Bearer error=\"INSUFFICIENT_CLAIMS\", claims=\"e30=\"".into()], Ok(None), "errors have a case"),
            (vec!["DPoP error=\"insufficient_claims\"".into()], Ok(None), "another scheme with the error"),
            (vec![format!("Basic realm=\"{}\"", gold.replace('"', "\\\""))], Ok(None), "a challenge within a realm"),
            (vec![gold.clone()], Ok(Some("gold None ")), "a class"),
            (vec![gold.replace("Bearer", "bEARER").replace("error", "ERROR")], Ok(Some("gold None ")), "any case"),
            (vec![challenge("acr_values=\"a b\", max_age=\"5\"")], Ok(Some("a+b Some(5) ")), "classes and an age"),
            (vec![challenge("max_age=0")], Ok(Some(" Some(0) ")), "an age without quotes"),
            (vec![challenge("acr_values=\" urn:x  phr \"")], Ok(Some("urn:x+phr None ")), "blanks around"),
            (vec![format!("Negotiate, {gold}")], Ok(Some("gold None ")), "behind another challenge"),
            (vec![format!("{gold}, Basic realm=\"x\"")], Ok(Some("gold None ")), "before another challenge"),
            (vec!["Basic realm=x".into(), gold.clone()], Ok(Some("gold None ")), "in a header of its own"),
            (vec!["Bearer".into(), gold.clone()], Ok(Some("gold None ")), "beside one that asks for nothing"),
            (vec![challenge("scope=\"x\", acr_values=\"gold\"")], Ok(Some("gold None ")), "other parameters"),
            (vec![claims_challenge(&standard)], Ok(Some(&context)), "claims in base64"),
            (vec![claims_challenge(standard.trim_end_matches('='))], Ok(Some(&context)), "without padding"),
            (vec![claims_challenge(&url_safe)], Ok(Some(&context)), "claims in base64url"),
            (vec![challenge("claims=\"e30=\"")], Err(Nothing), "claims beside the error of RFC 9470"),
            (vec![challenge("realm=\"x\"")], Err(Nothing), "nothing is asked for"),
            (vec!["Bearer error=insufficient_claims".into()], Err(Nothing), "no claims"),
            (vec![gold.clone(), gold.clone()], Err(Several), "two headers ask"),
            (vec![format!("{gold}, {}", claims_challenge(&standard))], Err(Several), "two challenges ask"),
            (vec![format!("{gold}, acr_values=\"x\"")], Err(Repeated("acr_values")), "a repeated parameter"),
            (vec![format!("{gold}, ERROR=\"x\"")], Err(Repeated("error")), "a repeated error"),
            (vec![challenge("max_age=1, max_age=2")], Err(Repeated("max_age")), "two ages"),
            (vec![challenge("acr_values=\"\"")], Err(AcrValues), "no class"),
            (vec![challenge("acr_values=\"a a\"")], Err(AcrValues), "a class twice"),
            (vec![challenge(&format!("acr_values=\"{nine}\""))], Err(AcrValues), "too many classes"),
            (vec![challenge(&format!("acr_values=\"{}\"", "x".repeat(129)))], Err(AcrValues), "a long class"),
            (vec![challenge("acr_values=\"a\\\"b\"")], Err(AcrValues), "a quote in a class"),
            (vec![challenge("acr_values=\"a\tb\"")], Err(AcrValues), "a tab in a class"),
            (vec![challenge("acr_values=\"gold\u{e9}\"")], Err(AcrValues), "a class beyond ASCII"),
            (vec![challenge("max_age=\"-1\"")], Err(MaxAge), "a negative age"),
            (vec![challenge("max_age=\"1.5\"")], Err(MaxAge), "a fraction"),
            (vec![challenge("max_age=\"1 prompt=none\"")], Err(MaxAge), "a parameter in the age"),
            (vec![challenge("max_age=\"\"")], Err(MaxAge), "no number"),
            (vec![challenge("max_age=\"1000000000\"")], Err(MaxAge), "a long number"),
            (vec![claims_challenge("e30")], Err(Claims(ClaimsRequestError::Empty)), "an empty request"),
            (vec![claims_challenge("")], Err(Claims(ClaimsRequestError::Form)), "empty claims"),
            (vec![claims_challenge("%7B%7D")], Err(Encoding), "percent-encoded claims"),
            (vec![claims_challenge("e30-/")], Err(Encoding), "both alphabets"),
            (vec![claims_challenge("e30= ")], Err(Encoding), "a blank behind"),
            (
                vec![claims_challenge(&BASE64_STANDARD.encode(sub))],
                Err(Claims(ClaimsRequestError::Claim)),
                "another person",
            ),
            (
                vec![claims_challenge(&BASE64_STANDARD.encode(&large))],
                Err(Claims(ClaimsRequestError::TooLarge)),
                "too much",
            ),
            (vec![format!("{gold}, realm=\"x")], Err(Malformed), "a quote without end"),
            (vec!["realm=x".into(), gold.clone()], Err(Malformed), "another header that breaks the grammar"),
            (vec![long, gold.clone()], Err(Malformed), "too long together"),
        ];
        for (values, expected, reason) in &table {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            assert_eq!(read(&values), expected.map(|demand| demand.map(str::to_owned)), "{reason}");
        }
    }
}
