//! The bytes of a WebSocket, both ways, and its end: by either side, by its session, by the process.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use support::websocket::{accept, read_to_its_end, switching};
use support::{LIMIT, Received, SocketFixture, raw, raw_client, raw_head, read_head, wait_until};
use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

const MEGABYTE: usize = 1024 * 1024;

/// A write that takes longer is one that the other end does not read.
const STALL: Duration = Duration::from_millis(500);

#[test]
fn messages_of_every_kind_and_size_come_back_as_they_were() {
    let fixture = SocketFixture::echoing(&[]);
    let (mut socket, _) = fixture.signed_in().open_socket("/chat", &[]).unwrap();
    let large: Vec<u8> = (0..4 * MEGABYTE).map(|at| (at % 251) as u8).collect();

    for message in
        [Message::text(""), Message::text("größer"), Message::binary(vec![0, 255, 0]), Message::binary(large)]
    {
        socket.send(message.clone()).unwrap();
        assert!(socket.read().unwrap() == message, "{} bytes", message.len());
    }
    socket.send(Message::Ping(b"are you there".to_vec().into())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong(b"are you there".to_vec().into()));
    for number in 0..5_000 {
        socket.send(Message::text(number.to_string())).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text(number.to_string()));
    }
}

#[test]
fn both_ends_may_send_without_reading_for_a_while() {
    let fixture = SocketFixture::start(
        |request, reader, stream| {
            let (mut read, mut socket) = raw(request, reader, stream);
            let mut sending = socket.try_clone().unwrap();
            let sender = std::thread::spawn(move || sending.write_all(&vec![b'u'; 8 * MEGABYTE]).is_ok());
            let sent = sender.join().unwrap(); // everything before it reads
            let mut rest = vec![0; 8 * MEGABYTE - read.len()];
            let is_read = socket.read_exact(&mut rest).is_ok();
            read.extend(rest);
            format!("{sent} {is_read} {}", read.iter().all(|byte| *byte == b'c'))
        },
        &[],
    );
    let mut client = raw_client(&fixture.signed_in(), "/raw", b"");
    let mut sending = client.try_clone().unwrap();

    let sender = std::thread::spawn(move || sending.write_all(&vec![b'c'; 8 * MEGABYTE]).is_ok());
    let mut received = vec![0; 8 * MEGABYTE];
    client.read_exact(&mut received).unwrap();

    assert!(received.iter().all(|byte| *byte == b'u'));
    assert!(sender.join().unwrap());
    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "true true true");
}

#[test]
fn bytes_right_behind_either_head_are_the_first_of_the_socket() {
    let fixture = SocketFixture::start(
        |request, reader, stream| {
            let head = switching(request, &[]);
            stream.write_all(&[head.as_bytes(), b"first"].concat()).unwrap();
            let mut buffer = [0; 5];
            reader.read_exact(&mut buffer).unwrap();
            String::from_utf8(buffer.to_vec()).unwrap()
        },
        &[],
    );

    let mut client = raw_client(&fixture.signed_in(), "/raw", b"early");

    let mut first = [0; 5];
    client.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"first");
    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "early");
}

#[test]
fn a_socket_may_follow_a_response_on_the_same_connection() {
    let fixture = SocketFixture::echoing(&[]);
    let browser = fixture.signed_in();
    let mut client = TcpStream::connect(browser.origin().trim_start_matches("http://")).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    let cookie = browser.cookie_header();
    client.write_all(format!("GET / HTTP/1.1\r\nhost: h\r\ncookie: {cookie}\r\n\r\n").as_bytes()).unwrap();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 200 "));
    client.read_exact(&mut [0; 2]).unwrap();

    client.write_all(raw_head(&browser, "/chat", "").as_bytes()).unwrap();

    assert!(read_head(&mut client).starts_with("HTTP/1.1 101 "));
    client.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).unwrap();
    let mut frame = [0; 4];
    client.read_exact(&mut frame).unwrap();
    assert_eq!(&frame, &[0x81, 2, b'h', b'i']);
}

