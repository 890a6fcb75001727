//! Free ports of this machine.

use std::net::{Ipv4Addr, TcpListener};

use crate::KafkaError;

/// So many different ports of 127.0.0.1 that were free a moment ago. Somebody else can take one before it is bound.
pub(crate) fn free(count: usize) -> Result<Vec<u16>, KafkaError> {
    let none = |error: std::io::Error| KafkaError(format!("no free port on loopback: {error}"));
    // Held together, so that they differ.
    let held = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(none)?;
    held.iter()
        .map(|listener| listener.local_addr().map(|address| address.port()))
        .collect::<Result<_, _>>()
        .map_err(none)
}
