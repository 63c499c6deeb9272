//! The Redis store under faults: lost replies, restarts, rollbacks, foreign writers.

use crate::support::redis::RedisServer;

#[test]
fn a_test_server_keeps_its_data_over_a_kill_when_durable() {
    let mut server = RedisServer::start_durable();
    let mut connection = server.connection();
    redis::cmd("SET")
        .arg("key")
        .arg("value")
        .exec(&mut connection)
        .unwrap();
    server.restart();
    let value: String = redis::cmd("GET")
        .arg("key")
        .query(&mut server.connection())
        .unwrap();
    assert_eq!(value, "value");
    server.pause();
    server.resume();
}
