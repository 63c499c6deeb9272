//! Published vectors of the schemes that any manifest may use.

use bytes::Bytes;
use connector_worker::source::manifest::catalog::Manifest;
use connector_worker::webhook::{Delivery, Refusal, Scheme, Verifier, Webhooks, sign};
use http::{HeaderMap, HeaderName, Method};
use jiff::Timestamp;

const HEAD: &str = "type: DeclarativeSource
streams:
- type: DeclarativeStream
  name: things
  retriever: { type: SimpleRetriever }
metadata:
  connector:
    webhooks:
";

/// What a manifest with this `signature` says.
fn manifest(signature: &str) -> Webhooks {
    let text = format!("{HEAD}      signature: {signature}\n");
    let manifest = Manifest::read("m.yaml", &text, "m").unwrap();
    (*manifest.metadata.webhooks.unwrap()).clone()
}

fn verify(
    webhooks: &Webhooks,
    secret: &str,
    headers: &[(&str, &str)],
    body: &str,
    now: i64,
) -> Result<(), Refusal> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    let now = Timestamp::from_second(now).unwrap();
    let body = Bytes::copy_from_slice(body.as_bytes());
    let delivery = Delivery::new(Method::POST, ("/webhooks/c", None), map, body, now);
    Verifier::new(webhooks, &[secret.into()])
        .verify(delivery, now)
        .map(drop)
}

#[test]
fn github_and_jira_publish_vectors() {
    let github = manifest("{ type: hmac, header: X-Hub-Signature-256, prefix: 'sha256=' }");
    let signed = |value: &str| {
        let headers = [("X-Hub-Signature-256", value)];
        verify(
            &github,
            "It's a Secret to Everybody",
            &headers,
            "Hello, World!",
            0,
        )
    };
    let right = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(signed(&format!("sha256={right}")), Ok(()));
    assert_eq!(signed(&format!("sha1={right}")), Err(Refusal::Malformed));
    assert_eq!(signed(right), Err(Refusal::Malformed));
    assert_eq!(
        signed(&format!("sha256={}", &right[2..])),
        Err(Refusal::Mismatch)
    );
    assert_eq!(
        signed(&format!("sha256={}", right.to_uppercase())),
        Err(Refusal::Malformed)
    );
    assert_eq!(signed(""), Err(Refusal::Malformed));
}

#[test]
fn stripe_rolls_secrets_and_has_a_time() {
    let stripe = manifest("stripe");
    let body = include_str!("../../fixtures/webhooks/stripe.body");
    let right = "v1=f0bdba6d4eacbd8ad8a3bbadd7248e633ec1477f7899c124c51b39405fa36613";
    let signed = |value: &str, now| {
        verify(
            &stripe,
            "webhook_secret",
            &[("Stripe-Signature", value)],
            body,
            now,
        )
    };
    let at = 1_533_204_620;
    assert_eq!(signed(&format!("t={at},{right},v0=63f3"), at), Ok(()));
    assert_eq!(signed(&format!("t={at},v1=00,{right}"), at + 300), Ok(()));
    assert_eq!(
        signed(&format!("t={at},{right}"), at + 301),
        Err(Refusal::Stale { age_seconds: 301 })
    );
    assert_eq!(
        signed(&format!("t={at},{right}"), at - 301),
        Err(Refusal::Stale { age_seconds: -301 })
    );
    assert_eq!(
        signed(&format!("t={},{right}", at + 1), at),
        Err(Refusal::Mismatch)
    );
    assert_eq!(signed(right, at), Err(Refusal::Malformed));
    assert_eq!(
        signed(&format!("t={at},{}", right.replace("v1", "v0")), at),
        Err(Refusal::Malformed)
    );
}

