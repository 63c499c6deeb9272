//! `connector-worker airbyte …` from the outside: protocol lines, requests and exit status.

use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::worker::BINARY;

const MANIFEST: &str = r##"
type: DeclarativeSource
version: 6.0.0
check:
  type: CheckStream
  stream_names: [projects]
definitions:
  requester:
    type: HttpRequester
    url_base: "{{ config['base_url'] }}"
    http_method: GET
    authenticator:
      type: BearerAuthenticator
      api_token: "{{ config['token'] }}"
  selector:
    type: RecordSelector
    extractor: {type: DpathExtractor, field_path: [items]}
  projects:
    type: DeclarativeStream
    name: projects
    primary_key: id
    schema_loader:
      type: InlineSchemaLoader
      schema: {type: object, properties: {id: {type: integer}}}
    retriever:
      type: SimpleRetriever
      requester: {$ref: "#/definitions/requester", path: projects}
      record_selector: {$ref: "#/definitions/selector"}
      paginator:
        type: DefaultPaginator
        page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: page}
        pagination_strategy: {type: PageIncrement, page_size: 2, start_from_page: 1}
streams:
- $ref: "#/definitions/projects"
- type: DeclarativeStream
  name: tasks
  schema_loader: {type: InlineSchemaLoader, schema: {type: object, properties: {}}}
  incremental_sync:
    type: DatetimeBasedCursor
    cursor_field: updated
    datetime_format: "%Y-%m-%d"
    start_datetime: "2026-01-01"
    start_time_option: {type: RequestOption, inject_into: request_parameter, field_name: since}
  retriever:
    type: SimpleRetriever
    requester: {$ref: "#/definitions/requester", path: "tasks/{{ stream_partition.project }}"}
    record_selector: {$ref: "#/definitions/selector"}
    partition_router:
      type: SubstreamPartitionRouter
      parent_stream_configs:
      - type: ParentStreamConfig
        stream: {$ref: "#/definitions/projects"}
        parent_key: id
        partition_field: project
- type: DeclarativeStream
  name: secrets
  schema_loader: {type: InlineSchemaLoader, schema: {type: object, properties: {}}}
  retriever:
    type: SimpleRetriever
    requester: {$ref: "#/definitions/requester", path: forbidden}
    record_selector: {$ref: "#/definitions/selector"}
spec:
  type: Spec
  connection_specification:
    type: object
    required: [base_url, token]
    properties:
      base_url: {type: string}
      token: {type: string, airbyte_secret: true}
"##;

/// Three projects on two pages, one task each, and a door that stays shut.
async fn api(State(log): State<Log>, uri: Uri, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    log.lock().unwrap().push(format!("{}?{query}", uri.path()));
    let body = match (uri.path(), query.as_str()) {
        ("/projects", "") => {
            "{\"items\": [\n {\"id\": 1, \"note\": null},\n {\"id\": 2, \"big\": 36893488147419103232}]}"
                .to_owned()
        }
        ("/projects", _) => r#"{"items": [{"id": 3, "price": 1.50}]}"#.to_owned(),
        ("/forbidden", _) => return (StatusCode::FORBIDDEN, "no").into_response(),
        (path, _) => {
            let project = path.rsplit('/').next().unwrap();
            format!(r#"{{"items":[{{"id":"t{project}","updated":"2026-02-0{project}"}}]}}"#)
        }
    };
    body.into_response()
}

type Log = Arc<Mutex<Vec<String>>>;

pub(crate) struct Site {
    pub(crate) directory: TempDir,
    log: Log,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let log = Log::default();
        let router = axum::Router::new().fallback(api).with_state(log.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        let site = Self {
            directory: tempfile::tempdir().unwrap(),
            log,
        };
        site.write("manifest.yaml", MANIFEST);
        let config = json!({"base_url": address, "token": "t0ken-of-the-test"});
        site.write("config.json", &config.to_string());
        site
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
        let Output { status, stdout, .. } = tokio::process::Command::new(BINARY)
            .arg("airbyte")
            .args(arguments)
            .current_dir(self.path())
            .env("CONNECTOR_WORKER_NOW", "2026-03-01T00:00:00Z")
            .env("CONNECTOR_WORKER_MAX_BACKOFF_MS", "1")
            .env_remove("CONNECTORS_CONFIG_PATH")
            .output()
            .await
            .unwrap();
        let lines = String::from_utf8(stdout).unwrap();
        let messages = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        (status.code(), messages.collect())
    }

    pub(crate) async fn read(
        &self,
        streams: &[&str],
        state: Option<&Value>,
    ) -> (Option<i32>, Vec<Value>) {
        let configured: Vec<Value> = streams
            .iter()
            .map(|name| json!({"stream": {"name": name}, "sync_mode": "full_refresh"}))
            .collect();
        self.write("catalog.json", &json!({"streams": configured}).to_string());
        let mut arguments = vec!["read", "--catalog", "catalog.json"];
        arguments.extend(FILES);
        if let Some(state) = state {
            self.write("state.json", &state.to_string());
            arguments.extend(["--state", "state.json"]);
        }
        self.log.lock().unwrap().clear();
        self.run(&arguments).await
    }
}

pub(crate) const FILES: [&str; 4] = [
    "--config",
    "config.json",
    "--manifest-path",
    "manifest.yaml",
];

pub(crate) fn of_type<'m>(messages: &'m [Value], kind: &str) -> Vec<&'m Value> {
    let is = |message: &&Value| message["type"] == kind;
    messages.iter().filter(is).collect()
}

