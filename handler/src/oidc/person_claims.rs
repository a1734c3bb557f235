//! Claims of a person from two sources, the ID token and UserInfo, and their merged view.
//!
//! The sources stay separate because each is renewed on its own: a claim lives as long as its own source repeats it.
//! Only claims that grant nothing outlive a newer ID token that omits them.

use std::ops::Deref;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Claims;
use super::claims::VERIFIED_PAIRS;

/// Claims of the token or of the authentication; only a verified ID token sets them. Most important is `sid`: a logout
/// by the Provider finds our session by it.
const PROTOCOL: [&str; 15] = [
    "iss",
    "sub",
    "aud",
    "azp",
    "exp",
    "iat",
    "nbf",
    "jti",
    "nonce",
    "at_hash",
    "c_hash",
    "auth_time",
    "acr",
    "amr",
    "sid",
];

/// Claims of the original authentication, which the ID token of a refresh may omit (OIDC Core 12.2).
const AUTHENTICATION: [&str; 5] = ["nonce", "auth_time", "sid", "acr", "amr"];

/// Claims that describe the person (OIDC Core 5.1) and grant nothing. Providers put them into the first ID token, often
/// by the scopes `profile`, `email`, `phone` and `address`, and omit them from refreshed ones. `upn` and `unique_name`
/// are Entra's names for `preferred_username` in optional claims and version 1 tokens.
const PROFILE: [&str; 17] = [
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "address",
    "updated_at",
    "upn",
    "unique_name",
];

/// Claims of a person by source. Derefs to the merged set, in which UserInfo overrides the ID token in everything but
/// the protocol's claims.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Sources", into = "Sources")]
pub struct PersonClaims {
    sources: Sources,
    merged: Claims,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
struct Sources {
    id_token: Claims,
    #[serde(default)]
    userinfo: Claims,
}

impl PersonClaims {
    /// Replaces the ID token's claims by those of a newer one. A claim that it omits is removed, unless it describes
    /// the person's profile or the original authentication.
    pub(super) fn renew_id_token(&mut self, newer: Claims) {
        let mut id_token = self.sources.id_token.as_map().clone();
        id_token.retain(|name, _| is_kept(name, newer.as_map()));
        id_token.extend(newer.into_map());
        *self = Sources { id_token: Claims::new(id_token), userinfo: self.sources.userinfo.clone() }.into();
    }

    /// True if the ID token refers to its groups (OIDC Core 5.6.2) because it cannot hold them all.
    pub(super) fn has_group_overage(&self) -> bool {
        let names = self.sources.id_token.as_map().get("_claim_names");
        names.and_then(Value::as_object).is_some_and(|names| names.contains_key("groups"))
    }

    /// Replaces the ID token's groups by those that it refers to, or by none.
    pub(super) fn replace_groups(&mut self, groups: Option<Vec<String>>) {
        let mut id_token = self.sources.id_token.as_map().clone();
        id_token.remove("groups");
        id_token.extend(groups.map(|groups| ("groups".to_owned(), groups.into())));
        *self = Sources { id_token: Claims::new(id_token), userinfo: self.sources.userinfo.clone() }.into();
    }

    /// Replaces the claims of UserInfo. A claim that it omits is removed, unless the ID token has it.
    pub(super) fn replace_userinfo(&mut self, userinfo: Claims) {
        *self = Sources { id_token: self.sources.id_token.clone(), userinfo }.into();
    }
}

/// True if an old claim survives a newer ID token that omits it.
fn is_kept(name: &str, newer: &Map<String, Value>) -> bool {
    match VERIFIED_PAIRS.iter().find(|pair| pair.contains(&name)) {
        Some(pair) => !pair.iter().any(|name| newer.contains_key(*name)),
        None => !newer.contains_key(name) && (PROFILE.contains(&name) || AUTHENTICATION.contains(&name)),
    }
}

impl Sources {
    fn merge(&self) -> Claims {
        let mut merged = self.id_token.as_map().clone();
        let userinfo = self.userinfo.as_map();
        for [value, verified] in VERIFIED_PAIRS {
            // The ID token verifies its own address, not another one from UserInfo.
            if userinfo.get(value).is_some_and(|given| merged.get(value) != Some(given)) {
                merged.remove(verified);
            }
        }
        // And UserInfo verifies no address but its own.
        let vouches_for_nothing = |name: &str| {
            VERIFIED_PAIRS.iter().any(|[value, verified]| *verified == name && !userinfo.contains_key(*value))
        };
        let of_the_person =
            userinfo.iter().filter(|(name, _)| !PROTOCOL.contains(&name.as_str()) && !vouches_for_nothing(name));
        merged.extend(of_the_person.map(|(name, value)| (name.clone(), value.clone())));
        Claims::new(merged)
    }
}

impl From<Claims> for PersonClaims {
    /// Claims of a sign-in's ID token, before UserInfo.
    fn from(id_token: Claims) -> Self {
        Sources { id_token, userinfo: Claims::default() }.into()
    }
}

impl From<Sources> for PersonClaims {
    fn from(sources: Sources) -> Self {
        Self { merged: sources.merge(), sources }
    }
}

impl From<PersonClaims> for Sources {
    fn from(claims: PersonClaims) -> Self {
        claims.sources
    }
}

impl Deref for PersonClaims {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        &self.merged
    }
}

