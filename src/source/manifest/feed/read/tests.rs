//! What the rules of streams may say, and what each refusal names.

use crate::source::manifest::catalog::Manifest;

/// The problems of a manifest whose one stream has these rules.
fn problems(rules: &str) -> Vec<String> {
    let text = format!(
            "type: DeclarativeSource
streams:
  - name: a
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester: {{ type: HttpRequester, url_base: https://a.test, path: /a }}
      record_selector: {{ type: RecordSelector, extractor: {{ type: DpathExtractor, field_path: [] }} }}
metadata:
  connector:
    streams:
{rules}"
        );
    match Manifest::read("m.yaml", &text, "m") {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn rules_that_fit_are_accepted() {
    let rules = r#"      a:
        cursor:
          token: "{{ response.next }}"
          changes: { requester: { request_parameters: { since: "{{ token }}" } } }
          reset_when: { http_codes: [410], predicate: "{{ response.gone }}" }
        deleted: { when: "{{ record.gone }}", key: /id }
        detail: { requester: { path: "/a/{{ record.id }}" }, gone_when: { http_codes: [404] } }
"#;
    assert_eq!(problems(rules), Vec::<String>::new());
}

#[test]
fn a_sweep_lists_keys_or_looks_back() {
    let rules = r"      a:
        oldest_first: true
        sweep: { every: P1D, empty: [410], requester: { request_parameters: { fields: id } } }
";
    assert_eq!(problems(rules), Vec::<String>::new());
    let rules = r"      a:
        sweep: { every: P1D, lookback: P7D, requester: { path: /b } }
";
    assert_eq!(
        problems(rules),
        [
            "m.yaml:13:45: streams.a.sweep has a lookback beside requester (keep one: the stream is read further back, or its keys are listed)"
        ]
    );
}

#[test]
fn rules_that_find_deletions_say_what_they_need() {
    let rules = r#"      a:
        part_key: ["{{ stream_partition.b }}"]
        deletions:
          start: "0"
          token: "{{ response.until }}"
          requester: { path: /gone, request_parameters: { since: "{{ token }}" } }
          record_selector: { type: RecordSelector, extractor: { type: DpathExtractor, field_path: [gone] } }
          key: /of
"#;
    assert_eq!(problems(rules), Vec::<String>::new());
    let rules = r#"      a:
        cursor:
          token: "{{ response.next }}"
          changes: { requester: { path: "/b" }, reset_when: { http_code: [404] } }
        part_key: b
        deletions: { start: "0", requestr: {} }
"#;
    assert_eq!(
            problems(rules),
            [
                "m.yaml:15:63: unknown key in streams.a.cursor.changes.reset_when \"http_code\" (did you mean \"http_codes\"?)",
                "m.yaml:16:19: part_key is no list (list what the key begins with, as in [\"{{ stream_partition.project }}\"])",
                "m.yaml:17:20: streams.a.deletions has no token (say where an answer holds it)",
                "m.yaml:17:20: streams.a.deletions has no requester (add what differs from the stream's own)",
                "m.yaml:17:20: streams.a.deletions has no record_selector (say where the list of what is gone stands)",
                "m.yaml:17:34: unknown key in streams.a.deletions \"requestr\" (did you mean \"requester\"?)",
            ]
            .map(str::to_owned)
        );
}

#[test]
fn every_problem_names_its_place_and_fix() {
    let rules = r#"      b: {}
      a:
        cursr: {}
        cursor:
          token: "{{ response.next"
          changes: { requester: { pth: /b }, paginater: {} }
          reset_when: { http_codes: [1], predicat: "x" }
          restart_at: [1]
        deleted: { key: id }
        detail: { gone_when: {} }
"#;
    assert_eq!(
            problems(rules),
            [
                "m.yaml:12:7: unknown stream \"b\" (known: a)",
                "m.yaml:14:9: unknown key in streams.a \"cursr\" (did you mean \"cursor\"?)",
                "m.yaml:16:18: the template of token cannot be read: missing `}}` (check its brackets, quotation marks and filters)",
                "m.yaml:17:35: unknown key in streams.a.cursor.changes.requester \"pth\" (did you mean \"path\"?)",
                "m.yaml:17:46: unknown key in streams.a.cursor.changes \"paginater\" (did you mean \"paginator\"?)",
                "m.yaml:18:37: streams.a.cursor.reset_when.http_codes holds what is no status of HTTP (write a list of numbers, as in [404, 410])",
                "m.yaml:18:42: unknown key in streams.a.cursor.reset_when \"predicat\" (did you mean \"predicate\"?)",
                "m.yaml:19:23: restart_at is a list (make it text (a template in quotation marks))",
                "m.yaml:20:18: streams.a.deleted does not say what is deleted (add when, a predicate on a record, or field_path, the list of what is gone)",
                "m.yaml:20:25: key is no JSON pointer (a JSON pointer starts with a slash, as in /fields/updated)",
                "m.yaml:21:17: streams.a.detail has no requester (add what differs from the stream's own, as in requester: { path: /v1/me })",
                "m.yaml:21:30: streams.a.detail.gone_when is empty, so it never holds (add http_codes, predicate or error_message_contains)",
            ]
            .map(str::to_owned)
        );
}

#[test]
fn what_the_guide_shows_is_accepted() {
    let page = include_str!("../../../../../docs/creating-connectors.md");
    let (_, section) = page.split_once("## What changed since a token").unwrap();
    let mut examples = section.split("```yaml\n").skip(1);
    let example = |block: &str| {
        let (text, _) = block.split_once("```").unwrap();
        let (_, rules) = text.split_once("streams:\n").unwrap();
        let named = rules.replace("files:", "a:").replace("messages:\n", "a:\n");
        let indent = 6 - (named.len() - named.trim_start().len());
        named
            .lines()
            .map(|line| " ".repeat(indent) + line)
            .collect::<Vec<_>>()
            .join("\n")
    };
    for _ in 0..2 {
        let rules = example(examples.next().unwrap());
        assert!(rules.contains("      a:\n        cursor:"), "{rules}");
        assert_eq!(problems(&rules), Vec::<String>::new());
    }
}

#[test]
fn a_cursor_says_what_it_needs() {
    let found = problems("      a:\n        cursor: {}\n        deleted: {}\n");
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found[0].contains("m.yaml:13:17: streams.a.cursor has no token"),
        "{found:?}"
    );
    assert!(
        found[1].contains("streams.a.cursor has no changes"),
        "{found:?}"
    );
    assert!(
        found[2].contains("does not say what is deleted"),
        "{found:?}"
    );
}
