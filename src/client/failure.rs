//! The HTTP library's errors in words a user understands.
//!
//! The library nests errors five deep and prints the address with its query; here the kind
//! decides what happens next, and the text names the host and nothing secret.

use std::error::Error;
use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, InvalidMessage};
use url::Url;

use super::address::Refused;
use super::tls;
use super::{TransportError, TransportKind};

/// Host, with port where it is not the scheme's own: how errors and logs name a server.
pub(super) fn server(url: &Url) -> String {
    let host = url.host_str().unwrap_or("(no host)");
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Why no answer began. `server` is the host as [`server`] names it; `proxy` is asked instead of it.
pub(super) fn before_answer(
    error: &reqwest::Error,
    server: &str,
    proxy: Option<&str>,
) -> TransportError {
    let causes = causes(error);
    if let Some(refused) = find::<Refused>(&causes) {
        return fail(TransportKind::Refused, refused.to_string());
    }
    if let Some(error) = find::<rustls::Error>(&causes) {
        return fail(TransportKind::Tls, handshake(error, server));
    }
    if let Some(proxy) = proxy.filter(|_| error.is_connect()) {
        return at_proxy(server, proxy, &why_no_connection(error, &causes));
    }
    if error.is_timeout() {
        // The library is told of no other limit than that on connecting.
        return fail(
            TransportKind::Connect,
            format!("cannot connect to {server} in time"),
        );
    }
    let detail = causes.last().map_or_else(String::new, ToString::to_string);
    if error.is_dns() {
        return fail(
            TransportKind::Dns,
            format!("cannot find the host {server}: {}", name_lookup(&detail)),
        );
    }
    let kind = find::<io::Error>(&causes).map(io::Error::kind);
    let message = match kind {
        Some(io::ErrorKind::ConnectionRefused) => format!("{server} refuses the connection"),
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
            format!("{server} reset the connection")
        }
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
            format!("no route to {server}")
        }
        Some(io::ErrorKind::UnexpectedEof) => {
            format!("{server} closed the connection without an answer")
        }
        _ if detail.contains("invalid HTTP version") => {
            format!("{server} does not speak HTTP; is the port right?")
        }
        _ if detail.contains("closed before message completed") => {
            format!("{server} closed the connection without an answer")
        }
        _ => format!("cannot get an answer from {server}: {detail}"),
    };
    let kind = if error.is_connect() {
        TransportKind::Connect
    } else {
        TransportKind::Lost
    };
    fail(kind, message)
}

/// A proxy does not lead to `server`.
pub(super) fn at_proxy(server: &str, proxy: &str, why: &str) -> TransportError {
    fail(
        TransportKind::Connect,
        format!("cannot reach {server} through the proxy {proxy}: {why}"),
    )
}

/// What a proxy wants that answers 407.
pub(super) const WANTS_PASSWORD: &str = "the proxy asks for a user name and a password; put them \
                                         into its address, http://USER:PASSWORD@HOST:PORT";

fn why_no_connection(error: &reqwest::Error, causes: &[&(dyn Error + 'static)]) -> String {
    let detail = causes.last().map_or_else(String::new, ToString::to_string);
    let kind = find::<io::Error>(causes).map(io::Error::kind);
    match kind {
        _ if detail.contains("proxy authorization required") => WANTS_PASSWORD.to_owned(),
        _ if detail.contains("tunnel error") => "the proxy refuses to connect to it".to_owned(),
        _ if error.is_dns() => format!("the proxy is not found: {}", name_lookup(&detail)),
        _ if error.is_timeout() => "no connection in time".to_owned(),
        Some(io::ErrorKind::ConnectionRefused) => "the proxy refuses the connection".to_owned(),
        _ => detail,
    }
}

/// Why an answer that began did not end.
pub(super) fn within_answer(error: &reqwest::Error, server: &str) -> TransportError {
    let causes = causes(error);
    let detail = causes.last().map_or_else(String::new, ToString::to_string);
    fail(
        TransportKind::Truncated,
        format!("the answer of {server} is cut short or damaged: {detail}"),
    )
}

/// Nothing, or not all, arrived within `limit`.
pub(super) fn timeout(server: &str, limit: Duration, what: &str) -> TransportError {
    fail(
        TransportKind::Timeout,
        format!("{server} {what} within {} ms", limit.as_millis()),
    )
}

pub(super) fn fail(kind: TransportKind, message: String) -> TransportError {
    TransportError { kind, message }
}

fn handshake(error: &rustls::Error, server: &str) -> String {
    use CertificateError as Cert;
    let reason = match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            Cert::Expired | Cert::ExpiredContext { .. } => "its certificate has expired".to_owned(),
            Cert::NotValidYet | Cert::NotValidYetContext { .. } => {
                "its certificate is not valid yet; is this machine's clock right?".to_owned()
            }
            Cert::NotValidForName | Cert::NotValidForNameContext { .. } => {
                "its certificate is for another name".to_owned()
            }
            Cert::UnknownIssuer => tls::shared().problem.clone().unwrap_or_else(|| {
                "its certificate is signed by an unknown authority; name the authority's \
                 certificate in SSL_CERT_FILE"
                    .to_owned()
            }),
            other => other.to_string(),
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "it does not speak TLS; is the address plain http://?".to_owned()
        }
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            format!("it offers nothing that is safe, TLS 1.2 being the least ({error})")
        }
        other => other.to_string(),
    };
    format!("no secure connection to {server}: {reason}")
}

/// The resolver's text without the prefix that every such error has.
fn name_lookup(detail: &str) -> &str {
    detail
        .strip_prefix("failed to lookup address information: ")
        .unwrap_or(detail)
}

/// The error and everything below it, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut all = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        all.push(error);
        // `io::Error::source` skips the error it wraps, which is the one that tells.
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    all
}

fn find<'a, E: Error + 'static>(causes: &[&'a (dyn Error + 'static)]) -> Option<&'a E> {
    causes.iter().find_map(|error| error.downcast_ref())
}
