//! Command line: `oauth-proxy` serves, `check` tests the configuration, `generate-key` makes a key.

mod explain;
mod provider_check;
mod upstream_check;

use std::fmt;
use std::io::{self, Write as _};
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tracing_subscriber::filter::{LevelFilter, Targets};
use zeroize::Zeroizing;

use self::explain::{Question, explain, target_way};
use self::provider_check::{clock_difference, diagnosis, logout_channel};
use self::upstream_check::Probed;
use crate::app;
use crate::azure::{AzureCredential, monitor_bearer};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Configuration, Environment, Listener, Mistakes, StoreSettings, unknown_settings};
use crate::nearest_word::nearest_word;
use crate::oidc::RelyingParty;
use crate::proxy::{ProbeError, PublicSide, Route, RouteTable, probe};
use crate::random;
use crate::sessions::IndexKey;
use crate::state::{AppState, SharedState};
use crate::telemetry::{self, Causes, Exporters, Format};
use crate::tls;

const USAGE: &str = "\
Usage: oauth-proxy [COMMAND]

Commands:
  (none)        serve, configured by environment variables
  check         check the configuration, then try keys, the provider's metadata, store, gateway's issuer and upstreams;
                what only a sign-in tries is the client's own secret or key
  explain METHOD TARGET [--claims FILE]
                say which route and rule decide about a request, and what the upstream would get
  revoke        end sessions: --sid SID (a sign-in at the provider), --sub SUB (a person), --person KEY (the
                same, by the person.key of the audit log), --all (how to)
  generate-key  print a new key for COOKIE_KEYS or TOKEN_KEYS
  help          print this
  version       print the version

Exit codes: 0 all is well, 1 something failed or is down, 2 a mistake in the settings or the command line.";

/// Command names for the spelling suggestion.
const COMMANDS: &[&str] = &["check", "explain", "revoke", "generate-key", "help", "version"];

const EXPLAIN_OPTION: &str = "--claims";

/// Exit code for wrong usage or configuration; every other failure exits with 1.
const EXIT_MISTAKE: u8 = 2;

/// Runs one command with the arguments that follow the program's name.
#[must_use]
pub fn run(arguments: &[String]) -> ExitCode {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => serve(),
        ["check"] => check(),
        ["explain", method, target] => print_explanation(&Question { method, target, claims: None }),
        ["explain", method, target, EXPLAIN_OPTION, file] => {
            print_explanation(&Question { method, target, claims: Some(file) })
        }
        ["revoke", "--sid", sid] if !sid.is_empty() => revoke(Revoked::ProviderSession(sid)),
        ["revoke", "--sub", sub] if !sub.is_empty() => revoke(Revoked::Subject(sub)),
        ["revoke", "--person", key] if !key.is_empty() => revoke(Revoked::Person(key)),
        ["revoke", "--all"] => explain_revoke_all(),
        ["generate-key"] => generate_key(),
        ["help" | "--help" | "-h"] | [_, "--help" | "-h"] => {
            print_line(format_args!("{USAGE}"));
            ExitCode::SUCCESS
        }
        ["version" | "--version" | "-V"] => {
            print_line(format_args!("oauth-proxy {}", env!("CARGO_PKG_VERSION")));
            ExitCode::SUCCESS
        }
        [command, rest @ ..] => {
            eprintln!("oauth-proxy: {}\n\n{USAGE}", misuse(command, rest));
            ExitCode::from(EXIT_MISTAKE)
        }
    }
}

/// Usage error for an unknown command or argument.
fn misuse(command: &str, rest: &[&str]) -> String {
    match (command, rest) {
        ("revoke", [flag @ ("--sid" | "--sub" | "--person"), ..]) => {
            format!("{flag} needs one value: revoke {flag} VALUE")
        }
        ("explain", [_, _, option, ..]) if option.starts_with("--") && *option != EXPLAIN_OPTION => {
            match nearest_word(option, &[EXPLAIN_OPTION]) {
                Some(meant) => format!("explain has no option {option:?}; did you mean {meant}?"),
                None => format!("explain has no option {option:?}, only {EXPLAIN_OPTION} FILE"),
            }
        }
        ("explain", _) => "explain needs a method and a target: explain GET /admin --claims claims.json".to_owned(),
        ("revoke", _) => "revoke needs one of --sid SID, --sub SUB, --person KEY and --all".to_owned(),
        ("check" | "generate-key" | "help" | "version", _) => format!("{command} takes no arguments"),
        _ => match nearest_word(command, COMMANDS) {
            Some(meant) => format!("there is no command {command:?}; did you mean {meant}?"),
            None => format!("there is no command {command:?}; without a command it serves"),
        },
    }
}

