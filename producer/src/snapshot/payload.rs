//! Job info and meta of a snapshot -> chunks of the snapshots topic.
//!
//! The chunks, put together, are: length of job info as 8 bytes, big end first; job info; meta. The checksum is over job info
//! followed by meta.

use bytes::Bytes;
use ccr_log::NewRecord;
use sha2::{Digest, Sha256};

use crate::config::MAX_CHUNK_BYTES;

/// A snapshot's bytes, ready to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Each at most [`MAX_CHUNK_BYTES`].
    pub chunks: Vec<Bytes>,
    /// Lower-case hex.
    pub sha256: String,
}

impl Payload {
    /// Cuts.
    pub fn of(job_info: &[u8], meta: &[u8]) -> Self {
        let mut whole = Vec::with_capacity(8 + job_info.len() + meta.len());
        whole.extend_from_slice(&(job_info.len() as u64).to_be_bytes());
        whole.extend_from_slice(job_info);
        whole.extend_from_slice(meta);
        let whole = Bytes::from(whole);
        let chunks = (0..whole.len())
            .step_by(MAX_CHUNK_BYTES)
            .map(|from| whole.slice(from..whole.len().min(from + MAX_CHUNK_BYTES)))
            .collect();
        Self {
            chunks,
            sha256: sha256(job_info, meta),
        }
    }

    /// Records of the chunks from `first` on.
    pub fn records(&self, label: &str, first: usize, most: usize) -> Vec<NewRecord> {
        self.chunks
            .iter()
            .enumerate()
            .skip(first)
            .take(most)
            .map(|(part, chunk)| NewRecord {
                key: label.to_owned(),
                value: Some(chunk.clone()),
                headers: vec![("part".to_owned(), part.to_string())],
            })
            .collect()
    }
}

/// Checksum of a snapshot.
pub fn sha256(job_info: &[u8], meta: &[u8]) -> String {
    let digest = Sha256::new().chain_update(job_info).chain_update(meta);
    digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_put_together_are_the_payload() {
        let meta: Vec<u8> = (0..1_200_000u32).map(|i| i.to_le_bytes()[0]).collect();
        let payload = Payload::of(b"{}", &meta);
        assert_eq!(payload.chunks.len(), 3);
        assert!(payload.chunks.iter().all(|c| c.len() <= MAX_CHUNK_BYTES));
        let whole: Vec<u8> = payload.chunks.concat();
        assert_eq!(&whole[..10], b"\0\0\0\0\0\0\0\x02{}");
        assert_eq!(&whole[10..], meta);
        let records = payload.records("l", 2, 8);
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].headers, [("part".to_owned(), "2".to_owned())]);
    }

    #[test]
    fn the_checksum_is_over_both_parts() {
        // Of "abc".
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"a", b"bc"), abc);
        assert_eq!(Payload::of(b"ab", b"c").sha256, abc);
    }
}
