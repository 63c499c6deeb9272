//! Configurations that are right, and what they come to.

use proptest::prelude::*;

use super::*;

fn one(text: &str, variables: &[(&str, &str)]) -> ConnectorConfig {
    let loaded = load_text(text, variables, &[]).unwrap();
    assert_eq!(loaded.connectors.len(), 1);
    (*loaded.connectors[0]).clone()
}

#[test]
fn a_small_entry_gets_the_documented_defaults() {
    let config = one(
        &with_provider("NOAA_WEATHER", "{ \"area\": \"CA, OR\" }"),
        &[],
    );
    assert_eq!(&*config.name, "a");
    assert!(config.enabled);
    assert_eq!(config.poll_interval, None);
    assert_eq!(config.request_timeout, Duration::from_secs(10));
    assert_eq!(config.max_retries, 2);
    assert_eq!(config.retry, crate::connector::RetryConfig::default());
    assert_eq!(&*config.output_stream, "raw-input-signals");
    assert_eq!(config.output_max_len, 1_000_000);
    assert_eq!(config.lease_ttl, Duration::from_secs(30));
    assert!(config.streams.is_empty() && config.tenant.is_none());
    assert_eq!(
        config.change_detection,
        crate::connector::ChangeDetection::default()
    );
    assert_eq!(
        provider(&config),
        json!({ "base_url": "https://api.weather.gov", "area": ["CA", "OR"] })
    );
}

#[test]
fn every_field_arrives() {
    let config = one(
        &jira(
            r#""enabled": true, "pollIntervalMs": 300000, "requestTimeoutMs": 15000,
               "maxRetries": 3, "outputStream": "out", "leaseTtlSeconds": 60,
               "retryConfig": { "baseDelayMs": 1, "maxDelayMs": 2, "jitterRatio": 0.5 },
               "streams": "issues, projects", "tenantId": "acme", "outputMaxLen": 0,
               "changeDetection": { "ignore": ["/fields/lastViewed"], "deletions": false,
                 "lookbackSeconds": 300, "retentionDays": 7, "maxKeys": 10 }"#,
        ),
        &[],
    );
    assert_eq!(config.poll_interval, Some(Duration::from_mins(5)));
    assert_eq!(config.request_timeout, Duration::from_secs(15));
    assert_eq!(config.max_retries, 3);
    assert_eq!(&*config.output_stream, "out");
    assert_eq!(config.lease_ttl, Duration::from_mins(1));
    assert_eq!(config.retry.base_delay, Duration::from_millis(1));
    assert_eq!(config.retry.max_delay, Duration::from_millis(2));
    assert!((config.retry.jitter_ratio - 0.5).abs() < f64::EPSILON);
    let streams: Vec<&str> = config.streams.iter().map(|name| &**name).collect();
    assert_eq!(streams, ["issues", "projects"]);
    assert_eq!(config.tenant.as_deref(), Some("acme"));
    assert_eq!(config.output_max_len, 0);
    let change = &config.change_detection;
    assert_eq!(change.ignore, ["/fields/lastViewed"]);
    assert_eq!(change.deletions, Some(false));
    assert_eq!(change.lookback, Some(Duration::from_mins(5)));
    assert_eq!((change.retention_days, change.max_keys), (7, 10));
}

#[test]
fn an_entry_overrides_the_defaults_field_by_field() {
    let text = r#"{ "defaults": { "maxRetries": 7, "leaseTtlSeconds": "${TTL}",
          "retryConfig": { "maxDelayMs": 500 }, "tenantId": "acme" },
        "connectors": [
          { "name": "a", "type": "NOAA_WEATHER" },
          { "name": "b", "type": "NOAA_WEATHER", "maxRetries": 1,
            "retryConfig": { "baseDelayMs": 10 } } ] }"#;
    let loaded = load_text(text, &[("TTL", "45\n")], &[]).unwrap();
    let [a, b] = loaded.connectors.as_slice() else {
        panic!("two connectors")
    };
    assert_eq!((a.max_retries, b.max_retries), (7, 1));
    assert_eq!(a.retry.base_delay, Duration::from_millis(150));
    assert_eq!(b.retry.base_delay, Duration::from_millis(10));
    assert_eq!(b.retry.max_delay, Duration::from_millis(500));
    assert_eq!(b.lease_ttl, Duration::from_secs(45));
    assert_eq!(b.tenant.as_deref(), Some("acme"));
}

