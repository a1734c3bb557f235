//! The first thing the demo says: where to go, who to be, what to try, how to stop.

use url::Url;

use crate::application::Addresses;
use crate::arguments::Token;
use crate::provider::USERS;
use crate::terminal::{BOLD, DIM, paint, print};

/// Says it for the demo's own application.
pub(crate) fn welcome(addresses: &Addresses) {
    let Addresses { handler: url, application, .. } = addresses;
    print_welcome(
        url,
        &format!(
            "1  Sign in, and watch the access token: it lives 60 s and is refreshed while you read
          2  Show the cookie and the stored record, and open it: with both keys, then with the cookie
          3  Stop the Provider, steal the cookie, let the session end: the page tells what happens
          4  Send 10 MB through, and see that both ends computed the same hash
          5  Sign out in a second tab, then use the first: a script gets 401, never a redirect
          6  {url}/public needs no sign-in
          7  {application} is the application itself: nobody tells it who you are"
        ),
    );
}

/// Says it for an application of one's own.
pub(crate) fn welcome_with(addresses: &Addresses, upstream: &Url, token: Token) {
    let url = &addresses.handler;
    let inspector = addresses.inspector.as_deref().unwrap_or_default();
    let authorization = match token {
        Token::Bearer => "`Authorization: Bearer …`",
        Token::None => "its own `Authorization`",
    };
    print_welcome(
        url,
        &format!(
            "1  Sign in: behind it is {upstream}
          2  Your application gets {authorization}, `x-proxy-id-token-name` and `-preferred-username`
          3  {url}/oauth/me says who you are, to a script of yours as well
          4  {inspector} shows cookie and stored record, stops the Provider, ends the session
          5  {url}/oauth/signout signs you out"
        ),
    );
}

fn print_welcome(url: &str, things_to_try: &str) {
    let [ada, grace] = USERS.map(|user| format!("{} / {}", user.username, user.password));
    let head = |text: &str| paint(BOLD, &format!("{text:<6}"));
    let or = paint(DIM, "or");
    print(&format!(
        "
  {}

  {}  {}
  {}  {ada}  {or}  {grace}

  {}  {things_to_try}

  {}
",
        paint(DIM, "apim-oauth-proxy, a demo on loopback"),
        head("Open"),
        paint("1;4", url),
        head("Be"),
        head("Try"),
        paint(DIM, "Ctrl-C stops everything. What happens is told here:"),
    ));
}
