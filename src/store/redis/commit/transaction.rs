//! The transaction of a commit: its commands, and what their answers mean.
//!
//! The signals are encoded ahead, while the commit before is on its way; what depends on how the
//! versions are kept follows after the look.

use redis::{RedisError, RedisResult};
use sha1::{Digest, Sha1};

use super::super::keys::Keys;
use super::super::lease::millis;
use super::super::scripts;
use super::super::wire::{Request, parsed};
use super::look::Seen;
use super::touched;
use crate::signal::Signal;
use crate::store::entry::{EntryWriter, VARYING};
use crate::store::queue::DEAD_DELIVERIES_KEPT;
use crate::store::{Acknowledged, Commit, Committed, DEAD_LETTERS_KEPT, Lease};

/// Bytes of a signal's entry besides data, subject and names.
const ENTRY_OVERHEAD: usize = 640;

/// Versions from which on they are kept in many small hashes.
const BUCKETS_FROM: u64 = 200_000;

/// How many hashes: few enough entries in each, up to some millions in all, that Redis packs them.
const BUCKETS: u64 = 8192;

/// Versions that one commit moves from the one hash: less than half a millisecond of Redis.
const MOVED_AT_ONCE: u64 = 200;

/// How many bytes the signals of a commit take, about.
pub(super) fn size(commit: &Commit) -> usize {
    let size = |signal: &Signal| signal.data.len() + 2 * signal.subject.len() + ENTRY_OVERHEAD;
    commit.signals.iter().map(size).sum()
}

/// Appends `MULTI` and the signals.
pub(super) fn signals(request: &mut Request, keys: &Keys, lease: &Lease, commit: &Commit) {
    request.command(1);
    request.arg("MULTI");
    let Some(first) = commit.signals.first() else {
        return;
    };
    let mut writer = EntryWriter::new(lease, commit);
    let template = Template::of(&keys.output(&commit.output.stream), &mut writer, first);
    for signal in &commit.signals {
        let mut gaps = template.before.iter();
        writer.each_field(signal, |name, value| {
            if VARYING.contains(&name)
                && let Some(before) = gaps.next()
            {
                request.encoded(before);
                request.arg(value);
            }
        });
    }
}

/// What all entries of a commit share, encoded: the bytes before each value that differs.
struct Template {
    before: Vec<Vec<u8>>,
}

impl Template {
    fn of(output: &str, writer: &mut EntryWriter<'_>, first: &Signal) -> Self {
        let mut fields = 0;
        writer.each_field(first, |_, _| fields += 1);
        let mut before = Vec::with_capacity(VARYING.len());
        let mut shared = Request::with_capacity(512);
        shared.command(3 + 2 * fields);
        shared.args(["XADD", output, "*"]);
        writer.each_field(first, |name, value| {
            shared.arg(name);
            if VARYING.contains(&name) {
                before.push(shared.take_part());
            } else {
                shared.arg(value);
            }
        });
        Self { before }
    }
}

/// The commands after the signals, and how many answers the whole transaction has.
pub(super) struct Rest {
    pub(super) bytes: Vec<u8>,
    pub(super) answers: usize,
}

/// Everything after the signals, up to `EXEC`.
pub(super) fn rest(keys: &Keys, lease: &Lease, commit: &Commit, seen: &Seen) -> Rest {
    let connector = &*lease.connector;
    let state = keys.state(connector);
    let mut commands = Commands {
        request: Request::with_capacity(4096 + commit.versions.len() * 96),
        count: 0,
    };
    write_versions(&mut commands, &keys.versions(connector), commit, seen);

    let sequence = commit.sequence.to_string();
    let buckets = BUCKETS.to_string();
    let mut set = vec![b"seq".as_slice(), sequence.as_bytes()];
    let mut unset = Vec::new();
    for (name, value) in &commit.state {
        match value {
            Some(value) => set.extend([name.as_bytes(), value.as_bytes()]),
            None => unset.push(name.as_bytes()),
        }
    }
    if seen.buckets == 0 && seen.in_one_hash > BUCKETS_FROM {
        set.extend([b"nb".as_slice(), buckets.as_bytes()]);
    }
    commands.of("HSET", &state, &set);
    commands.of("HDEL", &state, &unset);

    if !commit.dead_letters.is_empty() {
        let now = jiff::Timestamp::now().to_string();
        let kept = DEAD_LETTERS_KEPT.to_string();
        let stream = keys.dead_letters(connector);
        for letter in &commit.dead_letters {
            commands.add(&[
                b"XADD",
                stream.as_bytes(),
                b"MAXLEN",
                b"~",
                kept.as_bytes(),
                b"*",
                b"time",
                now.as_bytes(),
                b"stream",
                letter.stream.as_bytes(),
                b"reason",
                letter.reason.as_bytes(),
                b"data",
                &letter.data,
            ]);
        }
    }
    if seen.held {
        let ttl = millis(lease.ttl).to_string();
        commands.of("PEXPIRE", &keys.lease(connector), &[ttl.as_bytes()]);
    }
    // Last, because these are scripts, and what they do may also be done by the next commit.
    if !commit.acknowledged.is_empty() {
        acknowledge(&mut commands, keys, connector, &commit.acknowledged);
    }
    if seen.buckets > 0 && seen.in_one_hash > 0 {
        let versions = keys.versions(connector);
        commands.script(
            scripts::MOVE_VERSIONS.code(),
            &[&versions],
            &[seen.buckets.to_string(), MOVED_AT_ONCE.to_string()],
        );
    }
    commands.add(&[b"EXEC"]);
    Rest {
        bytes: commands.request.into_bytes(),
        answers: 1 + commit.signals.len() + commands.count,
    }
}