fn serve() -> ExitCode {
    let started = Instant::now();
    let environment = Environment::of_this_process();
    let host_port = environment.functions_host_port();
    let format = if host_port.is_some() { Format::Json } else { Format::Text };
    let configuration = Configuration::read(&environment);
    let exporters = configuration.as_ref().map_or(Ok(None), exporters);
    let sending = exporters.as_ref().ok().and_then(Option::as_ref);
    let _guard = telemetry::start(format, log_filter(&environment), sending);
    if let Err(error) = &exporters {
        tracing::warn!(code = "telemetry_unsent", cause = %Causes(&**error), "telemetry not sent: metrics and traces are lost");
    }

    for unknown in unknown_settings(&environment) {
        tracing::warn!(code = "setting_unknown", "{unknown}");
    }
    let server = match (configuration, host_port) {
        (Ok(configuration), _) => {
            for warning in &configuration.warnings {
                tracing::warn!("{warning}");
            }
            actix_web::rt::System::new().block_on(app::serve(configuration, started))
        }
        // Serve 503 instead of exiting: the host would restart us twice and then stop without a reason.
        (Err(mistakes), Some(port)) => {
            for (variable, line) in mistakes.lines() {
                tracing::error!(code = "configuration_incomplete", variable, "{line}");
            }
            let listener = Listener::FunctionsHost(port);
            actix_web::rt::System::new().block_on(async { app::serve_incomplete(listener)?.await })
        }
        (Err(mistakes), None) => return report(&mistakes, &environment),
    };
    match server {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(cause = %Causes(&error), "server failed to start");
            ExitCode::FAILURE
        }
    }
}

/// Starts the exporters of metrics and traces. A failed export never affects requests.
fn exporters(configuration: &Configuration) -> Result<Option<Exporters>, Box<dyn std::error::Error>> {
    let settings = &configuration.exporters;
    if !settings.has_receiver() {
        return Ok(None); // reading the machine's roots a second time would only make the start longer
    }
    let tls = tls::client_config();
    let needs_identity = settings.application_insights.as_ref().is_some_and(|insights| insights.needs_identity);
    let bearer = match needs_identity {
        true => Some(monitor_bearer(AzureCredential::new(&configuration.identity, &tls)?)),
        false => None,
    };
    Ok(Some(Exporters::start(settings, &tls, bearer)?))
}

/// Log filter of `LOG`, which `Configuration` has checked. By default the server library's start-up lines are muted.
///
/// The HTTP library logs an error for each response body that ends early. The proxy logs those itself, and the end of a
/// session is no error, so the library is muted unless `LOG` names it.
fn log_filter(environment: &Environment) -> Targets {
    let text = environment.value("LOG").unwrap_or("info,actix_server=warn");
    let filter: Targets = text.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    if text.contains(HTTP_LIBRARY) { filter } else { filter.with_target(HTTP_LIBRARY, LevelFilter::OFF) }
}

const HTTP_LIBRARY: &str = "actix_http";

fn report(mistakes: &Mistakes, environment: &Environment) -> ExitCode {
    eprintln!("{mistakes}");
    for unknown in unknown_settings(environment) {
        eprintln!("note: {unknown}");
    }
    ExitCode::from(EXIT_MISTAKE)
}

