//! The value of `--http-addr`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

/// Port of the default address.
pub const DEFAULT_PORT: u16 = 9090;

/// Where the operations listener shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpAddress {
    /// Not said: loopback at [`DEFAULT_PORT`], and no harm when that is taken.
    #[default]
    Default,
    /// Said: there, or not at all.
    Explicit(SocketAddr),
    /// `none`: no listener.
    None,
}

/// The text is no address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected an address with port such as 127.0.0.1:9090 or 0.0.0.0:9090, or `none`")]
pub struct InvalidAddress;

impl FromStr for HttpAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self::None);
        }
        let (host, port) = text.rsplit_once(':').ok_or(InvalidAddress)?;
        let port: u16 = port.parse().map_err(|_| InvalidAddress)?;
        let ip: IpAddr = match host {
            "localhost" => Ipv4Addr::LOCALHOST.into(),
            _ => host
                .strip_prefix('[')
                .and_then(|inner| inner.strip_suffix(']'))
                .unwrap_or(host)
                .parse()
                .map_err(|_| InvalidAddress)?,
        };
        Ok(Self::Explicit(SocketAddr::new(ip, port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_operators_write_them() {
        for (text, expected) in [
            ("127.0.0.1:9090", "127.0.0.1:9090"),
            (" 0.0.0.0:0 ", "0.0.0.0:0"),
            ("[::1]:80", "[::1]:80"),
            ("localhost:9191", "127.0.0.1:9191"),
        ] {
            let expected = HttpAddress::Explicit(expected.parse().unwrap());
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        assert_eq!("None".parse(), Ok(HttpAddress::None));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "9090",
            ":9090",
            "example.org:80",
            "127.0.0.1:99999",
            "127.0.0.1",
        ] {
            assert_eq!(text.parse::<HttpAddress>(), Err(InvalidAddress), "{text}");
        }
    }
}
