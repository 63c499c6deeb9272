# `just` lists everything.
_list:
    @just --list --unsorted

# exactly what CI runs
check:
    scripts/test

# unit and integration tests whose name contains FILTER
test *FILTER:
    cargo test --locked {{ FILTER }}

# integration tests (a private redis-server is started for each run)
it *FILTER:
    cargo test --locked --test it {{ FILTER }}

# the fixtures of one provider
provider NAME:
    cargo test --locked --test it {{ NAME }}

# format, and mend what clippy can mend
fix:
    cargo fmt
    cargo clippy --locked --all-targets --fix --allow-dirty --allow-staged

# watch signals arrive: offline, no account, no Redis
demo *ARGS:
    cargo run --locked --release -- demo {{ ARGS }}

# run the connectors of connectors.json
run *ARGS:
    cargo run --locked --release -- {{ ARGS }}

# every problem of connectors.json at once
validate:
    cargo run --locked -- validate

# pages and schemas that are made from the code
docs:
    UPDATE_GENERATED=1 cargo test --locked --test it generated

# JSON Schema of connectors.json, for editors
schema:
    cargo run --locked --quiet -- schema

# render and check deploy/k8s
k8s:
    tests/k8s.sh

# licences and advisories of the dependencies (needs cargo-deny and the network)
deny:
    cargo deny check

# container image
image TAG="connector-worker:dev":
    docker build --tag {{ TAG }} .
