//! `HEADERS`: headers of the operator's own, made of claims, on every route.

use super::reader::{Reader, Setting};
use crate::proxy::{ClaimHeaders, ClaimHeadersError, RouteTable};
use crate::unique_json::UniqueJson;

const HEADERS: Setting = Setting {
    name: "HEADERS",
    expected: "a JSON list of {name, claim, format, separator}",
    example: r#"[{"name":"X-Remote-User","claim":"preferred_username"},{"name":"X-Roles","claim":"roles","format":"list"}]"#,
};

pub(super) fn read(reader: &mut Reader<'_>, routes: Option<&RouteTable>) -> Option<ClaimHeaders> {
    let Some(json) = reader.optional(HEADERS) else { return Some(ClaimHeaders::default()) };
    let parsed = match serde_json::from_str(json) {
        Ok(UniqueJson(json)) => ClaimHeaders::parse(&json),
        Err(error) => Err(ClaimHeadersError(vec![format!("it is no JSON ({error})")])),
    };
    let headers =
        parsed.map_err(|error| error.0.into_iter().for_each(|problem| reader.mistake(HEADERS, problem))).ok()?;
    // A claim would take the place of the token, which its upstream waits for.
    for (name, route) in routes.into_iter().flat_map(|routes| routes.token_headers(&headers)) {
        let path = route.path();
        reader.mistake(HEADERS, format!("the header {name:?} is the place of the access token on the route {path:?}"));
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use crate::config::environment::Environment;
    use crate::config::{Configuration, Mistakes};

    fn read(headers: &str, routes: &str) -> Result<(), Mistakes> {
        let variables = [
            ("PUBLIC_BASE_URL", "https://app.example"),
            ("OIDC_ISSUER_URL", "https://op.example"),
            ("CLIENT_ID", "client"),
            ("HEADERS", headers),
            ("ROUTES", routes),
        ];
        Configuration::read(&variables.into_iter().collect::<Environment>()).map(|_| ())
    }

    #[test]
    fn a_claim_never_takes_the_place_of_an_access_token() {
        let routes = r#"[{"path":"/","upstream":"https://a"},
            {"path":"/x","upstream":"https://a","token":{"header":"X-Access-Token"}},
            {"path":"/y","upstream":"https://a","token":{"header":"X-Access-Token"}},
            {"path":"/z","upstream":"https://a","token":"none"}]"#;
        let (of_x, of_y) = ("on the route \"/x\"", "on the route \"/y\"");
        for (headers, expected) in [
            (r#"[{"name":"X-Who","claim":"name"}]"#, &[][..]),
            (r#"[{"name":"X-Access-Token","claim":"name"}]"#, &[of_x, of_y]),
            (r#"[{"name":"x-access-TOKEN","claim":"name"},{"name":"X-Who","claim":"name"}]"#, &[of_x, of_y]),
            (r#"[{"name":"Host","claim":"name"},{"name":"X-Who","claim":""}]"#, &["of its own", "no claim"]),
            ("{", &["no JSON"]),
        ] {
            let mistakes = read(headers, routes).err().map(|mistakes| {
                mistakes.iter().map(|mistake| (mistake.variable, mistake.to_string())).collect::<Vec<_>>()
            });

            let mistakes = mistakes.unwrap_or_default();
            assert_eq!(mistakes.len(), expected.len(), "{headers}: {mistakes:?}");
            for ((variable, text), part) in mistakes.iter().zip(expected) {
                assert!(*variable == "HEADERS" && text.contains(part), "{headers}: {text}");
            }
        }
    }
}
