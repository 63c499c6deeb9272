//! The address of a store: `redis://…`, `rediss://…`, `redis+sentinel://…`, `sqlite:PATH`, `memory:`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// Where the store is.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreAddress {
    /// In this process; gone with it.
    Memory,
    /// A file on this machine.
    Sqlite(PathBuf),
    /// A Redis server, with credentials if it needs them.
    Redis(url::Url),
    /// A Redis server that Sentinel names.
    Sentinel(SentinelAddress),
}

/// `redis+sentinel://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…]/SERVICE[/DATABASE]`; with
/// `rediss+sentinel` everything speaks TLS.
///
/// User name, password and database are those of the server; the sentinels are asked without.
#[derive(Clone, PartialEq, Eq)]
pub struct SentinelAddress {
    /// Who knows where the server is; any one that answers will do.
    pub sentinels: Vec<(String, u16)>,
    /// The name under which the sentinels watch the server.
    pub service: String,
    /// How to reach the server once it is known: scheme, credentials, database. Its host is a
    /// placeholder.
    pub server: url::Url,
}

/// Why a text is no store address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Unknown scheme.
    #[error(
        "unknown store scheme {0:?}; use redis://HOST:PORT, rediss://HOST:PORT, \
         redis+sentinel://HOST:PORT/SERVICE, sqlite:PATH or memory:"
    )]
    Scheme(String),
    /// A Redis Cluster.
    #[error(
        "Redis Cluster is not supported: one commit writes keys that would fall into different \
         slots; use a single server or redis+sentinel://"
    )]
    Cluster,
    /// What stands before or after the hosts of a Sentinel address.
    #[error(
        "cannot read the Sentinel address: write \
         redis+sentinel://[USER:PASSWORD@]HOST:PORT[,HOST:PORT]/SERVICE[/DATABASE]"
    )]
    Sentinel,
    /// `?…` or `#…`.
    #[error(
        "a Redis address has nothing after its database; in a password ? is written %3F and # is \
         %23, and certificates are always checked: name a private authority's in SSL_CERT_FILE"
    )]
    Trailing,
    /// Not an address at all.
    #[error("cannot read the store address: {0}")]
    Syntax(url::ParseError),
    /// `sqlite:` without a path.
    #[error("sqlite: needs a path, as in sqlite:./store.db")]
    NoPath,
}

impl FromStr for StoreAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text == "memory:" || text == "memory://" {
            return Ok(Self::Memory);
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(AddressError::NoPath)
            } else {
                Ok(Self::Sqlite(path.into()))
            };
        }
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        match scheme {
            "redis+sentinel" | "redis-sentinel" => sentinel("redis", text).map(Self::Sentinel),
            "rediss+sentinel" | "rediss-sentinel" => sentinel("rediss", text).map(Self::Sentinel),
            "redis+cluster" | "rediss+cluster" | "redis-cluster" | "rediss-cluster" => {
                Err(AddressError::Cluster)
            }
            "redis" | "rediss" => direct(text).map(Self::Redis),
            _ => {
                let url = url::Url::parse(text).map_err(AddressError::Syntax)?;
                Err(AddressError::Scheme(url.scheme().to_owned()))
            }
        }
    }
}

/// The address of one server.
fn direct(text: &str) -> Result<url::Url, AddressError> {
    // Looked for in the text: in a password both would make the parser see another host.
    if text.contains(['?', '#']) {
        return Err(AddressError::Trailing);
    }
    url::Url::parse(text).map_err(AddressError::Syntax)
}

/// Reads what a URL parser refuses: several hosts.
fn sentinel(scheme: &str, text: &str) -> Result<SentinelAddress, AddressError> {
    const PORT: u16 = 26379;
    let rest = text
        .split_once("://")
        .map(|(_, rest)| rest)
        .ok_or(AddressError::Sentinel)?;
    let (login, rest) = rest
        .rsplit_once('@')
        .map_or((None, rest), |(login, rest)| (Some(login), rest));
    let (hosts, path) = rest.split_once('/').ok_or(AddressError::Sentinel)?;
    let (service, database) = path.split_once('/').unwrap_or((path, ""));
    let is_plain = |text: &str| !text.is_empty() && !text.contains(['?', '#', '/']);
    if !is_plain(service) || !(database.is_empty() || is_plain(database)) {
        return Err(AddressError::Sentinel);
    }
    let mut sentinels = Vec::new();
    for host in hosts.split(',') {
        // A URL knows what a host may look like, IPv6 included.
        let url = url::Url::parse(&format!("redis://{host}")).map_err(AddressError::Syntax)?;
        let name = url.host_str().ok_or(AddressError::Sentinel)?;
        let name = name.trim_start_matches('[').trim_end_matches(']');
        sentinels.push((name.to_owned(), url.port().unwrap_or(PORT)));
    }
    let login = login.map_or(String::new(), |login| format!("{login}@"));
    let server = direct(&format!("{scheme}://{login}sentinel/{database}"))?;
    Ok(SentinelAddress {
        sentinels,
        service: service.to_owned(),
        server,
    })
}

