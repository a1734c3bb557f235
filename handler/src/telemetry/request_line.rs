//! Log line of a request, formatted without the tracing library: there is one for every request. It looks as that
//! machinery would have written it, which a test compares.

use std::cell::Cell;
use std::io::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use super::format::Format;
use super::line_buffers::{LineBuffers, Urgency};

/// Buffers for request lines; unset if the format or the filter needs the tracing library.
static LINES: OnceLock<(Format, Arc<LineBuffers>)> = OnceLock::new();

/// A request and its response.
#[derive(Clone, Copy, Debug)]
pub struct CompletedRequest<'a> {
    /// The method.
    pub method: &'a str,
    /// The identifier of the request.
    pub id: &'a str,
    /// The path of the route, or the name of our endpoint.
    pub route: &'a str,
    /// The status of the response.
    pub status: u16,
    /// Error code, if the request failed.
    pub code: Option<&'static str>,
    /// Time from the request's head to the response's.
    pub took: Duration,
}

/// Lets [`CompletedRequest::log`] write to `lines` directly.
pub(super) fn start(format: Format, lines: Arc<LineBuffers>) {
    let _ = LINES.set((format, lines)); // a second start changes nothing
}

impl CompletedRequest<'_> {
    /// Logs the request.
    pub fn log(&self) {
        match LINES.get() {
            Some((format, lines)) => {
                lines.append(Urgency::Gathered, |line| self.write(*format, SystemTime::now(), line))
            }
            None => self.log_by_tracing(),
        }
    }

    /// Logs through the tracing library: for a terminal with colours, or if a filter decides.
    fn log_by_tracing(&self) {
        tracing::info!(
            target: "request",
            method = %self.method,
            request.id = self.id,
            route = self.route,
            status = self.status,
            code = self.code,
            duration_ms = Milliseconds::of(self.took).as_f64(),
            "request completed"
        );
    }

    fn write(&self, format: Format, now: SystemTime, line: &mut Vec<u8>) {
        match format {
            Format::Json => self.write_json(now, line),
            Format::Text => self.write_text(now, line),
        }
    }

    fn write_json(&self, now: SystemTime, line: &mut Vec<u8>) {
        line.extend_from_slice(b"{\"timestamp\":\"");
        write_time(now, line);
        line.extend_from_slice(b"\",\"level\":\"INFO\",\"message\":\"request completed\",\"method\":");
        write_json_string(self.method, line);
        line.extend_from_slice(b",\"request.id\":");
        write_json_string(self.id, line);
        line.extend_from_slice(b",\"route\":");
        write_json_string(self.route, line);
        line.extend_from_slice(b",\"status\":");
        write_integer(self.status.into(), line);
        if let Some(code) = self.code {
            line.extend_from_slice(b",\"code\":");
            write_json_string(code, line);
        }
        line.extend_from_slice(b",\"duration_ms\":");
        Milliseconds::of(self.took).write(line);
        line.extend_from_slice(b",\"target\":\"request\"}\n");
    }

    fn write_text(&self, now: SystemTime, line: &mut Vec<u8>) {
        write_time(now, line);
        line.extend_from_slice(b"  INFO request: request completed method=");
        line.extend_from_slice(self.method.as_bytes());
        line.extend_from_slice(b" request.id=");
        write_quoted(self.id, line);
        line.extend_from_slice(b" route=");
        write_quoted(self.route, line);
        line.extend_from_slice(b" status=");
        write_integer(self.status.into(), line);
        if let Some(code) = self.code {
            line.extend_from_slice(b" code=");
            write_quoted(code, line);
        }
        line.extend_from_slice(b" duration_ms=");
        Milliseconds::of(self.took).write(line);
        line.push(b'\n');
    }
}

/// Milliseconds in whole microseconds: a decimal number that is short and exact.
#[derive(Clone, Copy)]
struct Milliseconds(u64);

impl Milliseconds {
    fn of(took: Duration) -> Self {
        Self(u64::try_from(took.as_micros()).unwrap_or(u64::MAX))
    }

    #[expect(clippy::cast_precision_loss, reason = "exact for the next 285 years")]
    fn as_f64(self) -> f64 {
        self.0 as f64 / 1_000.0
    }

    /// Writes the number like a floating-point one: at least one digit behind the point, and no trailing zeros.
    fn write(self, line: &mut Vec<u8>) {
        write_integer(self.0 / 1_000, line);
        let rest = self.0 % 1_000;
        let digits = [rest / 100, rest / 10 % 10, rest % 10].map(|digit| b'0' + digit.to_le_bytes()[0]);
        let kept = digits.iter().rposition(|digit| *digit != b'0').unwrap_or(0);
        line.push(b'.');
        line.extend_from_slice(&digits[..=kept]);
    }
}

fn write_integer(number: u64, line: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut rest = number;
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10).to_le_bytes()[0];
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    line.extend_from_slice(&digits[start..]);
}

