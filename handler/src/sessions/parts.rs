//! The two sealed parts of a record, opened: what every request needs, and what only a refresh needs.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::RefreshBefore;
use crate::clock::Timestamp;
use crate::oidc::{AccessToken, Claims, PersonClaims, RefreshToken, TokenResponse};

/// What every proxied request needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HotPart {
    /// What the Upstream is shown.
    pub access_token: AccessToken,
    /// The ID token, when it becomes a header.
    pub id_token: Option<Zeroizing<String>>,
    /// The claims that become headers.
    pub claims: Claims,
}

/// What a refresh, a sign-out and `me` need.
#[derive(Clone, Serialize, Deserialize)]
pub struct ColdPart {
    /// What gets the next access token, if the Provider gave one.
    pub refresh_token: Option<RefreshToken>,
    /// The hint of RP-initiated logout.
    pub id_token: Option<Zeroizing<String>>,
    /// Everything the Provider said of the person.
    pub claims: PersonClaims,
}

impl fmt::Debug for ColdPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ColdPart(..)")
    }
}

/// What of the tokens and claims becomes headers, and so belongs to the hot part.
#[derive(Clone, Copy, Debug)]
pub struct HeaderNeeds {
    /// The claims; `None` stands for all.
    pub claims: Option<&'static [&'static str]>,
    /// Whether the ID token does.
    pub id_token: bool,
}

/// Both parts and the hints that are readable without them.
pub(super) struct Parts {
    pub(super) hot: HotPart,
    pub(super) cold: ColdPart,
    pub(super) access_token_expires_at: Option<Timestamp>,
    pub(super) refresh_at: Option<Timestamp>,
}

impl Parts {
    /// Divides what the Provider answered. What it omits (RFC 6749 6, OIDC Core 12.2) stays as in `before`.
    pub(super) fn divide(
        tokens: TokenResponse,
        claims: PersonClaims,
        before: Option<ColdPart>,
        needs: HeaderNeeds,
        refresh_before: RefreshBefore,
        now: Timestamp,
    ) -> Self {
        let (old_refresh_token, old_id_token) = before.map_or((None, None), |cold| (cold.refresh_token, cold.id_token));
        let refresh_token = tokens.refresh_token.or(old_refresh_token);
        let id_token = tokens.id_token.map(Zeroizing::new).or(old_id_token);
        let expiry = refresh_token.as_ref().and(tokens.expires_at);
        let refresh_at = expiry.map(|expires_at| refresh_before.refresh_at(expires_at, now));
        let hot_claims = match needs.claims {
            Some(names) => claims.only(names),
            None => (*claims).clone(),
        };
        Self {
            hot: HotPart {
                access_token: tokens.access_token,
                id_token: id_token.clone().filter(|_| needs.id_token),
                claims: hot_claims,
            },
            cold: ColdPart { refresh_token, id_token, claims },
            access_token_expires_at: tokens.expires_at,
            refresh_at,
        }
    }
}
