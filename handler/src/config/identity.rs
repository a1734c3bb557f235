//! Setting of the identity for Azure services.

use super::Environment;
use super::reader::{Reader, Setting};
use crate::azure::Identity;

const AZURE_CREDENTIAL: Setting = Setting {
    name: "AZURE_CREDENTIAL",
    expected: "one of managed_identity, developer_tools; the latter not on Azure",
    example: "managed_identity",
};
const AZURE_CLIENT_ID: Setting = Setting {
    name: "AZURE_CLIENT_ID",
    expected: "the client id of a user-assigned managed identity, with AZURE_CREDENTIAL=managed_identity",
    example: "6f1d8e0a-7f5b-4b3e-9c58-0a1c5b8e6f42",
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    ManagedIdentity,
    DeveloperTools,
}

pub(super) fn read(reader: &mut Reader<'_>, environment: &Environment) -> Option<Identity> {
    let default = if environment.is_on_azure() { Kind::ManagedIdentity } else { Kind::DeveloperTools };
    let kind = reader.parse_or(AZURE_CREDENTIAL, default, |text| match text {
        "managed_identity" => Some(Kind::ManagedIdentity),
        "developer_tools" => Some(Kind::DeveloperTools),
        _ => None,
    })?;
    if kind == Kind::DeveloperTools && environment.is_on_azure() {
        reader.mistake(AZURE_CREDENTIAL, "no developer is signed in on Azure".to_owned());
        return None;
    }
    let client_id = reader
        .parse_or(AZURE_CLIENT_ID, None, |text| uuid::Uuid::try_parse(text).is_ok().then(|| Some(text.to_owned())))?;
    Some(match kind {
        Kind::ManagedIdentity => Identity::Managed { client_id },
        // Azure's own tools set AZURE_CLIENT_ID on developers' machines for other purposes.
        Kind::DeveloperTools => Identity::DeveloperTools,
    })
}
