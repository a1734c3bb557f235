//! Sessions in Cosmos DB: point reads, creates, and replacements under the version that was read. No query, no upsert.
//!
//! Every call has a time budget. The first call looks up the container, so the start does not wait for it.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::Secret;
use azure_data_cosmos::models::ItemResponse;
use azure_data_cosmos::options::{
    EndToEndOperationLatencyPolicy, ItemReadOptions, ItemWriteOptions, OperationOptions, Precondition, Region,
    ThrottlingRetryOptionsBuilder,
};
use azure_data_cosmos::{AccountReference, ContainerClient, CosmosClient, CosmosError, CosmosStatus, RoutingStrategy};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;
use url::Url;
use zeroize::Zeroizing;

use super::access_error::Source;
use super::cosmos_item::{IndexItem, Item, SessionItem, UseItem, parse};
use super::{AccessError, AzureCredential};
use crate::clock::Timestamp;
use crate::sessions::{
    Etag, IndexKey, SessionIndex, SessionKey, SessionRecord, SessionStore, StoreError, StoredIndex, StoredRecord,
    UseKey, UsedOnce,
};
use crate::telemetry::metrics;

const ROLE: &str = "Cosmos DB Built-in Data Contributor";
const CONTAINER: &str = "database or container";

/// Time budget of one operation, retries after 429 and lost connections included. A browser waits behind it.
const BUDGET: Duration = Duration::from_secs(3);

/// Time budget of the first call, which looks up the account and the container.
const CONNECT_BUDGET: Duration = Duration::from_secs(5);

/// Share of the budget for the waits that 429 asks for (`x-ms-retry-after-ms`).
const THROTTLE_BUDGET: Duration = Duration::from_secs(2);

/// Container of the sessions and the region to read from.
#[derive(Clone, Debug)]
pub struct CosmosSettings {
    /// The account's endpoint (`COSMOS_ENDPOINT`).
    pub endpoint: Url,
    /// The database's name (`COSMOS_DATABASE`).
    pub database: String,
    /// The container's name (`COSMOS_CONTAINER`).
    pub container: String,
    /// The region we run in, if known; the account's own order otherwise.
    pub region: Option<String>,
}

/// Authentication to the account.
pub enum CosmosAuthorization {
    /// An identity that has the account's data role.
    Identity(AzureCredential),
    /// The account's key: for emulators.
    Key(Zeroizing<String>),
}

/// Session store over one container whose partition key is `/id`.
pub struct CosmosStore {
    settings: CosmosSettings,
    authorization: CosmosAuthorization,
    container: OnceCell<ContainerClient>,
    options: OperationOptions,
}

/// Kind of request, as metrics call it.
#[derive(Clone, Copy)]
enum Operation {
    Create,
    Read,
    Replace,
}

impl CosmosStore {
    /// A store over the given container. Opens no connection.
    #[must_use]
    pub fn new(settings: CosmosSettings, authorization: CosmosAuthorization) -> Self {
        let mut options = OperationOptions::default();
        options.end_to_end_latency_policy = Some(EndToEndOperationLatencyPolicy::new(BUDGET));
        let throttling = ThrottlingRetryOptionsBuilder::new().with_max_retry_wait_time(THROTTLE_BUDGET).build();
        options.throttling_retry_options = Some(throttling);
        Self { settings, authorization, container: OnceCell::new(), options }
    }

    async fn container(&self) -> Result<&ContainerClient, StoreError> {
        let connected = timeout(CONNECT_BUDGET, self.container.get_or_try_init(|| self.connect())).await;
        connected.map_err(|_| unavailable(AccessError::Timeout))?.map_err(unavailable)
    }