#[test]
fn a_close_of_the_client_is_replied_to_and_ends_both_connections() {
    let fixture = SocketFixture::echoing(&[]);
    let (mut socket, _) = fixture.signed_in().open_socket("/chat", &[]).unwrap();

    let frame = CloseFrame { code: CloseCode::Library(4_001), reason: "done".into() };
    socket.close(Some(frame.clone())).unwrap();

    assert_eq!(socket.read().unwrap(), Message::Close(Some(frame)));
    assert!(matches!(socket.read(), Err(tungstenite::Error::ConnectionClosed)));
    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "closed");
    fixture.wait_for_log("websocket closed");
}

#[test]
fn a_close_of_the_upstream_arrives_with_its_code_and_reason() {
    let fixture = SocketFixture::start(
        |request, reader, stream| {
            let mut socket = accept(request, reader, stream, &[]);
            socket.send(Message::text("last words")).unwrap();
            socket.close(Some(CloseFrame { code: CloseCode::Away, reason: "restart".into() })).unwrap();
            while socket.read().is_ok() {}
            "closed".to_owned()
        },
        &[],
    );
    let (mut socket, _) = fixture.signed_in().open_socket("/chat", &[]).unwrap();

    assert_eq!(socket.read().unwrap(), Message::text("last words"));
    let frame = CloseFrame { code: CloseCode::Away, reason: "restart".into() };
    assert_eq!(socket.read().unwrap(), Message::Close(Some(frame)));
    let _ = socket.flush();
    assert_eq!(read_to_its_end(socket.get_mut()), b"");
    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "closed");
}

#[test]
fn everything_an_upstream_sent_arrives_though_it_hung_up_at_once() {
    let fixture = SocketFixture::start(
        |request, reader, stream| {
            let (_, mut socket) = raw(request, reader, stream);
            socket.write_all(&vec![b'u'; 4 * MEGABYTE]).unwrap();
            socket.shutdown(Shutdown::Both).unwrap();
            String::new()
        },
        &[],
    );

    let mut client = raw_client(&fixture.signed_in(), "/raw", b"");

    assert_eq!(read_to_its_end(&mut client).len(), 4 * MEGABYTE);
    fixture.wait_for_log("ended_by=\"upstream\"");
}

#[test]
fn the_end_of_a_client_reaches_the_upstream_which_may_finish() {
    let fixture = SocketFixture::start(
        |request, reader, stream| {
            let (mut read, mut socket) = raw(request, reader, stream);
            socket.read_to_end(&mut read).unwrap();
            socket.write_all(b"got it all").unwrap();
            String::from_utf8(read).unwrap()
        },
        &[],
    );
    let mut client = raw_client(&fixture.signed_in(), "/raw", b"");

    client.write_all(b"and goodbye").unwrap();
    client.shutdown(Shutdown::Write).unwrap();

    assert_eq!(read_to_its_end(&mut client), b"got it all");
    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "and goodbye");
}

#[test]
fn a_client_that_vanishes_ends_the_upstreams_socket() {
    let fixture = SocketFixture::echoing(&[]);

    drop(fixture.signed_in().open_socket("/chat", &[]).unwrap());

    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "broken");
    fixture.wait_for_log("ended_by=\"client\"");
}

#[test]
fn a_sign_out_ends_the_sockets_of_its_session_but_not_those_of_a_route_that_lets_them_outlive_it() {
    let fixture = SocketFixture::echoing(&[]);
    let mut browser = fixture.signed_in();
    let (mut socket, _) = browser.open_socket("/chat", &[]).unwrap();
    let (mut outliving, _) = browser.open_socket("/live/chat", &[]).unwrap();

    assert_eq!(browser.post("/oauth/signout", b"").status, 303);

    assert!(socket.read().is_err(), "it ends without a close frame");
    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "broken");
    fixture.wait_for_log("session_ended");
    fixture.wait_for_log("ended_by=\"session\"");
    outliving.send(Message::text("still here")).unwrap();
    assert_eq!(outliving.read().unwrap(), Message::text("still here"));
    assert_eq!(browser.open_socket("/chat", &[]).unwrap_err().status().as_u16(), 401);
}

