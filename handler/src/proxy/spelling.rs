//! Alternative spellings of a path that a lenient Upstream could read as a protected route.
//!
//! Used only above a route with a stricter rule. In doubt that rule is met: a false match costs a sign-in, a miss would
//! bypass it.

use super::punctuation::folded;
use super::target::TargetError;
use crate::percent::decode_fully;

/// Maximum segments of a path that a reader may drop (see [`is_droppable`]); a path with more of them is refused.
const MAX_DROPPED: usize = 4;

/// The readings of a path: as it is decoded, and with its punctuation folded to ASCII.
pub(super) struct LooseReading {
    plain: Names,
    folded: Option<Names>,
}

/// Names of a path's first segments, fully decoded, without parameters, surrounding blanks, trailing dots and empty
/// segments.
struct Names {
    names: Vec<String>,
    /// The path begins with two separators. RFC 3986 3.2: a reader of URLs takes the first name for a server.
    is_network_path: bool,
}

impl LooseReading {
    /// Parses a path for the comparison with routes of at most `depth` segments.
    ///
    /// # Errors
    /// If the path has no single reading: octets that are not UTF-8 (RFC 3629 3: overlong forms among them), `%uXXXX`,
    /// or a name around a cookieless session.
    pub(super) fn of(path: &str, depth: usize) -> Result<Self, TargetError> {
        let decoded = decode_fully(path.as_bytes());
        let decoded = std::str::from_utf8(&decoded).map_err(|_| TargetError::Ambiguous)?;
        if decoded.match_indices('%').any(|(at, _)| is_unicode_escape(&decoded.as_bytes()[at..])) {
            return Err(TargetError::Ambiguous);
        }
        if decoded.split(is_separator).any(is_split_name) {
            return Err(TargetError::Ambiguous);
        }
        let folded = folded(decoded.as_bytes());
        let folded = folded.as_deref().and_then(|folded| std::str::from_utf8(folded).ok());
        Ok(Self { plain: Names::of(decoded, depth), folded: folded.map(|folded| Names::of(folded, depth)) })
    }

    /// True if a reader could match the route with these segments at the start of the path.
    ///
    /// # Errors
    /// If more segments are droppable than any link has.
    pub(super) fn may_start_with(&self, route: &[String]) -> Result<bool, TargetError> {
        self.any(|names| Ok(names.matched(route)?.covers_route))
    }

    /// True if a reader could take the path for a collection that holds the route with these segments.
    ///
    /// # Errors
    /// If more segments are droppable than any link has.
    pub(super) fn may_hold(&self, route: &[String]) -> Result<bool, TargetError> {
        self.any(|names| Ok(names.matched(route)?.ends_within_route))
    }

    fn any(&self, holds: impl Fn(&Names) -> Result<bool, TargetError>) -> Result<bool, TargetError> {
        let folded = self.folded.as_ref().map_or(Ok(false), &holds)?;
        Ok(holds(&self.plain)? || folded)
    }
}

/// Progress of matching a path against a route.
struct Matched {
    covers_route: bool,
    ends_within_route: bool,
}

impl Names {
    fn of(decoded: &str, depth: usize) -> Self {
        let names = decoded.split(is_separator).filter_map(|segment| {
            let name = segment.split(';').next().unwrap_or_default();
            let name = name.trim_start_matches(' ').trim_end_matches(['.', ' ']);
            (!name.is_empty()).then(|| name.to_owned())
        });
        Self {
            names: names.take(depth + MAX_DROPPED + 1).collect(),
            is_network_path: decoded.starts_with(is_separator)
                && decoded.get(1..).is_some_and(|rest| rest.starts_with(is_separator)),
        }
    }

    fn matched(&self, route: &[String]) -> Result<Matched, TargetError> {
        let mut matched = vec![false; route.len() + 1]; // by how many of the route's segments can be matched so far
        matched[0] = true;
        let mut dropped = 0;
        for (place, name) in self.names.iter().enumerate() {
            if matched[route.len()] {
                return Ok(Matched { covers_route: true, ends_within_route: false });
            }
            let is_droppable = is_droppable(name) || self.is_network_path && place == 0;
            dropped += usize::from(is_droppable);
            for at in (0..=route.len()).rev() {
                let follows = at > 0 && matched[at - 1] && may_be_read_as(name, &route[at - 1]);
                matched[at] = follows || is_droppable && matched[at];
            }
            if !matched.contains(&true) {
                return Ok(Matched { covers_route: false, ends_within_route: false });
            }
            if dropped > MAX_DROPPED {
                return Err(TargetError::Ambiguous);
            }
        }
        Ok(Matched { covers_route: matched[route.len()], ends_within_route: matched[..route.len()].contains(&true) })
    }
}