impl fmt::Display for StoreAddress {
    /// Without user name and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Sentinel(address) => address.fmt(f),
            Self::Redis(url) => {
                write!(
                    f,
                    "{}://{}",
                    url.scheme(),
                    url.host_str().unwrap_or("localhost")
                )?;
                if let Some(port) = url.port() {
                    write!(f, ":{port}")?;
                }
                f.write_str(url.path())
            }
        }
    }
}

impl fmt::Debug for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreAddress({self})")
    }
}

impl fmt::Display for SentinelAddress {
    /// Without user name and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+sentinel://", self.server.scheme())?;
        for (number, (host, port)) in self.sentinels.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            if host.contains(':') {
                write!(f, "{comma}[{host}]:{port}")?;
            } else {
                write!(f, "{comma}{host}:{port}")?;
            }
        }
        write!(f, "/{}", self.service)?;
        match self.server.path() {
            "/" => Ok(()),
            database => f.write_str(database),
        }
    }
}

impl fmt::Debug for SentinelAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_credentials() {
        for (text, shown) in [
            ("memory:", "memory:"),
            ("sqlite:./store.db", "sqlite:./store.db"),
            ("sqlite:///var/store.db", "sqlite:/var/store.db"),
            ("redis://localhost", "redis://localhost"),
            ("redis://u:canary@h:6379/3", "redis://h:6379/3"),
            ("rediss://:canary@[::1]:6380", "rediss://[::1]:6380"),
            (
                "redis+sentinel://u:canary@a:1,b,[::1]:3/main/2",
                "redis+sentinel://a:1,b:26379,[::1]:3/main/2",
            ),
            ("rediss+sentinel://a/main", "rediss+sentinel://a:26379/main"),
        ] {
            let address: StoreAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            let debug = format!("{address:?}");
            assert!(!debug.contains("canary"), "{debug}");
            let again: StoreAddress = shown.parse().unwrap();
            assert_eq!(again.to_string(), shown, "what is shown can be read");
        }
    }

    #[test]
    fn a_sentinel_address_keeps_login_and_database_for_the_server() {
        let StoreAddress::Sentinel(address) =
            "redis+sentinel://u:p%40w@a:1,b:2/main/3".parse().unwrap()
        else {
            panic!("a Sentinel address");
        };
        assert_eq!(
            address.sentinels,
            [("a".to_owned(), 1), ("b".to_owned(), 2)]
        );
        assert_eq!(address.service, "main");
        assert_eq!(address.server.as_str(), "redis://u:p%40w@sentinel/3");
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_secrets() {
        for (text, says) in [
            ("localhost:6379", "unknown store scheme \"localhost\""),
            ("canary", "cannot read"),
            ("mysql://u:canary@h", "unknown store scheme \"mysql\""),
            ("sqlite:", "needs a path"),
            ("redis://:can#ary@h", "%23"),
            ("rediss://h#insecure", "SSL_CERT_FILE"),
            ("redis://h?db=1", "nothing after"),
            ("redis+cluster://h:1", "Cluster is not supported"),
            ("redis+sentinel://h:1", "SERVICE"),
            ("redis+sentinel://:canary@h:1/", "SERVICE"),
            ("redis+sentinel://h:x/main", "port"),
            ("redis+sentinel://h/main?x=canary", "SERVICE"),
        ] {
            let error = text.parse::<StoreAddress>().unwrap_err();
            let message = format!("{error} {error:?}");
            assert!(message.contains(says), "{text}: {message}");
            assert!(!message.contains("canary"), "{message}");
        }
    }
}
