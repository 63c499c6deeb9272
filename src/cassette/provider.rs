//! A provider that answers what it is told, in order, on a port of this machine.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::Value;
use tokio::task::JoinSet;

use super::script::Exchange;

/// Largest body that is sent to it.
const MAX_BODY_BYTES: usize = 16 << 20;
/// What it answers where nothing was expected: nobody repeats a request because of it.
const UNEXPECTED: u16 = 418;

/// The provider; it ends with the value.
pub(super) struct Provider {
    /// Its address.
    pub(super) base: String,
    course: Arc<Course>,
    _server: JoinSet<()>,
}

#[derive(Default)]
struct Course {
    base: String,
    state: Mutex<Play>,
}

#[derive(Default)]
struct Play {
    exchanges: VecDeque<Exchange>,
    problems: Vec<String>,
}

impl Provider {
    pub(super) async fn start() -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .context("cannot open a port for the cassette's provider")?;
        let base = format!("http://{}", listener.local_addr()?);
        let course = Arc::new(Course {
            base: base.clone(),
            state: Mutex::default(),
        });
        let router = axum::Router::new()
            .fallback(answer)
            .with_state(course.clone());
        let mut server = JoinSet::new();
        server.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "the cassette's provider ended");
            }
        });
        Ok(Self {
            base,
            course,
            _server: server,
        })
    }

    /// What it shall be asked from now on.
    pub(super) fn expect(&self, exchanges: &[Exchange]) {
        self.course.play().exchanges = exchanges.iter().cloned().collect();
    }

    /// What went otherwise than expected since the last call.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut play = self.course.play();
        let mut problems = std::mem::take(&mut play.problems);
        let left = play.exchanges.drain(..);
        problems.extend(left.map(|left| format!("was not asked\n  - {}", left.request)));
        problems
    }
}

impl Course {
    fn play(&self) -> std::sync::MutexGuard<'_, Play> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A text of the cassette, as it is on the wire.
    fn filled(&self, text: &str) -> String {
        let other = self.base.replace("127.0.0.1", "localhost");
        text.replace("{base}", &self.base)
            .replace("{other}", &other)
    }
}

async fn answer(State(course): State<Arc<Course>>, request: Request) -> Response {
    let asked = canonical(&format!("{} {}", request.method(), request.uri()));
    let (request, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY_BYTES)
        .await
        .unwrap_or_default();
    let mut play = course.play();
    let Some(exchange) = play.exchanges.pop_front() else {
        let problem = format!("was asked, and nothing was expected\n  + {asked}");
        play.problems.push(problem);
        return respond(UNEXPECTED, &[], Vec::new());
    };
    let expected = canonical(&course.filled(&exchange.request));
    if asked != expected {
        let problem = format!("was asked something else\n  - {expected}\n  + {asked}");
        play.problems.push(problem);
        return respond(UNEXPECTED, &[], Vec::new());
    }
    for (name, expected) in &exchange.request_headers {
        let sent = request.headers.get(name);
        let sent = sent.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let expected = expected.as_deref().map(|text| course.filled(text));
        if sent != expected {
            play.problems.push(format!(
                "{asked}: header {name}\n  - {}\n  + {}",
                expected.as_deref().unwrap_or("(none)"),
                sent.as_deref().unwrap_or("(none)")
            ));
        }
    }
    if let Some(expected) = &exchange.request_json {
        let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
        if !holds(&sent, expected) {
            let problem = format!("{asked}: body\n  - {expected}\n  + {sent}");
            play.problems.push(problem);
        }
    }
    drop(play);
    let headers: Vec<(String, String)> = exchange
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), course.filled(value)))
        .collect();
    let mut body = match String::from_utf8(exchange.body) {
        Ok(text) => course.filled(&text).into_bytes(),
        // Compressed, say.
        Err(raw) => raw.into_bytes(),
    };
    if let Some(length) = exchange.cut_after {
        body.truncate(length);
    }
    respond(exchange.status, &headers, body)
}

fn respond(status: u16, headers: &[(String, String)], body: Vec<u8>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).unwrap_or_else(|error| {
        tracing::warn!(%error, "an answer of the cassette cannot be sent");
        Response::new(Body::empty())
    })
}

/// Whether `sent` has every member that `expected` has, at every level.
fn holds(sent: &Value, expected: &Value) -> bool {
    match (sent, expected) {
        (Value::Object(sent), Value::Object(expected)) => expected
            .iter()
            .all(|(name, value)| holds(sent.get(name).unwrap_or(&Value::Null), value)),
        _ => sent == expected,
    }
}

/// Method, path and decoded query in one order.
fn canonical(request: &str) -> String {
    let (target, query) = request.split_once('?').unwrap_or((request, ""));
    let mut pairs: Vec<String> = url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.sort();
    if pairs.is_empty() {
        return target.to_owned();
    }
    format!("{target} ? {}", pairs.join(" & "))
}
