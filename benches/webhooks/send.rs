//! Sends signed deliveries as fast as they are answered, or at a steady rate.
//!
//! Each delivery has an id and an issue of its own and is signed when it is sent. At a rate the
//! time of an answer counts from when the delivery was due, so that a receiver that stalls is
//! charged for what would have been sent meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

pub const SECRET: &str = "connector-worker-fixture-secret";

/// Recorded bodies; the provider sends them without white space.
const RECORDED: [&str; 2] = [
    include_str!("../../tests/fixtures/webhooks/github/issues.opened.body"),
    include_str!("../../tests/fixtures/webhooks/github/issues.edited.body"),
];
/// The id of the issue in all of them.
const ISSUE: &str = "444500041";

/// Counts deliveries over all runs, so that none is a repetition.
static NEXT: AtomicU64 = AtomicU64::new(0);

pub struct Load {
    pub connections: usize,
    pub time: Duration,
    /// Deliveries per second; `None`: as many as are answered.
    pub rate: Option<u32>,
}

#[derive(Default)]
pub struct Sent {
    pub taken: u64,
    /// Told to come back.
    pub refused: u64,
    /// Answered in another way, or not at all.
    pub failed: u64,
    wall: f64,
    /// Milliseconds until a delivery was taken, in order.
    times: Vec<f64>,
}

impl Sent {
    pub fn rate(&self) -> f64 {
        number(self.taken) / self.wall
    }

    pub fn refused_rate(&self) -> f64 {
        number(self.refused) / self.wall
    }

    pub fn answered(&self) -> f64 {
        number(self.taken + self.refused + self.failed)
    }

    pub fn percentile(&self, percent: f64) -> f64 {
        let count = number(self.times.len().try_into().unwrap());
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index of a list"
        )]
        let at = (count * percent / 100.0) as usize;
        let last = self.times.len().saturating_sub(1);
        self.times.get(at.min(last)).copied().unwrap_or(f64::NAN)
    }
}

fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

fn bodies() -> Vec<Vec<u8>> {
    let compact = |text: &&str| {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        serde_json::to_vec(&value).unwrap()
    };
    RECORDED.iter().map(compact).collect()
}

pub fn body_bytes() -> usize {
    bodies().iter().map(Vec::len).sum::<usize>() / RECORDED.len()
}

#[tokio::main(flavor = "current_thread")]
pub async fn run(address: &str, connector: &str, load: &Load) -> Sent {
    let started = Instant::now();
    let first = NEXT.load(Ordering::Relaxed);
    let tasks = LocalSet::new();
    let running: Vec<_> = (0..load.connections)
        .map(|_| {
            let mut sender = Sender::new(address, connector);
            let (time, rate) = (load.time, load.rate);
            tasks.spawn_local(async move {
                sender.send(started, first, time, rate).await;
                sender.sent
            })
        })
        .collect();
    tasks.await;
    let mut all = Sent {
        wall: started.elapsed().as_secs_f64(),
        ..Sent::default()
    };
    for task in running {
        let sent = task.await.unwrap();
        all.taken += sent.taken;
        all.refused += sent.refused;
        all.failed += sent.failed;
        all.times.extend(sent.times);
    }
    all.times.sort_by(f64::total_cmp);
    all
}

/// One connection's worth of deliveries.
struct Sender {
    address: String,
    key: hmac::Key,
    requests: Vec<Request>,
    answer: Vec<u8>,
    sent: Sent,
}

/// A request, and where the parts that change stand in it.
struct Request {
    bytes: Vec<u8>,
    delivery: usize,
    signature: usize,
    body: usize,
    issue: usize,
}

impl Request {
    fn new(address: &str, connector: &str, body: &[u8]) -> Self {
        let mut bytes = format!(
            "POST /webhooks/{connector} HTTP/1.1\r\nHost: {address}\r\n\
             User-Agent: GitHub-Hookshot/044aadd\r\nAccept: */*\r\n\
             Content-Type: application/json\r\nX-GitHub-Event: issues\r\n\
             X-GitHub-Hook-ID: 292430182\r\nX-GitHub-Delivery: "
        )
        .into_bytes();
        let delivery = bytes.len();
        bytes.extend_from_slice(b"000000000\r\nX-Hub-Signature-256: sha256=");
        let signature = bytes.len();
        bytes.extend_from_slice(&[b'0'; 64]);
        bytes.extend_from_slice(format!("\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes());
        let start = bytes.len();
        bytes.extend_from_slice(body);
        let issue = std::str::from_utf8(body).unwrap().find(ISSUE).unwrap();
        Self {
            bytes,
            delivery,
            signature,
            body: start,
            issue: start + issue,
        }
    }

    /// Makes it the delivery `number`, signed.
    fn make(&mut self, number: u64, key: &hmac::Key) {
        let id = format!("{:09}", 100_000_000 + number);
        self.bytes[self.delivery..][..9].copy_from_slice(id.as_bytes());
        self.bytes[self.issue..][..9].copy_from_slice(id.as_bytes());
        let tag = hmac::sign(key, &self.bytes[self.body..]);
        let digit = |half: u8| b"0123456789abcdef"[usize::from(half)];
        let digits = tag.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
        for (at, half) in digits.enumerate() {
            self.bytes[self.signature + at] = digit(half);
        }
    }
}

impl Sender {
    fn new(address: &str, connector: &str) -> Self {
        let requests = bodies();
        let requests = requests
            .iter()
            .map(|body| Request::new(address, connector, body));
        Self {
            address: address.to_owned(),
            key: hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()),
            requests: requests.collect(),
            answer: Vec::new(),
            sent: Sent::default(),
        }
    }

    async fn send(&mut self, started: Instant, first: u64, time: Duration, rate: Option<u32>) {
        let mut connection = None;
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let due = match rate {
                Some(rate) => {
                    let nanos = (number - first) * 1_000_000_000 / u64::from(rate);
                    started + Duration::from_nanos(nanos)
                }
                None => Instant::now(),
            };
            if due.duration_since(started) >= time {
                return;
            }
            tokio::time::sleep_until(due.into()).await;
            let which = usize::try_from(number).unwrap() % self.requests.len();
            self.requests[which].make(number, &self.key);
            let stream = match connection.take() {
                Some(stream) => Some(stream),
                None => TcpStream::connect(&self.address).await.ok(),
            };
            let answered = match stream {
                Some(stream) => self.ask(stream, which).await,
                None => None,
            };
            match answered {
                Some((200, kept)) => {
                    self.sent.taken += 1;
                    self.sent.times.push(due.elapsed().as_secs_f64() * 1e3);
                    connection = kept;
                }
                Some((503, kept)) => {
                    self.sent.refused += 1;
                    connection = kept;
                }
                _ => self.sent.failed += 1,
            }
        }
    }

    /// The status, and the connection where it is kept.
    async fn ask(
        &mut self,
        mut stream: TcpStream,
        which: usize,
    ) -> Option<(u16, Option<TcpStream>)> {
        stream.set_nodelay(true).ok()?;
        stream.write_all(&self.requests[which].bytes).await.ok()?;
        self.answer.clear();
        loop {
            if stream.read_buf(&mut self.answer).await.ok()? == 0 {
                return None;
            }
            let text = std::str::from_utf8(&self.answer).ok()?;
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let head = head.to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() < length?.parse::<usize>().ok()? {
                continue;
            }
            let status = head.get(9..12)?.parse().ok()?;
            let is_kept = !head.contains("connection: close");
            return Some((status, is_kept.then_some(stream)));
        }
    }
}
