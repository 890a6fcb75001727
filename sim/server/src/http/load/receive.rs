//! The body of a load: bounded in size, in the memory of all loads together, and in time.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::refusal::Refusal;
use super::settings::{Compression, Head, MAX_BODY, too_large};

/// Longest silence of a client.
const SILENCE: Duration = Duration::from_secs(60);

/// Holds a load's share of the memory.
#[derive(Debug)]
pub(super) struct Memory {
    all: Arc<Semaphore>,
    held: Vec<OwnedSemaphorePermit>,
    mib: usize,
}

impl Memory {
    /// Room for `bytes` in all. Nobody waits: two loads that wait for each other would never end.
    fn reserve(&mut self, bytes: usize) -> Result<(), Refusal> {
        let wanted = bytes.div_ceil(1 << 20);
        if wanted <= self.mib {
            return Ok(());
        }
        let full = || {
            let text = "the bodies of all loads together take too much memory; load again later";
            Refusal::new("MEM_LIMIT_EXCEEDED", text)
        };
        let more = u32::try_from(wanted - self.mib).map_err(|_| full())?;
        let permit = Arc::clone(&self.all).try_acquire_many_owned(more);
        self.held.push(permit.map_err(|_| full())?);
        self.mib = wanted;
        Ok(())
    }
}

/// The unpacked body, the number of bytes that came, and the memory it holds.
pub(super) async fn receive(
    memory: &Arc<Semaphore>,
    head: &Head,
    body: Body,
) -> Result<(Bytes, usize, Memory), Refusal> {
    let mut memory = Memory {
        all: Arc::clone(memory),
        held: Vec::new(),
        mib: 0,
    };
    let mut stream = body.into_data_stream();
    let mut bytes = BytesMut::new();
    loop {
        let chunk = match tokio::time::timeout(SILENCE, stream.next()).await {
            Ok(None) => break,
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(error))) => {
                return Err(Refusal::new(
                    "NETWORK_ERROR",
                    format!("receive body failed: {error}"),
                ));
            }
            Err(_) => {
                return Err(Refusal::new(
                    "NETWORK_ERROR",
                    format!("no part of the body came for {} s", SILENCE.as_secs()),
                ));
            }
        };
        let length = bytes.len() + chunk.len();
        if length > MAX_BODY {
            return Err(too_large(length));
        }
        memory.reserve(length)?;
        bytes.extend_from_slice(&chunk);
    }
    let received = bytes.len();
    if head.length.is_some_and(|announced| announced != received) {
        return Err(Refusal::new(
            "NETWORK_ERROR",
            "receive body don't equal with body bytes",
        ));
    }
    let bytes = match head.compression {
        Compression::None => bytes.freeze(),
        Compression::Gzip => unpacked(MultiGzDecoder::new(&bytes[..]), received, &mut memory)?,
        Compression::Deflate => unpacked(DeflateDecoder::new(&bytes[..]), received, &mut memory)?,
    };
    Ok((bytes, received, memory))
}

/// Reads in steps, so that a small body that unpacks to a large one is noticed in time.
fn unpacked(
    mut decoder: impl Read,
    received: usize,
    memory: &mut Memory,
) -> Result<Bytes, Refusal> {
    let mut bytes = Vec::new();
    let mut step = vec![0; 256 << 10];
    loop {
        let length = decoder.read(&mut step).map_err(|error| {
            Refusal::new("INTERNAL_ERROR", format!("decompress body failed: {error}"))
        })?;
        if length == 0 {
            return Ok(bytes.into());
        }
        if bytes.len() + length > MAX_BODY {
            return Err(too_large(bytes.len() + length));
        }
        memory.reserve(received + bytes.len() + length)?;
        bytes.extend_from_slice(&step[..length]);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::http::{HeaderMap, HeaderValue};

    use super::*;

    fn head(compression: &'static str) -> Head {
        let mut headers = HeaderMap::new();
        headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
        headers.insert("compress_type", HeaderValue::from_static(compression));
        Head::of(&headers).unwrap()
    }

    #[tokio::test]
    async fn a_bomb_stops_at_the_memory_and_gives_it_back() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for _ in 0..20 {
            encoder.write_all(&vec![b'1'; 1 << 20]).unwrap();
        }
        let packed = encoder.finish().unwrap();
        let memory = Arc::new(Semaphore::new(5));
        let refused = receive(&memory, &head("gz"), packed.clone().into()).await;
        assert_eq!(refused.unwrap_err().name, "MEM_LIMIT_EXCEEDED");
        assert_eq!(memory.available_permits(), 5);
        let enough = Arc::new(Semaphore::new(25));
        let (bytes, received, held) = receive(&enough, &head("gz"), packed.clone().into())
            .await
            .unwrap();
        assert_eq!((bytes.len(), received), (20 << 20, packed.len()));
        drop(held);
        assert_eq!(enough.available_permits(), 25);
    }

    #[tokio::test]
    async fn what_is_no_gzip_is_told() {
        let memory = Arc::new(Semaphore::new(5));
        let refused = receive(&memory, &head("gz"), "1,2\n".into()).await;
        assert!(refused.unwrap_err().text.contains("decompress body failed"));
    }
}
