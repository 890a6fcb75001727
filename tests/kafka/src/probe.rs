//! Is the broker there? One Metadata request, written by hand so that this crate needs no client.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(2);

/// True when the broker answers and lists at least one broker that is not fenced.
pub(crate) fn answers(address: SocketAddr) -> bool {
    brokers(address).is_ok_and(|count| count > 0)
}

fn brokers(address: SocketAddr) -> std::io::Result<i32> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let request: [u8; 19] = [
        0, 0, 0, 15, // length of what follows
        0, 3, // api key: Metadata
        0, 4, // version
        0, 0, 0, 7, // correlation id
        0xff, 0xff, // no client id
        0, 0, 0, 0, // no topics
        0, // no automatic creation
    ];
    stream.write_all(&request)?;
    // Length, correlation id, throttle time, number of brokers.
    let mut head = [0u8; 16];
    stream.read_exact(&mut head)?;
    let [.., a, b, c, d] = head;
    Ok(i32::from_be_bytes([a, b, c, d]))
}