fn is_separator(character: char) -> bool {
    matches!(character, '/' | '\\' | '?' | '#')
}

/// True for a name behind a cookieless session in the same segment: ASP.NET joined `/ad/(S(x))min` to `/admin`
/// (CVE-2023-36899).
fn is_split_name(segment: &str) -> bool {
    segment.starts_with('(') && segment.rsplit_once("))").is_some_and(|(_, rest)| !rest.is_empty())
}

/// True for a segment that frameworks remove from the path, or run with the rest as its argument: a cookieless session
/// (`(S(x))`, ASP.NET) and a script (`index.php/admin`, RFC 3875 4.1.5).
pub(super) fn is_droppable(name: &str) -> bool {
    let is_cookieless = name.starts_with('(') && name.ends_with(')');
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    is_cookieless || extension.is_some_and(|given| SCRIPTS.iter().any(|script| given.eq_ignore_ascii_case(script)))
}

const SCRIPTS: [&str; 24] = [
    "php", "php3", "php4", "php5", "php7", "phtml", "phar", "cgi", "fcgi", "pl", "py", "rb", "sh", "asp", "aspx",
    "ashx", "asmx", "axd", "svc", "jsp", "jspx", "do", "cfm", "dll",
];

/// True if a server could serve `protected` (plain ASCII) for a segment with this name.
fn may_be_read_as(name: &str, protected: &str) -> bool {
    is_followed_by_tail(name, protected) || is_short_name(name, protected) || may_fold_to(name, protected)
}

/// True for the name itself, in any case, followed by bytes that servers cut off: an extension (`.json`), a stream
/// (`::$DATA`), parameters (`,v=1`), or bytes that file systems drop.
fn is_followed_by_tail(name: &str, protected: &str) -> bool {
    match name.as_bytes().split_at_checked(protected.len()) {
        Some((start, tail)) => {
            start.eq_ignore_ascii_case(protected.as_bytes()) && tail.first().is_none_or(|byte| is_tail(*byte))
        }
        None => false,
    }
}

fn is_tail(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_')
}

/// True for a DOS name that NTFS generates for a long one: `ADMINI~1`, or `AD1F2C~1` if several begin alike.
fn is_short_name(name: &str, protected: &str) -> bool {
    let Some((stem, number)) = name.split_once('~') else { return false };
    if stem.is_empty() || stem.len() > 6 || !number.starts_with(|digit: char| digit.is_ascii_digit()) {
        return false;
    }
    let starts_with = |start: &str| {
        protected.as_bytes().get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start.as_bytes()))
    };
    let has_hash =
        stem.is_char_boundary(2) && stem.len() == 6 && stem[2..].bytes().all(|byte| byte.is_ascii_hexdigit());
    starts_with(stem) || has_hash && starts_with(&stem[..2])
}

/// True if a name beyond ASCII could become `protected` by folding: case, compatibility (UAX 15), "best fit" code pages,
/// dropped marks and invisible characters. Each such character stands for a few unknown letters, or none.
fn may_fold_to(name: &str, protected: &str) -> bool {
    if name.is_ascii() {
        return false;
    }
    let length = protected.len();
    if length >= 128 {
        return true; // no real route; longer than the set of positions below
    }
    let mut reached = 1_u128; // bit n: the first n letters are matched
    for (count, character) in name.chars().enumerate() {
        let next = letters(character);
        let is_end = match next {
            Letters::Itself(letter) => is_tail(letter),
            Letters::Upto(_) => true, // a full stop in full width, say
            Letters::None => false,
        };
        if is_end && reached >> length & 1 == 1 {
            return true;
        }
        if count > length * 4 + 64 {
            return true; // only invisible characters lead that far
        }
        reached = match next {
            Letters::Itself(letter) => step(reached, |own| own.eq_ignore_ascii_case(&letter), protected),
            Letters::Upto(most) => (0..=most).fold(0, |reached_by, count| reached_by | reached << count),
            Letters::None => 0,
        };
        if reached & mask(length) == 0 {
            return false;
        }
    }
    reached >> length & 1 == 1
}

fn step(reached: u128, is_next: impl Fn(u8) -> bool, protected: &str) -> u128 {
    let letters = protected.bytes().enumerate();
    letters.filter(|(at, own)| reached >> at & 1 == 1 && is_next(*own)).fold(0, |next, (at, _)| next | 2_u128 << at)
}

fn mask(length: usize) -> u128 {
    u128::MAX >> (127 - length)
}

/// ASCII letters that a character may become.
enum Letters {
    Itself(u8),
    Upto(u32),
    None,
}

