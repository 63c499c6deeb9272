//! Every configuration that the documentation shows or `deploy/` ships is one that loads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use connector_worker::config::{LoadOptions, load};
use connector_worker::source::manifest::catalog::Catalog;

/// A value for every variable that the pages name.
fn environment() -> BTreeMap<String, String> {
    [
        ("JIRA_BASE_URL", "https://acme.atlassian.net"),
        ("JIRA_EMAIL", "bot@example.org"),
        ("JIRA_API_TOKEN", "a-token"),
        ("GITHUB_TOKEN", "a-token"),
        ("GITHUB_WEBHOOK_SECRET", "a-secret"),
        ("LINEAR_API_KEY", "lin_api_0000"),
        ("SLACK_BOT_TOKEN", "xoxb-0000"),
        ("GOOGLE_CLIENT_ID", "0000.apps.googleusercontent.com"),
        ("GOOGLE_CLIENT_SECRET", "a-secret"),
        ("GOOGLE_REFRESH_TOKEN", "1//0000"),
        ("GOOGLE_SERVICE_ACCOUNT_KEY", "{\"client_email\":\"a@b\"}"),
        ("MS_CLIENT_ID", "an-id"),
        ("MS_CLIENT_SECRET", "a-secret"),
        ("MS_REFRESH_TOKEN", "a-token"),
        ("DROPBOX_APP_KEY", "a-key"),
        ("DROPBOX_APP_SECRET", "a-secret"),
        ("DROPBOX_REFRESH_TOKEN", "a-token"),
        ("VERTEX_ACCESS_TOKEN", "ya29.0000"),
        ("GITLAB_TOKEN", "a-token"),
        ("GITLAB_CLIENT_ID", "an-id"),
        ("GITLAB_CLIENT_SECRET", "a-secret"),
        ("GITLAB_REFRESH_TOKEN", "a-token"),
        ("JIRA_CLIENT_ID", "an-id"),
        ("JIRA_CLIENT_SECRET", "a-secret"),
        ("JIRA_REFRESH_TOKEN", "a-token"),
        ("GITHUB_APP_KEY", "-----BEGIN RSA PRIVATE KEY-----"),
        ("PLANE_API_KEY", "a-token"),
        ("PLANE_CLIENT_ID", "an-id"),
        ("PLANE_CLIENT_SECRET", "a-secret"),
        ("DD_API_KEY", "a-token"),
        ("DD_APP_KEY", "a-token"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_a"),
        ("ACME_SECRET", "a-secret"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `directory` with this extension.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|ending| ending == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The JSON blocks of a page that are whole configuration files.
fn configurations(page: &str) -> Vec<String> {
    page.split("```json\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("\n```"))
        .map(|(block, _)| block.to_owned())
        .filter(|block| {
            block
                .trim_start_matches(['{', ' ', '\n'])
                .starts_with("\"connectors\"")
        })
        .collect()
}

fn loads(file: &Path, what: &str) {
    let options = LoadOptions {
        file: Some(file.to_owned()),
        environment: environment().into(),
        catalog: Arc::new(Catalog::load(None).unwrap()),
        ..LoadOptions::default()
    };
    match load(&options) {
        Ok(loaded) => assert!(!loaded.connectors.is_empty(), "{what} runs nothing"),
        Err(problems) => panic!("{what} does not load: {problems:?}"),
    }
}

#[test]
fn every_page_shows_configurations_that_load() {
    let directory = tempfile::tempdir().unwrap();
    let mut pages = files(&root().join("docs"), "md");
    pages.extend(files(&root().join("deploy"), "md"));
    pages.push(root().join("README.md"));
    let mut shown = 0;
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for (number, configuration) in configurations(&text).into_iter().enumerate() {
            let file = directory.path().join(format!("{shown}.json"));
            std::fs::write(&file, configuration).unwrap();
            loads(
                &file,
                &format!("block {} of {}", number + 1, page.display()),
            );
            shown += 1;
        }
    }
    assert!(shown >= 2, "the README shows at least two");
}

#[test]
fn a_stream_without_what_it_needs_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("connectors.json");
    let entry = r#"{ "connectors": [ { "name": "a", "type": "NOAA_WEATHER", "streams": ["alerts", "forecasts"] } ] }"#;
    std::fs::write(&file, entry).unwrap();
    let options = LoadOptions {
        file: Some(file),
        catalog: Arc::new(Catalog::load(None).unwrap()),
        ..LoadOptions::default()
    };
    let problems = load(&options).unwrap_err();
    let [problem] = &problems[..] else {
        panic!("{problems:?}")
    };
    assert_eq!(
        problem.message,
        "connector \"a\", streams[1]: stream \"forecasts\" needs providerConfig.points"
    );
    assert!(problem.at.is_some());
}

#[test]
fn every_shipped_configuration_loads() {
    let mut shipped = files(&root().join("deploy"), "json");
    shipped.extend(Some(root().join("connectors.json")).filter(|file| file.exists()));
    assert!(shipped.len() >= 3);
    for file in shipped {
        loads(&file, &file.display().to_string());
    }
}

#[test]
fn the_smallest_useful_connector_takes_at_most_five_lines() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let smallest = configurations(&readme)
        .iter()
        .map(|block| {
            // The lines of the file but for those around the entry.
            block.lines().count() - 4
        })
        .min()
        .unwrap();
    assert!(smallest <= 5, "it takes {smallest}");
}

#[test]
fn every_linked_file_exists() {
    let mut pages = files(&root().join("docs"), "md");
    pages.extend(files(&root().join("deploy"), "md"));
    pages.extend(["README.md", "CHANGELOG.md"].map(|name| root().join(name)));
    let mut broken = Vec::new();
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
            .map(|(target, _)| target.split('#').next().unwrap_or_default())
            .filter(|target| !target.is_empty() && !target.contains("://"));
        for target in targets {
            if !page.parent().unwrap().join(target).exists() {
                broken.push(format!("{} links to {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