impl std::fmt::Debug for PersonClaims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PersonClaims({} of them)", self.merged.as_map().len())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(json: Value) -> Claims {
        serde_json::from_value(json).unwrap()
    }

    fn person(id_token: Value, userinfo: Value) -> PersonClaims {
        let mut person = PersonClaims::from(claims(id_token));
        person.replace_userinfo(claims(userinfo));
        person
    }

    #[test]
    fn what_a_newer_id_token_omits_is_gone_unless_it_grants_nothing() {
        let table = [
            (json!({"groups": ["admins"]}), json!({}), json!({}), "groups"),
            (json!({"roles": ["admin"], "wids": ["w"]}), json!({}), json!({}), "roles"),
            (json!({"tenant": "a"}), json!({}), json!({}), "a claim of the Provider's own"),
            (
                json!({"exp": 1, "at_hash": "h", "azp": "c"}),
                json!({"exp": 2}),
                json!({"exp": 2}),
                "the old token's own",
            ),
            (json!({"name": "Ada", "upn": "ada@a"}), json!({}), json!({"name": "Ada", "upn": "ada@a"}), "a profile"),
            (json!({"name": "Ada"}), json!({"name": null}), json!({"name": null}), "a profile that is said to be none"),
            (
                json!({"nonce": "n", "auth_time": 1, "sid": "s", "acr": "1", "amr": ["pwd"]}),
                json!({"acr": "2"}),
                json!({"nonce": "n", "auth_time": 1, "sid": "s", "acr": "2", "amr": ["pwd"]}),
                "the original authentication",
            ),
            (
                json!({"email": "a@b", "email_verified": true}),
                json!({}),
                json!({"email": "a@b", "email_verified": true}),
                "a pair that is omitted as one",
            ),
            (
                json!({"email": "a@b", "email_verified": true}),
                json!({"email": "eve@b"}),
                json!({"email": "eve@b"}),
                "an address that nobody has verified",
            ),
            (
                json!({"email": "a@b", "email_verified": true}),
                json!({"email_verified": false}),
                json!({"email_verified": false}),
                "half a pair",
            ),
            (
                json!({"phone_number": "1", "phone_number_verified": true}),
                json!({"phone_number": "2"}),
                json!({"phone_number": "2"}),
                "a number that nobody has verified",
            ),
        ];
        for (known, newer, expected, reason) in table {
            let mut person = person(known, json!({}));

            person.renew_id_token(claims(newer));

            assert_eq!(*person, claims(expected), "{reason}");
        }
    }

    #[test]
    fn userinfo_is_replaced_as_a_whole_and_leaves_the_id_token_alone() {
        let mut person = person(json!({"sub": "ada", "roles": ["a"]}), json!({"groups": ["g"], "name": "Ada"}));

        person.renew_id_token(claims(json!({"sub": "ada"})));
        assert_eq!(*person, claims(json!({"sub": "ada", "groups": ["g"], "name": "Ada"})));

        person.replace_userinfo(claims(json!({"sub": "ada", "email": "a@b"})));
        assert_eq!(*person, claims(json!({"sub": "ada", "email": "a@b"})));
    }

    #[test]
    fn userinfo_overrides_the_person_and_never_the_protocol() {
        let hostile: Map<_, _> = PROTOCOL.map(|name| (name.to_owned(), Value::from("evil"))).into_iter().collect();
        let id_token = json!({"sub": "ada", "iss": "https://op.example", "name": "A"});

        let mut merged = person(id_token.clone(), Value::Object(hostile));
        assert_eq!(*merged, claims(id_token));

        merged.replace_userinfo(claims(json!({"name": "Ada", "sid": "evil"})));
        assert_eq!((merged.text("name"), merged.text("sid")), (Some("Ada"), None));
    }

    #[test]
    fn an_id_token_vouches_for_its_own_address_alone() {
        let verified = |userinfo| {
            let merged = person(json!({"email": "a@b", "email_verified": true}), userinfo);
            merged.as_map().get("email_verified").cloned()
        };

        assert_eq!(verified(json!({"email": "a@b"})), Some(json!(true)));
        assert_eq!(verified(json!({"email": "eve@b"})), None);
        assert_eq!(verified(json!({"email": "eve@b", "email_verified": false})), Some(json!(false)));
    }

    #[test]
    fn both_sources_survive_the_store() {
        let person = person(json!({"sub": "ada", "email": "a@b"}), json!({"email": "ada@b", "groups": ["g"]}));

        let stored = serde_json::to_value(&person).unwrap();

        let expected = json!({
            "id_token": {"sub": "ada", "email": "a@b"}, "userinfo": {"email": "ada@b", "groups": ["g"]},
        });
        assert_eq!(stored, expected);
        assert_eq!(serde_json::from_value::<PersonClaims>(stored).unwrap(), person);
    }

    #[test]
    fn userinfo_vouches_for_no_address_but_its_own() {
        let mut claims = PersonClaims::from(claims(json!({"sub": "ada", "email": "eve@b", "email_verified": false})));

        claims.replace_userinfo(super::Claims::new(
            json!({"sub": "ada", "email_verified": true}).as_object().unwrap().clone(),
        ));

        assert_eq!(claims.as_map()["email_verified"], false);
    }
}
