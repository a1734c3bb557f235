//! The handler's database: as much of Cosmos DB's REST interface as the handler uses, in memory.
//!
//! It lets the demo show a record as it is stored. Point reads, creates and replacements under `If-Match`, no more;
//! signatures are not checked, and bodies are plain JSON. Tests use Microsoft's emulator, never this.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::http::{StatusCode, header};
use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use oauth_proxy::clock::{Clock, SystemClock};
use oauth_proxy::random;
use serde_json::{Value, json};

use crate::part::Part;
use crate::story::Story;

/// The name of the database, and of its one container.
pub(crate) const DATABASE: &str = "demo";
pub(crate) const CONTAINER: &str = "sessions";

/// Resource identifiers as the service writes them: their form is fixed, their value means nothing here.
const DATABASE_RID: &str = "AAAAAQ==";
const CONTAINER_RID: &str = "AAAAAYAAAAE=";
const CONTAINER_ETAG: &str = "\"demo-container\"";

/// Items by their `id`, which is their partition key.
pub(crate) struct Database {
    endpoint: String,
    items: Mutex<HashMap<String, Stored>>,
    story: Arc<Story>,
}

struct Stored {
    item: Value,
    etag: String,
}

impl Database {
    /// An empty database that is reached at this URL.
    pub(crate) fn new(endpoint: String, story: Arc<Story>) -> Self {
        Self { endpoint, items: Mutex::default(), story }
    }

    /// The item with this `id`, as it is stored.
    pub(crate) fn item(&self, id: &str) -> Option<Value> {
        self.items().get(id).map(|stored| stored.item.clone())
    }

    /// Items that expired are dropped, as their `ttl` asks for.
    fn write(&self, id: String, item: Value) -> (Value, String) {
        self.record(&id, &item);
        let now = SystemClock.now().as_unix();
        let etag = format!("\"{}\"", random::guid_pair());
        let mut items = self.items();
        items.retain(|_, stored| stored.item["expires_at"].as_i64().is_none_or(|end| now < end));
        items.insert(id, Stored { item: item.clone(), etag: etag.clone() });
        (item, etag)
    }

    /// Tells of a new generation of a session's record, and of its end. A lease is no news.
    fn record(&self, id: &str, item: &Value) {
        let Some(generation) = item["generation"].as_u64() else { return };
        let before = self.item(id);
        let is_new = before.as_ref().is_none_or(|before| before["generation"] != item["generation"]);
        let was_alive = before.is_some_and(|before| !before["parts"].is_null());
        if item["parts"].is_null() {
            if was_alive {
                self.story.note(Part::Handler, "tombstone", "takes both sealed parts out of the stored record");
            }
        } else if is_new {
            let text = format!("stores the tokens, sealed: generation {generation} of the record");
            self.story.note(Part::Handler, "sealed record", &text);
        }
    }

