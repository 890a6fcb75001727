//! What every log must do. Each function is one promise of the trait.

use std::collections::BTreeSet;
use std::time::Duration;

use ccr_log::{
    Error, MAX_METADATA_BYTES, MAX_RECORD_BYTES, NewRecord, Offset, ReaderEvent, TopicKind,
};
use ccr_schemas::TopicName;

use super::harness::{
    Harness, append, assigned, drain, group, hour, next, position, record, spec, text, tombstone,
    within,
};

pub async fn appends_in_order_with_growing_offsets(h: &dyn Harness) {
    let (log, topic) = (h.log(), h.topic(hour()).await);
    assert_eq!(
        within(log.watermarks(&topic)).await.expect("watermarks"),
        (Offset(0), Offset(0))
    );
    let first = append(&log, &topic, &["a", "b", "c"]).await;
    let second = append(&log, &topic, &["d"]).await;
    assert!(second > first);
    let all = within(log.read_range(&topic, Offset(0), 100))
        .await
        .expect("read");
    assert_eq!(
        all.iter().map(text).collect::<Vec<_>>(),
        ["a", "b", "c", "d"]
    );
    assert!(all.windows(2).all(|w| w[0].offset < w[1].offset));
    assert_eq!(all[2].offset, first);
    assert_eq!(all[3].offset, second);
    assert_eq!(
        all[0].headers,
        [("kind".to_owned(), "test".to_owned())],
        "headers travel"
    );
    assert_eq!(all[0].key, "k");
    assert!(all[0].appended_at_ms > 0);
    let (low, end) = within(log.watermarks(&topic)).await.expect("watermarks");
    assert_eq!((low, end), (Offset(0), Offset(second.0 + 1)));
}

pub async fn what_was_acknowledged_is_seen_by_another_handle(h: &dyn Harness) {
    let topic = h.topic(hour()).await;
    let last = append(&h.log(), &topic, &["a", "b"]).await;
    let other = h.log();
    let all = within(other.read_range(&topic, Offset(0), 10))
        .await
        .expect("read");
    assert_eq!(all.last().expect("records").offset, last);
}

