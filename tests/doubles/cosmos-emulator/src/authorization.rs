//! Authorization: the account's key by its signature, or an Entra token that the test allowed.
//!
//! The scheme is that of "Access control in the Azure Cosmos DB REST API".

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use percent_encoding::percent_decode_str;

use crate::{Control, KEY};

pub(crate) fn is_allowed(method: &str, path: &str, headers: &HeaderMap, control: &Control) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(authorization) = text("authorization") else { return false };
    let decoded = percent_decode_str(authorization).decode_utf8_lossy().into_owned();
    let Some((kind, signature)) = decoded.strip_prefix("type=").and_then(|rest| rest.split_once("&ver=1.0&sig="))
    else {
        return false;
    };
    match (kind, text("x-ms-date")) {
        ("aad", _) => control.accepts(signature),
        ("master", Some(date)) => is_signed(method, path, date, signature),
        _ => false,
    }
}

fn is_signed(method: &str, path: &str, date: &str, signature: &str) -> bool {
    let path = percent_decode_str(path.trim_matches('/')).decode_utf8_lossy().into_owned();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    // An even number names a resource, an odd one the list that its last segment is.
    let (kind, link) = if segments.len().is_multiple_of(2) {
        (segments.iter().rev().nth(1).copied().unwrap_or_default(), path.as_str())
    } else {
        (segments[segments.len() - 1], path.rsplit_once('/').map_or("", |(parent, _)| parent))
    };
    let signed = format!("{}\n{kind}\n{link}\n{}\n\n", method.to_lowercase(), date.to_lowercase());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).expect("the key is base64"));
    STANDARD.decode(signature).is_ok_and(|tag| hmac::verify(&key, signed.as_bytes(), &tag).is_ok())
}