    async fn connect(&self) -> Result<ContainerClient, AccessError> {
        let endpoint = self.settings.endpoint.clone().into();
        let account = match &self.authorization {
            CosmosAuthorization::Identity(credential) => {
                AccountReference::with_credential(endpoint, credential.token.clone())
            }
            CosmosAuthorization::Key(key) => {
                AccountReference::with_authentication_key(endpoint, Secret::new(key.to_string()))
            }
        };
        let region = self.settings.region.clone().map(Region::new);
        let routing = region.map_or(RoutingStrategy::PreferredRegions(vec![]), RoutingStrategy::ProximityTo);
        let client = CosmosClient::builder().with_default_operation_options(self.options.clone());
        let client = client.build(account, routing).await.map_err(access_error)?;
        let database = client.database_client(&self.settings.database);
        database.container_client(&self.settings.container, None).await.map_err(access_error)
    }
}

#[async_trait]
impl SessionStore for CosmosStore {
    async fn create(&self, record: &SessionRecord, now: Timestamp) -> Result<Etag, StoreError> {
        self.write(record.key.as_str(), &SessionItem::of(record, now), None).await
    }

    async fn load(&self, key: &SessionKey, now: Timestamp) -> Result<Option<StoredRecord>, StoreError> {
        let Some((item, etag)) = self.read::<SessionItem>(key.as_str()).await? else { return Ok(None) };
        let Some(item) = item else {
            tracing::debug!(session.key = key.as_str(), "session ignored: item of another version");
            return Ok(None);
        };
        let record = item.record(key).ok_or_else(unreadable)?;
        Ok((now < record.expires_at).then_some(StoredRecord { record, etag }))
    }

    async fn replace(&self, record: &SessionRecord, read: &Etag, now: Timestamp) -> Result<Etag, StoreError> {
        self.write(record.key.as_str(), &SessionItem::of(record, now), Some(read)).await
    }

    async fn load_index(&self, key: &IndexKey, now: Timestamp) -> Result<Option<StoredIndex>, StoreError> {
        let Some((item, etag)) = self.read::<IndexItem>(key.as_str()).await? else { return Ok(None) };
        let index = item.and_then(|item| item.index(key)).ok_or_else(unreadable)?;
        Ok((now < index.expires_at).then_some(StoredIndex { index, etag }))
    }

    async fn write_index(&self, index: &SessionIndex, read: Option<&Etag>, now: Timestamp) -> Result<Etag, StoreError> {
        let (id, item) = (index.key.as_str(), IndexItem::of(index, now));
        match read {
            Some(read) => self.write(id, &item, Some(read)).await,
            None => self.write_first(id, &item, now).await,
        }
    }

    async fn create_use(&self, used: &UsedOnce, now: Timestamp) -> Result<(), StoreError> {
        self.write_first(used.key.as_str(), &UseItem::of(used, now), now).await.map(drop)
    }

    async fn load_use(&self, key: &UseKey, now: Timestamp) -> Result<Option<UsedOnce>, StoreError> {
        let Some((item, _)) = self.read::<UseItem>(key.as_str()).await? else { return Ok(None) };
        let used = item.and_then(|item| item.used(key)).ok_or_else(unreadable)?;
        Ok((now < used.expires_at).then_some(used))
    }
}

impl CosmosStore {
    /// Point read: the item and its ETag, or nothing. The inner `None` is an item of another version.
    async fn read<T: Item>(&self, id: &str) -> Result<Option<(Option<T>, Etag)>, StoreError> {
        let container = self.container().await?;
        let options = ItemReadOptions::default().with_operation_options(self.options.clone());
        let asked = call(Operation::Read, container.read_item(id.to_owned(), id, Some(options))).await;
        let response = match asked {
            Ok(response) => response,
            Err(error) if is_absent(error.status()) => return Ok(None),
            Err(error) => return Err(unavailable(access_error(error))),
        };
        let etag = etag(&response)?;
        let json = response.into_model().map_err(|error| unavailable(access_error(error)))?;
        let item = parse(json).map_err(|_| unreadable())?;
        Ok(Some((item, etag)))
    }

    /// Create, also over an item that has expired by our clock but is not deleted yet. An item of another version
    /// stays.
    async fn write_first<T: Item>(&self, id: &str, item: &T, now: Timestamp) -> Result<Etag, StoreError> {
        match self.write(id, item, None).await {
            Err(StoreError::Conflict) => match self.read::<T>(id).await? {
                Some((Some(expired), etag)) if expired.expires_at() <= now => self.write(id, item, Some(&etag)).await,
                Some(_) | None => Err(StoreError::Conflict),
            },
            written => written,
        }
    }

