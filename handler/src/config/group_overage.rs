//! Settings for group overage: groups that an ID token only refers to, and the API that lists them.

use url::Url;

use super::entra_cloud::EntraCloud;
use super::reader::{Reader, Setting};
use crate::oidc::GroupOverage;
use crate::transport_security::is_https_or_loopback;

const GROUP_OVERAGE: Setting = Setting { name: "GROUP_OVERAGE", expected: "one of ignore, graph", example: "graph" };
const GRAPH_ORIGIN: Setting = Setting {
    name: "GRAPH_ORIGIN",
    expected: "the https origin of Microsoft Graph, without a path (http only on loopback)",
    example: "https://graph.microsoft.com",
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ignore,
    Graph,
}

pub(super) fn read(reader: &mut Reader<'_>, issuer: Option<&str>) -> Option<GroupOverage> {
    let kind = reader.parse_or(GROUP_OVERAGE, Kind::Ignore, |text| match text {
        "ignore" => Some(Kind::Ignore),
        "graph" => Some(Kind::Graph),
        _ => None,
    });
    let default = issuer.and_then(EntraCloud::of_issuer).and_then(|cloud| origin(cloud.graph_origin()));
    let graph = reader.parse_or(GRAPH_ORIGIN, default, |text| Some(Some(origin(text)?)));
    match (kind?, graph?) {
        (Kind::Ignore, _) => Some(GroupOverage::Ignore),
        (Kind::Graph, Some(origin)) => Some(GroupOverage::Graph(origin)),
        // By default no API gets an access token of another provider.
        (Kind::Graph, None) => {
            if issuer.is_some() {
                reader.mistake(GRAPH_ORIGIN, "it is not set, and OIDC_ISSUER_URL is not Entra ID".to_owned());
            }
            None
        }
    }
}

fn origin(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_origin = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let has_user = !url.username().is_empty() || url.password().is_some();
    (is_https_or_loopback(&url) && is_origin && !has_user).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::super::Environment;
    use super::*;

    const ENTRA: &str = "https://login.microsoftonline.com/t/v2.0";

    /// The parsed setting and the number of mistakes; an empty text means unset.
    fn read_from(choice: &str, origin: &str, issuer: &str) -> (Option<GroupOverage>, usize) {
        let environment = Environment::from([("GROUP_OVERAGE", choice), ("GRAPH_ORIGIN", origin)]);
        let mut reader = Reader::new(&environment);
        let setting = read(&mut reader, Some(issuer));
        (setting, reader.finish().iter().count())
    }

    #[test]
    fn graphs_origin_follows_the_issuers_cloud_or_is_set() {
        const GOVERNMENT: &str = "https://login.microsoftonline.us/t/v2.0";
        const CHINA: &str = "https://login.partner.microsoftonline.cn/t/v2.0";
        let table = [
            ("", "", ENTRA, None, "the default"),
            ("ignore", "https://graph.example", ENTRA, None, "an origin alone"),
            ("graph", "", ENTRA, Some("https://graph.microsoft.com"), "global"),
            ("graph", "", GOVERNMENT, Some("https://graph.microsoft.us"), "US Government"),
            ("graph", "", CHINA, Some("https://microsoftgraph.chinacloudapi.cn"), "China"),
            ("graph", "https://dod-graph.microsoft.us", GOVERNMENT, Some("https://dod-graph.microsoft.us"), "US DoD"),
            ("graph", "http://127.0.0.1:9", "https://op.example", Some("http://127.0.0.1:9"), "another provider's"),
        ];
        for (choice, origin, issuer, expected, reason) in table {
            let expected =
                expected.map_or(GroupOverage::Ignore, |origin: &str| GroupOverage::Graph(origin.parse().unwrap()));
            assert_eq!(read_from(choice, origin, issuer), (Some(expected), 0), "{reason}");
        }
    }

    #[test]
    fn a_setting_that_would_send_tokens_elsewhere_is_a_mistake() {
        let table = [
            ("graph", "", "https://op.example", "no default for another provider"),
            ("always", "", ENTRA, "an unknown choice"),
            ("graph", "graph.microsoft.com", ENTRA, "no URL"),
            ("graph", "http://graph.microsoft.com", ENTRA, "plain http"),
            ("graph", "https://graph.microsoft.com/v1.0", ENTRA, "a path"),
            ("graph", "https://graph.microsoft.com/?a", ENTRA, "a query"),
            ("graph", "https://graph.microsoft.com/#a", ENTRA, "a fragment"),
            ("graph", "https://graph.microsoft.com@evil.example", ENTRA, "a user"),
        ];
        for (choice, origin, issuer, reason) in table {
            assert_eq!(read_from(choice, origin, issuer), (None, 1), "{reason}");
        }
    }
}
