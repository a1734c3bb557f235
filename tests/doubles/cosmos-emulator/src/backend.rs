//! The emulator itself, asked in process, and the time to live that it does not keep.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use azure_core::http::headers::{HeaderName, HeaderValue};
use azure_core::http::{Method, Request};
use azure_data_cosmos_driver::in_memory_emulator::{
    ConsistencyLevel, InMemoryEmulatorHttpClient, VirtualAccountConfig, VirtualRegion,
};
use bytes::Bytes;
use serde_json::{Value, json};
use url::Url;

use crate::control::Patch;
use crate::{CONTAINER, DATABASE};

pub(crate) struct Backend {
    base: Url,
    client: Arc<InMemoryEmulatorHttpClient>,
}

/// Raw response of the emulator.
pub(crate) struct RawResponse {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Backend {
    pub(crate) async fn new(base: Url) -> Self {
        let region = VirtualRegion::new("East US", base.clone());
        let account = VirtualAccountConfig::new(vec![region]).expect("one region is enough");
        let account = account.with_consistency(ConsistencyLevel::Strong);
        let backend = Self { base, client: Arc::new(InMemoryEmulatorHttpClient::new(account)) };
        backend.make("dbs", &json!({ "id": DATABASE })).await;
        let key = json!({ "paths": ["/id"], "kind": "Hash", "version": 2 });
        let container = json!({ "id": CONTAINER, "partitionKey": key, "defaultTtl": -1 });
        backend.make(&format!("dbs/{DATABASE}/colls"), &container).await;
        backend
    }

    async fn make(&self, path: &str, resource: &Value) {
        let raw = self.ask("POST", path, vec![], resource.to_string().into()).await;
        assert_eq!(raw.status, 201, "{}", String::from_utf8_lossy(&raw.body));
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: Vec<(String, String)>,
        body: Bytes,
    ) -> RawResponse {
        let url = self.base.join(path).expect("a path joins");
        let mut request = Request::new(url, method.parse::<Method>().expect("a method"));
        for (name, value) in headers {
            request.insert_header(HeaderName::from(name), HeaderValue::from(value));
        }
        if !body.is_empty() {
            request.set_body(body);
        }
        let raw = self.client.execute_request(&request).await.expect("the emulator responds");
        let raw = raw.try_into_raw_response().await.expect("the response is whole");
        let is_framing = |name: &str| matches!(name, "content-length" | "transfer-encoding" | "connection");
        let headers = raw.headers().iter().map(|(name, value)| (name.as_str().to_owned(), value.as_str().to_owned()));
        RawResponse {
            status: raw.status().into(),
            headers: headers.filter(|(name, _)| !is_framing(name)).collect(),
            body: raw.body().to_vec().into(),
        }
    }

    /// Changes a member of an item, if both are there.
    pub(crate) async fn patch(&self, list: &str, patch: Patch) {
        let path = format!("{list}/{}", patch.id);
        let key = vec![("x-ms-documentdb-partitionkey".to_owned(), json!([patch.id]).to_string())];
        let found = self.ask("GET", &path, key.clone(), Bytes::new()).await;
        let Ok(mut item) = serde_json::from_slice::<Value>(&found.body) else { return };
        let Some(member) = item.pointer_mut(&patch.pointer) else { return };
        *member = patch.value;
        let written = self.ask("PUT", &path, key, item.to_string().into()).await;
        assert_eq!(written.status, 200, "{}", String::from_utf8_lossy(&written.body));
    }

    /// Deletes the item if its time to live is over by a clock that is `ahead`.
    pub(crate) async fn expire(&self, list: &str, id: &str, ahead: Duration) {
        let path = format!("{list}/{id}");
        let key = vec![("x-ms-documentdb-partitionkey".to_owned(), json!([id]).to_string())];
        let found = self.ask("GET", &path, key.clone(), Bytes::new()).await;
        let Ok(item) = serde_json::from_slice::<Value>(&found.body) else { return };
        let (Some(written), Some(ttl)) = (item["_ts"].as_u64(), item["ttl"].as_u64()) else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970") + ahead;
        if now.as_secs() >= written + ttl {
            self.ask("DELETE", &path, key, Bytes::new()).await;
        }
    }
}
