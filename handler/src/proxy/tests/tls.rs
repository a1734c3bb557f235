//! TLS to an upstream under the public name: the certificate and SNI are those of the upstream's own.

use tokio_rustls::TlsAcceptor;

use super::*;

/// SNI and `Host` that an upstream with a certificate for `certified` received for a route with `host`, and
/// the response to the client.
async fn request_over_tls(certified: &str, host: &str) -> (Option<(String, String)>, String) {
    let certificate = rcgen::generate_simple_self_signed([certified.to_owned()]).unwrap();
    let private = rustls::pki_types::PrivateKeyDer::try_from(certificate.signing_key.serialize_der()).unwrap();
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&crypto));
    let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let server = server.with_single_cert(vec![certificate.cert.der().clone()], private).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(crypto).with_safe_default_protocol_versions().unwrap();
    let client = client.with_root_certificates(roots).with_no_client_auth();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let seen = rt::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut socket = TlsAcceptor::from(Arc::new(server)).accept(socket).await.ok()?;
        let name = socket.get_ref().1.server_name().unwrap_or_default().to_owned();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            socket.read_buf(&mut request).await.unwrap();
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        let request = String::from_utf8(request).unwrap();
        let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        Some((name, host.split(':').next().unwrap().to_owned()))
    });
    let routes = format!(r#"[{{"path":"/","upstream":"{url}","host":"{host}"}}]"#);
    let address = serve_routes(routes, client, ForwarderSettings::default(), None);
    let response = ask(&mut TcpStream::connect(address).await.unwrap(), LAST).await;
    (seen.await.unwrap(), response)
}

#[actix_web::test]
async fn an_upstream_is_verified_under_its_own_name_whatever_its_host() {
    for (host, expected) in [("public", "app.example"), ("upstream", "localhost")] {
        let (seen, response) = request_over_tls("localhost", host).await;

        assert_eq!(seen, Some(("localhost".to_owned(), expected.to_owned())), "{host}");
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    }
}

#[actix_web::test]
async fn a_certificate_for_the_public_name_alone_is_refused() {
    for host in ["public", "upstream"] {
        let (seen, response) = request_over_tls("app.example", host).await;

        assert_eq!(seen, None, "{host}");
        assert!(response.ends_with("upstream_unreachable"), "{response}");
    }
}