#[test]
fn a_wait_that_is_left_out_follows_the_other() {
    let waits = |retry: &str| {
        let config = one(&jira(&format!("\"retryConfig\": {{ {retry} }}")), &[]);
        (
            config.retry.base_delay.as_millis(),
            config.retry.max_delay.as_millis(),
        )
    };
    assert_eq!(waits("\"maxDelayMs\": 50"), (50, 50));
    assert_eq!(waits("\"baseDelayMs\": 20000"), (20_000, 20_000));
    assert_eq!(waits("\"jitterRatio\": 0"), (150, 10_000));
}

#[test]
fn every_wait_has_some_jitter() {
    for (given, counts) in [("0", 0.01), ("0.005", 0.01), ("0.02", 0.02), ("1", 1.0)] {
        let retry = format!("\"retryConfig\": {{ \"jitterRatio\": {given} }}");
        let ratio = one(&jira(&retry), &[]).retry.jitter_ratio;
        assert!((ratio - counts).abs() < f64::EPSILON, "{given}: {ratio}");
    }
}

#[test]
fn numbers_and_flags_accept_substituted_text() {
    let lines = r#""pollIntervalMs": "${MS:-60000}", "enabled": "${ON}",
        "retryConfig": { "jitterRatio": "${RATIO}" }, "changeDetection": { "deletions": "${ON}" }"#;
    let config = one(&jira(lines), &[("ON", "True"), ("RATIO", "0.25")]);
    assert_eq!(config.poll_interval, Some(Duration::from_mins(1)));
    assert!(config.enabled);
    assert_eq!(config.change_detection.deletions, Some(true));
}

#[test]
fn provider_keys_get_the_spelling_and_order_of_the_type() {
    let spellings = [
        r#"{ "apiToken": "t", "baseUrl": "https://x", "pageSize": "10", "boardIds": "1, 2" }"#,
        r#"{ "base_url": "https://x", "api_token": "t", "board_ids": [1, 2], "page_size": 10 }"#,
        "{\n\"board_ids\":\"1,2\",\n\"page_size\":10.0e0,\n\"baseURL\":\"https://x\",\"apiToken\":\"t\"}",
    ];
    let configs: Vec<_> = spellings
        .iter()
        .map(|text| one(&with_provider("JIRA", &text.replace("10.0e0", "10")), &[]))
        .collect();
    assert_eq!(
        provider(&configs[0]).to_string(),
        r#"{"base_url":"https://x","api_token":"t","board_ids":[1,2],"page_size":10,"verify":true}"#
    );
    // A reload compares configurations: moving or spelling an entry otherwise is no change.
    assert!(configs.iter().all(|config| *config == configs[0]));
}

