//! A built-in that may be given no credentials: the real binary finds those of its surroundings.

use serde_json::json;

use crate::support::party::{Party, Reply};
use crate::support::worker::{Ran, Worker};

/// Google as far as it is needed: an issuer, the machine's metadata, one model.
async fn google() -> Party {
    Party::start(|asked, _| {
        let token = |text: &str| json!({ "access_token": text, "expires_in": 3599, "token_type": "Bearer" });
        match asked.path() {
            "/token" if asked.field("refresh_token").as_deref() == Some("1//of-the-user") => {
                Reply::json(token("ya29.user"))
            }
            "/computeMetadata/v1/instance/service-accounts/default/token" => {
                if asked.header("metadata-flavor") != Some("Google") {
                    return Reply::status(403, "no");
                }
                Reply::json(token("ya29.machine")).header("metadata-flavor", "Google")
            }
            _ => match asked.header("authorization") {
                Some("Bearer ya29.user" | "Bearer ya29.machine") => {
                    let name = "projects/1/locations/us-central1/models/7";
                    Reply::json(json!({ "models": [{ "name": name }] }))
                }
                _ => Reply::status(401, json!({ "error": { "code": 401, "message": "who?" } })),
            },
        }
    })
    .await
}

async fn poll(party: &Party, environment: &[(&str, &str)], file: Option<&str>) -> Ran {
    let directory = tempfile::tempdir().unwrap();
    let config = json!({ "connectors": [{ "name": "vertex", "type": "VERTEX_AI", "streams": ["models"],
        "providerConfig": { "project": "acme", "baseUrl": party.url } }] });
    std::fs::write(directory.path().join("connectors.json"), config.to_string()).unwrap();
    let mut worker = Worker::new(directory.path()).env("CONNECTOR_STORE", "memory:");
    for (name, value) in environment {
        worker = worker.env(name, value);
    }
    if let Some(file) = file {
        let path = directory.path().join("credentials.json");
        std::fs::write(&path, file).unwrap();
        worker = worker.env("GOOGLE_APPLICATION_CREDENTIALS", path.to_str().unwrap());
    }
    let ran = tokio::task::spawn_blocking(move || worker.run(&["poll", "vertex"]));
    let ran = ran.await.unwrap();
    assert!(
        !ran.log.contains("ya29.") && !ran.log.contains("1//of-the-user"),
        "{ran:?}"
    );
    ran
}

#[tokio::test(flavor = "multi_thread")]
async fn vertex_ai_uses_what_the_machine_has() {
    let party = google().await;
    let user = json!({ "type": "authorized_user", "client_id": "c", "client_secret": "s",
        "refresh_token": "1//of-the-user", "token_uri": format!("{}/token", party.url) });
    let ran = poll(&party, &[], Some(&user.to_string())).await;
    assert_eq!(
        (ran.code, &ran.json()["published"]),
        (Some(0), &json!(1)),
        "{ran:?}"
    );

    let host = party.url.trim_start_matches("http://");
    let ran = poll(
        &party,
        &[("GCE_METADATA_HOST", host), ("HOME", "/nowhere")],
        None,
    )
    .await;
    assert_eq!(
        (ran.code, &ran.json()["published"]),
        (Some(0), &json!(1)),
        "{ran:?}"
    );

    let external = json!({ "type": "external_account", "credential_source": { "url": party.url } });
    let ran = poll(&party, &[], Some(&external.to_string())).await;
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.log.contains("external_account are not supported"),
        "{ran:?}"
    );
}
