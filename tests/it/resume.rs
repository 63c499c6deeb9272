//! A read that fails on its way goes on from there in the next poll.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use connector_worker::client::{Client, ClientConfig};
use connector_worker::clock::Clock;
use connector_worker::connector::ConnectorConfig;
use connector_worker::document::parse_json;
use connector_worker::source::manifest::catalog::Manifest;
use connector_worker::source::manifest::{ManifestSource, Mode};
use connector_worker::source::{Event, Events, Outcome, ReadState, Source as _};
use tokio::task::JoinSet;

use crate::support::scripted::config as defaults;

/// Pages `0`, `a`, `b`, … of each shelf, and what was asked for.
#[derive(Default)]
struct Provider {
    /// Pages that are refused, with what.
    broken: Mutex<HashMap<String, StatusCode>>,
    asked: Mutex<Vec<String>>,
}

async fn page(
    State(provider): State<Arc<Provider>>,
    Query(query): Query<HashMap<String, String>>,
) -> (StatusCode, String) {
    let shelf = query.get("shelf").cloned().unwrap_or_default();
    let token = query.get("token").map_or("0", String::as_str);
    let name = format!("{shelf}{token}");
    provider.asked.lock().unwrap().push(name.clone());
    if let Some(status) = provider.broken.lock().unwrap().get(&name) {
        return (*status, "{}".to_owned());
    }
    let next = match token {
        "0" => r#""a""#,
        "a" => r#""b""#,
        "b" => r#""c""#,
        _ => "null",
    };
    let body = format!(r#"{{"items":[{{"id":"{name}"}}],"next":{next}}}"#);
    (StatusCode::OK, body)
}

struct Shop {
    provider: Arc<Provider>,
    source: ManifestSource,
    state: ReadState,
    _server: JoinSet<()>,
}

impl Shop {
    async fn new(router: &str, strategy: &str) -> Self {
        let provider = Arc::new(Provider::default());
        let app = axum::Router::new()
            .route("/things", axum::routing::get(page))
            .with_state(provider.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move { drop(axum::serve(listener, app).await) });
        let manifest = format!(
            "type: DeclarativeSource
streams:
  - type: DeclarativeStream
    name: things
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester: {{ type: HttpRequester, url_base: '{{{{ config.base_url }}}}', path: things }}
      record_selector: {{ type: RecordSelector, extractor: {{ type: DpathExtractor, field_path: [items] }} }}
      {router}
      paginator:
        type: DefaultPaginator
        page_token_option: {{ type: RequestOption, inject_into: request_parameter, field_name: token }}
        pagination_strategy: {strategy}
"
        );
        let manifest = Manifest::read("things.yaml", &manifest, "things").unwrap();
        let config = ConnectorConfig {
            provider: parse_json("c", &format!("{{\"base_url\":\"{base}\"}}")).unwrap(),
            ..defaults()
        };
        let client = Client::new(ClientConfig {
            max_retries: 0,
            ..ClientConfig::default()
        });
        let source = ManifestSource::build(
            Arc::new(manifest),
            &config,
            client.unwrap(),
            Clock::System,
            Mode::Worker,
        );
        Self {
            provider,
            source,
            state: ReadState::default(),
            _server: server,
        }
    }

    fn breaks(&self, page: &str, status: Option<StatusCode>) {
        let mut broken = self.provider.broken.lock().unwrap();
        match status {
            Some(status) => drop(broken.insert(page.to_owned(), status)),
            None => drop(broken.remove(page)),
        }
    }

    /// Reads once, keeping the state; the pages asked for, and whether anything may be called
    /// deleted.
    async fn poll(&mut self) -> (String, Outcome) {
        self.provider.asked.lock().unwrap().clear();
        let (events, mut incoming) = Events::channel(1);
        let mut fields = Vec::new();
        let mut end = None;
        let read = self.source.read(&self.state, &events);
        let listen = async {
            while let Some(event) = incoming.recv().await {
                match event {
                    Event::Page(page) => fields.extend(page.state),
                    Event::End { outcome, state, .. } => {
                        fields.extend(state);
                        end = Some(outcome);
                        break;
                    }
                    Event::Restart { .. } => panic!("there is no token cursor"),
                }
            }
        };
        tokio::join!(async { read.await.unwrap() }, listen);
        for (key, value) in fields {
            match value {
                Some(value) => drop(self.state.fields.insert(key, value)),
                None => drop(self.state.fields.remove(&key)),
            }
        }
        let asked = self.provider.asked.lock().unwrap().join(" ");
        (asked, end.unwrap())
    }

    fn cursor(&self) -> Option<&String> {
        self.state.fields.get("cursor:things")
    }
}

const BY_TOKEN: &str = "{ type: CursorPagination, cursor_value: '{{ response.next }}', stop_condition: '{{ not response.next }}' }";

#[tokio::test]
async fn a_page_that_a_token_names_is_gone_back_to() {
    let mut shop = Shop::new("", BY_TOKEN).await;
    shop.breaks("c", Some(StatusCode::INTERNAL_SERVER_ERROR));
    let (asked, outcome) = shop.poll().await;
    assert_eq!(asked, "0 a b c");
    assert!(matches!(outcome, Outcome::Incomplete(_)), "{outcome:?}");

    shop.breaks("c", None);
    let (asked, outcome) = shop.poll().await;
    assert_eq!(asked, "b c");
    assert!(matches!(outcome, Outcome::Drifted), "{outcome:?}");
    assert_eq!(shop.cursor(), None);

    let (asked, outcome) = shop.poll().await;
    assert_eq!(asked, "0 a b c");
    assert!(matches!(outcome, Outcome::Complete), "{outcome:?}");
}

#[tokio::test]
async fn a_token_that_the_provider_forgot_means_the_start() {
    let mut shop = Shop::new("", BY_TOKEN).await;
    shop.breaks("b", Some(StatusCode::BAD_GATEWAY));
    assert_eq!(shop.poll().await.0, "0 a b");
    shop.breaks("b", None);
    shop.breaks("a", Some(StatusCode::BAD_REQUEST));
    // The page before the one that failed is asked for, in vain; then the first.
    assert_eq!(shop.poll().await.0, "a 0 a");
    shop.breaks("a", None);
    let (asked, outcome) = shop.poll().await;
    assert_eq!(asked, "0 a b c");
    assert!(matches!(outcome, Outcome::Complete), "{outcome:?}");
}

#[tokio::test]
async fn partitions_that_were_read_are_not_read_again() {
    let router = "partition_router: { type: ListPartitionRouter, values: [x, y, z], cursor_field: shelf, \
                  request_option: { type: RequestOption, inject_into: request_parameter, field_name: shelf } }";
    let mut shop = Shop::new(router, BY_TOKEN).await;
    shop.breaks("yb", Some(StatusCode::INTERNAL_SERVER_ERROR));
    // One that fails keeps no other from being read.
    assert_eq!(shop.poll().await.0, "x0 xa xb xc y0 ya yb z0 za zb zc");
    shop.breaks("yb", None);
    let (asked, outcome) = shop.poll().await;
    assert_eq!(asked, "ya yb yc z0 za zb zc");
    assert!(matches!(outcome, Outcome::Drifted), "{outcome:?}");
    assert_eq!(shop.poll().await.0.split(' ').count(), 12);
}

#[tokio::test]
async fn a_partition_that_keeps_failing_keeps_no_other_from_being_read() {
    let router = "partition_router: { type: ListPartitionRouter, values: [x, y, z], cursor_field: shelf, \
                  request_option: { type: RequestOption, inject_into: request_parameter, field_name: shelf } }";
    let mut shop = Shop::new(router, BY_TOKEN).await;
    shop.breaks("yb", Some(StatusCode::INTERNAL_SERVER_ERROR));
    assert_eq!(shop.poll().await.0, "x0 xa xb xc y0 ya yb z0 za zb zc");
    let (asked, outcome) = shop.poll().await;
    assert_eq!(asked, "ya yb z0 za zb zc");
    assert!(matches!(outcome, Outcome::Incomplete(_)), "{outcome:?}");
    // In vain, so what lies before is not left out again.
    assert_eq!(shop.poll().await.0, "x0 xa xb xc y0 ya yb z0 za zb zc");
}

#[tokio::test]
async fn a_counted_page_is_not_gone_back_to() {
    let strategy = "{ type: CursorPagination, cursor_value: \"{{ response['next'] and (next_page_token['next_page_token'] or 0) + 1 }}\" }";
    let mut shop = Shop::new("", strategy).await;
    shop.breaks("2", Some(StatusCode::INTERNAL_SERVER_ERROR));
    let first = shop.poll().await.0;
    assert_eq!(shop.cursor(), None, "{first}");
    assert!(shop.poll().await.0.starts_with('0'));
}
