//! The broker itself, when the environment asks for real Kafka.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::TcpStream;

use ccr_test_kafka::{ENV_START, KafkaServer};

#[test]
fn kafka_comes_up_survives_a_crash_and_ends_with_its_owner() {
    if std::env::var(ENV_START).as_deref() != Ok("1") {
        eprintln!("not run: set {ENV_START}=1 to start a real Kafka");
        return;
    }
    let mut server = KafkaServer::start().unwrap();
    let bootstrap = server.bootstrap().to_owned();
    assert!(TcpStream::connect(&bootstrap).is_ok());
    server.crash();
    assert!(TcpStream::connect(&bootstrap).is_err());
    server.start_again().unwrap();
    assert_eq!(server.bootstrap(), bootstrap);
    server.restart().unwrap();
    assert!(TcpStream::connect(&bootstrap).is_ok());
    drop(server);
    assert!(TcpStream::connect(&bootstrap).is_err());
}
