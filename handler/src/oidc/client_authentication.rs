//! Client authentication at the Provider's endpoints (OIDC Core 9, RFC 6749 2.3.1).
//!
//! The only implementation: code exchanges, refreshes, revocations and pushed requests all use it.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use super::{ClientAssertion, ClientAssertionError};
use crate::clock::Timestamp;

/// Type of a client assertion (RFC 7523 2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Authentication method, with its secret.
#[derive(Clone)]
pub enum ClientAuthentication {
    /// Secret in the `Authorization` header (HTTP Basic).
    ClientSecretBasic(Zeroizing<String>),
    /// Secret in the form.
    ClientSecretPost(Zeroizing<String>),
    /// Client assertion in the form: `private_key_jwt`, or a token of our managed identity.
    Assertion(Arc<dyn ClientAssertion>),
    /// No authentication: a public client.
    None,
}

/// Authenticated form: the body, and the `Authorization` header if the method has one.
pub(super) struct AuthenticatedForm {
    pub(super) body: String,
    pub(super) authorization: Option<Zeroizing<String>>,
}

impl ClientAuthentication {
    /// True if the method's parameters contain `client_id`.
    pub(super) const fn adds_client_id(&self) -> bool {
        !matches!(self, Self::ClientSecretBasic(_))
    }

    /// Encodes `form` with the method's parameters, for the Provider with this token endpoint.
    pub(super) async fn authenticate(
        &self,
        form: &[(&str, &str)],
        client_id: &str,
        token_endpoint: &Url,
        now: Timestamp,
    ) -> Result<AuthenticatedForm, ClientAssertionError> {
        let mut body = Serializer::new(String::new());
        body.extend_pairs(form);
        if self.adds_client_id() {
            body.append_pair("client_id", client_id);
        }
        let mut authorization = None;
        match self {
            Self::ClientSecretBasic(secret) => authorization = Some(basic(client_id, secret)),
            Self::ClientSecretPost(secret) => {
                body.append_pair("client_secret", secret);
            }
            Self::Assertion(source) => {
                let assertion = source.assertion(client_id, token_endpoint, now).await?;
                body.append_pair("client_assertion_type", JWT_BEARER).append_pair("client_assertion", &assertion);
            }
            Self::None => {}
        }
        Ok(AuthenticatedForm { body: body.finish(), authorization })
    }
}

/// Credentials of HTTP Basic. RFC 6749 2.3.1: both are form-urlencoded first.
fn basic(client_id: &str, secret: &str) -> Zeroizing<String> {
    let encode = |text: &str| Zeroizing::new(byte_serialize(text.as_bytes()).collect::<String>());
    let pair = Zeroizing::new(format!("{}:{}", *encode(client_id), *encode(secret)));
    Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}

impl fmt::Debug for ClientAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientAuthentication(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let method = ClientAuthentication::ClientSecretBasic("hunter2".to_owned().into());

        assert_eq!(format!("{method:?}"), "ClientAuthentication(..)");
    }

    #[actix_web::test]
    async fn basic_encodes_before_it_joins() {
        let method = ClientAuthentication::ClientSecretBasic("s:e c%".to_owned().into());

        let endpoint = "https://op.example/token".parse().unwrap();
        let form =
            method.authenticate(&[("a", "b c")], "https://app", &endpoint, Timestamp::from_unix(0)).await.unwrap();

        let header = form.authorization.unwrap();
        let decoded = STANDARD.decode(header.strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(decoded, b"https%3A%2F%2Fapp:s%3Ae+c%25");
        assert_eq!(form.body, "a=b+c");
    }

    #[actix_web::test]
    async fn an_identifier_and_a_secret_arrive_as_they_are_in_the_header_and_in_the_form() {
        let endpoint = "https://op.example/token".parse().unwrap();
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_encoding::percent_decode_str(&spaced).decode_utf8().unwrap().into_owned()
        };
        let awkward = [
            "plain",
            " leading",
            "trailing ",
            "in ner",
            "\ttab",
            "a+b",
            "a%20b",
            "100%",
            "a:b",
            ":",
            "a&b=c",
            "a\"b\\c",
            "a;b,c",
            "~*-._!'()",
            "é",
            "\u{1f511}",
        ];
        for (client_id, secret) in awkward.iter().flat_map(|id| awkward.iter().map(move |secret| (*id, *secret))) {
            let basic = ClientAuthentication::ClientSecretBasic(secret.to_owned().into());
            let post = ClientAuthentication::ClientSecretPost(secret.to_owned().into());
            let header = basic.authenticate(&[], client_id, &endpoint, Timestamp::from_unix(0)).await.unwrap();
            let form = post.authenticate(&[], client_id, &endpoint, Timestamp::from_unix(0)).await.unwrap();

            // RFC 6749 2.3.1: one colon between two values that are form-urlencoded themselves.
            let pair = header.authorization.unwrap();
            let pair = String::from_utf8(STANDARD.decode(pair.strip_prefix("Basic ").unwrap()).unwrap()).unwrap();
            let (first, second) = pair.split_once(':').unwrap();
            assert_eq!((decode(first).as_str(), decode(second).as_str()), (client_id, secret));
            let pairs: Vec<_> = url::form_urlencoded::parse(form.body.as_bytes()).into_owned().collect();
            let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            assert_eq!(pairs, [named("client_id", client_id), named("client_secret", secret)]);
        }
    }
}
