//! Records that arrive by themselves: the same filter and transformations as listed ones, and the
//! fetch of one where a delivery shows too little.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};

use super::ManifestSource;
use super::catalog::Manifest;
use super::errors::Verdicts;
use super::slice::StreamSlice;
use super::template::Template;
use crate::client::{FetchError, Judge, Response, TransportError, Verdict};
use crate::connector::WebhookConfig;
use crate::json::{self, Value};
use crate::source::Record;
use crate::webhook::{self, Scheme, Webhooks};

/// Takes "there is no such record" as an answer, and leaves everything else to the manifest.
struct OrMissing<'v>(Verdicts<'v>);

impl Judge for OrMissing<'_> {
    fn judge(&self, answer: Result<&Response, &TransportError>, attempt: u32) -> Verdict {
        match answer {
            Ok(response) if is_missing(response.status) => Verdict::Accept,
            other => self.0.judge(other, attempt),
        }
    }
}

fn is_missing(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

impl Manifest {
    /// How a connector of this type takes deliveries: as the manifest says, signed as the
    /// connector's entry says. Where the manifest says nothing, a delivery that an entry asks for
    /// tells that something changed.
    pub fn webhooks(&self, entry: &WebhookConfig) -> Option<Arc<Webhooks>> {
        let signature = entry.signature.as_ref();
        let schemes = signature.map(|node| webhook::read_schemes(node).0);
        match (&self.metadata.webhooks, schemes) {
            (Some(webhooks), None) => Some(webhooks.clone()),
            (Some(webhooks), Some(schemes)) => Some(Arc::new(Webhooks {
                schemes,
                ..(**webhooks).clone()
            })),
            (None, None) if entry.secrets.is_empty() => None,
            (None, schemes) => {
                let usual = || {
                    ["standard_webhooks", "svix"]
                        .into_iter()
                        .filter_map(Scheme::preset)
                };
                let schemes = schemes.unwrap_or_else(|| usual().flatten().collect());
                Some(Arc::new(Webhooks::that_wake(schemes)))
            }
        }
    }
}

impl ManifestSource {
    /// Whether the manifest's `select` holds for a delivery.
    pub(super) fn wants_delivery(&self, delivery: &Bytes) -> Result<bool, String> {
        let select = match &self.select {
            None => return Ok(true),
            Some(Ok(select)) => select,
            Some(Err(error)) => return Err(error.clone()),
        };
        let delivery = json::parse(delivery).map_err(|error| error.to_string())?;
        let run = self.run("webhooks");
        let context = run.context().with("delivery", &delivery);
        select.boolean(&context).map_err(|error| error.to_string())
    }

    /// The record that `record` of a delivery is about, as the provider has it now; `None` when
    /// it has none, or the manifest says not how to ask.
    pub(super) async fn fetch_detail(
        &self,
        stream: &str,
        record: &Bytes,
        delivery: &Bytes,
    ) -> Result<Option<Bytes>, FetchError> {
        let webhooks = self.webhooks.as_ref();
        let Some(detail) = webhooks.and_then(|webhooks| webhooks.details.get(stream)) else {
            return Ok(None);
        };
        let index = self.specs.iter().position(|spec| *spec.name == *stream);
        let Some(built) = index.and_then(|index| self.streams[index].as_ref()) else {
            return Ok(None);
        };
        let run = self.run(stream);
        let tree = |bytes: &Bytes| json::parse(bytes).unwrap_or(Value::Null);
        let (record, delivery) = (tree(record), tree(delivery));
        let context = run
            .context()
            .with("record", &record)
            .with("delivery", &delivery);
        let path = Template::compile(&detail.path).map_err(|error| run.misconfigured(error))?;
        let path = path
            .text(&context)
            .map_err(|error| run.misconfigured(error))?;
        let requester = &built.parts.requester;
        let request = requester.plain(Method::GET, &path, None, &context)?;
        let judge = OrMissing(run.verdicts(&requester.errors, false));
        let response = requester.send(&run, &request, true, &judge).await?;
        if is_missing(response.status) {
            return Ok(None);
        }
        if let Err(error) = json::validate(&response.body) {
            return Err(FetchError::Unusable(format!(
                "the record is no JSON: {error}"
            )));
        }
        let found =
            json::get(&response.body, &detail.record).map(|found| response.body.slice_ref(found));
        Ok(found.filter(|found| found.first() == Some(&b'{')))
    }

    /// The record after the stream's filter and transformations; `None` when it is filtered out.
    pub(super) fn select_pushed(
        &self,
        stream: &str,
        record: Bytes,
    ) -> Result<Option<Bytes>, String> {
        let index = self.specs.iter().position(|spec| *spec.name == *stream);
        let Some(built) = index.and_then(|index| self.streams[index].as_ref()) else {
            return Ok(Some(record));
        };
        let run = self.run(stream);
        // Of no partition: transformations may look at it.
        let slice = StreamSlice::default();
        let mut context = run.context();
        context.set("stream_slice", slice.view());
        let selected = built.parts.selector.one(record.into(), &context)?;
        Ok(selected.map(Record::into_data))
    }
}
