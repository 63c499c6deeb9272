//! `webhook send` and `webhook verify`.

use bytes::Bytes;
use connector_worker::webhook::{Delivery, Scheme, sign};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use serde_json::json;

use super::folder;
use crate::support::raw_http::{RawServer, answer};
use crate::support::worker::Worker;

const SECRET: &str = "connector-worker-fixture-secret";

#[test]
fn verify_tells_the_cause_and_no_secret() {
    let home = tempfile::tempdir().unwrap();
    let worker = Worker::new(home.path());
    let recorded = folder().join("github/issues.opened.body");
    let verify = |body: &std::path::Path, secret: &str| {
        let headers = folder().join("github/issues.opened.headers");
        let ran = worker.run(&[
            "webhook",
            "verify",
            body.to_str().unwrap(),
            "--headers",
            headers.to_str().unwrap(),
            "--provider",
            "github",
            "--secret",
            secret,
        ]);
        assert!(
            !ran.out.contains(SECRET) && !ran.log.contains(SECRET),
            "{ran:?}"
        );
        let said = ran.json();
        (ran.code, said["reason"].clone(), said["hints"].to_string())
    };
    assert_eq!(
        verify(&recorded, SECRET),
        (Some(0), json!("accepted"), "[]".to_owned())
    );

    let (code, reason, hints) = verify(&recorded, "another-secret");
    assert_eq!((code, reason), (Some(1), json!("signature_mismatch")));
    assert!(hints.contains("another one"), "{hints}");

    let (_, _, hints) = verify(&recorded, &format!(" {SECRET}"));
    assert!(hints.contains("white space around it"), "{hints}");

    // Signed compact, written down with indentation.
    let spread = home.path().join("spread.body");
    std::fs::write(
        &spread,
        "{\n  \"a\": \"\u{e9}\",\n  \"b\": [\n    1\n  ]\n}",
    )
    .unwrap();
    let scheme = Scheme::preset("stripe").unwrap().remove(0);
    let now = Timestamp::from_second(1_750_000_000).unwrap();
    let body = Bytes::from("{\"a\":\"\u{e9}\",\"b\":[1]}");
    let delivery = Delivery::new(Method::POST, ("/", None), HeaderMap::new(), body, now);
    let signed = sign(&scheme, &SECRET.into(), &delivery, now).unwrap();
    let signature = signed.headers["stripe-signature"].to_str().unwrap();
    let ran = worker.run(&[
        "webhook",
        "verify",
        spread.to_str().unwrap(),
        "--provider",
        "stripe",
        "--secret",
        SECRET,
        "--header",
        &format!("Stripe-Signature: {signature}"),
    ]);
    let hints = ran.json()["hints"].to_string();
    assert!(hints.contains("changed after it was signed"), "{hints}");
}

#[test]
fn a_clock_that_is_off_is_told_apart_from_a_wrong_secret() {
    let home = tempfile::tempdir().unwrap();
    let worker = Worker::new(home.path());
    let body = folder().join("stripe.body");
    let verify = |at: &str| {
        let ran = worker.run(&[
            "webhook",
            "verify",
            body.to_str().unwrap(),
            "--provider",
            "stripe",
            "--secret",
            "webhook_secret",
            "--header",
            "Stripe-Signature: t=1533204620,v1=f0bdba6d4eacbd8ad8a3bbadd7248e633ec1477f7899c124c51b39405fa36613",
            "--at",
            at,
        ]);
        ran.json()["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(verify("2018-08-02T10:10:20Z"), "accepted");
    assert_eq!(verify("2018-08-02T11:10:20Z"), "timestamp_stale");
}

#[tokio::test]
async fn send_signs_what_was_recorded() {
    let home = tempfile::tempdir().unwrap();
    let server = RawServer::start(|_, _| answer("200 OK", "", "{}")).await;
    let body = folder().join("github/issues.opened.body");
    let to = format!("{}webhooks/c", server.url);
    let worker = Worker::new(home.path());
    let path = body.clone();
    let ran = tokio::task::spawn_blocking(move || {
        worker.run(&[
            "webhook",
            "send",
            path.to_str().unwrap(),
            "--to",
            &to,
            "--provider",
            "github",
            "--secret",
            "Some other secret",
            "--id",
            "a-b-c",
        ])
    });
    let ran = ran.await.unwrap();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json()["status"], 200);
    let sent = server.requests().remove(0);
    let sent = sent.to_lowercase();
    assert!(sent.contains("x-github-delivery: a-b-c"), "{sent}");
    assert!(sent.contains("x-github-event: issues"), "{sent}");
    assert!(sent.contains("x-hub-signature-256: sha256="), "{sent}");
}
