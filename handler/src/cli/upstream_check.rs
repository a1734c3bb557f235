//! Verdict on an Upstream for `check`: the `Host` it accepts, and the setting to change if that is another one.
//!
//! Sends nothing itself. A status is a refusal of the name only where the other name gets a better one.

use crate::proxy::{ProbeError, ProbeResponse, UpstreamHost};

/// Responses of one Upstream to both host names.
pub(super) struct Probed<'a> {
    /// The Upstream's authority.
    pub(super) name: &'a str,
    /// The `Host` that its routes send.
    pub(super) used: UpstreamHost,
    /// True if a route to it replaces the client's `Authorization`.
    pub(super) replaces_authorization: bool,
    /// Response to that `Host`.
    pub(super) response: Result<ProbeResponse, ProbeError>,
    /// Response to the other `Host`.
    pub(super) other: Result<ProbeResponse, ProbeError>,
}

impl Probed<'_> {
    /// One line, and `false` if the operator must change something.
    pub(super) fn verdict(&self) -> (bool, String) {
        let name = self.name;
        let (used, other) = match self.used {
            UpstreamHost::Public => ("the public name", "its own"),
            UpstreamHost::Own => ("its own name", "the public one"),
        };
        let (status, names) = match (&self.response, refusal(&self.response), refusal(&self.other)) {
            (_, Some(refusal), None) => {
                let value = self.used.other().as_str();
                let set = format!("set UPSTREAM_HOST={value}, or \"host\": \"{value}\" in its routes");
                return (
                    false,
                    format!("upstream {name} refuses {used} in Host ({refusal}), and takes {other}: {set}"),
                );
            }
            (Err(error), _, _) => return (false, format!("upstream {name}: {error}")),
            (Ok(response), _, _) if response.is_this_service => {
                return (false, format!("upstream {name} is this service itself: name the application's own address"));
            }
            (Ok(response), Some(_), Some(_)) if response.redirects_to_itself => {
                let cause = "does it read X-Forwarded-Proto and X-Forwarded-Host?";
                (response.status, format!("it redirects / to itself under both names: {cause}"))
            }
            (Ok(response), Some(_), Some(refusal)) => {
                (response.status, format!("it takes {used}, which is used, no better than {other} ({refusal})"))
            }
            (Ok(response), None, Some(refusal)) => {
                (response.status, format!("it takes {used}, which is used, not {other} ({refusal})"))
            }
            (Ok(response), None, None) => (response.status, format!("it takes {used}, which is used, and {other}")),
        };
        let login = match &self.response {
            Ok(response) if response.asks_for_login && self.replaces_authorization => {
                "; it asks for a login of its own, which needs \"token\": \"none\" in its routes"
            }
            Ok(_) | Err(_) => "",
        };
        (true, format!("upstream {name} responds with status {status}; {names}{login}"))
    }
}

/// Sign that the `Host` is refused: no such site (404, 421), not an allowed host (400, 403), no service behind
/// the name (5xx), or a redirect to the other name.
fn refusal(response: &Result<ProbeResponse, ProbeError>) -> Option<String> {
    match response {
        Err(error) => Some(error.to_string()),
        Ok(response) if response.redirects_to_itself => Some("it redirects to another name".to_owned()),
        Ok(ProbeResponse { status: status @ (400 | 403 | 404 | 421 | 500..), .. }) => Some(format!("status {status}")),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Response = Result<ProbeResponse, ProbeError>;

    fn probed(used: UpstreamHost, response: Response, other: Response) -> Probed<'static> {
        Probed { name: "app:81", used, replaces_authorization: true, response, other }
    }

    #[test]
    fn a_login_of_its_own_and_this_service_itself_are_told() {
        let response = |asks_for_login, is_this_service| {
            Ok(ProbeResponse { status: 401, asks_for_login, is_this_service, redirects_to_itself: false })
        };
        let login = probed(UpstreamHost::Public, response(true, false), response(true, false));
        let (is_well, line) = login.verdict();
        assert!(is_well && line.ends_with("which needs \"token\": \"none\" in its routes"), "{line}");

        let passed = Probed { replaces_authorization: false, ..login };
        assert!(!passed.verdict().1.contains("login of its own"));

        let (is_well, line) = probed(UpstreamHost::Public, response(false, true), response(false, true)).verdict();
        assert!(!is_well && line.contains("is this service itself"), "{line}");
    }

    fn status(status: u16) -> Result<ProbeResponse, ProbeError> {
        Ok(ProbeResponse { status, ..ProbeResponse::default() })
    }

    fn to_itself() -> Result<ProbeResponse, ProbeError> {
        Ok(ProbeResponse { status: 301, redirects_to_itself: true, ..ProbeResponse::default() })
    }

    fn closed() -> Result<ProbeResponse, ProbeError> {
        Err(ProbeError::Response("it closes the connection".into()))
    }

    #[test]
    fn the_name_that_an_upstream_takes_is_told_with_the_setting() {
        let (public, own) = (UpstreamHost::Public, UpstreamHost::Own);
        let set_own = "and takes its own: set UPSTREAM_HOST=upstream, or \"host\": \"upstream\" in its routes";
        let set_public = "and takes the public one: set UPSTREAM_HOST=public, or \"host\": \"public\" in its routes";
        let table = [
            (public, status(200), status(200), true, "takes the public name, which is used, and its own"),
            (public, status(401), status(302), true, "takes the public name, which is used, and its own"),
            (own, status(200), status(200), true, "takes its own name, which is used, and the public one"),
            (public, status(200), status(404), true, "takes the public name, which is used, not its own (status 404)"),
            (own, status(200), status(421), true, "not the public one (status 421)"),
            (own, status(200), to_itself(), true, "not the public one (it redirects to another name)"),
            (public, status(200), closed(), true, "not its own (it does not respond: it closes the connection)"),
            (
                public,
                status(404),
                status(404),
                true,
                "it takes the public name, which is used, no better than its own (status 404)",
            ),
            (public, to_itself(), to_itself(), true, "does it read X-Forwarded-Proto"),
            (public, status(404), status(200), false, set_own),
            (public, status(421), status(302), false, set_own),
            (public, status(400), status(200), false, set_own),
            (public, status(403), status(401), false, set_own),
            (public, status(502), status(200), false, set_own),
            (public, to_itself(), status(200), false, set_own),
            (public, closed(), status(200), false, set_own),
            (own, status(404), status(200), false, set_public),
            (own, to_itself(), status(200), false, set_public),
            (public, closed(), closed(), false, ": it does not respond: it closes the connection"),
        ];
        for (used, response, other, expected, part) in table {
            let (is_well, line) = probed(used, response, other).verdict();

            assert!(line.starts_with("upstream app:81") && line.contains(part), "{line}");
            assert_eq!(is_well, expected, "{line}");
        }
    }
}