#[test]
fn an_alternative_is_found_by_its_keys_or_its_constant() {
    let credentials = |text: &str| provider(&one(&with_provider("TEAMS", text), &[]));
    assert_eq!(
        credentials(r#"{ "credentials": { "token": "t" } }"#),
        json!({ "credentials": { "auth_type": "token", "token": "t" } })
    );
    assert_eq!(
        credentials(
            r#"{ "credentials": { "authType": "oauth", "clientId": "c", "clientSecret": "s" } }"#
        ),
        json!({ "credentials": { "auth_type": "oauth", "client_id": "c", "client_secret": "s" } })
    );
}

#[test]
fn additional_keys_pass_where_the_type_allows_them() {
    let config = one(
        &with_provider("FREE", r#"{ "zoo": 1, "baseUrl": "x", "abc": [] }"#),
        &[],
    );
    assert_eq!(
        provider(&config).to_string(),
        r#"{"base_url":"x","abc":[],"zoo":1}"#
    );
}

#[test]
fn only_connectors_that_run_need_their_values() {
    let text = r#"{ "defaults": { "tenantId": "${TENANT}" }, "connectors": [
        { "name": "jira", "type": "JIRA", "pollIntervalMs": "${MS}", "streams": ["${S}"],
          "retryConfig": { "baseDelayMs": 20000, "maxDelayMs": "${MAX}" },
          "providerConfig": { "baseUrl": "${URL}", "apiToken": "${TOKEN}", "pageSize": "${N}",
            "boardIds": "${B}", "limits": { "perSecond": "${P}" } } },
        { "name": "teams", "type": "TEAMS", "enabled": false,
          "providerConfig": { "credentials": { "authType": "${A}", "token": "${T}" } } },
        { "name": "any", "type": "${KIND}", "enabled": false, "requestTimeoutMs": "${RT}" },
        { "name": "weather", "type": "NOAA_WEATHER" } ] }"#;
    let loaded = load_text(text, &[("TENANT", "acme")], &["weather"]).unwrap();
    assert_eq!(loaded.connectors.len(), 1);
    assert_eq!(loaded.all_names, ["jira", "teams", "any", "weather"]);

    let problems = load_text(text, &[("TENANT", "acme")], &[]).unwrap_err();
    assert!(
        problems.iter().all(|p| p.message.contains("\"jira\"")),
        "{problems:?}"
    );
    assert_eq!(problems.len(), 8, "{problems:?}");

    let loaded = load_text(text, &[], &["teams", "any"]).unwrap();
    let names: Vec<&str> = loaded.connectors.iter().map(|c| &*c.name).collect();
    assert_eq!(names, ["teams", "any"]);
}

#[test]
fn a_disabled_connector_can_be_tried() {
    let text = jira("\"enabled\": false, \"tenantId\": \"${TENANT}\"");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("connectors.json");
    std::fs::write(&file, text).unwrap();
    let mut options = LoadOptions {
        file: Some(file),
        names: vec!["jira-prod".to_owned()],
        catalog: catalog(),
        ..LoadOptions::default()
    };
    assert!(load(&options).is_ok());
    options.include_disabled = true;
    assert!(load(&options).is_err(), "its variable is not set");
    options.environment = environment(&[("TENANT", "acme")]);
    let loaded = load(&options).unwrap();
    assert_eq!(loaded.connectors[0].tenant.as_deref(), Some("acme"));
    assert!(!loaded.connectors[0].enabled);
}

#[test]
fn a_reload_may_have_lost_a_name() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("connectors.json");
    std::fs::write(&file, "{ \"connectors\": [] }").unwrap();
    let options = LoadOptions {
        file: Some(file),
        names: vec!["gone".to_owned()],
        allow_unknown_names: true,
        ..LoadOptions::default()
    };
    assert!(load(&options).unwrap().connectors.is_empty());
}

#[test]
fn files_of_secrets_are_read_beside_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("connectors.json");
    std::fs::write(directory.path().join("token"), "s3cr3t${X}\n").unwrap();
    let text = with_provider("FREE", r#"{ "token": "${file:token}" }"#);
    std::fs::write(&file, text).unwrap();
    let options = LoadOptions {
        file: Some(file),
        catalog: catalog(),
        ..LoadOptions::default()
    };
    let loaded = load(&options).unwrap();
    assert_eq!(
        provider(&loaded.connectors[0]),
        json!({ "token": "s3cr3t${X}\n" })
    );
}

#[test]
fn debug_output_shows_no_provider_value() {
    let text = with_provider(
        "JIRA",
        r#"{ "baseUrl": "https://x", "apiToken": "${CANARY}" }"#,
    );
    let loaded = load_text(&text, &[], &[]).unwrap();
    assert!(!format!("{loaded:?}").contains(CANARY));
    let environment = environment(&[("TOKEN", CANARY)]);
    assert_eq!(format!("{environment:?}"), "Environment(1 variables)");
}

