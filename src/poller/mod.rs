//! One poller per connector: hold lease → cycle → wait.
