//! Frozen bytes: what was once written stays readable, and is written the same way until the version changes.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema_compatibility::SchemaCompatibility;
use ccr_schemas::envelope::SCHEMA_VERSION;
use ccr_schemas::sample::samples;
use ccr_schemas::{Codec, Framing, RecordAt, TopicName, codec};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn frozen(name: &str) -> Vec<u8> {
    let path = golden().join(format!("{name}.hex"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; run `./x fix`", path.display()));
    hex::decode(text.split_whitespace().collect::<String>()).unwrap()
}

#[test]
fn frozen_bytes_decode_to_their_sample_and_samples_encode_to_their_frozen_bytes() {
    let codec = Codec::new(Framing::SingleObject);
    let topic = TopicName::events("ccr", "c1187345", "sales");
    for sample in samples() {
        let bytes = frozen(&sample.name);
        let at = RecordAt {
            topic: &topic,
            offset: 0,
        };
        let read = codec.decode(&bytes, &at).unwrap();
        assert_eq!(read, sample.envelope, "{}", sample.name);
        let written = codec.encode(&sample.envelope).unwrap();
        assert_eq!(hex::encode(written), hex::encode(bytes), "{}", sample.name);
    }
}

#[test]
fn there_is_a_golden_file_for_every_sample_and_none_besides() {
    let mut expected: BTreeSet<String> = samples()
        .into_iter()
        .map(|sample| format!("{}.hex", sample.name))
        .collect();
    for version in 1..=SCHEMA_VERSION {
        expected.insert(format!("envelope.v{version}.json"));
    }
    let found: BTreeSet<String> = std::fs::read_dir(golden())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_schema_changes_only_together_with_its_version() {
    let path = golden().join(format!("envelope.v{SCHEMA_VERSION}.json"));
    let frozen = Schema::parse_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(
        hex::encode(frozen.fingerprint::<Rabin>().bytes),
        hex::encode(codec::fingerprint()),
        "the schema of version {SCHEMA_VERSION} is frozen: raise SCHEMA_VERSION and keep the old schema readable"
    );
}

/// What Avro's Python implementation (1.12) computes for the same text. Libraries differ in the canonical form of annotated
/// types, so the schema has none of those.
#[test]
fn other_implementations_compute_the_same_fingerprint() {
    assert_eq!(hex::encode(codec::fingerprint()), "d1e5ac09ecee0e1a");
    assert!(!codec::schema_json().contains("logicalType"));
}

#[test]
fn the_present_schema_reads_what_every_frozen_schema_wrote() {
    let present = Schema::parse_str(codec::schema_json()).unwrap();
    for version in 1..=SCHEMA_VERSION {
        let path = golden().join(format!("envelope.v{version}.json"));
        let old = Schema::parse_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        SchemaCompatibility::can_read(&old, &present).unwrap();
    }
}

/// The frozen bytes are Avro as any other implementation understands it, not merely what our types make of them.
#[test]
fn a_generic_reader_understands_the_frozen_bytes() {
    let present = Schema::parse_str(codec::schema_json()).unwrap();
    let reader = GenericDatumReader::builder(&present).build().unwrap();
    for sample in samples() {
        let bytes = frozen(&sample.name);
        let mut datum = &bytes[10..];
        let value = reader.read_value(&mut datum).unwrap();
        assert!(datum.is_empty(), "{}", sample.name);
        assert!(value.validate(&present), "{}", sample.name);
    }
}
