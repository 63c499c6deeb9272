#!/usr/bin/env python3
"""What `connector-worker airbyte read` costs, beside airbyte-cdk on the same API in the same run.

    python3 benches/airbyte.py target/release/connector-worker [--records 100000] [--runs 3] [--million]

Needs airbyte-cdk in the Python that runs it (`pip install airbyte-cdk==7.39.1`). A local API answers plain HTTP from
memory, in a process of its own, 1,000 records a page. Both engines read the same two manifests turn by turn, and their
outputs are compared: the records must be equal. Figures are CPU time of the whole process (user + system), its peak
of resident memory, and the time from its start to its first request; the ratios are what carries over to other machines.
With --million the worker alone reads a million records, for its memory.
"""
import argparse
import hashlib
import json
import multiprocessing
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

PAGE = 1000

PLAIN = """
type: DeclarativeSource
version: 6.0.0
check: {{type: CheckStream, stream_names: [things]}}
streams:
- type: DeclarativeStream
  name: things
  primary_key: id
  schema_loader: {{type: InlineSchemaLoader, schema: {{type: object, properties: {{}}}}}}
{more}
  retriever:
    type: SimpleRetriever
    requester:
      type: HttpRequester
      url_base: "{{{{ config['base_url'] }}}}"
      path: things
      http_method: GET
    record_selector:
      type: RecordSelector
      extractor: {{type: DpathExtractor, field_path: [items]}}
    paginator:
      type: DefaultPaginator
      page_token_option: {{type: RequestOption, inject_into: request_parameter, field_name: page}}
      pagination_strategy: {{type: PageIncrement, page_size: 1000}}
spec:
  type: Spec
  connection_specification: {{type: object, properties: {{base_url: {{type: string}}}}}}
"""

MORE = """
  transformations:
  - type: AddFields
    fields:
    - {type: AddedFieldDefinition, path: [source], value: "{{ config['base_url'] }}"}
    - {type: AddedFieldDefinition, path: [label], value: "{{ record['name'] }}-{{ record['id'] }}"}
  incremental_sync:
    type: DatetimeBasedCursor
    cursor_field: updated_at
    datetime_format: "%Y-%m-%dT%H:%M:%SZ"
    start_datetime: "2020-01-01T00:00:00Z"
"""


def record(number):
    return {"id": number, "name": f"thing {number}", "active": number % 3 == 0, "amount": number / 4, "tags": ["a", "b"],
            "owner": {"id": number % 97, "email": f"user{number % 97}@example.com"},
            "updated_at": f"2024-{number % 12 + 1:02}-{number % 28 + 1:02}T{number % 24:02}:00:00Z"}


def serve(listener, records, first):
    """Answers /things?page=N for ever; notes when it is first asked."""
    import threading
    pages = []
    for start in range(0, records, PAGE):
        body = json.dumps({"items": [record(n) for n in range(start, min(start + PAGE, records))]}).encode()
        pages.append(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    empty = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"items":[]}'

    def talk(connection):
        kept = b""
        while True:
            while b"\r\n\r\n" not in kept:
                got = connection.recv(65536)
                if not got:
                    return
                kept += got
            head, kept = kept.split(b"\r\n\r\n", 1)
            if not first.value:
                first.value = time.monotonic()
            target = head.split(b" ", 2)[1].decode()
            page = int(target.partition("page=")[2].split("&")[0] or 0)
            connection.sendall(pages[page] if page < len(pages) else empty)

    while True:
        threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()


def run(command, out, first):
    """CPU seconds, peak MiB and milliseconds to the first request of one process."""
    first.value = 0
    with open(out, "wb") as stdout:
        begin = time.monotonic()
        process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[0]} ended with {status}: see {out}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, (first.value - begin) * 1000


def digest(out):
    """Number and order-free hash of the records in an output."""
    count, total = 0, 0
    with open(out, "rb") as lines:
        for line in lines:
            message = json.loads(line)
            if message["type"] == "RECORD":
                text = json.dumps(message["record"]["data"], sort_keys=True).encode()
                total = (total + int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")) % (1 << 64)
                count += 1
    return count, total


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("worker")
    options.add_argument("--records", type=int, default=100_000)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--million", action="store_true")
    given = options.parse_args()
    reference = shutil.which("source-declarative-manifest", path=os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"])
    if reference is None:
        raise SystemExit("source-declarative-manifest is not there: pip install airbyte-cdk==7.39.1")
    worker = os.path.abspath(given.worker)
    first = multiprocessing.Value("d", 0)

    with tempfile.TemporaryDirectory() as folder:
        at = lambda name: os.path.join(folder, name)  # noqa: E731
        json.dump({"streams": [{"stream": {"name": "things", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
                                "sync_mode": "full_refresh", "destination_sync_mode": "append"}]}, open(at("catalog.json"), "w"))
        for name, more in [("plain", ""), ("fields+cursor", MORE)]:
            with open(at(name + ".yaml"), "w") as manifest:
                manifest.write(PLAIN.format(more=more.strip("\n")))

        def begin(records):
            listener = socket.create_server(("127.0.0.1", 0), backlog=64)
            server = multiprocessing.get_context("fork").Process(target=serve, args=(listener, records, first), daemon=True)
            server.start()
            json.dump({"base_url": f"http://127.0.0.1:{listener.getsockname()[1]}"}, open(at("config.json"), "w"))
            return server

        def arguments(name):
            return ["read", "--config", at("config.json"), "--catalog", at("catalog.json"), "--manifest-path", at(name + ".yaml")]

        server = begin(given.records)
        print(f"{given.records} records, median of {given.runs} runs, turn by turn")
        print(f"{'':16}{'engine':>14}{'CPU s':>9}{'µs/record':>11}{'peak MiB':>10}{'first ms':>10}")
        for name in ("plain", "fields+cursor"):
            figures, seen = {"airbyte-cdk": [], "worker": []}, {}
            for _ in range(given.runs):
                for engine, command in (("airbyte-cdk", [reference]), ("worker", [worker, "airbyte"])):
                    figures[engine].append(run(command + arguments(name), at(engine), first))
                    seen[engine] = digest(at(engine))
            if seen["worker"] != seen["airbyte-cdk"] or seen["worker"][0] != given.records:
                raise SystemExit(f"the records differ: {seen}")
            medians = {engine: [statistics.median(column) for column in zip(*rows)] for engine, rows in figures.items()}
            for engine, (cpu, peak, began) in medians.items():
                print(f"{name:16}{engine:>14}{cpu:9.3f}{cpu / given.records * 1e6:11.2f}{peak:10.1f}{began:10.0f}")
            print(f"{name:16}{'ratio':>14}{medians['airbyte-cdk'][0] / medians['worker'][0]:9.1f}")
        server.kill()
        if given.million:
            server = begin(1_000_000)
            time.sleep(15)
            cpu, peak, began = run([worker, "airbyte", *arguments("fields+cursor")], os.devnull, first)
            print(f"{'a million':16}{'worker':>14}{cpu:9.3f}{cpu:11.2f}{peak:10.1f}{began:10.0f}")
            server.kill()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
