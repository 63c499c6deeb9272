//! The way to the provider, through the real worker: names, connections, TLS, proxies, redirects,
//! sizes; and what a user reads when something is wrong with one of them.

use std::io::{Read, Write};
use std::net::TcpListener;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{configured, connector_at};
use crate::http_environment::{fixture, tls_server};
use crate::support::raw_http::{RawServer, answer};
use crate::support::worker::{Ran, Worker};

/// What `check` says of a provider at `url`.
async fn check(url: &str, environment: &[(&str, &str)]) -> Ran {
    let directory = configured(&[connector_at("items", url, "s3cret-token")], "{}");
    let mut worker = Worker::new(directory.path()).env("CONNECTOR_STORE", "memory:");
    for (name, value) in environment {
        worker = worker.env(name, value);
    }
    let ran = tokio::task::spawn_blocking(move || worker.run(&["check", "items"]));
    let ran = ran.await.unwrap();
    drop(directory);
    assert!(!ran.log.contains("s3cret-token"), "{}", ran.log);
    ran
}

/// The `error` of the last line of the log.
fn error(ran: &Ran) -> String {
    let line = ran.log.lines().last().unwrap_or_default();
    let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    line["error"].as_str().unwrap_or_default().to_owned()
}

/// A server whose first words to a client's are these bytes; its thread ends with the process.
fn answering_hello_with(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            // Whatever comes; a client that is gone is no concern of ours.
            let _ = socket.read(&mut [0; 4096]);
            let _ = socket.write_all(&bytes);
        }
    });
    format!("https://127.0.0.1:{port}/")
}

/// A `ServerHello` of TLS 1.0 or 1.1 with a cipher of its time.
fn old_hello(version: u8) -> Vec<u8> {
    let mut hello = vec![0x16, 3, version, 0, 42, 2, 0, 0, 38, 3, version];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    hello
}

#[tokio::test]
async fn what_keeps_from_the_provider_is_said_in_words() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    for (url, code, words) in [
        (
            format!("http://{closed}/"),
            69,
            format!("{closed} refuses the connection"),
        ),
        (
            "http://no-such-host.invalid/".to_owned(),
            69,
            "cannot find the host no-such-host.invalid".to_owned(),
        ),
        (
            answering_hello_with(old_hello(1)),
            69,
            "TLS 1.2 being the least".to_owned(),
        ),
        (
            answering_hello_with(old_hello(2)),
            69,
            "TLS 1.2 being the least".to_owned(),
        ),
        (
            answering_hello_with(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
            69,
            "is the address plain http://?".to_owned(),
        ),
        (
            answering_hello_with(b"SSH-2.0-OpenSSH_9.0\r\n".to_vec()).replace("https", "http"),
            69,
            "does not speak HTTP".to_owned(),
        ),
    ] {
        let ran = check(&url, &[]).await;
        let said = error(&ran);
        assert!(said.contains(&words), "{url}: {}", ran.log);
        assert_eq!(ran.code, Some(code), "{url}: {}", ran.log);
    }
    // Known before anything is asked.
    let ran = check("http://169.254.169.254/", &[]).await;
    assert!(ran.log.contains("never requested"), "{}", ran.log);
    assert_eq!(ran.code, Some(78), "{}", ran.log);
}

#[tokio::test]
async fn certificates_are_those_of_the_machine_or_of_ssl_cert_file() {
    let address = tls_server();
    let authority = fixture("authority.pem");
    let ran = check(&address, &[("SSL_CERT_FILE", authority.to_str().unwrap())]).await;
    // It is no API, but it was heard.
    assert!(error(&ran).contains("not valid JSON"), "{}", ran.log);
    let ran = check(&address, &[]).await;
    assert!(error(&ran).contains("SSL_CERT_FILE"), "{}", ran.log);
    assert_eq!(ran.code, Some(69), "{}", ran.log);
}