/// Letters by Unicode block, independent of a Unicode version: Latin, Greek and their relatives, punctuation,
/// letterlike and enclosed forms, ligatures, full width, mathematical letters. Other scripts never become ASCII
/// letters.
fn letters(character: char) -> Letters {
    match character {
        '\0'..='\u{7f}' => Letters::Itself(character as u8),
        'ß' | 'æ' | 'Æ' | 'œ' | 'Œ' | 'ĳ' | 'Ĳ' | 'ŀ' | 'Ŀ' | 'ŉ' | 'Ǆ'..='ǌ' | 'Ǳ'..='ǳ' | 'þ' | 'Þ' => {
            Letters::Upto(4)
        }
        '\u{80}'..='\u{52f}' | '\u{1d00}'..='\u{20a7}' | '\u{20a9}'..='\u{20ff}' | '\u{2180}'..='\u{245f}' => {
            Letters::Upto(1)
        }
        '\u{20a8}' | '\u{2100}'..='\u{217f}' | '\u{2460}'..='\u{24ff}' | '\u{3200}'..='\u{33ff}' => Letters::Upto(4),
        '\u{180b}'..='\u{180f}' | '\u{2500}'..='\u{2bff}' | '\u{2c60}'..='\u{2c7f}' => Letters::Upto(1),
        '\u{a720}'..='\u{a7ff}' | '\u{ab30}'..='\u{ab6f}' | '\u{fe00}'..='\u{fe6f}' | '\u{feff}' => Letters::Upto(1),
        '\u{fb00}'..='\u{fb06}' | '\u{1f100}'..='\u{1f1ff}' => Letters::Upto(4),
        '\u{ff00}'..='\u{fff8}' | '\u{10780}'..='\u{107bf}' | '\u{1d400}'..='\u{1d7ff}' | '\u{1df00}'..='\u{1dfff}' => {
            Letters::Upto(1)
        }
        '\u{3000}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{1bca0}'..='\u{1bca3}' => {
            Letters::Upto(1)
        }
        '\u{e000}'..='\u{f8ff}' | '\u{fffd}' | '\u{e0000}'.. => Letters::Upto(1), // private, lost, and invisible ones
        _ => Letters::None,
    }
}

