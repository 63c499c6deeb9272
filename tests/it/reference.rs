//! The built-in manifests are ordinary ones: airbyte-cdk reads them, too, and finds the same records.
//!
//! Runs where airbyte-cdk is installed: `AIRBYTE_CDK_PYTHON` names a Python that has it, else
//! `python3` is asked.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use connector_worker::json;
use connector_worker::source::manifest::catalog::Catalog;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::worker::BINARY;

/// The entry point of `source-declarative-manifest`.
const REFERENCE: &str = "from airbyte_cdk.cli.source_declarative_manifest import run; run()";

#[tokio::test]
async fn the_built_in_manifests_give_airbyte_cdk_the_same_records() {
    #[expect(
        clippy::disallowed_methods,
        reason = "where the tests find airbyte-cdk"
    )]
    let python = std::env::var("AIRBYTE_CDK_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_cdk = Command::new(&python)
        .args(["-c", "import airbyte_cdk"])
        .stderr(Stdio::null())
        .status()
        .await
        .is_ok_and(|status| status.success());
    if !has_cdk {
        println!("skipped: {python} has no airbyte-cdk (AIRBYTE_CDK_PYTHON names one that has)");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(root.join("config/connectors")).unwrap() {
        let manifest = entry.unwrap().path();
        let name = manifest.file_stem().unwrap().to_str().unwrap().to_owned();
        if Catalog::load_file(&manifest).unwrap().streams.is_empty() {
            println!("{name} is only delivered");
            continue;
        }
        let mut compared = 0;
        for case in cases(&root.join("tests/fixtures/providers").join(&name)) {
            compared += compare(&python, &manifest, &case).await;
        }
        assert!(compared > 0, "{name} gave no record");
    }
}

/// Cases of a provider that show every stream at least once, as few as possible.
fn cases(provider: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(provider)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("responses.json").exists())
        .collect();
    all.sort_by_key(|path| (!path.ends_with("first_poll"), path.clone()));
    let mut seen = BTreeSet::new();
    all.retain(|path| {
        let script = script(path);
        let answers = script["polls"][0].as_array().cloned().unwrap_or_default();
        let are_good = answers
            .iter()
            .all(|one| one["status"].as_u64().unwrap_or(200) < 400);
        // A page that comes again is asked for without end by an engine that has no guard.
        let bodies: Vec<&str> = answers
            .iter()
            .filter_map(|one| one["body"].as_str())
            .collect();
        let are_apart = bodies.iter().collect::<BTreeSet<_>>().len() == bodies.len();
        let has_answers = !answers.is_empty() && are_good && are_apart;
        let streams = match script["streams"].as_array() {
            Some(names) => names.iter().map(ToString::to_string).collect(),
            None => vec!["all".to_owned()],
        };
        has_answers
            && streams
                .into_iter()
                .fold(false, |is_new, name| seen.insert(name) | is_new)
    });
    all
}

fn script(case: &Path) -> Value {
    let script = std::fs::read_to_string(case.join("responses.json")).unwrap();
    serde_json::from_str(&script).unwrap()
}

/// Reads the streams of one case with both engines; the number of records.
async fn compare(python: &str, manifest: &Path, case: &Path) -> usize {
    let script = script(case);
    let base = serve(case, &script).await;
    let directory = tempfile::tempdir().unwrap();
    let write = |file: &str, value: &Value| {
        let path = directory.path().join(file);
        std::fs::write(&path, value.to_string()).unwrap();
        path.display().to_string()
    };
    let config = script["providerConfig"]
        .to_string()
        .replace("{base}", &base);
    let config = in_snake_case(serde_json::from_str(&config).unwrap());
    // The way to authenticate is chosen by a field whose default only this worker fills in.
    let loaded = Catalog::load_file(manifest).unwrap();
    let config = loaded
        .metadata
        .auth
        .filled_in(json::parse(config.to_string().as_bytes()).unwrap());
    let config = serde_json::from_slice(&config.to_json()).unwrap();
    let manifest = manifest.display().to_string();
    let files = [
        "--config",
        &write("config.json", &config),
        "--manifest-path",
        &manifest,
    ];

    let worker = [BINARY, "airbyte"];
    let reference = [python, "-c", REFERENCE];
    let discovered = messages(&worker, "discover", &files).await;
    let wanted: Vec<&str> = script["streams"]
        .as_array()
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let streams: Vec<Value> = discovered
        .iter()
        .find(|message| message["type"] == "CATALOG")
        .and_then(|message| message["catalog"]["streams"].as_array())
        .unwrap_or_else(|| panic!("{manifest}: no catalog: {discovered:?}"))
        .iter()
        .filter(|stream| wanted.is_empty() || wanted.contains(&stream["name"].as_str().unwrap()))
        .map(|stream| {
            json!({"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"})
        })
        .collect();
    let catalog = write("catalog.json", &json!({ "streams": streams }));
    let [config, config_file, path, manifest_file] = files;
    let files = [
        config,
        config_file,
        path,
        manifest_file,
        "--catalog",
        &catalog,
    ];
    let ours = Outcome::of(&messages(&worker, "read", &files).await);
    // The same manifest, with the ways to authenticate that stand beside the format written into
    // it: airbyte-cdk does not look for them there.
    let portable = serde_json::from_slice(&loaded.document.to_value().to_json()).unwrap();
    let portable = write("manifest.yaml", &without_own_authenticators(portable));
    let files = files.map(|file| if *file == *manifest { &portable } else { file });
    let theirs = Outcome::of(&messages(&reference, "read", &files).await);
    assert_eq!(ours, theirs, "{manifest}");
    println!("{}: {} records", case.display(), ours.records.len());
    ours.records.len()
}

