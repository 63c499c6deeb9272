//! Rubbish against the real listener: every answer is one that the documentation names, none says
//! that the receiver broke, and the process goes on.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use super::provider::{Site, item};

/// Statuses that rubbish may get; 503 is for a queue that is full.
const EXPECTED: [u16; 12] = [200, 400, 401, 403, 404, 405, 408, 411, 413, 414, 415, 431];

/// The status, if there was an answer before the connection ended. What is no request has to be
/// ended: the listener waits for the rest of it.
fn status(address: &str, request: &[u8], is_request: bool) -> Option<u16> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // The listener may have answered and closed already.
    let _ = stream.write_all(request);
    if !is_request {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    // Whoever expects it is told to go on, before the answer itself.
    let text = text
        .strip_prefix("HTTP/1.1 100 Continue\r\n\r\n")
        .unwrap_or(&text);
    text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

fn head_line() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        Just("Content-Type".to_owned()),
        Just("Content-Encoding".to_owned()),
        Just("Content-Length".to_owned()),
        Just("Transfer-Encoding".to_owned()),
        Just("X-Signature".to_owned()),
        Just("X-Delivery".to_owned()),
        Just("X-Forwarded-For".to_owned()),
        Just("Expect".to_owned()),
        "[!-~]{1,20}",
    ];
    let value = prop_oneof![
        Just(b"application/x-www-form-urlencoded".to_vec()),
        Just(b"application/json".to_vec()),
        Just(b"gzip".to_vec()),
        Just(b"chunked".to_vec()),
        Just(b"100-continue".to_vec()),
        "[0-9]{1,20}".prop_map(String::into_bytes),
        "[0-9a-f]{64}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..60),
    ];
    (name, value).prop_map(|(name, value)| [name.as_bytes(), b": ", &value, b"\r\n"].concat())
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        "payload=[%0-9a-fA-F{}:+&=]{0,60}".prop_map(String::into_bytes),
        "([0-9a-f]{1,3}\r\n[ -~]{0,20}\r\n){0,4}(0\r\n\r\n)?".prop_map(String::into_bytes),
        r#"\{"(event|item)":[\[{0-9"a-z]{0,30}"#.prop_map(String::into_bytes),
    ]
}

/// Bytes, and whether they are a request.
fn request() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let path = prop_oneof![
        Just("/webhooks/c".to_owned()),
        Just("/webhooks/acme/c?token=%ff%00".to_owned()),
        Just("/webhooks/c/../../etc".to_owned()),
        "/[!-~]{0,40}",
    ];
    let framed = (
        prop_oneof![Just("POST"), Just("GET"), Just("PUT"), Just("BREW")],
        path,
        proptest::collection::vec(head_line(), 0..6),
        body(),
        any::<bool>(),
    );
    let framed = framed.prop_map(|(method, path, lines, body, is_honest)| {
        let length = format!("Content-Length: {}\r\n", body.len());
        let length = if is_honest { &*length } else { "" };
        let start = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{length}");
        let bytes = [start.as_bytes(), &lines.concat(), b"\r\n", &body].concat();
        (bytes, true)
    });
    let bytes = proptest::collection::vec(any::<u8>(), 0..400).prop_map(|bytes| (bytes, false));
    prop_oneof![1 => bytes, 6 => framed]
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_is_refused_and_hurts_nobody() {
    let site = Site::new(None, json!({})).await;
    let worker = site
        .serve("serve", &["--role", "receiver", "--body-timeout", "500ms"])
        .await;
    let address = site.address();
    let mut runner = TestRunner::new(Config {
        cases: 600,
        failure_persistence: None,
        ..Config::default()
    });
    let (client, tried) = (reqwest::Client::new(), address.clone());
    tokio::task::spawn_blocking(move || {
        let outcome = runner.run(&request(), |(request, is_request)| {
            if let Some(status) = status(&tried, &request, is_request) {
                prop_assert!(EXPECTED.contains(&status), "{status}");
            }
            Ok(())
        });
        outcome.unwrap();
    })
    .await
    .unwrap();

    // A gigabyte in a megabyte, signed and not; a body in chunks that is larger than allowed.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..80 {
        bomb.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let head = |more: &str| {
        format!(
            "POST /webhooks/c HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n{more}\r\n"
        )
    };
    let gzip = format!(
        "Content-Encoding: gzip\r\nContent-Length: {}\r\n",
        bomb.len()
    );
    let unsigned = [head(&gzip).as_bytes(), &bomb].concat();
    assert_eq!(status(&address, &unsigned, true), Some(401));
    let signed = site.sign_bytes("bomb", bomb.clone().into());
    let signature = signed["x-signature"].to_str().unwrap();
    let lines = format!("{gzip}X-Signature: {signature}\r\n");
    assert_eq!(
        status(&address, &[head(&lines).as_bytes(), &bomb].concat(), true),
        Some(413)
    );
    let mut chunked = head("Transfer-Encoding: chunked\r\n").into_bytes();
    for _ in 0..30 {
        chunked.extend_from_slice(b"1000\r\n");
        chunked.extend_from_slice(&[b'x'; 0x1000]);
        chunked.extend_from_slice(b"\r\n");
    }
    assert!(matches!(status(&address, &chunked, true), Some(413) | None));
    let endless = head("Transfer-Encoding: chunked\r\n") + "fffffffffffffffff\r\n";
    assert!(matches!(
        status(&address, endless.as_bytes(), true),
        Some(400) | None
    ));

    // It still works, and nothing of this panicked.
    let fine = json!({ "event": "changed", "item": item(1, 1) });
    assert_eq!(site.deliver(&client, "fine", &fine).await, 200);
    let log = worker.log();
    assert!(!log.contains("panicked"), "{log}");
}
