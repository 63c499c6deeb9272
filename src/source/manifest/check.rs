//! Proves address, identity and permissions by asking, without publishing anything.

use super::ManifestSource;
use super::retriever::{ParentCache, Probe, probe};
use super::template::Template;
use crate::client::{FetchError, Response, without_query};
use crate::json::{Pointer, get, text_of};
use crate::source::CheckReport;
use crate::source::manifest::metadata::HealthCheck;

/// The health check of the manifest, then the first page of each stream that it can read.
pub(super) async fn check(source: &ManifestSource) -> Result<CheckReport, FetchError> {
    let mut report = CheckReport::default();
    if let Some(check) = &source.manifest.metadata.health_check {
        match health(source, check, &mut report).await {
            // An installation may lack what the health check asks for; the streams decide.
            Err(FetchError::Rejected(what)) => report.warnings.push(what),
            result => result?,
        }
    }
    let parents = ParentCache::default();
    for (index, spec) in source.specs.iter().enumerate() {
        let Some(built) = &source.streams[index] else {
            let why = spec.unavailable.as_deref().unwrap_or_default();
            report
                .warnings
                .push(format!("stream {} cannot be read: {why}", spec.name));
            continue;
        };
        let run = source.run(&spec.name);
        match probe(&run, &built.parts, &parents).await? {
            Probe::Records(0) => report.proven.push(format!(
                "stream {} can be read; its first page is empty",
                spec.name
            )),
            Probe::Records(count) => report.proven.push(format!(
                "stream {} can be read; its first page holds {count} records",
                spec.name
            )),
            Probe::NoPartition => report.warnings.push(format!(
                "stream {} has nothing to read: its parent stream is empty",
                spec.name
            )),
        }
    }
    Ok(report)
}

async fn health(
    source: &ManifestSource,
    check: &HealthCheck,
    report: &mut CheckReport,
) -> Result<(), FetchError> {
    let Some(built) = source.streams.iter().flatten().next() else {
        return Ok(());
    };
    let run = source.run("health check");
    let requester = &built.parts.requester;
    let path = Template::compile(&check.path).map_err(|error| run.misconfigured(error))?;
    let path = path
        .text(&run.context())
        .map_err(|error| run.misconfigured(error))?;
    let method = check.method.clone();
    let request = requester.plain(method, &path, check.body.as_deref(), &run.context())?;
    let verdicts = run.verdicts(&requester.errors, false);
    let sent = requester.send(&run, &request, true, &verdicts);
    let response = match check.timeout {
        Some(timeout) => tokio::time::timeout(timeout, sent).await.map_err(|_| {
            FetchError::Unavailable(format!(
                "{} did not answer within {} s",
                without_query(&request.url),
                timeout.as_secs_f64()
            ))
        })??,
        None => sent.await?,
    };
    if response.status.as_u16() != check.expected_status {
        return Err(FetchError::Rejected(format!(
            "{} answered {} instead of {}",
            without_query(&request.url),
            response.status,
            check.expected_status
        )));
    }
    let address = without_query(&response.url);
    report
        .proven
        .push(match identity(&response, &check.identity) {
            Some(who) => format!("{address} knows us as {}", run.secrets.hide(&who)),
            None => format!("{address} answers"),
        });
    Ok(())
}

fn identity(response: &Response, pointers: &[Pointer]) -> Option<String> {
    crate::json::validate(&response.body).ok()?;
    pointers
        .iter()
        .filter_map(|pointer| get(&response.body, pointer))
        .map(|text| text_of(text).into_owned())
        .find(|text| !text.is_empty() && text != "null")
}
