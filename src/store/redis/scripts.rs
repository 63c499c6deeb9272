//! The scripts that make each step atomic in Redis.
//!
//! Called by their hash: two releases of the worker can run side by side, and nothing has to be
//! installed by an administrator. Plain scripts rather than functions, which also works before 7.0.

use std::sync::LazyLock;

use redis::Cmd;

use super::wire::Request;

/// One script and its hash.
#[derive(Debug)]
pub(super) struct Script {
    code: &'static str,
    hash: String,
}

macro_rules! script {
    ($(#[$doc:meta])* $name:ident, $file:literal) => {
        $(#[$doc])*
        pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| {
                Script::new(concat!(
                    include_str!("lua/layout.lua"),
                    include_str!(concat!("lua/", $file))
                ))
            });
    };
}

script!(
    /// Takes the lease.
    ACQUIRE, "acquire.lua"
);
script!(
    /// Extends the lease.
    RENEW, "renew.lua"
);
script!(
    /// Gives the lease up.
    RELEASE, "release.lua"
);
script!(
    /// Takes the lease from whoever holds it.
    BREAK, "break.lua"
);
script!(
    /// Takes deliveries off the queue, as part of a commit.
    ACKNOWLEDGE, "acknowledge.lua"
);
script!(
    /// Moves versions to where many are kept, as part of a commit.
    MOVE_VERSIONS, "move_versions.lua"
);
script!(
    /// Reads the state.
    STATE, "state.lua"
);
script!(
    /// Reads some versions.
    VERSIONS, "versions.lua"
);
script!(
    /// Forgets versions and state fields.
    RESET, "reset.lua"
);
script!(
    /// Appends deliveries.
    ENQUEUE, "enqueue.lua"
);
script!(
    /// Puts dead deliveries back.
    REPLAY, "replay.lua"
);
script!(
    /// Takes the lock on a credential.
    CREDENTIAL_LOCK, "credential_lock.lua"
);
script!(
    /// Keeps what an issuer gave.
    CREDENTIAL_SAVE, "credential_save.lua"
);
script!(
    /// Gives the lock on a credential up.
    CREDENTIAL_UNLOCK, "credential_unlock.lua"
);
script!(
    /// Lets everybody wait with a credential.
    CREDENTIAL_WAIT, "credential_wait.lua"
);
script!(
    /// Takes a turn of the rate that processes with a credential share.
    TAKE_TURN, "take_turn.lua"
);
script!(
    /// Removes what every consumer group has read.
    TRIM, "trim.lua"
);

impl Script {
    fn new(code: &'static str) -> Self {
        Self {
            code,
            hash: redis::Script::new(code).get_hash().to_owned(),
        }
    }

    /// The call by hash; arguments are added by the caller.
    pub(super) fn call(&self, keys: &[&str]) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.hash).arg(keys.len());
        for key in keys {
            command.arg(*key);
        }
        command
    }

    /// The call by hash, encoded: exactly `args` arguments of about `bytes` bytes follow.
    pub(super) fn request(&self, keys: &[&str], args: usize, bytes: usize) -> Request {
        let key_bytes: usize = keys.iter().map(|key| key.len()).sum();
        let mut request = Request::with_capacity(64 + key_bytes + bytes + args * 10);
        request.command(3 + keys.len() + args);
        request.arg("EVALSHA");
        request.arg(&self.hash);
        request.number(keys.len() as u64);
        for key in keys {
            request.arg(key);
        }
        request
    }

    /// The text, for a call inside a transaction: there an unknown hash would show too late.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// Makes the server know the script.
    pub(super) fn load(&self) -> Cmd {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(self.code);
        command
    }
}
