//! Whatever lies in a topic: an error that names the place, never a panic.
#![allow(clippy::unwrap_used, reason = "a test")]

use ccr_schemas::sample::samples;
use ccr_schemas::topic::{escape, unescape};
use ccr_schemas::{Codec, CodecError, Framing, RecordAt, TopicName};
use proptest::prelude::*;

fn topic() -> TopicName {
    TopicName::events("ccr", "c1187345", "sales")
}

fn decode(bytes: &[u8]) -> Result<ccr_schemas::Envelope, CodecError> {
    Codec::default().decode(
        bytes,
        &RecordAt {
            topic: &topic(),
            offset: 4711,
        },
    )
}

/// An error says where; a success says so with the same bytes again (mutations can hit a string's inside).
fn judge(bytes: &[u8]) -> Result<(), TestCaseError> {
    match decode(bytes) {
        Ok(envelope) => {
            prop_assert!(Codec::default().encode(&envelope).is_ok());
        }
        Err(error) => {
            let text = error.to_string();
            prop_assert!(text.contains("ccr.c1187345.sales.events"), "{text}");
            prop_assert!(text.contains("4711"), "{text}");
        }
    }
    Ok(())
}

fn valid(framing: Framing) -> Vec<Vec<u8>> {
    let codec = Codec::new(framing);
    samples()
        .iter()
        .map(|sample| codec.encode(&sample.envelope).unwrap())
        .collect()
}

#[test]
fn every_cut_of_every_record_is_an_error() {
    for bytes in valid(Framing::SingleObject) {
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err());
        }
    }
}

#[test]
fn bytes_behind_the_event_are_an_error() {
    for framing in [Framing::SingleObject, Framing::Confluent { schema_id: 1 }] {
        for mut bytes in valid(framing) {
            bytes.push(0);
            assert!(matches!(
                decode(&bytes),
                Err(CodecError::Trailing { extra: 1, .. })
            ));
        }
    }
}

/// A length of 2^62 in front of a string, and a block of 2^62 elements.
#[test]
fn enormous_lengths_are_refused() {
    let enormous = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let sample = &samples()[0];
    let bytes = Codec::default().encode(&sample.envelope).unwrap();
    for at in 10..bytes.len() {
        let mut hostile = bytes[..at].to_vec();
        hostile.extend(enormous);
        hostile.extend([0; 64]);
        assert!(decode(&hostile).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        judge(&bytes)?;
        let mut framed = Codec::default().encode(&samples()[0].envelope).unwrap()[..10].to_vec();
        framed.push(2); // schema version 1
        framed.extend(&bytes);
        judge(&framed)?;
    }

    #[test]
    fn mutated_records_never_panic(
        which in any::<prop::sample::Index>(),
        confluent in any::<bool>(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let framing = if confluent { Framing::Confluent { schema_id: 9 } } else { Framing::SingleObject };
        let all = valid(framing);
        let mut bytes = which.get(&all).clone();
        for (place, value) in flips {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        judge(&bytes)?;
    }

    #[test]
    fn escaped_names_fit_kafka_and_come_back(name in any::<String>()) {
        let escaped = escape(&name);
        prop_assert!(escaped.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'), "{}", escaped);
        prop_assert_eq!(unescape(&escaped), Some(name));
    }

    #[test]
    fn unescaping_never_panics(text in any::<String>()) {
        let _ = unescape(&text);
    }

    #[test]
    fn different_names_never_share_a_topic(a in "[a-z_x.0-9]{0,8}", b in "[a-z_x.0-9]{0,8}") {
        prop_assert_eq!(escape(&a) == escape(&b), a == b);
    }
}
