//! `API_ISSUERS`: the issuers whose access tokens pass on routes for API clients.

use serde::Deserialize;

use super::gateway;
use super::reader::{Reader, Setting};
use crate::oidc::{AccessTokenType, ApiIssuer};
use crate::proxy::RouteTable;

const API_ISSUERS: Setting = Setting {
    name: "API_ISSUERS",
    expected: "a JSON list of {issuer, audience, token_type}, with a route whose access is bearer or session_or_bearer",
    example: r#"[{"issuer":"https://op.example","audience":"api://orders"}]"#,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    issuer: String,
    audience: Audience,
    #[serde(default)]
    token_type: TokenType,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

#[derive(Default, Deserialize)]
enum TokenType {
    #[default]
    #[serde(rename = "at+jwt")]
    AtJwt,
    #[serde(rename = "JWT")]
    Jwt,
}

/// The issuers; a mistake where a route needs one and there is none, or the other way round.
pub(super) fn read(reader: &mut Reader<'_>, routes: Option<&RouteTable>) -> Option<Vec<ApiIssuer>> {
    let takes_tokens = routes.is_some_and(RouteTable::takes_access_tokens);
    let Some(json) = reader.optional(API_ISSUERS) else {
        if takes_tokens {
            let problem = "it is not set, and a route of ROUTES takes access tokens: no client could pass";
            reader.mistake(API_ISSUERS, problem.to_owned());
            return None;
        }
        return Some(Vec::new());
    };
    let issuers = match parse(json) {
        Ok(issuers) => issuers,
        Err(problems) => {
            problems.into_iter().for_each(|problem| reader.mistake(API_ISSUERS, problem));
            return None;
        }
    };
    if routes.is_some() && !takes_tokens {
        let problem = "no route of ROUTES has the access bearer or session_or_bearer";
        reader.mistake(API_ISSUERS, problem.to_owned());
        return None;
    }
    Some(issuers)
}

fn parse(json: &str) -> Result<Vec<ApiIssuer>, Vec<String>> {
    let rows: Vec<Row> = serde_json::from_str(json).map_err(|error| vec![format!("it is no such list ({error})")])?;
    let mut problems = Vec::new();
    let mut issuers: Vec<ApiIssuer> = Vec::with_capacity(rows.len());
    if rows.is_empty() {
        problems.push("the list is empty".to_owned());
    }
    for Row { issuer, audience, token_type } in rows {
        let audiences = match audience {
            Audience::One(audience) => vec![audience],
            Audience::Several(audiences) => audiences,
        };
        if gateway::issuer(&issuer).is_none() {
            problems.push(format!("the issuer {issuer:?} is no https URL without a query (http only on loopback)"));
        }
        if audiences.is_empty() || audiences.iter().any(String::is_empty) {
            problems.push(format!("the issuer {issuer:?} has no audience, so tokens for anyone would pass"));
        }
        if issuers.iter().any(|other| other.issuer == issuer) {
            problems.push(format!("the issuer {issuer:?} occurs twice; one row can have several audiences"));
        }
        let token_type = match token_type {
            TokenType::AtJwt => AccessTokenType::AtJwt,
            TokenType::Jwt => AccessTokenType::Jwt,
        };
        issuers.push(ApiIssuer { issuer, audiences, token_type });
    }
    if problems.is_empty() { Ok(issuers) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_read_with_one_audience_or_several() {
        let json = r#"[
            {"issuer": "https://a.example", "audience": "api://orders"},
            {"issuer": "https://b.example/t/v2.0", "audience": ["x", "y"], "token_type": "JWT"}
        ]"#;

        let issuers = parse(json).unwrap();

        let row = |issuer: &str, audiences: &[&str], token_type| {
            let audiences = audiences.iter().map(|audience| (*audience).to_owned()).collect();
            ApiIssuer { issuer: issuer.to_owned(), audiences, token_type }
        };
        let expected = [
            row("https://a.example", &["api://orders"], AccessTokenType::AtJwt),
            row("https://b.example/t/v2.0", &["x", "y"], AccessTokenType::Jwt),
        ];
        assert_eq!(issuers, expected);
    }

    #[test]
    fn mistakes_in_the_list_are_told() {
        let table = [
            ("{}", "no such list"),
            ("[]", "the list is empty"),
            (r#"[{"issuer": "https://a.example"}]"#, "missing field `audience`"),
            (r#"[{"issuer": "https://a.example", "audience": "x", "typ": "JWT"}]"#, "unknown field `typ`"),
            (r#"[{"issuer": "https://a.example", "audience": "x", "token_type": "jwt"}]"#, "unknown variant `jwt`"),
            (r#"[{"issuer": "http://a.example", "audience": "x"}]"#, "is no https URL"),
            (r#"[{"issuer": "a.example", "audience": "x"}]"#, "is no https URL"),
            (r#"[{"issuer": "https://a.example?x", "audience": "x"}]"#, "is no https URL"),
            (r#"[{"issuer": "https://a.example", "audience": ""}]"#, "has no audience"),
            (r#"[{"issuer": "https://a.example", "audience": []}]"#, "has no audience"),
            (
                r#"[{"issuer": "https://a.example", "audience": "x"}, {"issuer": "https://a.example", "audience": "y"}]"#,
                "occurs twice",
            ),
        ];
        for (json, expected) in table {
            let problems = parse(json).unwrap_err().join("; ");
            assert!(problems.contains(expected), "{json}: {problems}");
        }
    }

    #[test]
    fn several_mistakes_are_told_at_once() {
        let problems = parse(r#"[{"issuer": "a", "audience": ""}, {"issuer": "b", "audience": "x"}]"#).unwrap_err();

        assert_eq!(problems.len(), 3);
    }
}
