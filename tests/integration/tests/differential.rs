//! Two thousand odd requests, by seed: what the Upstream receives is what a relay of bytes would send, minus and plus the
//! headers that the documents name, or the request is refused and the Upstream receives nothing.
//!
//! Straight, and through the Functions host where there is one; the host decodes paths and has headers of its own, so
//! there the path is plain and its own headers are left out of the comparison.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use support::{Handler, LIMIT, read_response};

/// A request on the wire of the Upstream, or as it should be there.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    method: String,
    target: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// Header names, and true if one of a client's passes on.
const NAMES: &[(&str, bool)] = &[
    ("Accept", true),
    ("accept-LANGUAGE", true),
    ("Content-Type", true),
    ("Range", true),
    ("If-None-Match", true),
    ("X-Requested-With", true),
    ("X-CSRF-Token", true),
    ("X-Odd-1", true),
    ("x-odd-2", true),
    ("Depth", true),
    ("Cookie", true),
    ("X_Under_Score", false),
    ("X.Dot", false),
    ("X-Forwarded-For", false),
    ("Forwarded", false),
    ("X-User-Roles", false),
    ("IV-User", false),
    ("Remote-User", false),
    ("X-HTTP-Method-Override", false),
    ("X-Gateway-Token", false),
    ("Authorization", false),
    ("TE", false),
    ("Trailer", false),
    ("Keep-Alive", false),
    ("Proxy-Connection", false),
    ("Proxy-Authorization", false),
];

const VALUES: &[&[u8]] = &[
    b"",
    b"1",
    b"a, b,,c",
    b"  padded \t",
    b"a\tb",
    b"\"q;=,\"",
    b"%0d%0a",
    b"a=1; b=\"x; c\"",
    b"*/*;q=0.1",
    b"\xc3\xbc",
    b"caf\xe9",
];

const PLAIN_PATHS: &[&str] = &["/", "/a", "/a/b.c", "/a-b_c/", "/x1"];

const ODD_PATHS: &[&str] = &[
    "//a//",
    "/a;v=1/b",
    "/a%2Fb",
    "/%7euser",
    "/100%25",
    "/%e2%82%ac",
    "/D%5Cu",
    "/a,b:c@d!$&'()*+=",
    "/a/../b",
    "/%2e%2e",
    "/a%zz",
    "/a%00",
    "/%252e%252e/x",
    "/(S(x))/",
    "/a.b/c~1",
    "/a\\b",
    "/.well-known/x",
];

const QUERIES: &[&str] = &["", "?", "?a=1&a=2", "?q=%2F%2f+%20", "?u=https://x/?y", "?a[]=1", "?&&=", "?../x"];

const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "BREW", "TRACE"];

/// SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// A request as its client writes it, and as a relay of bytes would pass it on.
fn request(numbers: &mut Numbers, is_through_host: bool) -> (Vec<u8>, Message) {
    let (methods, values) = if is_through_host { (5, 9) } else { (METHODS.len(), VALUES.len()) };
    let method = numbers.of(&METHODS[..methods]);
    let path = if is_through_host || numbers.below(2) == 0 { numbers.of(PLAIN_PATHS) } else { numbers.of(ODD_PATHS) };
    // The host drops a question mark with nothing behind it.
    let query = if is_through_host { numbers.of(&QUERIES[2..5]) } else { numbers.of(QUERIES) };
    let target = format!("{path}{query}").into_bytes();
    let mut wire = format!("{method} {}{query} HTTP/1.1\r\nhost: h\r\n", path).into_bytes();
    let mut headers = Vec::new();
    let hop = ["x-odd-1", "x-odd-2", "depth"][numbers.below(3)];
    // The host drops `Connection`, and not what it names.
    let names_hop = numbers.below(4) == 0 && !is_through_host;
    wire.extend_from_slice(
        if names_hop { format!("Connection: close, {hop}\r\n") } else { "connection: close\r\n".into() }.as_bytes(),
    );
    for _ in 0..numbers.below(10) {
        let ((name, passes), value) = (numbers.of(NAMES), numbers.of(&VALUES[..values]));
        wire.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        let lower = name.to_ascii_lowercase();
        if passes && !(names_hop && lower == hop) {
            headers.push((lower, value.trim_ascii().to_vec()));
        }
    }
    let body: Vec<u8> = (0..numbers.below(2_000)).map(|_| numbers.below(256).to_le_bytes()[0]).collect();
    let has_body = numbers.below(2) == 0 && !matches!(method, "GET" | "TRACE");
    let body = if has_body { body } else { Vec::new() };
    match numbers.below(3) {
        _ if !has_body => wire.extend_from_slice(b"\r\n"),
        0 => {
            headers.push(("transfer-encoding".to_owned(), b"chunked".to_vec()));
            wire.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in body.chunks(1 + numbers.below(700)) {
                wire.extend_from_slice(format!("{:x};odd=\"1\"\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(&[chunk, b"\r\n"].concat());
            }
            wire.extend_from_slice(b"0\r\n\r\n");
        }
        zeros => {
            headers.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
            wire.extend_from_slice(
                format!("Content-Length: {}{}\r\n\r\n", "0".repeat(zeros - 1), body.len()).as_bytes(),
            );
            wire.extend_from_slice(&body);
        }
    }
    headers.sort_by(|one, other| one.0.cmp(&other.0)); // stable: the values of one name stay in order
    (wire, Message { method: method.to_owned(), target, headers, body })
}

/// An Upstream that sends every request that it receives, byte for byte.
fn upstream() -> (String, Receiver<Message>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (send, received) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let send = send.clone();
            std::thread::spawn(move || {
                let (mut reader, mut stream) = (BufReader::new(stream.try_clone().unwrap()), stream);
                while let Some(message) = read_message(&mut reader) {
                    send.send(message).unwrap();
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                }
            });
        }
    });
    (url, received)
}

