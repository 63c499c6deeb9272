//! `JwtAuthenticator`: a token that this worker signs.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;

use super::super::expr::{Expr, expr_map};
use super::super::fields::{optional, problem, required, text};
use super::super::options::RequestOption;
use super::super::template::{Context, EvalError, Literal};
use super::AuthError;
use crate::client::auth::{Algorithm, Secret, sign};
use crate::document::{Kind, Node, Problem};
use crate::json::{Map, Value};

/// Seconds that a token lives where the manifest does not say it.
const DEFAULT_DURATION: i64 = 1200;

/// What the manifest may not put into the additional headers and claims.
const RESERVED_HEADERS: [&str; 4] = ["kid", "alg", "typ", "cty"];
const RESERVED_CLAIMS: [&str; 6] = ["iss", "sub", "aud", "iat", "exp", "nbf"];

/// `JwtAuthenticator`
#[derive(Debug)]
pub(in crate::source::manifest) struct Jwt {
    option: RequestOption,
    verbatim: bool,
    algorithm: Algorithm,
    key: Expr,
    encodes_key: Option<Expr>,
    passphrase: Option<Expr>,
    /// Seconds; `None`: the token ends as it is made.
    duration: Option<i64>,
    prefix: Option<Expr>,
    headers: Vec<(&'static str, Expr)>,
    more_headers: Vec<(Expr, Expr)>,
    claims: Vec<(&'static str, Expr)>,
    more_claims: Vec<(Expr, Expr)>,
    /// The last one, for as long as it is young: signing costs a millisecond of a core.
    signed: Mutex<Option<(Timestamp, Secret)>>,
}

impl Jwt {
    pub(super) fn build(node: &Node, verbatim: bool) -> Result<Self, Problem> {
        let algorithm = required(node, "algorithm")?;
        let name = text(node, "algorithm")?.unwrap_or_default();
        let algorithm = name
            .parse::<Algorithm>()
            .map_err(|error| problem(algorithm.at, format!("{name}: {error}"), "use RS256"))?;
        let fields = |within: &str, names: &[&'static str]| -> Result<Vec<_>, Problem> {
            let Some(within) = optional(node, within) else {
                return Ok(Vec::new());
            };
            let mut found = Vec::new();
            for name in names {
                if let Some(expr) = Expr::field(within, name)? {
                    found.push((*name, expr));
                }
            }
            Ok(found)
        };
        let mut headers = fields("jwt_headers", &["kid", "typ", "cty"])?;
        if !headers.iter().any(|(name, _)| *name == "typ") {
            headers.push(("typ", Expr::constant("JWT", node)?));
        }
        Ok(Self {
            option: match optional(node, "request_option") {
                Some(option) => RequestOption::build(option)?,
                None => RequestOption::header("Authorization", node)?,
            },
            verbatim,
            algorithm,
            key: Expr::required(node, "secret_key")?,
            encodes_key: Expr::field(node, "base64_encode_secret_key")?,
            passphrase: Expr::field(node, "passphrase")?,
            duration: match optional(node, "token_duration").map(|node| &node.kind) {
                None => Some(DEFAULT_DURATION),
                Some(Kind::Int(seconds)) => Some(*seconds),
                Some(_) => None,
            },
            prefix: Expr::field(node, "header_prefix")?,
            headers,
            more_headers: expr_map(node, "additional_jwt_headers")?,
            claims: fields("jwt_payload", &["iss", "sub", "aud"])?,
            more_claims: expr_map(node, "additional_jwt_payload")?,
            signed: Mutex::default(),
        })
    }

    /// Where the token goes.
    pub(super) fn option(&self) -> &RequestOption {
        &self.option
    }

    /// The token, with its prefix.
    pub(super) fn credential(&self, context: &Context<'_>) -> Result<String, AuthError> {
        let token = self.token(context)?;
        let prefix = self.prefix.as_ref().map(|prefix| prefix.text(context));
        Ok(match prefix.transpose()? {
            Some(prefix) if !prefix.is_empty() => format!("{prefix} {token}"),
            _ => token,
        })
    }

    /// What identifies the signer: key, algorithm, and all claims but the times.
    pub(super) fn seed(&self, context: &Context<'_>) -> Result<Vec<String>, AuthError> {
        let claims = self.claims(context)?;
        Ok(vec![
            self.algorithm.name().to_owned(),
            self.key(context)?,
            Value::from(claims).to_string(),
        ])
    }

    fn token(&self, context: &Context<'_>) -> Result<String, AuthError> {
        let now = Timestamp::now();
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((until, token)) = &*signed
            && now < *until
        {
            return Ok(token.expose().to_owned());
        }
        let token = Secret::from(self.sign(context, now.as_second())?);
        // The reference signs one per request.
        if self.verbatim
            && let Some(duration) = self.duration
            && let Ok(until) = Timestamp::from_second(now.as_second() + duration / 2)
        {
            *signed = Some((until, token.clone()));
        }
        Ok(token.expose().to_owned())
    }

    fn sign(&self, context: &Context<'_>, now: i64) -> Result<String, AuthError> {
        let mut header = Self::map(
            &self.more_headers,
            &RESERVED_HEADERS,
            "additional_jwt_headers",
            context,
        )?;
        header.insert("typ".to_owned(), "JWT".into());
        for (name, expr) in &self.headers {
            match self.value(expr, context)? {
                // An empty type is none; of others the reference sends what there is.
                Value::String(text) if text.is_empty() && (self.verbatim || *name == "typ") => {
                    header.shift_remove(*name);
                }
                Value::Null if self.verbatim => {}
                value => {
                    header.insert((*name).to_owned(), value);
                }
            }
        }
        header.insert("alg".to_owned(), self.algorithm.name().into());
        header.sort_keys();
        let mut claims = self.claims(context)?;
        let times = [
            ("iat", now),
            ("exp", now + self.duration.unwrap_or(0)),
            ("nbf", now),
        ];
        for (name, at) in times {
            claims.insert(name.to_owned(), Value::Int(at));
        }
        let passphrase = match &self.passphrase {
            Some(expr) => Some(self.text(expr, context)?).filter(|text| !text.is_empty()),
            None => None,
        };
        sign(
            self.algorithm,
            &self.key(context)?,
            passphrase.as_deref(),
            &header.into(),
            &claims.into(),
        )
        .map_err(|error| AuthError::Configuration(error.to_string()))
    }

    fn key(&self, context: &Context<'_>) -> Result<String, AuthError> {
        let key = self.text(&self.key, context)?;
        if key.is_empty() {
            return Err(AuthError::Configuration("secret_key is empty".to_owned()));
        }
        let encodes = self.encodes_key.as_ref().map(|expr| expr.boolean(context));
        Ok(if encodes.transpose()?.unwrap_or(false) {
            BASE64.encode(key)
        } else {
            key
        })
    }

    fn claims(&self, context: &Context<'_>) -> Result<Map, AuthError> {
        let mut claims = Self::map(
            &self.more_claims,
            &RESERVED_CLAIMS,
            "additional_jwt_payload",
            context,
        )?;
        for (name, expr) in &self.claims {
            let value = self.value(expr, context)?;
            let is_empty = match &value {
                Value::String(text) => text.is_empty(),
                Value::Null => true,
                _ => false,
            };
            // A configuration that names no subject means none.
            if !(self.verbatim && is_empty) {
                claims.insert((*name).to_owned(), value);
            }
        }
        Ok(claims)
    }

    fn map(
        pairs: &[(Expr, Expr)],
        reserved: &[&str],
        place: &str,
        context: &Context<'_>,
    ) -> Result<Map, AuthError> {
        let mut map = Map::new();
        for (name, value) in pairs {
            let Some(name) = name.key(context)? else {
                continue;
            };
            if reserved.contains(&name.as_str()) {
                return Err(AuthError::Configuration(format!(
                    "{place} holds {name}, which has a field of its own"
                )));
            }
            match value.value(context) {
                Ok(Literal::None) | Err(EvalError::Undefined { .. }) => {}
                Ok(value) => {
                    map.insert(name, value.into_json());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(map)
    }

    /// A header or claim: text that looks like a number is one only to the reference.
    fn value(&self, expr: &Expr, context: &Context<'_>) -> Result<Value, EvalError> {
        if self.verbatim {
            return match expr.value(context) {
                Ok(Literal::None) | Err(EvalError::Undefined { .. }) => Ok(Value::Null),
                Ok(_) => Ok(expr.verbatim(context)?.into()),
                Err(error) => Err(error),
            };
        }
        Ok(expr.value(context)?.into_json())
    }

    fn text(&self, expr: &Expr, context: &Context<'_>) -> Result<String, EvalError> {
        if self.verbatim {
            expr.verbatim(context)
        } else {
            expr.text(context)
        }
    }
}