#[tokio::test]
async fn a_proxy_is_used_named_and_does_not_tell_its_password() {
    let proxy =
        RawServer::start(|_, _| answer("200 OK", "", r#"{"items": [{"id": 1}], "next": null}"#))
            .await;
    let port = proxy.url.port().unwrap();
    let through = format!("http://user:pr0xy-pass@127.0.0.1:{port}");
    let ran = check("http://api.test/", &[("HTTP_PROXY", &through)]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.log);
    assert!(proxy.requests()[0].starts_with("GET http://api.test/items"));
    let gone = "http://user:pr0xy-pass@127.0.0.1:1";
    let ran = check("http://api.test/", &[("HTTP_PROXY", gone)]).await;
    assert_eq!(ran.code, Some(69), "{}", ran.log);
    assert!(
        error(&ran).contains("through the proxy 127.0.0.1:1"),
        "{}",
        ran.log
    );
    assert!(!ran.log.contains("pr0xy-pass"), "{}", ran.log);
}

#[tokio::test]
async fn what_a_proxy_refuses_is_said_of_the_proxy() {
    for (status, words) in [
        ("403 Forbidden", "the proxy refuses to connect to it"),
        ("502 Bad Gateway", "the proxy refuses to connect to it"),
        (
            "407 Proxy Authentication Required",
            "asks for a user name and a password",
        ),
    ] {
        let proxy = RawServer::start(move |_, _| answer(status, "", "no")).await;
        let authority = proxy.url.authority().to_owned();
        let ran = check("https://api.test/", &[("HTTPS_PROXY", proxy.url.as_str())]).await;
        let way = format!("cannot reach api.test through the proxy {authority}: ");
        assert!(error(&ran).contains(&way), "{}", ran.log);
        assert!(error(&ran).contains(words), "{}", ran.log);
        assert_eq!(ran.code, Some(69), "{}", ran.log);
        assert!(proxy.requests()[0].starts_with("CONNECT api.test:443 "));
    }
    // To plain addresses the proxy answers itself.
    let proxy =
        RawServer::start(|_, _| answer("407 Proxy Authentication Required", "", "no")).await;
    let ran = check("http://api.test/", &[("HTTP_PROXY", proxy.url.as_str())]).await;
    assert!(error(&ran).contains("asks for a user name"), "{}", ran.log);
    for (proxy, words) in [
        ("http://127.0.0.1:1", "the proxy refuses the connection"),
        (
            "http://no-such-proxy.invalid:3128",
            "the proxy is not found",
        ),
    ] {
        let ran = check("https://api.test/", &[("HTTPS_PROXY", proxy)]).await;
        assert!(error(&ran).contains(words), "{proxy}: {}", ran.log);
        assert_eq!(ran.code, Some(69), "{}", ran.log);
    }
}

#[tokio::test]
async fn redirects_are_followed_without_credentials_and_not_for_ever() {
    let elsewhere = RawServer::start(|_, head| {
        assert!(!head.contains("s3cret-token"), "{head}");
        answer("200 OK", "", r#"{"items": [{"id": 1}], "next": null}"#)
    })
    .await;
    let to = elsewhere.url.clone();
    let server =
        RawServer::start(move |_, _| answer("302 Found", &format!("Location: {to}\r\n"), "")).await;
    let ran = check(server.url.as_str(), &[]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.log);
    assert!(!elsewhere.requests().is_empty());

    for (location, words) in [
        ("/again", "more than 5 redirects"),
        ("http://169.254.169.254/latest", "metadata"),
        ("file:///etc/passwd", "no web address"),
    ] {
        let server = RawServer::start(move |_, _| {
            answer("302 Found", &format!("Location: {location}\r\n"), "")
        })
        .await;
        let ran = check(server.url.as_str(), &[]).await;
        assert!(error(&ran).contains(words), "{location}: {}", ran.log);
        assert!(server.requests().len() <= 8, "{location}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_when_decompressed_is_not_read() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let spaces = vec![b' '; 1 << 20];
    for _ in 0..70 {
        gzip.write_all(&spaces).unwrap();
    }
    let bomb = gzip.finish().unwrap();
    assert!(bomb.len() < 1 << 20);
    let server =
        RawServer::start(move |_, _| answer("200 OK", "Content-Encoding: gzip\r\n", &bomb)).await;
    let ran = check(server.url.as_str(), &[]).await;
    assert!(
        error(&ran).contains("is larger than 67108864 bytes"),
        "{}",
        ran.log
    );
    assert_eq!(
        server.requests().len(),
        1,
        "asking again makes it no smaller"
    );
}

#[tokio::test]
async fn no_error_says_the_same_thing_twice() {
    let directory = configured(
        &[connector_at("items", "http://127.0.0.1:1/", "t0ken")],
        "{}",
    );
    let worker = Worker::new(directory.path()).env("CONNECTOR_STORE", "redis://127.0.0.1:1");
    let ran = tokio::task::spawn_blocking(move || worker.run(&["poll", "items"]));
    let ran = ran.await.unwrap();
    assert_eq!(ran.code, Some(69), "{}", ran.log);
    let said = error(&ran);
    assert!(
        said.contains("cannot reach the store at redis://127.0.0.1:1"),
        "{said}"
    );
    assert_eq!(said.matches("onnection refused").count(), 1, "{said}");
}
