//! Table of allowed and forgeable client headers.

use super::*;

/// Forgeable headers of proxies and servers, by product.
const FORGEABLE: &[(&str, &str)] = &[
    ("ours", "x-proxy-id-token x-proxy-id-token-name x-gateway x-gateway-token x-gateway-client-address"),
    ("any proxy", "forwarded x-forwarded x-forwarded-for x-forwarded-user x-forwarded-client-cert x-forwarded-proto"),
    (
        "App Service and Functions",
        "x-ms-client-principal x-ms-client-principal-id x-ms-token-aad-id-token x-functions-key x-ms-invocation-id \
         x-azure-functions-invocationid x-azure-ref x-azure-clientip x-arr-ssl x-arr-clientcert x-waws-unencoded-url \
         x-site-deployment-id disguised-host was-default-hostname x-ms-original-url x-zumo-auth x-appservice-proto",
    ),
    ("API Management", "ocp-apim-subscription-key ocp-apim-trace"),
    ("WebSEAL, ISAM", "iv-user iv-groups iv-creds iv-remote-address iv-server-name am-eai-user-id"),
    ("SiteMinder", "sm-user sm-userdn sm-authtype sm-serversessionid smuser siteminder-user"),
    ("Oracle Access Manager", "oam-remote-user oam-identity-domain osso-user-dn osso-subscriber"),
    ("Shibboleth", "shib-session-id shib-identity-provider shib-uid shibboleth-user eppn affiliation mail uid cn"),
    ("mod_auth_mellon", "mellon-name-id mellon-mail mellon-groups"),
    ("mod_auth_openidc", "oidc-claim-sub oidc-access-token oidc-anything x-oidc-claim-email"),
    ("mod_auth_cas", "cas-user cas-attribute-role"),
    ("Vouch", "x-vouch-user x-vouch-idp-accesstoken x-vouch-idp-claims-groups x-vouch-success"),
    ("oauth2-proxy", "x-auth-request-user x-auth-request-email x-auth-request-groups x-auth-request-access-token"),
    ("Gatekeeper", "x-auth-userid x-auth-username x-auth-email x-auth-roles x-auth-subject x-auth-token x-auth"),
    ("authentik, Authelia", "x-authentik-username x-authentik-jwt remote-user remote-groups remote-name remote-email"),
    ("Pomerium", "x-pomerium-jwt-assertion x-pomerium-claim-email"),
    ("Kong", "x-consumer-username x-consumer-id x-credential-identifier x-anonymous-consumer x-authenticated-userid"),
    ("Google", "x-goog-iap-jwt-assertion x-goog-authenticated-user-email x-endpoint-api-userinfo x-appengine-user-ip"),
    ("AWS", "x-amzn-oidc-data x-amzn-oidc-identity x-amzn-mtls-clientcert-leaf x-amzn-tls-version"),
    (
        "Cloudflare, Fastly",
        "cf-access-jwt-assertion cf-access-authenticated-user-email cf-connecting-ip fastly-client-ip",
    ),
    ("Tailscale, Teleport", "tailscale-user-login tailscale-app-capabilities teleport-jwt-assertion"),
    ("meshes", "x-envoy-external-address x-envoy-original-path l5d-client-id l5d-remote-ip x-jwt-claim-groups"),
    ("Kubernetes", "impersonate-user impersonate-group impersonate-extra-scopes x-remote-user x-remote-extra-scopes"),
    ("Grafana, Loki", "x-webauth-user x-grafana-user x-grafana-id x-scope-orgid"),
    ("WebObjects", "x-webobjects-remote-user"),
    ("Hasura", "x-hasura-role x-hasura-user-id"),
    ("home-made", "x-user x-username x-userid x-user-id x-user-name x-user-email x-user-roles x-remoteuser x-authuser"),
    (
        "home-made",
        "x-email x-mail x-e-mail-user x-roles x-role x-groups x-group x-member-of-group x-memberof x-dn x-uid",
    ),
    ("home-made", "x-subject x-sub x-upn x-principal x-principal-name x-claims x-identity x-login x-logon x-logged-in"),
    ("home-made", "x-account x-account-id x-display-name x-first-name x-full-name x-employee-id x-department x-person"),
    ("home-made", "x-token x-access-token x-id-token x-identity-token x-session-token x-user-token x-jwt x-assertion"),
    (
        "home-made",
        "x-saml-assertion x-sso-user x-ssouser x-ldap-dn x-kerberos x-cert x-client-dn x-certificate x-admin",
    ),
    ("home-made", "x-permissions x-scopes x-entitlements x-is-authenticated x-impersonate x-on-behalf-of x-caller-id"),
    ("home-made, without x-", "user username userid email groups roles role subject principal token access-token"),
    (
        "certificates",
        "ssl-client-cert ssl-client-s-dn x-ssl-client-dn x-ssl-cert x-client-cert x-client-verify client-cert-chain",
    ),
    (
        "addresses",
        "x-client-ip client-ip true-client-ip x-true-client-ip x-real-ip x-real-user x-cluster-client-ip x-remote-addr",
    ),
    (
        "the target",
        "x-original-url x-original-uri x-rewrite-url x-override-url x-host x-script-name x-http-host-override",
    ),
    ("the method", "x-http-method-override x-http-method x-method-override"),
    ("the scheme", "x-url-scheme x-scheme front-end-https x-ssl"),
    (
        "servers' own",
        "x-accel-mapping x-sendfile-type x-middleware-subrequest x-invoke-path x-matched-path x-react-router-prerender-data",
    ),
    (
        "folded to one of these",
        "x_forwarded_user remote_user any_name x-ms.client-principal remote.user x-gateway~token any.name",
    ),
];