/// Authenticators that the format does not have.
const OWN: [&str; 3] = [
    "GithubAppAuthenticator",
    "GoogleServiceAccountAuthenticator",
    "GoogleDefaultAuthenticator",
];

fn without_own_authenticators(mut value: Value) -> Value {
    match &mut value {
        Value::Object(map) => {
            map.retain(|_, value| !OWN.iter().any(|own| value["type"] == *own));
            for value in map.values_mut() {
                *value = without_own_authenticators(value.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = without_own_authenticators(item.take());
            }
        }
        _ => {}
    }
    value
}

/// What must be the same: every record, and how each stream ended.
#[derive(Debug, PartialEq)]
struct Outcome {
    records: BTreeSet<String>,
    ends: BTreeMap<String, String>,
}

impl Outcome {
    fn of(messages: &[Value]) -> Self {
        let mut outcome = Self {
            records: BTreeSet::new(),
            ends: BTreeMap::new(),
        };
        for message in messages {
            let status = &message["trace"]["stream_status"];
            if message["type"] == "RECORD" {
                let (stream, data) = (&message["record"]["stream"], &message["record"]["data"]);
                outcome.records.insert(format!("{stream} {}", sorted(data)));
            } else if let Some(end) = status["status"].as_str() {
                let stream = status["stream_descriptor"]["name"].to_string();
                outcome.ends.insert(stream, end.to_owned());
            }
        }
        outcome
    }
}

/// The same value with the members of every object in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let map: BTreeMap<&String, Value> = map
                .iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect();
            json!(map)
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

async fn messages(engine: &[&str], command: &str, files: &[&str]) -> Vec<Value> {
    let run = Command::new(engine[0])
        .args(&engine[1..])
        .arg(command)
        .args(files)
        .env_remove("CONNECTORS_CONFIG_PATH")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_mins(1), run).await;
    let output = output.expect("an engine asks without end").unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let messages = lines
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    messages.collect()
}

/// Configuration keys as manifests spell them.
fn in_snake_case(value: Value) -> Value {
    let Value::Object(map) = value else {
        return value;
    };
    map.into_iter()
        .map(|(key, value)| {
            let mut snake = String::new();
            for c in key.chars() {
                if c.is_ascii_uppercase() {
                    snake.push('_');
                }
                snake.push(c.to_ascii_lowercase());
            }
            (snake, value)
        })
        .collect()
}

/// A provider that answers what it answers in the case, in whatever order it is asked.
async fn serve(case: &Path, script: &Value) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let mut answers = HashMap::new();
    for exchange in script["polls"][0].as_array().unwrap() {
        let text = |value: &Value| value.as_str().unwrap_or_default().replace("{base}", &base);
        let body = match exchange["body"].as_str() {
            Some(file) => {
                let path = case.join("../bodies").join(file);
                std::fs::read_to_string(path)
                    .unwrap()
                    .replace("{base}", &base)
            }
            None if exchange["json"].is_null() => text(&exchange["text"]),
            None => exchange["json"].to_string().replace("{base}", &base),
        };
        let headers = exchange["headers"].as_object().cloned().unwrap_or_default();
        let answer = Answer {
            status: exchange["status"]
                .as_u64()
                .map_or(200, |status| u16::try_from(status).unwrap()),
            headers: headers
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
            body,
        };
        answers.insert(canonical(&text(&exchange["request"])), answer);
    }
    let router = axum::Router::new()
        .fallback(answer)
        .with_state(Arc::new(answers));
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(async move { drop(axum::serve(listener, router).await) });
    base
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

async fn answer(State(answers): State<Arc<HashMap<String, Answer>>>, request: Request) -> Response {
    let asked = canonical(&format!("{} {}", request.method(), request.uri()));
    let Some(answer) = answers.get(&asked) else {
        eprintln!("nobody said what to answer to {asked}");
        return Response::builder().status(404).body(Body::empty()).unwrap();
    };
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body.clone())).unwrap()
}

/// Method, path and decoded query in one order.
fn canonical(request: &str) -> String {
    let (target, query) = request.split_once('?').unwrap_or((request, ""));
    let pairs: BTreeSet<String> = url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!("{target} {pairs:?}")
}
