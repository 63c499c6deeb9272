//! The guide for authors, taken at its word: its files are written, its commands are run.

use std::path::Path;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Blocks of a page: language, title, text.
fn blocks(page: &str) -> Vec<(String, Option<String>, String)> {
    let mut blocks = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once("\n```") {
        let (info, after) = after.split_once('\n').unwrap();
        let (text, after) = after.split_once("\n```").unwrap();
        let mut words = info.split(' ');
        let language = words.next().unwrap_or_default().to_owned();
        let title = words.find_map(|word| word.strip_prefix("title="));
        blocks.push((language, title.map(str::to_owned), format!("{text}\n")));
        rest = after;
    }
    blocks
}

/// The API that the guide is about.
async fn api() -> (String, JoinSet<()>) {
    type Asked = Query<std::collections::HashMap<String, String>>;
    let contacts = |State(page): State<Arc<Value>>, Query(query): Asked| async move {
        let key = query.get("after").map_or("first", String::as_str);
        page[key].to_string()
    };
    let pages = json!({
        "first": { "contacts": [{ "id": 1, "updated_at": "2024-05-01T10:00:00Z" }], "next": "c2" },
        "c2": { "contacts": [{ "id": 2, "updated_at": "2024-05-02T10:00:00Z" }] },
    });
    let router = axum::Router::new()
        .route("/v1/contacts", get(contacts))
        .with_state(Arc::new(pages));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (base, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_leads_to_published_signals() {
    let page = include_str!("../../docs/creating-connectors.md");
    let directory = tempfile::tempdir().unwrap();
    let mut written = 0;
    for (_, title, text) in blocks(page) {
        if let Some(title) = title {
            let path = directory.path().join(title);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
            written += 1;
        }
    }
    assert_eq!(written, 4);
    let (base, _server) = api().await;
    let commands: Vec<String> = blocks(page)
        .into_iter()
        .filter(|(language, ..)| language == "console")
        .flat_map(|(_, _, text)| {
            let lines = text.lines().map(str::to_owned);
            lines.collect::<Vec<_>>()
        })
        .filter_map(|line| line.strip_prefix("$ connector-worker ").map(str::to_owned))
        .collect();
    let mut shown = String::new();
    for command in &commands {
        let (arguments, file) = match command.split_once(" > ") {
            Some((arguments, file)) => (arguments, Some(file)),
            None => (command.as_str(), None),
        };
        let stdout = run(directory.path(), &base, arguments).await;
        match file {
            Some(file) => std::fs::write(directory.path().join(file), stdout).unwrap(),
            None => shown.push_str(&stdout),
        }
    }
    assert_eq!(commands.len(), 8, "{commands:?}");
    for part in [
        "ok       my-crm.cassettes/changes",
        "\"type\":\"my_crm.contacts.created\"",
        "\"published\": 2",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
}

async fn run(directory: &Path, base: &str, arguments: &str) -> String {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_connector-worker"))
        .args(arguments.split(' '))
        .current_dir(directory)
        .env_clear()
        .env("CRM_URL", base)
        .env("CRM_TOKEN", "t0ken")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// The components that the guide shows without a manifest around them.
#[test]
fn what_the_guide_shows_in_pieces_is_right() {
    let page = include_str!("../../docs/creating-connectors.md");
    let manifest = blocks(page)
        .into_iter()
        .find(|(_, title, _)| title.as_deref() == Some("my-crm.yaml"))
        .unwrap()
        .2;
    let pieces: Vec<String> = blocks(page)
        .into_iter()
        .filter(|(language, title, _)| language == "yaml" && title.is_none())
        .map(|(_, _, text)| text)
        // Those of the metadata have streams of their own; recorded cases play the like.
        .filter(|text| text.starts_with("error_handler:"))
        .collect();
    assert_eq!(pieces.len(), 1);
    for piece in pieces {
        let lines: Vec<_> = piece
            .lines()
            .map(|line| format!("        {line}\n"))
            .collect();
        let inner = lines.concat();
        let whole = manifest.replacen(
            "        authenticator:\n",
            &format!("{inner}        authenticator:\n"),
            1,
        );
        let findings = connector_worker::source::manifest::lint::lint("m.yaml", &whole, "m");
        assert!(findings.is_empty(), "{findings:?}");
    }
}

#[test]
fn cassettes_of_the_built_in_providers_play_with_the_shipped_binary() {
    for provider in [
        "jira",
        "github",
        "noaa_weather",
        "linear",
        "slack",
        "vertex_ai",
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_connector-worker"))
            .args([
                "manifest",
                "test",
                &format!("config/connectors/{provider}.yaml"),
                &format!("tests/fixtures/providers/{provider}"),
            ])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_clear()
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{stdout}");
        assert!(stdout.lines().count() >= 9, "{stdout}");
    }
}

#[test]
fn a_cassette_that_goes_otherwise_is_shown_as_a_difference() {
    let directory = tempfile::tempdir().unwrap();
    for (_, title, text) in blocks(include_str!("../../docs/creating-connectors.md")) {
        if let Some(title) = title {
            let text = text
                .replace("my_crm.contacts.updated 1", "my_crm.contacts.updated 7")
                .replace("after=c2", "after=c3");
            let path = directory.path().join(title);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }
    let test = |more: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_connector-worker"))
            .args(["manifest", "test", "my-crm.yaml"])
            .args(more)
            .current_dir(directory.path())
            .env_clear()
            .output()
            .unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, shown) = test(&[]);
    assert_eq!(code, 1);
    assert!(
        shown.contains(
            "was asked something else\n    - GET /v1/contacts ? after=c3 & updated_since"
        ),
        "{shown}"
    );
    let responses = directory
        .path()
        .join("my-crm.cassettes/changes/responses.yaml");
    let written = std::fs::read_to_string(&responses).unwrap();
    std::fs::write(&responses, written.replace("after=c3", "after=c2")).unwrap();
    let (code, shown) = test(&[]);
    assert_eq!(code, 1);
    assert!(
        shown.contains("-         \"my_crm.contacts.updated 7\"\n"),
        "{shown}"
    );
    assert!(
        shown.contains("+         \"my_crm.contacts.updated 1\"\n"),
        "{shown}"
    );
    assert_eq!(test(&["--update"]).0, 0);
    assert_eq!(test(&[]).0, 0);
    std::fs::write(&responses, written.replace("polls:", "pols:")).unwrap();
    let (code, shown) = test(&[]);
    assert_eq!(code, 78);
    assert!(
        shown.contains("unknown key pols (did you mean polls?)"),
        "{shown}"
    );
}
