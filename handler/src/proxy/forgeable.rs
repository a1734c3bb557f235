//! Headers that a client could forge: those in which a proxy, a gateway or a platform names the person or itself.
//!
//! Applications behind a proxy trust such headers without proof. No registry lists them, so they are removed by
//! family: product names, and words for a person. Headers that browsers and their libraries really send
//! under such names are exempt one by one. `STRIP_HEADERS` and `KEEP_HEADERS` adjust the rest.

use std::str::FromStr;
use std::sync::LazyLock;

use hyper::header::HeaderName;

/// The operator's own lists of client headers, in addition to the families.
#[derive(Debug, Clone, Default)]
pub struct HeaderRules {
    strip: Vec<NamePattern>,
    keep: Vec<NamePattern>,
}

/// Header name in lower case, or a prefix that was written with `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NamePattern {
    start: String,
    is_family: bool,
}

/// A mistake in a list of header names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderRuleError {
    /// Not a name of letters, digits and `-`, or its start and a `*`.
    #[error("{0:?} is no name of letters, digits and -, nor the start of one and a *")]
    Name(String),
    /// The list would admit a header that only we, the gateway or the platform may send.
    #[error("{0:?} covers {1}, which is never a client's")]
    Reserved(String, &'static str),
    /// No list may decide about this header.
    #[error("{0:?} is decided by the proxy itself")]
    Decided(String),
}

impl HeaderRules {
    /// Parses two lists of names and families (`x-acme-*`), separated by commas. A name in both lists is removed.
    ///
    /// # Errors
    /// The first mistake of the first list with one.
    pub fn parse(strip: &str, keep: &str) -> Result<Self, HeaderRuleError> {
        let rules = Self { strip: patterns(strip)?, keep: patterns(keep)? };
        let mut all = rules.strip.iter().chain(&rules.keep);
        if let Some(decided) = all.find(|pattern| !pattern.is_family && DECIDED.contains(&pattern.start.as_str())) {
            return Err(HeaderRuleError::Decided(decided.to_string()));
        }
        for pattern in &rules.keep {
            if let Some(family) = RESERVED.iter().find(|family| pattern.meets(family)) {
                return Err(HeaderRuleError::Reserved(pattern.to_string(), family));
            }
        }
        Ok(rules)
    }

    /// The same rules, which also remove these headers, whatever `KEEP_HEADERS` says.
    #[must_use]
    pub fn and_strip<'n>(mut self, names: impl Iterator<Item = &'n HeaderName>) -> Self {
        let pattern = |name: &HeaderName| NamePattern { start: name.as_str().to_owned(), is_family: false };
        self.strip.extend(names.map(pattern));
        self
    }

    /// True if a client header of this name, in lower case, never reaches an Upstream.
    #[must_use]
    pub fn strips(&self, name: &str) -> bool {
        let is_listed = |patterns: &[NamePattern]| patterns.iter().any(|pattern| pattern.covers(name));
        is_listed(&self.strip) || is_forgeable(name) && !(is_plain(name) && is_listed(&self.keep))
    }
}

impl NamePattern {
    fn covers(&self, name: &str) -> bool {
        if self.is_family { name.starts_with(&self.start) } else { name == self.start }
    }

    /// True if it covers a name of the family with this prefix.
    fn meets(&self, start: &str) -> bool {
        self.start.starts_with(start) || self.is_family && start.starts_with(&self.start)
    }
}

impl std::fmt::Display for NamePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.start, if self.is_family { "*" } else { "" })
    }
}

impl FromStr for NamePattern {
    type Err = HeaderRuleError;

    fn from_str(text: &str) -> Result<Self, HeaderRuleError> {
        let name = text.to_ascii_lowercase();
        let (start, is_family) = name.strip_suffix('*').map_or((name.as_str(), false), |start| (start, true));
        if start.is_empty() || !is_plain(start) {
            return Err(HeaderRuleError::Name(text.to_owned()));
        }
        Ok(Self { start: start.to_owned(), is_family })
    }
}

fn patterns(list: &str) -> Result<Vec<NamePattern>, HeaderRuleError> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::parse).collect()
}

/// True if only we, the platform, the gateway or another proxy may send this header. The name is in lower case.
fn is_forgeable(name: &str) -> bool {
    // CGI, WSGI and PHP turn every other character into `_`: `X_Forwarded_User` and `X.Forwarded.User` would read as
    // ours.
    if !is_plain(name) {
        return true;
    }
    if is_ordinary(name) {
        return false;
    }
    FAMILIES.has(name) || names_a_person(name) && !is_sent_by_browsers(name)
}

