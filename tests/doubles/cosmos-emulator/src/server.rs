//! The sockets: every request is checked, may meet its fault, and is handled by the emulator.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::authorization::is_allowed;
use crate::backend::{Backend, RawResponse};
use crate::{Control, Fault, Operation};

pub(crate) async fn serve(listener: std::net::TcpListener, backend: Backend, control: Arc<Control>) {
    listener.set_nonblocking(true).expect("a socket can be non-blocking");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let backend = Rc::new(backend);
    tokio::task::LocalSet::new()
        .run_until(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                if control.is_down() {
                    continue; // dropped: the connection ends
                }
                let (backend, control) = (Rc::clone(&backend), Arc::clone(&control));
                tokio::task::spawn_local(async move {
                    if offers_http2(&stream).await {
                        return refuse_http2(stream).await;
                    }
                    let service =
                        service_fn(move |request| respond(request, Rc::clone(&backend), Arc::clone(&control)));
                    let connection = hyper::server::conn::http1::Builder::new();
                    // An error is a connection that ended early, as a fault asked for or the client wanted.
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        })
        .await;
}

/// The library begins with HTTP/2 (RFC 9113 3.4). One connection for one request makes the faults plainer.
async fn offers_http2(stream: &TcpStream) -> bool {
    let mut first = [0; 3];
    stream.peek(&mut first).await.is_ok_and(|read| read == 3 && &first == b"PRI")
}

async fn refuse_http2(mut stream: TcpStream) {
    let refusal = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let _ = stream.write_all(refusal).await;
    // Closed only when the other side has: a reset would overtake the refusal.
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

/// `Err` ends the connection without a response.
async fn respond(
    request: Request<Incoming>,
    backend: Rc<Backend>,
    control: Arc<Control>,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let (method, path) = (head.method.as_str(), head.uri.path());
    let operation = Operation::of(&head.method, path);
    if control.is_down() {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    let fault = control.meet(operation);
    match fault {
        Some(Fault::Throttled(after)) => return Ok(throttled(after)),
        Some(Fault::Status(status)) => return Ok(refused(status, "Fault", "scripted by the test")),
        Some(Fault::Slow(delay)) => tokio::time::sleep(delay).await,
        Some(Fault::Hang) => control.mended.notified().await,
        Some(Fault::Reset) => return Err(io::ErrorKind::ConnectionReset.into()),
        Some(Fault::ReplyLost | Fault::HangAfter | Fault::CloseAfter) | None => {}
    }
    if !is_allowed(method, path, &head.headers, &control) {
        return Ok(refused(401, "Unauthorized", "The input authorization token can't serve the request."));
    }
    if let Some((list, id)) = item(operation, path, &head.headers) {
        backend.expire(&list, &id, control.ahead()).await;
        for patch in control.patches(&id) {
            backend.patch(&list, patch).await;
        }
        if operation == Operation::Create {
            control.note(&id);
        }
    }
    let headers = head
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let raw = backend.ask(method, target, headers.collect(), body).await;
    control.charge(operation, request_units(&raw));
    if fault == Some(Fault::HangAfter) {
        control.mended.notified().await;
    }
    match fault {
        Some(Fault::ReplyLost) => Err(io::ErrorKind::ConnectionReset.into()),
        _ => Ok(response(raw, fault == Some(Fault::CloseAfter))),
    }
}

/// The list and the identifier of the item that is asked for; a create names it by its partition key.
fn item(operation: Operation, path: &str, headers: &hyper::HeaderMap) -> Option<(String, String)> {
    match operation {
        Operation::Metadata => None,
        Operation::Create => {
            let key = headers.get("x-ms-documentdb-partitionkey")?.to_str().ok()?;
            let [id]: [String; 1] = serde_json::from_str(key).ok()?;
            Some((path.to_owned(), id))
        }
        Operation::Read | Operation::Replace | Operation::Delete => {
            path.rsplit_once('/').map(|(list, id)| (list.to_owned(), id.to_owned()))
        }
    }
}

fn request_units(raw: &RawResponse) -> f64 {
    let charge = raw.headers.iter().find(|(name, _)| name == "x-ms-request-charge");
    charge.and_then(|(_, value)| value.parse().ok()).unwrap_or_default()
}

fn response(raw: RawResponse, closes: bool) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(raw.status);
    for (name, value) in &raw.headers {
        response = response.header(name, value);
    }
    if closes {
        response = response.header("connection", "close");
    }
    response.body(Full::new(raw.body)).expect("the emulator's responses are HTTP")
}

fn throttled(after: std::time::Duration) -> Response<Full<Bytes>> {
    let mut response = refused(429, "429", "Request rate is large.");
    let headers = response.headers_mut();
    headers.insert("x-ms-retry-after-ms", (after.as_millis() as u64).into());
    headers.insert("x-ms-substatus", 3200.into());
    response
}

fn refused(status: u16, code: &str, message: &str) -> Response<Full<Bytes>> {
    let body = json!({ "code": code, "message": message }).to_string();
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Full::new(body.into())).expect("a status is a status")
}
