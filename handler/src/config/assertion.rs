//! Identity assertions for applications: the keys that sign them.

use zeroize::Zeroizing;

use super::reader::{Reader, Setting};
use crate::oidc::IdentityAssertions;
use crate::proxy::RouteTable;
use crate::public_origin::PublicOrigin;

const ASSERTION_KEYS: Setting = Setting {
    name: "ASSERTION_KEYS",
    expected: "one or two private keys in PEM (PKCS #8; RSA of at least 2048 bits or EC on P-256), their lines joined by \\n, \
               with a route that has an assertion",
    example: "-----BEGIN PRIVATE KEY-----\\n…\\n-----END PRIVATE KEY-----",
};

/// The signer, if a route sends assertions. `None` after a mistake.
pub(super) fn read(
    reader: &mut Reader<'_>,
    routes: Option<&RouteTable>,
    origin: Option<&PublicOrigin>,
) -> Option<Option<IdentityAssertions>> {
    let is_wanted = routes.is_some_and(RouteTable::has_assertions);
    let Some(pem) = reader.optional(ASSERTION_KEYS) else {
        if is_wanted {
            reader.mistake(ASSERTION_KEYS, "it is not set, and a route of ROUTES has an assertion".to_owned());
            return None;
        }
        return Some(None);
    };
    let pem = Zeroizing::new(pem.replace("\\n", "\n"));
    let assertions = IdentityAssertions::from_pem(&pem, origin.map(PublicOrigin::as_str).unwrap_or_default());
    let assertions = assertions.map_err(|error| reader.mistake(ASSERTION_KEYS, format!("it is {error}"))).ok()?;
    if routes.is_some() && !is_wanted {
        reader.mistake(ASSERTION_KEYS, "no route of ROUTES has an assertion".to_owned());
        return None;
    }
    Some(Some(assertions))
}

#[cfg(test)]
mod tests {
    use crate::config::Configuration;
    use crate::config::environment::Environment;

    #[test]
    fn a_route_with_an_assertion_and_no_key_that_signs_it_is_a_mistake() {
        let variables = [
            ("PUBLIC_BASE_URL", "https://app.example"),
            ("OIDC_ISSUER_URL", "https://op.example"),
            ("CLIENT_ID", "client"),
            ("ROUTES", r#"[{"path":"/","upstream":"https://app.internal","assertion":true}]"#),
        ];

        let refused = Configuration::read(&variables.into_iter().collect::<Environment>()).map(|_| ());

        let mistakes: Vec<_> =
            refused.unwrap_err().iter().map(|mistake| (mistake.variable, mistake.to_string())).collect();
        assert!(matches!(&mistakes[..], [("ASSERTION_KEYS", text)] if text.contains("is not set")), "{mistakes:?}");
    }
}
