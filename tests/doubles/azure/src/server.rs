//! One service over TLS on a thread of its own.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;

use crate::tls::Authority;
use crate::{Fault, Faults};

/// A request with its body.
pub(crate) type Asked = Request<Bytes>;

pub(crate) trait Service: Send + Sync {
    fn faults(&self) -> &Faults;

    /// True for what can't be in the service's own hands: faults don't touch it.
    fn is_beyond_faults(&self, asked: &Asked) -> bool;

    fn respond(&self, asked: &Asked, origin: &str) -> Response<Full<Bytes>>;
}

pub(crate) struct Server {
    pub(crate) origin: String,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Server {
    pub(crate) fn start(authority: &Authority, service: Arc<dyn Service>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).unwrap();
        let origin = format!("https://{}", listener.local_addr().unwrap());
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (tls, name) = (TlsAcceptor::from(authority.server()), Arc::<str>::from(origin.as_str()));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, tls, service, name) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { origin, _stop: stop }
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, service: Arc<dyn Service>, origin: Arc<str>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tls, service, origin) = (tls.clone(), Arc::clone(&service), Arc::clone(&origin));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let asked = service_fn(move |request| meet(request, Arc::clone(&service), Arc::clone(&origin)));
            // An error is a connection that ended early, as a fault asked for or the client wanted.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), asked).await;
        });
    }
}

/// `Err` ends the connection without a response.
async fn meet(
    request: Request<Incoming>,
    service: Arc<dyn Service>,
    origin: Arc<str>,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let (head, body) = request.into_parts();
    let asked = Request::from_parts(head, body.collect().await.map_err(io::Error::other)?.to_bytes());
    let fault = if service.is_beyond_faults(&asked) { None } else { service.faults().meet() };
    match fault {
        None => {}
        Some(Fault::Throttled(seconds)) => {
            let mut response = error(429, "Throttled", None, "Too many requests.");
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            return Ok(response);
        }
        Some(Fault::Status(status)) => return Ok(error(status, "InternalError", None, "Scripted.")),
        Some(Fault::NoRole) => {
            let text = "Caller is not authorized to perform action on resource.";
            return Ok(error(403, "Forbidden", Some("ForbiddenByRbac"), text));
        }
        Some(Fault::Firewall) => {
            let text = "Client address is not authorized and caller is not a trusted service.";
            return Ok(error(403, "Forbidden", Some("ForbiddenByFirewall"), text));
        }
        Some(Fault::Hang) => service.faults().mended.notified().await,
        Some(Fault::Reset) => return Err(io::ErrorKind::ConnectionReset.into()),
    }
    Ok(service.respond(&asked, &origin))
}

pub(crate) fn json_response(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.to_string().into()));
    *response.status_mut() = status.try_into().expect("a status");
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The error of Azure's REST guidelines.
pub(crate) fn error(status: u16, code: &str, inner: Option<&str>, message: &str) -> Response<Full<Bytes>> {
    let mut error = json!({ "code": code, "message": message });
    if let Some(inner) = inner {
        error["innererror"] = json!({ "code": inner });
    }
    json_response(status, &json!({ "error": error }))
}