/// Sets and removes versions, wherever they are kept.
fn write_versions(commands: &mut Commands, base: &str, commit: &Commit, seen: &Seen) {
    if seen.buckets == 0 {
        let values: Vec<Vec<u8>> = (commit.versions.iter())
            .map(|entry| entry.known.encode())
            .collect();
        let set: Vec<&[u8]> = (commit.versions.iter().zip(&values))
            .flat_map(|(entry, value)| [entry.field.as_slice(), value.as_slice()])
            .collect();
        commands.of("HSET", base, &set);
    } else {
        for entry in &commit.versions {
            let bucket = bucket(base, seen.buckets, &entry.field);
            commands.of("HSET", &bucket, &[&entry.field, &entry.known.encode()]);
        }
        for field in &commit.gone {
            commands.of("HDEL", &bucket(base, seen.buckets, field), &[field]);
        }
    }
    // While the one hash is being emptied a version is in exactly one of both places.
    let moved = (commit.versions.iter())
        .filter(|_| seen.buckets > 0)
        .map(|entry| &entry.field);
    let gone: Vec<&[u8]> = (commit.gone.iter().chain(moved))
        .map(Vec::as_slice)
        .collect();
    if seen.in_one_hash > 0 {
        commands.of("HDEL", base, &gone);
    }
}

/// The small hash that holds this version; `layout.lua` says the same.
fn bucket(base: &str, buckets: u64, field: &[u8]) -> String {
    let digest = Sha1::digest(field);
    let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    format!("{base}:{}", u64::from(number) % buckets)
}

/// Entry, bytes, and why and how often a delivery failed; no reason for one that did not.
fn acknowledge(commands: &mut Commands, keys: &Keys, connector: &str, done: &[Acknowledged]) {
    let mut args = vec![DEAD_DELIVERIES_KEPT.to_string()];
    for one in done {
        args.extend([one.entry.clone(), one.bytes.to_string()]);
        match &one.failed {
            Some(failed) => args.extend([
                jiff::Timestamp::now().to_string(),
                failed.reason.clone(),
                failed.attempts.to_string(),
            ]),
            None => args.extend([String::new(), String::new(), String::new()]),
        }
    }
    commands.script(
        scripts::ACKNOWLEDGE.code(),
        &[
            &keys.deliveries(connector),
            &keys.dead_deliveries(connector),
            &keys.delivery_bytes(connector),
        ],
        &args,
    );
}

/// Commands of a transaction, counted.
struct Commands {
    request: Request,
    count: usize,
}

impl Commands {
    fn add(&mut self, words: &[&[u8]]) {
        self.request.command(words.len());
        self.request.args(words);
        self.count += 1;
    }

    /// A command on one key; none without values.
    fn of(&mut self, command: &str, key: &str, values: &[&[u8]]) {
        if values.is_empty() {
            return;
        }
        self.request.command(2 + values.len());
        self.request.arg(command);
        self.request.arg(key);
        self.request.args(values);
        self.count += 1;
    }

    /// A script by its text: a server that has forgotten its hash would say so only after the
    /// signals are written.
    fn script(&mut self, code: &str, keys: &[&str], args: &[String]) {
        self.request.command(3 + keys.len() + args.len());
        self.request.arg("EVAL");
        self.request.arg(code);
        self.request.number(keys.len() as u64);
        self.request.args(keys);
        self.request.args(args);
        self.count += 1;
    }
}

/// What the answers say, read as they come.
#[derive(Default)]
pub(super) struct Outcome {
    /// Why a command was refused on its way into the queue.
    refused: Option<RedisError>,
    /// The answer to `EXEC`.
    executed: Vec<u8>,
}

impl Outcome {
    /// Takes the next answer.
    pub(super) fn take(&mut self, answer: &[u8]) {
        match answer.first() {
            // `MULTI`, and what is queued.
            Some(b'+') => {}
            Some(b'-') if self.refused.is_none() => self.refused = parsed(answer).err(),
            _ => self.executed = answer.to_vec(),
        }
    }

    /// What became of the transaction.
    pub(super) fn read(self, seen: &Seen, lease: &Lease) -> RedisResult<Committed> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        if self.executed.starts_with(b"*-1") {
            return Err(touched());
        }
        // Every key and right was looked at, so an error among the results is the work of somebody
        // who changed them in the same instant. The commit counts; what is missing is said.
        if memchr::memmem::find(&self.executed, b"\n-").is_some() {
            tracing::error!(
                connector.id = &*lease.connector,
                answer = %String::from_utf8_lossy(&self.executed),
                "redis wrote a commit only in part: was a key or a right changed by hand?"
            );
        }
        Ok(Committed::Applied {
            lease_held: seen.held,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::bucket;

    #[test]
    fn a_version_is_in_the_bucket_that_the_scripts_look_in() {
        // SHA-1 of "abc" begins with a9993e36.
        assert_eq!(bucket("v", 8192, b"abc"), "v:7734");
        assert_eq!(bucket("v", 1000, b"abc"), "v:438");
    }
}
