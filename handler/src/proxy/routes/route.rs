//! One route of the table: a path prefix, its Upstream and its rules.

use std::sync::Arc;

use crate::proxy::claim_headers::ClaimHeaders;
use crate::proxy::requirement::Requirement;
use crate::proxy::route_access_token::RouteAccessToken;
use crate::proxy::token_placement::TokenPlacement;
use crate::proxy::upstream::Upstream;
use crate::proxy::upstream_host::UpstreamHost;
use crate::token_target::TokenTarget;

/// Path prefix and its Upstream.
#[derive(Debug)]
pub struct Route {
    pub(super) path: String,
    pub(super) upstream: Arc<Upstream>,
    pub(super) access: Access,
    pub(super) streams: Streams,
    pub(super) host: Option<UpstreamHost>,
    pub(super) token: RouteAccessToken,
    pub(super) is_isolated: bool,
    pub(super) cross_site: CrossSite,
    pub(super) headers: ClaimHeaders,
    pub(super) assertion: Option<AssertionAudience>,
    pub(super) requirement: Option<Requirement>,
    pub(super) step_up_challenges: StepUpChallenges,
}

/// Access rule of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Only requests with a live session.
    #[default]
    Session,
    /// Everybody.
    Anonymous,
    /// Only API clients, each request with an access token.
    Bearer,
    /// Requests with a live session, and API clients.
    SessionOrBearer,
}

impl Access {
    /// True if every request that it admits is one that `other` admits.
    pub(in crate::proxy) fn admits_only(self, other: Self) -> bool {
        match (self, other) {
            (_, Self::Anonymous) | (Self::Session | Self::Bearer, Self::SessionOrBearer) => true,
            _ => self == other,
        }
    }

    /// True if a request may pass by an access token of its own.
    #[must_use]
    pub fn takes_access_tokens(self) -> bool {
        matches!(self, Self::Bearer | Self::SessionOrBearer)
    }
}

/// Fate of streaming requests and responses when their session ends; anonymous routes have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Streams {
    /// Cut.
    #[default]
    End,
    /// Continued to their own end.
    Outlive,
}

/// Form posts from other origins to a session route; anonymous routes accept every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum CrossSite {
    /// Refused.
    #[default]
    Refuse,
    /// Forwarded. The application must protect itself against forged ones.
    Allow,
}

/// A 401 by which the Upstream of a route asks for another sign-in (RFC 9470).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum StepUpChallenges {
    /// Passes to the client as it came.
    #[default]
    Pass,
    /// Leads the person to that sign-in. The Upstream is trusted to ask.
    Follow,
}

/// Audience (`aud`) of a route's identity assertions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AssertionAudience {
    /// The URL of the route at the public origin.
    Route,
    /// The operator's own name for the application.
    Named(String),
}

impl Route {
    /// Audience of the identity assertion that this route sends; by default its own URL at `origin`.
    #[must_use]
    pub fn assertion_audience(&self, origin: &str) -> Option<String> {
        Some(match self.assertion.as_ref()? {
            AssertionAudience::Route => [origin, &self.path].concat(),
            AssertionAudience::Named(audience) => audience.clone(),
        })
    }

    /// The headers that claims become on this route.
    #[must_use]
    pub fn headers(&self) -> &ClaimHeaders {
        &self.headers
    }

    /// Path prefix, without a trailing slash unless it is `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The Upstream of this route.
    #[must_use]
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// Access rule of this route.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// True if pages of other sites may only link to it.
    #[must_use]
    pub(super) fn is_isolated(&self) -> bool {
        self.is_isolated
    }

    /// True if it accepts forms of other sites.
    pub(super) fn allows_cross_site(&self) -> bool {
        self.cross_site == CrossSite::Allow
    }

    /// True if the person is led to the sign-in that its Upstream asks for.
    #[must_use]
    pub fn follows_step_up_challenges(&self) -> bool {
        self.step_up_challenges == StepUpChallenges::Follow
    }

    /// Fate of its streams when the session ends.
    #[must_use]
    pub fn streams(&self) -> Streams {
        self.streams
    }

    /// Authority in the `Host` for its Upstream.
    #[must_use]
    pub fn host(&self) -> UpstreamHost {
        self.host.unwrap_or(self.upstream.default_host())
    }

    /// Placement of the access token.
    #[must_use]
    pub fn token(&self) -> &TokenPlacement {
        &self.token.placement
    }

    /// Target of this route's own access token; `None` if it gets the sign-in's.
    #[must_use]
    pub fn token_target(&self) -> Option<&TokenTarget> {
        self.token.target.as_ref()
    }
}
