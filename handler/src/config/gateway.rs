//! Settings of the gateway's proof.

use url::Url;
use zeroize::Zeroizing;

use super::reader::{Reader, Setting};
use super::{Environment, Listener};
use crate::transport_security::is_https_or_loopback;
use crate::web::{GatewayProof, GatewaySettings, ProofHeader};

const GATEWAY_PROOF: Setting = Setting {
    name: "GATEWAY_PROOF",
    expected: "one of managed_identity, shared_secret, none; not none on Azure",
    example: "managed_identity",
};
const INSECURE_GATEWAY_PROOF_NONE: Setting = Setting {
    name: "INSECURE_GATEWAY_PROOF_NONE",
    expected: "true, to accept requests on Azure that came around the gateway",
    example: "true",
};
const GATEWAY_PROOF_HEADER: Setting = Setting {
    name: "GATEWAY_PROOF_HEADER",
    expected: "the name of a header that begins with X-Gateway-, of a-z, A-Z, 0-9 and -, and is neither X-Gateway-Host nor \
               X-Gateway-Client-Address",
    example: "X-Gateway-Token",
};
const GATEWAY_PROOF_ISSUER: Setting = Setting {
    name: "GATEWAY_PROOF_ISSUER",
    expected: "the https issuer of the gateway's tokens, exactly as its metadata names it (http only on loopback)",
    example: "https://sts.windows.net/<tenant>/",
};
const GATEWAY_PROOF_AUDIENCE: Setting = Setting {
    name: "GATEWAY_PROOF_AUDIENCE",
    expected: "the audience (aud) that the gateway asks its token for",
    example: "api://oauth-proxy",
};
const GATEWAY_PROOF_OBJECT_IDS: Setting = Setting {
    name: "GATEWAY_PROOF_OBJECT_IDS",
    expected: "the object ids (oid) of the identities that may speak for the gateway, separated by commas",
    example: "6f1d8e0a-7f5b-4b3e-9c58-0a1c5b8e6f42",
};
const GATEWAY_PROOF_SECRETS: Setting = Setting {
    name: "GATEWAY_PROOF_SECRETS",
    expected: "one or two secrets of at least 32 printable characters, separated by a comma",
    example: "<secret>",
};
const GATEWAY_CHECK_OBJECT_IDS: Setting = Setting {
    name: "GATEWAY_CHECK_OBJECT_IDS",
    expected: "the object ids (oid) of identities that call check, none of GATEWAY_PROOF_OBJECT_IDS, with managed_identity",
    example: "0b1d7c52-93f4-4a0e-8e57-6f2f1c9d3a77",
};
const GATEWAY_CHECK_SECRETS: Setting = Setting {
    name: "GATEWAY_CHECK_SECRETS",
    expected: "one or two secrets of at least 32 printable characters, none of GATEWAY_PROOF_SECRETS, with shared_secret",
    example: "<secret>",
};

const GATEWAY_CERTIFICATE_FINGERPRINTS: Setting = Setting {
    name: "GATEWAY_CERTIFICATE_FINGERPRINTS",
    expected: "one or two SHA-256 fingerprints of certificates, 64 hex digits each, separated by a comma, with a GATEWAY_PROOF",
    example: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    SharedSecret,
    ManagedIdentity,
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    environment: &Environment,
    listener: Option<Listener>,
    warnings: &mut Vec<&'static str>,
) -> Option<GatewaySettings> {
    let certificates = reader.parse_or(GATEWAY_CERTIFICATE_FINGERPRINTS, Vec::new(), fingerprints);
    let proof = proof(reader);
    if matches!(proof, Some(GatewayProof::None)) {
        accept_none(reader, environment, listener, warnings)?;
    }
    let (certificates, proof) = (certificates?, proof?);
    if matches!(proof, GatewayProof::None) && !certificates.is_empty() {
        let problem = "with GATEWAY_PROOF=none anyone could have written the header that names the certificate";
        reader.mistake(GATEWAY_CERTIFICATE_FINGERPRINTS, problem.to_owned());
        return None;
    }
    Some(GatewaySettings { proof, certificates })
}

fn proof(reader: &mut Reader<'_>) -> Option<GatewayProof> {
    let kind = reader.parse_or(GATEWAY_PROOF, Kind::None, |text| match text {
        "none" => Some(Kind::None),
        "shared_secret" => Some(Kind::SharedSecret),
        "managed_identity" => Some(Kind::ManagedIdentity),
        _ => None,
    })?;
    let header = reader.parse_or(GATEWAY_PROOF_HEADER, ProofHeader::default(), ProofHeader::parse);
    refuse_unused_check(reader, kind)?;
    match kind {
        Kind::None => none(reader),
        Kind::SharedSecret => {
            let secrets = required(reader, GATEWAY_PROOF_SECRETS, secrets);
            let check_secrets = apart(reader, GATEWAY_CHECK_SECRETS, self::secrets, secrets.as_deref());
            Some(GatewayProof::SharedSecret { header: header?, secrets: secrets?, check_secrets: check_secrets? })
        }
        Kind::ManagedIdentity => {
            let issuer = required(reader, GATEWAY_PROOF_ISSUER, issuer);
            let audience = required(reader, GATEWAY_PROOF_AUDIENCE, |text| Some(text.to_owned()));
            let object_ids = required(reader, GATEWAY_PROOF_OBJECT_IDS, self::object_ids);
            let check_object_ids = apart(reader, GATEWAY_CHECK_OBJECT_IDS, self::object_ids, object_ids.as_deref());
            Some(GatewayProof::ManagedIdentity {
                header: header?,
                issuer: issuer?,
                audience: audience?,
                object_ids: object_ids?,
                check_object_ids: check_object_ids?,
            })
        }
    }
}

