//! A handler that reads a request and answers 200: what HTTP alone costs.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::any;
use bytes::Bytes;

/// To a GET it is an API that has nothing to list.
async fn answer(body: Bytes) -> impl IntoResponse {
    if body.is_empty() { "[]" } else { "" }
}

#[tokio::main]
pub async fn serve(address: &str) {
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let router = Router::new().fallback(any(answer));
    axum::serve(listener, router).await.unwrap();
}
