//! Token Exchange (RFC 8693) at the virtual Provider: an access token of a session for one of another target.
//!
//! An exchange spends nothing. It succeeds as long as its subject token does.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Illness, ProviderDefect, State, VirtualProvider, for_target};
use crate::oidc::{ProviderError, Response, ScriptedRequest};

/// Grant type of an exchange.
pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// Start of the refresh tokens that exchanges bring along.
pub(crate) const UNWANTED: &str = "of-exchange-";

/// Policy of the Provider for exchanges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExchangePolicy {
    /// True if a refresh token comes with each token: that of another grant (RFC 8693 2.2.1).
    pub(crate) has_refresh_token: bool,
    /// True if a refresh of the session ends its earlier access tokens.
    pub(crate) ends_earlier_subjects: bool,
    /// True if the response to an exchange is repeated while its token lives.
    pub(crate) repeats: bool,
    /// Error code for a subject token that is not valid.
    pub(crate) refusal: &'static str,
    /// Lifetime of the tokens in seconds.
    pub(crate) expires_in: u64,
}

/// Part of an access token that names its session.
pub(crate) fn of_grant(grant: &str) -> String {
    format!("-of-{grant}")
}

impl Default for ExchangePolicy {
    fn default() -> Self {
        let refusal = "invalid_request"; // RFC 8693 2.2.2
        Self { has_refresh_token: false, ends_earlier_subjects: false, repeats: false, refusal, expires_in: 60 }
    }
}

/// Access token of a session, as a subject token.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// The first refresh token of its session.
    grant: String,
    expires: Duration,
    is_ended: bool,
}

/// Request of an exchange.
#[derive(Clone, Debug)]
pub(crate) struct TokenExchange {
    /// Virtual time since the start when it was sent.
    pub(crate) sent: Duration,
    /// Time of its response, if there is one.
    pub(crate) responded: Option<Duration>,
    /// The subject token.
    pub(crate) subject: String,
    /// The first refresh token of the session whose access token that is, if it is one.
    pub(crate) grant: Option<String>,
    /// The target.
    pub(crate) resource: String,
    /// The instance that sent it.
    pub(crate) instance: usize,
    /// The failure at that time, if any.
    pub(crate) illness: Option<Illness>,
    /// The issued access token, though its response may be lost.
    pub(crate) granted: Option<String>,
    /// Lifetime of that token.
    pub(crate) expires_in: Duration,
    /// True if the response is that of an earlier exchange.
    pub(crate) is_repeated: bool,
}

impl TokenExchange {
    /// True if the caller got a token for its target.
    pub(crate) fn is_success(&self) -> bool {
        self.illness.is_none() && self.granted.is_some()
    }

    /// True if the Provider refused the target, or the subject token.
    pub(crate) fn is_refused(&self) -> bool {
        self.illness.map_or(self.granted.is_none(), Illness::is_refusal)
    }

    /// True if the Provider refused the subject token, which was not valid.
    pub(crate) fn is_stale(&self) -> bool {
        self.illness.is_none() && self.granted.is_none()
    }
}

impl VirtualProvider {
    pub(crate) fn set_exchange_policy(&self, policy: ExchangePolicy) {
        self.state.borrow_mut().exchange_policy = policy;
    }

    /// Knows the first access token of a session, which expires at this time.
    pub(crate) fn admit(&self, access_token: &str, grant: &str, expires: Duration) {
        self.state.borrow_mut().add_subject(access_token, grant, expires);
    }

    pub(crate) fn token_exchanges(&self) -> Vec<TokenExchange> {
        self.state.borrow().token_exchanges.clone()
    }

    /// Waits for this number of exchanges.
    pub(crate) async fn exchanged(&self, times: usize) {
        self.wait_for(|state| state.token_exchanges.len() >= times).await;
    }