/// Allowed headers of browsers, their libraries and the front ends of applications.
const SENT: &[(&str, &str)] = &[
    (
        "browsers",
        "accept accept-encoding accept-language user-agent cookie referer origin cache-control pragma priority dnt \
         upgrade-insecure-requests range if-none-match if-modified-since if-match if-range content-type content-encoding \
         content-language content-range content-disposition sec-fetch-site sec-fetch-user sec-ch-ua sec-gpc save-data \
         sec-websocket-key sec-websocket-protocol last-event-id purpose x-purpose x-moz x-client-data ping-from ping-to \
         service-worker service-worker-navigation-preload access-control-request-headers device-memory downlink from",
    ),
    (
        "against forgery",
        "x-csrf x-csrf-token x-csrftoken x-xsrf-token x-xsrftoken csrf-token nx-anti-csrf-token kbn-xsrf",
    ),
    (
        "against forgery",
        "requestverificationtoken x-request-verification-token x-atlassian-token x-usertoken jenkins-crumb",
    ),
    ("against forgery", "x-wp-nonce x-requestdigest requesttoken x-captcha-token x-splunk-form-key x-securitytoken"),
    (
        "scripts",
        "x-requested-with x-pjax x-pjax-container x-request-id x-correlation-id x-session-id x-api-key x-api-version",
    ),
    ("htmx", "hx-request hx-current-url hx-target hx-trigger-name hx-prompt hx-boosted"),
    (
        "Turbo, Inertia, Livewire, Unpoly",
        "turbo-frame x-turbo-request-id x-inertia x-inertia-version x-livewire x-up-target",
    ),
    ("Laravel Echo, SignalR", "x-socket-id x-signalr-user-agent x-signalr"),
    ("Next.js, Remix", "x-nextjs-data x-middleware-prefetch next-router-state-tree rsc x-remix-response"),
    ("Microsoft", "x-ms-client-request-id x-ms-client-session-id x-ms-version x-ms-date x-ms-blob-type x-ms-useragent"),
    ("Microsoft", "x-ms-correlation-request-id x-ms-effective-locale x-ms-range request-id request-context soapaction"),
    (
        "OData",
        "odata-version odata-maxversion maxdataserviceversion prefer sap-contextid-accept sap-client x-sap-cancel-on-close",
    ),
    (
        "traces",
        "traceparent tracestate baggage b3 x-b3-traceid x-amzn-trace-id sentry-trace x-datadog-trace-id newrelic uber-trace-id",
    ),
    (
        "uploads",
        "x-amz-date x-amz-content-sha256 x-amz-security-token x-amz-user-agent x-amz-meta-a x-amz-acl x-file-name x-file-size",
    ),
    (
        "uploads",
        "tus-resumable upload-length upload-metadata upload-offset x-goog-upload-command x-upload-content-type slug digest",
    ),
    (
        "WebDAV",
        "depth destination if lock-token overwrite timeout translate label oc-checksum x-oc-mtime ocs-apirequest",
    ),
    ("gRPC-Web, Connect", "x-grpc-web x-user-agent grpc-timeout connect-protocol-version"),
    ("GraphQL", "apollo-require-preflight apollographql-client-name x-apollo-operation-name"),
    (
        "Grafana, Kibana",
        "x-grafana-org-id x-grafana-device-id x-dashboard-uid x-datasource-uid x-panel-id kbn-version osd-xsrf",
    ),
    (
        "applications' own credentials",
        "x-vault-token x-vault-request x-consul-token private-token x-emby-token x-hasura-admin-secret",
    ),
    ("webhooks", "x-hub-signature-256 x-github-event x-gitlab-token x-gitlab-event x-slack-signature stripe-signature"),
    (
        "tenants",
        "x-tenant-id x-org-id x-timezone x-locale x-app-version x-client-version x-client-id x-build x-feature-flags",
    ),
];

