//! Checks that span fields or connectors.

use std::time::Duration;

use super::entry::Entry;
use super::report::Report;
use crate::source::manifest::catalog::Manifest;

/// First parts of keys that the worker writes itself; an output stream of such a name would
/// overwrite leases or state.
const OWN_KEYS: &[&str] = &["lease:", "connector:", "metrics:", "connector-webhooks-"];

/// Checks the fields of one connector against each other and against its type.
pub(super) fn entry(entry: &Entry<'_>, manifest: Option<&Manifest>, report: &mut Report) {
    retry_delays(entry, report);
    output_stream(entry, report);
    poll_interval(entry, manifest, report);
    lease(entry, report);
    webhook(entry, manifest, report);
}

fn retry_delays(entry: &Entry<'_>, report: &mut Report) {
    let (base, max) = ("retryConfig.baseDelayMs", "retryConfig.maxDelayMs");
    // One that is left out follows the other.
    let (Some(base_setting), Some(max_setting)) = (entry.setting(base), entry.setting(max)) else {
        return;
    };
    let (Some(base_ms), Some(max_ms)) = (entry.known_integer(base), entry.known_integer(max))
    else {
        return;
    };
    if base_ms <= max_ms {
        return;
    }
    let is_base = entry.own(base).is_some() && entry.own(max).is_none();
    let (blamed, at) = if is_base {
        (base, base_setting.at)
    } else {
        (max, max_setting.at)
    };
    let message = format!("the first wait ({base_ms} ms) is longer than the longest ({max_ms} ms)");
    let fix = "make baseDelayMs at most maxDelayMs".to_owned();
    report.problem(&entry.place(at, blamed), &message, Some(fix));
}

fn output_stream(entry: &Entry<'_>, report: &mut Report) {
    let Some(setting) = entry.setting("outputStream") else {
        return;
    };
    let super::settings::Checked::Text(stream) = &setting.value else {
        return;
    };
    if let Some(own) = OWN_KEYS.iter().find(|own| stream.starts_with(*own)) {
        let message = format!("starts with \"{own}\", as keys of the worker itself do");
        let fix = "use another name, such as raw-input-signals".to_owned();
        report.problem(
            &entry.place(setting.at, "outputStream"),
            &message,
            Some(fix),
        );
    }
}

fn poll_interval(entry: &Entry<'_>, manifest: Option<&Manifest>, report: &mut Report) {
    let Some(setting) = entry.setting("pollIntervalMs") else {
        return;
    };
    let Some(interval) = entry
        .known_integer("pollIntervalMs")
        .map(Duration::from_millis)
    else {
        return;
    };
    let Some((manifest, advised)) = manifest.and_then(|m| Some((m, m.poll_interval?))) else {
        return;
    };
    if interval < advised {
        let message = format!(
            "shorter than the {} ms that suit {}; its rate limit may be met",
            advised.as_millis(),
            manifest.display_name
        );
        report.warning(&entry.place(setting.at, "pollIntervalMs"), &message, None);
    }
}

fn lease(entry: &Entry<'_>, report: &mut Report) {
    let (ttl, timeout) = ("leaseTtlSeconds", "requestTimeoutMs");
    let (Some(ttl_seconds), Some(timeout_ms)) =
        (entry.known_integer(ttl), entry.known_integer(timeout))
    else {
        return;
    };
    if ttl_seconds * 1000 >= timeout_ms {
        return;
    }
    let blamed = if entry.own(ttl).is_some() {
        ttl
    } else {
        timeout
    };
    let Some(setting) = entry.setting(blamed).or_else(|| entry.setting(ttl)) else {
        return;
    };
    let message = format!(
        "the lease ({ttl_seconds} s) is shorter than one request may take ({timeout_ms} ms)"
    );
    let fix = "it is renewed meanwhile, but a longer leaseTtlSeconds is safer".to_owned();
    report.warning(&entry.place(setting.at, blamed), &message, Some(fix));
}

fn webhook(entry: &Entry<'_>, manifest: Option<&Manifest>, report: &mut Report) {
    let Some((at, manifest)) = entry.at("webhook").zip(manifest) else {
        return;
    };
    if manifest.metadata.webhooks.is_none() {
        let message = format!(
            "type {} says nothing of webhooks: a trusted delivery only makes it poll at once",
            manifest.kind
        );
        report.warning(&entry.place(at, "webhook"), &message, None);
        return;
    }
    let (audience, sender) = ("webhook.audience", "webhook.sender");
    for (given, missing) in [(audience, sender), (sender, audience)] {
        if let Some(setting) = entry.setting(given)
            && entry.setting(missing).is_none()
        {
            let message = format!("does nothing without {missing}");
            let fix = Some(format!("add {missing}"));
            report.warning(&entry.place(setting.at, given), &message, fix);
        }
    }
}
