//! What an error of the Redis library means for the caller.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::StoreError;

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection broke or was silent for too long: the command may have been executed, or
    /// may be later.
    Ambiguous,
    /// The server refused before anything was executed and will recover, here or elsewhere.
    Transient,
    /// The server does not know the script.
    NoScript,
    /// Asking again will not help.
    Refused,
}

/// Answers that end by themselves: restart, failover, resharding, full memory or disk. Redis
/// raises all of them before the first write of a script or transaction.
const TRANSIENT: [&str; 10] = [
    "LOADING",
    "READONLY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "BUSY",
    "OOM",
    "MISCONF",
    "NOREPLICAS",
    "UNBLOCKED",
];

/// Decides what an error means.
pub(super) fn classify(error: &RedisError) -> Failure {
    if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() {
        return Failure::Ambiguous;
    }
    match error.kind() {
        // Half an answer: the connection is unusable and the outcome unknown.
        ErrorKind::Io | ErrorKind::Parse => Failure::Ambiguous,
        ErrorKind::Server(ServerErrorKind::NoScript) => Failure::NoScript,
        _ if is_one_of(error, &TRANSIENT) => Failure::Transient,
        _ if error.to_string().contains("max number of clients") => Failure::Transient,
        _ => Failure::Refused,
    }
}

/// Whether the server answered with one of these codes, also from inside a script.
fn is_one_of(error: &RedisError, codes: &[&str]) -> bool {
    if error.code().is_some_and(|code| codes.contains(&code)) {
        return true;
    }
    // Before 7.0 the error of a call inside a script is wrapped:
    // `ERR Error running script (call to f_…): @user_script:1: OOM command not allowed …`.
    let Some((_, inner)) = error
        .detail()
        .and_then(|text| text.split_once("@user_script"))
    else {
        return false;
    };
    codes
        .iter()
        .any(|code| inner.split([' ', ':', '-']).any(|word| word == *code))
}

/// The error for the caller, when asking again will not help or has not helped.
pub(super) fn store_error(address: &str, error: RedisError) -> StoreError {
    match classify(&error) {
        Failure::Transient if is_one_of(&error, &["OOM", "MISCONF", "NOREPLICAS"]) => {
            StoreError::Misconfigured(format!("redis at {address} refuses writes: {error}"))
        }
        Failure::Ambiguous | Failure::Transient => unavailable(address, error),
        Failure::NoScript | Failure::Refused => {
            if error.kind() == ErrorKind::AuthenticationFailed
                || is_one_of(&error, &["NOAUTH", "WRONGPASS"])
            {
                StoreError::Misconfigured(format!(
                    "redis at {address} refused the user name or password: {error}"
                ))
            } else if is_one_of(&error, &["WRONGTYPE"])
                || error.kind() == ErrorKind::UnexpectedReturnType
            {
                StoreError::Corrupt(error.to_string())
            } else {
                StoreError::Misconfigured(format!("redis at {address} refused: {error}"))
            }
        }
    }
}

fn unavailable(address: &str, error: RedisError) -> StoreError {
    StoreError::Unavailable {
        address: address.to_owned(),
        cause: Box::new(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error that the library makes of an answer.
    fn answered(line: &str) -> RedisError {
        redis::parse_redis_value(format!("-{line}\r\n").as_bytes())
            .and_then(redis::Value::extract_error)
            .unwrap_err()
    }

    #[test]
    fn an_answer_decides_whether_asking_again_helps() {
        use Failure::{NoScript, Refused, Transient};
        for (line, expected) in [
            ("LOADING Redis is loading the dataset in memory", Transient),
            (
                "READONLY You can't write against a read only replica.",
                Transient,
            ),
            ("MASTERDOWN Link with MASTER is down", Transient),
            ("BUSY Redis is busy running a script.", Transient),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                Transient,
            ),
            (
                "MISCONF Redis is configured to save RDB snapshots, but it is currently not able \
                 to persist on disk. script: 1, on @user_script:30.",
                Transient,
            ),
            // As 6.2 says it.
            (
                "ERR Error running script (call to f_1): @user_script:30: @user_script: 30: \
                 -OOM command not allowed when used memory > 'maxmemory'.",
                Transient,
            ),
            ("ERR max number of clients reached", Transient),
            ("NOSCRIPT No matching script. Please use EVAL.", NoScript),
            (
                "WRONGTYPE Operation against a key holding the wrong kind of value",
                Refused,
            ),
            (
                "NOPERM this user has no permissions to run the 'xadd' command",
                Refused,
            ),
            ("NOAUTH Authentication required.", Refused),
            ("ERR unknown command 'EVALSHA'", Refused),
        ] {
            assert_eq!(classify(&answered(line)), expected, "{line}");
        }
        let broken = RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(classify(&broken), Failure::Ambiguous);
        assert_eq!(
            classify(&super::super::connection::silent()),
            Failure::Ambiguous
        );
    }

    #[test]
    fn an_error_says_who_can_mend_it() {
        let of = |line: &str| store_error("redis://h:1", answered(line));
        assert!(matches!(
            of("LOADING Redis is loading"),
            StoreError::Unavailable { .. }
        ));
        for (line, says) in [
            ("OOM command not allowed", "refuses writes"),
            ("NOAUTH Authentication required.", "password"),
            ("NOPERM this user has no permissions", "refused"),
        ] {
            let error = of(line);
            assert!(matches!(error, StoreError::Misconfigured(_)), "{error:?}");
            assert!(error.to_string().contains(says), "{error}");
        }
        for line in [
            "WRONGTYPE Operation against a key",
            "ERR Error running script (call to f_1): @user_script:1: WRONGTYPE Operation against",
        ] {
            assert!(matches!(of(line), StoreError::Corrupt(_)), "{line}");
        }
    }
}
