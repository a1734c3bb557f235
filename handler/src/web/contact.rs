//! Contact on our pages: the people who help where a page cannot.

use std::str::FromStr;

use url::Url;

use super::escape;
use super::plain_text::is_plain;

/// Contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// URL of a link: `mailto:`, `https:` or `tel:`.
    href: Option<String>,
    text: String,
}

/// Text that is no contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a mailto:, https: or tel: URL, and not a plain text")]
pub struct ContactError;

/// Maximum length in characters.
const MAX_CONTACT: usize = 120;

impl Contact {
    /// As HTML.
    #[must_use]
    pub fn html(&self) -> String {
        let text = escape(&self.text);
        match &self.href {
            Some(href) => format!("<a href=\"{}\">{text}</a>", escape(href)),
            None => text,
        }
    }
}

impl FromStr for Contact {
    type Err = ContactError;

    fn from_str(text: &str) -> Result<Self, ContactError> {
        if !is_plain(text, MAX_CONTACT) {
            return Err(ContactError);
        }
        let linked = |shown: &str| Self { href: Some(text.to_owned()), text: shown.to_owned() };
        match text.split_once(':') {
            Some(("mailto", address)) if is_address(address) => Ok(linked(address)),
            Some(("tel", number)) if is_number(number) => Ok(linked(number)),
            Some(("https", rest)) if is_page(text) => Ok(linked(rest.trim_start_matches('/').trim_end_matches('/'))),
            // RFC 3986 3.1: "Call: 1234" is a text, "javascript:x" and "http://x" are URLs.
            Some((scheme, rest)) if is_scheme(scheme) && !rest.starts_with(' ') => Err(ContactError),
            _ => Ok(Self { href: None, text: text.to_owned() }),
        }
    }
}

/// One mailbox of ordinary characters, without header fields (RFC 6068 2).
fn is_address(address: &str) -> bool {
    let is_name = |name: &str, more: &[u8]| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    address.split_once('@').is_some_and(|(name, domain)| is_name(name, b"._+-") && is_name(domain, b".-"))
}

/// A global number with visual separators (RFC 3966 3).
fn is_number(number: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_digit() || b"-.()".contains(&byte);
    number
        .strip_prefix('+')
        .is_some_and(|rest| rest.bytes().all(is_allowed) && rest.bytes().filter(u8::is_ascii_digit).count() >= 3)
}

/// An `https` URL without a user, of characters that need no encoding.
fn is_page(text: &str) -> bool {
    let is_url = text.starts_with("https://") && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let url = Url::parse(text).ok().filter(|_| is_url);
    url.is_some_and(|url| url.username().is_empty() && url.password().is_none() && url.host().is_some())
}

fn is_scheme(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_a_link_or_a_text() {
        for (text, expected) in [
            (
                "mailto:it.help+app@contoso.com",
                "<a href=\"mailto:it.help+app@contoso.com\">it.help+app@contoso.com</a>",
            ),
            ("tel:+49-30-1234(5)", "<a href=\"tel:+49-30-1234(5)\">+49-30-1234(5)</a>"),
            ("https://help.contoso.com/", "<a href=\"https://help.contoso.com/\">help.contoso.com</a>"),
            (
                "https://contoso.com/a?b=1&c='",
                "<a href=\"https://contoso.com/a?b=1&amp;c=&#39;\">contoso.com/a?b=1&amp;c=&#39;</a>",
            ),
            ("Service desk: 4711", "Service desk: 4711"),
            ("Help desk, room 2", "Help desk, room 2"),
            ("Ärger? Zimmer <2> & \"3\"", "Ärger? Zimmer &lt;2&gt; &amp; &quot;3&quot;"),
            ("ヘルプデスク：内線 4711", "ヘルプデスク：内線 4711"),
        ] {
            assert_eq!(text.parse::<Contact>().unwrap().html(), expected);
        }
    }

    #[test]
    fn another_url_is_no_contact() {
        let long = "x".repeat(121);
        for (text, reason) in [
            ("", "nothing"),
            ("javascript:alert(1)", "a script"),
            ("JavaScript:alert(1)", "a script in capitals"),
            ("data:text/html,x", "a document"),
            ("http://help.contoso.com", "no TLS"),
            ("HTTPS://help.contoso.com", "a scheme in capitals"),
            ("https:help.contoso.com", "no slashes"),
            ("https://", "no host"),
            ("https://ada:secret@contoso.com/", "a user"),
            ("https://contoso.com\\@evil.example/", "a backslash"),
            ("https://contoso.com/a b", "a blank"),
            ("mailto:it@contoso.com?bcc=eve@evil.example", "a header field"),
            ("mailto:it@contoso.com,eve@evil.example", "two mailboxes"),
            ("mailto:contoso.com", "no mailbox"),
            ("mailto:\"><script>@x", "markup"),
            ("mailto:", "an empty mailbox"),
            ("tel:4711", "a number that only works in the house"),
            ("tel:+", "no digits"),
            ("tel:+49;ext=1", "a parameter"),
            ("a\nb", "two lines"),
            ("a\u{202e}b", "an override of the direction"),
            ("a\u{200b}b", "a blank that nobody sees"),
            (&long, "too long"),
        ] {
            assert_eq!(text.parse::<Contact>(), Err(ContactError), "{reason}");
        }
    }
}
