#!/usr/bin/env python3
"""What the worker takes while it does little: the time from its start to its first request, its
memory when idle, and whether that memory grows from poll to poll.

    cargo build --release
    benches/footprint.py [--worker target/release/connector-worker] [--items 50000] [--polls 1000]

Needs python3 and redis-server. Prints one table; absolute figures belong to the machine.
"""

import argparse
import http.server
import json
import os
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.parse

MANIFEST = """type: DeclarativeSource
streams:
  - type: DeclarativeStream
    name: issues
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester: { type: HttpRequester, url_base: "http://127.0.0.1:%d", path: issues }
      record_selector: { type: RecordSelector, extractor: { type: DpathExtractor, field_path: [] } }
      paginator:
        type: DefaultPaginator
        page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: page }
        pagination_strategy:
          { type: PageIncrement, page_size: 100, start_from_page: 0, inject_on_first_request: true }
"""


class Api(http.server.BaseHTTPRequestHandler):
    """Pages of a hundred issues of about 2 KB."""

    protocol_version = "HTTP/1.1"
    items = 0
    first_request = threading.Event()

    def do_GET(self):
        Api.first_request.set()
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        start = int(query.get("page", ["0"])[0]) * 100
        ids = range(start, min(start + 100, Api.items))
        body = json.dumps([{"id": number, "body": "x" * 2000} for number in ids]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ask(port, *words):
    """The first line of Redis' answer, or the value."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall((" ".join(words) + "\r\n").encode())
        answer = connection.makefile("rb")
        line = answer.readline().decode().strip()
        return answer.readline().decode().strip() if line.startswith("$") and line != "$-1" else line


class Worker:
    """A worker on a directory with one connector."""

    def __init__(self, program, directory, redis, interval_ms):
        connector = {
            "name": "bench",
            "type": "MANIFEST",
            "manifest": "issues.yaml",
            "pollIntervalMs": interval_ms,
            "providerConfig": {},
        }
        with open(os.path.join(directory, "connectors.json"), "w") as file:
            json.dump({"connectors": [connector]}, file)
        Api.first_request.clear()
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [program, "--name", "bench", "--http-addr", "none"],
            cwd=directory,
            env={"RUST_LOG": "error", "REDIS_URL": f"redis://127.0.0.1:{redis}"},
        )

    def until_first_request(self):
        assert Api.first_request.wait(30), "the worker asks for nothing"
        return (time.perf_counter() - self.started) * 1e3

    def memory(self):
        """Resident MiB: all of it, and without what is a file's."""
        with open(f"/proc/{self.process.pid}/status") as status:
            lines = dict(line.split(":", 1) for line in status)
        return tuple(int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon"))

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 0


def polls(redis):
    count = ask(redis, "HGET", "metrics:connector:bench", "totalPolls")
    return int(count) if count.isdigit() else 0


def wait_for(what, condition):
    deadline = time.monotonic() + 900
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.1)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--worker", default="target/release/connector-worker")
    arguments.add_argument("--items", type=int, default=50_000)
    arguments.add_argument("--polls", type=int, default=1000)
    arguments.add_argument("--starts", type=int, default=15)
    options = arguments.parse_args()
    program = os.path.abspath(options.worker)
    api = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=api.serve_forever, daemon=True).start()
    redis = free_port()
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "issues.yaml"), "w") as file:
            file.write(MANIFEST % api.server_address[1])
        server = subprocess.Popen(
            ["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", ""],
            stdout=subprocess.DEVNULL,
        )
        try:
            time.sleep(1)
            measure(options, program, directory, redis)
        finally:
            server.terminate()
            server.wait()


def measure(options, program, directory, redis):
    print("| figure | value |\n|---|--:|", flush=True)
    starts = []
    for _ in range(options.starts):
        worker = Worker(program, directory, redis, 3_600_000)
        starts.append(worker.until_first_request())
        worker.stop()
    print(
        f"| start to first request, ms (median, least, most of {options.starts}) "
        f"| {statistics.median(starts):.0f}, {min(starts):.0f}, {max(starts):.0f} |",
        flush=True,
    )

    Api.items = options.items
    worker = Worker(program, directory, redis, 3_600_000)
    wait_for("all is published", lambda: ask(redis, "XLEN", "raw-input-signals") == f":{options.items}")
    time.sleep(5)
    print("| idle after the first poll of %d, MiB (all, own) | %.1f, %.1f |" % (options.items, *worker.memory()))
    worker.stop()
    before = polls(redis)
    worker = Worker(program, directory, redis, 3_600_000)
    wait_for("it has polled", lambda: polls(redis) > before)
    time.sleep(5)
    print("| idle after a restart with %d tracked, MiB (all, own) | %.1f, %.1f |" % (options.items, *worker.memory()), flush=True)
    worker.stop()

    Api.items = 300
    ask(redis, "FLUSHALL")
    worker = Worker(program, directory, redis, 100)
    for at in sorted({options.polls * part // 10 for part in (1, 2, 5, 10)}):
        wait_for(f"it has polled {at} times", lambda: polls(redis) >= at)
        print("| after %d polls of 300 records, MiB (all, own) | %.1f, %.1f |" % (at, *worker.memory()), flush=True)
    worker.stop()


if __name__ == "__main__":
    main()
