//! The broker itself, on the jars that are there. This proves nothing of Levada and is not counted
//! among the tests that use a broker.

use super::*;

#[test]
fn a_broker_that_cannot_start_says_why() {
    let Some(jars) = Jars::cached() else {
        println!("skipped: the jars of Kafka are not there; `cargo xtask test` fetches them");
        return;
    };
    let error = Broker::start(&jars, "message.max.bytes=many")
        .unwrap_err()
        .to_string();
    assert!(error.contains("message.max.bytes"), "{error}");
}
