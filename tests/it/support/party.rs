//! A provider and issuer in one, which answers as a test says and remembers what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Asked {
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// A field of a form.
    pub fn field(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.body.as_bytes());
        let found = pairs.find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned())
    }
}

/// What to answer: status, headers, body, and how long to wait before.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// Whether the connection ends in the middle of the body.
    pub is_cut: bool,
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    pub delay: Duration,
}

/// A body: text, or JSON.
pub struct Text(String);

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<serde_json::Value> for Text {
    fn from(value: serde_json::Value) -> Self {
        Self(value.to_string())
    }
}

impl Reply {
    pub fn json(body: impl Into<Text>) -> Self {
        Self::status(200, body)
    }

    pub fn status(status: u16, body: impl Into<Text>) -> Self {
        Self {
            status,
            body: body.into().0,
            ..Self::default()
        }
    }

    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    pub fn cut(self) -> Self {
        Self {
            is_cut: true,
            ..self
        }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// Decides on an answer; the number counts requests to the same path, from 0.
type Script = dyn Fn(&Asked, usize) -> Reply + Send + Sync;

/// A running party; gone when dropped.
pub struct Party {
    /// Address without a slash at the end.
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    _serving: JoinSet<()>,
}

impl Party {
    pub async fn start(script: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, script): (_, Arc<Script>) = (asked.clone(), Arc::new(script));
        let router = axum::Router::new().fallback(move |request: Request| {
            let (seen, script) = (seen.clone(), script.clone());
            async move { answer(request, &seen, &*script).await }
        });
        let mut serving = JoinSet::new();
        serving.spawn(async move { drop(axum::serve(listener, router).await) });
        Self {
            url,
            asked,
            _serving: serving,
        }
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Those to one path.
    pub fn asked_at(&self, path: &str) -> Vec<Asked> {
        let all = self.asked();
        all.into_iter().filter(|one| one.path() == path).collect()
    }
}

async fn answer(
    request: Request,
    seen: &Mutex<Vec<Asked>>,
    script: &Script,
) -> axum::response::Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let headers = head.headers.iter().map(|(name, value)| {
        (
            name.as_str().to_owned(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    let asked = Asked {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: headers.collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let reply = {
        let mut seen = seen.lock().unwrap();
        let before = seen.iter().filter(|one| one.path() == asked.path()).count();
        seen.push(asked.clone());
        script(&asked, before)
    };
    tokio::time::sleep(reply.delay).await;
    let mut response = if reply.is_cut {
        let half = Bytes::from(reply.body[..reply.body.len() / 2].to_owned());
        let end = Err(std::io::Error::other("the connection is cut"));
        axum::body::Body::from_stream(futures::stream::iter([Ok(half), end])).into_response()
    } else {
        Bytes::from(reply.body).into_response()
    };
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap();
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
