//! The page at `/`: one table of connectors, drawn anew every few seconds.
//!
//! Self-contained and without scripts. Every text is escaped, and a policy that allows nothing but
//! the page's own style stands behind that.

use std::fmt::{self, Display, Write};
use std::sync::LazyLock;

use axum::extract::State;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::router::Ops;
use crate::registry::{ConnectorRegistry, ConnectorStatus, Health};

const STYLE: &str = include_str!("dashboard.css");

const REFRESH_SECONDS: u32 = 3;

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
});

/// `GET /`
pub(super) async fn page(State(ops): State<Ops>) -> impl IntoResponse {
    (
        [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CONTENT_SECURITY_POLICY, POLICY.as_str()),
        ],
        render(&ops.registry, Timestamp::now()),
    )
}

fn render(registry: &ConnectorRegistry, now: Timestamp) -> String {
    let mut out = String::with_capacity(4096);
    // Writing to a `String` cannot fail.
    let _ = write_page(&mut out, registry, now);
    out
}

fn write_page(out: &mut String, registry: &ConnectorRegistry, now: Timestamp) -> fmt::Result {
    let connectors = registry.all();
    let worst = connectors
        .iter()
        .map(|status| status.health)
        .max()
        .unwrap_or_default();
    write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"refresh\" content=\"{REFRESH_SECONDS}\">\
         <title>{count} · {worst} · connector-worker</title><style>{STYLE}</style></head><body>\
         <header><h1>connector-worker</h1><span class=\"quiet\">{version}</span>\
         <span>{count}, <span class=\"{worst}\">{worst}</span></span>\
         <nav><a href=\"/connectors\">connectors</a><a href=\"/connectors/health\">health</a>\
         <a href=\"/readyz\">ready</a><a href=\"/metrics\">metrics</a></nav></header>",
        count = Count(connectors.len(), "connector"),
        worst = worst.as_str(),
        version = env!("CARGO_PKG_VERSION"),
    )?;
    if registry.is_draining() {
        out.push_str("<div class=\"banner\">Shutting down: polls under way finish first.</div>");
    }
    if let Some(problem) = registry.reload_problem() {
        write!(
            out,
            "<div class=\"banner\">The configuration on disk was refused {} and changes \
             nothing:<ul>",
            Ago(Some(problem.at), now)
        )?;
        for line in &problem.problems {
            write!(out, "<li>{}</li>", Escaped(line))?;
        }
        out.push_str("</ul></div>");
    }
    write_table(out, &connectors, now)?;
    out.push_str("</body></html>");
    Ok(())
}

fn write_table(out: &mut String, connectors: &[ConnectorStatus], now: Timestamp) -> fmt::Result {
    if connectors.is_empty() {
        out.push_str("<p class=\"quiet\">No connector is configured.</p>");
        return Ok(());
    }
    out.push_str(
        "<div class=\"scroll\"><table><thead><tr><th>Connector</th><th>Type</th><th>Health</th>\
         <th>Phase</th><th>Last poll</th><th>Next poll</th><th class=\"n\">Polls</th>\
         <th class=\"n\">Failed</th><th class=\"n\">Fetched</th><th class=\"n\">Published</th>\
         <th class=\"n\">Mean time</th><th class=\"n\">Epoch</th></tr></thead><tbody>",
    );
    connectors
        .iter()
        .try_for_each(|status| write_row(out, status, now))?;
    out.push_str("</tbody></table></div>");
    Ok(())
}

fn write_row(out: &mut String, status: &ConnectorStatus, now: Timestamp) -> fmt::Result {
    let explained = status.health != Health::Healthy && !status.reasons.is_empty();
    let name = Escaped(&status.name);
    let totals = &status.totals;
    write!(
        out,
        "<tr{class}><td><a href=\"/connectors/{name}\">{name}</a></td><td>{kind}</td>\
         <td class=\"{health}\">{health}</td><td>{phase}</td><td>{last}</td><td>{next}</td>\
         <td class=\"n\">{polls}</td><td class=\"n\">{failed}</td><td class=\"n\">{fetched}</td>\
         <td class=\"n\">{published}</td><td class=\"n\">{mean:.0} ms</td>\
         <td class=\"n\">{epoch}</td></tr>",
        class = if explained { " class=\"has-why\"" } else { "" },
        kind = Escaped(&status.kind),
        health = status.health.as_str(),
        phase = status.phase.as_str().replace('_', " "),
        last = Ago(status.last_poll_time, now),
        next = Until(status.next_poll_time, now),
        polls = totals.total_polls,
        failed = totals.failed_polls,
        fetched = totals.items_fetched,
        published = totals.items_published,
        mean = totals.average_latency_ms,
        epoch = status
            .epoch
            .map_or_else(|| "–".to_owned(), |epoch| epoch.to_string()),
    )?;
    if explained {
        write!(
            out,
            "<tr class=\"why\"><td colspan=\"12\" class=\"quiet\">{}</td></tr>",
            Escaped(&status.reasons.join(" · "))
        )?;
    }
    Ok(())
}

/// Text that cannot leave its place in HTML, attribute values included.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            _ => f.write_char(c),
        })
    }
}

struct Count(usize, &'static str);

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", self.0, self.1)
    }
}

struct Ago(Option<Timestamp>, Timestamp);

impl Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(at) => write!(f, "{} ago", span(at, self.1)),
            None => f.write_str("–"),
        }
    }
}

struct Until(Option<Timestamp>, Timestamp);

impl Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(at) if at > self.1 => write!(f, "in {}", span(self.1, at)),
            Some(_) => f.write_str("due"),
            None => f.write_str("–"),
        }
    }
}

fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Phase, ReloadProblem};

    fn now() -> Timestamp {
        "2026-02-24T10:30:00Z".parse().unwrap()
    }

    #[test]
    fn hostile_text_stays_text() {
        let mut status = ConnectorStatus::new("a\"><script>alert(1)</script>", "<T>");
        status.phase = Phase::Parked;
        status.last_error = Some("<img src=x onerror='alert(2)'>".to_owned());
        let registry = ConnectorRegistry::default();
        registry.insert(status);
        registry.set_reload_problem(Some(ReloadProblem {
            at: now(),
            problems: vec!["</style><script>".to_owned()],
        }));
        let html = render(&registry, now());
        assert!(
            !html.contains("<script") && !html.contains("<img"),
            "{html}"
        );
        assert!(html.contains("&lt;img src=x onerror=&#39;alert(2)&#39;&gt;"));
    }

    #[test]
    fn the_policy_allows_the_style_as_it_is_sent() {
        let html = render(&ConnectorRegistry::default(), now());
        let (_, rest) = html.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();
        let hash = STANDARD.encode(Sha256::digest(style));
        assert!(POLICY.contains(&hash));
    }

    #[test]
    fn times_are_told_from_now() {
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        assert_eq!(
            Ago(at("2026-02-24T10:29:48Z"), now()).to_string(),
            "12 s ago"
        );
        assert_eq!(
            Ago(at("2026-02-24T10:00:00Z"), now()).to_string(),
            "30 min ago"
        );
        assert_eq!(Ago(None, now()).to_string(), "–");
        assert_eq!(
            Until(at("2026-02-24T13:30:00Z"), now()).to_string(),
            "in 3 h"
        );
        assert_eq!(Until(at("2026-02-24T10:29:00Z"), now()).to_string(), "due");
    }
}
