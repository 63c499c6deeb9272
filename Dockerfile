# syntax=docker/dockerfile:1

# Dependencies are built in a layer of their own: it changes with Cargo.lock, not with src/.
FROM rust:1.95-slim-bookworm AS chef
RUN cargo install cargo-chef --locked
WORKDIR /src

FROM chef AS planner
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS builder
COPY --from=planner /src/recipe.json .
RUN cargo chef cook --release --locked --recipe-path recipe.json
COPY . .
RUN cargo build --release --locked --bin connector-worker

# glibc, CA certificates, time zones, a user without rights; no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=builder /src/target/release/connector-worker /usr/local/bin/connector-worker
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/connector-worker/
# The embedded store goes to the working directory; mount a volume here, or set REDIS_URL.
WORKDIR /home/nonroot
USER 65532:65532
# Memory that a poll has used goes back at once, not at the next poll.
ENV CONNECTOR_WORKER_HTTP_ADDR=0.0.0.0:9090 MIMALLOC_PURGE_DELAY=0
EXPOSE 9090
ENTRYPOINT ["/usr/local/bin/connector-worker"]
