//! From templates to a request: address, query, headers, body.

use bytes::Bytes;
use http::{HeaderMap, Method};
use indexmap::IndexMap;
use url::Url;

use super::auth::Authenticator;
use super::errors::ErrorHandler;
use super::expr::{Expr, expr_map, unsupported};
use super::fields::{flag_or, nested, optional, problem, text, type_of};
use super::mode::Mode;
use super::options::{OptionValue, RequestOptions};
use super::template::{Context, EvalError, Literal, Nested};
use crate::client::auth::encode_form;
use crate::client::{FetchError, Request, set_header};
use crate::document::{Kind, Node, Problem};
use crate::json::{Map, Value};

/// `HttpRequester`
#[derive(Debug, Clone)]
pub(super) struct Requester {
    method: Method,
    base: Expr,
    path: Option<Expr>,
    query: Options,
    headers: Options,
    body: Body,
    pub(super) auth: Authenticator,
    /// What its answers mean.
    pub(super) errors: ErrorHandler,
    pub(super) mode: Mode,
    /// Whether its answers may be kept where several streams have this one as their parent.
    pub(super) may_keep: bool,
    /// Whether the base is a whole address, and not what all addresses begin with.
    is_whole: bool,
    /// Whether the path may name another host, because it holds what an answer said.
    guards_host: bool,
}

/// Query or headers.
#[derive(Debug, Clone)]
enum Options {
    Map(Vec<(Expr, Expr)>),
    /// One template that gives all of them.
    Template(Expr),
}

#[derive(Debug, Clone)]
enum Body {
    None,
    Form(Vec<(Expr, Expr)>),
    Text(Expr),
    Json(Nested),
}

impl Requester {
    /// Builds `requester` of a retriever.
    pub(super) fn build(node: &Node, config: &Value, mode: Mode) -> Result<Self, Problem> {
        if type_of(node) != Some("HttpRequester") {
            return Err(unsupported(node));
        }
        let method = match text(node, "http_method")?.unwrap_or("GET") {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            "HEAD" => Method::HEAD,
            "OPTIONS" => Method::OPTIONS,
            _ => {
                return Err(problem(
                    node.at,
                    "http_method is no method of HTTP",
                    "use GET, POST, PUT or PATCH",
                ));
            }
        };
        // `url` is the whole address; `url_base` and `path` are the older spelling.
        let path = Expr::field(node, "path")?;
        let (base, is_whole) = match (Expr::field(node, "url")?, Expr::field(node, "url_base")?) {
            (_, Some(base)) => (base, false),
            (Some(url), None) => (url, path.is_none()),
            (None, None) => {
                return Err(problem(
                    node.at,
                    "HttpRequester has no address",
                    "add url, or url_base and path",
                ));
            }
        };
        for unknown in ["request_parameters", "fetch_properties_from_endpoint"] {
            if let Some(value) = optional(node, unknown)
                && type_of(value).is_some_and(|kind| kind == "QueryProperties")
            {
                return Err(unsupported(value));
            }
        }
        Ok(Self {
            method,
            base,
            path,
            query: Options::build(node, "request_parameters")?,
            headers: Options::build(node, "request_headers")?,
            body: Body::build(node)?,
            auth: match optional(node, "authenticator") {
                Some(authenticator) => {
                    Authenticator::build(authenticator, node, config, mode.keeps_spelling())?
                }
                None => Authenticator::None,
            },
            errors: match optional(node, "error_handler") {
                Some(handler) => ErrorHandler::build(handler)?,
                None => ErrorHandler::default(),
            },
            mode,
            is_whole,
            may_keep: flag_or(node, "use_cache", true)?,
            guards_host: false,
        })
    }

    /// Refuses addresses at another host than the base's: its path holds what an answer said.
    pub(super) fn guard_host(&mut self) {
        self.guards_host = true;
    }

    /// The address without a page token, in which the context's slice counts.
    pub(super) fn address(&self, context: &Context<'_>) -> Result<Url, FetchError> {
        let path = match &self.path {
            Some(path) => path
                .text(context)
                .map_err(|error| template("path", &error))?,
            None => String::new(),
        };
        self.join(path.trim_start_matches('/'), context)
    }

