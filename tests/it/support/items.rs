//! A provider of numbered items whose versions only grow.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use super::api::Api;

/// Items on a page.
pub const PAGE: usize = 20;

/// A manifest that lists all items, page by page.
pub const MANIFEST: &str = r#"
version: 7.0.0
type: DeclarativeSource
check: { type: CheckStream, stream_names: [items] }
streams:
  - type: DeclarativeStream
    name: items
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url_base: "{{ config['base_url'] }}"
        path: /items
        http_method: GET
      record_selector:
        type: RecordSelector
        extractor: { type: DpathExtractor, field_path: [] }
      paginator:
        type: DefaultPaginator
        page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: page }
        pagination_strategy: { type: PageIncrement, start_from_page: 1, page_size: 20, inject_on_first_request: true }
    schema_loader: { type: InlineSchemaLoader, schema: { type: object, properties: {} } }
spec:
  type: Spec
  connection_specification:
    type: object
    required: [base_url]
    properties:
      base_url: { type: string, title: Address }
      token: { type: string, title: Token, airbyte_secret: true }
metadata:
  connector: { id: items, version: 1.0.0 }
"#;

/// The provider; ends with its handle.
pub struct Items {
    versions: Arc<Mutex<Vec<u64>>>,
    api: Api,
}

impl Items {
    /// `count` items in version 0.
    pub async fn start(count: usize) -> Self {
        let versions = Arc::new(Mutex::new(vec![0; count]));
        let router = Router::new()
            .route("/items", get(list))
            .with_state(versions.clone());
        Self {
            versions,
            api: Api::start(router).await,
        }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.api.url
    }

    /// Gives item `index` its next version.
    pub fn bump(&self, index: usize) {
        let mut versions = self.versions.lock().unwrap();
        let index = index % versions.len();
        versions[index] += 1;
    }

    /// The version of every item now.
    pub fn versions(&self) -> Vec<u64> {
        self.versions.lock().unwrap().clone()
    }
}

async fn list(
    State(versions): State<Arc<Mutex<Vec<u64>>>>,
    Query(query): Query<HashMap<String, String>>,
) -> impl IntoResponse {
    let page: usize = query
        .get("page")
        .and_then(|page| page.parse().ok())
        .unwrap_or(1);
    let mut body = String::from("[");
    for (id, version) in versions
        .lock()
        .unwrap()
        .iter()
        .enumerate()
        .skip((page - 1) * PAGE)
        .take(PAGE)
    {
        let comma = if body.len() > 1 { "," } else { "" };
        write!(
            body,
            "{comma}{{\"id\":{id},\"v\":{version},\"text\":\"{}\"}}",
            "x".repeat(200)
        )
        .unwrap();
    }
    body.push(']');
    ([(header::CONTENT_TYPE, "application/json")], body)
}
