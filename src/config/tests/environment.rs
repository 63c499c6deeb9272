//! Connectors out of environment variables.

use super::*;
use crate::config::fields::{FIELDS, Field, Item, Rule};

fn load_environment(variables: &[(&str, &str)], names: &[&str]) -> Result<Loaded, Vec<Problem>> {
    let options = LoadOptions {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        environment: environment(variables),
        catalog: catalog(),
        ..LoadOptions::default()
    };
    from_environment(&options)
}

#[test]
fn both_modes_make_the_same_connector() {
    let from_variables = load_environment(
        &[
            ("ENABLED_CONNECTORS", "jira-prod"),
            ("CONNECTOR_JIRA_PROD_TYPE", "JIRA"),
            ("CONNECTOR_JIRA_PROD_POLL_INTERVAL_MS", "300000"),
            ("CONNECTOR_JIRA_PROD_RETRY_CONFIG_BASE_DELAY_MS", "5"),
            ("CONNECTOR_JIRA_PROD_CHANGE_DETECTION_IGNORE", "/a,/b"),
            ("CONNECTOR_JIRA_PROD_STREAMS", "issues"),
            ("CONNECTOR_JIRA_PROD_BASE_URL", "https://x"),
            ("CONNECTOR_JIRA_PROD_API_TOKEN", "123"),
            ("CONNECTOR_JIRA_PROD_BOARD_IDS", "1,2"),
            ("CONNECTOR_JIRA_PROD_VERIFY", "false"),
            ("CONNECTOR_JIRA_PROD_LIMITS_PER_SECOND", "2.5"),
        ],
        &[],
    )
    .unwrap();
    let text = r#"{ "connectors": [ { "name": "jira-prod", "type": "JIRA",
        "pollIntervalMs": 300000, "retryConfig": { "baseDelayMs": 5 },
        "changeDetection": { "ignore": ["/a", "/b"] }, "streams": ["issues"],
        "providerConfig": { "baseUrl": "https://x", "apiToken": "123", "boardIds": [1, 2],
          "verify": false, "limits": { "perSecond": 2.5 } } } ] }"#;
    let from_file = load_text(text, &[], &[]).unwrap();
    assert_eq!(from_variables.connectors, from_file.connectors);
    assert_eq!(from_variables.origin, "environment");
}

/// A value for every field, other than its default, as text.
fn sample(field: &Field) -> Option<String> {
    Some(match (field.path, field.rule) {
        ("streams", _) => "projects".to_owned(),
        (_, Rule::Flag) => "false".to_owned(),
        (_, Rule::Integer { min, .. }) => (min + 7).to_string(),
        (_, Rule::Number { max, .. }) => max.to_string(),
        (_, Rule::Word(_)) => "other".to_owned(),
        (_, Rule::Signature) => "svix".to_owned(),
        (_, Rule::List(Item::Pointer)) => "/a".to_owned(),
        (_, Rule::List(Item::Network)) => "192.0.2.7".to_owned(),
        (_, Rule::List(_)) => "x".to_owned(),
        (_, Rule::Name | Rule::Kind | Rule::Path | Rule::Provider) => return None,
    })
}

#[test]
fn every_field_changes_the_connector_in_both_modes() {
    let plain = [
        ("ENABLED_CONNECTORS", "jira-prod"),
        ("CONNECTOR_JIRA_PROD_TYPE", "JIRA"),
        ("CONNECTOR_JIRA_PROD_BASE_URL", "https://x"),
        ("CONNECTOR_JIRA_PROD_API_TOKEN", "t"),
    ];
    let unchanged = load_environment(&plain, &[]).unwrap();
    for field in FIELDS {
        let Some(sample) = sample(field) else {
            continue;
        };
        let variable = format!("CONNECTOR_JIRA_PROD_{}", field.variable());
        let mut variables = plain.to_vec();
        variables.push((&variable, &sample));
        let from_variables = load_environment(&variables, &[]).unwrap();

        let value = match field.rule {
            Rule::List(_) => format!("[\"{sample}\"]"),
            Rule::Word(_) | Rule::Signature => format!("\"{sample}\""),
            _ => sample.clone(),
        };
        let lines = match field.split() {
            (Some(group), name) => format!("\"{group}\": {{ \"{name}\": {value} }}"),
            (None, name) => format!("\"{name}\": {value}"),
        };
        let from_file = load_text(jira(&lines), &[], &[]).unwrap();
        assert_eq!(
            from_variables.connectors, from_file.connectors,
            "{}",
            field.path
        );
        if field.path.starts_with("webhook.") {
            assert_eq!(from_file.warnings.len(), 1, "{}", field.path);
        } else {
            assert_ne!(
                from_variables.connectors, unchanged.connectors,
                "{}",
                field.path
            );
        }
    }
}

#[test]
fn the_longest_name_that_fits_wins() {
    let variables = [
        ("ENABLED_CONNECTORS", "free, free-two"),
        ("CONNECTOR_FREE_TYPE", "FREE"),
        ("CONNECTOR_FREE_TWO_TYPE", "FREE"),
        ("CONNECTOR_FREE_TWO_TOKEN", "2"),
        ("CONNECTOR_FREE_TOKEN", "1"),
        ("CONNECTOR_OTHER_TOKEN", "3"),
    ];
    let loaded = load_environment(&variables, &[]).unwrap();
    assert_eq!(provider(&loaded.connectors[0]), json!({ "token": "1" }));
    assert_eq!(provider(&loaded.connectors[1]), json!({ "token": "2" }));
    let loaded = load_environment(&variables, &["free-two"]).unwrap();
    assert_eq!(loaded.connectors.len(), 1);
}

