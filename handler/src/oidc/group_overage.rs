//! Group overage: Entra ID leaves `groups` out of a token when there are more than 200, and refers to Microsoft Graph.
//!
//! The token only says that groups are missing. The endpoint in its `_claim_sources` (OIDC Core 5.6.2) is never used: a
//! token must not choose where an access token goes. Without a complete list the person has no groups, not the old
//! ones.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use url::Url;
use uuid::Uuid;

use super::http::Http;
use super::{AccessToken, ProviderError};

/// Timeout of the request; shorter than a refresh's wait for claims, so that UserInfo has its share.
const GRAPH_TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum number of groups; a longer list is ignored. Windows allows 1,015 per person, a header of 38 KB.
pub(super) const MAX_GROUPS: usize = 1024;

/// Source of the groups of a person who has too many for the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupOverage {
    /// None: the person has no groups.
    Ignore,
    /// Microsoft Graph at this origin, with the person's access token.
    Graph(Url),
}

/// Reason why no groups were received.
#[derive(Debug, thiserror::Error)]
enum GroupsError {
    /// 401: the access token is not for Graph. 403: it lacks a permission.
    #[error("Microsoft Graph responded with status {0}")]
    Status(u16),
    #[error("Microsoft Graph's response is not a complete list of object ids")]
    Malformed,
    #[error("the person is in more than {MAX_GROUPS} groups")]
    TooMany,
    #[error("no response from Microsoft Graph ({0})")]
    Unavailable(#[source] ProviderError),
}

#[derive(Deserialize)]
struct MemberObjects {
    value: Vec<String>,
    #[serde(rename = "@odata.nextLink")]
    next_link: Option<serde::de::IgnoredAny>,
}

/// Requests the person's groups from Microsoft Graph, if `overage` allows it, until `deadline`. Logs the reason of a
/// failure.
pub(super) async fn request_groups(
    http: &Http,
    overage: &GroupOverage,
    access_token: &AccessToken,
    deadline: Option<Instant>,
) -> Option<Vec<String>> {
    let GroupOverage::Graph(origin) = overage else {
        tracing::info!(code = "group_overage_ignored", "too many groups for the token: session has no groups");
        return None;
    };
    let latest = Instant::now() + GRAPH_TIMEOUT;
    let deadline = deadline.map_or(latest, |deadline| deadline.min(latest));
    let late = |_| Err(GroupsError::Unavailable(ProviderError::NoResponse));
    let groups = timeout_at(deadline, request_member_objects(http, access_token, origin)).await.unwrap_or_else(late);
    let report = |error: &GroupsError| {
        tracing::warn!(code = "group_overage_unresolved", %error, "groups not resolved: session has no groups");
    };
    groups.inspect_err(report).ok()
}

/// `directoryObject: getMemberObjects` of Microsoft Graph 1.0, which isn't paged.
async fn request_member_objects(http: &Http, token: &AccessToken, origin: &Url) -> Result<Vec<String>, GroupsError> {
    let endpoint = origin.join("/v1.0/me/getMemberObjects").map_err(|_| GroupsError::Malformed)?;
    let body = r#"{"securityEnabledOnly":true}"#;
    let response = http.post_json(endpoint.as_str(), token.expose(), body).await.map_err(GroupsError::Unavailable)?;
    if response.status != 200 {
        return Err(GroupsError::Status(response.status));
    }
    parse(&response.body)
}

fn parse(body: &[u8]) -> Result<Vec<String>, GroupsError> {
    let objects: MemberObjects = serde_json::from_slice(body).map_err(|_| GroupsError::Malformed)?;
    if objects.next_link.is_some() {
        return Err(GroupsError::Malformed);
    }
    if objects.value.len() > MAX_GROUPS {
        return Err(GroupsError::TooMany);
    }
    // GUIDs only: no other text of Graph can become a group.
    let id = |text: &String| Uuid::try_parse(text).map(|id| id.to_string()).map_err(|_| GroupsError::Malformed);
    objects.value.iter().map(id).collect()
}

#[cfg(test)]
mod tests;