    fn join(&self, path: &str, context: &Context<'_>) -> Result<Url, FetchError> {
        let mut base = self
            .base
            .text(context)
            .map_err(|error| template("url_base", &error))?;
        if path.is_empty() {
            return parse_url(&base);
        }
        if !base.ends_with('/') {
            base.push('/');
        }
        // The value is not repeated: an address may carry a password.
        let mut url = parse_url(&base)?.join(path).map_err(|error| {
            FetchError::Misconfigured(format!("the path of a request is no path: {error}"))
        })?;
        let is_relative = !path.starts_with('/') && Url::parse(path).is_err();
        if is_relative && url.path().contains("//") {
            let path = without_empty_segments(url.path());
            url.set_path(&path);
        }
        Ok(url)
    }

    /// The request for one page. `page` is the page's own address, where the paginator has one;
    /// `extra` is what paginator and slices add.
    ///
    /// Credentials and headers that the manifest adds go to the configured host only: an address
    /// that an answer named may be anywhere.
    pub(super) fn request(
        &self,
        page: Option<&str>,
        extra: RequestOptions,
        context: &Context<'_>,
    ) -> Result<Request, FetchError> {
        let mut url = match page {
            // From the root of the host, where it starts with a slash.
            Some(page) => self.join(page, context)?,
            None => self.address(context)?,
        };
        let home = match page {
            Some(_) => self.address(context)?,
            None => url.clone(),
        };
        let is_home = !self.mode.guards_credentials() || url.origin() == home.origin();
        if self.guards_host {
            self.stay_home(&home, context)?;
        }

        let mut options = self.own_options(context)?;
        if is_home {
            let auth = self.auth.options(context, self.mode.keeps_spelling())?;
            options.merge(auth).map_err(misconfigured)?;
        }
        options.merge(extra).map_err(misconfigured)?;

        let said_once = page.is_some() || self.mode == Mode::Reference;
        add_query(&mut url, &options, said_once)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &options.headers {
            if !is_home && is_credential(name) {
                continue;
            }
            for text in value.texts().unwrap_or_default() {
                set_header(&mut headers, name, &text)?;
            }
        }
        let body = self.body(options, &mut headers, context)?;
        Ok(Request {
            method: self.method.clone(),
            url,
            headers,
            body,
        })
    }

    /// Credentials would go wherever an answer says.
    fn stay_home(&self, url: &Url, context: &Context<'_>) -> Result<(), FetchError> {
        let base = self
            .base
            .text(context)
            .map_err(|error| template("url_base", &error))?;
        if parse_url(&base)?.origin() == url.origin() {
            return Ok(());
        }
        Err(FetchError::Unusable(format!(
            "the provider names an address at another host ({}), which is not asked",
            url.host_str().unwrap_or_default()
        )))
    }

    /// A request for another path of the same provider, without what the stream's own asks for.
    /// `body` is JSON.
    pub(super) fn plain(
        &self,
        method: Method,
        path: &str,
        body: Option<&str>,
        context: &Context<'_>,
    ) -> Result<Request, FetchError> {
        let bare = Self {
            path: None,
            query: Options::none(),
            body: Body::None,
            method,
            ..self.clone()
        };
        // Below the base; where there is none but a whole address, from the root of its host.
        let path = if self.is_whole {
            path
        } else {
            path.trim_start_matches('/')
        };
        let mut request = bare.request(Some(path), RequestOptions::default(), context)?;
        if let Some(body) = body {
            if !request.headers.contains_key(http::header::CONTENT_TYPE) {
                set_header(&mut request.headers, "content-type", "application/json")?;
            }
            request.body = Some(body.to_owned().into());
        }
        Ok(request)
    }

