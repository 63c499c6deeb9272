//! Proves address, identity and permissions by asking, without publishing anything.

use super::ManifestSource;
use super::retriever::{self, ParentCache, Probe, Run};
use super::template::Template;
use crate::client::{FetchError, Place, Response, without_query};
use crate::json::{Pointer, Value, get, text_of};
use crate::source::CheckReport;
use crate::source::manifest::datetime::DateTime;
use crate::source::manifest::metadata::{AboutCredentials, HealthCheck};
use crate::source::manifest::slice::StreamSlice;

/// Partitions of a parent that are enough to try the streams below it.
const ENOUGH_PARTITIONS: usize = 5;
/// Credentials that end sooner than this are worth a warning.
const WARN_BEFORE_EXPIRY: jiff::SignedDuration = jiff::SignedDuration::from_hours(14 * 24);

/// The health check of the manifest, then the first page of each stream that the connector reads.
pub(super) async fn check(source: &ManifestSource) -> Result<CheckReport, FetchError> {
    let mut report = CheckReport::default();
    let mut are_known = false;
    if let Some(check) = &source.manifest.metadata.health_check {
        match health(source, check, &mut report).await {
            // An installation may lack what the health check asks for; the streams decide.
            Err(FetchError::Rejected(what)) => report.warnings.push(what),
            Err(error @ FetchError::Forbidden(_)) => report.failed.push(error),
            result => are_known = result?,
        }
    }
    let parents = ParentCache::until(ENOUGH_PARTITIONS);
    let client = source.client.from_reserve();
    for index in source.wanted(&source.checked) {
        let spec = &source.specs[index];
        let Some(built) = &source.streams[index] else {
            let why = spec.unavailable.as_deref().unwrap_or_default();
            report
                .warnings
                .push(format!("stream {} cannot be read: {why}", spec.name));
            continue;
        };
        let run = Run {
            client: &client,
            ..source.run(&spec.name)
        };
        match retriever::probe(&run, &built.parts, &parents).await {
            Ok(Probe::Records(0)) => report.proven.push(format!(
                "stream {} can be read; its first page is empty",
                spec.name
            )),
            Ok(Probe::Records(count)) => report.proven.push(format!(
                "stream {} can be read; its first page holds {count} records",
                spec.name
            )),
            Ok(Probe::NoPartition) => report.warnings.push(format!(
                "stream {} has nothing to read: its parent stream is empty",
                spec.name
            )),
            Ok(Probe::Skipped(why)) => report
                .warnings
                .push(format!("stream {} has nothing to read: {why}", spec.name)),
            // One stream's permission says nothing about the others.
            Err(error @ (FetchError::Forbidden(_) | FetchError::Rejected(_))) => {
                report.failed.push(error);
            }
            // The provider refuses a scope that is missing in the words of a wrong key.
            Err(FetchError::Unauthorized(what)) if are_known => {
                report.failed.push(FetchError::Forbidden(format!(
                    "{what}; but it knows the credentials, so that they lack a permission or a scope"
                )));
            }
            // What was proven before says which of several credentials it is about.
            Err(error @ FetchError::Unauthorized(_)) if !report.proven.is_empty() => {
                report.failed.push(error);
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

/// Sends the health check alone, to learn whether a provider that failed is back. What it finds
/// counts in the circuit breaker; the streams say the rest.
pub(super) async fn probe(source: &ManifestSource) {
    if let Some(check) = &source.manifest.metadata.health_check
        && let Err(error) = health(source, check, &mut CheckReport::default()).await
    {
        tracing::debug!(%error, "the provider is not back yet");
    }
}

/// Sends the health check; whether the provider said that it knows the credentials.
async fn health(
    source: &ManifestSource,
    check: &HealthCheck,
    report: &mut CheckReport,
) -> Result<bool, FetchError> {
    let ask = ask(
        source,
        check.method.clone(),
        &check.path,
        check.body.as_deref(),
    );
    let Some(response) = within(check, ask).await? else {
        return Ok(false);
    };
    if response.status.as_u16() != check.expected_status {
        return Err(FetchError::Rejected(format!(
            "{} answered {} instead of {}",
            without_query(&response.url),
            response.status,
            check.expected_status
        )));
    }
    let address = without_query(&response.url);
    report
        .proven
        .push(match identity(&response, &check.identity) {
            Some(who) => format!("{address} knows us as {}", source.secrets.hide(&who)),
            None => format!("{address} answers"),
        });
    describe(
        source,
        &response,
        &check.permissions,
        &check.expires,
        report,
    );
    if let Some(about) = &check.credentials {
        let ask = ask_about(source, about);
        match within(check, ask).await {
            Ok(Some(response)) => {
                if let Some(who) = identity(&response, &about.identity) {
                    let who = source.secrets.hide(&who);
                    report
                        .proven
                        .push(format!("the credentials are those of {who}"));
                }
                describe(
                    source,
                    &response,
                    &about.permissions,
                    &about.expires,
                    report,
                );
                return Ok(true);
            }
            Ok(None) => {}
            Err(error @ (FetchError::RateLimited { .. } | FetchError::Misconfigured(_))) => {
                return Err(error);
            }
            Err(error) => tracing::debug!(%error, "the credentials cannot be asked about"),
        }
    }
    Ok(false)
}

async fn ask_about(
    source: &ManifestSource,
    about: &AboutCredentials,
) -> Result<Option<Response>, FetchError> {
    let response = ask(source, http::Method::GET, &about.path, None).await?;
    Ok(response.filter(|response| response.status.is_success()))
}

/// Asks below the base address of the first stream that can be read; `None` where there is none,
/// or nothing to ask.
async fn ask(
    source: &ManifestSource,
    method: http::Method,
    path: &str,
    body: Option<&str>,
) -> Result<Option<Response>, FetchError> {
    let Some(built) = source.streams.iter().flatten().next() else {
        return Ok(None);
    };
    let client = source.client.from_reserve();
    let run = Run {
        client: &client,
        ..source.run("health check")
    };
    let requester = &built.parts.requester;
    // Of no partition: the base address may look at it.
    let slice = StreamSlice::default();
    let mut context = run.context();
    context.set("stream_slice", slice.view());
    let path = Template::compile(path).map_err(|error| run.misconfigured(error))?;
    let path = path
        .text(&context)
        .map_err(|error| run.misconfigured(error))?;
    if path.is_empty() {
        return Ok(None);
    }
    let request = requester.plain(method, &path, body, &context)?;
    let verdicts = run.verdicts(&requester.errors, false);
    let sent = requester.send(&run, &request, true, &verdicts).await?;
    Ok(Some(sent))
}

/// Waits no longer than the manifest says.
async fn within<T>(
    check: &HealthCheck,
    asked: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    let Some(timeout) = check.timeout else {
        return asked.await;
    };
    tokio::time::timeout(timeout, asked).await.map_err(|_| {
        let seconds = timeout.as_secs_f64();
        FetchError::Unavailable(format!(
            "the health check was not answered within {seconds} s"
        ))
    })?
}

/// Says what the credentials may do and when they end, as far as an answer tells.
fn describe(
    source: &ManifestSource,
    response: &Response,
    permissions: &[Place],
    expires: &[Place],
    report: &mut CheckReport,
) {
    if let Some(permissions) = first(response, permissions) {
        let permissions = source.secrets.hide(&permissions);
        report
            .proven
            .push(format!("the credentials may: {permissions}"));
    }
    if let Some(end) = first(response, expires) {
        expiry(&source.secrets.hide(&end), source.clock.now(), report);
    }
}

/// What is to be said about the end of credentials.
fn expiry(end: &str, now: jiff::Timestamp, report: &mut CheckReport) {
    let words = format!("the credentials end at {end}");
    let spelled = end.replace(" UTC", "Z");
    let at = DateTime::parse_iso(&spelled).ok().map(|at| at.timestamp());
    if at.is_some_and(|at| at.duration_since(now) < WARN_BEFORE_EXPIRY) {
        report.warnings.push(format!("{words}: renew them"));
    } else {
        report.proven.push(words);
    }
}

/// The first of these places that holds something. Lists of texts are joined.
fn first(response: &Response, places: &[Place]) -> Option<String> {
    let is_json = crate::json::validate(&response.body).is_ok();
    places.iter().find_map(|place| {
        let text = match place {
            Place::Header(name) => response.headers.get(name)?.to_str().ok()?.to_owned(),
            Place::Body(pointer) if is_json => {
                let found = get(&response.body, pointer)?;
                match crate::json::parse(found).ok()? {
                    Value::Array(items) => {
                        let texts = items.iter().filter_map(Value::as_str);
                        texts.collect::<Vec<_>>().join(", ")
                    }
                    Value::Null => return None,
                    _ => text_of(found).into_owned(),
                }
            }
            Place::Body(_) => return None,
        };
        (!text.trim().is_empty()).then(|| text.trim().to_owned())
    })
}

fn identity(response: &Response, pointers: &[Pointer]) -> Option<String> {
    crate::json::validate(&response.body).ok()?;
    pointers
        .iter()
        .filter_map(|pointer| get(&response.body, pointer))
        .map(|text| text_of(text).into_owned())
        .find(|text| !text.is_empty() && text != "null")
}
