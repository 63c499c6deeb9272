//! One snapshot per group; every case shows the lines that are wrong and what is said of them.

use super::*;

/// Cases of lines in a JIRA entry: title and lines.
fn report_lines(cases: &[&str]) -> String {
    report(cases.iter().map(|lines| (*lines, jira(lines))))
}

fn report_providers(kind: &str, cases: &[&str]) -> String {
    report(
        cases
            .iter()
            .map(|config| (*config, with_provider(kind, config))),
    )
}

fn report<'a>(cases: impl Iterator<Item = (&'a str, String)>) -> String {
    let mut page = String::new();
    for (title, text) in cases {
        let result = load_text(text, &[], &[]);
        assert!(result.is_err(), "accepted: {title}");
        for problem in result.as_ref().unwrap_err() {
            assert!(problem.at.is_some(), "no place: {problem}");
        }
        writeln!(page, "{title}\n{}", shown(result)).unwrap();
    }
    page
}

fn report_files(cases: &[&str]) -> String {
    report(cases.iter().map(|text| (*text, (*text).to_owned())))
}

#[test]
fn syntax() {
    assert_page(
        "syntax",
        &report_files(&[
            "",
            "{ \"connectors\": [], }",
            "{ \"connectors\": [ {} {} ] }",
            "{ \"connectors\": [ { 'name': 'x' } ] }",
            "{\n  // mine\n  \"connectors\": []\n}",
            "{ \"connectors\": [ { \"name\": \"x } ] }",
            "{ \"connectors\": [ { \"name\": x } ] }",
            "{ \"connectors\": [ { \"enabled\": True } ] }",
            "{ \"connectors\": [ { \"name\": \"x\" ]",
            "{ \"connectors\": [",
            "connectors:\n  - name: x",
        ]),
    );
}