static FAMILIES: LazyLock<Families> = LazyLock::new(|| Families::of([RESERVED, PROXIES].concat()));

/// Families, bucketed by their most distinctive letter: the third of `x-…`, the first of others.
struct Families([Vec<&'static str>; 256]);

impl Families {
    fn of(families: Vec<&'static str>) -> Self {
        let mut places = [const { Vec::new() }; 256];
        for family in families {
            places[Self::place(family)].push(family);
        }
        Self(places)
    }

    fn has(&self, name: &str) -> bool {
        self.0[Self::place(name)].iter().any(|family| name.starts_with(family))
    }

    /// Bucket of a name: ASCII letters below 128 for `x-…`, above for others.
    fn place(name: &str) -> usize {
        match name.as_bytes() {
            [b'x', b'-', letter, ..] => usize::from(letter & 127),
            [letter, ..] => usize::from(letter | 128),
            [] => 0,
        }
    }
}

fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// True for the headers of nearly every request: a fast path.
fn is_ordinary(name: &str) -> bool {
    const FAMILIES: [&str; 4] = ["accept", "sec-", "if-", "content-"];
    matches!(
        name,
        "host" | "user-agent" | "cookie" | "referer" | "origin" | "cache-control" | "pragma" | "priority" | "dnt"
    ) || FAMILIES.iter().any(|family| name.starts_with(family))
}

/// True for headers of browsers, their libraries and the front ends of known applications: the application verifies
/// them itself (an anti-forgery token, its own credential), or they say nothing about a person.
fn is_sent_by_browsers(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "x-usertoken",                  // ServiceNow, against forgery
        "x-atlassian-token",            // Jira and Confluence, against forgery
        "x-request-verification-token", // ASP.NET, against forgery
        "request-verification-token",   // the same
        "lock-token",                   // WebDAV (RFC 4918 10.5)
        "x-vault-token",                // credentials of the applications' own, from here on
        "x-consul-token",
        "x-nomad-token",
        "x-hasura-admin-secret",
        "x-emby-token",
        "x-plex-token",
        "x-parse-session-token",
        "x-shopify-access-token",
        "x-shopify-storefront-access-token",
        "x-figma-token",
        "x-gitlab-token", // webhooks
        "x-goog-channel-token",
        "x-telegram-bot-api-secret-token",
        "private-token", // GitLab
        "job-token",
        "deploy-token",
        "stripe-account",
        "x-dashboard-uid", // Grafana's panels
        "x-dashboard-title",
        "x-datasource-uid",
        "x-panel-id",
        "x-goog-api-client",
        "x-registry-auth", // Docker's API
        "x-sentry-auth",
    ];
    const FAMILIES: [&str; 9] =
        ["x-amz-", "x-goog-upload-", "tus-", "upload-", "hx-", "turbo-", "x-turbo-", "x-inertia", "x-livewire"];
    const MARKS: [&str; 5] = ["csrf", "xsrf", "antiforgery", "captcha", "user-agent"];
    NAMES.contains(&name)
        || FAMILIES.iter().any(|family| name.starts_with(family))
        || MARKS.iter().any(|mark| name.contains(mark))
}

/// True if a word of the name means a person, a right, or proof of either.
fn names_a_person(name: &str) -> bool {
    const PHRASES: [&str; 8] = [
        "display-name",
        "first-name",
        "last-name",
        "full-name",
        "given-name",
        "family-name",
        "common-name",
        "logged-in",
    ];
    name.split('-').any(|word| is_word(word) || has_part(word))
        || name.starts_with("x-") && PHRASES.iter().any(|phrase| name.contains(phrase))
}

/// True if the word contains one of these: `x-remoteuser`, `x-useremail`. One pass compares four letters at a time.
fn has_part(word: &str) -> bool {
    let letters = word.as_bytes();
    let is_part = |(at, four): (usize, &[u8])| match four {
        b"user" => word != "useragent",
        b"emai" => letters[at..].starts_with(b"email"),
        b"prin" => letters[at..].starts_with(b"principal"),
        b"iden" => letters[at..].starts_with(b"identity"),
        b"subj" => letters[at..].starts_with(b"subject"),
        b"asse" => letters[at..].starts_with(b"assertion"),
        b"clai" => letters[at..].starts_with(b"claim"),
        b"impe" => letters[at..].starts_with(b"impersonat"),
        _ => false,
    };
    letters.windows(4).enumerate().any(is_part)
}

/// True for one of these whole words. The `match` compares length and first bytes, so long names cost little.
fn is_word(word: &str) -> bool {
    matches!(
        word,
        "account"
            | "accountid"
            | "addr"
            | "admin"
            | "affiliation"
            | "auth"
            | "authenticated"
            | "authn"
            | "authorities"
            | "authuser"
            | "authz"
            | "behalf"
            | "caller"
            | "cert"
            | "certificate"
            | "clientip"
            | "cn"
            | "credential"
            | "credentials"
            | "delegate"
            | "department"
            | "displayname"
            | "dn"
            | "employee"
            | "employeeid"
            | "entitlement"
            | "entitlements"
            | "eppn"
            | "eptid"
            | "firstname"
            | "fullname"
            | "givenname"
            | "group"
            | "groups"
            | "ip"
            | "ipaddress"
            | "isadmin"
            | "jwt"
            | "kerberos"
            | "lastname"
            | "ldap"
            | "loggedin"
            | "login"
            | "logon"
            | "mail"
            | "member"
            | "memberof"
            | "nickname"
            | "ntlm"
            | "permission"
            | "permissions"
            | "person"
            | "persona"
            | "privilege"
            | "privileges"
            | "realip"
            | "role"
            | "roles"
            | "saml"
            | "scope"
            | "scopes"
            | "sso"
            | "sub"
            | "superadmin"
            | "surname"
            | "token"
            | "uid"
            | "upn"
    )
}

/// Headers of ours, the gateway and the platform: `KEEP_HEADERS` cannot admit them.
const RESERVED: &[&str] = &[
    "forwarded",
    "x-forwarded",
    "x-proxy-",
    "x-gateway",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-ms-invocation-id",
    "x-ms-original-url",
    "x-ms-auth-",
    "x-zumo-auth",
    "x-functions-key",
    "x-azure-",
    "x-arr-",
    "x-waws-",
    "x-appservice-",
    "x-site-deployment-id",
    "was-default-hostname",
    "disguised-host",
    "ocp-apim-",
];

/// Header families of other proxies, gateways and servers, by product or by meaning.
const PROXIES: &[&str] = &[
    // About the request: target, method, scheme, client.
    "x-original-",
    "x-rewrite-url",
    "x-override-url",
    "x-http-destinationurl",
    "x-http-host-override",
    "x-host",
    "x-script-name",
    "x-url-scheme",
    "x-scheme",
    "x-http-method",
    "x-method-override",
    "x-real-",
    "x-remote",
    "remote-",
    "x-client-ip",
    "x-client-cert",
    "x-client-port",
    "x-client-verif",
    "x-client-s-dn",
    "x-cluster-client-ip",
    "client-ip",
    "client-cert",
    "true-client-ip",
    "x-true-client-ip",
    "front-end-https",
    "x-ssl",
    "ssl-",
    "x-tls-",
    "tls-",
    // Commands to a web server: send a file, skip a check.
    "x-accel-",
    "x-sendfile",
    "x-middleware-subrequest",
    "x-invoke-",
    "x-matched-path",
    "x-now-route-matches",
    "x-react-router-",
    // Authentication proxies.
    "x-auth-",
    "x-authenti",
    "x-authori",
    "x-webauth-",
    "x-webobjects-",
    "oidc-",
    "x-oidc-",
    "mellon-",
    "shib-",
    "shibboleth-",
    "cas-",
    "iv-",
    "am-eai-",
    "sm-",
    "smuser",
    "siteminder-",
    "oam-",
    "osso-",
    "x-vouch-",
    "x-pomerium-",
    "x-consumer-",
    "x-credential-",
    "x-anonymous-consumer",
    "x-jwt-",
    "x-sso",
    "x-saml",
    // Clouds and service meshes.
    "x-amzn-oidc-",
    "x-amzn-mtls-",
    "x-amzn-tls-",
    "x-goog-iap-",
    "x-goog-authenticated-",
    "x-endpoint-api-",
    "x-apigateway-api-",
    "x-appengine-",
    "x-envoy-",
    "l5d-",
    "cf-access-",
    "cf-connecting-",
    "cf-pseudo-",
    "fastly-client-",
    "tailscale-",
    "teleport-",
    "x-vercel-",
    "x-grafana-id",
    "impersonate-",
];

/// Headers that no list decides about: hop-by-hop ones (RFC 9110 7.6.1), and those that we write.
const DECIDED: &[&str] = &[
    "authorization",
    "cookie",
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "http2-settings",
    "proxy",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
];

#[cfg(test)]
mod tests;
