//! `webhook`: signs and sends a recorded delivery, or explains why one is not trusted.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use serde_json::json;

use super::context::Context;
use super::{exit, output};
use crate::cli::{RecordedArgs, SendArgs, VerifyArgs, WebhookCommand};
use crate::client::{
    self, Client, ClientConfig, Judge, Request, Response, TransportError, Verdict,
};
use crate::connector::WebhookSecret;
use crate::source::manifest::catalog::Catalog;
use crate::webhook::{Delivery, Place, Scheme, Unverified, Webhooks, explain, sign};

/// Headers of a recording that belong to its connection.
const OF_CONNECTION: [&str; 6] = [
    "host",
    "content-length",
    "connection",
    "transfer-encoding",
    "accept-encoding",
    "expect",
];

/// Sends or looks into a delivery.
pub(super) async fn webhook(context: &Context, command: WebhookCommand) -> Result<ExitCode> {
    match command {
        WebhookCommand::Send(args) => send(context, &args).await,
        WebhookCommand::Verify(args) => verify(context, &args),
    }
}

async fn send(context: &Context, args: &SendArgs) -> Result<ExitCode> {
    let recorded = Recorded::read(context, &args.recorded)?;
    let Some(scheme) = recorded.scheme() else {
        bail!("the manifest says not how deliveries are signed");
    };
    let now = context.clock.now();
    let delivery = recorded.delivery((args.to.path(), args.to.query()), now);
    let mut delivery = delivery;
    for place in recorded.webhooks.id.places() {
        if let Place::Header(name) = place
            && (args.id.is_some() || !delivery.headers.contains_key(name))
        {
            let id = args.id.clone().unwrap_or_else(new_id);
            let id = HeaderValue::from_str(&id).context("--id cannot stand in a header")?;
            delivery.headers.insert(name.clone(), id);
            break;
        }
    }
    if let Scheme::Signature(signature) = scheme {
        // An id that is signed has a place even where nothing is deduplicated by it.
        for part in &signature.content {
            if let crate::webhook::Content::Header(name) = part
                && !delivery.headers.contains_key(name)
            {
                let id = args.id.clone().unwrap_or_else(new_id);
                let id = HeaderValue::from_str(&id).context("--id cannot stand in a header")?;
                delivery.headers.insert(name.clone(), id);
            }
        }
    }
    let mut signed = sign(scheme, &recorded.secret, &delivery, now)?;
    signed.default_header(&CONTENT_TYPE, "application/json")?;
    signed.default_header(&USER_AGENT, client::USER_AGENT)?;
    let mut url = args.to.clone();
    url.set_query(signed.query.as_deref());
    let request = Request {
        method: Method::POST,
        url,
        headers: signed.headers,
        body: Some(signed.body),
    };
    // A failure is what the sender wants to see, so nothing is repeated.
    let config = ClientConfig {
        max_retries: 0,
        ..ClientConfig::default()
    };
    let response = Client::new(config)?.send(&request, &Anything).await?;
    output::json(&json!({
        "status": response.status.as_u16(),
        "body": String::from_utf8_lossy(&response.body),
    }))?;
    Ok(if response.status.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(exit::FAILURE)
    })
}

/// Takes every answer.
struct Anything;

impl Judge for Anything {
    fn judge(&self, answer: Result<&Response, &TransportError>, _: u32) -> Verdict {
        match answer {
            Ok(_) => Verdict::Accept,
            Err(error) => Verdict::Fail(error.clone().into()),
        }
    }
}

fn verify(context: &Context, args: &VerifyArgs) -> Result<ExitCode> {
    let recorded = Recorded::read(context, &args.recorded)?;
    let now = args.at.unwrap_or_else(|| context.clock.now());
    let (path, query) = match args.path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (&*args.path, None),
    };
    let delivery = recorded.delivery((path, query), now);
    let secrets = std::slice::from_ref(&recorded.secret);
    let finding = explain(&recorded.webhooks, secrets, &delivery, now);
    output::json(&json!({
        "accepted": finding.accepted,
        "reason": finding.reason,
        "message": finding.message,
        "hints": finding.hints,
        "signedAt": recorded.webhooks.signed_at(&delivery).map(|at| at.to_string()),
    }))?;
    Ok(if finding.accepted {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(exit::FAILURE)
    })
}

/// A delivery from files.
struct Recorded {
    webhooks: Webhooks,
    secret: WebhookSecret,
    headers: HeaderMap,
    body: Bytes,
}

