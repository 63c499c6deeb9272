//! The JSON Schema of a signal, for consumers.

use serde_json::{Value, json};

use super::DIALECT;

/// The schema of a signal: the fields of a stream entry with `data` parsed, which is a CloudEvent in
/// structured form.
pub fn signal() -> Value {
    json!({
        "$schema": DIALECT,
        "title": "Signal",
        "description": "One change of one record of a provider, as a CloudEvents 1.0 event. In the \
            output stream every member is a field of the entry, and data is JSON text.",
        "type": "object",
        "required": [
            "specversion", "id", "source", "type", "subject", "version", "time",
            "datacontenttype", "connector", "stream", "via", "epoch", "sequence", "data"
        ],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": {
                "description": "Unique per occurrence: {connector}/{stream}/{subject}@{version}.\
                    {sequence}, with -deleted before the sequence of a deletion.",
                "type": "string",
                "minLength": 1
            },
            "source": {
                "description": "/connectors/{connector}/streams/{stream}",
                "type": "string",
                "pattern": "^/connectors/[^/]+/streams/.+$"
            },
            "type": {
                "description": "{provider}.{stream}.{created|updated|deleted}",
                "type": "string",
                "pattern": "^.+\\..+\\.(created|updated|deleted)$"
            },
            "subject": {
                "description": "Key of the record: a scalar as text, a composite one as JSON.",
                "type": "string"
            },
            "version": {
                "description": "Hash of what the record means; of a deletion the last one known.",
                "type": "string",
                "pattern": "^[0-9a-f]{32}$"
            },
            "time": {
                "description": "The record's own update time, else when it was seen.",
                "type": "string",
                "format": "date-time"
            },
            "datacontenttype": { "const": "application/json" },
            "connector": { "description": "Name of the connector.", "type": "string" },
            "stream": { "description": "Kind of the record.", "type": "string" },
            "tenant": { "description": "tenantId of the connector, if it has one.", "type": "string" },
            "via": { "description": "How the record came.", "enum": ["poll", "webhook"] },
            "epoch": {
                "description": "Fencing number of the lease that published it; only grows.",
                "type": ["integer", "string"],
                "pattern": "^[0-9]+$",
                "minimum": 0
            },
            "sequence": {
                "description": "Number of the commit that published it, twelve digits.",
                "type": "string",
                "pattern": "^[0-9]{12,}$"
            },
            "traceparent": { "description": "W3C trace context, if any.", "type": "string" },
            "data": {
                "description": "The record; empty for a deletion.",
                "type": ["object", "string"]
            }
        }
    })
}
