//! A router that answers on a port of its own until its handle is dropped.

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A running API.
pub struct Api {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    _serving: JoinSet<()>,
}

impl Api {
    pub async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            _serving: serving,
        }
    }
}
