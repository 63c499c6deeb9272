//! The sandbox's Jira: issues that are created and edited; a search by JQL, page by page.

use jiff::Timestamp;
use rand::RngExt;
use rand::rngs::StdRng;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::world::pick;

/// Issues that exist at first.
const INITIAL: usize = 16;
/// Largest page, whatever is asked for; the real service also gives less than asked.
const MAX_PAGE: usize = 10;
/// More than this and no more are created.
const MOST: usize = 200;

#[derive(Debug)]
pub(super) struct Issues {
    recorded: Vec<Value>,
    existing: Vec<Issue>,
    created: usize,
}

#[derive(Debug)]
struct Issue {
    updated: Timestamp,
    value: Value,
}

/// One page of a search.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) issues: Vec<Value>,
    pub(super) next: Option<String>,
}

/// What a search asks for.
#[derive(Debug, Default)]
pub(super) struct Search<'a> {
    pub(super) jql: &'a str,
    /// `None`: ids alone, as the real service does.
    pub(super) fields: Option<&'a str>,
    pub(super) max_results: Option<usize>,
    pub(super) token: Option<&'a str>,
}

/// A search that the real service answers with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadSearch {
    Unbounded,
    Token,
}

impl Issues {
    pub(super) fn new() -> Self {
        let recorded: Vec<Value> = serde_json::from_str(include_str!("../fixtures/issues.json"))
            .expect("the embedded issues are JSON");
        let existing = recorded[..INITIAL]
            .iter()
            .map(|value| Issue {
                updated: recorded_time(value),
                value: value.clone(),
            })
            .collect();
        Self {
            recorded,
            existing,
            created: 0,
        }
    }

    pub(super) fn step(&mut self, random: &mut StdRng, now: Timestamp) {
        if random.random_range(0..10) < 3 && self.existing.len() < MOST {
            self.create(random, now);
        } else {
            let at = random.random_range(0..self.existing.len());
            edit(&mut self.existing[at], random, now);
        }
    }

    fn create(&mut self, random: &mut StdRng, now: Timestamp) {
        let Some(mut value) = pick(random, &self.recorded).cloned() else {
            return;
        };
        self.created += 1;
        let id = (30_000 + self.created).to_string();
        let project = value["fields"]["project"]["key"].as_str().unwrap_or("EE");
        let key = format!("{project}-{}", 200 + self.created);
        value["self"] = json!(format!(
            "https://example.atlassian.net/rest/api/3/issue/{id}"
        ));
        value["id"] = json!(id);
        value["key"] = json!(key);
        value["fields"]["created"] = json!(spelled(now));
        value["fields"]["updated"] = json!(spelled(now));
        set_status(&mut value, &STATUSES[0]);
        self.existing.push(Issue {
            updated: now,
            value,
        });
    }

    /// The page of issues, oldest change first, that follows `search.token`.
    ///
    /// A token names the last issue of the page before, not a count: an issue edited between two
    /// pages moves to the end and is seen again, and nothing is skipped.
    pub(super) fn search(&self, search: &Search<'_>) -> Result<Found, BadSearch> {
        let query = Query::parse(search.jql)?;
        let after = search
            .token
            .map(|token| read_token(token, search.jql))
            .transpose()?;
        let mut matching: Vec<&Issue> = self
            .existing
            .iter()
            .filter(|issue| query.matches(issue))
            .filter(|issue| after.as_ref().is_none_or(|after| issue.order() > *after))
            .collect();
        matching.sort_by_key(|issue| issue.order());
        let page = search.max_results.unwrap_or(50).clamp(1, MAX_PAGE);
        let next = (matching.len() > page).then(|| write_token(matching[page - 1], search.jql));
        matching.truncate(page);
        let issues = matching
            .iter()
            .map(|issue| project(&issue.value, search.fields))
            .collect();
        Ok(Found { issues, next })
    }
}

impl Issue {
    fn order(&self) -> (i64, u64) {
        let id = self.value["id"].as_str().and_then(|id| id.parse().ok());
        (self.updated.as_millisecond(), id.unwrap_or_default())
    }
}

/// The conditions that the sandbox understands; it ignores every other.
#[derive(Debug)]
struct Query {
    /// Earliest change, in milliseconds since 1970.
    since: i64,
    projects: Vec<String>,
}

