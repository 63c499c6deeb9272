//! The least a poller can do by hand: fetch, split, hash, compare, `XADD`, one state key. No retry,
//! no lease, no order between stream and state: what the worker's guarantees are measured against.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;

use serde::Deserialize;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;

#[derive(Deserialize)]
struct Key {
    id: u64,
}

const BATCH: usize = 100;

/// One poll; panics on anything unexpected.
pub fn poll(api: &str, redis: &str) {
    let mut writer = TcpStream::connect(redis).unwrap();
    let mut replies = BufReader::new(writer.try_clone().unwrap());
    let mut state = load(&mut writer, &mut replies);
    let (pages, incoming) = mpsc::sync_channel::<Vec<u8>>(4);
    let api = api.to_owned();
    let fetcher = thread::spawn(move || fetch(&api, &pages));
    let (asked, counts) = mpsc::channel::<usize>();
    let reader = thread::spawn(move || {
        let mut line = Vec::new();
        for count in counts {
            for _ in 0..count {
                line.clear();
                replies.read_until(b'\n', &mut line).unwrap();
                if line[0] == b'$' {
                    replies.read_until(b'\n', &mut line).unwrap();
                }
            }
        }
    });
    let (mut wire, mut waiting) = (Vec::new(), 0);
    for page in incoming {
        let records: Vec<&RawValue> = serde_json::from_slice(&page).unwrap();
        for record in records {
            let raw = record.get().as_bytes();
            let key: Key = serde_json::from_str(record.get()).unwrap();
            let hash = xxh3_64(raw);
            if state.insert(key.id, hash) != Some(hash) {
                let (id, version) = (key.id.to_string(), hash.to_string());
                command(
                    &mut wire,
                    &[
                        b"XADD",
                        b"loop",
                        b"*",
                        b"id",
                        id.as_bytes(),
                        b"version",
                        version.as_bytes(),
                        b"data",
                        raw,
                    ],
                );
                waiting += 1;
            }
            if waiting == BATCH {
                writer.write_all(&wire).unwrap();
                asked.send(waiting).unwrap();
                wire.clear();
                waiting = 0;
            }
        }
    }
    let blob: Vec<u8> = state
        .iter()
        .flat_map(|(id, hash)| [id.to_le_bytes(), hash.to_le_bytes()])
        .flatten()
        .collect();
    command(&mut wire, &[b"SET", b"loop:state", &blob]);
    writer.write_all(&wire).unwrap();
    asked.send(waiting + 1).unwrap();
    drop(asked);
    reader.join().unwrap();
    fetcher.join().unwrap();
}

fn command(wire: &mut Vec<u8>, parts: &[&[u8]]) {
    write!(wire, "*{}\r\n", parts.len()).unwrap();
    for part in parts {
        write!(wire, "${}\r\n", part.len()).unwrap();
        wire.extend_from_slice(part);
        wire.extend_from_slice(b"\r\n");
    }
}

fn load(writer: &mut TcpStream, replies: &mut BufReader<TcpStream>) -> HashMap<u64, u64> {
    let mut wire = Vec::new();
    command(&mut wire, &[b"GET", b"loop:state"]);
    writer.write_all(&wire).unwrap();
    let mut head = String::new();
    replies.read_line(&mut head).unwrap();
    let Ok(length) = head[1..].trim_end().parse::<usize>() else {
        return HashMap::new();
    };
    let mut blob = vec![0; length + 2];
    replies.read_exact(&mut blob).unwrap();
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    blob[..length]
        .chunks_exact(16)
        .map(|pair| (word(&pair[..8]), word(&pair[8..])))
        .collect()
}

/// Pages until an empty one, on one connection.
fn fetch(api: &str, pages: &mpsc::SyncSender<Vec<u8>>) {
    let mut writer = TcpStream::connect(api).unwrap();
    writer.set_nodelay(true).unwrap();
    let mut reader = BufReader::with_capacity(256 * 1024, writer.try_clone().unwrap());
    for number in 1.. {
        let request = format!("GET /issues?page={number} HTTP/1.1\r\nHost: {api}\r\n\r\n");
        writer.write_all(request.as_bytes()).unwrap();
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.trim_end().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        if body == b"[]" || pages.send(body).is_err() {
            return;
        }
    }
}
