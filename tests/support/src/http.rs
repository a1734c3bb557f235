//! HTTP/1.1 as bytes: enough to read any response exactly as it was written.

use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpStream;

/// A response as it came over the wire.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Every header line in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, with the chunks taken apart.
    pub body: Vec<u8>,
    /// False when the connection ended before the body did.
    pub is_complete: bool,
}

impl Response {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a header.
    pub fn headers_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Reads one response to a request of `method`; interim responses (1xx) are skipped.
///
/// # Errors
/// When the connection ends before a whole head.
pub fn read_response(stream: &TcpStream, method: &str) -> io::Result<Response> {
    let mut reader = BufReader::new(stream);
    loop {
        let (status, headers) = read_head(&mut reader)?;
        if (100..200).contains(&status) {
            continue;
        }
        let mut response = Response { status, headers, body: Vec::new(), is_complete: true };
        if method != "HEAD" && status != 204 && status != 304 {
            response.is_complete = read_body(&mut reader, &mut response).is_ok();
        }
        return Ok(response);
    }
}

fn read_head(reader: &mut impl BufRead) -> io::Result<(u16, Vec<(String, String)>)> {
    let line = read_line(reader)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, line))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        let Some((name, value)) = line.split_once(':') else { return Ok((status, headers)) };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn read_body(reader: &mut impl BufRead, response: &mut Response) -> io::Result<()> {
    if response.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        return read_chunks(reader, &mut response.body);
    }
    match response.header("content-length").and_then(|length| length.parse::<u64>().ok()) {
        Some(length) => {
            let read = reader.take(length).read_to_end(&mut response.body)?;
            if read as u64 == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
        }
        None => reader.read_to_end(&mut response.body).map(drop),
    }
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let line = read_line(reader)?;
        let size = u64::from_str_radix(line.split(';').next().unwrap_or_default(), 16);
        let size = size.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if reader.by_ref().take(size).read_to_end(body)? as u64 != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read_line(reader).or_else(|error| if size == 0 { Ok(String::new()) } else { Err(error) })?;
        if size == 0 {
            return Ok(());
        }
    }
}
