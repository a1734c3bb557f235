//! Reasons of a Provider's refusal, mapped from `error` codes and numbers by rows of data.
//!
//! Knows no status code and no page. An unknown number changes nothing: the `error` decides.

/// Reason of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// The person cancelled, or declined to consent.
    Cancelled,
    /// The Provider denies access to this person.
    NotAllowed,
    /// The Provider requires an action of the person, such as a second factor.
    Interaction,
    /// An administrator must consent first.
    AdminConsent,
    /// Our authorization request has an invalid parameter or scope.
    Request,
    /// Our registration or our authentication is wrong, without a more specific reason.
    Client,
    /// The client secret has expired.
    SecretExpired,
    /// The client secret is wrong.
    SecretWrong,
    /// No federated credential matches our assertion.
    FederatedCredential,
    /// Our redirect URI is not registered.
    RedirectUri,
    /// Temporary: the Provider is busy or broken.
    Temporary,
}

/// Party that can fix a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The person, by signing in again.
    Person,
    /// An operator or an administrator: a retry gets the same refusal.
    Operator,
    /// Nobody: it passes with time.
    Time,
}

use RefusalReason::{
    AdminConsent, Cancelled, Client, FederatedCredential, Interaction, NotAllowed, RedirectUri, Request, SecretExpired,
    SecretWrong, Temporary,
};

/// Reasons by number, from Microsoft's reference of AADSTS error codes; those of 70021… as its token endpoint reports
/// them (Azure/azure-workload-identity#616 and #1200, Azure/login#482, #517 and #619, GitLab's and the Azure SDK's
/// troubleshooting guides).
const NUMBERS: &[(u32, RefusalReason)] = &[
    (65_004, Cancelled),
    (50_020, NotAllowed), // an account of another tenant
    (50_105, NotAllowed), // not assigned to the application
    (53_000, NotAllowed), // conditional access, to 53003
    (53_001, NotAllowed),
    (53_002, NotAllowed),
    (53_003, NotAllowed),
    (530_032, NotAllowed),
    (50_072, Interaction), // second factor to be set up
    (50_074, Interaction), // second factor not passed
    (50_076, Interaction), // second factor required
    (50_078, Interaction), // second factor too old
    (50_079, Interaction), // second factor to be set up
    (50_158, Interaction), // external challenge
    (700_020, Interaction),
    (65_001, AdminConsent),
    (90_008, AdminConsent),
    (90_094, AdminConsent),
    (90_095, AdminConsent),
    (65_005, Client),    // a resource that the registration does not list
    (70_001, Client),    // application disabled
    (650_056, Client),   // misconfigured application
    (650_057, Client),   // a resource that the registration does not list
    (700_011, Client),   // no such application in the directory
    (700_016, Client),   // no such application in the tenant
    (700_025, Client),   // a public client that sends a secret
    (700_027, Client),   // assertion signed by a key that is not registered
    (7_000_112, Client), // application disabled
    (7_000_218, Client), // neither secret nor assertion
    (7_000_222, SecretExpired),
    (7_000_215, SecretWrong),
    (70_021, FederatedCredential),
    (700_211, FederatedCredential),   // issuer
    (700_212, FederatedCredential),   // audience
    (700_213, FederatedCredential),   // subject
    (7_002_137, FederatedCredential), // subject
    (7_002_138, FederatedCredential), // subject, but for its case
    (50_011, RedirectUri),
    (70_004, RedirectUri),
    (900_971, RedirectUri), // none registered
];

/// Reasons by `error` of authorization error responses: RFC 6749 4.1.2.1, OIDC Core 3.1.2.6, RFC 8707 2.
const AUTHORIZATION_ERRORS: &[(&str, RefusalReason)] = &[
    ("access_denied", Cancelled),
    ("interaction_required", Interaction),
    ("login_required", Interaction),
    ("account_selection_required", Interaction),
    ("consent_required", Interaction),
    ("invalid_request", Request),
    ("invalid_scope", Request),
    ("invalid_target", Request),
    ("unsupported_response_type", Request),
    ("invalid_request_uri", Request),
    ("invalid_request_object", Request),
    ("request_not_supported", Request),
    ("request_uri_not_supported", Request),
    ("registration_not_supported", Request),
    ("unauthorized_client", Client),
    ("invalid_client", Client),
    ("temporarily_unavailable", Temporary),
    ("server_error", Temporary),
];

impl RefusalReason {
    /// Reason of a numeric code.
    pub(super) fn of_number(number: u32) -> Option<Self> {
        NUMBERS.iter().find(|(known, _)| *known == number).map(|(_, reason)| *reason)
    }

    /// Reason of an authorization error response's `error`.
    pub(super) fn of_authorization_error(error: &str) -> Self {
        AUTHORIZATION_ERRORS.iter().find(|(known, _)| *known == error).map_or(NotAllowed, |(_, reason)| *reason)
    }

    /// Stable code for pages, logs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Cancelled => "login_cancelled",
            NotAllowed => "provider_refused",
            Interaction => "interaction_required",
            AdminConsent => "admin_consent_required",
            Request => "authorization_request_refused",
            Client => "client_refused",
            SecretExpired => "client_secret_expired",
            SecretWrong => "client_secret_wrong",
            FederatedCredential => "federated_credential_mismatch",
            RedirectUri => "redirect_uri_refused",
            Temporary => "provider_unavailable",
        }
    }

    /// Party that can fix it.
    #[must_use]
    pub const fn remedy(self) -> Remedy {
        match self {
            Cancelled | NotAllowed | Interaction => Remedy::Person,
            AdminConsent | Request | Client | SecretExpired | SecretWrong | FederatedCredential | RedirectUri => {
                Remedy::Operator
            }
            Temporary => Remedy::Time,
        }
    }

    /// True if our registration or authentication was refused, not the grant.
    pub(super) const fn is_about_client(self) -> bool {
        matches!(self, Client | SecretExpired | SecretWrong | FederatedCredential)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_number_and_every_error_has_one_row() {
        let numbers: BTreeSet<_> = NUMBERS.iter().map(|(number, _)| number).collect();
        let errors: BTreeSet<_> = AUTHORIZATION_ERRORS.iter().map(|(error, _)| error).collect();

        assert_eq!((numbers.len(), errors.len()), (NUMBERS.len(), AUTHORIZATION_ERRORS.len()));
    }

    #[test]
    fn a_number_has_its_reason() {
        let table = [
            (65_004, Some("login_cancelled")),
            (7_000_222, Some("client_secret_expired")),
            (7_000_215, Some("client_secret_wrong")),
            (70_021, Some("federated_credential_mismatch")),
            (700_211, Some("federated_credential_mismatch")),
            (700_212, Some("federated_credential_mismatch")),
            (700_213, Some("federated_credential_mismatch")),
            (50_011, Some("redirect_uri_refused")),
            (65_001, Some("admin_consent_required")),
            (90_094, Some("admin_consent_required")),
            (50_076, Some("interaction_required")),
            (50_079, Some("interaction_required")),
            (53_003, Some("provider_refused")),
            (700_016, Some("client_refused")),
            (70_002, None), // it comes beside any number, of an expired code too
            (70_008, None),
        ];
        for (number, code) in table {
            assert_eq!(RefusalReason::of_number(number).map(RefusalReason::code), code, "{number}");
        }
    }
}
