//! Every field of a connector's configuration: one table that validation, the JSON Schema, the
//! environment mode and the reference page are made from.

/// One field of a connector entry.
#[derive(Debug)]
pub(super) struct Field {
    /// Name as users write it; `retryConfig.baseDelayMs` is `baseDelayMs` in `retryConfig`.
    pub(super) path: &'static str,
    /// What it may hold.
    pub(super) rule: Rule,
    /// What holds when it is left out.
    pub(super) default: Default,
    /// Unit of a number, as documentation shows it.
    pub(super) unit: Option<&'static str>,
    /// Whether the top-level `defaults` may hold it too.
    pub(super) shared: bool,
    /// What it does, for the schema and the reference page.
    pub(super) doc: &'static str,
}

/// What a field may hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    /// A connector's name.
    Name,
    /// A connector type.
    Kind,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Integer {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A number.
    Number {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// Text of 1 to this many characters, none of them a space or a control character.
    Word(usize),
    /// Path of a file.
    Path,
    /// A list of texts.
    List(Item),
    /// A signature of deliveries, as manifests describe it.
    Signature,
    /// An object that the connector type describes.
    Provider,
}

/// What a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// Names of streams.
    Stream,
    /// JSON pointers.
    Pointer,
    /// IP addresses or networks in CIDR form.
    Network,
    /// Credentials.
    Secret,
}

/// What holds when a field is left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Default {
    /// The field must be there.
    Required,
    /// A value.
    Flag(bool),
    /// A value.
    Integer(i64),
    /// A value.
    Number(f64),
    /// A value.
    Text(&'static str),
    /// Depends on something else; said in words.
    Described(&'static str),
}

/// An object that groups fields: its name and what it is for.
pub(super) const GROUPS: &[(&str, &str)] = &[
    (
        "retryConfig",
        "Waits between the repetitions of a failed request.",
    ),
    ("changeDetection", "How changes are found."),
    (
        "webhook",
        "How `serve` receives deliveries of the provider and what it trusts.",
    ),
];

/// What a name looks like, as a regular expression.
pub(super) const NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]*$";

/// Longest name; it becomes part of store keys.
pub(super) const MAX_NAME: usize = 200;

