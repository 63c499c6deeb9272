//! What one signal becomes in an output stream: the field names, their order and their values.
//!
//! Every store writes through this file, so that a consumer cannot tell them apart.

use crate::hex::push_hex;
use crate::signal::{ChangeKind, Origin, Signal};

use super::{Commit, Lease};

/// All field names in stored order. `tenant` is left out of an entry whose connector has none.
pub(super) const FIELD_NAMES: [&str; 15] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "version",
    "time",
    "datacontenttype",
    "connector",
    "stream",
    "tenant",
    "via",
    "epoch",
    "sequence",
    "data",
];

/// The fields whose values differ between the signals of one commit; all others are the same in
/// every entry of it, so that a store may write them once.
pub(super) const VARYING: [&str; 6] = ["id", "type", "subject", "version", "time", "data"];

/// Writes the entries of one commit; what they have in common is worked out once.
#[derive(Debug)]
pub(super) struct EntryWriter<'a> {
    origin: &'a Origin,
    source: String,
    /// By [`ChangeKind`]: created, updated, deleted.
    types: [String; 3],
    epoch: String,
    sequence: String,
    /// What ends every id: `.{sequence}`.
    id_end: String,
    // Reused from signal to signal.
    id: String,
    version: String,
}

impl<'a> EntryWriter<'a> {
    /// For the signals of `commit`, written under `lease`.
    pub(super) fn new(lease: &Lease, commit: &'a Commit) -> Self {
        let Origin {
            connector,
            stream,
            provider,
            ..
        } = &commit.origin;
        let of_kind = |kind: ChangeKind| format!("{provider}.{stream}.{}", kind.as_str());
        Self {
            origin: &commit.origin,
            source: format!("/connectors/{connector}/streams/{stream}"),
            types: [
                of_kind(ChangeKind::Created),
                of_kind(ChangeKind::Updated),
                of_kind(ChangeKind::Deleted),
            ],
            epoch: lease.epoch.to_string(),
            // Twelve digits, so that text order is commit order.
            sequence: format!("{:012}", commit.sequence),
            id_end: format!(".{}", commit.sequence),
            id: String::new(),
            version: String::new(),
        }
    }

    /// Passes the fields of `signal` to `field` in stored order.
    pub(super) fn each_field(
        &mut self,
        signal: &Signal,
        mut field: impl FnMut(&'static str, &[u8]),
    ) {
        for (name, value) in FIELD_NAMES.into_iter().zip(self.values(signal)) {
            if let Some(value) = value {
                field(name, value);
            }
        }
    }

    /// The values of [`FIELD_NAMES`] for `signal`; all but the last are text.
    pub(super) fn values<'v>(
        &'v mut self,
        signal: &'v Signal,
    ) -> [Option<&'v [u8]>; FIELD_NAMES.len()] {
        self.version.clear();
        push_hex(&mut self.version, &signal.version.0);
        self.id.clear();
        for part in [
            &*self.origin.connector,
            "/",
            &self.origin.stream,
            "/",
            &signal.subject,
            "@",
            &self.version,
            if signal.kind == ChangeKind::Deleted {
                "-deleted"
            } else {
                ""
            },
            &self.id_end,
        ] {
            self.id.push_str(part);
        }
        let kind = match signal.kind {
            ChangeKind::Created => &self.types[0],
            ChangeKind::Updated => &self.types[1],
            ChangeKind::Deleted => &self.types[2],
        };
        [
            Some(b"1.0"),
            Some(self.id.as_bytes()),
            Some(self.source.as_bytes()),
            Some(kind.as_bytes()),
            Some(signal.subject.as_bytes()),
            Some(self.version.as_bytes()),
            Some(signal.time.as_bytes()),
            Some(b"application/json"),
            Some(self.origin.connector.as_bytes()),
            Some(self.origin.stream.as_bytes()),
            self.origin.tenant.as_deref().map(str::as_bytes),
            Some(self.origin.via.as_str().as_bytes()),
            Some(self.epoch.as_bytes()),
            Some(self.sequence.as_bytes()),
            Some(&signal.data),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::signal::{Version, Via};
    use crate::store::{Output, Owner};

    fn written(kind: ChangeKind, tenant: Option<&str>, via: Via) -> Vec<(String, String)> {
        let lease = Lease {
            connector: "jira-prod".into(),
            epoch: 7,
            owner: Owner::from("host/1/2"),
            ttl: Duration::from_secs(30),
        };
        let signal = Signal {
            kind,
            subject: "10042".to_owned(),
            version: Version(*b"\x00\x01\x7f\x80\xff\xab0123456789"),
            time: "2026-02-24T10:30:00Z".to_owned(),
            data: Bytes::from_static(b"{\"id\":10042}"),
        };
        let commit = Commit {
            sequence: 1234,
            output: Output {
                stream: "raw-input-signals".into(),
                max_len: 0,
            },
            origin: Origin {
                connector: "jira-prod".into(),
                stream: "issues".into(),
                provider: "jira".into(),
                tenant: tenant.map(Into::into),
                via,
            },
            signals: Vec::new(),
            versions: Vec::new(),
            gone: Vec::new(),
            state: Vec::new(),
            dead_letters: Vec::new(),
            acknowledged: Vec::new(),
        };
        let mut fields = Vec::new();
        EntryWriter::new(&lease, &commit).each_field(&signal, |name, value| {
            fields.push((name.to_owned(), String::from_utf8_lossy(value).into_owned()));
        });
        fields
    }

    #[test]
    fn an_entry_has_the_documented_fields_in_order() {
        let fields = written(ChangeKind::Updated, Some("acme"), Via::Webhook);
        let expected = [
            ("specversion", "1.0"),
            (
                "id",
                "jira-prod/issues/10042@00017f80ffab30313233343536373839.1234",
            ),
            ("source", "/connectors/jira-prod/streams/issues"),
            ("type", "jira.issues.updated"),
            ("subject", "10042"),
            ("version", "00017f80ffab30313233343536373839"),
            ("time", "2026-02-24T10:30:00Z"),
            ("datacontenttype", "application/json"),
            ("connector", "jira-prod"),
            ("stream", "issues"),
            ("tenant", "acme"),
            ("via", "webhook"),
            ("epoch", "7"),
            ("sequence", "000000001234"),
            ("data", "{\"id\":10042}"),
        ];
        assert_eq!(
            fields,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn a_deletion_names_itself_in_id_and_type() {
        let fields = written(ChangeKind::Deleted, None, Via::Poll);
        assert_eq!(
            fields[1].1,
            "jira-prod/issues/10042@00017f80ffab30313233343536373839-deleted.1234"
        );
        assert_eq!(fields[3].1, "jira.issues.deleted");
    }

    #[test]
    fn a_connector_without_tenant_has_no_tenant_field() {
        let fields = written(ChangeKind::Created, None, Via::Poll);
        assert_eq!(fields.len(), FIELD_NAMES.len() - 1);
        assert!(fields.iter().all(|(name, _)| name != "tenant"));
    }
}
