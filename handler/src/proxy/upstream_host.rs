//! Authority in the `Host` of forwarded requests: the public one, or the upstream's own.
//!
//! Decides only the header. Connections and certificates always use the upstream's own name.

/// Authority in the `Host` for an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamHost {
    /// The authority of `PUBLIC_BASE_URL`: the application's links, redirects and comparisons with `Origin` are right.
    Public,
    /// The authority of the upstream's URL.
    Own,
}

impl UpstreamHost {
    /// Parses `public` or `upstream`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "public" => Some(Self::Public),
            "upstream" => Some(Self::Own),
            _ => None,
        }
    }

    /// The text that [`UpstreamHost::parse`] reads.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Own => "upstream",
        }
    }

    /// The other variant.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Public => Self::Own,
            Self::Own => Self::Public,
        }
    }

    /// Default for an upstream with this name, in lower case.
    pub(super) fn default_for(name: &str) -> Self {
        let name = name.strip_suffix('.').unwrap_or(name);
        let is_below = |domain: &&str| name.strip_suffix(*domain).is_some_and(|rest| rest.ends_with('.'));
        if ROUTED_BY_HOST.iter().any(is_below) { Self::Own } else { Self::Public }
    }
}

/// Domains whose front end selects the application by `Host`, with 404 for an unknown name.
const ROUTED_BY_HOST: &[&str] = &[
    "azurewebsites.net", // App Service and Functions
    "azurewebsites.us",
    "chinacloudsites.cn",
    "appserviceenvironment.net", // App Service Environment
    "appserviceenvironment.us",
    "appserviceenvironment.cn",
    "azurecontainerapps.io", // Container Apps
    "azurecontainerapps.us",
    "azurecontainerapps.cn",
    "azurestaticapps.net", // Static Web Apps
    "azure-api.net",       // API Management
    "azure-api.us",
    "azure-api.cn",
    "azurefd.net", // Front Door
    "azurefd.us",
    "web.core.windows.net", // static sites of a storage account
    "web.core.usgovcloudapi.net",
    "web.core.chinacloudapi.cn",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_that_its_platform_finds_by_name_keeps_its_own() {
        for (name, expected) in [
            ("app.internal", UpstreamHost::Public),
            ("localhost", UpstreamHost::Public),
            ("10.0.0.4", UpstreamHost::Public),
            ("app.azurewebsites.net", UpstreamHost::Own),
            ("app.azurewebsites.net.", UpstreamHost::Own),
            ("app.scm.azurewebsites.net", UpstreamHost::Own),
            ("app.internal.calmsea-1a2b.westeurope.azurecontainerapps.io", UpstreamHost::Own),
            ("contoso.azure-api.us", UpstreamHost::Own),
            ("app.z6.web.core.windows.net", UpstreamHost::Own),
            ("azurewebsites.net", UpstreamHost::Public),
            ("appazurewebsites.net", UpstreamHost::Public),
            ("app.azurewebsites.net.example", UpstreamHost::Public),
        ] {
            assert_eq!(UpstreamHost::default_for(name), expected, "{name}");
        }
    }

    #[test]
    fn a_host_is_read_as_it_is_written() {
        for host in [UpstreamHost::Public, UpstreamHost::Own] {
            assert_eq!(UpstreamHost::parse(host.as_str()), Some(host));
        }
        for text in ["", "Public", "own", "app.example"] {
            assert_eq!(UpstreamHost::parse(text), None, "{text}");
        }
    }
}