pub async fn concurrent_appends_keep_each_callers_order(h: &dyn Harness) {
    let (log, topic) = (h.log(), h.topic(hour()).await);
    let callers = (0..8).map(|caller| {
        let (log, topic) = (log.clone(), topic.clone());
        tokio::spawn(async move {
            for i in 0..20 {
                let value = format!("{caller}:{i}");
                log.append(&topic, vec![record("k", &value)])
                    .await
                    .expect("append");
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        within(caller).await.expect("caller");
    }
    let all = within(log.read_range(&topic, Offset(0), 1000))
        .await
        .expect("read");
    assert_eq!(all.len(), 160);
    assert_eq!(
        all.iter().map(|r| r.offset).collect::<BTreeSet<_>>().len(),
        160
    );
    for caller in 0..8 {
        let mine: Vec<_> = all
            .iter()
            .map(text)
            .filter(|v| v.starts_with(&format!("{caller}:")))
            .collect();
        let want: Vec<_> = (0..20).map(|i| format!("{caller}:{i}")).collect();
        assert_eq!(mine, want);
    }
}

pub async fn ranges_keep_their_bounds(h: &dyn Harness) {
    let (log, topic) = (h.log(), h.topic(hour()).await);
    append(&log, &topic, &["a", "b", "c", "d"]).await;
    let read = |from: i64, most: usize| {
        let (log, topic) = (log.clone(), topic.clone());
        async move {
            let records = within(log.read_range(&topic, Offset(from), most)).await?;
            Ok::<_, Error>(records.iter().map(text).collect::<Vec<_>>())
        }
    };
    assert_eq!(read(1, 2).await.expect("read"), ["b", "c"]);
    assert_eq!(read(3, 10).await.expect("read"), ["d"]);
    assert!(read(4, 10).await.expect("at the end").is_empty());
    assert!(read(0, 0).await.expect("none wanted").is_empty());
    assert!(
        matches!(read(5, 10).await, Err(Error::Corrupt(_))),
        "beyond the end is never silent"
    );
}

pub async fn compacted_reads_give_the_last_of_each_key(h: &dyn Harness) {
    let (log, topic) = (h.log(), h.topic(TopicKind::Compacted).await);
    assert!(
        within(log.read_compacted(&topic))
            .await
            .expect("empty")
            .is_empty()
    );
    let batch = vec![
        record("x", "1"),
        record("y", "1"),
        record("x", "2"),
        record("z", "1"),
        tombstone("y"),
    ];
    within(log.append(&topic, batch)).await.expect("append");
    let last = within(log.read_compacted(&topic)).await.expect("read");
    let pairs: Vec<_> = last.iter().map(|(k, r)| (k.as_str(), text(r))).collect();
    assert_eq!(pairs, [("x", "2".to_owned()), ("z", "1".to_owned())]);
    within(log.append(&topic, vec![tombstone("x"), record("y", "3")]))
        .await
        .expect("append");
    let last = within(log.read_compacted(&topic)).await.expect("read");
    let pairs: Vec<_> = last.iter().map(|(k, r)| (k.as_str(), text(r))).collect();
    assert_eq!(pairs, [("y", "3".to_owned()), ("z", "1".to_owned())]);
}

pub async fn a_member_receives_nothing_until_it_seeks(h: &dyn Harness) {
    let (log, topic) = (h.log(), h.topic(hour()).await);
    append(&log, &topic, &["a", "b", "c"]).await;
    let mut reader = within(log.join(&group(&topic), &topic))
        .await
        .expect("join");
    assert_eq!(assigned(&mut reader).await, None);
    let early = tokio::time::timeout(Duration::from_millis(700), reader.next()).await;
    assert!(early.is_err(), "nothing before seek: {early:?}");
    within(reader.seek(Offset(1))).await.expect("seek");
    assert_eq!(
        drain(&mut reader).await,
        (vec!["b".to_owned(), "c".to_owned()], Offset(3))
    );
    append(&log, &topic, &["d"]).await;
    assert_eq!(
        drain(&mut reader).await,
        (vec!["d".to_owned()], Offset(4)),
        "reported again after new records"
    );
    let quiet = tokio::time::timeout(Duration::from_millis(500), reader.next()).await;
    assert!(quiet.is_err(), "reported once only: {quiet:?}");
    within(reader.seek(Offset(0)))
        .await
        .expect("seek back, twice");
    within(reader.seek(Offset(2)))
        .await
        .expect("seek back, twice");
    assert_eq!(
        drain(&mut reader).await,
        (vec!["c".to_owned(), "d".to_owned()], Offset(4)),
        "nothing of the earlier position is left"
    );
    within(reader.close()).await;
}

pub async fn an_empty_topic_is_caught_up(h: &dyn Harness) {
    let (log, topic) = (h.log(), h.topic(hour()).await);
    let mut reader = within(log.join(&group(&topic), &topic))
        .await
        .expect("join");
    assert_eq!(assigned(&mut reader).await, None);
    within(reader.seek(Offset(0))).await.expect("seek");
    assert_eq!(
        next(&mut reader).await,
        ReaderEvent::CaughtUp { end: Offset(0) }
    );
    within(reader.close()).await;
}

pub async fn the_next_member_continues_from_the_commit(h: &dyn Harness) {
    let (log, topic) = (h.log(), h.topic(hour()).await);
    append(&log, &topic, &["a", "b", "c"]).await;
    let mut first = within(log.join(&group(&topic), &topic))
        .await
        .expect("join");
    assert_eq!(assigned(&mut first).await, None);
    assert_eq!(
        within(log.committed(&group(&topic), &topic))
            .await
            .expect("committed"),
        None
    );
    within(first.seek(Offset(0))).await.expect("seek");
    drain(&mut first).await;
    let metadata = "m".repeat(1500);
    within(first.commit(position(1, "early")))
        .await
        .expect("commit");
    within(first.commit(position(2, &metadata)))
        .await
        .expect("commit");

    let mut second = within(h.log().join(&group(&topic), &topic))
        .await
        .expect("join");
    assert!(
        matches!(
            within(second.commit(position(3, "not mine"))).await,
            Err(Error::Fenced { .. })
        ),
        "not the owner"
    );
    assert!(
        matches!(
            within(second.seek(Offset(0))).await,
            Err(Error::Fenced { .. })
        ),
        "not the owner"
    );
    let early = tokio::time::timeout(Duration::from_millis(500), second.next()).await;
    assert!(early.is_err(), "one owner at a time: {early:?}");
    within(first.commit(position(2, &metadata)))
        .await
        .expect("still the owner");
    within(first.close()).await;

    assert_eq!(assigned(&mut second).await, Some(position(2, &metadata)));
    assert_eq!(
        within(h.log().committed(&group(&topic), &topic))
            .await
            .expect("committed"),
        Some(position(2, &metadata)),
        "seen from outside"
    );
    within(second.seek(Offset(2))).await.expect("seek");
    assert_eq!(drain(&mut second).await, (vec!["c".to_owned()], Offset(3)));
    within(second.close()).await;
}

pub async fn an_abruptly_dropped_member_is_replaced(h: &dyn Harness) {
    let (log, topic) = (h.log(), h.topic(hour()).await);
    let mut first = within(log.join(&group(&topic), &topic))
        .await
        .expect("join");
    assigned(&mut first).await;
    within(first.commit(position(0, "held")))
        .await
        .expect("commit");
    let mut second = within(h.log().join(&group(&topic), &topic))
        .await
        .expect("join");
    let waiting = tokio::spawn(async move {
        let committed = assigned(&mut second).await;
        (second, committed)
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(first);
    let (second, committed) = within(waiting).await.expect("second member");
    assert_eq!(committed, Some(position(0, "held")));
    within(second.close()).await;
}

pub async fn groups_do_not_see_each_other(h: &dyn Harness) {
    let (log, topic) = (h.log(), h.topic(hour()).await);
    append(&log, &topic, &["a"]).await;
    let mut one = within(log.join(&format!("one.{topic}"), &topic))
        .await
        .expect("join");
    let mut two = within(log.join(&format!("two.{topic}"), &topic))
        .await
        .expect("join");
    assigned(&mut one).await;
    assert_eq!(assigned(&mut two).await, None);
    within(one.commit(position(1, "1"))).await.expect("commit");
    assert_eq!(
        within(log.committed(&format!("two.{topic}"), &topic))
            .await
            .expect("read"),
        None
    );
    within(two.seek(Offset(0))).await.expect("seek");
    assert_eq!(drain(&mut two).await.0, ["a"]);
    within(one.close()).await;
    within(two.close()).await;
}

pub async fn expired_offsets_are_an_error(h: &dyn Harness) {
    let (log, topic) = (h.log(), h.topic(hour()).await);
    append(&log, &topic, &["a", "b"]).await;
    h.expire(&topic).await;
    append(&log, &topic, &["late"]).await;
    let (low, end) = within(log.watermarks(&topic)).await.expect("watermarks");
    assert!(low > Offset(0) && low < end, "{low:?} {end:?}");
    let read = within(log.read_range(&topic, Offset(0), 10)).await;
    assert!(
        matches!(&read, Err(Error::OffsetGone { wanted: Offset(0), oldest, .. }) if *oldest == low),
        "{read:?}"
    );
    let mut reader = within(log.join(&group(&topic), &topic))
        .await
        .expect("join");
    assigned(&mut reader).await;
    within(reader.seek(Offset(0))).await.expect("seek");
    let gone = within(reader.next()).await;
    assert!(
        matches!(&gone, Err(Error::OffsetGone { wanted: Offset(0), oldest, .. }) if *oldest == low),
        "{gone:?}"
    );
    within(reader.seek(low)).await.expect("seek");
    assert!(matches!(next(&mut reader).await, ReaderEvent::Record(r) if r.offset == low));
    within(reader.close()).await;
}

pub async fn unknown_topics_are_an_error(h: &dyn Harness) {
    let (log, topic) = (h.log(), TopicName("ccr.no.such.topic".to_owned()));
    fn refused<T>(answer: Result<T, Error>) -> bool {
        matches!(answer, Err(Error::UnknownTopic(_)))
    }
    assert!(refused(
        within(log.append(&topic, vec![record("k", "v")])).await
    ));
    assert!(refused(within(log.watermarks(&topic)).await));
    assert!(refused(within(log.read_range(&topic, Offset(0), 1)).await));
    assert!(refused(within(log.read_compacted(&topic)).await));
    assert!(refused(within(log.join(&group(&topic), &topic)).await));
    assert!(refused(within(log.committed(&group(&topic), &topic)).await));
}

pub async fn topics_are_verified(h: &dyn Harness) {
    if !h.has_admin() {
        return;
    }
    let (log, topic) = (h.log(), h.topic(hour()).await);
    within(log.ensure_topic(&spec(&topic, hour())))
        .await
        .expect("as it is");
    let other = within(log.ensure_topic(&spec(&topic, TopicKind::Compacted))).await;
    assert!(
        matches!(other, Err(Error::TopicMismatch { .. })),
        "{other:?}"
    );
}

pub async fn large_records_pass_and_larger_ones_are_named(h: &dyn Harness) {
    let (log, topic) = (h.log(), h.topic(hour()).await);
    let sized = |bytes: usize| NewRecord {
        key: "big".to_owned(),
        value: Some(
            (0..bytes)
                .map(|i| (i * 31 % 251) as u8)
                .collect::<Vec<_>>()
                .into(),
        ),
        headers: Vec::new(),
    };
    let large = sized(5 * 1024 * 1024 - 4096);
    within(log.append(&topic, vec![large.clone()]))
        .await
        .expect("5 MiB");
    let mut reader = within(log.join(&group(&topic), &topic))
        .await
        .expect("join");
    assigned(&mut reader).await;
    within(reader.seek(Offset(0))).await.expect("seek");
    let ReaderEvent::Record(read) = next(&mut reader).await else {
        panic!("the record");
    };
    assert!(read.value == large.value);
    within(reader.close()).await;
    let answer = within(log.append(&topic, vec![sized(MAX_RECORD_BYTES + 1)])).await;
    assert!(
        matches!(&answer, Err(Error::RecordTooLarge { key, .. }) if key == "big"),
        "{answer:?}"
    );
}

pub async fn long_metadata_is_refused(h: &dyn Harness) {
    let (log, topic) = (h.log(), h.topic(hour()).await);
    let mut reader = within(log.join(&group(&topic), &topic))
        .await
        .expect("join");
    assigned(&mut reader).await;
    let long = "m".repeat(MAX_METADATA_BYTES + 1);
    assert!(matches!(
        within(reader.commit(position(0, &long))).await,
        Err(Error::MetadataTooLarge(n)) if n == long.len()
    ));
    within(reader.commit(position(0, &long[1..])))
        .await
        .expect("at the limit");
    within(reader.close()).await;
}

pub async fn waiting_can_be_given_up_and_taken_up(h: &dyn Harness) {
    let (log, topic) = (h.log(), h.topic(hour()).await);
    let mut reader = within(log.join(&group(&topic), &topic))
        .await
        .expect("join");
    assigned(&mut reader).await;
    within(reader.seek(Offset(0))).await.expect("seek");
    let values: Vec<String> = (0..300).map(|i| i.to_string()).collect();
    let writer = {
        let (log, topic, values) = (log.clone(), topic.clone(), values.clone());
        tokio::spawn(async move {
            for chunk in values.chunks(10) {
                append(
                    &log,
                    &topic,
                    &chunk.iter().map(String::as_str).collect::<Vec<_>>(),
                )
                .await;
            }
        })
    };
    let mut read = Vec::new();
    within(async {
        while read.len() < values.len() {
            // Given up after a moment, again and again: nothing may be lost by it.
            match tokio::time::timeout(Duration::from_micros(200), reader.next()).await {
                Ok(Ok(ReaderEvent::Record(record))) => read.push(text(&record)),
                Ok(Ok(ReaderEvent::CaughtUp { .. })) | Err(_) => {}
                Ok(other) => panic!("{other:?}"),
            }
        }
    })
    .await;
    assert_eq!(read, values);
    within(writer).await.expect("writer");
    within(reader.close()).await;
}

/// The applier may work for minutes on one record: what is read ahead stays bounded, and nothing of it is lost.
pub async fn a_slow_reader_holds_delivery_back_and_loses_nothing(h: &dyn Harness) {
    let (log, topic) = (h.log(), h.topic(hour()).await);
    // Far more than a reader's buffer. It compresses well, for the mock keeps little.
    let filler = "x".repeat(64 * 1024);
    let values: Vec<String> = (0..320).map(|i| format!("{i}:{filler}")).collect();
    for chunk in values.chunks(20) {
        append(
            &log,
            &topic,
            &chunk.iter().map(String::as_str).collect::<Vec<_>>(),
        )
        .await;
    }
    let mut reader = within(log.join(&group(&topic), &topic))
        .await
        .expect("join");
    assigned(&mut reader).await;
    within(reader.seek(Offset(0))).await.expect("seek");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let (read, end) = drain(&mut reader).await;
    assert_eq!(end, Offset(320));
    let numbers: Vec<_> = read
        .iter()
        .map(|v| v.split(':').next().expect("number"))
        .collect();
    let want: Vec<_> = (0..320).map(|i| i.to_string()).collect();
    assert_eq!(numbers, want);
    within(reader.close()).await;
}

pub async fn every_seek_starts_exactly_at_its_offset(h: &dyn Harness) {
    let (log, topic) = (h.log(), h.topic(hour()).await);
    let values: Vec<String> = (0..500).map(|i| i.to_string()).collect();
    for chunk in values.chunks(7) {
        append(
            &log,
            &topic,
            &chunk.iter().map(String::as_str).collect::<Vec<_>>(),
        )
        .await;
    }
    let mut reader = within(log.join(&group(&topic), &topic))
        .await
        .expect("join");
    assigned(&mut reader).await;
    let mut state = 11_u64;
    for _ in 0..40 {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let start = i64::try_from((state >> 33) % 480).expect("small");
        let take = i64::try_from((state >> 20) % 20).expect("small");
        within(reader.seek(Offset(start))).await.expect("seek");
        for wanted in start..start + take {
            let event = next(&mut reader).await;
            assert!(
                matches!(&event, ReaderEvent::Record(r) if r.offset == Offset(wanted)),
                "wanted {wanted} after a seek to {start}, got {event:?}"
            );
        }
    }
    within(reader.close()).await;
}
