//! What a command line may say, what help and lists tell, and how mistakes end.

use std::fs;

use serde_json::json;

use super::*;

#[test]
fn validate_tells_what_keeps_a_stream_of_a_manifest_from_working() {
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), "http://127.0.0.1:9");
    let broken = MANIFEST.replace("config['base_url']", "confg['base_url']");
    fs::write(directory.path().join("items.yaml"), broken).unwrap();
    let output = std::process::Command::new(BINARY)
        .arg("validate")
        .current_dir(directory.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("items.yaml:13:23: error: "), "{told}");
    assert!(told.contains("did you mean config?"), "{told}");
    // Other streams may be read all the same.
    assert!(output.status.success(), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_are_about_the_connectors_that_were_asked_for() {
    let (directory, items, worker) = site().await;
    let entry = |name: &str, enabled: bool| {
        json!({
            "name": name, "type": "MANIFEST", "manifest": "items.yaml", "enabled": enabled,
            "leaseTtlSeconds": if enabled { 30 } else { 5 }, "requestTimeoutMs": 15000,
            "providerConfig": { "baseUrl": items.url() },
        })
    };
    let config = json!({ "connectors": [entry("a", true), entry("b", false)] });
    fs::write(directory.path().join("connectors.json"), config.to_string()).unwrap();
    let all = code(&worker, "validate", 0);
    assert!(all.log.contains("leaseTtlSeconds"), "{}", all.log);
    assert!(
        all.out.contains("(1 connector to run, 1 disabled)"),
        "{}",
        all.out
    );
    for one in ["validate --name a", "check a", "--name a status -o json"] {
        let ran = worker.run(&one.split(' ').collect::<Vec<_>>());
        assert!(!ran.log.contains("leaseTtlSeconds"), "{one}: {}", ran.log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_variable_is_none() {
    let (_directory, _items, mut worker) = site().await;
    for variable in [
        "CONNECTOR_NAME",
        "CONNECTOR_STORE",
        "CONNECTORS_CONFIG_PATH",
    ] {
        worker = worker.env(variable, "");
    }
    let worker = worker.env("CONNECTOR_WORKER_HTTP_ADDR", "");
    for command in [
        "validate --name a",
        "--name a validate",
        "validate",
        "poll a",
    ] {
        code(&worker, command, 0);
    }
    code(&worker, "status --name a", 1);
    code(&worker, "status --name=", 2);
    code(&worker.env("CONNECTOR_NAME", "b, "), "validate --name a", 0);
}

#[test]
fn options_that_a_command_does_not_read_are_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    let worker = Worker::new(directory.path());
    for unread in [
        "demo --config nowhere.json --for 0s",
        "demo --allow-eviction --for 0s",
        "leases list --config nowhere.json",
        "tail --config nowhere.json --count 0",
    ] {
        let ran = code(&worker, unread, 0);
        assert!(ran.log.contains("has no meaning for"), "{}", ran.log);
    }
    let help = code(&worker, "demo --help", 0).out;
    assert!(
        !help.contains("--config") && !help.contains("store.db"),
        "{help}"
    );
    code(
        &worker.env("CONNECTORS_CONFIG_PATH", "nowhere.json"),
        "leases list",
        0,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_say_what_is_wrong() {
    let (directory, items, worker) = site().await;
    let closed = worker.clone().env("REDIS_URL", "redis://127.0.0.1:1");
    code(&closed, "poll a", 69);
    let unreached = code(&closed, "status", 2).json();
    assert_eq!(unreached[0]["health"], "unhealthy");
    let why = unreached[0]["reasons"][0].as_str().unwrap();
    assert!(why.contains("cannot reach"), "{why}");
    code(&worker, "check a", 0);
    for usage in [
        "--bogus",
        "bogus",
        "poll",
        "--watch poll a",
        "--name a poll a",
        "run --http-addr x",
    ] {
        code(&worker, usage, 2);
    }
    for unknown in [
        "poll b",
        "check b",
        "run --name b",
        "--name b run",
        "--name b",
        "validate --name b",
    ] {
        let ran = code(&worker, unknown, 78);
        assert!(
            ran.log.contains("no connector is named \"b\""),
            "{}",
            ran.log
        );
    }
    drop(items);
    for (status, expected) in [("401 U", 77), ("403 F", 77), ("500 I", 69), ("404 N", 1)] {
        let server = RawServer::start(move |_, _| answer(status, "", "{}")).await;
        configure(directory.path(), server.url.as_str());
        code(&worker, "check a", expected);
        code(&worker, "poll a", expected);
    }
    configure(directory.path(), "http://127.0.0.1:1");
    code(&worker, "check a", 69);
    configure(directory.path(), "${NOT_THERE}");
    let ran = code(&worker, "run", 78);
    assert!(ran.log.contains("connectors.json:1:"), "{}", ran.log);
    assert!(ran.log.contains("NOT_THERE"), "{}", ran.log);
    code(&worker, "status", 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_gives_up_on_a_store_that_stays_away() {
    let (_directory, _items, worker) = site().await;
    code(&worker.env("REDIS_URL", "redis://127.0.0.1:1"), "run", 69);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_may_evict_is_refused() {
    let redis = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let (_directory, _items, worker) = site().await;
    let worker = worker.env("REDIS_URL", &redis.url());
    let ran = code(&worker, "run", 78);
    assert!(ran.log.contains("noeviction"), "{}", ran.log);
    code(&worker, "poll a --allow-eviction", 0);
}

#[test]
fn types_schemas_and_completions_are_printed_without_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let worker = Worker::new(directory.path());
    let types = code(&worker, "connectors list", 0).json();
    let names: Vec<_> = types
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["type"])
        .collect();
    let catalog = connector_worker::source::manifest::catalog::Catalog::load(None).unwrap();
    let kinds: Vec<_> = catalog.kinds().map(|kind| kind.kind.to_string()).collect();
    assert_eq!(names, kinds.iter().collect::<Vec<_>>());
    assert!(
        code(&worker, "connectors list -o table", 0)
            .out
            .starts_with("TYPE")
    );
    let jira = code(&worker, "connectors show JIRA", 0).json();
    assert!(jira["providerConfig"]["properties"]["jql"].is_object());
    assert!(jira["providerConfig"]["properties"]["baseUrl"].is_object());
    let github = code(&worker, "connectors show GITHUB", 0).json();
    let app = json!({
        "name": "app", "keys": ["appId", "privateKey"], "optional": ["installationId"],
    });
    assert_eq!(github["auth"][1], app);
    let shown = code(&worker, "connectors show DATADOG -o table", 0).out;
    for part in ["authentication", "apiKey", "required, secret. API key"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let shown = code(&worker, "connectors show NOAA_WEATHER -o table", 0).out;
    assert!(shown.contains("no credentials"), "{shown}");
    assert!(
        code(&worker, "connectors show NOPE", 2)
            .log
            .contains("GITHUB")
    );
    for schema in ["schema", "schema --signal"] {
        let schema = code(&worker, schema, 0).json();
        assert!(jsonschema::draft202012::meta::is_valid(&schema));
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = code(&worker, &format!("completions {shell}"), 0).out;
        assert!(script.contains("connector-worker"), "{shell}");
    }
}

#[test]
fn help_reads_like_a_page_of_documentation() {
    let help = |arguments: &[&str]| {
        let mut command = std::process::Command::new(BINARY);
        let output = command.args(arguments).env_clear().output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    insta::assert_snapshot!("help", help(&["--help"]));
    insta::assert_snapshot!("help_run", help(&["run", "--help"]));
    insta::assert_snapshot!("help_state_set", help(&["state", "set", "--help"]));
}

#[test]
fn lint_tells_everything_that_is_wrong_with_a_manifest() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shop.yaml");
    let lint = |more: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("connector-worker").unwrap();
        let output = command
            .env_clear()
            .current_dir(directory.path())
            .args(["manifest", "lint", "shop.yaml"])
            .args(more)
            .output()
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), stdout)
    };
    let good = include_str!("../../../docs/creating-connectors.md");
    let (_, good) = good.split_once("```yaml title=my-crm.yaml\n").unwrap();
    let (good, _) = good.split_once("```").unwrap();
    std::fs::write(&file, good).unwrap();
    assert_eq!(lint(&["--deny-warnings"]), (0, String::new()));

    let warned = good.replace(", airbyte_secret: true", "");
    std::fs::write(&file, &warned).unwrap();
    let (code, shown) = lint(&[]);
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains(": warning: token looks like a secret"),
        "{shown}"
    );
    assert_eq!(lint(&["--deny-warnings"]).0, 78);

    let wrong = warned
        .replace("config['token']", "confg['token']")
        .replace("field_path:", "field_paht:");
    std::fs::write(&file, wrong).unwrap();
    let (code, shown) = lint(&[]);
    assert_eq!(code, 78);
    for part in [
        ": error: BearerAuthenticator.api_token uses `confg`",
        ": error: DpathExtractor has no field_path",
        "did you mean field_path?) [unknown-field]",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    let (_, json) = lint(&["-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["errors"], 3);
    assert_eq!(json["findings"][0]["file"], "shop.yaml");
    assert!(json["findings"][0]["line"].is_u64());
}
