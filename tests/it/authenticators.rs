//! Authenticators of the low-code format: what they ask an issuer for, and what they make of its
//! answer, in both modes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connector_worker::client::auth::{Credentials, GoogleSurroundings};
use connector_worker::client::{Client, ClientConfig, FetchError};
use connector_worker::clock::Clock;
use connector_worker::connector::{ConnectorConfig, RetryConfig};
use connector_worker::document::parse_json;
use connector_worker::source::manifest::catalog::Manifest;
use connector_worker::source::manifest::{ManifestSource, Mode};
use connector_worker::source::{CheckReport, Source};
use connector_worker::store::MemoryStore;
use serde_json::{Value, json};

use crate::support::party::{Asked, Party, Reply};
use crate::support::scripted::config as defaults;

/// A source of the streams `one` and `two`, whose requests are authenticated as `authenticator`
/// says.
fn source(party: &Party, authenticator: &str, config: Value, mode: Mode) -> ManifestSource {
    let stream = |name: &str| {
        format!(
            "
  - type: DeclarativeStream
    name: {name}
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url_base: '{{{{ config.base }}}}'
        path: /{name}
        authenticator: {authenticator}
      record_selector: {{ type: RecordSelector, extractor: {{ type: DpathExtractor, field_path: [] }} }}
"
        )
    };
    let manifest = format!(
        "type: DeclarativeSource\nstreams:{}{}",
        stream("one"),
        stream("two")
    );
    let manifest = Manifest::read("things.yaml", &manifest, "things").unwrap();
    let mut config = config;
    config["base"] = json!(party.url);
    let config = ConnectorConfig {
        provider: parse_json("c", &config.to_string()).unwrap(),
        ..defaults()
    };
    let client = Client::new(ClientConfig {
        max_backoff: Some(Duration::from_millis(5)),
        retry: RetryConfig::default(),
        ..ClientConfig::default()
    })
    .unwrap();
    ManifestSource::build(Arc::new(manifest), &config, client, Clock::System, mode)
}

async fn check(
    party: &Party,
    authenticator: &str,
    config: Value,
    mode: Mode,
) -> Result<CheckReport, FetchError> {
    source(party, authenticator, config, mode).check().await
}

/// What `check` says of the first stream that cannot be read, or of the whole.
async fn refusal(party: &Party, authenticator: &str, config: Value, mode: Mode) -> FetchError {
    match check(party, authenticator, config, mode).await {
        Err(error) => error,
        Ok(report) => report.failed.into_iter().next().expect("nothing failed"),
    }
}

