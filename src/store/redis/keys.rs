//! The names of a connector's keys: a public contract, see `docs/operations.md`.

/// Key names under one prefix.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    /// String: who holds the lease; expires with it.
    pub(super) fn lease(&self, connector: &str) -> String {
        format!("{}lease:{connector}", self.prefix)
    }

    /// Hash: fence, sequence, cursors, validators.
    pub(super) fn state(&self, connector: &str) -> String {
        format!("{}connector:state:{connector}", self.prefix)
    }

    /// Hash: `{stream}\0{key}` → version. For large sets `…:{number}` as well, see `layout.lua`.
    pub(super) fn versions(&self, connector: &str) -> String {
        format!("{}connector:versions:{connector}", self.prefix)
    }

    /// Stream: records that failed.
    pub(super) fn dead_letters(&self, connector: &str) -> String {
        format!("{}connector:dlq:{connector}", self.prefix)
    }

    /// Stream: deliveries that wait.
    pub(super) fn deliveries(&self, connector: &str) -> String {
        format!("{}connector-webhooks-{connector}", self.prefix)
    }

    /// Stream: deliveries that were given up.
    pub(super) fn dead_deliveries(&self, connector: &str) -> String {
        format!("{}connector-webhooks-{connector}:dlq", self.prefix)
    }

    /// Sorted set: ids of deliveries, hashed, by the time of their receipt.
    pub(super) fn delivery_ids(&self, connector: &str) -> String {
        format!("{}connector-webhooks-{connector}:ids", self.prefix)
    }

    /// String: bytes of the deliveries that wait.
    pub(super) fn delivery_bytes(&self, connector: &str) -> String {
        format!("{}connector-webhooks-{connector}:bytes", self.prefix)
    }

    /// Hash: attempts at deliveries that wait, by their entry.
    pub(super) fn delivery_attempts(&self, connector: &str) -> String {
        format!("{}connector-webhooks-{connector}:attempts", self.prefix)
    }

    /// Channel on which appended deliveries are announced.
    pub(super) fn arrived(&self, connector: &str) -> String {
        format!("{}connector-webhooks-arrived:{connector}", self.prefix)
    }

    /// Hash: what an issuer gave, sealed, and who asks it.
    pub(super) fn credential(&self, id: &str) -> String {
        format!("{}credential:{id}", self.prefix)
    }

    /// String that lasts as long as nobody shall ask a provider with a credential.
    pub(super) fn credential_wait(&self, id: &str) -> String {
        format!("{}credential:wait:{id}", self.prefix)
    }

    /// Hash: the rate that processes with a credential share, and when each asked for a turn.
    pub(super) fn credential_rate(&self, id: &str) -> String {
        format!("{}credential:rate:{id}", self.prefix)
    }

    /// Hash: counters and gauges.
    pub(super) fn metrics(&self, connector: &str) -> String {
        format!("{}metrics:connector:{connector}", self.prefix)
    }

    /// Channel on which a given-up lease is announced.
    pub(super) fn released(&self, connector: &str) -> String {
        format!("{}lease:released:{connector}", self.prefix)
    }

    /// An output stream.
    pub(super) fn output(&self, stream: &str) -> String {
        format!("{}{stream}", self.prefix)
    }

    /// Pattern that matches every lease key under this prefix, and nothing else.
    pub(super) fn lease_pattern(&self) -> String {
        format!("{}lease:*", self.escaped_prefix())
    }

    /// Pattern that matches every [`released`](Self::released) channel.
    pub(super) fn released_pattern(&self) -> String {
        format!("{}lease:released:*", self.escaped_prefix())
    }

    /// Pattern that matches every [`arrived`](Self::arrived) channel.
    pub(super) fn arrived_pattern(&self) -> String {
        format!("{}connector-webhooks-arrived:*", self.escaped_prefix())
    }

    /// The prefix as a pattern that matches only itself.
    fn escaped_prefix(&self) -> String {
        let mut pattern = String::with_capacity(self.prefix.len());
        for character in self.prefix.chars() {
            if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern
    }

    /// The connector whose lease key this is.
    pub(super) fn connector_of_lease<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.prefix)?.strip_prefix("lease:")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_carries_the_prefix() {
        let keys = Keys::new("a*b:");
        assert_eq!(keys.lease("c"), "a*b:lease:c");
        assert_eq!(keys.state("c"), "a*b:connector:state:c");
        assert_eq!(keys.versions("c"), "a*b:connector:versions:c");
        assert_eq!(keys.output("raw-input-signals"), "a*b:raw-input-signals");
        assert_eq!(keys.lease_pattern(), "a\\*b:lease:*");
        assert_eq!(keys.connector_of_lease("a*b:lease:c"), Some("c"));
        assert_eq!(keys.connector_of_lease("lease:c"), None);
    }
}
