//! The clouds of Entra ID, by the host of the configured issuer.
//!
//! Reads a setting, never a token.

use url::Url;

/// A national cloud of Entra ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntraCloud {
    Global,
    UsGovernment,
    China,
}

impl EntraCloud {
    /// The cloud of an issuer; `None` if the issuer isn't Entra ID. Azure AD B2C isn't.
    pub(super) fn of_issuer(issuer: &str) -> Option<Self> {
        let url = Url::parse(issuer).ok()?;
        match url.host_str()? {
            "login.microsoftonline.com" | "login.microsoft.com" | "login.windows.net" | "sts.windows.net" => {
                Some(Self::Global)
            }
            "login.microsoftonline.us" => Some(Self::UsGovernment),
            "login.partner.microsoftonline.cn" | "login.chinacloudapi.cn" | "sts.chinacloudapi.cn" => Some(Self::China),
            host => host.ends_with(".ciamlogin.com").then_some(Self::Global),
        }
    }

    /// The origin of Microsoft Graph in this cloud.
    pub(super) fn graph_origin(self) -> &'static str {
        match self {
            Self::Global => "https://graph.microsoft.com",
            Self::UsGovernment => "https://graph.microsoft.us",
            Self::China => "https://microsoftgraph.chinacloudapi.cn",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuers_host_names_its_cloud() {
        let table = [
            ("https://login.microsoftonline.com/t/v2.0", Some(EntraCloud::Global), "version 2"),
            ("https://sts.windows.net/t/", Some(EntraCloud::Global), "version 1"),
            ("https://contoso.ciamlogin.com/t/v2.0", Some(EntraCloud::Global), "External ID"),
            ("https://login.microsoftonline.us/t/v2.0", Some(EntraCloud::UsGovernment), "US Government"),
            ("https://login.partner.microsoftonline.cn/t/v2.0", Some(EntraCloud::China), "China"),
            ("https://contoso.b2clogin.com/t/v2.0/", None, "Azure AD B2C"),
            ("https://accounts.google.com", None, "another provider"),
            ("https://login.microsoftonline.com.evil.example/", None, "a name that begins alike"),
            ("https://evilciamlogin.com/", None, "a name that ends alike"),
            ("no url", None, "no URL"),
        ];
        for (issuer, expected, reason) in table {
            assert_eq!(EntraCloud::of_issuer(issuer), expected, "{reason}");
        }
    }
}
