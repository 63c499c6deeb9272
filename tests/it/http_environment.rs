//! What the environment of the process does to the HTTP client: proxies and CA certificates.
//!
//! The environment is the process's, so each case runs one request in a process of its own: this
//! test binary again, with [`fetch_in_this_environment`] as its only test.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use connector_worker::client::{Client, ClientConfig, HttpJudge, Request};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::raw_http::{RawServer, answer};

const ADDRESS: &str = "FETCH_ADDRESS";
const MARK: &str = "outcome: ";

/// What a request to `address` comes to under these variables.
async fn fetch(address: &str, environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "http_environment::fetch_in_this_environment",
            "--exact",
            "--ignored",
        ])
        .arg("--nocapture")
        .env_clear()
        .env(ADDRESS, address)
        .envs(environment.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let outcome = text.lines().find_map(|line| line.split_once(MARK));
    outcome
        .unwrap_or_else(|| panic!("no outcome in {text}"))
        .1
        .to_owned()
}

#[test]
#[ignore = "the other tests run it, each with its own environment"]
#[expect(clippy::print_stdout, reason = "its caller reads the outcome there")]
fn fetch_in_this_environment() {
    connector_worker::client::install_crypto_provider();
    let address = std::env::var_os(ADDRESS).unwrap().into_string().unwrap();
    let request = Request {
        method: http::Method::GET,
        url: address.parse().unwrap(),
        headers: http::HeaderMap::new(),
        body: None,
    };
    let client = Client::new(ClientConfig {
        max_retries: 0,
        ..ClientConfig::default()
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let outcome = runtime.block_on(async { client?.send(&request, &HttpJudge::default()).await });
    match outcome {
        Ok(response) => println!("{MARK}{}", String::from_utf8_lossy(&response.body)),
        Err(error) => println!("{MARK}{error}"),
    }
}

#[tokio::test]
async fn a_proxy_is_used_except_where_it_shall_not_be() {
    let proxy = RawServer::start(|_, head| match head {
        head if head.starts_with("CONNECT") => answer("403 Forbidden", "", ""),
        _ => answer("200 OK", "", "through the proxy"),
    })
    .await;
    let direct = RawServer::start(|_, _| answer("200 OK", "", "straight")).await;
    let url = proxy.url.as_str().trim_end_matches('/').to_owned();

    let variables = [("HTTP_PROXY", url.as_str())];
    assert_eq!(
        fetch("http://api.test/a?b=c", &variables).await,
        "through the proxy"
    );
    assert!(proxy.requests()[0].starts_with("GET http://api.test/a?b=c HTTP/1.1\r\n"));
    assert_eq!(
        fetch(direct.url.as_str(), &variables).await,
        "through the proxy"
    );

    let variables = [
        ("HTTP_PROXY", url.as_str()),
        ("NO_PROXY", "127.0.0.1,localhost"),
    ];
    assert_eq!(fetch(direct.url.as_str(), &variables).await, "straight");

    let variables = [("HTTPS_PROXY", url.as_str())];
    let before = proxy.requests().len();
    fetch("https://api.test/", &variables).await;
    let requests = proxy.requests();
    assert!(
        requests[before].starts_with("CONNECT api.test:443 "),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_proxy_is_no_way_around_the_forbidden_addresses() {
    let proxy = RawServer::start(|_, _| answer("200 OK", "", "secret")).await;
    let variables = [("HTTP_PROXY", proxy.url.as_str())];
    for address in [
        "http://169.254.169.254/",
        "http://metadata.google.internal/",
    ] {
        let outcome = fetch(address, &variables).await;
        assert!(outcome.contains("metadata"), "{outcome}");
    }
    assert!(proxy.requests().is_empty());
}

#[tokio::test]
async fn the_password_of_a_proxy_is_not_told() {
    let variables = [("HTTP_PROXY", "http://user:canary-7c1@127.0.0.1:1")];
    let outcome = fetch("http://api.test/", &variables).await;
    assert!(
        outcome.contains("through the proxy 127.0.0.1:1"),
        "{outcome}"
    );
    assert!(!outcome.contains("canary-7c1"), "{outcome}");
}

pub fn fixture(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/fixtures/tls").join(name)
}

/// Answers `secure` over TLS to whoever trusts the test authority; its thread ends with the
/// process.
pub fn tls_server() -> String {
    connector_worker::client::install_crypto_provider();
    let certificate = CertificateDer::from_pem_file(fixture("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!(
        "https://localhost:{}/",
        listener.local_addr().unwrap().port()
    );
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, socket.unwrap());
            // A client that does not trust us ends the handshake here.
            if stream.read(&mut [0; 4096]).is_ok() {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecure");
                let _ = stream.flush();
            }
        }
    });
    address
}

#[tokio::test]
async fn the_authorities_of_ssl_cert_file_are_trusted_and_no_others() {
    let address = tls_server();
    let authority = fixture("authority.pem");
    let trusted = [("SSL_CERT_FILE", authority.to_str().unwrap())];
    assert_eq!(fetch(&address, &trusted).await, "secure");

    let server = fixture("server.pem");
    for (file, words) in [
        ("/nonexistent/ca.pem", "no CA certificates"),
        (
            server.to_str().unwrap(),
            "no secure connection to localhost",
        ),
    ] {
        let outcome = fetch(&address, &[("SSL_CERT_FILE", file)]).await;
        assert!(outcome.contains(words), "{file}: {outcome}");
    }
}

#[tokio::test]
async fn plain_http_needs_no_certificates() {
    let server = RawServer::start(|_, _| answer("200 OK", "", "plain")).await;
    let variables = [("SSL_CERT_FILE", "/nonexistent/ca.pem")];
    assert_eq!(fetch(server.url.as_str(), &variables).await, "plain");
}