fn read_message(reader: &mut impl BufRead) -> Option<Message> {
    let line = read_line(reader)?;
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let method = String::from_utf8(words.next()?.to_vec()).unwrap();
    let target = words.next()?.to_vec();
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        let Some(at) = line.iter().position(|byte| *byte == b':') else { break };
        headers
            .push((String::from_utf8(line[..at].to_ascii_lowercase()).unwrap(), line[at + 1..].trim_ascii().to_vec()));
    }
    let value = |name: &str| headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone());
    let mut body = Vec::new();
    if let Some(length) = value("content-length") {
        let length = String::from_utf8(length).unwrap().parse().unwrap();
        reader.take(length).read_to_end(&mut body).unwrap();
    } else if value("transfer-encoding").is_some() {
        loop {
            let size = u64::from_str_radix(std::str::from_utf8(&read_line(reader)?).unwrap(), 16).unwrap();
            reader.by_ref().take(size).read_to_end(&mut body).unwrap();
            read_line(reader)?;
            if size == 0 {
                break;
            }
        }
    }
    headers.sort_by(|one, other| one.0.cmp(&other.0));
    Some(Message { method, target, headers, body })
}

fn read_line(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok().filter(|read| *read > 0)?;
    line.truncate(line.strip_suffix(b"\r\n")?.len());
    Some(line)
}

/// Refused by us or by the HTTP library, and nothing else.
const REFUSED: [u16; 1] = [400];

fn compare(seed: u64, count: usize, is_through_host: bool, start: impl FnOnce(&[(&str, &str)]) -> Handler) {
    let (url, received) = upstream();
    let routes = format!(r#"[{{"path":"/","upstream":"{url}","access":"anonymous"}}]"#);
    let settings =
        [("OIDC_ISSUER_URL", "http://127.0.0.1:9"), ("CLIENT_ID", "client"), ("ROUTES", &routes), ("LOG", "warn")];
    let handler = start(&settings);
    let mut numbers = Numbers(seed);
    let (mut passed, mut refused) = (0, 0);
    for number in 0..count {
        let (wire, mut expected) = request(&mut numbers, is_through_host);
        let shown = String::from_utf8_lossy(&wire[..wire.len().min(600)]).into_owned();
        let mut stream = TcpStream::connect(handler.origin.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(&wire).unwrap();
        let status = read_response(&stream, &expected.method).map(|response| response.status).unwrap_or_default();
        if REFUSED.contains(&status) {
            refused += 1;
            assert!(received.try_recv().is_err(), "{number}: refused and forwarded: {shown}");
            continue;
        }
        assert_eq!(status, 200, "{number}: {shown}");
        let mut seen = received.try_recv().unwrap();
        assert!(received.try_recv().is_err(), "{number}: forwarded twice: {shown}");
        for message in [&mut seen, &mut expected] {
            message.headers.retain(|(name, _)| !is_ours(name, is_through_host));
            if is_through_host {
                message.headers = joined(&message.headers);
            }
        }
        assert_eq!(seen, expected, "{number}: {shown}");
        passed += 1;
    }
    let expects_refusals = !is_through_host;
    assert!(passed > count / 3 && (refused > count / 20) == expects_refusals, "{passed} passed, {refused} refused");
}

/// RFC 9110 5.3: the values of one name as a list, as the host writes them; those of `Cookie` by RFC 6265 4.2.1.
fn joined(headers: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let of_one_name = headers.chunk_by(|one, other| one.0 == other.0);
    let join = |values: &[(String, Vec<u8>)]| {
        let separator: &[u8] = if values[0].0 == "cookie" { b"; " } else { b", " };
        let values_only: Vec<&[u8]> = values.iter().map(|(_, value)| value.as_slice()).collect();
        (values[0].0.clone(), values_only.join(separator).trim_ascii().to_vec())
    };
    of_one_name.map(join).collect()
}

/// Headers that we write, and those that the host or its framing writes.
fn is_ours(name: &str, is_through_host: bool) -> bool {
    let by_the_host = ["transfer-encoding", "content-length", "accept-encoding", "traceparent", "tracestate"];
    matches!(name, "host" | "x-forwarded-proto" | "x-forwarded-host" | "x-forwarded-port")
        || is_through_host && by_the_host.contains(&name)
}

#[test]
fn what_passes_is_what_a_relay_would_send_and_the_rest_is_refused() {
    compare(1, 2_000, false, Handler::start);
}

#[test]
fn the_same_through_the_host() {
    if support::functions_host().is_some() {
        compare(2, 2_000, true, |settings| Handler::start_behind_the_host(settings).unwrap());
    }
}