impl Recorded {
    fn read(context: &Context, args: &RecordedArgs) -> Result<Self> {
        let webhooks = webhooks_of(context, args)?;
        let secret = match (&args.secret, &args.secret_file) {
            (Some(secret), _) => secret.clone(),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read {}", file.display()))?;
                text.trim_end_matches(['\r', '\n']).to_owned()
            }
            (None, None) => bail!("a secret is needed: --secret or --secret-file"),
        };
        crate::telemetry::register_secret(&secret);
        let body = std::fs::read(&args.file)
            .with_context(|| format!("cannot read {}", args.file.display()))?;
        let mut headers = HeaderMap::new();
        if let Some(file) = args.headers.clone().or_else(|| headers_beside(&args.file)) {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            for (name, value) in pairs(&text, &file)? {
                if !OF_CONNECTION.contains(&&*name.to_ascii_lowercase()) {
                    insert(&mut headers, &name, &value)?;
                }
            }
        }
        for line in &args.header {
            let Some((name, value)) = line.split_once(':') else {
                bail!("--header {line:?} is not of the form Name: value");
            };
            insert(&mut headers, name, value)?;
        }
        Ok(Self {
            webhooks,
            secret: WebhookSecret::from(&*secret),
            headers,
            body: body.into(),
        })
    }

    /// The way to sign that the recording used, else the first.
    fn scheme(&self) -> Option<&Scheme> {
        let used = self.webhooks.schemes.iter().find(|scheme| match scheme {
            Scheme::Signature(signature) => self.headers.contains_key(&signature.header),
            Scheme::Token(token) => {
                matches!(&token.place, Place::Header(name) if self.headers.contains_key(name))
            }
            Scheme::Jwt(_) | Scheme::Oidc(_) => false,
        });
        let mut signable = self.webhooks.schemes.iter();
        used.or_else(|| signable.find(|scheme| !matches!(scheme, Scheme::Oidc(_))))
    }

    fn delivery(&self, target: (&str, Option<&str>), now: Timestamp) -> Delivery<Unverified> {
        let (headers, body) = (self.headers.clone(), self.body.clone());
        Delivery::new(Method::POST, target, headers, body, now)
    }
}

fn webhooks_of(context: &Context, args: &RecordedArgs) -> Result<Webhooks> {
    let manifest = match (&args.manifest, &args.provider) {
        (Some(path), _) => Catalog::load_file(path).map_err(exit::Problems)?,
        (None, Some(provider)) => {
            let name = provider.replace('-', "_");
            if let Some(schemes) = Scheme::preset(&name.to_ascii_lowercase()) {
                return Ok(Webhooks::of_schemes(schemes));
            }
            let catalog = context.catalog().map_err(exit::Problems)?;
            let Some(manifest) = catalog.get(&name.to_ascii_uppercase()) else {
                let kinds = catalog
                    .kinds()
                    .filter(|kind| kind.metadata.webhooks.is_some());
                let kinds: Vec<String> = kinds.map(|kind| kind.kind.to_lowercase()).collect();
                bail!(
                    "no connector type {provider}; with webhooks there are {}, standard_webhooks, svix, stripe",
                    kinds.join(", ")
                );
            };
            manifest.clone()
        }
        (None, None) => bail!("--provider or --manifest must say how deliveries are signed"),
    };
    match &manifest.metadata.webhooks {
        Some(webhooks) => Ok((**webhooks).clone()),
        None => bail!(
            "the manifest of {} has no metadata.connector.webhooks",
            manifest.kind
        ),
    }
}

/// `a.body.json` → `a.headers.json`, `a.body` → `a.headers`, if it is there.
fn headers_beside(file: &Path) -> Option<PathBuf> {
    let name = file.file_name()?.to_str()?;
    let stem = name
        .strip_suffix(".body.json")
        .or_else(|| name.strip_suffix(".body"))?;
    [".headers.json", ".headers"]
        .map(|end| file.with_file_name(format!("{stem}{end}")))
        .into_iter()
        .find(|path| path.is_file())
}

/// Names and values of a JSON object or of `Name: value` lines.
fn pairs(text: &str, file: &Path) -> Result<Vec<(String, String)>> {
    if text.trim_start().starts_with('{') {
        let map: std::collections::BTreeMap<String, String> = serde_json::from_str(text)
            .with_context(|| format!("{} is no object of texts", file.display()))?;
        return Ok(map.into_iter().collect());
    }
    let mut pairs = Vec::new();
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let Some((name, value)) = line.split_once(':') else {
            bail!(
                "{}:{}: not of the form Name: value",
                file.display(),
                number + 1
            );
        };
        pairs.push((name.to_owned(), value.to_owned()));
    }
    Ok(pairs)
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<()> {
    let name: HeaderName = name
        .trim()
        .parse()
        .with_context(|| format!("{:?} is no name of a header", name.trim()))?;
    let value = HeaderValue::from_str(value.trim())
        .with_context(|| format!("the value of {name} cannot stand in a header"))?;
    headers.insert(name, value);
    Ok(())
}

/// A random UUID (version 4).
fn new_id() -> String {
    let bits = rand::random::<u128>() & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