/// True for `%u` and four hexadecimal digits: no escape of RFC 3986, but one of IIS.
fn is_unicode_escape(text: &[u8]) -> bool {
    match text {
        [b'%', b'u' | b'U', digits @ ..] => {
            digits.get(..4).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads_to(route: &str, path: &str) -> Result<bool, TargetError> {
        let route: Vec<String> = route.split('/').skip(1).map(str::to_owned).collect();
        LooseReading::of(path, route.len())?.may_start_with(&route)
    }

    #[test]
    fn what_a_forgiving_server_reads_as_the_route_leads_there() {
        for (path, reader) in [
            ("/administration", "the name itself"),
            ("/ADMINistration/users", "case-insensitive file systems, IIS"),
            ("/%61dministration", "a server that decodes first"),
            ("/%252561dministration", "a chain of them"),
            ("//administration", "squeezed slashes"),
            ("//x/administration", "a reader of URLs, which takes x for a server (RFC 3986 3.2)"),
            ("///x/administration", "the same of WHATWG URL"),
            ("//user@x:80/administration/users", "with a user and a port"),
            ("/%2fx/administration", "a decoded slash in front of it"),
            ("/%5cx/administration", "a decoded backslash"),
            ("//x/index.php/administration", "and a script"),
            ("/%2fadministration", "a decoded slash"),
            ("/%5cadministration", "Windows separators"),
            ("/administration;v=1/users", "matrix parameters (RFC 3986 3.3), Tomcat"),
            ("/;v=1/administration", "parameters of an empty segment"),
            ("/administration,v=1", "comma parameters (RFC 3986 3.3)"),
            ("/(S(lit3py55t21z5v55vlm25s55))/administration", "cookieless sessions of ASP.NET"),
            ("/(A(x)F(y))/(S(z))/administration/users", "two of them"),
            ("/administration.json", "suffix pattern matching of Spring, formats of Rails"),
            ("/administration.aspx/users", "an extension that is added"),
            ("/administration.", "dots at the end, Windows"),
            ("/administration%20", "blanks at the end, Windows"),
            ("/administration%20.%20", "both"),
            ("/%20administration", "blanks in front"),
            ("/administration::$DATA", "streams of NTFS"),
            ("/administration:$I30:$INDEX_ALLOCATION/x", "directories as streams"),
            ("/ADMINI~1", "DOS names"),
            ("/admini~2.htm", "with an extension"),
            ("/AD1F2C~1", "DOS names with a hash"),
            ("/administration~", "backup suffixes"),
            ("/administration%3c", "wildcards of Windows"),
            ("/administration%22", "quotes that a shell drops"),
            ("/administration%3fx", "a decoded question mark"),
            ("/administration%23x", "a decoded fragment"),
            ("/index.php/administration", "PATH_INFO (RFC 3875 4.1.5)"),
            ("/cgi.CGI/administration", "in any case"),
            ("/%C3%A0dministration", "accents dropped (best fit)"),
            ("/a%CC%80dministration", "combining marks"),
            ("/%EF%BD%81dministration", "full width (NFKC)"),
            ("/%F0%9D%90%9Administration", "mathematical letters (NFKC)"),
            ("/admini%C5%BFtration", "the long s (case folding)"),
            ("/admin%C4%B1stration", "the dotless i (Turkish case)"),
            ("/admin%E2%80%8Bistration", "invisible characters"),
            ("/administration%C2%A0", "a no-break space at the end"),
            ("/adm%E2%85%B0nistration", "roman numerals (NFKC)"),
            ("/%E2%93%90dministration", "letters in circles (NFKC)"),
            ("/administration%EF%BC%8Ejson", "a full-width dot, then an extension"),
            ("/administr%CE%B1tion", "Greek letters (best fit)"),
        ] {
            assert_eq!(leads_to("/administration", path), Ok(true), "{path}: {reader}");
        }
        assert_eq!(leads_to("/office", "/o%EF%AC%83ce"), Ok(true), "ligatures");
        assert_eq!(leads_to("/strasse", "/stra%C3%9Fe"), Ok(true), "case folding to two letters");
        assert_eq!(leads_to("/api/admin", "/api.php/API/%EF%BD%81dmin.json"), Ok(true), "several at once");
        assert_eq!(leads_to("/a.b", "/a.b;x"), Ok(true), "a route with a dot");
        assert_eq!(leads_to("/index.php", "/index.php/x"), Ok(true), "a route that is a script");
        assert_eq!(leads_to("/api/admin", "/api%EF%BC%8Fadmin"), Ok(true), "a slash in full width");
        assert_eq!(leads_to("/api/admin", "/api%C2%A5admin/x"), Ok(true), "a yen sign, a backslash to Windows");
        assert_eq!(leads_to("/api/admin", "/ap%E2%88%95i/admin"), Ok(true), "a slash that is dropped");
    }

    #[test]
    fn other_paths_stay_where_they_are() {
        for path in [
            "/",
            "/administrations",
            "/administration-guide",
            "/administration_guide",
            "/my/administration",
            "/a;v=1/administration",
            "/x//administration",
            "//x/y/administration",
            "/v1.2/administration",
            "/admin",
            "/about~1",
            "/AD1F2G~1",
            "/%E7%AE%A1%E7%90%86",
            "/%D9%85%D8%AF%D9%8A%D8%B1",
            "/caf%C3%A9",
            "/%C3%BCber/administration",
            "/100%25",
            "/a%2525zz",
        ] {
            assert_eq!(leads_to("/administration", path), Ok(false), "{path}");
        }
        assert_eq!(leads_to("/api/admin", "/api/public/admin"), Ok(false));
        assert_eq!(leads_to("/api/admin", "/api"), Ok(false));
    }

    #[test]
    fn a_path_without_one_reading_is_refused() {
        for (path, reason) in [
            ("/%C1%A1dministration", "an overlong form of two octets"),
            ("/%E0%81%A1dministration", "an overlong form of three octets"),
            ("/%C0%AFadministration", "an overlong slash"),
            ("/caf%E9", "Latin-1"),
            ("/x/%ED%A0%80", "a surrogate"),
            ("/x%FF", "no UTF-8 at all"),
            ("/%25u0061dministration", "an escape of IIS"),
            ("/x%25U0061", "anywhere, in any case"),
            ("/(a)/(b)/(c)/(d)/(e)/administration", "more droppable segments than any link has"),
            ("/(S(x))/administ/(S(x))ration", "a name around a cookieless session"),
        ] {
            assert_eq!(leads_to("/administration", path), Err(TargetError::Ambiguous), "{path}: {reason}");
        }
    }

    #[test]
    fn a_collection_holds_the_routes_below_it_in_every_spelling() {
        for (path, expected) in [
            ("/", true),
            ("/api", true),
            ("/API/", true),
            ("/%61pi;x", true),
            ("//x/api", true),
            ("/index.php/api", true),
            ("/api/admin", false),
            ("/api/admin/x", false),
            ("/api/public", false),
            ("/other", false),
        ] {
            let reading = LooseReading::of(path, 2).unwrap();

            assert_eq!(reading.may_hold(&["api".to_owned(), "admin".to_owned()]), Ok(expected), "{path}");
        }
    }

    #[test]
    fn many_invisible_characters_are_no_way_around_a_route() {
        let invisible = "%E2%80%8B".repeat(500);

        assert_eq!(leads_to("/admin", &format!("/{invisible}admin")), Ok(true));
    }
}
