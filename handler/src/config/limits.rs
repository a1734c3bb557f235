//! Limits on clients: connections, headers, bodies and timeouts; and on idle connections to upstreams.

use std::time::Duration;

use crate::duration::parse_duration;

use super::reader::{Reader, Setting};

const MAX_CONNECTIONS: Setting = Setting {
    name: "MAX_CONNECTIONS",
    expected: "a number of connections of clients from 64 to 100000",
    example: "4096",
};
const MAX_IDLE_UPSTREAM_CONNECTIONS: Setting = Setting {
    name: "MAX_IDLE_UPSTREAM_CONNECTIONS",
    expected: "a number of idle connections to one upstream from 0 to 100000",
    example: "1024",
};
const MAX_HEADER_BYTES: Setting = Setting {
    name: "MAX_HEADER_BYTES",
    expected: "a number of bytes from 4096 to 131072, for the names and values of a request's headers",
    example: "32768",
};
const CLIENT_HEADER_TIMEOUT: Setting =
    Setting { name: "CLIENT_HEADER_TIMEOUT", expected: "a duration from 1s to 60s", example: "5s" };
const CLIENT_BODY_TIMEOUT: Setting =
    Setting { name: "CLIENT_BODY_TIMEOUT", expected: "a duration from 1s to 230s", example: "60s" };
const CLIENT_IDLE_TIMEOUT: Setting =
    Setting { name: "CLIENT_IDLE_TIMEOUT", expected: "a duration from 1s to 10m", example: "3m" };
const FORM_TIMEOUT: Setting = Setting { name: "FORM_TIMEOUT", expected: "a duration from 1s to 60s", example: "10s" };

/// Limits on clients, and on idle connections to upstreams.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum client connections of all threads together.
    pub connections: usize,
    /// Maximum idle connections to one Upstream, of all threads together.
    pub idle_upstream_connections: usize,
    /// Maximum size of a request's header names and values, in bytes.
    pub header_bytes: usize,
    /// Timeout of a request's head, counted from the connection.
    pub header_timeout: Duration,
    /// Timeout of the next bytes of a body that an Upstream waits for.
    pub body_timeout: Duration,
    /// Keep-alive timeout: for the next request on an open connection.
    pub idle_timeout: Duration,
    /// Timeout of a whole form that we read ourselves.
    pub form_timeout: Duration,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Limits> {
    let connections = number(reader, MAX_CONNECTIONS, 4096, 64..=100_000);
    let idle_upstream_connections = number(reader, MAX_IDLE_UPSTREAM_CONNECTIONS, 1024, 0..=100_000);
    let header_bytes = number(reader, MAX_HEADER_BYTES, 32 * 1024, 4096..=128 * 1024);
    let header_timeout = duration(reader, CLIENT_HEADER_TIMEOUT, 5, 60);
    let body_timeout = duration(reader, CLIENT_BODY_TIMEOUT, 60, 230);
    // Longer than the Functions host keeps an idle connection: it closes first, so no request meets a closed one.
    let idle_timeout = duration(reader, CLIENT_IDLE_TIMEOUT, 180, 600);
    let form_timeout = duration(reader, FORM_TIMEOUT, 10, 60);
    Some(Limits {
        connections: connections?,
        idle_upstream_connections: idle_upstream_connections?,
        header_bytes: header_bytes?,
        header_timeout: header_timeout?,
        body_timeout: body_timeout?,
        idle_timeout: idle_timeout?,
        form_timeout: form_timeout?,
    })
}

fn number(
    reader: &mut Reader<'_>,
    setting: Setting,
    default: usize,
    range: std::ops::RangeInclusive<usize>,
) -> Option<usize> {
    reader.parse_or(setting, default, |text| text.parse().ok().filter(|number| range.contains(number)))
}

/// Parses a duration from one second to `most` seconds.
fn duration(reader: &mut Reader<'_>, setting: Setting, default: u64, most: u64) -> Option<Duration> {
    reader.parse_or(setting, Duration::from_secs(default), |text| {
        let range = Duration::from_secs(1)..=Duration::from_secs(most);
        parse_duration(text).filter(|duration| range.contains(duration))
    })
}
