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
    let judge = Watching {
        verdicts: &verdicts,
        when,
        fits: AtomicBool::new(false),
    };
    if let Some(error) = run.refused.and_then(|refused| refused.said(run, requester)) {
        return Err(error);
    }
    let response = match requester.send(run, request, is_home, &judge).await {
        Ok(response) => response,
        Err(error) => {
            if let (FetchError::Unauthorized(words), Some(refused)) = (&error, run.refused)
                && verdicts.is_certain()
            {
                refused.note(run, requester, words);
            }
            return Err(error);
        }
    };
    if judge.fits.load(Ordering::Relaxed) {
        return Ok(Answered::Fits { response });
    }
    Ok(Answered::Accepted {
        response,
        ignored: verdicts.is_ignored(),
    })
}

/// Looks at an answer before the error handler does.
struct Watching<'a, 'r> {
    verdicts: &'a Verdicts<'r>,
    when: Option<&'a Condition>,
    fits: AtomicBool,
}

impl Judge for Watching<'_, '_> {
    fn judge(&self, answer: Result<&Response, &TransportError>, attempt: u32) -> Verdict {
        if let (Ok(response), Some(when)) = (answer, self.when) {
            match when.holds(response, &Context::new(self.verdicts.clock)) {
                Ok(false) => {}
                Ok(true) => {
                    self.fits.store(true, Ordering::Relaxed);
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
