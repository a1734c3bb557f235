//! Forward proxy for tests: opens tunnels and forwards plain requests, or refuses, as scripted.
//!
//! Keeps the head of every request. Connects only to this machine.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Scripted reaction of the proxy.
#[derive(Clone, Copy)]
pub(crate) enum Conduct {
    /// Opens the tunnel after these bytes, or forwards the request.
    Forward(&'static str),
    /// Sends these bytes and closes the connection.
    Refuse(&'static str),
    /// Never responds.
    Silence,
}

/// Proxy that runs until the process ends.
#[derive(Clone)]
pub(crate) struct ScriptedProxy {
    /// `host:port`.
    pub(crate) authority: String,
    heads: Arc<Mutex<Vec<String>>>,
    silent: Arc<Mutex<Vec<TcpStream>>>,
}

impl ScriptedProxy {
    pub(crate) fn start(conduct: Conduct) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let proxy = Self { authority, heads: Arc::default(), silent: Arc::default() };
        let server = proxy.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let server = server.clone();
                thread::spawn(move || server.serve(stream.unwrap(), conduct));
            }
        });
        proxy
    }

    /// Heads of all requests.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    fn serve(&self, mut client: TcpStream, conduct: Conduct) -> Option<()> {
        let mut reader = BufReader::new(client.try_clone().ok()?);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            (reader.read_line(&mut head).ok()? > 0).then_some(())?;
        }
        self.heads.lock().unwrap().push(head.clone());
        match conduct {
            Conduct::Forward(greeting) => forward(client, reader, &head, greeting),
            Conduct::Refuse(bytes) => client.write_all(bytes.as_bytes()).ok(),
            Conduct::Silence => {
                self.silent.lock().unwrap().push(client);
                None
            }
        }
    }
}

fn forward(mut client: TcpStream, mut reader: BufReader<TcpStream>, head: &str, greeting: &str) -> Option<()> {
    let target = head.split(' ').nth(1)?;
    let mut server = match target.strip_prefix("http://") {
        None => {
            let server = TcpStream::connect(target).ok()?;
            client.write_all(greeting.as_bytes()).ok()?;
            server
        }
        Some(rest) => {
            let (authority, path) = rest.split_once('/')?;
            let mut server = TcpStream::connect(authority).ok()?;
            server.write_all(head.replacen(target, &format!("/{path}"), 1).as_bytes()).ok()?;
            server
        }
    };
    let mut from_server = server.try_clone().ok()?;
    thread::spawn(move || {
        let _ = io::copy(&mut from_server, &mut client);
        let _ = client.shutdown(Shutdown::Both);
    });
    io::copy(&mut reader, &mut server).ok()?;
    server.shutdown(Shutdown::Write).ok()
}
