//! A secret that a provider quotes back in every answer is seen nowhere outside.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use super::support::raw_http::{RawServer, Step, answer};
use super::support::worker::Worker;

/// With characters that JSON, Rust and addresses each write differently.
const CANARY: &str = r#"c4nary"+/tok\en &%"#;
const EMAIL: &str = "canary-person@example.org";

/// What must never be seen: the secret as it is, as others spell it, and what is made of it.
fn forms() -> Vec<String> {
    let json = serde_json::Value::from(CANARY).to_string();
    vec![
        CANARY.to_owned(),
        json.trim_matches('"').to_owned(),
        "c4nary".to_owned(),
        STANDARD.encode(format!("{EMAIL}:{CANARY}")),
        EMAIL.to_owned(),
    ]
}

fn has_no_secret(place: &str, text: &str) {
    for form in forms() {
        assert!(!text.contains(&form), "{place} shows {form}:\n{text}");
    }
}

/// Answers every request with an error that quotes the request's head and the secret itself.
async fn indiscreet(status: &'static str) -> RawServer {
    RawServer::start(move |_, head| {
        let body = serde_json::json!({ "errorMessages": [head, CANARY], "message": CANARY });
        let mut body = body.to_string();
        if status.starts_with("200") {
            // Cut short: a success that cannot be read.
            body.pop();
        }
        answer(status, "Content-Type: application/json\r\n", body)
    })
    .await
}

fn configure(directory: &Path, server: &RawServer) {
    let configuration = serde_json::json!({ "connectors": [{
        "name": "jira-prod", "type": "JIRA", "pollIntervalMs": 100, "maxRetries": 0,
        "providerConfig": {
            "baseUrl": server.url.as_str(), "email": "${JIRA_EMAIL}", "apiToken": "${JIRA_API_TOKEN}",
        }
    }] });
    std::fs::write(directory.join("connectors.json"), configuration.to_string()).unwrap();
}

fn worker(directory: &Path) -> Worker {
    Worker::new(directory)
        .env("JIRA_EMAIL", EMAIL)
        .env("JIRA_API_TOKEN", CANARY)
        .env("RUST_LOG", "trace")
}

async fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_running_worker_shows_no_secret() {
    for status in ["401 Unauthorized", "400 Bad Request", "500 Oops", "200 OK"] {
        let server = indiscreet(status).await;
        let directory = tempfile::tempdir().unwrap();
        configure(directory.path(), &server);
        let port = free_port().await;
        let address = format!("127.0.0.1:{port}");
        let process = worker(directory.path())
            .env("CONNECTOR_WORKER_HTTP_ADDR", &address)
            .start("worker");

        let began = Instant::now();
        let failed = loop {
            let page = get(port, "/connectors/jira-prod").await.unwrap_or_default();
            if page.contains("\"consecutiveFailures\":") && !page.contains("\"lastError\":null") {
                break page;
            }
            let log = process.log();
            assert!(
                began.elapsed() < Duration::from_mins(1),
                "{status}: {page}\n{log}"
            );
            sleep(Duration::from_millis(50)).await;
        };
        has_no_secret("the connector", &failed);
        for path in [
            "/",
            "/readyz",
            "/metrics",
            "/connectors/health",
            "/metrics/connectors",
        ] {
            has_no_secret(path, &get(port, path).await.unwrap());
        }
        process.signal("USR1");
        process.wait_for_log("state of connector", Duration::from_secs(20));
        let log = process.log();
        assert!(
            log.contains("poll failed for connector jira-prod"),
            "{status}:\n{log}"
        );
        has_no_secret("the log", &log);

        let kept = worker(directory.path())
            .arg("status")
            .command()
            .output()
            .unwrap();
        has_no_secret("status", &String::from_utf8_lossy(&kept.stdout));
        has_no_secret("the log of status", &String::from_utf8_lossy(&kept.stderr));
    }
}

#[tokio::test]
async fn commands_that_fail_show_no_secret() {
    let server = indiscreet("403 Forbidden").await;
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), &server);
    for command in ["check", "preview", "poll"] {
        let worker = worker(directory.path()).arg(command).arg("jira-prod");
        let output = tokio::task::spawn_blocking(move || worker.command().output().unwrap())
            .await
            .unwrap();
        assert!(!output.status.success(), "{command}");
        has_no_secret(command, &String::from_utf8_lossy(&output.stdout));
        has_no_secret(command, &String::from_utf8_lossy(&output.stderr));
    }
    assert!(!server.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_replaced_is_not_shown_by_a_late_answer() {
    let server = RawServer::start(|_, head| {
        let body = serde_json::json!({ "errorMessages": [head, "0ld-c4nary", "n3w-c4nary"] });
        let mut steps = vec![Step::Pause(Duration::from_secs(2))];
        steps.extend(answer("400 Bad Request", "", body.to_string()));
        steps
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let configure = |token: &str| {
        let configuration = serde_json::json!({ "connectors": [{
            "name": "jira-prod", "type": "JIRA", "pollIntervalMs": 100, "maxRetries": 0,
            "providerConfig": {
                "baseUrl": server.url.as_str(), "email": "ops@example.org", "apiToken": token,
            }
        }] });
        std::fs::write(
            directory.path().join("connectors.json"),
            configuration.to_string(),
        )
    };
    configure("0ld-c4nary").unwrap();
    let process = Worker::new(directory.path())
        .env("RUST_LOG", "trace")
        .start("worker");
    let began = Instant::now();
    while server.requests().is_empty() && began.elapsed() < Duration::from_mins(1) {
        sleep(Duration::from_millis(20)).await;
    }
    configure("n3w-c4nary").unwrap();
    process.signal("HUP");
    process.wait_for_log("configuration reloaded", Duration::from_mins(1));
    process.wait_for_log(
        "poll failed for connector jira-prod",
        Duration::from_mins(1),
    );
    let encoded = |token| STANDARD.encode(format!("ops@example.org:{token}"));
    let log = process.log();
    assert!(log.contains("[redacted]"), "{log}");
    for token in ["0ld-c4nary", "n3w-c4nary"] {
        assert!(
            !log.contains(token) && !log.contains(&encoded(token)),
            "{log}"
        );
    }
}
