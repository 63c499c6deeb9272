//! `spec`: what a configuration must look like.

use std::path::Path;

use serde_json::json;

use super::failure::Failure;
use super::input::INJECTED_MANIFEST;
use super::message::{Message, Spec};
use super::output::Output;
use crate::source::manifest::catalog::Catalog;

/// Prints the specification of a manifest; without one, that of any source whose manifest stands
/// in its configuration, which is all the reference prints.
pub(super) fn spec(manifest: Option<&Path>, output: &mut Output) -> Result<bool, Failure> {
    let (documentation_url, connection_specification) = match manifest {
        Some(path) => {
            let manifest = Catalog::load_file(path).map_err(|problems| {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                Failure::system(lines.join("; "))
            })?;
            let url = manifest
                .document
                .get("spec")
                .and_then(|spec| spec.get("documentation_url"));
            let url = url.and_then(|url| url.as_str()).map(str::to_owned);
            (url, manifest.spec.clone())
        }
        None => (
            Some("https://docs.airbyte.com/integrations/sources/low-code".to_owned()),
            json!({
                "$schema": "http://json-schema.org/draft-07/schema#",
                "title": "Low-code source spec",
                "type": "object",
                "required": [INJECTED_MANIFEST],
                "additionalProperties": true,
                "properties": {
                    INJECTED_MANIFEST: {
                        "title": "Low-code manifest",
                        "type": "object",
                        "description":
                            "The low-code manifest that defines the components of the source.",
                    }
                }
            }),
        ),
    };
    output.send(&Message::Spec {
        spec: Spec {
            documentation_url,
            connection_specification,
        },
    })?;
    Ok(true)
}
