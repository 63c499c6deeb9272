//! Answers that are none: slow, cut, of the wrong kind, without end.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{connector, page, start};
use crate::support::raw_http::{RawServer, Step, answer};

/// What the provider does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// Five items on two pages.
    Well,
    /// It sends a byte now and then, for ever.
    Dribbles,
    /// It says nothing at all.
    Silent,
    /// It announces more than it sends.
    Cuts,
    /// Half of a compressed answer, with a length that fits.
    Halves,
    /// What is no compressed answer, though it says so.
    Lies,
    /// It closes the connection without a word.
    Hangs,
    /// A page for people, with status 200.
    Page,
    /// Bytes.
    Junk,
    /// An encoding that nobody asked for.
    Encodes,
    /// JSON, but without the list.
    NoList,
    /// The same page, with ever new tokens.
    Repeats,
    /// Empty pages, with ever new tokens.
    Void,
    /// The next page is the first.
    Circles,
}

impl Mood {
    fn steps(self, number: usize, head: &str) -> Vec<Step> {
        let next = format!("token-{number}");
        match self {
            Self::Well if head.contains("page=2") => page(3..5, None),
            Self::Well => page(0..3, Some("2")),
            Self::Dribbles => {
                let mut steps = answer("200 OK", "", vec![b' '; 1000]);
                if let Some(Step::Write(bytes)) = steps.first_mut() {
                    bytes.truncate(60);
                }
                for _ in 0..40 {
                    steps.push(Step::Pause(Duration::from_millis(100)));
                    steps.push(Step::Write(b" ".to_vec()));
                }
                steps
            }
            Self::Silent => vec![Step::Pause(Duration::from_secs(5)), Step::Close],
            Self::Cuts => vec![
                Step::Write(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{\"items\":[".to_vec(),
                ),
                Step::Close,
            ],
            Self::Halves => {
                let whole = gzipped(&r#"{"items":[{"id":1}],"next":null}"#.repeat(99));
                let half = &whole[..whole.len() / 2];
                answer("200 OK", "Content-Encoding: gzip\r\n", half)
            }
            Self::Lies => answer("200 OK", "Content-Encoding: gzip\r\n", "{\"items\": []}"),
            Self::Hangs => vec![Step::Close],
            Self::Page => answer(
                "200 OK",
                "Content-Type: text/html\r\n",
                "<html><body>Please sign in</body></html>",
            ),
            Self::Junk => answer(
                "200 OK",
                "Content-Type: application/json\r\n",
                [0xff, 0, 1, 0x80],
            ),
            Self::Encodes => answer("200 OK", "Content-Encoding: br\r\n", "{}"),
            Self::NoList => answer("200 OK", "", r#"{"message": "maintenance"}"#),
            Self::Repeats => page(0..3, Some(&next)),
            Self::Void => page(0..0, Some(&next)),
            Self::Circles if head.contains("page=1") => page(3..5, Some("2")),
            Self::Circles if head.contains("page=2") => page(5..8, Some("1")),
            Self::Circles => page(0..3, Some("1")),
        }
    }
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

async fn moody() -> (RawServer, Arc<Mutex<Mood>>) {
    let mood = Arc::new(Mutex::new(Mood::Well));
    let now = mood.clone();
    let server = RawServer::start(move |number, head| {
        let mood = *now.lock().unwrap();
        mood.steps(number, head)
    })
    .await;
    (server, mood)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_loses_nothing_and_is_told() {
    let (server, mood) = moody().await;
    let scene = start(&[connector("items", &server, "secret-token")], "{}");
    scene.until_well();
    for (ill, words) in [
        (Mood::Cuts, "cut short"),
        (Mood::Halves, "cut short or damaged"),
        (Mood::Lies, "cut short or damaged"),
        (Mood::Page, "not valid JSON: it is a web page"),
        (Mood::Junk, "JSON"),
        (Mood::Encodes, "content encoding br"),
        (Mood::Repeats, "does not advance"),
        (Mood::Circles, "was read before"),
    ] {
        let before = scene.metric("polls_total", "outcome=\"failure\"");
        *mood.lock().unwrap() = ill;
        scene.until_ill(words);
        assert!(
            scene.metric("polls_total", "outcome=\"failure\"") > before,
            "{ill:?}"
        );
        *mood.lock().unwrap() = Mood::Well;
        scene.until_well();
    }
    *mood.lock().unwrap() = Mood::NoList;
    let polls = scene.metric("polls_total", "");
    scene.until("three more polls", |_| {
        scene.metric("polls_total", "") > polls + 3
    });
    *mood.lock().unwrap() = Mood::Well;
    scene.until_well();
    // Nothing was lost, made up, called deleted, or published twice.
    assert_eq!(scene.metric("signals_published_total", ""), 5);
    assert_eq!(scene.metric("deletions_total", "items"), 0);
    let log = scene.process.log();
    assert!(log.contains("poll failed for connector items"), "{log}");
    assert!(!log.contains("secret-token"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_in_time_is_left_alone_for_a_while() {
    for (ill, words) in [
        (
            Mood::Dribbles,
            "did not send its whole answer within 700 ms",
        ),
        (Mood::Silent, "did not answer within 700 ms"),
        (Mood::Hangs, "closed the connection without an answer"),
    ] {
        let (server, mood) = moody().await;
        let scene = start(&[connector("items", &server, "t0ken")], "{}");
        scene.until_well();
        *mood.lock().unwrap() = ill;
        scene.until_ill(words);
        let found = scene.until_ill("is left alone until");
        assert_ne!(found["suspendedUntil"], serde_json::json!({}), "{ill:?}");
        assert!(scene.metric("circuit_open", "items") >= 1, "{ill:?}");
        assert!(
            scene.metric("circuit_opened_total", "items") >= 1,
            "{ill:?}"
        );
        assert!(
            scene.metric("http_requests_total", "status=\"error\"") >= 5,
            "{ill:?}"
        );
        let asked = server.requests().len();
        std::thread::sleep(Duration::from_secs(2));
        assert!(
            server.requests().len() <= asked + 1,
            "{ill:?}: it is left alone"
        );

        *mood.lock().unwrap() = Mood::Well;
        scene.until_well();
        assert_eq!(scene.metric("circuit_open", "items"), 0, "{ill:?}");
        assert_eq!(scene.metric("signals_published_total", ""), 5, "{ill:?}");
        let log = scene.process.log();
        assert!(
            log.contains("leaving it alone") && log.contains("answers again"),
            "{log}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_without_end_and_content_end_the_read() {
    let (server, mood) = moody().await;
    let scene = start(&[connector("items", &server, "t0ken")], "{}");
    scene.until_well();
    *mood.lock().unwrap() = Mood::Void;
    let asked = server.requests().len();
    scene.until_ill("empty pages in a row");
    let asked = server.requests().len() - asked;
    assert!(asked <= 3000, "{asked} requests for nothing");
    *mood.lock().unwrap() = Mood::Well;
    scene.until_well();
    assert_eq!(scene.metric("deletions_total", "items"), 0);
    assert_eq!(scene.metric("signals_published_total", ""), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_content_type_on_a_right_answer_does_not_matter() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = RawServer::start(move |_, _| {
        let kinds = [
            "text/html",
            "text/plain; charset=latin-1",
            "image/png",
            "nonsense",
        ];
        let kind = kinds[count.fetch_add(1, Ordering::SeqCst) % kinds.len()];
        let headers = format!("Content-Type: {kind}\r\n");
        answer(
            "200 OK",
            &headers,
            r#"{"items": [{"id": 1}], "next": null}"#,
        )
    })
    .await;
    let scene = start(&[connector("items", &server, "t0ken")], "{}");
    scene.until("five polls", |connector| {
        connector["totals"]["totalPolls"].as_u64() >= Some(5)
    });
    assert_eq!(scene.metric("polls_total", "outcome=\"failure\""), 0);
    assert_eq!(scene.metric("signals_published_total", ""), 1);
}
