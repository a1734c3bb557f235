//! The ingestion endpoint of Azure Monitor, for a resource that takes telemetry from identities only.

use std::io::Read as _;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::server::{Asked, Service, error, json_response};
use crate::{Faults, Identity};

/// Required audience of a token.
const AUDIENCE: &str = "https://monitor.azure.com";

/// Azure Monitor's ingestion endpoint, with everything that was sent.
pub struct Monitor {
    /// Scripted faults.
    pub faults: Faults,
    identity: Arc<Identity>,
    envelopes: Mutex<Vec<Value>>,
}

impl Monitor {
    pub(crate) fn new(identity: Arc<Identity>) -> Self {
        Self { faults: Faults::default(), identity, envelopes: Mutex::default() }
    }

    /// Every envelope that was taken.
    ///
    /// # Panics
    /// When a test panicked while it held them.
    #[must_use]
    pub fn envelopes(&self) -> Vec<Value> {
        self.envelopes.lock().unwrap().clone()
    }
}

impl Service for Monitor {
    fn faults(&self) -> &Faults {
        &self.faults
    }

    fn is_beyond_faults(&self, _asked: &Asked) -> bool {
        false
    }

    fn respond(&self, asked: &Asked, _origin: &str) -> Response<Full<Bytes>> {
        let bearer = asked.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        if !self.identity.is_for(token, AUDIENCE) {
            return error(401, "Unauthorized", None, "Local authentication is disabled, and the token is none.");
        }
        let mut text = String::new();
        flate2::read::GzDecoder::new(&**asked.body()).read_to_string(&mut text).expect("gzip");
        let sent: Vec<Value> = serde_json::from_str(&text).expect("a list of envelopes");
        let count = sent.len();
        self.envelopes.lock().unwrap().extend(sent);
        json_response(200, &json!({ "itemsReceived": count, "itemsAccepted": count, "errors": [] }))
    }
}
