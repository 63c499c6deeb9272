//! What each rule finds, and that a good manifest has nothing to find.

use proptest::prelude::*;

use super::{Severity, lint};

/// A manifest without a fault; tests replace a piece of it.
const GOOD: &str = r#"version: 6.0.0
type: DeclarativeSource
check: { type: CheckStream, stream_names: [items] }
streams:
  - type: DeclarativeStream
    name: items
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url: "{{ config['base_url'] }}/items"
        request_parameters:
          since: "{{ stream_interval.start_time }}"
        authenticator:
          type: BearerAuthenticator
          api_token: "{{ config.token }}"
        error_handler:
          type: DefaultErrorHandler
          response_filters:
            - { type: HttpResponseFilter, http_codes: [429], action: RATE_LIMITED }
          backoff_strategies:
            - { type: WaitTimeFromHeader, header: Retry-After, regex: "[0-9]+" }
      record_selector:
        type: RecordSelector
        extractor: { type: DpathExtractor, field_path: [items] }
      paginator:
        type: DefaultPaginator
        page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: after }
        pagination_strategy:
          type: CursorPagination
          cursor_value: "{{ response.next }}"
    incremental_sync:
      type: DatetimeBasedCursor
      cursor_field: updated_at
      datetime_format: "%Y-%m-%dT%H:%M:%SZ"
      start_datetime: "2024-01-01T00:00:00Z"
    transformations:
      - type: AddFields
        fields: [{ type: AddedFieldDefinition, path: [kind], value: "{{ record.type or 'item' }}" }]
    schema_loader:
      type: InlineSchemaLoader
      schema: { type: object, properties: { id: { type: string }, updated_at: { type: string } } }
spec:
  type: Spec
  connection_specification:
    type: object
    properties:
      base_url: { type: string }
      token: { type: string, airbyte_secret: true }
metadata:
  connector:
    id: shop
    signals: { items: { time: /updated_at } }
"#;

fn found(text: &str) -> Vec<String> {
    lint("m.yaml", text, "m")
        .into_iter()
        .map(|finding| {
            let severity = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            format!("{severity} {} {}", finding.rule, finding.problem)
        })
        .collect()
}

#[test]
fn a_good_manifest_has_nothing_to_find() {
    assert_eq!(found(GOOD), Vec::<String>::new());
    for (file, text) in crate::source::manifest::catalog::BUILT_IN {
        let findings = lint(file, text, "m");
        assert_eq!(findings, [], "{file}");
    }
}

