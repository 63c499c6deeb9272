//! Operating-system signals as messages: SIGHUP → reload, SIGTERM and SIGINT → shut down,
//! SIGUSR1 → log the state of each loop.