    fn own_options(&self, context: &Context<'_>) -> Result<RequestOptions, FetchError> {
        let mut options = RequestOptions::default();
        let failed = |error: EvalError| template("request_parameters", &error);
        match &self.query {
            Options::Template(all) => options.query = whole(all, context).map_err(failed)?,
            Options::Map(pairs) => {
                for (key, value) in pairs {
                    let value = value.parameter(context).map_err(failed)?;
                    if let Some(key) = key.key(context).map_err(failed)?
                        && let Some(value) = OptionValue::of(value)
                    {
                        options.query.insert(key, value);
                    }
                }
            }
        }
        let failed = |error: EvalError| template("request_headers", &error);
        match &self.headers {
            Options::Template(all) => options.headers = whole(all, context).map_err(failed)?,
            Options::Map(pairs) => {
                for (key, value) in pairs {
                    if let Some(key) = key.key(context).map_err(failed)?
                        && let Some(printed) = value.header(context).map_err(failed)?
                    {
                        // JSON is text here; as the reference prints it, it is JSON no longer.
                        let value = if self.mode.keeps_spelling() {
                            value.verbatim(context).map_err(failed)?
                        } else {
                            printed
                        };
                        let value = OptionValue::One(Literal::Str(value));
                        options.headers.insert(key, value);
                    }
                }
            }
        }
        match &self.body {
            Body::Form(fields) => {
                let failed = |error: EvalError| template("request_body_data", &error);
                for (key, value) in fields {
                    if let Some(key) = key.key(context).map_err(failed)?
                        && let Some(value) =
                            OptionValue::of(value.parameter(context).map_err(failed)?)
                    {
                        options.form.insert(key, value);
                    }
                }
            }
            Body::Json(tree) => {
                let value = tree
                    .eval(context)
                    .map_err(|error| template("request_body_json", &error))?;
                if let Value::Object(map) = value {
                    options.json = map;
                }
            }
            Body::None | Body::Text(_) => {}
        }
        Ok(options)
    }

    /// A GET with a body is unusual, but some providers want it.
    fn body(
        &self,
        options: RequestOptions,
        headers: &mut HeaderMap,
        context: &Context<'_>,
    ) -> Result<Option<Bytes>, FetchError> {
        if ![Method::GET, Method::POST, Method::PUT, Method::PATCH].contains(&self.method) {
            return Ok(None);
        }
        if let Body::Text(text) = &self.body {
            let text = text
                .verbatim(context)
                .map_err(|error| template("request_body_data", &error))?;
            return Ok((!text.is_empty()).then(|| text.into()));
        }
        let RequestOptions { form, json, .. } = options;
        let (kind, body) = match (form.is_empty(), json.is_empty()) {
            (true, true) => return Ok(None),
            (false, false) => {
                return Err(FetchError::Misconfigured(
                    "a request has both form fields and a JSON body".to_owned(),
                ));
            }
            (false, true) => {
                let mut pairs = Vec::new();
                for (key, value) in &form {
                    let texts = value.texts().unwrap_or_default();
                    pairs.extend(texts.into_iter().map(|text| (key.clone(), text)));
                }
                (
                    "application/x-www-form-urlencoded",
                    encode(&pairs).into_bytes(),
                )
            }
            (true, false) => ("application/json", Value::from(json).to_json()),
        };
        if !headers.contains_key(http::header::CONTENT_TYPE) {
            set_header(headers, "content-type", kind)?;
        }
        Ok(Some(body.into()))
    }
}

impl Options {
    fn build(node: &Node, key: &str) -> Result<Self, Problem> {
        Ok(match optional(node, key).map(|options| &options.kind) {
            Some(Kind::String(_)) => Self::Template(Expr::required(node, key)?),
            _ => Self::Map(expr_map(node, key)?),
        })
    }

    fn none() -> Self {
        Self::Map(Vec::new())
    }
}

/// Options that one template gives; what is no map gives none.
fn whole(
    template: &Expr,
    context: &Context<'_>,
) -> Result<IndexMap<String, OptionValue>, EvalError> {
    let Value::Object(map) = template.value(context)?.into_json() else {
        return Ok(IndexMap::new());
    };
    let sent = map.into_iter().filter(|(_, value)| *value != Value::Null);
    Ok(sent
        .map(|(key, value)| (key, OptionValue::One(Literal::from(&value))))
        .collect())
}