/// Prints the result for the configuration and for each service it names, after a real connection to it.
fn check() -> ExitCode {
    let environment = Environment::of_this_process();
    let configuration = match Configuration::read(&environment) {
        Ok(configuration) => configuration,
        Err(mistakes) => return report(&mistakes, &environment),
    };
    print_line(format_args!("ok      configuration"));
    for unknown in unknown_settings(&environment) {
        print_line(format_args!("note    {unknown}"));
    }
    for warning in &configuration.warnings {
        print_line(format_args!("note    {warning}"));
    }
    for (route, target) in configuration.routes.token_targets() {
        let way = target_way(target, configuration.provider.dialect.target_grants);
        print_line(format_args!(
            "note    the route {} gets a token of its own: {way}; only a request tries it",
            route.path()
        ));
    }
    let is_ready = actix_web::rt::System::new().block_on(async {
        let shared = match SharedState::new(configuration) {
            Ok(shared) => Arc::new(shared),
            Err(error) => return report_result("identity", Err(error)),
        };
        let (state, followed) = (AppState::new(Arc::clone(&shared)), shared);
        actix_web::rt::spawn(async move { followed.follow().await });
        let now = SystemClock.now();
        // A failed load, retries included, outlasts one request's wait; the second wait gets its error.
        let keys = match state.ensure_keys_loaded().await {
            Ok(()) => Ok(()),
            Err(_) => state.ensure_keys_loaded().await,
        };
        let keys = report_result("keys", keys);
        let provider = check_provider(&state.relying_party).await;
        note_logout_channel(&state);
        let store = report_result("store", state.sessions.is_ready(now).await);
        let gateway = match state.gateway.requires_token() {
            true => report_result("gateway's issuer", state.gateway.is_ready(now).await),
            false => true,
        };
        let upstreams = check_upstreams(&state.routes, &state.public_side).await;
        keys && provider && store && gateway && upstreams
    });
    if is_ready { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The lines about one request. The outcome is no failure, whatever it is.
fn print_explanation(question: &Question<'_>) -> ExitCode {
    let environment = Environment::of_this_process();
    let configuration = match Configuration::read(&environment) {
        Ok(configuration) => configuration,
        Err(mistakes) => return report(&mistakes, &environment),
    };
    match explain(question, &configuration, SystemClock.now()) {
        Ok(lines) => {
            lines.iter().for_each(|line| print_line(format_args!("{line}")));
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("oauth-proxy: {problem}");
            ExitCode::from(EXIT_MISTAKE)
        }
    }
}

/// Prints one line for every Upstream and every `Host` that its routes send.
async fn check_upstreams(routes: &RouteTable, public: &PublicSide) -> bool {
    if !routes.covers_everything() {
        print_line(format_args!(
            "note    no route has the path \"/\": a path that no other route covers gets 404 route_not_found"
        ));
    }
    let tls = tls::client_config();
    let mut all_respond = true;
    for route in routes.first_by_upstream_and_host() {
        let (is_well, line) = check_upstream(route, routes, public, &tls).await;
        print_line(format_args!("{}  {line}", if is_well { "ok    " } else { "failed" }));
        all_respond &= is_well;
    }
    all_respond
}

async fn check_upstream(
    route: &Route,
    routes: &RouteTable,
    public: &PublicSide,
    tls: &rustls::ClientConfig,
) -> (bool, String) {
    let name = route.upstream().name();
    let used = route.host();
    let response = probe(route, used, routes, public, tls).await;
    // No connection: another `Host` cannot help.
    if let Err(
        error @ (ProbeError::Name(_) | ProbeError::Connection(_) | ProbeError::Tls(_) | ProbeError::PlainToTls),
    ) = response
    {
        return (false, format!("upstream {name}: {error}"));
    }
    let other = probe(route, used.other(), routes, public, tls).await;
    let replaces_authorization = !route.token().passes_authorization();
    Probed { name, used, replaces_authorization, response, other }.verdict()
}

/// Prints a line for the Provider, and a second if its clock and ours differ too much.
async fn check_provider(relying_party: &RelyingParty) -> bool {
    if let Err(error) = relying_party.is_ready(SystemClock.now()).await {
        print_line(format_args!("failed  provider: {}", diagnosis(&error, &relying_party.settings().issuer)));
        return false;
    }
    print_line(format_args!("ok      provider"));
    let provider_time = relying_party.provider_time().await.ok().flatten();
    let Some(line) = provider_time.and_then(|time| clock_difference(time, SystemClock.now())) else { return true };
    print_line(format_args!("failed  clock: {line}"));
    false
}

/// Prints the logout URL to register at the Provider, if its profile knows the channel.
fn note_logout_channel(state: &AppState) {
    let Some(channel) = state.relying_party.settings().dialect.logout_channel else { return };
    let base = format!("{}{}", state.public_origin.as_str(), state.auth_prefix);
    print_line(format_args!("note    provider: {}", logout_channel(channel, &base)));
}

/// Sessions that `revoke` ends.
enum Revoked<'a> {
    ProviderSession(&'a str),
    Subject(&'a str),
    Person(&'a str),
}

/// Ends sessions in the store that all instances share.
fn revoke(revoked: Revoked<'_>) -> ExitCode {
    let environment = Environment::of_this_process();
    let configuration = match Configuration::read(&environment) {
        Ok(configuration) => configuration,
        Err(mistakes) => return report(&mistakes, &environment),
    };
    if matches!(configuration.store, StoreSettings::Memory) {
        eprintln!("sessions in memory belong to the process that serves: set SESSION_STORE=cosmos, as it does");
        return ExitCode::from(EXIT_MISTAKE);
    }
    let cache_ttl = configuration.session_cache_ttl;
    let ended = actix_web::rt::System::new().block_on(async {
        let shared = SharedState::new(configuration).map_err(|error| Causes(&error).to_string())?;
        let sessions = &shared.sessions;
        let index = match revoked {
            Revoked::ProviderSession(sid) => sessions.provider_session(sid),
            Revoked::Subject(sub) => sessions.subject(sub),
            Revoked::Person(key) => IndexKey::of_person(key).ok_or("this is no person.key of the audit log")?,
        };
        sessions.end_all(&index, SystemClock.now()).await.map_err(|error| Causes(&error).to_string())
    });
    match ended {
        Ok(ended) => {
            print_line(format_args!(
                "ended   {ended} sessions; instances that have them cached follow within {cache_ttl:?}"
            ));
            if ended == 0 {
                print_line(format_args!("note    the store has no session of it: is it spelt as at the provider?"));
            }
            print_line(format_args!(
                "note    refresh tokens are sealed and live on at the provider until it ends them"
            ));
            ExitCode::SUCCESS
        }
        Err(error) => {
            print_line(format_args!("failed  {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Explains how to end all sessions: disable their key. No list of sessions exists.
fn explain_revoke_all() -> ExitCode {
    print_line(format_args!(
        "\
Every session ends when the older keys that seal the records are disabled. Nothing was done; do this:
  1. head -c 32 /dev/urandom | base64 | tr -d '\\n' > NEW_KEY
     az keyvault secret set --vault-name VAULT --name token-key --file NEW_KEY --encoding utf-8 && rm NEW_KEY
  2. az keyvault secret list-versions --vault-name VAULT --name token-key
  3. az keyvault secret set-attributes --enabled false --id OLD_VERSION_ID              (for each older version)
Every instance refuses the old sessions within KEY_RELOAD_INTERVAL. With TOKEN_KEYS: replace them and restart."
    ));
    ExitCode::from(EXIT_MISTAKE)
}

/// Prints a line to stdout. A closed pipe (`check | head -1`) is success; any other write error is a failure.
fn print_line(line: fmt::Arguments<'_>) {
    if let Err(error) = writeln!(io::stdout(), "{line}")
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        eprintln!("oauth-proxy: nothing can be written to stdout: {error}");
        process::exit(1);
    }
}

fn report_result<E: std::error::Error>(name: &str, result: Result<(), E>) -> bool {
    match &result {
        Ok(()) => print_line(format_args!("ok      {name}")),
        Err(error) => print_line(format_args!("failed  {name}: {}", Causes(error))),
    }
    result.is_ok()
}

/// Prints a new key as `kid:base64`, the format of `COOKIE_KEYS` and `TOKEN_KEYS`.
fn generate_key() -> ExitCode {
    let key = Zeroizing::new(random::bytes::<32>());
    let kid = &random::guid_pair()[..8];
    print_line(format_args!("{kid}:{}", *Zeroizing::new(STANDARD.encode(key.as_slice()))));
    ExitCode::SUCCESS
}