/// An issuer at `/token` of tokens `t0`, `t1`, …, and streams that anybody may read.
async fn issuer() -> Party {
    Party::start(|asked, number| match asked.path() {
        "/token" => Reply::json(json!({
            "access_token": format!("t{number}"), "expires_in": 3600,
            "refresh_token": format!("r{number}"),
        }))
        // Slow enough that two streams would ask at once.
        .after(Duration::from_millis(20)),
        _ => Reply::json(r#"[{"id":1}]"#),
    })
    .await
}

fn tokens_seen(asked: &[Asked]) -> Vec<&str> {
    asked
        .iter()
        .filter_map(|one| one.header("authorization"))
        .collect()
}

const REFRESH: &str = "{ type: OAuthAuthenticator, token_refresh_endpoint: '{{ config.base }}/token', client_id: '{{ config.id }}', client_secret: '{{ config.secret }}', refresh_token: '{{ config.refresh }}', scopes: [a b, c], refresh_request_body: { more: '{{ config.id }}x', client_id: not this, absent: '{{ config.nothing }}' } }";

#[tokio::test]
async fn a_refresh_token_buys_an_access_token() {
    let config = json!({"id": "i1", "secret": "s/1", "refresh": "r+1"});
    for (mode, requests) in [(Mode::Worker, 1), (Mode::Reference, 2)] {
        let party = issuer().await;
        check(&party, REFRESH, config.clone(), mode).await.unwrap();
        let asked = party.asked_at("/token");
        // Streams of one connector share a credential; in the reference each has its own.
        assert_eq!(asked.len(), requests, "{mode:?}");
        assert_eq!(asked[0].method, "POST");
        assert_eq!(
            asked[0].body,
            "grant_type=refresh_token&client_id=i1&client_secret=s%2F1&refresh_token=r%2B1\
             &scopes=a+b&scopes=c&more=i1x"
        );
        assert_eq!(
            asked[0].header("content-type"),
            Some("application/x-www-form-urlencoded")
        );
        let all = party.asked();
        let expected = [
            "Bearer t0",
            if requests == 1 {
                "Bearer t0"
            } else {
                "Bearer t1"
            },
        ];
        assert_eq!(tokens_seen(&all), expected);
    }
}

#[tokio::test]
async fn client_credentials_go_where_the_manifest_says() {
    let config = json!({"id": "i1", "secret": "s1"});
    let with = |more: &str| {
        format!(
            "{{ type: OAuthAuthenticator, token_refresh_endpoint: '{{{{ config.base }}}}/token?a=1', \
             client_id: '{{{{ config.id }}}}', client_secret: '{{{{ config.secret }}}}', \
             grant_type: client_credentials {more} }}"
        )
    };
    for mode in [Mode::Worker, Mode::Reference] {
        let party = issuer().await;
        check(&party, &with(""), config.clone(), mode)
            .await
            .unwrap();
        let asked = party.asked_at("/token");
        assert_eq!(
            asked[0].body,
            "grant_type=client_credentials&client_id=i1&client_secret=s1"
        );

        let party = issuer().await;
        let more = ", refresh_request_headers: { Authorization: 'Basic {{ (config.id ~ \":\" ~ config.secret) | base64encode }}' }, send_refresh_request_as_query_params: true";
        check(&party, &with(more), config.clone(), mode)
            .await
            .unwrap();
        let asked = party.asked_at("/token");
        assert_eq!(asked[0].target, "/token?a=1&grant_type=client_credentials");
        assert_eq!(
            (asked[0].body.as_str(), asked[0].header("content-length")),
            ("", Some("0"))
        );
        assert_eq!(asked[0].header("authorization"), Some("Basic aTE6czE="));

        let party = issuer().await;
        let more = ", client_id_name: app, client_secret_name: key, grant_type_name: kind, access_token_name: refresh_token, expires_in_name: none";
        check(&party, &with(more), config.clone(), mode)
            .await
            .unwrap();
        assert_eq!(
            party.asked_at("/token")[0].body,
            "kind=client_credentials&app=i1&key=s1"
        );
        assert_eq!(tokens_seen(&party.asked())[0], "Bearer r0");
    }
}

#[tokio::test]
async fn the_reference_tells_of_a_rotated_refresh_token_by_a_new_configuration() {
    let party = issuer().await;
    let authenticator = "{ type: OAuthAuthenticator, token_refresh_endpoint: '{{ config.base }}/token', client_id: i, client_secret: s, refresh_token_updater: { refresh_token_config_path: [refresh], access_token_config_path: [access], token_expiry_date_config_path: [expires] } }";
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = told.clone();
    let credentials = Credentials::telling(Arc::new(move |config| {
        telling.lock().unwrap().push(config.to_string());
    }));
    let config = json!({"refresh": "first", "expires": "2020-01-01T00:00:00Z", "access": "old"});
    source(&party, authenticator, config, Mode::Reference)
        .with_credentials(credentials)
        .check()
        .await
        .unwrap();
    let asked = party.asked_at("/token");
    assert_eq!(asked.len(), 1, "streams share what is written back");
    assert_eq!(asked[0].field("refresh_token").unwrap(), "first");
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    let config: Value = serde_json::from_str(&told[0]).unwrap();
    assert_eq!(
        (&config["refresh"], &config["access"]),
        (&json!("r0"), &json!("t0"))
    );
    assert!(config["expires"].as_str().unwrap() > "2026", "{config}");
    assert_eq!(tokens_seen(&party.asked()), ["Bearer t0", "Bearer t0"]);
}

#[tokio::test]
async fn a_token_of_the_configuration_is_used_until_it_ends() {
    let with = |expires: &str| {
        format!(
            "{{ type: OAuthAuthenticator, token_refresh_endpoint: '{{{{ config.base }}}}/token', \
             client_id: i, client_secret: s, refresh_token: r, access_token_value: given, \
             token_expiry_date: '{expires}' }}"
        )
    };
    for mode in [Mode::Worker, Mode::Reference] {
        for (expires, token) in [
            ("2099-01-01T00:00:00Z", "Bearer given"),
            ("2020-01-01T00:00:00Z", "Bearer t0"),
        ] {
            let party = issuer().await;
            check(&party, &with(expires), json!({}), mode)
                .await
                .unwrap();
            assert_eq!(tokens_seen(&party.asked())[0], token);
        }
    }
    let party = issuer().await;
    let without = "{ type: OAuthAuthenticator, client_id: i, client_secret: s, grant_type: client_credentials, access_token_value: given }";
    check(&party, without, json!({}), Mode::Worker)
        .await
        .unwrap();
    assert_eq!(
        tokens_seen(&party.asked()),
        ["Bearer given", "Bearer given"]
    );
}

#[tokio::test]
async fn a_login_gives_a_session_token() {
    let login = "login_requester: { type: HttpRequester, url_base: '{{ config.base }}', path: /login, http_method: POST, request_body_json: { user: '{{ config.user }}', password: '{{ config.password }}' } }, session_token_path: [session, id]";
    let bearer = format!(
        "{{ type: SessionTokenAuthenticator, {login}, expiration_duration: PT1H, request_authentication: {{ type: Bearer }} }}"
    );
    let key = format!(
        "{{ type: SessionTokenAuthenticator, {login}, request_authentication: {{ type: ApiKey, api_token: 'Token {{{{ session_token }}}}', inject_into: {{ type: RequestOption, inject_into: header, field_name: X-Session }} }} }}"
    );
    let config = json!({"user": "u", "password": "p\"1"});
    let start = || {
        Party::start(|asked, number| match asked.path() {
            "/login" => Reply::json(json!({"session": {"id": format!("s{number}")}})),
            _ => Reply::json(r#"[{"id":1}]"#),
        })
    };
    // Without an expiration the reference logs in before every request.
    for (mode, authenticator, logins) in [
        (Mode::Worker, &bearer, 1),
        (Mode::Reference, &bearer, 2),
        (Mode::Worker, &key, 1),
        (Mode::Reference, &key, 2),
    ] {
        let party = start().await;
        check(&party, authenticator, config.clone(), mode)
            .await
            .unwrap();
        let asked = party.asked_at("/login");
        assert_eq!(asked.len(), logins, "{mode:?}");
        assert_eq!(asked[0].body, r#"{"user":"u","password":"p\"1"}"#);
        let first = &party.asked_at("/one")[0];
        if authenticator == &bearer {
            assert_eq!(first.header("authorization"), Some("Bearer s0"));
        } else {
            assert_eq!(first.header("x-session"), Some("Token s0"));
        }
    }
}

#[tokio::test]
async fn an_old_session_is_validated_and_replaced_by_a_login() {
    let authenticator = "{ type: LegacySessionTokenAuthenticator, header: X-Session, login_url: /session, validate_session_url: /valid, session_token: '{{ config.token }}', session_token_response_key: id, username: u, password: p }";
    let start = || {
        Party::start(|asked, _| match asked.path() {
            "/session" => Reply::json(json!({"id": "fresh"})),
            _ if asked.header("x-session") != Some("fresh") => Reply::status(401, "{}"),
            _ => Reply::json(r#"[{"id":1}]"#),
        })
    };
    for mode in [Mode::Worker, Mode::Reference] {
        let party = start().await;
        check(&party, authenticator, json!({"token": "stale"}), mode)
            .await
            .unwrap();
        let asked = party.asked_at("/session");
        assert_eq!(asked.len(), 1, "{mode:?}");
        assert_eq!(asked[0].body, r#"{"username":"u","password":"p"}"#);
        let validations = party.asked_at("/valid").len();
        assert_eq!(validations, if mode == Mode::Worker { 0 } else { 2 });
    }
}

/// The header, the claims and the signature of the token in a request.
fn opened(credential: &str) -> (String, Value, String) {
    let token = credential.split(' ').next_back().unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let text = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let claims = serde_json::from_str(&text(parts[1])).unwrap();
    (text(parts[0]), claims, parts[2].to_owned())
}

#[tokio::test]
async fn a_signed_token_holds_what_the_manifest_says() {
    let authenticator = "{ type: JwtAuthenticator, algorithm: HS256, secret_key: '{{ config.key }}', base64_encode_secret_key: true, token_duration: 600, header_prefix: Bearer, jwt_headers: { kid: '{{ config.kid }}' }, jwt_payload: { iss: me, sub: '{{ config.subject }}', aud: them }, additional_jwt_payload: { scope: a b }, additional_jwt_headers: { zip: none } }";
    for mode in [Mode::Worker, Mode::Reference] {
        let party = issuer().await;
        let config = json!({"key": "a secret", "kid": "k1", "subject": "you"});
        check(&party, authenticator, config, mode).await.unwrap();
        let asked = party.asked();
        let credential = tokens_seen(&asked)[0];
        assert!(credential.starts_with("Bearer "));
        let (header, claims, signature) = opened(credential);
        assert_eq!(
            header,
            r#"{"alg":"HS256","kid":"k1","typ":"JWT","zip":"none"}"#
        );
        let now = jiff::Timestamp::now().as_second();
        let issued = claims["iat"].as_i64().unwrap();
        assert!((now - 60..=now).contains(&issued));
        let expected = json!({
            "scope": "a b", "iss": "me", "sub": "you", "aud": "them",
            "iat": issued, "exp": issued + 600, "nbf": issued,
        });
        assert_eq!(claims.to_string(), expected.to_string());
        let message = credential
            .trim_start_matches("Bearer ")
            .rsplit_once('.')
            .unwrap()
            .0;
        // The key is what base64 makes of `a secret`.
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"YSBzZWNyZXQ=");
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        aws_lc_rs::hmac::verify(&key, message.as_bytes(), &signature).unwrap();
    }
    // An empty subject is none to the worker.
    let party = issuer().await;
    let config = json!({"key": "a secret", "kid": "k1", "subject": ""});
    check(&party, authenticator, config, Mode::Worker)
        .await
        .unwrap();
    assert_eq!(opened(tokens_seen(&party.asked())[0]).1.get("sub"), None);
}

#[tokio::test]
async fn an_assertion_buys_a_token() {
    let key = include_str!("../fixtures/keys/rsa-pkcs8.pem");
    let authenticator = "{ type: OAuthAuthenticator, token_refresh_endpoint: '{{ config.base }}/token', use_profile_assertion: true, profile_assertion: { type: JwtAuthenticator, algorithm: RS256, secret_key: \"{{ json_loads(config['file'])['private_key'] }}\", token_duration: 3600, jwt_payload: { iss: \"{{ json_loads(config['file'])['client_email'] }}\", aud: 'https://issuer', sub: someone }, additional_jwt_payload: { scope: read } } }";
    let file = json!({"private_key": key, "client_email": "robot@example.test"}).to_string();
    for mode in [Mode::Worker, Mode::Reference] {
        let party = issuer().await;
        check(&party, authenticator, json!({"file": file}), mode)
            .await
            .unwrap();
        let asked = &party.asked_at("/token")[0];
        assert_eq!(
            asked.field("grant_type").unwrap(),
            "urn:ietf:params:oauth:grant-type:jwt-bearer"
        );
        let assertion = asked.field("assertion").unwrap();
        let (header, claims, _) = opened(&assertion);
        assert_eq!(header, r#"{"alg":"RS256","typ":"JWT"}"#);
        assert_eq!(claims["iss"], "robot@example.test");
        assert_eq!(
            (&claims["sub"], &claims["scope"]),
            (&json!("someone"), &json!("read"))
        );
        assert_eq!(tokens_seen(&party.asked())[0], "Bearer t0");
    }
}

#[tokio::test]
async fn a_token_refused_in_mid_read_is_replaced_once() {
    let party = Party::start(|asked, number| match asked.path() {
        "/token" => Reply::json(json!({"access_token": format!("t{number}"), "expires_in": 3600})),
        // The issuer has ended the token before its time.
        _ if asked.header("authorization") == Some("Bearer given") => Reply::status(401, "{}"),
        _ => Reply::json(r#"[{"id":1}]"#),
    })
    .await;
    let authenticator = "{ type: OAuthAuthenticator, token_refresh_endpoint: '{{ config.base }}/token', client_id: i, client_secret: s, refresh_token: r, access_token_value: given, token_expiry_date: '2099-01-01T00:00:00Z' }";
    check(&party, authenticator, json!({}), Mode::Worker)
        .await
        .unwrap();
    assert_eq!(party.asked_at("/token").len(), 1);
    let asked = party.asked();
    assert_eq!(
        tokens_seen(&asked),
        ["Bearer given", "Bearer t0", "Bearer t0"]
    );

    // One that was issued only now would be refused again, and is not replaced.
    let party = Party::start(|asked, number| match asked.path() {
        "/token" => Reply::json(json!({"access_token": format!("t{number}")})),
        _ => Reply::status(401, "{}"),
    })
    .await;
    let config = json!({"id": "i1", "secret": "s1", "refresh": "r1"});
    let error = check(&party, REFRESH, config, Mode::Worker)
        .await
        .unwrap_err();
    assert!(matches!(error, FetchError::Unauthorized(_)), "{error}");
    assert_eq!(party.asked_at("/token").len(), 1);
}

#[tokio::test]
async fn a_dead_grant_is_told_in_words_and_not_tried_again_at_once() {
    let party = Party::start(|asked, _| match asked.path() {
        "/token" => Reply::status(400, json!({"error": "invalid_grant"})),
        _ => Reply::json("[]"),
    })
    .await;
    let config = json!({"id": "i1", "secret": "s1", "refresh": "r1"});
    let source = source(&party, REFRESH, config, Mode::Worker);
    for _ in 0..2 {
        let error = source.check().await.unwrap_err().to_string();
        assert!(error.contains("credentials refused"), "{error}");
        assert!(error.contains("authorise again"), "{error}");
    }
    assert_eq!(party.asked_at("/token").len(), 1);
    assert!(
        party.asked_at("/one").is_empty(),
        "no request without a token"
    );
}

#[tokio::test]
async fn a_token_never_goes_to_another_host() {
    let elsewhere = issuer().await;
    let next = format!("{}/two", elsewhere.url);
    let party = Party::start(move |asked, _| match asked.path() {
        "/token" => Reply::json(json!({"access_token": "t0"})),
        _ => Reply::json(json!({"items": [{"id": 1}], "next": next})),
    })
    .await;
    let manifest = format!(
        "type: DeclarativeSource
streams:
  - type: DeclarativeStream
    name: one
    retriever:
      type: SimpleRetriever
      requester: {{ type: HttpRequester, url: '{{{{ config.base }}}}/one', authenticator: {REFRESH} }}
      record_selector: {{ type: RecordSelector, extractor: {{ type: DpathExtractor, field_path: [items] }} }}
      paginator:
        type: DefaultPaginator
        page_token_option: {{ type: RequestPath }}
        pagination_strategy: {{ type: CursorPagination, cursor_value: '{{{{ response.next }}}}' }}
"
    );
    let manifest = Manifest::read("things.yaml", &manifest, "things").unwrap();
    let config = json!({"base": party.url, "id": "i", "secret": "s", "refresh": "r"});
    let config = ConnectorConfig {
        provider: parse_json("c", &config.to_string()).unwrap(),
        ..defaults()
    };
    let client = Client::new(ClientConfig::default()).unwrap();
    let manifest = Arc::new(manifest);
    let source = ManifestSource::build(manifest, &config, client, Clock::System, Mode::Worker);
    let (events, mut incoming) = connector_worker::source::Events::channel(8);
    let state = connector_worker::source::ReadState::default();
    let reading = async {
        source.read(&state, &events).await.unwrap();
        drop(events);
    };
    let draining = async { while incoming.recv().await.is_some() {} };
    tokio::join!(reading, draining);
    assert_eq!(tokens_seen(&party.asked_at("/one")), ["Bearer t0"]);
    let asked = elsewhere.asked();
    assert!(
        !asked.is_empty() && tokens_seen(&asked).is_empty(),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_missing_scope_is_told_from_a_wrong_token() {
    let authenticator = "{ type: BearerAuthenticator, api_token: t }";
    let start = |status: u16, challenge: &'static str, body: &'static str| {
        Party::start(move |_, _| Reply::status(status, body).header("www-authenticate", challenge))
    };
    let party = start(
        403,
        r#"Bearer error="insufficient_scope", scope="read_api""#,
        "{}",
    )
    .await;
    let error = refusal(&party, authenticator, json!({}), Mode::Worker).await;
    assert!(matches!(error, FetchError::Forbidden(_)), "{error}");
    assert!(
        error.to_string().contains("the scope read_api is needed"),
        "{error}"
    );

    let body = r#"{"error":{".tag":"missing_scope","required_scope":"files.metadata.read"}}"#;
    let party = start(401, "Bearer", body).await;
    let error = refusal(&party, authenticator, json!({}), Mode::Worker).await;
    assert!(matches!(error, FetchError::Forbidden(_)), "{error}");
    assert!(error.to_string().contains("files.metadata.read"), "{error}");

    let party = start(401, "Bearer", r#"{"error":"invalid_token"}"#).await;
    let error = refusal(&party, authenticator, json!({}), Mode::Worker).await;
    assert!(matches!(error, FetchError::Unauthorized(_)), "{error}");
}

/// A source with one stream, whose way to authenticate the configuration chooses.
fn choosing(party: &Party, methods: &str, config: Value) -> ManifestSource {
    let manifest = format!(
        "type: DeclarativeSource
metadata: {{ connector: {{ auth: {{ select: way, methods: {methods} }} }} }}
streams:
  - type: DeclarativeStream
    name: one
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url: '{{{{ config.base }}}}/one'
        authenticator:
          type: SelectiveAuthenticator
          authenticator_selection_path: [way]
          authenticators:
            token: {{ type: BearerAuthenticator, api_token: '{{{{ config.token }}}}' }}
      record_selector: {{ type: RecordSelector, extractor: {{ type: DpathExtractor, field_path: [] }} }}
"
    );
    let manifest = Manifest::read("things.yaml", &manifest, "things").unwrap();
    let mut config = config;
    config["base"] = json!(party.url);
    let config = ConnectorConfig {
        provider: parse_json("c", &config.to_string()).unwrap(),
        ..defaults()
    };
    let client = Client::new(ClientConfig::default()).unwrap();
    let manifest = Arc::new(manifest);
    ManifestSource::build(manifest, &config, client, Clock::System, Mode::Worker)
}

#[tokio::test]
async fn a_github_app_buys_a_token_of_its_installation() {
    let party = Party::start(|asked, _| match asked.path() {
        "/orgs/acme/installation" => Reply::json(json!({"id": 42})),
        "/app/installations/42/access_tokens" => Reply::status(
            201,
            json!({"token": "ghs_1", "expires_at": "2099-01-01T00:00:00Z"}),
        ),
        _ => Reply::json(r#"[{"id":1}]"#),
    })
    .await;
    let methods = "{ token: { fields: [token] }, app: { fields: [app_id, private_key], authenticator: { type: GithubAppAuthenticator, url_base: '{{ config.base }}', app_id: '{{ config.app_id }}', private_key: '{{ config.private_key }}', account: acme } } }";
    let key = include_str!("../fixtures/keys/rsa-pkcs1.pem");
    let config = json!({"app_id": 7, "private_key": key});
    choosing(&party, methods, config).check().await.unwrap();
    let asked = party.asked();
    let found = &party.asked_at("/orgs/acme/installation")[0];
    let (header, claims, _) = opened(found.header("authorization").unwrap());
    assert_eq!(header, r#"{"alg":"RS256","typ":"JWT"}"#);
    assert_eq!(claims["iss"], "7");
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert!((300..=600).contains(&life), "{life}");
    assert_eq!(tokens_seen(&asked).last(), Some(&"Bearer ghs_1"));

    let party = Party::start(|_, _| Reply::json(r#"[{"id":1}]"#)).await;
    let config = json!({"token": "t1"});
    choosing(&party, methods, config).check().await.unwrap();
    assert_eq!(tokens_seen(&party.asked()), ["Bearer t1"]);
}

#[tokio::test]
async fn google_credentials_come_from_a_key_or_from_the_machine() {
    let issuer = issuer().await;
    let key = include_str!("../fixtures/keys/rsa-pkcs8.pem");
    let file = json!({
        "type": "service_account", "client_email": "robot@example.test", "private_key": key,
        "private_key_id": "k1", "token_uri": format!("{}/token", issuer.url),
    });
    let methods = "{ key: { fields: [key], optional: [subject], authenticator: { type: GoogleServiceAccountAuthenticator, key: '{{ config.key }}', subject: '{{ config.subject }}', scopes: [a, b] } }, machine: { fields: [], authenticator: { type: GoogleDefaultAuthenticator, scopes: [a] } } }";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.json");
    std::fs::write(&path, file.to_string()).unwrap();
    for given in [file.clone(), json!(file.to_string()), json!(path)] {
        let party = Party::start(|_, _| Reply::json(r#"[{"id":1}]"#)).await;
        let config = json!({"key": given, "subject": "someone@example.test"});
        choosing(&party, methods, config).check().await.unwrap();
        let sent = issuer.asked_at("/token");
        let assertion = sent.last().unwrap().field("assertion").unwrap();
        let (header, claims, _) = opened(&assertion);
        assert!(header.contains("\"kid\":\"k1\""), "{header}");
        assert_eq!(claims["sub"], "someone@example.test");
        assert_eq!(claims["scope"], "a b");
        assert!(tokens_seen(&party.asked())[0].starts_with("Bearer t"));
    }

    let machine = Party::start(|asked, _| match asked.header("metadata-flavor") {
        Some("Google") => Reply::json(json!({"access_token": "m1", "expires_in": 3000}))
            .header("metadata-flavor", "Google"),
        _ => Reply::status(403, "{}"),
    })
    .await;
    let host = machine.url.trim_start_matches("http://").to_owned();
    let surroundings = |metadata_host, key_file| GoogleSurroundings {
        metadata_host,
        key_file,
        ..GoogleSurroundings::default()
    };
    for (surroundings, token) in [
        (surroundings(Some(host), None), "Bearer m1"),
        (surroundings(None, Some(path)), "Bearer t"),
    ] {
        let party = Party::start(|_, _| Reply::json(r#"[{"id":1}]"#)).await;
        let store = Arc::new(MemoryStore::new());
        let credentials = Credentials::of_process(store, surroundings);
        choosing(&party, methods, json!({}))
            .with_credentials(credentials)
            .check()
            .await
            .unwrap();
        let asked = party.asked();
        assert!(tokens_seen(&asked)[0].starts_with(token), "{asked:?}");
    }
}