/// Writes the time in UTC (RFC 3339 5.6), with microseconds. The date and the seconds are those of the thread's last
/// line, most often.
fn write_time(now: SystemTime, line: &mut Vec<u8>) {
    thread_local! {
        static LAST_SECOND: Cell<(u64, [u8; SECONDS.len()])> = const { Cell::new((u64::MAX, *SECONDS)) };
    }
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (mut second, mut text) = LAST_SECOND.get();
    if second != since_epoch.as_secs() {
        second = since_epoch.as_secs();
        let whole = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let _ = write!(text.as_mut_slice(), "{}", humantime::format_rfc3339_seconds(whole)); // it has room until year 9999
        LAST_SECOND.set((second, text));
    }
    let (zone, seconds) = text.split_last().expect("it has 20 bytes");
    line.extend_from_slice(seconds);
    line.push(b'.');
    let micros = since_epoch.subsec_micros();
    line.extend([100_000, 10_000, 1_000, 100, 10, 1].map(|unit| digit(micros / unit)));
    line.push(*zone);
}

const SECONDS: &[u8; 20] = b"0000-00-00T00:00:00Z";

/// The last decimal digit of a number.
fn digit(number: u32) -> u8 {
    b'0' + (number % 10).to_le_bytes()[0]
}

/// Bytes that one of the formats escapes. A table, since every byte of a request's line is looked up.
static IS_ESCAPED: [bool; 256] = {
    let mut table = [true; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        table[byte as usize] = matches!(byte, b'"' | b'\\' | b'\'');
        byte += 1;
    }
    table
};

/// Writes text that neither format escapes, in quotes. False for any other text, of which nothing is written.
fn write_plain(text: &str, line: &mut Vec<u8>) -> bool {
    if text.bytes().any(|byte| IS_ESCAPED[usize::from(byte)]) {
        return false;
    }
    line.push(b'"');
    line.extend_from_slice(text.as_bytes());
    line.push(b'"');
    true
}

fn write_json_string(text: &str, line: &mut Vec<u8>) {
    if !write_plain(text, line) {
        let _ = serde_json::to_writer(line, text); // a vector takes everything
    }
}

fn write_quoted(text: &str, line: &mut Vec<u8>) {
    if !write_plain(text, line) {
        let _ = write!(line, "{text:?}"); // as above
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::registry::Registry;

    use super::super::format::layer;
    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The tracing library's line.
    fn by_tracing(request: &CompletedRequest<'_>, format: Format) -> String {
        let written = Written::default();
        let output = written.clone();
        let subscriber = Registry::default().with(layer(format, false, move || output.clone()));
        tracing::subscriber::with_default(subscriber, || request.log_by_tracing());
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }

    /// Our own line, with the other one's timestamp.
    fn by_ourselves(request: &CompletedRequest<'_>, format: Format, other: &str) -> String {
        let start = other.find("20").unwrap();
        let time = humantime::parse_rfc3339(&other[start..start + 27]).unwrap();
        let mut line = Vec::new();
        request.write(format, time, &mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_time_is_in_utc_with_microseconds_whatever_the_last_one_was() {
        let times = [(1_800_000_000, 0), (1_800_000_000, 999_999_999), (1_800_000_001, 1_000), (1_709_251_199, 42_000)];
        for (seconds, nanos) in times.into_iter().chain([(0, 0), (253_402_300_799, 123_456_000)]) {
            let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
            let mut line = Vec::new();

            write_time(time, &mut line);

            let expected = humantime::format_rfc3339_micros(time).to_string();
            assert_eq!(String::from_utf8(line).unwrap(), expected);
        }
    }

    #[test]
    fn a_line_is_what_the_general_machinery_would_have_written() {
        const USUAL: CompletedRequest<'_> = CompletedRequest {
            method: "GET",
            id: "6f2c1d7e-1",
            route: "/",
            status: 200,
            code: None,
            took: Duration::from_micros(123),
        };
        let table = [
            (USUAL, "usual"),
            (CompletedRequest { code: Some("session_required"), status: 401, ..USUAL }, "a failure"),
            (CompletedRequest { method: "M-SEARCH", ..USUAL }, "another method"),
            (CompletedRequest { method: "!#$%&'*+.^_`|~", ..USUAL }, "every character of a token (RFC 9110 5.6.2)"),
            (CompletedRequest { route: "/a \"quoted\" \\ 'path'", ..USUAL }, "quotes"),
            (CompletedRequest { route: "/caf\u{e9}/\u{1f980}/\u{feff}\u{202e}", ..USUAL }, "beyond ASCII"),
            (CompletedRequest { route: "/\n\r\t\0\u{7f}\u{1b}[31m", ..USUAL }, "control characters"),
            (CompletedRequest { route: "", ..USUAL }, "nothing"),
            (CompletedRequest { took: Duration::ZERO, ..USUAL }, "no time"),
            (CompletedRequest { took: Duration::from_micros(1_000), ..USUAL }, "a whole millisecond"),
            (CompletedRequest { took: Duration::from_micros(1_230), ..USUAL }, "a trailing zero"),
            (CompletedRequest { took: Duration::from_micros(1_005), ..USUAL }, "zeros between"),
            (CompletedRequest { took: Duration::from_nanos(999), ..USUAL }, "less than is counted"),
            (CompletedRequest { took: Duration::from_micros(86_400_000_001), ..USUAL }, "a day"),
        ];
        for (request, what) in table {
            for format in [Format::Json, Format::Text] {
                let expected = by_tracing(&request, format);
                assert_eq!(by_ourselves(&request, format, &expected), expected, "{what}");
            }
        }
    }
}