/// Parses a list for the gateway's own calls; empty when unset. It must not share an entry with `forwarding`, which
/// every forwarded request carries: a browser would read its own access token from `check`.
fn apart<T: PartialEq>(
    reader: &mut Reader<'_>,
    setting: Setting,
    parse: impl FnOnce(&str) -> Option<Vec<T>>,
    forwarding: Option<&[T]>,
) -> Option<Vec<T>> {
    let own = reader.parse_or(setting, Vec::new(), parse)?;
    if own.iter().any(|own| forwarding.unwrap_or_default().contains(own)) {
        let problem = "one of them proves forwarded requests, too: every client could ask for its token";
        reader.mistake(setting, problem.to_owned());
        return None;
    }
    Some(own)
}

fn refuse_unused_check(reader: &mut Reader<'_>, kind: Kind) -> Option<()> {
    let unused = match kind {
        Kind::None => [Some(GATEWAY_CHECK_OBJECT_IDS), Some(GATEWAY_CHECK_SECRETS)],
        Kind::SharedSecret => [Some(GATEWAY_CHECK_OBJECT_IDS), None],
        Kind::ManagedIdentity => [Some(GATEWAY_CHECK_SECRETS), None],
    };
    let Some(setting) = unused.into_iter().flatten().find(|setting| reader.optional(*setting).is_some()) else {
        return Some(());
    };
    reader.mistake(setting, "nothing asks for it with this GATEWAY_PROOF".to_owned());
    None
}

fn none(reader: &mut Reader<'_>) -> Option<GatewayProof> {
    let unused = [GATEWAY_PROOF_ISSUER, GATEWAY_PROOF_AUDIENCE, GATEWAY_PROOF_OBJECT_IDS, GATEWAY_PROOF_SECRETS];
    if let Some(setting) = unused.into_iter().find(|setting| reader.optional(*setting).is_some()) {
        reader.mistake(setting, "nothing asks for it while GATEWAY_PROOF is none or not set".to_owned());
        return None;
    }
    Some(GatewayProof::None)
}

/// Accepts a gateway without proof; on Azure only with the `INSECURE_` setting.
fn accept_none(
    reader: &mut Reader<'_>,
    environment: &Environment,
    listener: Option<Listener>,
    warnings: &mut Vec<&'static str>,
) -> Option<()> {
    let is_accepted = reader.parse_or(INSECURE_GATEWAY_PROOF_NONE, false, |text| text.parse().ok())?;
    if !environment.is_on_azure() {
        if listener.is_some_and(|listener| !listener.address().ip().is_loopback()) {
            warnings.push("whoever reaches LISTEN_ADDR is served: no gateway has to prove itself (GATEWAY_PROOF=none)");
        }
        return Some(());
    }
    if !is_accepted {
        let problem = "anyone who knows the Function App's address would get around the gateway: set managed_identity \
                       or shared_secret";
        reader.mistake(GATEWAY_PROOF, problem.to_owned());
        return None;
    }
    warnings.push("requests that came around the gateway are accepted (INSECURE_GATEWAY_PROOF_NONE=true)");
    Some(())
}

fn required<T>(reader: &mut Reader<'_>, setting: Setting, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    let value = parse(reader.required(setting)?);
    if value.is_none() {
        reader.mistake(setting, "its value cannot be used".to_owned());
    }
    value
}

fn secrets(text: &str) -> Option<Vec<Zeroizing<String>>> {
    let secrets: Vec<_> = text.split(',').map(|secret| Zeroizing::new(secret.trim().to_owned())).collect();
    let is_strong =
        |secret: &Zeroizing<String>| secret.len() >= 32 && secret.bytes().all(|byte| byte.is_ascii_graphic());
    ((1..=2).contains(&secrets.len()) && secrets.iter().all(is_strong)).then_some(secrets)
}

fn fingerprints(text: &str) -> Option<Vec<[u8; 32]>> {
    let digests: Vec<[u8; 32]> = text.split(',').map(|digits| fingerprint(digits.trim())).collect::<Option<_>>()?;
    (digests.len() <= 2).then_some(digests)
}

fn fingerprint(digits: &str) -> Option<[u8; 32]> {
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

/// An issuer of tokens that others present, exactly as it names itself.
pub(super) fn issuer(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_usable = is_https_or_loopback(&url) && url.query().is_none() && url.fragment().is_none();
    (is_usable && url.username().is_empty()).then(|| text.to_owned())
}

fn object_ids(text: &str) -> Option<Vec<String>> {
    let ids: Vec<String> = text.split(',').map(|id| id.trim().to_owned()).collect();
    ids.iter().map(|id| uuid::Uuid::try_parse(id).ok().map(|id| id.to_string())).collect()
}
