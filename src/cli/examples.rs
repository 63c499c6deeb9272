//! Examples and exit codes of every command, for its help.

/// The end of one command's help.
pub(super) struct Page {
    /// The words that name the command.
    pub(super) command: &'static str,
    /// Command lines, each with what it is good for.
    pub(super) examples: &'static [(&'static str, &'static str)],
    /// What its exit codes mean.
    pub(super) codes: &'static str,
}

/// The usual codes, which the help of the whole program explains.
pub(super) const USUAL: &str = "";

const fn page(
    command: &'static str,
    examples: &'static [(&'static str, &'static str)],
    codes: &'static str,
) -> Page {
    Page {
        command,
        examples,
        codes,
    }
}

/// One for each command.
pub(super) const PAGES: &[Page] = &[
    page(
        "run",
        &[
            ("run", "every enabled connector of ./connectors.json"),
            (
                "run --name jira-prod --watch",
                "one; reload when the file changes",
            ),
            (
                "run --http-addr 0.0.0.0:9090",
                "health and metrics for a cluster",
            ),
        ],
        "0 stopped cleanly   1 cut off while it stopped   69 store unreachable
  75 with --no-wait: lease held by another   78 configuration",
    ),
    page(
        "serve",
        &[
            ("serve", "webhooks on port 8080, and run the connectors"),
            (
                "serve --role receiver --listen 127.0.0.1:8080",
                "receive and queue, nothing else",
            ),
            (
                "serve --trusted-proxies 10.0.0.0/8",
                "behind a load balancer",
            ),
        ],
        "as of `run`",
    ),
    page(
        "demo",
        &[
            ("demo", "until Ctrl-C"),
            (
                "demo --for 30s",
                "ends by itself, and proves what was published",
            ),
            (
                "demo --store redis://127.0.0.1:6379 --key-prefix demo:",
                "the same, in Redis",
            ),
        ],
        "0 the output stream holds each version once   1 it is not proven",
    ),
    page(
        "validate",
        &[
            ("validate", "./connectors.json, with the variables it needs"),
            (
                "validate --config new.json --name jira-prod",
                "one connector of another file",
            ),
        ],
        "0 valid   78 there are problems",
    ),
    page(
        "check",
        &[("check jira-prod", "enabled or not")],
        "0 proven   1 refused for another reason   69 unreachable   77 credentials refused
  78 configuration",
    ),
    page(
        "preview",
        &[
            (
                "preview jira-prod --limit 5",
                "about five records of each stream",
            ),
            (
                "preview github-acme --stream issues",
                "one stream, all of it",
            ),
        ],
        USUAL,
    ),
    page(
        "poll",
        &[
            ("poll jira-prod", "as a job of cron"),
            (
                "poll jira-prod --store sqlite:/var/lib/worker.db",
                "into a store of your choice",
            ),
        ],
        "0 read completely   1 not so   69 store or provider unreachable
  75 lease held by another   77 credentials refused   78 configuration",
    ),
    page(
        "tail",
        &[
            ("tail", "signals from now on"),
            (
                "tail --from-start --count 10",
                "the ten oldest that are kept",
            ),
            ("tail security-signals", "of another output stream"),
        ],
        USUAL,
    ),
    page(
        "status",
        &[
            ("status", "all enabled connectors"),
            ("status --name jira-prod -o json", "one, for a script"),
        ],
        "0 healthy   1 degraded   2 unhealthy, store unreachable or usage   78 configuration",
    ),
    page(
        "state",
        &[
            ("state show jira-prod", "what it remembers"),
            (
                "state reset jira-prod --stream issues",
                "publish a stream again",
            ),
        ],
        USUAL,
    ),
    page("state show", &[("state show jira-prod", "as JSON")], USUAL),
    page(
        "state reset",
        &[
            ("state reset jira-prod", "asks first"),
            (
                "state reset jira-prod --stream issues --yes",
                "one stream, in a script",
            ),
        ],
        CHANGES,
    ),
    page(
        "state set",
        &[(
            "state set jira-prod --stream issues --cursor '{\"updated\":\"2026-02-24T10:30:00Z\"}'",
            "read again from there",
        )],
        CHANGES,
    ),
    page(
        "state export",
        &[("state export jira-prod > jira-prod.json", "a backup")],
        USUAL,
    ),
    page(
        "state import",
        &[
            ("state import jira-prod jira-prod.json", "asks first"),
            (
                "state import jira-eu jira-prod.json --rename --yes",
                "after a change of the name",
            ),
        ],
        CHANGES,
    ),
    page("leases", &[("leases list", "who runs what")], USUAL),
    page(
        "leases list",
        &[
            ("leases list", "holders and the time left"),
            (
                "leases list -o json --store redis://127.0.0.1:6379",
                "for a script",
            ),
        ],
        USUAL,
    ),
    page(
        "leases release",
        &[(
            "leases release jira-prod --yes",
            "a standby has it within a second",
        )],
        "0 released   1 nobody held it   2 usage",
    ),
    page(
        "dlq",
        &[("dlq list jira-prod", "what could not be published")],
        USUAL,
    ),
    page(
        "dlq list",
        &[(
            "dlq list jira-prod --limit 20 -o table",
            "the twenty oldest, with the reason",
        )],
        USUAL,
    ),
    page(
        "dlq show",
        &[("dlq show jira-prod 1772000000000-0", "the record itself")],
        "0 shown   1 there is none with this id",
    ),
    page(
        "dlq replay",
        &[
            ("dlq replay jira-prod", "all, once the cause is mended"),
            ("dlq replay jira-prod 1772000000000-0", "one"),
        ],
        "0 published   1 some failed again, and stay   75 lease held by another",
    ),
    page(
        "dlq purge",
        &[
            ("dlq purge jira-prod 1772000000000-0", "one; asks first"),
            ("dlq purge jira-prod --yes", "all, in a script"),
        ],
        USUAL,
    ),
    page(
        "webhook",
        &[(
            "webhook verify push.body --provider GITHUB --secret-file secret",
            "why a signature fails",
        )],
        USUAL,
    ),
    page(
        "webhook send",
        &[(
            "webhook send push.body --provider GITHUB --secret-file secret \
             --to http://127.0.0.1:8080/webhooks/github-acme",
            "a test delivery",
        )],
        "0 the receiver took it   1 it did not   69 unreachable",
    ),
    page(
        "webhook verify",
        &[(
            "webhook verify push.body --provider GITHUB --secret-file secret",
            "headers from push.headers beside it",
        )],
        "0 trusted   1 not trusted",
    ),
    page(
        "connectors",
        &[("connectors list", "what `type` may say")],
        USUAL,
    ),
    page(
        "connectors list",
        &[
            (
                "connectors list -o table",
                "versions, streams, ways to authenticate",
            ),
            ("connectors list --manifests-dir manifests", "with your own"),
        ],
        USUAL,
    ),
    page(
        "connectors show",
        &[(
            "connectors show JIRA -o table",
            "streams, credentials, every key",
        )],
        USUAL,
    ),
    page(
        "manifest",
        &[("manifest lint my-crm.yaml", "what is wrong with it")],
        USUAL,
    ),
    page(
        "manifest lint",
        &[(
            "manifest lint my-crm.yaml --deny-warnings",
            "as a build does",
        )],
        "0 no errors   78 errors, or warnings with --deny-warnings",
    ),
    page(
        "manifest test",
        &[
            ("manifest test my-crm.yaml", "against my-crm.cassettes"),
            (
                "manifest test my-crm.yaml --update",
                "write what is expected",
            ),
        ],
        "0 as expected   1 something differs   78 the manifest cannot be used",
    ),
    page(
        "airbyte",
        &[(
            "airbyte spec --manifest-path manifest.yaml",
            "what a configuration looks like",
        )],
        AIRBYTE,
    ),
    page(
        "airbyte spec",
        &[(
            "airbyte spec --manifest-path manifest.yaml",
            "as a message on stdout",
        )],
        AIRBYTE,
    ),
    page(
        "airbyte check",
        &[(
            "airbyte check --config config.json --manifest-path manifest.yaml",
            "",
        )],
        AIRBYTE,
    ),
    page(
        "airbyte discover",
        &[(
            "airbyte discover --config config.json --manifest-path manifest.yaml",
            "",
        )],
        AIRBYTE,
    ),
    page(
        "airbyte read",
        &[(
            "airbyte read --config config.json --catalog catalog.json --manifest-path manifest.yaml",
            "",
        )],
        AIRBYTE,
    ),
    page(
        "schema",
        &[
            (
                "schema > connectors.schema.json",
                "for \"$schema\" in connectors.json",
            ),
            ("schema --signal", "what consumers receive"),
        ],
        USUAL,
    ),
    page(
        "completions",
        &[(
            "completions bash > /etc/bash_completion.d/connector-worker",
            "",
        )],
        USUAL,
    ),
];

/// Of commands that change state.
const CHANGES: &str = "0 changed   2 usage, or not confirmed with --yes off a terminal
  75 a worker holds the lease: stop it first   78 configuration";

/// Of Airbyte's protocol.
const AIRBYTE: &str = "0 done   1 failed, with a trace message on stdout   2 usage";
