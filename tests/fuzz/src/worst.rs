//! The worst input that is known for each parser that a stranger reaches, of any size: each costs what its size costs.

use crate::targets;

/// An input that was, or could be, more expensive than its size.
pub struct Worst {
    /// Name of the input.
    pub name: &'static str,
    /// One of so many bytes.
    pub input: fn(usize) -> Vec<u8>,
    /// The parser.
    pub run: fn(&[u8]),
}

/// Every one.
pub const WORST: &[Worst] = &[
    Worst { name: "target/nested", input: |size| repeated("/%", "25", "41", size), run: targets::target_only },
    Worst { name: "target/escapes", input: |size| repeated("/", "%2525", "", size), run: targets::target_only },
    Worst { name: "target/segments", input: |size| repeated("/", "a/", "", size), run: targets::target_only },
    Worst { name: "target/parameters", input: |size| repeated("/a", ";", "", size), run: targets::target_only },
    Worst {
        name: "target/full_width",
        input: |size| repeated("/", "%EF%BC%85", "2e", size),
        run: targets::target_only,
    },
    Worst { name: "target/overlong", input: |size| repeated("/", "%C0%A5C0", "", size), run: targets::target_only },
    Worst { name: "route/nested", input: |size| repeated("/%", "25", "61dmin", size), run: targets::route_only },
    Worst { name: "route/slashes", input: |size| repeated("/", "/", "x", size), run: targets::route_only },
    Worst { name: "route/cookieless", input: |size| repeated("/", "(a)/", "", size), run: targets::route_only },
    Worst { name: "route/invisible", input: |size| repeated("/", "%E2%80%8B", "", size), run: targets::route_only },
    Worst { name: "route/accents", input: |size| repeated("/", "%C3%A1", "", size), run: targets::route_only },
    Worst { name: "cookie/pairs", input: |size| repeated("", "a;", "", size), run: targets::cookie_only },
    Worst {
        name: "cookie/names",
        input: |size| repeated("", "__Host-oauth-proxy-sessio=;", "", size),
        run: targets::cookie_only,
    },
    Worst {
        name: "cookie/ours",
        input: |size| repeated("", "__Host-oauth-proxy-session;", "", size),
        run: targets::cookie_only,
    },
    Worst { name: "cookie/nested", input: |size| repeated("%", "25", "41=1", size), run: targets::cookie_only },
    Worst {
        name: "cookie/escapes",
        input: |size| repeated("", "%5f%255fHost-aaaaaaaaaaaaaaa;", "", size),
        run: targets::cookie_only,
    },
    Worst {
        name: "headers/close",
        input: |size| repeated("connection: ", "close,", "", size),
        run: targets::headers_only,
    },
    Worst {
        name: "headers/options",
        input: |size| repeated("connection: ", "ab,", "", size),
        run: targets::headers_only,
    },
    Worst {
        name: "headers/many",
        input: |size| repeated("", "x-aa-bb-cc-dd-ee-ff: v\n", "", size),
        run: targets::headers_only,
    },
    Worst { name: "headers/words", input: |size| repeated("x", "-a", ": v", size), run: targets::headers_only },
    Worst { name: "return_url/nested", input: |size| repeated("/%", "25", "41", size), run: targets::return_url },
    Worst {
        name: "response/parameters",
        input: |size| repeated("code=1&state=2", "&amp;a=1", "", size),
        run: targets::authorization_response,
    },
    Worst {
        name: "response/escapes",
        input: |size| repeated("code=", "%25", "&state=1", size),
        run: targets::authorization_response,
    },
    Worst {
        name: "jwt/payload",
        input: |size| repeated("eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIn0.", "e30", ".AAAA", size),
        run: targets::jwt_once,
    },
    Worst { name: "jwt/dots", input: |size| repeated("", ".", "", size), run: targets::jwt_once },
    Worst { name: "language/ranges", input: |size| repeated("", "de,", "", size), run: targets::language },
    Worst { name: "language/subtags", input: |size| repeated("de", "-abcdefgh", "", size), run: targets::language },
    Worst { name: "language/weights", input: |size| repeated("de", ";q=0.5", "", size), run: targets::language },
    Worst { name: "sealed_cookie/long", input: |size| repeated("1.k1.", "A", "", size), run: targets::sealed_cookie },
];

/// As many whole parts as fit.
fn repeated(start: &str, part: &str, end: &str, size: usize) -> Vec<u8> {
    let times = size.saturating_sub(start.len() + end.len()) / part.len();
    [start, &part.repeat(times), end].concat().into_bytes()
}
