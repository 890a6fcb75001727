//! Envelope <-> bytes. The only module that names `apache_avro`.
//!
//! Two framings, distinguished by the first byte: Avro's single-object encoding (`C3 01`, the schema's CRC-64-AVRO fingerprint
//! in little endian, the datum) and Confluent's wire format (`00`, the registry's schema id in big endian, the datum).
//!
//! Evolution: every layout has its own [`SCHEMA_VERSION`], which is also the first field of the datum, so that a reader
//! always knows the writer's schema without asking anybody. A datum is read with the writer's schema straight into the
//! present types; fields added later need `#[serde(default)]`, new variants are appended.

mod bundle;

use std::sync::OnceLock;

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use thiserror::Error;

use crate::envelope::{Envelope, SCHEMA_VERSION};
use crate::topic::TopicName;

/// First bytes of the single-object encoding.
const SINGLE_OBJECT: [u8; 2] = [0xC3, 0x01];
/// First byte of Confluent's wire format.
const CONFLUENT: u8 = 0x00;
/// Most bytes that a length inside a record may make the decoder allocate at once.
const MAX_ALLOCATION: usize = 64 << 20;

/// How a datum is wrapped when written. Readers take both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `C3 01`, fingerprint: needs nothing besides this code.
    SingleObject,
    /// `00`, schema id: for installations with a schema registry.
    Confluent {
        /// Id under which [`schema_json`] is registered.
        schema_id: u32,
    },
}

/// Where a record was read; every error of decoding names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordAt<'a> {
    /// Topic.
    pub topic: &'a TopicName,
    /// Offset in the topic.
    pub offset: i64,
}

/// Why a record could not be written or read.
#[derive(Debug, Error)]
pub enum CodecError {
    /// The envelope says another layout than the one this code writes.
    #[error(
        "cannot encode event {commit_seq}: its schema version is {version}, this build writes {SCHEMA_VERSION}"
    )]
    WrongVersion {
        /// Version in the envelope.
        version: i32,
        /// Position of the event.
        commit_seq: i64,
    },
    /// The Avro library refused the envelope.
    #[error("cannot encode event {commit_seq}")]
    Encode {
        /// Position of the event.
        commit_seq: i64,
        /// The library's words.
        #[source]
        source: Box<apache_avro::Error>,
    },
    /// The first bytes belong to neither framing.
    #[error(
        "record at {topic} offset {offset} is not an event: it begins with {found}, expected c301 or 00; \
         something else writes to this topic"
    )]
    NotAnEvent {
        /// Topic.
        topic: TopicName,
        /// Offset.
        offset: i64,
        /// The first bytes in hex, `nothing` for an empty record.
        found: String,
    },
    /// A newer producer wrote the record.
    #[error(
        "record at {topic} offset {offset} has schema version {found}, this build reads up to {SCHEMA_VERSION}; \
         upgrade the applier before the producer"
    )]
    Newer {
        /// Topic.
        topic: TopicName,
        /// Offset.
        offset: i64,
        /// Version in the record.
        found: i32,
    },
    /// A schema version that no build ever wrote.
    #[error(
        "record at {topic} offset {offset} has schema version {found}, which no build ever wrote; it is damaged"
    )]
    UnknownVersion {
        /// Topic.
        topic: TopicName,
        /// Offset.
        offset: i64,
        /// Version in the record.
        found: i32,
    },
    /// The schema that the record names is none of ours.
    #[error(
        "record at {topic} offset {offset} was written with an unknown schema (fingerprint {found}); \
         it comes from a build that was never released, or from another program"
    )]
    UnknownFingerprint {
        /// Topic.
        topic: TopicName,
        /// Offset.
        offset: i64,
        /// Fingerprint in hex, as in the record.
        found: String,
    },
    /// The bytes do not fit the schema.
    #[error(
        "record at {topic} offset {offset} is damaged; repair the log, or run `ccr job resync` for the jobs that read it"
    )]
    Damaged {
        /// Topic.
        topic: TopicName,
        /// Offset.
        offset: i64,
        /// The library's words.
        #[source]
        source: Box<apache_avro::Error>,
    },
    /// The record ends inside its frame.
    #[error("record at {topic} offset {offset} is cut off after {length} bytes")]
    CutOff {
        /// Topic.
        topic: TopicName,
        /// Offset.
        offset: i64,
        /// Bytes there are.
        length: usize,
    },
    /// The datum ends before the record does.
    #[error("record at {topic} offset {offset} has {extra} bytes behind its event; it is damaged")]
    Trailing {
        /// Topic.
        topic: TopicName,
        /// Offset.
        offset: i64,
        /// Bytes too many.
        extra: usize,
    },
}