#[test]
fn standard_webhooks_hold_several_signatures() {
    let standard = manifest("[standard_webhooks, svix]");
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let body = r#"{"test": 2432232314}"#;
    let right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let wrong = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=";
    let at = 1_614_265_330;
    let headers = |prefix: &str, signature: &str| {
        [
            (
                format!("{prefix}-id"),
                "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
            ),
            (format!("{prefix}-timestamp"), at.to_string()),
            (format!("{prefix}-signature"), signature.to_owned()),
        ]
    };
    let signed = |prefix: &str, signature: &str, secret: &str| {
        let headers = headers(prefix, signature);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
        verify(&standard, secret, &headers, body, at)
    };
    assert_eq!(signed("webhook", right, secret), Ok(()));
    assert_eq!(signed("svix", right, secret), Ok(()));
    assert_eq!(
        signed("webhook", &format!("{wrong} v2,x {right}"), secret),
        Ok(())
    );
    assert_eq!(signed("webhook", right, &secret["whsec_".len()..]), Ok(()));
    assert_eq!(signed("webhook", wrong, secret), Err(Refusal::Mismatch));
    assert_eq!(
        signed("webhook", &right.replace("v1,", "v1a,"), secret),
        Err(Refusal::Malformed)
    );
    assert_eq!(
        signed("webhook", &right.replace("v1,", "v1a,"), "whpk_AAAA"),
        Err(Refusal::NoSecret)
    );
    assert_eq!(
        signed("webhook", right, "whsec_%%%"),
        Err(Refusal::NoSecret)
    );
}

#[test]
fn parts_of_headers_may_be_signed() {
    let slack = manifest(
        "{ type: hmac, header: X-Slack-Signature, prefix: v0=, content: 'v0:{timestamp}:{body}', \
         timestamp: { from: 'header:X-Slack-Request-Timestamp' } }",
    );
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let at = 1_531_420_618;
    let time = at.to_string();
    let headers = [
        ("X-Slack-Request-Timestamp", &*time),
        (
            "X-Slack-Signature",
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        ),
    ];
    let secret = "8f742231b10e8888abcd99yyyzzz85a5";
    assert_eq!(verify(&slack, secret, &headers, body, at), Ok(()));
    assert_eq!(
        verify(&slack, secret, &headers, body, at + 301),
        Err(Refusal::Stale { age_seconds: 301 })
    );
    assert_eq!(
        verify(&slack, secret, &headers[1..], body, at),
        Err(Refusal::Malformed)
    );
}