pub(crate) fn records(messages: &[Value]) -> Vec<&Value> {
    let records = of_type(messages, "RECORD").into_iter();
    records.map(|message| &message["record"]["data"]).collect()
}

/// The last state of each stream, as the next read wants it.
fn states(messages: &[Value]) -> Value {
    let mut last = serde_json::Map::new();
    for message in of_type(messages, "STATE") {
        let stream = &message["state"]["stream"];
        let name = stream["stream_descriptor"]["name"].as_str().unwrap();
        last.insert(name.to_owned(), json!({"type": "STREAM", "stream": stream}));
    }
    last.into_iter().map(|(_, state)| state).collect()
}

pub(crate) fn statuses(messages: &[Value]) -> Vec<String> {
    let traces = of_type(messages, "TRACE").into_iter();
    traces
        .filter(|trace| trace["trace"]["type"] == "STREAM_STATUS")
        .map(|trace| {
            let status = &trace["trace"]["stream_status"];
            let name = status["stream_descriptor"]["name"].as_str().unwrap();
            format!("{name} {}", status["status"].as_str().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn a_catalog_and_a_specification_are_printed() {
    let site = Site::new().await;
    let mut arguments = vec!["discover"];
    arguments.extend(FILES);
    let (code, messages) = site.run(&arguments).await;
    assert_eq!(code, Some(0), "{messages:?}");
    let catalog = &of_type(&messages, "CATALOG")[0]["catalog"]["streams"];
    assert_eq!(
        catalog[0],
        json!({
            "name": "projects",
            "json_schema": {"type": "object", "properties": {"id": {"type": "integer"}}},
            "supported_sync_modes": ["full_refresh"],
            "source_defined_primary_key": [["id"]],
            "is_resumable": false,
            "is_file_based": false,
        })
    );
    assert_eq!(catalog[1]["default_cursor_field"], json!(["updated"]));
    assert_eq!(
        catalog[1]["supported_sync_modes"],
        json!(["full_refresh", "incremental"])
    );
    let (code, messages) = site.run(&["spec"]).await;
    let spec = &messages[0]["spec"]["connectionSpecification"];
    assert_eq!(code, Some(0));
    assert_eq!(spec["required"], json!(["__injected_declarative_manifest"]));
    let own = ["spec", "--manifest-path", "manifest.yaml"];
    let (_, messages) = site.run(&own).await;
    let spec = &messages[0]["spec"]["connectionSpecification"];
    assert_eq!(spec["required"], json!(["base_url", "token"]));
}

#[tokio::test]
async fn a_check_that_fails_is_an_answer() {
    let site = Site::new().await;
    let mut arguments = vec!["check"];
    arguments.extend(FILES);
    let (code, messages) = site.run(&arguments).await;
    assert_eq!(code, Some(0));
    assert_eq!(messages[0]["connectionStatus"]["status"], "SUCCEEDED");
    // One page says enough.
    assert_eq!(*site.log.lock().unwrap(), ["/projects?"]);

    let refused = MANIFEST.replace("stream_names: [projects]", "stream_names: [secrets]");
    site.write("manifest.yaml", &refused);
    let (code, messages) = site.run(&arguments).await;
    assert_eq!(code, Some(0));
    let status = &messages[0]["connectionStatus"];
    assert_eq!(status["status"], "FAILED");
    let message = status["message"].as_str().unwrap();
    assert!(
        message.contains("403") && !message.contains("t0ken"),
        "{message}"
    );

    site.write("config.json", r#"{"token": "t0ken-of-the-test"}"#);
    let (code, messages) = site.run(&arguments).await;
    assert_eq!(code, Some(0));
    let message = messages[0]["connectionStatus"]["message"].as_str().unwrap();
    assert!(
        message.contains("base_url") && !message.contains("t0ken"),
        "{message}"
    );
}

#[tokio::test]
async fn records_come_out_as_the_reference_spells_them() {
    let site = Site::new().await;
    let (code, messages) = site.read(&["projects"], None).await;
    assert_eq!(code, Some(0));
    assert_eq!(
        records(&messages),
        [
            &json!({"id": 1}),
            &json!({"id": 2, "big": 36_893_488_147_419_103_232.0}),
            &json!({"id": 3, "price": 1.5}),
        ]
    );
    assert_eq!(
        *site.log.lock().unwrap(),
        ["/projects?", "/projects?page=2"]
    );
    let state = &of_type(&messages, "STATE")[0]["state"];
    assert_eq!(
        state["stream"]["stream_state"],
        json!({"__ab_no_cursor_state_message": true})
    );
    assert_eq!(state["sourceStats"]["recordCount"], json!(3.0));
    assert_eq!(
        statuses(&messages),
        ["projects STARTED", "projects RUNNING", "projects COMPLETE"]
    );
}

#[tokio::test]
async fn a_partitioned_stream_goes_on_from_its_state() {
    let site = Site::new().await;
    let (code, messages) = site.read(&["tasks"], None).await;
    assert_eq!(code, Some(0));
    assert_eq!(records(&messages).len(), 3);
    let states = states(&messages);
    let state = &states[0]["stream"]["stream_state"];
    assert_eq!(state["use_global_cursor"], json!(false));
    assert_eq!(state["state"], json!({"updated": "2026-02-03"}));
    assert_eq!(state["parent_state"], json!({}));
    assert_eq!(
        state["states"][1],
        json!({
            "partition": {"parent_slice": {}, "project": 2},
            "cursor": {"updated": "2026-02-02"},
        })
    );
    let (code, _) = site.read(&["tasks"], Some(&states)).await;
    assert_eq!(code, Some(0));
    let log = site.log.lock().unwrap();
    assert!(
        log.contains(&"/tasks/2?since=2026-02-02".to_owned()),
        "{log:?}"
    );
}

#[tokio::test]
async fn a_stream_that_fails_does_not_stop_the_others() {
    let site = Site::new().await;
    let (code, messages) = site.read(&["secrets", "gone", "projects"], None).await;
    assert_eq!(code, Some(1));
    assert_eq!(
        statuses(&messages),
        [
            "secrets STARTED",
            "secrets INCOMPLETE",
            "gone INCOMPLETE",
            "projects STARTED",
            "projects RUNNING",
            "projects COMPLETE",
        ]
    );
    let errors = of_type(&messages, "TRACE").into_iter();
    let errors: Vec<&Value> = errors
        .filter(|trace| trace["trace"]["type"] == "ERROR")
        .map(|trace| &trace["trace"]["error"])
        .collect();
    assert_eq!(errors[0]["stream_descriptor"]["name"], "secrets");
    assert_eq!(errors[0]["failure_type"], "config_error");
}

#[tokio::test]
async fn what_cannot_start_says_why_on_stdout() {
    let site = Site::new().await;
    for (arguments, part) in [
        (
            &["discover", "--config", "nowhere.json"][..],
            "nowhere.json",
        ),
        (&["discover", "--config", "config.json"], "--manifest-path"),
    ] {
        let (code, messages) = site.run(arguments).await;
        assert_eq!(code, Some(1));
        let error = messages[0]["trace"]["error"]["message"].as_str().unwrap();
        assert!(error.contains(part), "{error}");
    }
    let (code, messages) = site.run(&["read", "--config", "config.json"]).await;
    assert_eq!((code, messages.len()), (Some(2), 0));
}