impl Body {
    /// `request_body` is the newer spelling of `request_body_json` and `request_body_data`.
    fn build(node: &Node) -> Result<Self, Problem> {
        if let Some(body) = optional(node, "request_body") {
            return match type_of(body) {
                Some("RequestBodyJsonObject") => {
                    Ok(nested(body, "value")?.map_or(Self::None, Self::Json))
                }
                Some("RequestBodyUrlEncodedForm") => expr_map(body, "value").map(Self::Form),
                Some("RequestBodyPlainText") => Expr::required(body, "value").map(Self::Text),
                Some("RequestBodyGraphQL") => {
                    Ok(nested(body, "value")?.map_or(Self::None, Self::Json))
                }
                _ => Err(unsupported(body)),
            };
        }
        if let Some(tree) = nested(node, "request_body_json")? {
            return Ok(Self::Json(tree));
        }
        match optional(node, "request_body_data").map(|data| &data.kind) {
            None => Ok(Self::None),
            Some(Kind::Map(_)) => expr_map(node, "request_body_data").map(Self::Form),
            Some(_) => Expr::required(node, "request_body_data").map(Self::Text),
        }
    }
}

fn parse_url(text: &str) -> Result<Url, FetchError> {
    let url = Url::parse(text.trim()).map_err(|error| {
        FetchError::Misconfigured(format!("the address of the provider is no URL: {error}"))
    })?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(FetchError::Misconfigured(format!(
            "the address of the provider starts with {scheme}: instead of https:"
        ))),
    }
}

/// A path without what empty parts of a template leave behind, as Python's `urljoin` makes it.
fn without_empty_segments(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').collect();
    let last = segments.len() - 1;
    let kept = segments.iter().enumerate();
    let kept = kept.filter(|(index, segment)| *index == 0 || *index == last || !segment.is_empty());
    let kept: Vec<&str> = kept.map(|(_, segment)| *segment).collect();
    kept.join("/")
}

fn template(place: &str, error: &EvalError) -> FetchError {
    FetchError::Misconfigured(format!("{place}: {error}"))
}

pub(super) fn misconfigured(error: impl std::fmt::Display) -> FetchError {
    FetchError::Misconfigured(error.to_string())
}

/// Adds the query; with `said_once`, what the address already says is not said again.
pub(super) fn add_query(
    url: &mut Url,
    options: &RequestOptions,
    said_once: bool,
) -> Result<(), FetchError> {
    let present: Vec<(String, String)> = if said_once {
        url.query_pairs().into_owned().collect()
    } else {
        Vec::new()
    };
    let mut pairs = Vec::new();
    for (key, value) in &options.query {
        let Some(texts) = value.texts() else {
            return Err(FetchError::Misconfigured(format!(
                "the query parameter {key} is a map"
            )));
        };
        let said = present.iter().find(|(name, _)| name == key);
        if said.is_some_and(|(_, value)| texts.len() == 1 && texts[0] == *value) {
            continue;
        }
        pairs.extend(texts.into_iter().map(|text| (key.clone(), text)));
    }
    if !pairs.is_empty() {
        let mut query = url.query().unwrap_or_default().to_owned();
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(&encode(&pairs));
        url.set_query(Some(&query));
    }
    Ok(())
}

pub(super) fn encode(pairs: &[(String, String)]) -> String {
    encode_form(
        pairs
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str())),
    )
}

/// Headers that must not reach another host, even where a manifest writes them by hand.
fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["authorization", "cookie", "token", "secret", "key", "auth"]
        .iter()
        .any(|part| name.contains(part))
}

/// What identifies a request besides its credentials: method, address, body.
pub(super) fn shape(request: &Request) -> Vec<u8> {
    let mut shape = Vec::new();
    shape.extend_from_slice(request.method.as_str().as_bytes());
    shape.push(b' ');
    shape.extend_from_slice(request.url.as_str().as_bytes());
    shape.push(b'\n');
    if let Some(accept) = request.headers.get(http::header::ACCEPT) {
        shape.extend_from_slice(accept.as_bytes());
    }
    shape.push(b'\n');
    shape.extend_from_slice(request.body.as_deref().unwrap_or_default());
    shape
}

/// `{"next_page_token": …}`, as templates see the token.
pub(super) fn token_map(token: Value) -> Map {
    let mut map = Map::new();
    map.insert("next_page_token".to_owned(), token);
    map
}
