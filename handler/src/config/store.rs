//! Setting of the session store.

use url::Url;
use zeroize::Zeroizing;

use super::Environment;
use super::reader::{Reader, Setting};
use crate::azure::CosmosSettings;
use crate::transport_security::{is_https_or_loopback, is_loopback};

const SESSION_STORE: Setting = Setting {
    name: "SESSION_STORE",
    expected: "cosmos, or memory, which forgets on restart and can't be used on Azure",
    example: "cosmos",
};
const COSMOS_ENDPOINT: Setting = Setting {
    name: "COSMOS_ENDPOINT",
    expected: "the https endpoint of the account (http on loopback, for emulators), with SESSION_STORE=cosmos",
    example: "https://account.documents.azure.com/",
};
const COSMOS_DATABASE: Setting = Setting {
    name: "COSMOS_DATABASE",
    expected: "the database's name, 1 to 255 characters without / \\ # ?",
    example: "oauth-proxy",
};
const COSMOS_CONTAINER: Setting = Setting {
    name: "COSMOS_CONTAINER",
    expected: "the container's name, 1 to 255 characters without / \\ # ?; its partition key is /id",
    example: "sessions",
};
const COSMOS_REGION: Setting = Setting {
    name: "COSMOS_REGION",
    expected: "the account's region that is nearest, as Azure writes it",
    example: "West Europe",
};
const COSMOS_KEY: Setting = Setting {
    name: "COSMOS_KEY",
    expected: "the key of an emulator on this machine; elsewhere the identity speaks for us",
    example: "<base64>",
};

/// Session store (`SESSION_STORE`).
#[derive(Debug)]
pub enum StoreSettings {
    /// Memory of this process.
    Memory,
    /// A container in Cosmos DB.
    Cosmos {
        /// Account, database and container.
        settings: CosmosSettings,
        /// Key of the emulator; without it the identity authenticates.
        key: Option<CosmosKey>,
    },
}

/// The key of a Cosmos DB emulator. Prints nothing.
pub struct CosmosKey(pub Zeroizing<String>);

impl std::fmt::Debug for CosmosKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CosmosKey(..)")
    }
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    environment: &Environment,
    warnings: &mut Vec<&'static str>,
) -> Option<StoreSettings> {
    let is_cosmos = reader.parse_or(SESSION_STORE, false, |text| match text {
        "memory" => Some(false),
        "cosmos" => Some(true),
        _ => None,
    })?;
    if is_cosmos {
        return cosmos(reader, environment);
    }
    if reader.optional(COSMOS_ENDPOINT).is_some() {
        reader.mistake(SESSION_STORE, "COSMOS_ENDPOINT is set, and SESSION_STORE is not cosmos".to_owned());
        return None;
    }
    if environment.is_on_azure() {
        let problem =
            "sessions in memory are lost with every instance on Azure: set SESSION_STORE=cosmos and COSMOS_ENDPOINT";
        reader.mistake(SESSION_STORE, problem.to_owned());
        return None;
    }
    warnings.push("sessions are kept in memory and end with this process (SESSION_STORE=memory)");
    Some(StoreSettings::Memory)
}

fn cosmos(reader: &mut Reader<'_>, environment: &Environment) -> Option<StoreSettings> {
    let endpoint = endpoint(reader);
    let database = reader.parse_or(COSMOS_DATABASE, COSMOS_DATABASE.example.to_owned(), resource_name);
    let container = reader.parse_or(COSMOS_CONTAINER, COSMOS_CONTAINER.example.to_owned(), resource_name);
    let region = reader.optional(COSMOS_REGION).or_else(|| environment.value("REGION_NAME")).map(str::to_owned);
    let key = reader.optional(COSMOS_KEY).map(|key| CosmosKey(Zeroizing::new(key.to_owned())));
    if key.is_some() && endpoint.as_ref().is_some_and(|endpoint| !is_loopback(endpoint)) {
        reader.mistake(COSMOS_KEY, "COSMOS_ENDPOINT is no emulator on this machine".to_owned());
        return None;
    }
    let settings = CosmosSettings { endpoint: endpoint?, database: database?, container: container?, region };
    Some(StoreSettings::Cosmos { settings, key })
}

fn endpoint(reader: &mut Reader<'_>) -> Option<Url> {
    let url = Url::parse(reader.required(COSMOS_ENDPOINT)?).ok().filter(|url| {
        is_https_or_loopback(url) && url.path() == "/" && url.query().is_none() && url.username().is_empty()
    });
    if url.is_none() {
        reader.mistake(COSMOS_ENDPOINT, "its value is not an https origin".to_owned());
    }
    url
}

fn resource_name(text: &str) -> Option<String> {
    let is_allowed = |letter: char| !letter.is_control() && !matches!(letter, '/' | '\\' | '#' | '?');
    ((1..=255).contains(&text.len()) && text.chars().all(is_allowed)).then(|| text.to_owned())
}