/// What is replaced, by what, and what is found then; `{}` stands for line and column.
const FAULTS: &[(&str, &str, &str)] = &[
    // Components and fields.
    (
        "type: BearerAuthenticator",
        "type: BearerAuthenticater",
        "error unknown-type m.yaml:16:17: unknown component type BearerAuthenticater (did you mean BearerAuthenticator?)",
    ),
    (
        "type: SimpleRetriever",
        "type: HttpRequester",
        "error wrong-type m.yaml:9:13: DeclarativeStream.retriever cannot be a HttpRequester (use SimpleRetriever, AsyncRetriever or CustomRetriever)",
    ),
    (
        "request_parameters:",
        "request_paramters:",
        "error unknown-field m.yaml:13:9: HttpRequester has no field request_paramters (did you mean request_parameters?)",
    ),
    (
        "primary_key: id",
        "retreiver: x",
        "error unknown-field m.yaml:7:5: DeclarativeStream has no field retreiver (did you mean retriever?)",
    ),
    (
        "header: Retry-After, ",
        "",
        "error missing-field m.yaml:23:15: WaitTimeFromHeader has no header (add the field header)",
    ),
    (
        "field_path: [items]",
        "field_path: 7",
        "error wrong-kind m.yaml:26:56: DpathExtractor.field_path is a number (make it a list of keys, as in [data, items])",
    ),
    (
        "action: RATE_LIMITED",
        "action: RATELIMITED",
        "error unknown-choice m.yaml:21:70: HttpResponseFilter.action cannot be RATELIMITED (did you mean RATE_LIMITED?)",
    ),
    (
        "http_codes: [429]",
        "http_codes: [4290]",
        "error unknown-choice m.yaml:21:56: 4290 is no status of HTTP (statuses go from 100 to 599)",
    ),
    (
        "http_codes: [429], ",
        "",
        "error missing-field m.yaml:21:15: HttpResponseFilter has no condition (add http_codes, predicate or error_message_contains)",
    ),
    (
        ", action: RATE_LIMITED",
        "",
        "warning no-effect m.yaml:21:15: HttpResponseFilter has no action, so it never matches (add action: FAIL, RETRY, IGNORE, RATE_LIMITED or SUCCESS)",
    ),
    // Templates.
    (
        "{{ config.token }}",
        "{{ config.token }",
        "error template m.yaml:17:",
    ),
    (
        "{{ config.token }}",
        "{{ confg.token }}",
        "error unknown-name m.yaml:17:26: BearerAuthenticator.api_token uses `confg`, which the configuration does not have (did you mean config?)",
    ),
    (
        "{{ config.token }}",
        "{{ config.token | bse64encode }}",
        "unknown filter `bse64encode`: did you mean `base64encode`?",
    ),
    (
        "{{ config.token }}",
        "{{ record.token }}",
        "error unknown-name m.yaml:17:26: BearerAuthenticator.api_token uses `record`, which the configuration does not have (there are config, parameters)",
    ),
    (
        "{{ response.next }}",
        "{{ now_utcs() }}",
        "error unknown-name m.yaml:32:29: CursorPagination.cursor_value uses `now_utcs`, which a page does not have (did you mean now_utc?)",
    ),
    (
        "{{ stream_interval.start_time }}",
        "{{ stream_interval.start_tme }}",
        "warning unknown-key m.yaml:14:22: stream_interval.start_tme is never there (did you mean start_time?)",
    ),
    (
        "http_codes: [429]",
        "predicate: \"{{ config.x }}\"",
        "warning no-effect m.yaml:21:58: HttpResponseFilter.predicate uses config, which is empty where answers are judged (decide by response, headers or http_codes)",
    ),
    // Configuration.
    (
        "{{ config.token }}",
        "{{ config.tokn }}",
        "warning config m.yaml:17:26: config.tokn is used, but the spec does not have it (did you mean token?)",
    ),
    (
        "base_url: { type: string }",
        "base_url: { type: string }\n      region: { type: string }",
        "warning config m.yaml:50:7: the spec has region, which nothing uses (use it in a template, or remove it)",
    ),
    (
        ", airbyte_secret: true",
        "",
        "warning secret m.yaml:50:7: token looks like a secret, and is not marked as one (add airbyte_secret: true, which keeps it out of logs, or false if it is none)",
    ),
    // References.
    (
        "type: BearerAuthenticator",
        "$ref: '#/definitions/auth'",
        "error reference m.yaml:16:17: nothing stands at #/definitions/auth",
    ),
    // Cursors.
    (
        "cursor_field: updated_at",
        "cursor_field: updated",
        "warning schema m.yaml:35:21: the schema has no updated, which is the cursor (did you mean updated_at?)",
    ),
    (
        "cursor_field: updated_at",
        "cursor_field: updated_at\n      step: P1D",
        "error conflict m.yaml:36:13: step without cursor_granularity (add cursor_granularity, as in PT1S, or remove step)",
    ),
    (
        "cursor_field: updated_at",
        "cursor_field: updated_at\n      step: 1 day\n      cursor_granularity: PT1S",
        "error duration m.yaml:36:13: DatetimeBasedCursor.step cannot be read",
    ),
    (
        "\"%Y-%m-%dT%H:%M:%SZ\"",
        "\"YYYY-MM-DD\"",
        "error date-format m.yaml:36:24: DatetimeBasedCursor.datetime_format has no directive",
    ),
    (
        "\"%Y-%m-%dT%H:%M:%SZ\"",
        "\"%Y-%m-%dT%H:%i\"",
        "error date-format m.yaml:36:24: DatetimeBasedCursor.datetime_format formats dates that cannot be read back",
    ),
    (
        "\"2024-01-01T00:00:00Z\"",
        "\"2024-01-01\"",
        "error date m.yaml:37:23: start_datetime is not written as %Y-%m-%dT%H:%M:%SZ",
    ),
    (
        "since: \"{{ stream_interval.start_time }}\"",
        "limit: 100",
        "warning no-effect m.yaml:34:7: the cursor is neither sent nor used to filter, so each poll reads the whole stream",
    ),
    // Pages, requests, schemas, checks.
    (
        "page_token_option: {",
        "page_size_option: {",
        "error missing-field m.yaml:29:27: page_size_option without a page_size",
    ),
    (
        "page_token_option: {",
        "page_size_option: {",
        "warning no-effect m.yaml:28:9: the paginator sends its token nowhere, so every page is the first",
    ),
    (
        "field_name: after",
        "field_name: after, field_path: [after]",
        "error conflict m.yaml:29:28: RequestOption has both field_name and field_path (keep one of them)",
    ),
    (
        "regex: \"[0-9]+\"",
        "regex: \"[0-9\"",
        "error regex m.yaml:23:71: WaitTimeFromHeader.regex is no regular expression",
    ),
    (
        "type: object, properties: { id",
        "type: objekt, properties: { id",
        "warning schema m.yaml:43:23: InlineSchemaLoader.schema is no valid JSON Schema",
    ),
    (
        "primary_key: id",
        "primary_key: uid",
        "warning schema m.yaml:7:18: the schema has no uid, which is the primary key (did you mean id?)",
    ),
    (
        "stream_names: [items]",
        "stream_names: [item]",
        "error unknown-stream m.yaml:3:44: check names the stream item, which there is not (did you mean items?)",
    ),
    (
        "stream_names: [items]",
        "stream_names: [items",
        "error syntax m.yaml:",
    ),
    // This worker's own part.
    (
        "time: /updated_at",
        "tme: /updated_at",
        "error structure m.yaml:54:25: unknown key in signals.items \"tme\" (did you mean \"time\"?)",
    ),
];

