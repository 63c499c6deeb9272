//! Where a request comes from, behind proxies that are trusted to say so.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

/// The nearest address that no trusted proxy speaks for.
///
/// `X-Forwarded-For` is read from its end, where proxies append: what stands before the first
/// address that is no trusted proxy is only a claim of whoever that is.
pub(super) fn client_of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let lines: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    for claimed in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        if !is_trusted(&client) {
            break;
        }
        let Ok(claimed) = claimed.trim().parse::<IpAddr>() else {
            break;
        };
        client = claimed.to_canonical();
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        client_of(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let proxies = ["10.0.0.0/8"];
        assert_eq!(client("192.0.2.1", &["198.51.100.7"], &[]), "192.0.2.1");
        assert_eq!(
            client("192.0.2.1", &["198.51.100.7"], &proxies),
            "192.0.2.1"
        );
        assert_eq!(
            client("10.0.0.1", &["198.51.100.7"], &proxies),
            "198.51.100.7"
        );
        // What stands before is the client's own claim.
        let chain = ["203.0.113.9, 198.51.100.7, 10.1.1.1"];
        assert_eq!(client("10.0.0.1", &chain, &proxies), "198.51.100.7");
        assert_eq!(
            client("10.0.0.1", &["203.0.113.9", "198.51.100.7"], &proxies),
            "198.51.100.7"
        );
        assert_eq!(client("10.0.0.1", &["nonsense"], &proxies), "10.0.0.1");
        assert_eq!(
            client("::ffff:10.0.0.1", &["198.51.100.7"], &proxies),
            "198.51.100.7"
        );
    }
}
