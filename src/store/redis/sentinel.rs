//! Asking Sentinel which server is the master now.
//!
//! Asked anew for every connection: after a failover the connections break, and the new ones lead
//! to the new master. One that was demoted in between refuses writes, which is tried again.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, RedisError,
    RedisResult,
};
use tokio::time::timeout;

use crate::store::address::SentinelAddress;

/// Bound on one sentinel: the next may know while this one is down.
const PATIENCE: Duration = Duration::from_secs(1);

/// Host and port of the master, from the first sentinel that knows it.
pub(super) async fn master(address: &SentinelAddress) -> RedisResult<(String, u16)> {
    let mut problem = None;
    for (host, port) in &address.sentinels {
        let answer = timeout(PATIENCE, ask(address, host, *port))
            .await
            .unwrap_or_else(|_| Err(super::connection::silent()));
        match answer {
            Ok(Some(master)) => return Ok(master),
            Ok(None) => {
                problem = Some(RedisError::from((
                    ErrorKind::MasterNameNotFoundBySentinel,
                    "the sentinel watches no such service",
                    address.service.clone(),
                )));
            }
            Err(error) => problem = Some(error),
        }
    }
    Err(problem.unwrap_or_else(|| {
        RedisError::from((ErrorKind::EmptySentinelList, "no sentinel is named"))
    }))
}

async fn ask(
    address: &SentinelAddress,
    host: &str,
    port: u16,
) -> RedisResult<Option<(String, u16)>> {
    let tls = address.server.scheme() == "rediss";
    let client = Client::open(at(host, port, tls).into_connection_info()?)?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    redis::cmd("SENTINEL")
        .arg("get-master-addr-by-name")
        .arg(&address.service)
        .query_async(&mut connection)
        .await
}

/// An address as the library knows it; certificates are always checked.
pub(super) fn at(host: &str, port: u16, tls: bool) -> ConnectionAddr {
    if tls {
        ConnectionAddr::TcpTls {
            host: host.to_owned(),
            port,
            insecure: false,
            tls_params: None,
        }
    } else {
        ConnectionAddr::Tcp(host.to_owned(), port)
    }
}
