//! Names of request headers that the crate `http` does not know. As text, a name is parsed at every lookup.

use actix_web::http::header::HeaderName;

/// Fetch Metadata (2.4): how the requester relates to this site.
pub(super) const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Fetch Metadata (2.3): whether the response becomes a page.
pub(super) const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Fetch Metadata (2.1): what the response becomes.
pub(super) const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Invocation of the Functions host: on every request of its own clients, on none of its pings.
pub(super) const FUNCTIONS_INVOCATION_ID: HeaderName = HeaderName::from_static("x-azure-functions-invocationid");

/// Host name that the client used at the gateway (`context.Request.OriginalUrl.Host`), without a port.
pub(super) const GATEWAY_HOST: HeaderName = HeaderName::from_static("x-gateway-host");
