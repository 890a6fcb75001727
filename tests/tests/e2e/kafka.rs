//! Which broker a test uses.

use ccr_test_kafka::{Broker, broker_for_test};

/// A broker, or `None` with a loud notice where tests on real Kafka were not asked for.
pub fn broker(test: &str) -> Option<Broker> {
    match broker_for_test().expect("a broker was asked for and can not be had") {
        Some(broker) => Some(broker),
        None => {
            eprintln!(
                "NOTICE: {test} did not run on Kafka: no broker was offered (cargo xtask test offers one)"
            );
            None
        }
    }
}
