//! Which servers are accepted, and with which rights and credentials.

use std::time::Duration;

use connector_worker::store::{Renewed, StoreError, StoreOptions};
use tokio::time::sleep;

use super::{HELD, NAME, OUTPUT, acquire, ask, commit, kept, open, subjects, try_open};
use crate::support::redis::{RedisServer, free_port};

#[tokio::test]
async fn a_redis_that_may_evict_is_refused() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let error = try_open(&server.url(), &StoreOptions::default())
        .await
        .unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, StoreError::Misconfigured(_)), "{error:?}");
    for part in [
        "allkeys-lru",
        "maxmemory-policy noeviction",
        "--allow-eviction",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let options = StoreOptions {
        allow_eviction: true,
        ..StoreOptions::default()
    };
    try_open(&server.url(), &options).await.unwrap();
}

#[tokio::test]
async fn credentials_are_never_shown() {
    let server = RedisServer::start_with(&["--requirepass", "right-secret"]);
    let with = |password: &str| {
        server
            .url()
            .replace("redis://", &format!("redis://:{password}@"))
    };
    let error = try_open(&with("wrong-secret"), &StoreOptions::default())
        .await
        .unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("password"), "{shown}");
    assert!(!shown.contains("wrong-secret"), "{shown}");
    let error = try_open(&server.url(), &StoreOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Misconfigured(_)), "{error:?}");
    let store = open(&with("right-secret")).await;
    let shown = format!("{store:?} {}", store.address());
    assert!(!shown.contains("right-secret"), "{shown}");
}

/// Where the certificates of these tests are.
const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls");

fn tls_server() -> (RedisServer, String) {
    let port = free_port();
    let server = RedisServer::start_with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &format!("{CERTIFICATES}/server.pem"),
        "--tls-key-file",
        &format!("{CERTIFICATES}/server.key"),
        "--tls-auth-clients",
        "no",
    ]);
    (server, format!("rediss://127.0.0.1:{port}"))
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_refused() {
    let (_server, url) = tls_server();
    let error = try_open(&url, &StoreOptions::default()).await.unwrap_err();
    let cause = format!("{error:?}");
    assert!(cause.contains("UnknownIssuer"), "{cause}");
}

#[test]
fn an_authority_named_in_the_environment_is_trusted() {
    // The environment of this process cannot be changed while tests run beside each other.
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "redis_store::trust::over_tls_everything_works",
            "--ignored",
        ])
        .env("SSL_CERT_FILE", format!("{CERTIFICATES}/authority.pem"))
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && shown.contains("1 passed"),
        "{shown}"
    );
}

#[tokio::test]
#[ignore = "run by an_authority_named_in_the_environment_is_trusted"]
async fn over_tls_everything_works() {
    let (_server, url) = tls_server();
    let store = open(&url).await;
    let (lease, _) = acquire(&*store).await;
    assert_eq!(store.renew(&lease, 0).await.unwrap(), Renewed::Held);
    let keys: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for sequence in 1..=3 {
        let answer = store.commit(&lease, &commit(sequence, &keys)).await;
        assert_eq!(answer.unwrap(), HELD);
    }
    assert_eq!(subjects(&*store).await.len(), 900);
    store.release(&lease).await.unwrap();
}

#[tokio::test]
async fn the_documented_rights_are_enough() {
    let server = RedisServer::start();
    let mut redis = server.connection();
    let rights = "+@read +@write +@transaction +@scripting +@connection +@pubsub +info";
    let _: String = ask(
        &mut redis,
        &format!("ACL SETUSER worker on >pw ~acme:* &acme:lease:released:* {rights}"),
    );
    let url = server.url().replace("redis://", "redis://worker:pw@");
    let options = StoreOptions {
        key_prefix: "acme:".to_owned(),
        ..StoreOptions::default()
    };
    let store = try_open(&url, &options).await.unwrap();
    let (lease, _) = acquire(&*store).await;
    assert_eq!(
        store.commit(&lease, &commit(1, &["a"])).await.unwrap(),
        HELD
    );
    assert_eq!(store.renew(&lease, 1).await.unwrap(), Renewed::Held);
    store.trim(OUTPUT).await.unwrap();
    assert_eq!(kept(&*store).await.len(), 1);
    assert_eq!(store.leases().await.unwrap().len(), 1);
    let (heard, ()) = tokio::join!(store.released(NAME), async {
        sleep(Duration::from_millis(200)).await;
        store.release(&lease).await.unwrap();
    });
    heard.unwrap();
    let (lease, _) = acquire(&*store).await;
    store.reset_state(&lease, None).await.unwrap();
    assert_eq!(subjects(&*store).await, ["a"]);
}