#[test]
fn a_file_that_is_not_utf_8() {
    insta::assert_snapshot!(shown(load_text(b"{\n \"connectors\": \"\xe4\" }", &[], &[])), @r#"  connectors.json:2:17: the file is not UTF-8 here (save it as UTF-8)"#);
}

#[test]
fn a_byte_order_mark_is_accepted() {
    assert!(load_text("\u{feff}{\"connectors\":[]}", &[], &[]).is_ok());
}

#[test]
fn the_top_of_the_file() {
    assert_page(
        "the_top_of_the_file",
        &report_files(&[
            "[]",
            "\"connectors\"",
            "{}",
            "{ \"connectors\": {} }",
            "{ \"connectors\": null }",
            "{ \"conectors\": [] }",
            "{ \"connectors\": [], \"pollIntervalMs\": 5 }",
            "{ \"connectors\": [], \"defaults\": [] }",
            "{ \"connectors\": [], \"$schema\": 5 }",
            "{ \"connectors\": [ \"jira-prod\" ] }",
            "{ \"connectors\": [ {} ] }",
            "{ \"connectors\": [],\n  \"connectors\": [] }",
        ]),
    );
}

#[test]
fn defaults() {
    let cases = [
        "{ \"pollIntervalMs\": 50 }",
        "{ \"name\": \"x\", \"providerConfig\": {} }",
        "{ \"retryConfig\": { \"baseDelay\": 5 } }",
        "{ \"maxRetrys\": 3 }",
        "{ \"requestTimeoutMs\": \"${NOT_SET}\" }",
        "{ \"retryConfig\": { \"baseDelayMs\": 5, \"maxDelayMs\": 1 } }",
    ];
    assert_page(
        "defaults",
        &report(cases.iter().map(|defaults| {
            let text = with_provider("NOAA_WEATHER", "{}");
            (
                *defaults,
                text.replacen('{', &format!("{{ \"defaults\": {defaults},"), 1),
            )
        })),
    );
}

#[test]
fn names_and_types() {
    let entry = |fields: &str| format!("{{ \"connectors\": [\n  {{ {fields} }}\n] }}");
    let cases = [
        "\"type\": \"NOAA_WEATHER\"",
        "\"name\": \"\", \"type\": \"NOAA_WEATHER\"",
        "\"name\": \"my weather\", \"type\": \"NOAA_WEATHER\"",
        "\"name\": \"-x\", \"type\": \"NOAA_WEATHER\"",
        "\"name\": \"acme:x\", \"type\": \"NOAA_WEATHER\"",
        "\"name\": 5, \"type\": \"NOAA_WEATHER\"",
        "\"name\": \"a\"",
        "\"name\": \"a\", \"type\": \"noaa-weather\"",
        "\"name\": \"a\", \"type\": \"SALESFORCE\"",
        "\"name\": \"a\", \"type\": \"${CANARY}\"",
        "\"name\": \"a\", \"type\": [\"JIRA\"]",
        "\"name\": \"a\", \"type\": \"MANIFEST\"",
        "\"name\": \"a\", \"type\": \"MANIFEST\", \"manifest\": \"\"",
        "\"name\": \"a\", \"type\": \"MANIFEST\", \"manifest\": \"none.yaml\"",
        "\"name\": \"a\", \"type\": \"NOAA_WEATHER\", \"manifest\": \"x.yaml\"",
        "\"name\": \"a\", \"type\": \"NOAA_WEATHER\" },\n  { \"name\": \"a\", \"type\": \"FREE\"",
    ];
    assert_page(
        "names_and_types",
        &report(cases.iter().map(|fields| (*fields, entry(fields)))),
    );
}

#[test]
fn fields_of_a_connector() {
    assert_page(
        "fields_of_a_connector",
        &report_lines(&[
            "\"pollInterval\": 60000",
            "\"poll_interval_ms\": 60000",
            "\"baseUrl\": \"https://x\"",
            "\"baseDelayMs\": 5",
            "\"retryConfig.baseDelayMs\": 5",
            "\"colour\": \"red\"",
            "\"enabled\": \"true\"",
            "\"enabled\": 1",
            "\"enabled\": \"${CANARY}\"",
            "\"pollIntervalMs\": 99",
            "\"pollIntervalMs\": \"60000\"",
            "\"pollIntervalMs\": \"1m\"",
            "\"pollIntervalMs\": 1000.5",
            "\"pollIntervalMs\": null",
            "\"pollIntervalMs\": 99999999999999999999",
            "\"pollIntervalMs\": \"${CANARY}\"",
            "\"requestTimeoutMs\": 0",
            "\"requestTimeoutMs\": -1",
            "\"maxRetries\": -1",
            "\"maxRetries\": 101",
            "\"leaseTtlSeconds\": 0",
            "\"outputStream\": \"\"",
            "\"outputStream\": \"my signals\"",
            "\"outputStream\": \"lease:jira-prod\"",
            "\"outputMaxLen\": -1",
            "\"tenantId\": 5",
            "\"retryConfig\": 5",
            "\"retryConfig\": { \"jitter\": 0.1 }",
            "\"retryConfig\": { \"jitterRatio\": 1.5 }",
            "\"retryConfig\": { \"jitterRatio\": \"0.1\" }",
            "\"retryConfig\": { \"baseDelayMs\": 500, \"maxDelayMs\": 100 }",
            "\"streams\": [\"isues\"]",
            "\"streams\": [\"issues\", \"issues\"]",
            "\"streams\": [5]",
            "\"streams\": { \"issues\": true }",
            "\"streams\": [\"${CANARY}\"]",
            "\"changeDetection\": { \"ignore\": [\"fields.lastViewed\"] }",
            "\"changeDetection\": { \"ignore\": [\"/a~2\", \"\"] }",
            "\"changeDetection\": { \"ignored\": [] }",
            "\"changeDetection\": { \"deletions\": \"no\" }",
            "\"changeDetection\": { \"lookbackSeconds\": -5 }",
            "\"changeDetection\": { \"retentionDays\": 0, \"maxKeys\": 0 }",
            "\"webhook\": { \"secret\": \"x\" }",
            "\"webhook\": { \"secrets\": \"x\" }",
            "\"webhook\": { \"allowIps\": [\"10.0.0.0/33\", \"example.org\"] }",
            "\"webhook\": { \"dedupeDays\": 0 }",
            "\"maxRetries\": 1, \"maxRetries\": 2",
            "\"providerconfig\": {}",
        ]),
    );
}

#[test]
fn an_unavailable_stream() {
    let text = "{ \"connectors\": [ { \"name\": \"a\", \"type\": \"TEAMS\", \
                \"streams\": [\"calls\"], \"providerConfig\": { \"credentials\": \
                { \"token\": \"t\" } } } ] }";
    insta::assert_snapshot!(shown(load_text(text, &[], &[])), @r#"  connectors.json:1:63: connector "a", streams[0]: stream "calls" cannot be read: it needs a CustomRetriever"#);
}

#[test]
fn provider_configuration() {
    let ok = "\"baseUrl\": \"https://x\", \"apiToken\": \"t\"";
    let more = |fields: &str| format!("{{ {ok}, {fields} }}");
    let cases: Vec<String> = vec![
        "{}".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "{ \"base_url\": \"https://x\" }".to_owned(),
        "{ \"baseUlr\": \"https://x\", \"apiToken\": \"t\" }".to_owned(),
        "{ \"baseUrl\": \"jira.example.org\", \"apiToken\": \"canary-5f3a\" }".to_owned(),
        "{ \"baseUrl\": \"${CANARY}\", \"apiToken\": \"t\" }".to_owned(),
        more("\"base_url\": \"https://y\""),
        more("\"apitoken\": \"t\""),
        more("\"colour\": \"red\""),
        more("\"pollIntervalMs\": 5000"),
        more("\"email\": 5"),
        more("\"email\": null"),
        more("\"jql\": \"\""),
        more("\"jql\": [\"a\"]"),
        more("\"projects\": [\"A\", 5]"),
        more("\"projects\": 5"),
        more("\"boardIds\": \"1,two\""),
        more("\"pageSize\": 0"),
        more("\"pageSize\": \"1000\""),
        more("\"pageSize\": \"many\""),
        more("\"pageSize\": 1.5"),
        more("\"verify\": \"maybe\""),
        more("\"order\": \"canary-5f3a\""),
        more("\"limits\": { \"perSecnd\": 5 }"),
        more("\"limits\": { \"perSecond\": \"fast\" }"),
        more("\"limits\": { \"perSecond\": 5, \"per_second\": 6 }"),
        more("\"limits\": 5"),
    ];
    let cases: Vec<&str> = cases.iter().map(String::as_str).collect();
    assert_page("provider_configuration", &report_providers("JIRA", &cases));
}

#[test]
fn alternatives_in_a_provider_configuration() {
    assert_page(
        "alternatives_in_a_provider_configuration",
        &report_providers(
            "TEAMS",
            &[
                "{}",
                "{ \"credentials\": {} }",
                "{ \"credentials\": \"canary-5f3a\" }",
                "{ \"credentials\": { \"authType\": \"basic\", \"token\": \"t\" } }",
                "{ \"credentials\": { \"authType\": \"oauth\", \"clientId\": \"c\" } }",
                "{ \"credentials\": { \"authType\": \"oauth\", \"clientId\": 5, \"clientSecret\": \"s\" } }",
                "{ \"credentials\": { \"authType\": \"token\", \"tokn\": \"canary-5f3a\" } }",
            ],
        ),
    );
}

#[test]
fn one_of_several_keys_is_needed() {
    assert_page(
        "one_of_several_keys_is_needed",
        &report_providers(
            "GITHUB",
            &[
                "{}",
                "{ \"repositorys\": [\"a/b\"] }",
                "{ \"organization\": 5 }",
                "{ \"organization\": \"o\", \"baseUrl\": \"github.example.org\" }",
                "{ \"organization\": \"o\", \"baseUrl\": \"localhost:8080\" }",
                "{ \"organization\": \"o\", \"baseUrl\": \"\" }",
                "{ \"organization\": \"o\", \"baseUrl\": \"http://169.254.169.254/\" }",
            ],
        ),
    );
}

#[test]
fn substitutions() {
    let cases = [
        "\"tenantId\": \"${NOT_SET}\"",
        "\"tenantId\": \"${NOT_SET:?ask the platform team}\"",
        "\"tenantId\": \"${}\"",
        "\"tenantId\": \"${CANARY\"",
        "\"tenantId\": \"${CANARY-x}\"",
        "\"tenantId\": \"${CAN ARY}\"",
        "\"tenantId\": \"${A:-${B}}\"",
        "\"tenantId\": \"${gcp:projects/p/secrets/s}\"",
        "\"tenantId\": \"${vault:secret/x}\"",
        "\"tenantId\": \"${file:/no/such/file}\"",
        "\"tenantId\": \"${file:}\"",
        "\"streams\": [\"issues\", \"${NOT_SET}\"]",
        "\"maxRetries\": \"${NOT_SET:-many}\"",
        "\"maxRetries\": \"${NOT_SET:-900}\"",
        "\"enabled\": \"${NOT_SET}\"",
        "\"enabled\": false, \"tenantId\": \"${CANARY\"",
        "\"enabled\": false, \"pollIntervalMs\": 5, \"tenantId\": \"${NOT_SET}\"",
    ];
    assert_page("substitutions", &report_lines(&cases));
}

#[test]
fn all_problems_of_a_file_in_its_order() {
    let text = r#"{
  "connectors": [
    { "name": "jira-prod", "type": "JIRA", "enabled": true,
      "pollIntervalMs": 50, "maxRetrys": 3,
      "streams": ["isues"],
      "providerConfig": { "baseUlr": "${JIRA_BASE_URL}", "apiToken": "${JIRA_API_TOKEN}" } },
    { "name": "jira-prod", "type": "jira" },
    { "name": "weather", "type": "NOAA_WEATHER", "leaseTtlSeconds": "30",
      "providerConfig": { "aera": "CA" } }
  ],
  "conectors": 1
}"#;
    assert_page(
        "all_problems_of_a_file_in_its_order",
        &shown(load_text(text, &[], &[])),
    );
}

#[test]
fn a_name_that_is_not_there() {
    let text = with_provider("NOAA_WEATHER", "{}").replace("\"a\"", "\"weather-noaa\"");
    insta::assert_snapshot!(shown(load_text(&text, &[], &["wether-noaa"])), @r#"  connectors.json: no connector is named "wether-noaa" (did you mean "weather-noaa"?)"#);
    insta::assert_snapshot!(shown(load_text(&text, &[], &["jira"])), @r#"  connectors.json: no connector is named "jira" (its connectors: weather-noaa)"#);
}

#[test]
fn warnings() {
    let mut page = String::new();
    for lines in [
        "\"pollIntervalMs\": 5000",
        "\"leaseTtlSeconds\": 5",
        "\"requestTimeoutMs\": 60000",
        "\"streams\": []",
        "\"webhook\": { \"secrets\": [\"${CANARY}\"] }",
    ] {
        let said = shown(load_text(jira(lines), &[], &[]));
        writeln!(page, "{lines}\n{said}").unwrap();
    }
    let empty = "{ \"baseUrl\": \"https://x\", \"apiToken\": \"${EMPTY}\" }";
    let page = page
        + &shown(load_text(
            with_provider("JIRA", empty),
            &[("EMPTY", "")],
            &[],
        ));
    let page = page + &shown(load_text("{ \"connectors\": [] }", &[], &[]));
    assert_page("warnings", &page);
}

#[test]
fn a_file_that_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let problem = |file: PathBuf| {
        let options = LoadOptions {
            file: Some(file),
            ..LoadOptions::default()
        };
        let problems = load(&options).unwrap_err();
        assert_eq!(problems.len(), 1);
        (
            problems[0].message.clone(),
            problems[0].fix.clone().unwrap_or_default(),
        )
    };
    let (message, fix) = problem(directory.path().join("none.json"));
    assert_eq!(message, "cannot read the configuration: no such file");
    assert!(
        fix.contains("--config") && fix.contains("ENABLED_CONNECTORS"),
        "{fix}"
    );
    let (message, _) = problem(directory.path().to_path_buf());
    assert_eq!(message, "cannot read the configuration: it is a directory");
}