/// Encodes and decodes envelopes. Copying it costs nothing: the compiled schema is shared by the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec {
    framing: Framing,
}

impl Default for Codec {
    fn default() -> Self {
        Self::new(Framing::SingleObject)
    }
}

impl Codec {
    /// A codec that writes in `framing` and reads both framings.
    pub fn new(framing: Framing) -> Self {
        Self { framing }
    }

    /// One record of an events topic.
    ///
    /// # Errors
    /// [`CodecError::WrongVersion`], [`CodecError::Encode`].
    pub fn encode(&self, envelope: &Envelope) -> Result<Vec<u8>, CodecError> {
        if envelope.schema_version != SCHEMA_VERSION {
            return Err(CodecError::WrongVersion {
                version: envelope.schema_version,
                commit_seq: envelope.commit_seq.0,
            });
        }
        let layout = current();
        let mut bytes = Vec::with_capacity(512);
        match self.framing {
            Framing::SingleObject => {
                bytes.extend_from_slice(&SINGLE_OBJECT);
                bytes.extend_from_slice(&layout.fingerprint);
            }
            Framing::Confluent { schema_id } => {
                bytes.push(CONFLUENT);
                bytes.extend_from_slice(&schema_id.to_be_bytes());
            }
        }
        layout
            .writer
            .write_ser(&mut bytes, envelope)
            .map_err(|source| CodecError::Encode {
                commit_seq: envelope.commit_seq.0,
                source: Box::new(source),
            })?;
        Ok(bytes)
    }

    /// The envelope in a record, whatever framing it has. Never panics, whatever the bytes are.
    ///
    /// # Errors
    /// All variants of [`CodecError`] that name a topic and an offset.
    pub fn decode(&self, bytes: &[u8], at: &RecordAt<'_>) -> Result<Envelope, CodecError> {
        let cut_off = || CodecError::CutOff {
            topic: at.topic.clone(),
            offset: at.offset,
            length: bytes.len(),
        };
        if let Some(rest) = bytes.strip_prefix(&SINGLE_OBJECT) {
            let (fingerprint, datum) = rest.split_first_chunk::<8>().ok_or_else(cut_off)?;
            let layout = layouts()
                .iter()
                .find(|layout| layout.fingerprint == *fingerprint)
                .ok_or_else(|| unknown_fingerprint(fingerprint, datum, at))?;
            return layout.read(datum, at);
        }
        if let Some(rest) = bytes.strip_prefix(&[CONFLUENT]) {
            let (_schema_id, datum) = rest.split_first_chunk::<4>().ok_or_else(cut_off)?;
            let version = peek_version(datum).ok_or_else(cut_off)?;
            let layout = layouts()
                .iter()
                .find(|layout| layout.version == version)
                .ok_or_else(|| wrong_version(version, at))?;
            return layout.read(datum, at);
        }
        Err(CodecError::NotAnEvent {
            topic: at.topic.clone(),
            offset: at.offset,
            found: match bytes.get(..bytes.len().min(2)) {
                Some(first) if !first.is_empty() => hex::encode(first),
                Some(_) | None => "nothing".to_owned(),
            },
        })
    }
}

