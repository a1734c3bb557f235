//! The command line of the demo.
//!
//! Knows nothing of ports that are taken or applications that are down.

use oauth_proxy::proxy::Upstream;
use url::Url;

/// Default port of the handler (`--port`); the other parts use the next four.
const DEFAULT_PORT: u16 = 8080;

/// Shown for `--help`, and after a mistake.
pub(crate) const USAGE: &str = "\
Usage: cargo run -p demo [-- [--port N] [--upstream URL [--token none]]]

  --port N        the handler listens at N, the Provider at N+1, the application at N+2, the inspector at N+3
                  and the database at N+4 (default 8080); 0 takes any free ports
  --upstream URL  your own application instead of the demo's, such as http://localhost:3000
  --token none    it gets no access token and keeps its own Authorization, as an application with Basic sign-in needs
  --help          this text";

/// The command line asks for this.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arguments {
    /// `--help`: nothing is started.
    Help,
    Run(Options),
}

/// Options of the command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The handler's port; 0 is any.
    pub(crate) first_port: u16,
    /// The application of whoever runs the demo, instead of the demo's own.
    pub(crate) upstream: Option<Url>,
    /// `--token`: the `token` of that application's route.
    pub(crate) token: Token,
}

/// Values of `--token`, as a route's `token` has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Token {
    #[default]
    Bearer,
    None,
}

impl Token {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::None => "none",
        }
    }
}

/// Reads the arguments after the program's name; the mistake and the usage if there is one.
pub(crate) fn parse(arguments: &[String]) -> Result<Arguments, String> {
    let mut options = Options { first_port: DEFAULT_PORT, upstream: None, token: Token::default() };
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        let (name, inline) = argument.split_once('=').map_or((argument, None), |(name, value)| (name, Some(value)));
        match name {
            "--help" | "-h" if inline.is_none() => return Ok(Arguments::Help),
            "--port" => options.first_port = inline.or_else(|| rest.next()).map_or_else(missing_port, port)?,
            "--upstream" => options.upstream = Some(inline.or_else(|| rest.next()).map_or_else(missing_url, upstream)?),
            "--token" => options.token = token(inline.or_else(|| rest.next()).unwrap_or_default())?,
            _ => return Err(mistake(&format!("{argument:?} is no argument of the demo"))),
        }
    }
    if options.token != Token::default() && options.upstream.is_none() {
        return Err(mistake("--token is for an application of yours: give --upstream too"));
    }
    Ok(Arguments::Run(options))
}

fn missing_port<T>() -> Result<T, String> {
    Err(mistake("--port needs a number"))
}

fn missing_url<T>() -> Result<T, String> {
    Err(mistake("--upstream needs the URL of your application, such as http://localhost:3000"))
}

/// The four ports that follow must exist, too.
fn port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port: &u16| port.checked_add(4).is_some());
    port.ok_or_else(|| mistake(&format!("--port takes a number from 0 to 65531, not {text:?}")))
}

fn token(text: &str) -> Result<Token, String> {
    match text {
        "bearer" => Ok(Token::Bearer),
        "none" => Ok(Token::None),
        _ => Err(mistake(&format!("--token takes bearer or none, not {text:?}"))),
    }
}

/// A URL that the handler accepts as well.
fn upstream(text: &str) -> Result<Url, String> {
    let example = "such as http://localhost:3000";
    let upstream =
        Upstream::parse(text).map_err(|error| mistake(&format!("--upstream {text:?}: {error}, {example}")))?;
    Url::parse(&upstream.url()).map_err(|error| mistake(&format!("--upstream {text:?}: {error}, {example}")))
}

fn mistake(text: &str) -> String {
    format!("{text}\n\n{USAGE}")
}

#[cfg(test)]
mod tests {
    use super::{Arguments, DEFAULT_PORT, Options, Token, USAGE, parse};

    fn read(arguments: &[&str]) -> Result<Arguments, String> {
        parse(&arguments.iter().map(|&text| text.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn port_and_upstream_are_read_in_both_spellings() {
        let run = |first_port, upstream: Option<&str>| {
            let upstream = upstream.map(|url| url.parse().unwrap());
            Ok(Arguments::Run(Options { first_port, upstream, token: Token::Bearer }))
        };

        assert_eq!(read(&[]), run(DEFAULT_PORT, None));
        assert_eq!(read(&["--port", "9000"]), run(9000, None));
        assert_eq!(read(&["--port=0"]), run(0, None));
        assert_eq!(read(&["--upstream", "http://localhost:3000"]), run(DEFAULT_PORT, Some("http://localhost:3000/")));
        assert_eq!(read(&["--upstream=https://app.test/base/", "--port", "1"]), run(1, Some("https://app.test/base/")));
    }

    #[test]
    fn the_access_token_can_be_left_out_for_an_application_of_ones_own() {
        let read = read(&["--token", "none", "--upstream", "http://localhost:3000"]);

        let Ok(Arguments::Run(options)) = read else { panic!("{read:?}") };
        assert_eq!(options.token, Token::None);
    }

    #[test]
    fn help_is_no_mistake() {
        for arguments in [&["--help"][..], &["-h"], &["--port", "1", "--help"]] {
            assert_eq!(read(arguments), Ok(Arguments::Help), "{arguments:?}");
        }
    }

    #[test]
    fn a_mistake_is_named_and_the_usage_shown() {
        for (arguments, named) in [
            (&["--verbose"][..], "\"--verbose\" is no argument"),
            (&["http://localhost:3000"], "is no argument"),
            (&["--help=1"], "is no argument"),
            (&["--port"], "--port needs a number"),
            (&["--port", "65532"], "not \"65532\""),
            (&["--port", "http"], "not \"http\""),
            (&["--token", "none"], "give --upstream too"),
            (&["--upstream", "http://localhost:3000", "--token"], "--token takes bearer or none, not \"\""),
            (&["--upstream", "http://localhost:3000", "--token=basic"], "--token takes bearer or none"),
            (&["--port", "1", "2"], "\"2\" is no argument"),
            (&["--upstream"], "--upstream needs the URL"),
            (&["--upstream="], "absolute http or https URL"),
            (&["--upstream", "localhost:3000"], "absolute http or https URL"),
            (&["--upstream", "3000"], "absolute http or https URL"),
            (&["--upstream", "ws://localhost:3000"], "absolute http or https URL"),
            (&["--upstream", "http://localhost:3000/?a=1"], "no user, password, query or fragment"),
            (&["--upstream", "http://me:secret@localhost:3000"], "no user, password, query or fragment"),
        ] {
            let mistake = read(arguments).unwrap_err();

            assert!(mistake.contains(named) && mistake.ends_with(USAGE), "{arguments:?}: {mistake}");
        }
    }
}