    fn items(&self) -> MutexGuard<'_, HashMap<String, Stored>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts the database's endpoints into a server.
pub(crate) fn configure(service: &mut ServiceConfig) {
    let container = format!("/dbs/{DATABASE}/colls/{CONTAINER}");
    service
        .route("/", web::get().to(account))
        .route(&format!("/dbs/{DATABASE}"), web::get().to(database))
        .route(&container, web::get().to(self::container))
        .route(&format!("{container}/pkranges"), web::get().to(partition_key_ranges))
        .route(&format!("{container}/docs"), web::post().to(create))
        .route(&format!("{container}/docs/{{id}}"), web::get().to(read))
        .route(&format!("{container}/docs/{{id}}"), web::put().to(replace));
}

async fn account(database: Data<Database>) -> HttpResponse {
    let locations = json!([{ "name": "East US", "databaseAccountEndpoint": database.endpoint }]);
    resource(StatusCode::OK).json(json!({
        "_self": "", "id": "demo", "_rid": "demo.sql.cosmos.azure.com", "media": "//media/",
        "addresses": "//addresses/", "_dbs": "//dbs/", "writableLocations": locations,
        "readableLocations": locations, "enableMultipleWriteLocations": false, "continuousBackupEnabled": false,
        "enableNRegionSynchronousCommit": false, "enablePerPartitionFailoverBehavior": false,
        "disableCrossRegionalHedging": false,
        "userReplicationPolicy": { "asyncReplication": false, "minReplicaSetSize": 3, "maxReplicasetSize": 4 },
        "userConsistencyPolicy": { "defaultConsistencyLevel": "Strong" },
        "systemReplicationPolicy": { "minReplicaSetSize": 3, "maxReplicasetSize": 4 },
        "readPolicy": { "primaryReadCoefficient": 1, "secondaryReadCoefficient": 1 },
        "queryEngineConfiguration": "{}",
    }))
}

async fn database() -> HttpResponse {
    resource(StatusCode::OK).json(json!({
        "id": DATABASE, "_rid": DATABASE_RID, "_self": format!("dbs/{DATABASE_RID}/"), "_etag": CONTAINER_ETAG,
        "_ts": 1, "_colls": "colls/", "_users": "users/",
    }))
}

async fn container() -> HttpResponse {
    resource(StatusCode::OK).insert_header((header::ETAG, CONTAINER_ETAG)).json(json!({
        "id": CONTAINER, "_rid": CONTAINER_RID, "_self": format!("dbs/{DATABASE_RID}/colls/{CONTAINER_RID}/"),
        "_etag": CONTAINER_ETAG, "_ts": 1, "_docs": "docs/", "_sprocs": "sprocs/", "_triggers": "triggers/",
        "_udfs": "udfs/", "_conflicts": "conflicts/", "defaultTtl": -1,
        "partitionKey": { "paths": ["/id"], "kind": "Hash", "version": 2 },
        "indexingPolicy": { "indexingMode": "consistent", "automatic": true, "includedPaths": [{ "path": "/*" }],
                            "excludedPaths": [] },
    }))
}

/// One partition holds everything.
async fn partition_key_ranges(req: HttpRequest) -> HttpResponse {
    if req.headers().get(header::IF_NONE_MATCH).is_some_and(|known| known == CONTAINER_ETAG) {
        return resource(StatusCode::NOT_MODIFIED).insert_header((header::ETAG, CONTAINER_ETAG)).finish();
    }
    let range = json!({
        "id": "0", "minInclusive": "", "maxExclusive": "FF", "ridPrefix": 0, "throughputFraction": 1.0,
        "status": "online", "parents": [], "_rid": "AAAAAYAAAAEAAAAAAAAAUA==", "_etag": CONTAINER_ETAG, "_ts": 1,
        "_self": format!("dbs/{DATABASE_RID}/colls/{CONTAINER_RID}/pkranges/0/"), "_lsn": 0,
    });
    resource(StatusCode::OK)
        .insert_header((header::ETAG, CONTAINER_ETAG))
        .insert_header(("x-ms-item-count", "1"))
        .json(json!({ "_rid": CONTAINER_RID, "PartitionKeyRanges": [range], "_count": 1 }))
}

async fn create(item: Json<Value>, database: Data<Database>) -> HttpResponse {
    let Some(id) = item["id"].as_str().map(str::to_owned) else { return refused(StatusCode::BAD_REQUEST) };
    if database.item(&id).is_some() {
        return refused(StatusCode::CONFLICT);
    }
    written(StatusCode::CREATED, database.write(id, item.into_inner()))
}

async fn read(id: Path<String>, database: Data<Database>) -> HttpResponse {
    match database.items().get(id.as_str()) {
        Some(stored) => written(StatusCode::OK, (stored.item.clone(), stored.etag.clone())),
        None => refused(StatusCode::NOT_FOUND),
    }
}

async fn replace(req: HttpRequest, id: Path<String>, item: Json<Value>, database: Data<Database>) -> HttpResponse {
    let Some(stored) = database.items().get(id.as_str()).map(|stored| stored.etag.clone()) else {
        return refused(StatusCode::NOT_FOUND);
    };
    if req.headers().get(header::IF_MATCH).is_none_or(|read| read.as_bytes() != stored.as_bytes()) {
        return refused(StatusCode::PRECONDITION_FAILED);
    }
    written(StatusCode::OK, database.write(id.into_inner(), item.into_inner()))
}

fn written(status: StatusCode, (item, etag): (Value, String)) -> HttpResponse {
    resource(status).insert_header((header::ETAG, etag)).json(item)
}

fn refused(status: StatusCode) -> HttpResponse {
    resource(status).json(json!({ "code": status.as_str(), "message": "refused by the demo's database" }))
}

fn resource(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header(("x-ms-version", "2020-07-15"))
        .insert_header(("x-ms-request-charge", "1.00"))
        .insert_header(("x-ms-activity-id", uuid::Uuid::new_v4().to_string()))
        .insert_header(("x-ms-session-token", "0:0#1#0=1"))
        .insert_header(("lsn", "1"));
    response
}
