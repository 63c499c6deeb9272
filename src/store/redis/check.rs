//! What a Redis must be like for the guarantees to hold; looked at once, when it is opened.

use super::RedisStore;
use crate::store::StoreError;

/// `XTRIM MINID`, exclusive ranges and `SET … GET` came with it.
const OLDEST: (u32, u32) = (6, 2);

impl RedisStore {
    /// Fails when this Redis cannot keep what the store promises.
    pub(super) async fn check(&self, allow_eviction: bool) -> Result<(), StoreError> {
        let server: String = self.ask(redis::cmd("INFO").arg("server")).await?;
        let memory: String = self.ask(redis::cmd("INFO").arg("memory")).await?;
        judge(self.endpoint.address(), &server, &memory, allow_eviction)
            .map_err(StoreError::Misconfigured)
    }
}

fn judge(address: &str, server: &str, memory: &str, allow_eviction: bool) -> Result<(), String> {
    if let Some(version) = field(server, "redis_version")
        && parse_version(version).is_some_and(|version| version < OLDEST)
    {
        return Err(format!(
            "redis at {address} has version {version}, at least {}.{} is needed",
            OLDEST.0, OLDEST.1
        ));
    }
    if field(server, "redis_mode") == Some("cluster") {
        return Err(format!(
            "redis at {address} is part of a cluster, which is not supported: the keys of one \
             commit would fall into different slots"
        ));
    }
    // `CONFIG GET` is refused by managed services; `INFO` is not.
    match field(memory, "maxmemory_policy") {
        Some("noeviction") => Ok(()),
        Some(policy) if allow_eviction => {
            tracing::warn!(
                "redis at {address} has the eviction policy {policy}: leases, state and signals \
                 may vanish when its memory is full"
            );
            Ok(())
        }
        Some(policy) => Err(format!(
            "redis at {address} has the eviction policy {policy}, which may drop leases, state or \
             unread signals; set `maxmemory-policy noeviction` there, or accept the loss with \
             --allow-eviction"
        )),
        None if allow_eviction => Ok(()),
        None => Err(format!(
            "redis at {address} does not tell its eviction policy; if it is noeviction, say \
             --allow-eviction"
        )),
    }
}

/// The value of `name` in the answer of `INFO`.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(version: &str, mode: &str, policy: &str, allow: bool) -> Result<(), String> {
        let server = format!("# Server\r\nredis_version:{version}\r\nredis_mode:{mode}\r\n");
        let memory =
            format!("# Memory\r\nused_memory:1\r\nmaxmemory:0\r\nmaxmemory_policy:{policy}\r\n");
        judge("redis://h:1", &server, &memory, allow)
    }

    #[test]
    fn only_a_redis_that_keeps_everything_is_accepted() {
        assert_eq!(judged("6.2.0", "standalone", "noeviction", false), Ok(()));
        assert_eq!(judged("8.4.1", "standalone", "noeviction", false), Ok(()));
        assert_eq!(judged("7.0.15", "standalone", "allkeys-lru", true), Ok(()));
        for (version, mode, policy, names) in [
            ("6.0.16", "standalone", "noeviction", "6.0.16"),
            ("5.0.0", "standalone", "noeviction", "6.2"),
            ("7.0.15", "cluster", "noeviction", "cluster"),
            ("7.0.15", "standalone", "volatile-ttl", "volatile-ttl"),
            ("7.0.15", "standalone", "allkeys-lru", "--allow-eviction"),
            (
                "7.0.15",
                "standalone",
                "allkeys-lru",
                "maxmemory-policy noeviction",
            ),
        ] {
            let error = judged(version, mode, policy, false).unwrap_err();
            assert!(error.contains(names), "{error}");
        }
    }
}
