//! One request in its turn, where its answer leads, and what that tells of the server.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::breaker::{Gate, is_failure};
use super::failure::{self, fail};
use super::pace;
use super::redirect::{self, MAX_REDIRECTS};
use super::send::{Client, locked};
use super::traffic::Lane;
use super::{FetchError, Request, Response, TransportError, TransportKind};

/// A turn that is this far off is shown, as a wait that the provider asks for is.
const LONG_TURN: Duration = Duration::from_secs(30);

/// How far an attempt has come: the request itself, or what redirects have made of it.
pub(super) struct Way<'r> {
    pub(super) request: Cow<'r, Request>,
    pub(super) server: String,
    pub(super) lane: Arc<Lane>,
    /// What a refusal would be about.
    pub(super) subject: String,
    /// Redirects that were followed.
    pub(super) redirects: usize,
    /// Time that is left of what one attempt may take.
    left: Duration,
}

/// The request that tells whether a server is back. Given up before its answer, it leaves the way
/// free for another.
pub(super) struct Probe<'l>(&'l Lane);

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        self.0.breaker.abandon();
    }
}

impl Client {
    /// The beginning of an attempt.
    pub(super) fn way<'r>(&self, request: Cow<'r, Request>) -> Way<'r> {
        let server = failure::server(&request.url);
        Way {
            lane: self.lane(&server),
            subject: pace::subject(&request.url, self.config.limits.scope),
            left: self.config.request_timeout,
            redirects: 0,
            request,
            server,
        }
    }

    /// One request in its turn, and what it tells of the server.
    ///
    /// `None`: its answer led on, and `way` is one step further.
    pub(super) async fn step(
        &self,
        way: &mut Way<'_>,
        probe: Option<Probe<'_>>,
        attempt: u32,
    ) -> Option<Result<Response, TransportError>> {
        let Way {
            request,
            server,
            lane,
            ..
        } = &*way;
        let limits = &self.config.limits;
        let place = match limits.concurrent_requests {
            Some(most) => {
                let processes = usize::try_from(self.processes(lane).await).unwrap_or(usize::MAX);
                Some(lane.pace.place(most / processes.max(1)).await)
            }
            None => None,
        };
        self.turn(lane).await;
        let began = Instant::now();
        let answer = self.exchange(request, way.left).await;
        let took = began.elapsed();
        drop(place);
        if let (Ok(response), true) = (&answer, self.config.heeds_quotas) {
            let (now, instant) = (Timestamp::now(), Instant::now());
            let (url, cap) = (&request.url, self.config.max_backoff);
            let saved = lane.pace.learn(url, response, limits, now, instant, cap);
            if saved > 0.0 {
                self.observe(|observer| observer.saved(saved));
            }
        }
        if let (Ok(response), Some(budget)) = (&answer, &self.budget) {
            budget.learn(request, response, Timestamp::now(), Instant::now());
        }
        self.note(server, lane, is_failure(answer.as_ref()), probe.is_some());
        drop(probe);
        match &answer {
            Ok(response) => {
                let (status, bytes) = (response.status, response.body.len());
                tracing::debug!(server, attempt, %status, bytes, ?took, "answer");
                self.observe(|observer| observer.answered(status, took, bytes));
            }
            Err(error) => {
                tracing::debug!(server, attempt, %error, ?took, "no answer");
                self.observe(|observer| observer.unanswered());
            }
        }
        let next = match &answer {
            Ok(response) => redirect::next(request, response.status, &response.headers),
            Err(_) => Ok(None),
        };
        match next {
            Ok(None) => Some(answer),
            Err(why) => Some(Err(fail(
                TransportKind::Refused,
                format!("{server}: {why}"),
            ))),
            Ok(Some(next)) if way.redirects >= MAX_REDIRECTS => Some(Err(fail(
                TransportKind::Refused,
                format!(
                    "more than {MAX_REDIRECTS} redirects, the last to {}",
                    failure::server(&next.url)
                ),
            ))),
            Ok(Some(next)) => {
                *way = Way {
                    redirects: way.redirects + 1,
                    left: way.left.saturating_sub(took),
                    ..self.way(Cow::Owned(next))
                };
                None
            }
        }
    }

    /// One exchange on a task of its own: while the caller works on one answer, the next arrives.
    async fn exchange(
        &self,
        request: &Request,
        within: Duration,
    ) -> Result<Response, TransportError> {
        let (shared, request) = (Arc::clone(&self.shared), request.clone());
        let exchange = async move { shared.exchange.run(&request, within).await };
        // Dropped, it ends the exchange.
        let mut task = JoinSet::new();
        task.spawn(exchange.in_current_span());
        match task.join_next().await {
            Some(Ok(answer)) => answer,
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => Err(fail(TransportKind::Lost, "the process ends".to_owned())),
        }
    }

    /// How many processes divide the limits that are no rate.
    pub(super) async fn processes(&self, lane: &Lane) -> u32 {
        let limits = &self.config.limits;
        let processes = self.config.traffic.processes(lane, limits).await;
        self.tell_processes(lane);
        processes
    }

    fn tell_processes(&self, lane: &Lane) {
        if let Some(processes) = lane.share.processes()
            && self.shared.processes.swap(processes, Ordering::Relaxed) != processes
        {
            self.observe(|observer| observer.shares(processes));
        }
    }

    /// Waits for the turn that the manifest's own rate gives.
    async fn turn(&self, lane: &Lane) {
        let turn = self.config.traffic.turn(lane, &self.config.limits).await;
        self.tell_processes(lane);
        let turn = self.capped(turn);
        if turn >= LONG_TURN {
            self.observe(|observer| observer.throttled(turn));
        }
        if !turn.is_zero() {
            tokio::time::sleep(turn).await;
        }
    }

    /// Asks the circuit breaker.
    pub(super) fn enter<'l>(
        &self,
        server: &str,
        lane: &'l Lane,
    ) -> Result<Option<Probe<'l>>, FetchError> {
        match lane.breaker.enter(Instant::now()) {
            Gate::Pass => Ok(None),
            Gate::Probe => Ok(Some(Probe(lane))),
            Gate::Closed { wait, until } => {
                // Another connector's requests may have opened it.
                self.suspended(server, wait, until);
                Err(FetchError::Unavailable(format!(
                    "{server} failed again and again; it is not asked for another {} s",
                    wait.as_secs_f64().ceil()
                )))
            }
        }
    }

    /// Tells the circuit breaker how a request ended.
    fn note(&self, server: &str, lane: &Lane, failed: bool, is_probe: bool) {
        let now = Instant::now();
        let adjust = |pause| self.capped(self.delay(Some(pause), 0));
        if let Some(pause) = lane.breaker.note(failed, is_probe, now, adjust) {
            tracing::warn!(
                server,
                ?pause,
                "{server} fails again and again; leaving it alone"
            );
            self.suspended(server, pause, now + pause);
        } else if !failed
            && !lane.breaker.is_open()
            && locked(&self.shared.told).remove(server).is_some()
        {
            tracing::info!(server, "{server} answers again");
            self.observe(|observer| observer.suspended(server, None));
        }
    }

    /// Tells the observer, once, that `server` is left alone.
    fn suspended(&self, server: &str, pause: Duration, until: Instant) {
        let before = locked(&self.shared.told).insert(server.to_owned(), until);
        if before != Some(until) {
            self.observe(|observer| observer.suspended(server, Some(pause)));
        }
    }
}
