//! One request and the whole body of its answer, within one deadline and one bound on size.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use http::{Method, StatusCode, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use tokio::time::{Instant, timeout_at};

use super::address::{self, AddressPolicy, GuardedResolver};
use super::config::ClientConfig;
use super::failure::{self, fail};
use super::redirect;
use super::tls;
use super::{FetchError, Request, Response, TransportError, TransportKind};

/// Longest wait for a connection; a host that takes longer is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Idle connections outlive a poll interval of a minute, but not the usual 75 s of servers.
const KEEP_ALIVE: Duration = Duration::from_secs(70);

/// The HTTP library, set up once: connections are kept between polls.
pub(super) struct Exchange {
    direct: reqwest::Client,
    /// Set when the environment names a proxy.
    proxied: Option<Proxied>,
    request_timeout: Duration,
    read_timeout: Duration,
    max_body_bytes: usize,
    policy: AddressPolicy,
}

struct Proxied {
    matcher: Matcher,
    client: reqwest::Client,
}

impl Exchange {
    pub(super) fn new(config: &ClientConfig) -> Result<Self, FetchError> {
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls::shared().config.clone())
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .http1_only()
                .connect_timeout(CONNECT_TIMEOUT.min(config.request_timeout))
                .pool_idle_timeout(KEEP_ALIVE)
                .user_agent(config.user_agent.as_str())
        };
        let build = |builder: reqwest::ClientBuilder| {
            builder.build().map_err(|error| {
                FetchError::Misconfigured(format!("the HTTP client: {}", error.without_url()))
            })
        };
        let direct = build(
            builder()
                .no_proxy()
                .dns_resolver(GuardedResolver(config.address_policy)),
        )?;
        let matcher = Matcher::from_env();
        let proxied = if has_proxy(&matcher) {
            // The proxy itself may well be at a private address, so no guarded resolver here.
            let client = build(builder())?;
            Some(Proxied { matcher, client })
        } else {
            None
        };
        Ok(Self {
            direct,
            proxied,
            request_timeout: config.request_timeout,
            read_timeout: config.read_timeout,
            max_body_bytes: config.max_body_bytes,
            policy: config.address_policy,
        })
    }

    /// Sends `request` once and reads the whole answer within this time; a redirect has no body.
    pub(super) async fn run(
        &self,
        request: &Request,
        within: Duration,
    ) -> Result<Response, TransportError> {
        let deadline = Instant::now() + within;
        let (answer, server) = self.begin(request, deadline).await?;
        self.finish(request, answer, &server, deadline).await
    }

    /// Sends one request and waits for the head of its answer.
    async fn begin(
        &self,
        request: &Request,
        deadline: Instant,
    ) -> Result<(reqwest::Response, String), TransportError> {
        let (server, mut proxy) = (failure::server(&request.url), None);
        address::check_url(&request.url, self.policy)
            .map_err(|refused| fail(TransportKind::Refused, refused.to_string()))?;
        let uri = request.url.as_str().parse::<Uri>().map_err(|error| {
            fail(
                TransportKind::Refused,
                format!("{server}: unusable address: {error}"),
            )
        })?;
        let client = match self
            .proxied
            .as_ref()
            .map(|p| (p, p.matcher.intercept(&uri)))
        {
            Some((proxied, Some(found))) => {
                let authority = found.uri().authority();
                proxy = Some(authority.map_or("?", |name| name.as_str()).to_owned());
                &proxied.client
            }
            _ => &self.direct,
        };
        let proxy = proxy.as_deref();
        let mut builder = client
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone());
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        match timeout_at(deadline, builder.send()).await {
            Ok(Ok(answer)) => {
                if let (StatusCode::PROXY_AUTHENTICATION_REQUIRED, Some(proxy)) =
                    (answer.status(), proxy)
                {
                    return Err(failure::at_proxy(&server, proxy, failure::WANTS_PASSWORD));
                }
                Ok((answer, named(server, proxy)))
            }
            Ok(Err(error)) => {
                let error = error.without_url();
                Err(failure::before_answer(&error, &server, proxy))
            }
            Err(_) => Err(failure::timeout(
                &named(server, proxy),
                self.request_timeout,
                "did not answer",
            )),
        }
    }

    /// Reads the body of `answer`.
    async fn finish(
        &self,
        request: &Request,
        mut answer: reqwest::Response,
        server: &str,
        deadline: Instant,
    ) -> Result<Response, TransportError> {
        let status = answer.status();
        let headers = std::mem::take(answer.headers_mut());
        let is_whole = is_bodiless(&request.method, status) || redirect::leads_on(status, &headers);
        let body = if is_whole {
            Bytes::new()
        } else {
            check_encoding(&headers, server)?;
            self.body(answer, &headers, server, deadline).await?
        };
        Ok(Response {
            status,
            headers,
            body,
            url: request.url.clone(),
        })
    }

    async fn body(
        &self,
        mut answer: reqwest::Response,
        headers: &HeaderMap,
        server: &str,
        deadline: Instant,
    ) -> Result<Bytes, TransportError> {
        let too_large = || {
            fail(
                TransportKind::TooLarge,
                format!(
                    "the answer of {server} is larger than {} bytes",
                    self.max_body_bytes
                ),
            )
        };
        // Gone after decompression, when it would tell the wrong size.
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > self.max_body_bytes) {
            return Err(too_large());
        }
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(chunk) = self.chunk(&mut answer, server, deadline).await? {
            if all.len() + first.len() + chunk.len() > self.max_body_bytes {
                return Err(too_large());
            }
            // A body that comes in one piece is not copied.
            if first.is_empty() && all.is_empty() {
                first = chunk;
                continue;
            }
            if all.is_empty() {
                all.reserve(announced.unwrap_or(0).max(first.len() + chunk.len()));
                all.extend_from_slice(&first);
                first = Bytes::new();
            }
            all.extend_from_slice(&chunk);
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }

    async fn chunk(
        &self,
        answer: &mut reqwest::Response,
        server: &str,
        deadline: Instant,
    ) -> Result<Option<Bytes>, TransportError> {
        let idle = Instant::now() + self.read_timeout;
        match timeout_at(idle.min(deadline), answer.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(failure::within_answer(&error.without_url(), server)),
            Err(_) if idle < deadline => Err(failure::timeout(
                server,
                self.read_timeout,
                "sent nothing more",
            )),
            Err(_) => Err(failure::timeout(
                server,
                self.request_timeout,
                "did not send its whole answer",
            )),
        }
    }
}

/// The server, and through what it was asked.
fn named(server: String, proxy: Option<&str>) -> String {
    match proxy {
        Some(proxy) => format!("{server} (through the proxy {proxy})"),
        None => server,
    }
}

/// Answers that have no body whatever their headers say.
fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Only gzip was asked for, and its header is gone once it is undone.
fn check_encoding(headers: &HeaderMap, server: &str) -> Result<(), TransportError> {
    let Some(encoding) = headers.get(CONTENT_ENCODING) else {
        return Ok(());
    };
    if encoding.is_empty() || encoding.as_bytes().eq_ignore_ascii_case(b"identity") {
        return Ok(());
    }
    let encoding = String::from_utf8_lossy(encoding.as_bytes());
    Err(fail(
        TransportKind::Truncated,
        format!("the answer of {server} has the content encoding {encoding}, not gzip"),
    ))
}

fn has_proxy(matcher: &Matcher) -> bool {
    // A name no NO_PROXY will list: this asks whether there is a proxy for anything at all.
    ["http://proxied.invalid/", "https://proxied.invalid/"]
        .into_iter()
        .any(|uri| matcher.intercept(&Uri::from_static(uri)).is_some())
}