#[test]
fn a_list_of_tokens_must_hold_the_secret_everywhere() {
    let graph = manifest("{ type: token, each: /value, from: /clientState }");
    let check = |body: &str| verify(&graph, "secret", &[], body, 0);
    assert_eq!(
        check(r#"{"value":[{"clientState":"secret"},{"clientState":"secret"}]}"#),
        Ok(())
    );
    assert_eq!(
        check(r#"{"value":[{"clientState":"secret"},{"clientState":"other"}]}"#),
        Err(Refusal::Mismatch)
    );
    assert_eq!(
        check(r#"{"value":[{"clientState":"secret"},{}]}"#),
        Err(Refusal::Missing)
    );
    assert_eq!(check(r#"{"value":[]}"#), Err(Refusal::Missing));
    assert_eq!(check("no json"), Err(Refusal::Malformed));
}

#[test]
fn a_public_key_proves_who_signed() {
    // A key pair of RFC 8032.
    let (private, public) = (
        "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=",
        "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    );
    let webhooks = manifest("standard_webhooks");
    let now = Timestamp::from_second(1_750_000_000).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", "m".parse().unwrap());
    let body = Bytes::from_static(b"{\"a\":1}");
    let mut delivery = Delivery::new(Method::POST, ("/", None), headers, body, now);
    let signed = sign(&webhooks.schemes[1], &private.into(), &delivery, now).unwrap();
    delivery.headers = signed.headers;
    let value = delivery.headers["webhook-signature"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(value.starts_with("v1a,"), "{value}");
    let verifier = Verifier::new(&webhooks, &[public.into()]);
    assert_eq!(verifier.look(&delivery, now), Ok(()));
    for bit in 0..delivery.body.len() * 8 {
        let mut changed = delivery.clone();
        let mut body = changed.body.to_vec();
        body[bit / 8] ^= 1 << (bit % 8);
        changed.body = body.into();
        assert_eq!(verifier.look(&changed, now), Err(Refusal::Mismatch));
    }
    for bit in 0..value.len() * 8 {
        let mut text = value.clone().into_bytes();
        text[bit / 8] ^= 1 << (bit % 8);
        let Ok(text) = http::HeaderValue::from_bytes(&text) else {
            continue;
        };
        let mut changed = delivery.clone();
        changed.headers.insert("webhook-signature", text);
        assert!(verifier.look(&changed, now).is_err(), "bit {bit}");
    }
    // The private half is no public one, and the public one is nobody's secret.
    assert!(!Verifier::new(&webhooks, &[private.into()]).has_secret());
    let shared = manifest("{ type: hmac, header: X-S }");
    assert!(!Verifier::new(&shared, &[public.into()]).has_secret());
    assert!(sign(&webhooks.schemes[1], &public.into(), &delivery, now).is_err());
}

#[test]
fn a_signature_that_is_there_has_to_fit() {
    let both = manifest("[standard_webhooks, { type: token, from: 'header:X-Token' }]");
    let (token, signing) = (
        "plain",
        "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    );
    let at = 1_750_000_000;
    let check = |secrets: &[&str], headers: &[(&str, &str)]| {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let now = Timestamp::from_second(at).unwrap();
        let delivery = Delivery::new(Method::POST, ("/", None), map, Bytes::new(), now);
        let secrets: Vec<_> = secrets.iter().map(|secret| (*secret).into()).collect();
        Verifier::new(&both, &secrets).look(&delivery, now)
    };
    let time = at.to_string();
    let wrong = [
        ("webhook-id", "m"),
        ("webhook-timestamp", &*time),
        (
            "webhook-signature",
            "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=",
        ),
        ("x-token", token),
    ];
    assert_eq!(check(&[token, signing], &wrong[3..]), Ok(()));
    assert_eq!(check(&[token, signing], &wrong), Err(Refusal::Mismatch));
    // Who has no signing secret was told of none.
    assert_eq!(check(&[token], &wrong), Ok(()));
}

#[test]
fn whatever_is_signed_here_is_trusted_here() {
    for signature in [
        "stripe",
        "standard_webhooks",
        "svix",
        "{ type: hmac, header: X-S, algorithm: sha512, encoding: base64 }",
        "{ type: hmac, header: X-S, timestamp: { from: /at, unit: milliseconds, tolerance_seconds: 60 } }",
        "{ type: token, from: 'query:token' }",
        "{ type: token, from: 'header:X-Token' }",
        "{ type: jwt, from: 'header:Authorization', prefix: 'JWT ', query_hash: true }",
    ] {
        let webhooks = manifest(signature);
        let secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".into();
        let now = Timestamp::from_second(1_750_000_000).unwrap();
        let mut headers = HeaderMap::new();
        for name in ["webhook-id", "svix-id"] {
            headers.insert(name, "x".parse().unwrap());
        }
        let body = Bytes::from_static(br#"{"at": 1, "x": "\u00e9"}"#);
        let target = ("/webhooks/c", Some("b=2&a=1%202"));
        let mut delivery = Delivery::new(Method::POST, target, headers, body, now);
        let scheme: &Scheme = &webhooks.schemes[0];
        let signed = sign(scheme, &secret, &delivery, now).unwrap();
        delivery.headers = signed.headers;
        delivery.query = signed.query;
        delivery.body = signed.body;
        let verifier = Verifier::new(&webhooks, std::slice::from_ref(&secret));
        verifier
            .verify(delivery.clone(), now)
            .unwrap_or_else(|refusal| panic!("{signature}: {refusal:?}"));
        let another = Verifier::new(&webhooks, &["whsec_AAAA".into()]);
        assert!(
            another.verify(delivery.clone(), now).is_err(),
            "{signature}"
        );
        delivery.path = "/webhooks/d".to_owned();
        let is_for_this_path = signature.contains("query_hash");
        assert_eq!(
            verifier.verify(delivery, now).is_err(),
            is_for_this_path,
            "{signature}"
        );
    }
}

#[test]
fn every_problem_names_its_place_and_fix() {
    let text = format!(
        "{HEAD}      signatur: stripe
      signature:
        - strip
        - {{ type: hmca, header: X }}
        - {{ type: hmac, header: X, algorithm: sha1, content: '{{boddy}}' }}
        - {{ type: hmac, content: '{{timestamp}}' }}
      id: X-Id
      event: [/a, 1]
      handshake: {{ signed: false, answer: /challenge }}
      details: {{ thing: /x }}
      routes:
        a: {{ stream: thing }}
        b: {{ record: /x }}
        c: {{ stream: things, refetch: true }}
        d: ignor
        e: {{}}
"
    );
    let problems = Manifest::read("m.yaml", &text, "m").unwrap_err();
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}