/// The fields, in the order in which documentation shows them.
pub(super) const FIELDS: &[Field] = &[
    Field {
        path: "name",
        rule: Rule::Name,
        default: Default::Required,
        unit: None,
        shared: false,
        doc: "Unique name of the connector. It is part of the keys of lease and state: a connector \
              that is renamed starts from nothing.",
    },
    Field {
        path: "type",
        rule: Rule::Kind,
        default: Default::Required,
        unit: None,
        shared: false,
        doc: "Connector type: built in (`connector-worker connectors list` shows them), a manifest \
              in `CONNECTOR_MANIFESTS_DIR`, or `MANIFEST`.",
    },
    Field {
        path: "manifest",
        rule: Rule::Path,
        default: Default::Described("none; needed by type `MANIFEST` and by no other"),
        unit: None,
        shared: false,
        doc: "Manifest of a `MANIFEST` connector, relative to the directory of the configuration \
              file.",
    },
    Field {
        path: "enabled",
        rule: Rule::Flag,
        default: Default::Flag(true),
        unit: None,
        shared: true,
        doc: "Whether the connector runs. A disabled one needs no secrets; its state is kept.",
    },
    Field {
        path: "pollIntervalMs",
        rule: Rule::Integer {
            min: 100,
            max: 2_678_400_000,
        },
        default: Default::Described("the connector type's, else 60000"),
        unit: Some("ms"),
        shared: true,
        doc: "Time from the start of one poll to the start of the next. Shorter than the provider \
              recommends is allowed with a warning and may meet its rate limit.",
    },
    Field {
        path: "requestTimeoutMs",
        rule: Rule::Integer {
            min: 1,
            max: 3_600_000,
        },
        default: Default::Integer(10_000),
        unit: Some("ms"),
        shared: true,
        doc: "Bound on one request, connection and body included.",
    },
    Field {
        path: "maxRetries",
        rule: Rule::Integer { min: 0, max: 100 },
        default: Default::Integer(2),
        unit: None,
        shared: true,
        doc: "Repetitions of a failed request within one poll; 0 leaves it to the next poll.",
    },
    Field {
        path: "retryConfig.baseDelayMs",
        rule: Rule::Integer {
            min: 0,
            max: 3_600_000,
        },
        default: Default::Integer(150),
        unit: Some("ms"),
        shared: true,
        doc: "First wait; every further one is twice as long. Left out, it is never longer than \
              `maxDelayMs`.",
    },
    Field {
        path: "retryConfig.maxDelayMs",
        rule: Rule::Integer {
            min: 1,
            max: 3_600_000,
        },
        default: Default::Integer(10_000),
        unit: Some("ms"),
        shared: true,
        doc: "Longest wait that the worker chooses itself; a provider's `Retry-After` may be \
              longer. Left out, it is never shorter than `baseDelayMs`.",
    },
    Field {
        path: "retryConfig.jitterRatio",
        rule: Rule::Number { min: 0.0, max: 1.0 },
        default: Default::Number(0.1),
        unit: None,
        shared: true,
        doc: "Share of a wait that is added at random, so that workers do not return together. \
              Every wait has some: less than 0.01 counts as 0.01.",
    },
    Field {
        path: "outputStream",
        rule: Rule::Word(512),
        default: Default::Text("raw-input-signals"),
        unit: None,
        shared: true,
        doc: "Stream that signals are published to, without the key prefix.",
    },
    Field {
        path: "outputMaxLen",
        rule: Rule::Integer {
            min: 0,
            max: 1_000_000_000_000,
        },
        default: Default::Integer(1_000_000),
        unit: Some("entries"),
        shared: true,
        doc: "Length of the output stream at which publishing pauses until its consumers have \
              read; 0 sets no bound. Entries that every consumer group has read are trimmed.",
    },
    Field {
        path: "leaseTtlSeconds",
        rule: Rule::Integer {
            min: 1,
            max: 86_400,
        },
        default: Default::Integer(30),
        unit: Some("s"),
        shared: true,
        doc: "Time a lease outlives its last renewal, and so the time in which another worker \
              takes over after a crash. Renewed at a third of it.",
    },
    Field {
        path: "streams",
        rule: Rule::List(Item::Stream),
        default: Default::Described("all that the connector type has"),
        unit: None,
        shared: false,
        doc: "Streams to read; an empty list means all.",
    },
    Field {
        path: "tenantId",
        rule: Rule::Word(256),
        default: Default::Described("none"),
        unit: None,
        shared: true,
        doc: "Value of the signals' `tenant` field.",
    },
    Field {
        path: "changeDetection.ignore",
        rule: Rule::List(Item::Pointer),
        default: Default::Described("none"),
        unit: None,
        shared: true,
        doc: "Fields whose change is no change of the record, as JSON pointers: \
              `/fields/lastViewed`.",
    },
    Field {
        path: "changeDetection.deletions",
        rule: Rule::Flag,
        default: Default::Described("true where the listing is complete"),
        unit: None,
        shared: true,
        doc: "Publish a signal when a record is gone from a listing that was read completely.",
    },
    Field {
        path: "changeDetection.lookbackSeconds",
        rule: Rule::Integer {
            min: 0,
            max: 31_622_400,
        },
        default: Default::Described("the connector type's"),
        unit: Some("s"),
        shared: true,
        doc: "How far behind its cursor an incremental read starts, for records that appear late.",
    },
    Field {
        path: "changeDetection.retentionDays",
        rule: Rule::Integer {
            min: 1,
            max: 36_500,
        },
        default: Default::Integer(90),
        unit: Some("days"),
        shared: true,
        doc: "How long an incremental stream remembers the version of a record it no longer sees. \
              Forgotten records are published as new when they change.",
    },
    Field {
        path: "changeDetection.maxKeys",
        rule: Rule::Integer {
            min: 1,
            max: 1_000_000_000,
        },
        default: Default::Integer(1_000_000),
        unit: Some("records"),
        shared: true,
        doc: "Versions that are kept at most; the oldest go first.",
    },
    Field {
        path: "webhook.secrets",
        rule: Rule::List(Item::Secret),
        default: Default::Described("none"),
        unit: None,
        shared: false,
        doc: "Secrets that a delivery may be signed with; two during a rotation.",
    },
    Field {
        path: "webhook.signature",
        rule: Rule::Signature,
        default: Default::Described("the type's"),
        unit: None,
        shared: false,
        doc: "How deliveries are signed, instead of what the connector type says: a name \
              (`standard_webhooks`, `svix`, `stripe`), an object such as `{ \"type\": \"hmac\", \
              \"header\": \"X-Signature\" }`, or a list of them; see \
              [webhooks.md](webhooks.md#what-a-manifest-says).",
    },
    Field {
        path: "webhook.audience",
        rule: Rule::Word(2048),
        default: Default::Described("none"),
        unit: None,
        shared: false,
        doc: "For whom identity tokens of deliveries have to be made: what the provider is told as \
              their audience. Needs `webhook.sender`.",
    },
    Field {
        path: "webhook.sender",
        rule: Rule::Word(320),
        default: Default::Described("none"),
        unit: None,
        shared: false,
        doc: "Who identity tokens of deliveries have to name: the e-mail address of the account \
              that sends them. Needs `webhook.audience`.",
    },
    Field {
        path: "webhook.allowIps",
        rule: Rule::List(Item::Network),
        default: Default::Described("any address"),
        unit: None,
        shared: false,
        doc: "Addresses or networks that deliveries may come from: `192.0.2.7`, `192.0.2.0/24`.",
    },
    Field {
        path: "webhook.dedupeDays",
        rule: Rule::Integer { min: 1, max: 365 },
        default: Default::Integer(7),
        unit: Some("days"),
        shared: false,
        doc: "How long the id of a delivery is remembered.",
    },
    Field {
        path: "webhook.maxIds",
        rule: Rule::Integer {
            min: 1,
            max: 1_000_000_000,
        },
        default: Default::Integer(1_000_000),
        unit: Some("ids"),
        shared: false,
        doc: "Ids of deliveries that are remembered at most; the oldest go first.",
    },
    Field {
        path: "webhook.maxQueued",
        rule: Rule::Integer {
            min: 1,
            max: 100_000_000,
        },
        default: Default::Integer(100_000),
        unit: Some("deliveries"),
        shared: false,
        doc: "Deliveries that may wait; beyond it new ones are answered 503, which makes providers \
              try again.",
    },
    Field {
        path: "webhook.maxQueuedBytes",
        rule: Rule::Integer {
            min: 1_024,
            max: 1_000_000_000_000,
        },
        default: Default::Integer(268_435_456),
        unit: Some("bytes"),
        shared: false,
        doc: "Bytes of bodies that may wait; beyond it new ones are answered 503.",
    },
    Field {
        path: "providerConfig",
        rule: Rule::Provider,
        default: Default::Described("an empty object"),
        unit: None,
        shared: false,
        doc: "What the connector type needs: addresses, credentials, filters. `connector-worker \
              connectors show TYPE` lists its fields. Keys may be written in camelCase or in \
              snake_case, lists as arrays or as comma-separated text.",
    },
];

