//! `SessionTokenAuthenticator`: a token that a login gives.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};

use super::super::datetime::{DateTime, Span};
use super::super::decode::Decoder;
use super::super::errors::{ErrorHandler, Refusals, Secrets, Tries, Verdicts};
use super::super::expr::Expr;
use super::super::fields::{optional, problem, required, text, texts, type_of};
use super::super::mode::Mode;
use super::super::options::{RequestOption, RequestOptions};
use super::super::requester::Requester;
use super::super::retriever::Run;
use super::super::template::Literal;
use super::issued::{Issued, Scheme};
use crate::client::auth::{Grant, Keeper, Login, Manners, Token};
use crate::client::{FetchError, Judge, Request, Response, TransportError, Verdict};
use crate::clock::Clock;
use crate::document::{Node, Problem};
use crate::json::{Value, parse};

/// Largest answer to a login after decompression.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// `SessionTokenAuthenticator`
#[derive(Debug)]
pub(super) struct Session {
    /// Where the token goes.
    pub(super) option: RequestOption,
    shown_as: Shown,
    login: Requester,
    path: Vec<String>,
    decoder: Decoder,
    life: Option<Span>,
    verbatim: bool,
}

/// How the token is written.
#[derive(Debug)]
enum Shown {
    Bearer,
    /// A template that sees `session_token`.
    Key(Option<Expr>),
}

/// Builds a `SessionTokenAuthenticator`.
pub(super) fn build(node: &Node, config: &Value, verbatim: bool) -> Result<Issued, Problem> {
    let shown = required(node, "request_authentication")?;
    let (option, shown_as) = match type_of(shown) {
        Some("Bearer") => (RequestOption::header("Authorization", node)?, Shown::Bearer),
        Some("ApiKey") => (
            RequestOption::build(required(shown, "inject_into")?)?,
            Shown::Key(Expr::field(shown, "api_token")?),
        ),
        _ => {
            return Err(problem(
                shown.at,
                "request_authentication is neither ApiKey nor Bearer",
                "give it one of these types",
            ));
        }
    };
    let mode = if verbatim {
        Mode::Worker
    } else {
        Mode::Reference
    };
    let login = Requester::build(required(node, "login_requester")?, config, mode)?;
    if login.is_issued() {
        return Err(problem(
            node.at,
            "login_requester needs a token that must be issued first",
            "log in with a name and password, or a key",
        ));
    }
    let life = match text(node, "expiration_duration")?.filter(|text| !text.is_empty()) {
        None => None,
        Some(life) => Some(Span::parse(life).map_err(|error| {
            let at = required(node, "expiration_duration").map_or(node.at, |node| node.at);
            problem(at, format!("expiration_duration: {error}"), "write PT1H")
        })?),
    };
    Ok(Issued::new(Scheme::Session(Box::new(Session {
        option,
        shown_as,
        login,
        path: texts(node, "session_token_path")?,
        decoder: match optional(node, "decoder") {
            Some(decoder) => Decoder::build(decoder)?,
            None => Decoder::default(),
        },
        life,
        verbatim,
    }))))
}

impl Session {
    /// The token as the request shows it.
    pub(super) fn shown(&self, run: &Run<'_>, token: &Token) -> Result<String, FetchError> {
        match &self.shown_as {
            Shown::Bearer => Ok(format!("Bearer {}", token.expose())),
            Shown::Key(None) => Ok(token.expose().to_owned()),
            Shown::Key(Some(template)) => {
                let context = run.context().with("session_token", token.expose());
                let shown = if self.verbatim {
                    template.verbatim(&context)
                } else {
                    template.text(&context)
                };
                shown.map_err(|error| run.misconfigured(format!("authenticator: {error}")))
            }
        }
    }

