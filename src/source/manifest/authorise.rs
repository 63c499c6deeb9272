//! Sending a request with a token of the moment.

use super::errors::{Renewal, Verdicts};
use super::options::RequestOptions;
use super::requester::{Requester, add_query, encode, misconfigured};
use super::retriever::Run;
use super::template::Context;
use crate::client::auth::Token;
use crate::client::{FetchError, Judge, Request, Response, set_header};
use crate::json::Value;

impl Requester {
    /// Whether its requests need a token that somebody issues.
    pub(super) fn is_issued(&self) -> bool {
        self.auth.issued().is_some()
    }

    /// Whether `request`, made with this context, goes to the configured host.
    pub(super) fn is_home(
        &self,
        request: &Request,
        context: &Context<'_>,
    ) -> Result<bool, FetchError> {
        Ok(!self.is_issued() || self.address(context)?.origin() == request.url.origin())
    }

    /// Sends `request`, with a token of the moment if it needs one and goes `home`. A refused
    /// token is replaced, and the request repeated, once.
    pub(super) async fn send(
        &self,
        run: &Run<'_>,
        request: &Request,
        home: bool,
        judge: &dyn Judge,
    ) -> Result<Response, FetchError> {
        let Some(issued) = self.auth.issued().filter(|_| home) else {
            return run.client.send(request, judge).await;
        };
        let authorised = |token: &Token| {
            let options = issued.options(run, token)?;
            authorised(request, options)
        };
        let token = issued.token(run).await?;
        let refused = match run.client.send(&authorised(&token)?, judge).await {
            Err(FetchError::Unauthorized(what)) => what,
            done => return done,
        };
        tracing::debug!(stream = run.stream, "the provider refuses the token");
        match issued.replacement(run, &token).await? {
            Some(token) => run.client.send(&authorised(&token)?, judge).await,
            None => Err(FetchError::Unauthorized(refused)),
        }
    }
}

impl Requester {
    /// Sends `request` as the reference does: only where the manifest says
    /// `REFRESH_TOKEN_THEN_RETRY` is a token replaced, once.
    pub(super) async fn send_as_the_reference(
        &self,
        run: &Run<'_>,
        request: &Request,
        verdicts: &Verdicts<'_>,
    ) -> Result<Response, FetchError> {
        let Some(issued) = self.auth.issued() else {
            return run.client.send(request, verdicts).await;
        };
        let authorised = |token: &Token| authorised(request, issued.options(run, token)?);
        let mut token = issued.token(run).await?;
        verdicts.set_renewal(Renewal::Offered);
        let first = run.client.send(&authorised(&token)?, verdicts).await;
        if first.is_ok() || !verdicts.wants_token() {
            return first;
        }
        match issued.replacement(run, &token).await {
            Ok(Some(other)) => token = other,
            Ok(None) => {}
            // The token may be good after all.
            Err(FetchError::Unavailable(why)) => {
                tracing::warn!(stream = run.stream, %why, "the token cannot be replaced");
            }
            Err(error) => return Err(error),
        }
        run.client.send(&authorised(&token)?, verdicts).await
    }
}

/// `request` with what a token adds to it.
fn authorised(request: &Request, options: RequestOptions) -> Result<Request, FetchError> {
    let mut request = request.clone();
    add_query(&mut request.url, &options, false)?;
    for (name, value) in &options.headers {
        for text in value.texts().unwrap_or_default() {
            set_header(&mut request.headers, name, &text)?;
        }
    }
    if options.form.is_empty() && options.json.is_empty() {
        return Ok(request);
    }
    let body = request.body.as_deref().unwrap_or_default();
    let (kind, body) = if options.json.is_empty() {
        let mut pairs = Vec::new();
        for (key, value) in &options.form {
            let texts = value.texts().unwrap_or_default();
            pairs.extend(texts.into_iter().map(|text| (key.clone(), text)));
        }
        let mut form = String::from_utf8_lossy(body).into_owned();
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(&encode(&pairs));
        ("application/x-www-form-urlencoded", form.into_bytes())
    } else {
        let mut all = RequestOptions::default();
        if !body.is_empty() {
            match crate::json::parse(body) {
                Ok(Value::Object(map)) => all.json = map,
                _ => return Err(misconfigured("a token cannot be put into this body")),
            }
        }
        all.merge(options).map_err(misconfigured)?;
        ("application/json", Value::from(all.json).to_json())
    };
    if !request.headers.contains_key(http::header::CONTENT_TYPE) {
        set_header(&mut request.headers, "content-type", kind)?;
    }
    request.body = Some(body.into());
    Ok(request)
}
