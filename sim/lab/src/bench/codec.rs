//! Events encoded and decoded per second, on one core: an UPSERT of one partition with ten tablets on three replicas.

use std::time::Duration;

use anyhow::Result;
use ccr_schemas::codec::{Codec, Framing, RecordAt};
use ccr_schemas::sample::upsert;
use ccr_schemas::{CommitSeq, TopicName};

use super::{Measured, per_second};

pub(super) fn run(time: Duration) -> Result<Vec<Measured>> {
    let codec = Codec::new(Framing::SingleObject);
    let envelope = upsert(CommitSeq(901_455), CommitSeq(901_450), 10);
    let bytes = codec.encode(&envelope)?;
    let topic = TopicName::events("ccr", "bench", "bench");
    let at = RecordAt {
        topic: &topic,
        offset: 0,
    };
    let encoded = per_second(time, || {
        std::hint::black_box(codec.encode(std::hint::black_box(&envelope))?);
        Ok(())
    })?;
    let decoded = per_second(time, || {
        std::hint::black_box(codec.decode(std::hint::black_box(&bytes), &at)?);
        Ok(())
    })?;
    #[allow(clippy::cast_precision_loss, reason = "a few hundred bytes")]
    let size = bytes.len() as f64;
    Ok(vec![
        Measured::new("codec", "events encoded, one core", encoded, "events/s"),
        Measured::new("codec", "events decoded, one core", decoded, "events/s"),
        Measured::new(
            "codec",
            "size of an UPSERT of 10 tablets x 3 replicas",
            size,
            "bytes",
        ),
    ])
}