#[test]
fn what_a_client_could_forge_is_stripped() {
    let rules = HeaderRules::default();
    for (product, names) in FORGEABLE {
        for name in names.split_whitespace() {
            assert!(rules.strips(name), "{name} ({product})");
        }
    }
}

#[test]
fn what_browsers_and_their_libraries_send_passes() {
    let rules = HeaderRules::default();
    for (sender, names) in SENT {
        for name in names.split_whitespace() {
            assert!(!rules.strips(name), "{name} ({sender})");
        }
    }
}

#[test]
fn the_operators_lists_add_and_take_away() {
    let rules = HeaderRules::parse("X-Acme-*, x-tenant-id,", "X-HTTP-Method-Override, x-user-*, x-acme-id").unwrap();

    for (name, is_stripped, reason) in [
        ("x-acme-role", true, "a family of the operator's"),
        ("x-acme", false, "not of the family"),
        ("x-tenant-id", true, "a name of the operator's"),
        ("x-tenant-id2", false, "another name"),
        ("x-http-method-override", false, "kept"),
        ("x-user-roles", false, "kept as a family"),
        ("x-user", true, "not of that family"),
        ("x-user-roles.x", true, "no name is kept that others fold"),
        ("x-acme-id", true, "named by both lists"),
        ("x-forwarded-for", true, "as without lists"),
        ("accept", false, "as without lists"),
    ] {
        assert_eq!(rules.strips(name), is_stripped, "{name}: {reason}");
    }
}

#[test]
fn lists_with_a_mistake_are_refused() {
    use HeaderRuleError::{Decided, Name, Reserved};
    let mistake = |strip, keep| HeaderRules::parse(strip, keep).map(drop).unwrap_err();
    for name in ["*", "x_user", "x-*-user", "x user", "x-\u{e9}"] {
        assert_eq!(mistake(name, ""), Name(name.to_owned()));
        assert_eq!(mistake("", name), Name(name.to_owned()));
    }
    for (name, covered) in [
        ("x-forwarded-for", "x-forwarded"),
        ("X-Forwarded-*", "x-forwarded"),
        ("x-*", "x-forwarded"),
        ("x-proxy-id-token", "x-proxy-"),
        ("x-gateway-*", "x-gateway"),
        ("x-g*", "x-gateway"),
        ("x-ms-*", "x-ms-client-principal"),
        ("ocp-apim-subscription-key", "ocp-apim-"),
        ("forwarded", "forwarded"),
    ] {
        assert_eq!(mistake("", name), Reserved(name.to_ascii_lowercase(), covered));
        assert!(HeaderRules::parse(name, "").is_ok(), "{name} is stripped anyway");
    }
    for name in ["authorization", "cookie", "host", "content-length", "te", "upgrade"] {
        assert_eq!(mistake(name, ""), Decided(name.to_owned()));
        assert_eq!(mistake("", name), Decided(name.to_owned()));
    }
}

#[test]
fn every_family_is_found() {
    for family in RESERVED.iter().chain(PROXIES) {
        assert!(FAMILIES.has(family) && is_forgeable(&format!("{family}x")), "{family}");
    }
}