#[test]
fn values_are_literal_and_digits_stay_text() {
    let loaded = load_environment(
        &[
            ("ENABLED_CONNECTORS", "a"),
            ("CONNECTOR_A_TYPE", "FREE"),
            ("CONNECTOR_A_TOKEN", "${HOME} $$ 5"),
            ("CONNECTOR_A_ACCOUNT_ID", "0123"),
            ("CONNECTOR_A_PROVIDER_CONFIG_STREAMS", "x"),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(
        provider(&loaded.connectors[0]),
        json!({ "accountId": "0123", "streams": "x", "token": "${HOME} $$ 5" })
    );
}

#[test]
fn objects_are_written_as_json_or_key_by_key() {
    let as_json = load_environment(
        &[
            ("ENABLED_CONNECTORS", "a"),
            ("CONNECTOR_A_TYPE", "TEAMS"),
            (
                "CONNECTOR_A_CREDENTIALS",
                "{\"authType\": \"token\", \"token\": \"t\"}",
            ),
        ],
        &[],
    )
    .unwrap();
    let by_key = load_environment(
        &[
            ("ENABLED_CONNECTORS", "a"),
            ("CONNECTOR_A_TYPE", "TEAMS"),
            ("CONNECTOR_A_CREDENTIALS_TOKEN", "t"),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(as_json.connectors, by_key.connectors);
}

#[test]
fn a_file_wins_with_a_warning() {
    let loaded = load_text(
        "{ \"connectors\": [ { \"name\": \"a\", \"type\": \"NOAA_WEATHER\" } ] }",
        &[("ENABLED_CONNECTORS", "b"), ("CONNECTOR_B_TYPE", "FREE")],
        &[],
    )
    .unwrap();
    assert_eq!(loaded.all_names, ["a"]);
    insta::assert_snapshot!(shown(Ok(loaded)), @"  warning: connectors.json: ENABLED_CONNECTORS is ignored, because this file exists");
}

#[test]
fn mistakes() {
    let cases: &[&[(&str, &str)]] = &[
        &[("ENABLED_CONNECTORS", "a")],
        &[("ENABLED_CONNECTORS", "a"), ("CONNECTOR_A_TYPE", "WEATHER")],
        &[
            ("ENABLED_CONNECTORS", "a b,-c"),
            ("CONNECTOR_A_TYPE", "FREE"),
        ],
        &[("ENABLED_CONNECTORS", "a,a"), ("CONNECTOR_A_TYPE", "FREE")],
        &[
            ("ENABLED_CONNECTORS", "a-b,a.b"),
            ("CONNECTOR_A_B_TYPE", "FREE"),
        ],
        &[
            ("ENABLED_CONNECTORS", "worker"),
            ("CONNECTOR_WORKER_TYPE", "FREE"),
        ],
        &[
            ("ENABLED_CONNECTORS", "worker-1"),
            ("CONNECTOR_WORKER_1_TYPE", "FREE"),
        ],
        &[("ENABLED_CONNECTORS", "key")],
        &[("ENABLED_CONNECTORS", "name")],
        &[("ENABLED_CONNECTORS", "store")],
        &[("ENABLED_CONNECTORS", "manifests")],
        &[
            ("ENABLED_CONNECTORS", "a"),
            ("CONNECTOR_A_TYPE", "NOAA_WEATHER"),
            ("CONNECTOR_A_POLL_INTERVALMS", "5000"),
        ],
        &[
            ("ENABLED_CONNECTORS", "a"),
            ("CONNECTOR_A_TYPE", "FREE"),
            ("CONNECTOR_A_MAX_RETRYS", "5"),
        ],
        &[
            ("ENABLED_CONNECTORS", "a"),
            ("CONNECTOR_A_TYPE", "NOAA_WEATHER"),
            ("CONNECTOR_A_AERA", "CA"),
        ],
        &[
            ("ENABLED_CONNECTORS", "a"),
            ("CONNECTOR_A_TYPE", "NOAA_WEATHER"),
            ("CONNECTOR_A_POLL_INTERVAL_MS", "canary-5f3a"),
            ("CONNECTOR_A_MAX_RETRIES", "999"),
            ("CONNECTOR_A_ENABLED", "perhaps"),
        ],
        &[
            ("ENABLED_CONNECTORS", "jira-prod"),
            ("CONNECTOR_JIRA_PROD_TYPE", "JIRA"),
            ("CONNECTOR_JIRA_PROD_BASE_URL", "canary-5f3a"),
            ("CONNECTOR_JIRA_PROD_PAGE_SIZE", "canary-5f3a"),
        ],
        &[
            ("ENABLED_CONNECTORS", "a"),
            ("CONNECTOR_A_TYPE", "TEAMS"),
            ("CONNECTOR_A_CREDENTIALS", "{\"token\": canary-5f3a}"),
        ],
        &[
            ("ENABLED_CONNECTORS", "a"),
            ("CONNECTOR_A_TYPE", "NOAA_WEATHER"),
            ("CONNECTOR_A_STREAMS", "alert"),
        ],
    ];
    let mut page = String::new();
    for variables in cases {
        for (name, value) in *variables {
            writeln!(page, "{name}={value}").unwrap();
        }
        let result = load_environment(variables, &[]);
        assert!(result.is_err(), "accepted: {variables:?}");
        let problems = shown(result);
        writeln!(page, "{problems}").unwrap();
    }
    assert_page("environment", &page);
}