/// The schema of what this build writes, as one self-contained text for a registry.
pub fn schema_json() -> &'static str {
    &current().json
}

/// CRC-64-AVRO fingerprint of [`schema_json`], in the byte order of the single-object encoding.
pub fn fingerprint() -> [u8; 8] {
    current().fingerprint
}

/// One version of the layout, compiled.
struct Layout {
    version: i32,
    json: String,
    fingerprint: [u8; 8],
    reader: GenericDatumReader<'static>,
    writer: GenericDatumWriter<'static>,
}

impl Layout {
    fn read(&self, datum: &[u8], at: &RecordAt<'_>) -> Result<Envelope, CodecError> {
        let mut rest = datum;
        let envelope: Envelope =
            self.reader
                .read_deser(&mut rest)
                .map_err(|source| CodecError::Damaged {
                    topic: at.topic.clone(),
                    offset: at.offset,
                    source: Box::new(source),
                })?;
        if !rest.is_empty() {
            return Err(CodecError::Trailing {
                topic: at.topic.clone(),
                offset: at.offset,
                extra: rest.len(),
            });
        }
        if envelope.schema_version != self.version {
            return Err(wrong_version(envelope.schema_version, at));
        }
        Ok(envelope)
    }
}

/// All layouts this build reads, the present one last.
fn layouts() -> &'static [Layout; 1] {
    static SCHEMA: OnceLock<(String, Schema)> = OnceLock::new();
    static LAYOUTS: OnceLock<[Layout; 1]> = OnceLock::new();
    LAYOUTS.get_or_init(|| {
        apache_avro::util::max_allocation_bytes(MAX_ALLOCATION);
        let (json, schema) = SCHEMA.get_or_init(|| {
            let json = bundle::text();
            let schema = Schema::parse_str(&json).expect("invariant: the bundled schema parses");
            (json, schema)
        });
        [compile(SCHEMA_VERSION, json, schema)]
    })
}

fn current() -> &'static Layout {
    let [layout] = layouts();
    layout
}

fn compile(version: i32, json: &str, schema: &'static Schema) -> Layout {
    let mut fingerprint = [0; 8];
    let digest = schema.fingerprint::<Rabin>().bytes;
    for (to, from) in fingerprint.iter_mut().zip(digest) {
        *to = from;
    }
    Layout {
        version,
        json: json.to_owned(),
        fingerprint,
        reader: GenericDatumReader::builder(schema)
            .build()
            .expect("invariant: the bundled schema names only records it defines"),
        writer: GenericDatumWriter::builder(schema)
            .build()
            .expect("invariant: the bundled schema names only records it defines"),
    }
}

fn wrong_version(found: i32, at: &RecordAt<'_>) -> CodecError {
    let (topic, offset) = (at.topic.clone(), at.offset);
    if found > SCHEMA_VERSION {
        CodecError::Newer {
            topic,
            offset,
            found,
        }
    } else {
        CodecError::UnknownVersion {
            topic,
            offset,
            found,
        }
    }
}

/// An unknown fingerprint means a newer build when the version in front of the datum is higher than ours.
fn unknown_fingerprint(fingerprint: &[u8; 8], datum: &[u8], at: &RecordAt<'_>) -> CodecError {
    match peek_version(datum) {
        Some(found) if found > SCHEMA_VERSION => wrong_version(found, at),
        Some(_) | None => CodecError::UnknownFingerprint {
            topic: at.topic.clone(),
            offset: at.offset,
            found: hex::encode(fingerprint),
        },
    }
}

/// The first field of every layout: an Avro int (zigzag, base 128, little end first).
fn peek_version(datum: &[u8]) -> Option<i32> {
    let mut value = 0u32;
    for (i, byte) in datum.iter().take(5).enumerate() {
        value |= u32::from(byte & 0x7f).checked_shl(7 * u32::try_from(i).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    None
}

#[cfg(test)]
mod tests;
