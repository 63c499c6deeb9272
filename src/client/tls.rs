//! TLS as all clients of the process share it: one crypto provider, one reading of the machine's
//! CA certificates.

use std::sync::{Arc, LazyLock};

use rustls::RootCertStore;
use rustls::client::ClientConfig;
use rustls::crypto::aws_lc_rs;

/// Makes aws-lc-rs the process's crypto provider. Called first thing in `main`; once is enough
/// and more do no harm.
pub fn install_crypto_provider() {
    // An error says that one is installed already, which is all that is wanted.
    let _ = aws_lc_rs::default_provider().install_default();
}

/// TLS 1.2 and 1.3, and why certificates cannot be checked if they cannot.
pub(super) struct Tls {
    pub(super) config: ClientConfig,
    /// Set when no CA certificate was found. Plain http works all the same, so this is no error
    /// before a handshake fails.
    pub(super) problem: Option<String>,
}

/// Reading the certificates takes milliseconds, so it happens once, with the first client.
///
/// They come from `SSL_CERT_FILE` and `SSL_CERT_DIR` where set, else from where the distribution
/// keeps them.
pub(super) fn shared() -> &'static Tls {
    static SHARED: LazyLock<Tls> = LazyLock::new(load);
    &SHARED
}

fn load() -> Tls {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(added, ignored, "loaded CA certificates");
    let problem = (added == 0).then(|| {
        let cause = found.errors.first().map_or_else(
            || "no CA certificates on this machine".to_owned(),
            |error| format!("no CA certificates: {error}"),
        );
        format!("{cause}; install ca-certificates or set SSL_CERT_FILE")
    });
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Tls { config, problem }
}