    /// Responds to an exchange that was sent at `sent`, after `after`.
    pub(super) async fn exchange_token(
        &self,
        request: &ScriptedRequest,
        instance: usize,
        sent: Duration,
        after: Duration,
    ) -> Result<Response, ProviderError> {
        let subject = request.field("subject_token").unwrap_or_default();
        let resource = request.field("resource").unwrap_or_default();
        let now = self.started.elapsed();
        let (exchange, response) = {
            let mut state = self.state.borrow_mut();
            let of_target = state.ill_targets.get(&resource).copied();
            let illness = state.illness.map(|illness| (illness, state.acts_when_ill)).or(of_target);
            let acts = illness.is_none_or(|(illness, acts)| acts && !illness.is_refusal());
            let exchange = TokenExchange {
                sent,
                responded: Some(now + after).filter(|_| illness.is_none_or(|(illness, _)| illness != Illness::Hang)),
                grant: state.subjects.get(&subject).map(|subject| subject.grant.clone()),
                subject,
                resource,
                instance,
                illness: illness.map(|(illness, _)| illness),
                granted: None,
                expires_in: Duration::from_secs(state.exchange_policy.expires_in),
                is_repeated: false,
            };
            let exchange = if acts { state.exchange(exchange, now) } else { exchange };
            state.token_exchanges.push(exchange.clone());
            let response = exchange.granted.as_ref().map(|granted| state.exchanged(granted, &exchange));
            (exchange, response)
        };
        self.called.notify_waiters();
        let refused = |error: &str| Ok(Response::json(400, &json!({ "error": error })));
        match exchange.illness {
            None => match response {
                Some(response) => Ok(Response::json(200, &response)),
                None => refused(self.state.borrow().exchange_policy.refusal),
            },
            Some(Illness::Reset) => Err(ProviderError::NoResponse),
            Some(Illness::Hang) => std::future::pending().await,
            Some(Illness::Html) => Ok(Response::json(200, &json!("<html>"))),
            Some(Illness::Status(status)) => Ok(Response::json(status, &json!("<html>"))),
            Some(Illness::RefusesTarget) => refused("invalid_target"),
            Some(Illness::RefusesGrant) => refused("invalid_grant"),
            Some(Illness::IgnoresTarget) => {
                let token = self.key.sign(&json!({"aud": "api-of-the-sign-in"}));
                Ok(Response::json(200, &self.state.borrow().exchanged(&token, &exchange)))
            }
        }
    }
}

impl State {
    pub(super) fn add_subject(&mut self, access_token: &str, grant: &str, expires: Duration) {
        let grant = grant.trim_end_matches('+').to_owned();
        self.subjects.insert(access_token.to_owned(), Subject { grant, expires, is_ended: false });
    }

    /// Ends the access tokens of a session that was refreshed with `refresh_token`, if that is the policy.
    pub(super) fn end_earlier_subjects(&mut self, refresh_token: &str) {
        if self.exchange_policy.ends_earlier_subjects {
            let grant = refresh_token.trim_end_matches('+');
            let earlier = self.subjects.values_mut().filter(|subject| subject.grant == grant);
            earlier.for_each(|subject| subject.is_ended = true);
        }
    }

    /// Issues a token, or repeats an earlier one; none if the subject token is not valid.
    fn exchange(&mut self, exchange: TokenExchange, now: Duration) -> TokenExchange {
        let ExchangePolicy { repeats, .. } = self.exchange_policy;
        let Some(subject) = self.subjects.get(&exchange.subject) else { return exchange };
        let is_revoked = self.revoked.iter().any(|revoked| revoked.trim_end_matches('+') == subject.grant);
        if subject.is_ended || is_revoked || subject.expires <= now {
            return exchange;
        }
        let is_same =
            |earlier: &&TokenExchange| earlier.subject == exchange.subject && earlier.resource == exchange.resource;
        let mut earlier = self.token_exchanges.iter().filter(is_same).filter(|_| repeats);
        let issued = earlier.find(|earlier| earlier.granted.is_some() && !earlier.is_repeated);
        let left = issued.map(|issued| (issued.sent + issued.expires_in).saturating_sub(now));
        if let Some((issued, left)) = issued.zip(left.filter(|left| *left >= Duration::from_secs(1))) {
            return TokenExchange { granted: issued.granted.clone(), expires_in: left, is_repeated: true, ..exchange };
        }
        self.grants += 1;
        let is_odd = self.grants % 2 == 1;
        let is_confused = self.defect == Some(ProviderDefect::ConfusesTargets) && is_odd;
        let target = for_target(if is_confused { "another" } else { &exchange.resource });
        let is_anothers = self.defect == Some(ProviderDefect::ConfusesPersons) && is_odd;
        let owner = of_grant(if is_anothers { "another" } else { &subject.grant });
        TokenExchange { granted: Some(format!("exchanged-{}{owner}{target}", self.grants)), ..exchange }
    }

    /// Body of a response with this token.
    fn exchanged(&self, access_token: &str, exchange: &TokenExchange) -> Value {
        let mut body = json!({
            "access_token": access_token, "token_type": "Bearer", "expires_in": exchange.expires_in.as_secs(),
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        });
        if self.exchange_policy.has_refresh_token {
            body["refresh_token"] = format!("{UNWANTED}{}", self.token_exchanges.len()).into();
        }
        body
    }
}
