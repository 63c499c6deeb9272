//! One request whose answer may also fit a condition of the manifest: the token is void, the
//! record is gone. Then it is neither success nor failure.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::client::{FetchError, Judge, Request, Response, TransportError, Verdict};
use crate::source::manifest::errors::{Condition, Verdicts};
use crate::source::manifest::requester::Requester;
use crate::source::manifest::retriever::Run;
use crate::source::manifest::template::Context;

/// How a request was answered.
pub(in crate::source::manifest::retriever) enum Answered {
    /// As the condition says.
    Fits { response: Response },
    /// As the error handler accepts; `ignored`: it is a refusal that the manifest tolerates.
    Accepted { response: Response, ignored: bool },
}

/// Sends one request until it is answered or given up.
pub(in crate::source::manifest::retriever) async fn exchange(
    run: &Run<'_>,
    requester: &Requester,
    request: &Request,
    is_home: bool,
    conditional: bool,
    when: Option<&Condition>,
) -> Result<Answered, FetchError> {
    let verdicts = run.verdicts(&requester.errors, conditional);
    let optional = run.refusals.parameters.as_ref();
    let plainer = optional.and_then(|optional| optional.taken_from(&request.url));
    let mut judge = Watching {
        verdicts: &verdicts,
        when,
        refused_when: optional.filter(|_| plainer.is_some()).map(|it| &it.when),
        fits: AtomicBool::new(false),
        is_refused: AtomicBool::new(false),
    };
    let mut response = send(run, requester, request, is_home, &judge).await?;
    if judge.is_refused.load(Ordering::Relaxed)
        && let Some(url) = plainer
    {
        tracing::debug!(
            stream = run.stream,
            "the server does not know all parameters; asking without"
        );
        let request = Request {
            url,
            ..request.clone()
        };
        judge.refused_when = None;
        response = send(run, requester, &request, is_home, &judge).await?;
    }
    if judge.fits.load(Ordering::Relaxed) {
        return Ok(Answered::Fits { response });
    }
    Ok(Answered::Accepted {
        response,
        ignored: verdicts.is_ignored(),
    })
}

/// Sends it unless the credentials were refused before, and notes it when they are now.
async fn send(
    run: &Run<'_>,
    requester: &Requester,
    request: &Request,
    is_home: bool,
    judge: &Watching<'_, '_>,
) -> Result<Response, FetchError> {
    if let Some(error) = run.refused.and_then(|refused| refused.said(run, requester)) {
        return Err(error);
    }
    let sent = requester.send(run, request, is_home, judge).await;
    if let (Err(FetchError::Unauthorized(words)), Some(refused)) = (&sent, run.refused)
        && judge.verdicts.is_certain()
    {
        refused.note(run, requester, words);
    }
    sent
}

/// Looks at an answer before the error handler does.
struct Watching<'a, 'r> {
    verdicts: &'a Verdicts<'r>,
    when: Option<&'a Condition>,
    fits: AtomicBool,
    /// Holds for a refusal of parameters that the request can do without.
    refused_when: Option<&'a Condition>,
    is_refused: AtomicBool,
}

impl Judge for Watching<'_, '_> {
    fn judge(&self, answer: Result<&Response, &TransportError>, attempt: u32) -> Verdict {
        let conditions = [
            (self.refused_when, &self.is_refused),
            (self.when, &self.fits),
        ];
        for (when, found) in conditions {
            let (Ok(response), Some(when)) = (answer, when) else {
                continue;
            };
            match when.holds(response, &Context::new(self.verdicts.clock)) {
                Ok(false) => {}
                Ok(true) => {
                    found.store(true, Ordering::Relaxed);
                    return Verdict::Accept;
                }
                Err(error) => {
                    let words = format!("stream {}: {error}", self.verdicts.stream);
                    return Verdict::Fail(FetchError::Misconfigured(words));
                }
            }
        }
        self.verdicts.judge(answer, attempt)
    }
}