#[test]
fn the_absolute_end_of_a_session_ends_its_sockets() {
    let fixture = SocketFixture::echoing(&[("SESSION_MAX_LIFETIME", "3s"), ("SESSION_IDLE_TIMEOUT", "3s")]);
    let (mut socket, _) = fixture.signed_in().open_socket("/chat", &[]).unwrap();

    assert!(socket.read().is_err());

    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "broken");
}

/// Sends until nobody reads, reports it, and reads to the end.
fn flood(request: &Received, reader: &mut BufReader<TcpStream>, stream: &mut TcpStream) -> String {
    let (_, mut socket) = raw(request, reader, stream);
    socket.set_write_timeout(Some(STALL)).unwrap();
    while socket.write_all(&[b'x'; 64 * 1024]).is_ok() {}
    stalled();
    let _ = socket.read_to_end(&mut Vec::new());
    "over".to_owned()
}

static STALLED: Mutex<usize> = Mutex::new(0);

fn stalled() {
    *STALLED.lock().unwrap() += 1;
}

#[test]
fn what_a_client_does_not_read_stays_with_the_upstream_and_a_sign_out_ends_it_all_the_same() {
    let fixture = SocketFixture::start(flood, &[]);
    let mut browser = fixture.signed_in();
    let before = fixture.handler.peak_memory_kb();
    let mut client = raw_client(&browser, "/flood", b"");

    wait_until("the upstream cannot send any more", || *STALLED.lock().unwrap() > 0);
    let grown = fixture.handler.peak_memory_kb() - before;
    assert_eq!(browser.post("/oauth/signout", b"").status, 303);

    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "over");
    assert!(grown < 2 * 1024, "{grown} KB for a client that does not read");
    fixture.wait_for_log("ended_by=\"session\"");
    read_to_its_end(&mut client);
}

#[test]
fn what_an_upstream_does_not_read_stays_with_the_client() {
    let fixture = SocketFixture::start(
        |request, reader, stream| {
            let (mut read, mut socket) = raw(request, reader, stream);
            let (go, wait) = mpsc::channel::<()>();
            *RESUME.lock().unwrap() = Some(go);
            wait.recv().unwrap();
            socket.read_to_end(&mut read).unwrap();
            read.len().to_string()
        },
        &[],
    );
    let browser = fixture.signed_in();
    let before = fixture.handler.peak_memory_kb();
    let mut client = raw_client(&browser, "/stuck", b"");
    client.set_write_timeout(Some(STALL)).unwrap();

    let mut sent = 0;
    loop {
        match client.write(&[b'x'; 64 * 1024]) {
            Ok(written) => sent += written,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("{error}"),
        }
    }

    let grown = fixture.handler.peak_memory_kb() - before;
    assert!(grown < 2 * 1024, "{grown} KB for an upstream that does not read {sent} bytes");
    RESUME.lock().unwrap().take().unwrap().send(()).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), sent.to_string());
}

static RESUME: Mutex<Option<mpsc::Sender<()>>> = Mutex::new(None);

#[test]
fn a_stop_of_the_process_does_not_wait_for_sockets() {
    let mut fixture = SocketFixture::echoing(&[]);
    let (mut socket, _) = fixture.signed_in().open_socket("/chat", &[]).unwrap();

    fixture.handler.terminate();

    assert!(socket.read().is_err());
    assert_eq!(fixture.handler.wait(), Some(0));
    fixture.wait_for_log("ended_by=\"shutdown\"");
}

#[test]
fn the_log_counts_the_bytes_of_a_socket() {
    let fixture = SocketFixture::start(
        |request, reader, stream| {
            let (mut read, mut socket) = raw(request, reader, stream);
            let mut rest = vec![0; 1_000 - read.len()];
            socket.read_exact(&mut rest).unwrap();
            read.extend(rest);
            socket.write_all(&read[..10]).unwrap();
            String::new()
        },
        &[],
    );
    let mut client = raw_client(&fixture.signed_in(), "/raw", b"");

    client.write_all(&[b'c'; 1_000]).unwrap();

    assert_eq!(read_to_its_end(&mut client), [b'c'; 10]);
    fixture.wait_for_log("bytes_from_client=1000 bytes_from_upstream=10");
}
