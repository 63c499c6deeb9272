//! Pages whose numbers are known in advance are fetched several at once where the manifest says
//! so, and arrive in their order all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{Query, State};
use connector_worker::client::{Client, ClientConfig};
use connector_worker::clock::Clock;
use connector_worker::connector::ConnectorConfig;
use connector_worker::document::parse_json;
use connector_worker::source::manifest::catalog::Manifest;
use connector_worker::source::manifest::{ManifestSource, Mode};
use connector_worker::source::{Event, Events, Outcome, ReadState, Source};
use tokio::task::JoinSet;

use crate::support::scripted::config as defaults;

const PAGES: usize = 20;

#[derive(Default)]
struct Provider {
    now: AtomicUsize,
    most: AtomicUsize,
    asked: AtomicUsize,
}

async fn page(
    State(provider): State<Arc<Provider>>,
    Query(query): Query<Vec<(String, String)>>,
) -> String {
    let now = provider.now.fetch_add(1, Ordering::SeqCst) + 1;
    provider.most.fetch_max(now, Ordering::SeqCst);
    provider.asked.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(20)).await;
    provider.now.fetch_sub(1, Ordering::SeqCst);
    let number = query.iter().find(|(name, _)| name == "page");
    let number: usize = number.map_or(0, |(_, value)| value.parse().unwrap());
    let ids = match number {
        number if number < PAGES => vec![number * 2, number * 2 + 1],
        _ => Vec::new(),
    };
    let items: Vec<String> = ids.iter().map(|id| format!("{{\"id\":{id}}}")).collect();
    format!("[{}]", items.join(","))
}

/// Reads the listing; the ids in the order of their arrival, and what the provider saw.
async fn read(level: &str) -> (Vec<String>, Arc<Provider>) {
    let provider = Arc::new(Provider::default());
    let router = axum::Router::new()
        .route("/things", axum::routing::get(page))
        .with_state(provider.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { drop(axum::serve(listener, router).await) });

    let manifest = format!(
        "type: DeclarativeSource
{level}
streams:
  - type: DeclarativeStream
    name: things
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester: {{ type: HttpRequester, url_base: '{{{{ config.base_url }}}}', path: things }}
      record_selector: {{ type: RecordSelector, extractor: {{ type: DpathExtractor, field_path: [] }} }}
      paginator:
        type: DefaultPaginator
        page_token_option: {{ type: RequestOption, inject_into: request_parameter, field_name: page }}
        pagination_strategy: {{ type: PageIncrement, page_size: 2 }}
"
    );
    let manifest = Manifest::read("things.yaml", &manifest, "things").unwrap();
    let config = ConnectorConfig {
        provider: parse_json("c", &format!("{{\"base_url\":\"{base}\"}}")).unwrap(),
        ..defaults()
    };
    let client = Client::new(ClientConfig::default()).unwrap();
    let manifest = Arc::new(manifest);
    let source = ManifestSource::build(manifest, &config, client, Clock::System, Mode::Worker);
    let (events, mut incoming) = Events::channel(1);
    tasks.spawn(async move {
        source.read(&ReadState::default(), &events).await.unwrap();
    });
    let mut ids = Vec::new();
    while let Some(event) = incoming.recv().await {
        match event {
            Event::Page(page) => ids.extend(
                page.records
                    .iter()
                    .map(|record| String::from_utf8(record.to_vec()).unwrap()),
            ),
            Event::End { outcome, .. } => {
                assert!(matches!(outcome, Outcome::Counted), "{outcome:?}");
            }
            Event::Restart { .. } => panic!("there is no cursor"),
        }
    }
    (ids, provider)
}

#[tokio::test]
async fn numbered_pages_are_fetched_together_and_arrive_in_order() {
    let expected: Vec<String> = (0..2 * PAGES)
        .map(|id| format!("{{\"id\":{id}}}"))
        .collect();
    let (ids, provider) =
        read("concurrency_level: { type: ConcurrencyLevel, default_concurrency: 4 }").await;
    assert_eq!(ids, expected);
    let most = provider.most.load(Ordering::SeqCst);
    assert!((2..=4).contains(&most), "{most} at once");

    let (ids, provider) = read("").await;
    assert_eq!(ids, expected);
    assert_eq!(provider.most.load(Ordering::SeqCst), 1);
    assert_eq!(provider.asked.load(Ordering::SeqCst), PAGES + 1);
}
