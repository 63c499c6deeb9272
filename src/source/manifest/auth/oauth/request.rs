//! The request to a token endpoint, as an `OAuthAuthenticator` describes it.

use url::Url;

use super::super::super::expr::Expr;
use super::super::super::retriever::Run;
use super::super::super::template::{Context, EvalError, Parameter};
use super::{OAuth, failed, instant};
use crate::client::FetchError;
use crate::client::auth::{AnswerNames, Expiry, TokenRequest};

impl OAuth {
    /// Where the answer holds what.
    fn names(&self, run: &Run<'_>, context: &Context<'_>) -> Result<AnswerNames, FetchError> {
        let read = |what: &str, expr: &Expr| self.read(run, what, expr, context);
        Ok(AnswerNames {
            access_token: read("access_token_name", &self.access_token_name)?,
            expires: read("expires_in_name", &self.expires_name)?,
            expiry: if self.is_instant {
                Expiry::Instant(instant)
            } else {
                Expiry::Seconds
            },
            is_strict: !self.verbatim,
            refresh_token: self.refresh_token_name(run, context)?,
        })
    }

    /// What the refresh token is called, both where it is sent and where a new one comes.
    fn refresh_token_name(
        &self,
        run: &Run<'_>,
        context: &Context<'_>,
    ) -> Result<String, FetchError> {
        match &self.updater {
            Some(updater) => Ok(updater.refresh_token_name.clone()),
            None => self.read(run, "refresh_token_name", &self.refresh_token_name, context),
        }
    }

    /// The request to the token endpoint.
    pub(super) fn request(
        &self,
        run: &Run<'_>,
        context: &Context<'_>,
    ) -> Result<TokenRequest, FetchError> {
        let read = |what: &str, expr: &Expr| self.read(run, what, expr, context);
        let endpoint = self.optional(
            run,
            "token_refresh_endpoint",
            self.endpoint.as_ref(),
            context,
        )?;
        let url = endpoint
            .as_deref()
            .and_then(|text| Url::parse(text.trim()).ok())
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| {
                run.misconfigured("authenticator: token_refresh_endpoint is no address")
            })?;
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            let of = |error: EvalError| failed(run, "refresh_request_headers", &error);
            if let Some(name) = name.key(context).map_err(of)?
                && let Some(value) = self.header(value, context).map_err(of)?
            {
                headers.push((name, value));
            }
        }
        let mut request = TokenRequest {
            url,
            headers,
            fields: Vec::new(),
            refresh_field: None,
            in_query: self.in_query,
            names: self.names(run, context)?,
            rejection: self.rejection.clone(),
            plain: !self.verbatim,
        };
        if let Some(assertion) = self.assertion(run, context)? {
            let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned();
            let name = read("grant_type_name", &self.grant_type_name)?;
            request.fields = vec![
                (name, grant_type),
                ("assertion".to_owned(), assertion.jwt.credential(context)?),
            ];
            request.in_query = false;
            return Ok(request);
        }
        let grant_type = read("grant_type", &self.grant_type)?;
        let is_refresh = grant_type == "refresh_token";
        let mut fields = vec![(read("grant_type_name", &self.grant_type_name)?, grant_type)];
        let is_in_header = request
            .headers
            .iter()
            .any(|(name, _)| name == "Authorization");
        if !is_in_header {
            let id = self.optional(run, "client_id", self.client_id.as_ref(), context)?;
            let id = id.ok_or_else(|| run.misconfigured("authenticator: client_id is empty"))?;
            fields.push((read("client_id_name", &self.client_id_name)?, id));
            let secret =
                self.optional(run, "client_secret", self.client_secret.as_ref(), context)?;
            // A public client has none; the reference sends it empty.
            if secret.is_some() || !self.verbatim {
                let name = read("client_secret_name", &self.client_secret_name)?;
                fields.push((name, secret.unwrap_or_default()));
            }
        }
        let refresh = match &self.updater {
            Some(updater) => updater.refresh_token(run.config),
            None => self.optional(run, "refresh_token", self.refresh_token.as_ref(), context)?,
        };
        match refresh {
            Some(refresh) => {
                let name = self.refresh_token_name(run, context)?;
                if is_refresh {
                    request.refresh_field = Some(name.clone());
                }
                if is_refresh || !self.verbatim {
                    fields.push((name, refresh));
                }
            }
            None if is_refresh && self.verbatim => {
                return Err(run.misconfigured("authenticator: refresh_token is empty"));
            }
            // The reference sends it empty.
            None if self.refresh_token.is_some() && !self.verbatim => {
                let name = self.refresh_token_name(run, context)?;
                fields.push((name, String::new()));
            }
            None => {}
        }
        fields.extend(
            self.scopes
                .iter()
                .map(|scope| ("scopes".to_owned(), scope.clone())),
        );
        self.add_body(run, context, &mut fields)?;
        request.fields = fields;
        Ok(request)
    }

    /// `refresh_request_body`; what the grant itself says is not said again.
    fn add_body(
        &self,
        run: &Run<'_>,
        context: &Context<'_>,
        fields: &mut Vec<(String, String)>,
    ) -> Result<(), FetchError> {
        let own: Vec<String> = fields.iter().map(|(name, _)| name.clone()).collect();
        for (name, value) in &self.body {
            let of = |error: EvalError| failed(run, "refresh_request_body", &error);
            let Some(name) = name.key(context).map_err(of)? else {
                continue;
            };
            if own.contains(&name) {
                continue;
            }
            match value.parameter(context).map_err(of)? {
                Parameter::Absent => {}
                Parameter::List(items) => {
                    fields.extend(items.into_iter().map(|item| (name.clone(), item)));
                }
                Parameter::Text(text) => {
                    let text = if self.verbatim {
                        Some(text)
                    } else {
                        value.header(context).map_err(of)?
                    };
                    fields.extend(text.map(|text| (name, text)));
                }
            }
        }
        Ok(())
    }

    fn header(&self, value: &Expr, context: &Context<'_>) -> Result<Option<String>, EvalError> {
        if self.verbatim {
            Ok(Some(value.verbatim(context)?).filter(|text| !text.is_empty()))
        } else {
            value.header(context)
        }
    }
}