    /// Logins are alike when their requests are.
    pub(super) fn keeper(&self, run: &Run<'_>) -> Result<Arc<Keeper>, FetchError> {
        if !self.verbatim {
            return run.credentials.private_keeper(run.client);
        }
        let request = self.request(run)?;
        let body = request.body.as_deref().unwrap_or_default();
        let body = String::from_utf8_lossy(body);
        let mut seed = vec![
            "session".to_owned(),
            request.url.to_string(),
            body.into_owned(),
        ];
        for (name, value) in &request.headers {
            seed.push(name.as_str().to_owned());
            seed.push(String::from_utf8_lossy(value.as_bytes()).into_owned());
        }
        let seed: Vec<&str> = seed.iter().map(String::as_str).collect();
        run.credentials.keeper(&seed, Manners::Worker, run.client)
    }

    pub(super) fn grant(&self, run: &Run<'_>) -> Result<Grant, FetchError> {
        let judge = LoginJudge {
            mode: run.mode,
            handler: self.login.errors.clone(),
            config: run.config.clone(),
            stream: run.stream.to_owned(),
            clock: run.clock,
            secrets: run.secrets.clone(),
            refusals: run.refusals.clone(),
            ignored: Arc::default(),
            tries: Arc::default(),
        };
        let ignored = judge.ignored.clone();
        let (decoder, path) = (self.decoder.clone(), self.path.clone());
        let find = move |response: &Response| {
            if ignored.load(Ordering::Relaxed) {
                return Err("the login was refused, which the manifest ignores".to_owned());
            }
            find(&decoder, &path, response)
        };
        Ok(Grant::Login(Login {
            request: self.request(run)?,
            judge: Arc::new(judge),
            find: Arc::new(find),
            life: self.life(run)?,
        }))
    }

    fn request(&self, run: &Run<'_>) -> Result<Request, FetchError> {
        self.login
            .request(None, RequestOptions::default(), &run.context())
    }

    /// Without an expiration the reference logs in for every request; the worker only after a
    /// refusal.
    fn life(&self, run: &Run<'_>) -> Result<Option<SignedDuration>, FetchError> {
        let Some(life) = self.life else {
            return Ok((!self.verbatim).then_some(SignedDuration::ZERO));
        };
        let now = Timestamp::now();
        let end = DateTime::from_timestamp(now)
            .plus(life)
            .map_err(|error| run.misconfigured(format!("expiration_duration: {error}")))?;
        Ok(Some(end.timestamp().duration_since(now)))
    }
}

/// The token in an answer.
fn find(decoder: &Decoder, path: &[String], response: &Response) -> Result<String, String> {
    let documents = decoder
        .decode(response.body.clone(), MAX_ANSWER_BYTES)
        .map_err(|error| error.to_string())?;
    let document = documents.first().ok_or("the answer is empty")?;
    let answer = parse(document).map_err(|_| "the answer is no JSON".to_owned())?;
    let found = path.iter().try_fold(&answer, |at, part| match at {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        other => other.get(part),
    });
    match found {
        None | Some(Value::Null) => Err(format!("the answer has no {}", path.join("."))),
        Some(Value::String(token)) if token.is_empty() => {
            Err(format!("{} of the answer is empty", path.join(".")))
        }
        Some(token) => Ok(Literal::from(token).to_string()),
    }
}

/// What the login requester's error handler says, for as long as a login takes.
struct LoginJudge {
    mode: Mode,
    handler: ErrorHandler,
    config: Value,
    stream: String,
    clock: Clock,
    secrets: Secrets,
    refusals: Refusals,
    ignored: Arc<AtomicBool>,
    tries: Arc<Mutex<Tries>>,
}

impl Judge for LoginJudge {
    fn judge(&self, answer: Result<&Response, &TransportError>, attempt: u32) -> Verdict {
        let verdicts = Verdicts {
            mode: self.mode,
            handler: &self.handler,
            stream: &self.stream,
            config: &self.config,
            clock: self.clock,
            secrets: &self.secrets,
            refusals: &self.refusals,
            conditional: false,
            ignored: AtomicBool::new(false),
            guessed: AtomicBool::new(false),
            tries: self.tries.clone(),
            renewal: Mutex::default(),
        };
        let verdict = verdicts.judge(answer, attempt);
        self.ignored.store(verdicts.is_ignored(), Ordering::Relaxed);
        verdict
    }
}