impl Field {
    /// The group it stands in and its name there.
    pub(super) fn split(&self) -> (Option<&'static str>, &'static str) {
        match self.path.split_once('.') {
            Some((group, name)) => (Some(group), name),
            None => (None, self.path),
        }
    }

    /// Its part of an environment variable's name: `RETRY_CONFIG_BASE_DELAY_MS`.
    pub(super) fn variable(&self) -> String {
        super::keys::to_snake(&self.path.replace('.', "_")).to_uppercase()
    }
}

/// The field at `path`.
pub(super) fn find(path: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.path == path)
}

/// The names that may stand in `group`, or at the top of an entry.
pub(super) fn names_in(group: Option<&str>) -> Vec<&'static str> {
    let mut names = Vec::new();
    for field in FIELDS {
        let (its_group, name) = field.split();
        if its_group == group {
            names.push(name);
        } else if group.is_none()
            && let Some(its_group) = its_group
            && !names.contains(&its_group)
        {
            names.push(its_group);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_lies_within_its_bounds() {
        for field in FIELDS {
            match (field.rule, field.default) {
                (Rule::Integer { min, max }, Default::Integer(value)) => {
                    assert!((min..=max).contains(&value), "{}", field.path);
                }
                (Rule::Number { min, max }, Default::Number(value)) => {
                    assert!((min..=max).contains(&value), "{}", field.path);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn every_group_is_described_and_used() {
        for field in FIELDS {
            if let (Some(group), _) = field.split() {
                assert!(GROUPS.iter().any(|(name, _)| *name == group), "{group}");
            }
        }
        for (group, _) in GROUPS {
            assert!(!names_in(Some(group)).is_empty(), "{group}");
        }
    }

    #[test]
    fn variables_follow_from_the_path() {
        let variable = |path| find(path).map(Field::variable);
        assert_eq!(
            variable("pollIntervalMs").as_deref(),
            Some("POLL_INTERVAL_MS")
        );
        assert_eq!(
            variable("retryConfig.baseDelayMs").as_deref(),
            Some("RETRY_CONFIG_BASE_DELAY_MS")
        );
    }
}