#[test]
fn substituted_values_are_kept_out_of_logs() {
    let text = with_provider(
        "FREE",
        r#"{ "token": "${SECRET}", "baseUrl": "https://x" }"#,
    );
    load_text(text, &[("SECRET", "planted-7c21e")], &[]).unwrap();
    assert_eq!(
        crate::telemetry::redacted("it was planted-7c21e"),
        "it was [redacted]"
    );
}

#[test]
fn a_default_of_a_manifest_is_no_problem_of_the_user() {
    let spec = json!({
        "type": "object",
        "properties": {
            "size": { "type": "integer", "default": "50" },
            "list": { "type": "array", "items": { "type": "string" }, "default": null },
            "odd": { "type": "integer", "default": "many" }
        }
    });
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("connectors.json");
    std::fs::write(&file, with_provider("OTHER", "{}")).unwrap();
    let options = LoadOptions {
        file: Some(file),
        catalog: Arc::new(Catalog::from_manifests([manifest("OTHER", &["x"], spec)])),
        ..LoadOptions::default()
    };
    let loaded = load(&options).unwrap();
    assert_eq!(
        provider(&loaded.connectors[0]),
        json!({ "size": 50, "odd": "many" })
    );
}

#[test]
fn circles_in_a_specification_end() {
    let spec = json!({
        "type": "object",
        "anyOf": [{ "$ref": "#" }],
        "properties": { "again": { "$ref": "#" } }
    });
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("connectors.json");
    std::fs::write(
        &file,
        with_provider("ROUND", r#"{ "again": { "again": {} } }"#),
    )
    .unwrap();
    let options = LoadOptions {
        file: Some(file),
        catalog: Arc::new(Catalog::from_manifests([manifest("ROUND", &["x"], spec)])),
        ..LoadOptions::default()
    };
    let _ = load(&options);
}

#[test]
fn blank_names_ask_for_nothing() {
    let text = with_provider("NOAA_WEATHER", "{}");
    for names in [&[""][..], &["", " "], &["a", ""], &[" a "]] {
        assert_eq!(load_text(&text, &[], names).unwrap().connectors.len(), 1);
    }
}

#[test]
fn many_connectors_load_quickly() {
    let entries: Vec<String> = (0..5_000)
        .map(|i| format!("{{ \"name\": \"c{i}\", \"type\": \"NOAA_WEATHER\" }}"))
        .collect();
    let text = format!("{{ \"connectors\": [{}] }}", entries.join(","));
    assert_eq!(load_text(text, &[], &[]).unwrap().connectors.len(), 5_000);
    let keys: Vec<String> = (0..200_000).map(|i| format!("\"k{i}\": 0")).collect();
    assert!(load_text(format!("{{ {} }}", keys.join(",")), &[], &[]).is_err());
}

proptest! {
    #[test]
    fn any_secret_arrives_unchanged(
        secret in prop_oneof![any::<String>(), "[${}\"\\\\a-z:?-]{0,16}", "\\$\\{CANARY\\}"],
    ) {
        let text = with_provider("FREE", r#"{ "token": "${SECRET}", "both": "<${SECRET}$$>" }"#);
        let config = one(&text, &[("SECRET", &secret)]);
        prop_assert_eq!(config.provider.get("token").and_then(Node::as_str), Some(&*secret));
        let both = format!("<{secret}$>");
        prop_assert_eq!(config.provider.get("both").and_then(Node::as_str), Some(&*both));
    }

    #[test]
    fn no_text_makes_loading_panic(text in "[\\[\\]{}\",:a-z$ ]{0,40}") {
        let _ = load_text(&text, &[], &[]);
        let _ = load_text(jira(&text), &[], &[]);
        let _ = load_text(with_provider("TEAMS", &text), &[], &[]);
    }
}