#[test]
fn each_fault_is_found_with_its_place_and_fix() {
    let mut missed = Vec::new();
    for (old, new, expected) in FAULTS {
        assert!(GOOD.contains(old), "{old}");
        let findings = found(&GOOD.replacen(old, new, 1));
        if !findings.iter().any(|finding| finding.contains(expected)) {
            missed.push(format!("{new}: {findings:#?}\ninstead of {expected}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn everything_is_told_at_once() {
    let text = GOOD
        .replace("type: BearerAuthenticator", "$ref: '#/definitions/auth'")
        .replace("{{ response.next }}", "{{ respnse.next }}")
        .replace("request_parameters:", "request_paramters:")
        .replace(
            "{ type: CheckStream, stream_names: [items] }",
            "'#/nothing'",
        );
    let rules: Vec<String> = found(&text)
        .iter()
        .filter_map(|finding| finding.split(' ').nth(1).map(str::to_owned))
        .collect();
    for rule in ["reference", "unknown-name", "unknown-field"] {
        assert!(rules.iter().any(|found| found == rule), "{rules:?}");
    }
    let lost = rules.iter().filter(|rule| *rule == "reference").count();
    assert_eq!(lost, 2, "{rules:?}");
}

#[test]
fn a_component_that_does_not_run_is_named_with_its_line() {
    let text = GOOD.replace(
        "type: SimpleRetriever",
        "type: CustomRetriever\n      class_name: a.B",
    );
    let findings = found(&text);
    assert!(
        findings.iter().any(|finding| finding.starts_with(
            "warning unsupported m.yaml:9:13: stream items is unavailable: it needs CustomRetriever"
        )),
        "{findings:#?}"
    );
}

#[test]
fn a_component_referred_to_from_many_places_is_wrong_once() {
    let text = GOOD.replace(
        "streams:\n",
        "definitions:\n  auth: { type: BearerAuthenticator, api_tokn: x }\nstreams:\n",
    );
    let text = text.replace(
        "type: BearerAuthenticator\n          api_token: \"{{ config.token }}\"",
        "$ref: '#/definitions/auth'",
    );
    let second = text.replace("    name: items\n", "    name: others\n");
    let (_, stream) = second.split_once("streams:\n").unwrap();
    let (stream, _) = stream.split_once("spec:").unwrap();
    let text = text.replace("spec:\n", &format!("{stream}spec:\n"));
    let unknown: Vec<_> = found(&text)
        .into_iter()
        .filter(|finding| finding.contains("api_tokn"))
        .collect();
    assert_eq!(unknown.len(), 1, "{unknown:?}");
}

proptest! {
    /// Whatever an editor holds in the middle of a sentence is told of, and nothing hangs.
    #[test]
    fn no_text_makes_lint_panic(cut in 0..GOOD.len(), noise in "[{}\\[\\]:'\"%#&*|a-z \n$-]{0,12}") {
        let Some((before, after)) = GOOD.split_at_checked(cut) else {
            return Ok(());
        };
        for text in [before.to_owned(), format!("{before}{noise}{after}"), format!("{noise}{after}")] {
            for finding in lint("m.yaml", &text, "m") {
                prop_assert!(finding.problem.fix.is_some() || finding.rule == "syntax", "{finding:?}");
            }
        }
    }
}
