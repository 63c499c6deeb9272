//! An issuer of tokens and the API that takes them: a refresh token is good once, and one that comes
//! again ends the whole family. It can be told to misbehave.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::party::{Asked, Party, Reply};
use super::worker::Worker;

/// Part of every secret.
pub const CANARY: &str = "c4nary";

/// What goes wrong at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trouble {
    #[default]
    None,
    /// It answers 503, and rotates nothing.
    Down,
    /// It rotates, and half of its answer arrives.
    Cut,
    /// The same once; then it is well.
    CutOnce,
    /// A page for people, with status 200.
    Page,
    /// 429 without a word about when.
    Limits,
}

/// What the issuer knows of the one grant.
#[derive(Default)]
pub struct Family {
    /// Rotations so far: the good refresh token is `refresh-c4nary-N`.
    pub generation: usize,
    pub revoked: bool,
    /// Access tokens that are good; those before it are not.
    pub access: usize,
    pub trouble: Trouble,
    /// Whether the refresh token before the good one is forgiven.
    pub forgives: bool,
    /// How long tokens live by the issuer's word, instead of their life.
    pub claims: Option<Value>,
    /// Called when a token was issued, before the answer.
    pub issued: Option<Box<dyn FnMut() + Send>>,
}

pub fn refresh_token(generation: usize) -> String {
    format!("refresh-{CANARY}-{generation}")
}

/// An issuer and API. Tokens live `life` seconds, and the endpoint takes `delay`.
pub async fn strict(life: u64, delay: Duration) -> (Party, Arc<Mutex<Family>>) {
    let family = Arc::new(Mutex::new(Family::default()));
    let shared = family.clone();
    let party = Party::start(move |asked, _| {
        let mut family = shared.lock().unwrap();
        match asked.path() {
            "/token" => issue(&mut family, asked, life).after(delay),
            _ if !family.revoked && is_good(&family, asked) => Reply::json(r#"[{"id":1}]"#),
            _ => Reply::status(401, json!({"error": "invalid_token"})),
        }
    })
    .await;
    (party, family)
}

fn issue(family: &mut Family, asked: &Asked, life: u64) -> Reply {
    match family.trouble {
        Trouble::Down => return Reply::status(503, "down"),
        Trouble::Page => return Reply::json("<html>maintenance</html>"),
        Trouble::Limits => return Reply::status(429, ""),
        Trouble::None | Trouble::Cut | Trouble::CutOnce => {}
    }
    let sent = asked.field("refresh_token");
    let is_forgiven = family.forgives
        && family.generation > 0
        && sent == Some(refresh_token(family.generation - 1));
    if family.revoked || !(is_forgiven || sent == Some(refresh_token(family.generation))) {
        family.revoked = true;
        return Reply::status(400, json!({"error": "invalid_grant"}));
    }
    if !is_forgiven {
        family.generation += 1;
    }
    family.access += 1;
    if let Some(issued) = &mut family.issued {
        issued();
    }
    let life = family.claims.clone().unwrap_or_else(|| life.into());
    let reply = Reply::json(json!({
        "access_token": format!("access-{CANARY}-{}", family.access),
        "refresh_token": refresh_token(family.generation),
        "expires_in": life,
    }));
    match family.trouble {
        Trouble::Cut => reply.cut(),
        Trouble::CutOnce => {
            family.trouble = Trouble::None;
            reply.cut()
        }
        _ => reply,
    }
}

/// The token before the newest is good still: a request may have been on its way.
fn is_good(family: &Family, asked: &Asked) -> bool {
    (family.access.saturating_sub(1)..=family.access).any(|access| {
        asked.header("authorization") == Some(&format!("Bearer access-{CANARY}-{access}"))
    })
}

const MANIFEST: &str = "
type: DeclarativeSource
version: 7.0.0
check: { type: CheckStream, stream_names: [things] }
streams:
  - type: DeclarativeStream
    name: things
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url_base: '{{ config.base_url }}'
        path: /things
        authenticator:
          type: OAuthAuthenticator
          token_refresh_endpoint: '{{ config.base_url }}/token'
          client_id: client
          client_secret: '{{ config.client_secret }}'
          refresh_token: '{{ config.refresh_token }}'
      record_selector: { type: RecordSelector, extractor: { type: DpathExtractor, field_path: [] } }
    schema_loader: { type: InlineSchemaLoader, schema: { type: object, properties: {} } }
spec:
  type: Spec
  connection_specification:
    type: object
    additionalProperties: false
    required: [base_url, client_secret, refresh_token]
    properties:
      base_url: { type: string }
      client_secret: { type: string, airbyte_secret: true }
      refresh_token: { type: string, airbyte_secret: true }
";

pub fn configure(directory: &Path, party: &Party, names: &[&str], refresh: &str) {
    let connectors: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({
                "name": name, "type": "MANIFEST", "manifest": "things.yaml",
                "pollIntervalMs": 100, "maxRetries": 0,
                "providerConfig": {
                    "baseUrl": party.url, "clientSecret": format!("secret-{CANARY}"),
                    "refreshToken": refresh,
                },
            })
        })
        .collect();
    std::fs::write(directory.join("things.yaml"), MANIFEST).unwrap();
    let text = json!({ "connectors": connectors }).to_string();
    std::fs::write(directory.join("connectors.json"), text).unwrap();
}

pub fn worker(directory: &Path, store: &str) -> Worker {
    Worker::new(directory)
        .env("CONNECTOR_STORE", store)
        .env("RUST_LOG", "trace")
}

pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_mins(1), "never: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
