use serde_json::Value;

use super::*;
use crate::sample::samples;

fn topic() -> TopicName {
    TopicName::events("ccr", "c1", "sales")
}

fn decode(bytes: &[u8]) -> Result<Envelope, CodecError> {
    let topic = topic();
    let at = RecordAt {
        topic: &topic,
        offset: 5,
    };
    Codec::default().decode(bytes, &at)
}

#[test]
fn every_kind_comes_back_in_both_framings_whatever_the_reader_writes() {
    for framing in [Framing::SingleObject, Framing::Confluent { schema_id: 300 }] {
        for sample in samples() {
            let bytes = Codec::new(framing)
                .encode(&sample.envelope)
                .expect("encode");
            assert_eq!(
                decode(&bytes).expect("decode"),
                sample.envelope,
                "{}",
                sample.name
            );
        }
    }
}

#[test]
fn frames_are_laid_out_as_documented() {
    let envelope = &samples()[0].envelope;
    let single = Codec::default().encode(envelope).expect("encode");
    assert_eq!(single[..2], [0xc3, 0x01]);
    assert_eq!(single[2..10], fingerprint());
    let confluent = Codec::new(Framing::Confluent {
        schema_id: 0x0102_0304,
    })
    .encode(envelope)
    .expect("encode");
    assert_eq!(confluent[..5], [0, 1, 2, 3, 4]);
    assert_eq!(single[10..], confluent[5..]);
}

#[test]
fn foreign_records_are_named() {
    let text = decode(b"hello").expect_err("not an event").to_string();
    assert_eq!(
        text,
        "record at ccr.c1.sales.events offset 5 is not an event: it begins with 6865, expected c301 or 00; \
         something else writes to this topic"
    );
    let text = decode(b"").expect_err("not an event").to_string();
    assert!(text.contains("begins with nothing"), "{text}");
    assert!(matches!(
        decode(&[0xc3, 0x01, 1, 2]),
        Err(CodecError::CutOff { length: 4, .. })
    ));
    let mut bytes = Codec::default()
        .encode(&samples()[0].envelope)
        .expect("encode");
    bytes[2] ^= 0xff;
    assert!(matches!(
        decode(&bytes),
        Err(CodecError::UnknownFingerprint { .. })
    ));
}

#[test]
fn a_newer_producer_is_distinguished_from_damage_in_both_framings() {
    let mut single = Codec::default()
        .encode(&samples()[0].envelope)
        .expect("encode");
    single[2] ^= 0xff;
    single[10] = 4; // zigzag of 2
    let text = decode(&single).expect_err("newer").to_string();
    assert!(text.contains("schema version 2"), "{text}");
    assert!(text.contains("upgrade the applier"), "{text}");
    let mut confluent = Codec::new(Framing::Confluent { schema_id: 1 })
        .encode(&samples()[0].envelope)
        .expect("encode");
    confluent[5] = 4;
    assert!(matches!(
        decode(&confluent),
        Err(CodecError::Newer { found: 2, .. })
    ));
    confluent[5] = 1; // zigzag of -1
    assert!(matches!(
        decode(&confluent),
        Err(CodecError::UnknownVersion { found: -1, .. })
    ));
}

#[test]
fn an_envelope_of_another_version_is_not_written() {
    let mut envelope = samples().remove(0).envelope;
    envelope.schema_version = SCHEMA_VERSION + 1;
    assert!(matches!(
        Codec::default().encode(&envelope),
        Err(CodecError::WrongVersion { version: 2, .. })
    ));
}

/// A build before this one: no `timeline` and no `raw` in the envelope, and the last kinds of event not invented yet.
#[test]
fn a_datum_of_an_older_layout_is_read_with_its_own_schema() {
    let mut json: Value = serde_json::from_str(schema_json()).expect("json");
    let fields = json["fields"].as_array_mut().expect("fields");
    fields.retain(|field| field["name"] != "raw" && field["name"] != "timeline");
    let event = fields
        .iter_mut()
        .find(|field| field["name"] == "event")
        .expect("event");
    event["type"].as_array_mut().expect("union").truncate(28);
    let text = json.to_string();
    let schema: &'static Schema = Box::leak(Box::new(Schema::parse_str(&text).expect("parses")));
    let old = compile(SCHEMA_VERSION, &text, schema);
    assert_ne!(old.fingerprint, fingerprint());

    #[derive(serde::Serialize)]
    struct OldEnvelope<'a> {
        schema_version: i32,
        source: &'a str,
        db_id: i64,
        db_name: &'a str,
        commit_seq: i64,
        prev_commit_seq: i64,
        source_at: i64,
        seen_at: i64,
        binlog_type: i32,
        replay: &'a crate::Replay,
        event: &'a crate::Event,
    }
    let topic = topic();
    let mut read = 0;
    for sample in samples() {
        let e = &sample.envelope;
        let datum = old.writer.write_ser_to_vec(&OldEnvelope {
            schema_version: e.schema_version,
            source: &e.source,
            db_id: e.db_id.0,
            db_name: &e.db_name,
            commit_seq: e.commit_seq.0,
            prev_commit_seq: e.prev_commit_seq.0,
            source_at: e.source_at.0,
            seen_at: e.seen_at.0,
            binlog_type: e.binlog_type,
            replay: &e.replay,
            event: &e.event,
        });
        let Ok(datum) = datum else {
            assert!(
                !e.event.is_chained(),
                "{}: not in the old layout",
                sample.name
            );
            continue;
        };
        let at = RecordAt {
            topic: &topic,
            offset: 1,
        };
        let expected = Envelope {
            timeline: crate::Timeline::FIRST,
            raw: None,
            ..e.clone()
        };
        assert_eq!(old.read(&datum, &at).expect("readable"), expected);
        read += 1;
    }
    assert!(read >= 28, "{read}");
}

/// The union's branches and the enum's variants are matched by position: the order is part of the contract.
#[test]
fn the_union_of_events_is_in_the_order_of_the_enum() {
    let json: Value = serde_json::from_str(schema_json()).expect("json");
    let event = json["fields"]
        .as_array()
        .expect("fields")
        .iter()
        .find(|field| field["name"] == "event")
        .expect("event");
    let names: Vec<String> = event["type"]
        .as_array()
        .expect("union")
        .iter()
        .map(|branch| {
            branch["name"]
                .as_str()
                .or(branch.as_str())
                .expect("name")
                .to_owned()
        })
        .collect();
    let kinds: Vec<String> = crate::EventKind::ALL
        .iter()
        .map(|kind| format!("{kind:?}"))
        .collect();
    assert_eq!(names, kinds);
}

/// An array whose elements take no bytes could claim to have 2^62 of them.
#[test]
fn no_array_has_elements_without_bytes() {
    fn walk(node: &Value) {
        match node {
            Value::Object(object) => {
                if object.get("type") == Some(&Value::from("array")) {
                    let items = &object["items"];
                    let empty =
                        items == "null" || items["fields"].as_array().is_some_and(Vec::is_empty);
                    assert!(!empty, "{items}");
                }
                object.values().for_each(walk);
            }
            Value::Array(values) => values.iter().for_each(walk),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    walk(&serde_json::from_str(schema_json()).expect("json"));
}