impl Query {
    fn parse(jql: &str) -> Result<Self, BadSearch> {
        let regex = |text: &str| Regex::new(text).expect("the pattern is a constant");
        let conditions = regex(r"(?i)\s*\border\s+by\b.*$").replace(jql, "");
        if conditions.trim().is_empty() {
            return Err(BadSearch::Unbounded);
        }
        let since = regex(r#"(?i)\bupdated\s*>=?\s*"?(\d{10,14})\b"#)
            .captures_iter(&conditions)
            .filter_map(|found| found[1].parse().ok())
            .max()
            .unwrap_or(i64::MIN);
        let projects = regex(r"(?i)\bproject\s*(?:=|in\s*\()\s*([^()=]+?)(?:\)|\s+(?:and|or)\b|$)")
            .captures_iter(&conditions)
            .flat_map(|found| {
                let names = found[1]
                    .split(',')
                    .map(|name| name.trim().trim_matches('"'));
                names.map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        Ok(Self { since, projects })
    }

    fn matches(&self, issue: &Issue) -> bool {
        let project = issue.value["fields"]["project"]["key"]
            .as_str()
            .unwrap_or_default();
        issue.updated.as_millisecond() >= self.since
            && (self.projects.is_empty() || self.projects.iter().any(|name| name == project))
    }
}

/// The issue with the fields that were asked for.
fn project(issue: &Value, fields: Option<&str>) -> Value {
    let Some(wanted) = fields.filter(|fields| !fields.is_empty()) else {
        return json!({ "id": issue["id"] });
    };
    let mut issue = issue.clone();
    let wanted: Vec<&str> = wanted.split(',').map(str::trim).collect();
    if !wanted
        .iter()
        .any(|name| matches!(*name, "*all" | "*navigable"))
        && let Some(fields) = issue["fields"].as_object_mut()
    {
        let kept: Map<String, Value> = std::mem::take(fields)
            .into_iter()
            .filter(|(name, _)| wanted.contains(&name.as_str()))
            .collect();
        *fields = kept;
    }
    issue
}

/// `{milliseconds}.{id}.{hash of the query}`: a token belongs to its query.
fn write_token(last: &Issue, jql: &str) -> String {
    let (millis, id) = last.order();
    format!("{millis}.{id}.{}", hash_of(jql))
}

fn read_token(token: &str, jql: &str) -> Result<(i64, u64), BadSearch> {
    let parts: Vec<&str> = token.split('.').collect();
    let [millis, id, hash] = parts[..] else {
        return Err(BadSearch::Token);
    };
    match (millis.parse(), id.parse()) {
        (Ok(millis), Ok(id)) if hash == hash_of(jql) => Ok((millis, id)),
        _ => Err(BadSearch::Token),
    }
}

fn hash_of(jql: &str) -> String {
    format!("{:x}", xxhash_rust::xxh3::xxh3_64(jql.as_bytes()))
}

/// Status id and name, category id, key and name.
type Status = (&'static str, &'static str, u32, &'static str, &'static str);

const STATUSES: [Status; 3] = [
    ("10033", "To Do", 2, "new", "blue-gray"),
    ("10034", "In Progress", 4, "indeterminate", "yellow"),
    ("10035", "Done", 3, "done", "green"),
];

fn edit(issue: &mut Issue, random: &mut StdRng, now: Timestamp) {
    let value = &mut issue.value;
    match random.random_range(0..3) {
        0 => {
            if let Some(status) = pick(random, &STATUSES) {
                set_status(value, status);
            }
        }
        1 => {
            let votes = value["fields"]["votes"]["votes"].as_u64().unwrap_or(0) + 1;
            value["fields"]["votes"]["votes"] = json!(votes);
        }
        _ => {
            let label = pick(random, &["triaged", "customer", "regression", "security"]);
            value["fields"]["labels"] = json!([label]);
        }
    }
    value["fields"]["updated"] = json!(spelled(now));
    issue.updated = now;
}

fn set_status(value: &mut Value, (id, name, category, key, color): &Status) {
    value["fields"]["status"] = json!({
        "id": id, "name": name,
        "statusCategory": { "id": category, "key": key, "name": name, "colorName": color },
    });
}

/// As Jira writes it: milliseconds, an offset without colon.
fn spelled(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string()
}

fn recorded_time(value: &Value) -> Timestamp {
    let text = value["fields"]["updated"].as_str().unwrap_or_default();
    Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text)
        .expect("the embedded issues have an instant in Jira's form")
}