    /// Create, or replace under the ETag that was read.
    async fn write<T: Item>(&self, id: &str, item: &T, read: Option<&Etag>) -> Result<Etag, StoreError> {
        let container = self.container().await?;
        let options = ItemWriteOptions::default().with_operation_options(self.options.clone());
        match read {
            None => {
                let created = container.create_item(id.to_owned(), id, item, Some(options));
                written(call(Operation::Create, created).await)
            }
            Some(read) => {
                let options = options.with_precondition(Precondition::if_match(read.0.clone()));
                let replaced = container.replace_item(id.to_owned(), id, item, Some(options));
                written(call(Operation::Replace, replaced).await)
            }
        }
    }
}

fn unreadable() -> StoreError {
    unavailable(AccessError::Response("an item that cannot be read"))
}

/// One call, with its span, duration and request charge.
async fn call(
    operation: Operation,
    asked: impl Future<Output = Result<ItemResponse, CosmosError>>,
) -> Result<ItemResponse, CosmosError> {
    let (started, name) = (Instant::now(), operation.name());
    let span = tracing::trace_span!(target: "span", "call", otel.name = "store", otel.kind = "client",
        db.system.name = "azure.cosmosdb", db.operation.name = name);
    let response = asked.instrument(span).await;
    let charge = response.as_ref().ok().and_then(|response| response.headers().request_charge());
    let charge = charge.map(|charge| charge.value());
    metrics::store_call(name, response.as_ref().err().map(failure), charge, started.elapsed());
    response
}

/// Metric label of a failure.
fn failure(error: &CosmosError) -> &'static str {
    let status = error.status();
    if status.is_timeout() {
        "timeout"
    } else if status.is_throttled() {
        "throttled"
    } else if status.is_conflict() || status.is_precondition_failed() {
        "conflict"
    } else if is_absent(status) {
        "missing"
    } else {
        "unavailable"
    }
}

fn written(outcome: Result<ItemResponse, CosmosError>) -> Result<Etag, StoreError> {
    match outcome {
        Ok(response) => etag(&response),
        Err(error) if error.status().is_conflict() || error.status().is_precondition_failed() => {
            Err(StoreError::Conflict)
        }
        Err(error) if is_absent(error.status()) => Err(StoreError::Missing),
        Err(error) => Err(unavailable(access_error(error))),
    }
}

fn etag(response: &ItemResponse) -> Result<Etag, StoreError> {
    let etag = response.headers().etag().map(|etag| Etag(etag.to_string()));
    etag.ok_or_else(|| unavailable(AccessError::Response("an item without an ETag")))
}

/// True for a missing item. A missing container is an error instead, so nobody is signed out by it.
fn is_absent(status: CosmosStatus) -> bool {
    status.is_not_found()
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Replace => "replace",
        }
    }
}

fn unavailable(error: AccessError) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}

fn access_error(error: CosmosError) -> AccessError {
    let (status, message) = (error.status(), error.to_string());
    let is_firewall = message.contains("blocked by your Cosmos DB account firewall");
    if status.is_timeout() {
        AccessError::Timeout
    } else if status.is_throttled() {
        AccessError::Throttled(Source::new(error))
    } else if is_firewall {
        AccessError::Network(Source::new(error))
    } else if status.is_unauthorized() || status.is_forbidden() {
        AccessError::Role { role: ROLE, source: Source::new(error) }
    } else if u16::from(status.status_code()) == 404 {
        AccessError::Name { what: CONTAINER, source: Source::new(error) }
    } else {
        // The library gives a lost connection a status of its own (503).
        AccessError::unreachable("COSMOS_ENDPOINT", error)
    }
}

impl fmt::Debug for CosmosStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CosmosStore").field("settings", &self.settings).finish_non_exhaustive()
    }
}
