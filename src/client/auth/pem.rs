//! Private keys as people have them: PEM of several kinds, with line breaks written in several
//! ways, perhaps under a passphrase.

use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use thiserror::Error;

/// Why a key cannot be used. Never quotes it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not even the outer form is that of a key.
    #[error("the private key is not in PEM form (-----BEGIN PRIVATE KEY-----)")]
    NoPem,
    /// The key is encrypted, and there is no passphrase or it does not fit.
    #[error("the private key is encrypted: {0}")]
    Encrypted(&'static str),
    /// The key does not fit the algorithm.
    #[error("the private key is none for {algorithm}: {why}")]
    Unfit {
        /// `RS256`
        algorithm: &'static str,
        /// What the cryptographic library says.
        why: String,
    },
}

/// The key in `text`.
pub(super) fn read(
    text: &str,
    passphrase: Option<&str>,
) -> Result<PrivateKeyDer<'static>, KeyError> {
    let text = with_line_breaks(text);
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        return decrypt(&text, passphrase);
    }
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(KeyError::Encrypted(
            "in the old form of OpenSSL; convert it with openssl pkcs8 -topk8",
        ));
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| KeyError::NoPem)
}

/// Environment variables and JSON files write the line breaks of a key as `\n`.
fn with_line_breaks(text: &str) -> String {
    text.trim().replace("\\r", "").replace("\\n", "\n")
}

fn decrypt(text: &str, passphrase: Option<&str>) -> Result<PrivateKeyDer<'static>, KeyError> {
    let Some(passphrase) = passphrase.filter(|text| !text.is_empty()) else {
        return Err(KeyError::Encrypted("it needs a passphrase"));
    };
    let der = encrypted_section(text).ok_or(KeyError::NoPem)?;
    let sealed = EncryptedPrivateKeyInfoRef::try_from(der.as_slice())
        .map_err(|_| KeyError::Encrypted("in a form that is not known"))?;
    let key = sealed
        .decrypt(passphrase)
        .map_err(|_| KeyError::Encrypted("the passphrase does not fit"))?;
    Ok(PrivateKeyDer::Pkcs8(key.as_bytes().to_vec().into()))
}

/// rustls knows no encrypted keys, so the section's contents are decoded here.
fn encrypted_section(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let (_, rest) = text.split_once("-----BEGIN ENCRYPTED PRIVATE KEY-----")?;
    let (body, _) = rest.split_once("-----END ENCRYPTED PRIVATE KEY-----")?;
    let body: String = body.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(body).ok()
}
