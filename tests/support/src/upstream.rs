//! Upstreams: one that tells what it received, and one whose every byte a test writes itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as an Upstream received it.
#[derive(Clone, Debug)]
pub struct Received {
    /// The request line without its version.
    pub request_line: String,
    /// Every header line in order, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Received {
    /// Every value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

/// An application on loopback. It serves until the test's process ends.
#[derive(Clone)]
pub struct Upstream {
    /// URL of the upstream.
    pub url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Upstream {
    /// Responds to everything with 200 and `ok`.
    #[must_use]
    pub fn start() -> Self {
        Self::responding(|_, reader, stream| {
            let _ = reader;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok").is_ok()
        })
    }

    /// Lets `respond` read the body and write the response of each request. It returns true to keep the connection.
    #[must_use]
    pub fn responding(
        respond: impl Fn(&Received, &mut BufReader<TcpStream>, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let upstream = Self { url, received: Arc::default() };
        let (received, respond) = (Arc::clone(&upstream.received), Arc::new(respond));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (received, respond) = (Arc::clone(&received), Arc::clone(&respond));
                std::thread::spawn(move || serve(stream, &received, &*respond));
            }
        });
        upstream
    }

    /// Every request so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The last request.
    #[must_use]
    pub fn last(&self) -> Received {
        self.received().pop().expect("the upstream received a request")
    }
}

fn serve(
    mut stream: TcpStream,
    received: &Mutex<Vec<Received>>,
    respond: &dyn Fn(&Received, &mut BufReader<TcpStream>, &mut TcpStream) -> bool,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read_request(&mut reader) {
        received.lock().unwrap().push(request.clone());
        if !respond(&request, &mut reader, &mut stream) {
            return;
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Received> {
    let line = read_line(reader)?;
    let request_line = line.rsplit_once(' ')?.0.to_owned();
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        let Some((name, value)) = line.split_once(": ") else { return Some(Received { request_line, headers }) };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
}

fn read_line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok().filter(|read| *read > 0)?;
    Some(String::from_utf8_lossy(&line).trim_end().to_owned())
}

impl Received {
    /// Reads the whole body, by its length or its chunks.
    pub fn read_body(&self, reader: &mut BufReader<TcpStream>) -> Vec<u8> {
        let mut body = Vec::new();
        if let Some(length) = self.header("content-length").and_then(|length| length.parse().ok()) {
            reader.take(length).read_to_end(&mut body).unwrap();
        } else if self.header("transfer-encoding").is_some() {
            loop {
                let size = read_line(reader).and_then(|line| u64::from_str_radix(&line, 16).ok()).unwrap_or(0);
                reader.by_ref().take(size).read_to_end(&mut body).unwrap();
                read_line(reader);
                if size == 0 {
                    break;
                }
            }
        }
        body
    }
}
