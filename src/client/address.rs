//! Which addresses may be requested at all.
//!
//! Names are checked again after they are resolved, in [`GuardedResolver`], so that a name which
//! points at a forbidden address gains nothing. Behind a proxy the proxy resolves, and only names
//! and literal addresses can be checked here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use url::{Host, Url};

/// What a connector's configuration may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddressPolicy {
    /// Written by the operator: everything but metadata addresses.
    #[default]
    Trusted,
    /// Written by a tenant: public addresses only.
    Tenant,
}

/// An address that may not be requested.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{host} is {why}")]
pub(super) struct Refused {
    host: String,
    why: &'static str,
}

const METADATA: &str = "a link-local or cloud metadata address, which is never requested";
const NOT_PUBLIC: &str = "not a public address, and a tenant's connector may reach no other";

/// Names under which clouds serve metadata; all resolve to addresses of [`is_metadata`], but a
/// proxy would resolve them out of sight.
const METADATA_NAMES: [&str; 3] = [
    "metadata.google.internal",
    "metadata.goog",
    "instance-data.ec2.internal",
];

/// Whether no connector at all may request this address, as far as it alone tells.
pub fn is_never_requested(url: &Url) -> bool {
    check_url(url, AddressPolicy::Trusted).is_err()
}

/// Refuses what `policy` does not allow, as far as the URL alone tells.
pub(super) fn check_url(url: &Url, policy: AddressPolicy) -> Result<(), Refused> {
    let refuse = |why| {
        Err(Refused {
            host: url.host_str().unwrap_or_default().to_owned(),
            why,
        })
    };
    let reason = match url.host() {
        None => Some("no address at all"),
        Some(Host::Ipv4(ip)) => forbidden(ip.into(), policy),
        Some(Host::Ipv6(ip)) => forbidden(ip.into(), policy),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            if METADATA_NAMES.contains(&name.as_str()) {
                Some(METADATA)
            } else if policy == AddressPolicy::Tenant
                && (name == "localhost" || name.ends_with(".localhost"))
            {
                Some(NOT_PUBLIC)
            } else {
                None
            }
        }
    };
    reason.map_or(Ok(()), refuse)
}

/// Why `policy` does not allow `ip`, if it does not.
fn forbidden(ip: IpAddr, policy: AddressPolicy) -> Option<&'static str> {
    let ip = embedded_v4(ip);
    if is_metadata(ip) {
        Some(METADATA)
    } else if policy == AddressPolicy::Tenant && !is_public(ip) {
        Some(NOT_PUBLIC)
    } else {
        None
    }
}

/// The IPv4 address inside an IPv6 one that only wraps it: mapped, compatible, NAT64, 6to4.
fn embedded_v4(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let from = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            from(high, low)
        }
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => from(high, low),
        [0x2002, high, low, ..] => from(high, low),
        _ => ip,
    }
}

fn is_metadata(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local() || v4 == Ipv4Addr::new(100, 100, 100, 200),
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local()
                || v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
                || v6 == Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)
        }
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && b & 0xc0 == 64)
                || (a == 198 && b & 0xfe == 18)
                || (a == 192 && b == 0 && c == 0))
        }
        // 2000::/3 is all that is assigned for the Internet; within it 2001:db8::/32 is for
        // documentation.
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            first & 0xe000 == 0x2000 && (first, second) != (0x2001, 0xdb8)
        }
    }
}

/// The system's resolver without the addresses that may not be reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct GuardedResolver(pub(super) AddressPolicy);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0;
        Box::pin(async move {
            // The connector sets the port.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (mut allowed, mut reason) = (Vec::new(), None);
            for address in found {
                match forbidden(address.ip(), policy) {
                    None => allowed.push(address),
                    Some(why) => reason = Some(why),
                }
            }
            match reason {
                Some(why) if allowed.is_empty() => Err(Refused {
                    host: name.as_str().to_owned(),
                    why,
                }
                .into()),
                _ => Ok(
                    Box::new(allowed.into_iter().collect::<Vec<SocketAddr>>().into_iter()) as Addrs,
                ),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(url: &str, policy: AddressPolicy) -> bool {
        check_url(&Url::parse(url).unwrap(), policy).is_ok()
    }

    #[test]
    fn metadata_addresses_are_refused_however_they_are_spelled() {
        for url in [
            "http://169.254.169.254/latest/meta-data/",
            "http://169.254.170.2/v2/credentials",
            "http://0xa9fea9fe/",
            "http://2852039166/",
            "http://0251.0376.0251.0376/",
            "http://[::ffff:169.254.169.254]/",
            "http://[::169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[2002:a9fe:a9fe::1]/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
            "http://[fd20:ce::254]/",
            "http://100.100.100.200/",
            "http://metadata.google.internal/computeMetadata/v1/",
            "http://METADATA.google.internal./",
        ] {
            assert!(!allowed(url, AddressPolicy::Trusted), "{url}");
            assert!(!allowed(url, AddressPolicy::Tenant), "{url}");
        }
    }

    #[test]
    fn an_operator_may_name_private_addresses_and_a_tenant_may_not() {
        for url in [
            "http://127.0.0.1:8080/",
            "http://localhost/",
            "http://api.localhost/",
            "http://10.1.2.3/",
            "http://172.16.0.1/",
            "http://192.168.1.1/",
            "http://100.64.0.1/",
            "http://0.0.0.0/",
            "http://[::1]/",
            "http://[::]/",
            "http://[fd12::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://198.18.0.1/",
            "http://224.0.0.1/",
            "http://255.255.255.255/",
        ] {
            assert!(allowed(url, AddressPolicy::Trusted), "{url}");
            assert!(!allowed(url, AddressPolicy::Tenant), "{url}");
        }
    }

    #[test]
    fn public_addresses_are_allowed_to_all() {
        for url in [
            "https://api.weather.gov/alerts/active",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]/",
            "https://100.128.0.1/",
        ] {
            assert!(allowed(url, AddressPolicy::Trusted), "{url}");
            assert!(allowed(url, AddressPolicy::Tenant), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_is_checked_after_it_is_resolved() {
        let resolve = |policy| GuardedResolver(policy).resolve("localhost".parse().unwrap());
        assert!(resolve(AddressPolicy::Trusted).await.is_ok());
        let error = resolve(AddressPolicy::Tenant).await.err().unwrap();
        assert!(error.is::<Refused>(), "{error}");
    }
}
