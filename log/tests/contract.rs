//! One contract, every log: embedded, librdkafka's mock cluster, and a real Apache Kafka.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

#[path = "contract/harness.rs"]
mod harness;
#[path = "contract/on_embedded.rs"]
mod on_embedded;
#[path = "contract/on_kafka.rs"]
mod on_kafka;
#[path = "contract/on_mock.rs"]
mod on_mock;
#[path = "contract/suite.rs"]
mod suite;

/// All promises on one kind of log.
macro_rules! contract {
    ($log:ident) => {
        contract!($log:
            appends_in_order_with_growing_offsets,
            what_was_acknowledged_is_seen_by_another_handle,
            concurrent_appends_keep_each_callers_order,
            ranges_keep_their_bounds,
            compacted_reads_give_the_last_of_each_key,
            a_member_receives_nothing_until_it_seeks,
            an_empty_topic_is_caught_up,
            the_next_member_continues_from_the_commit,
            an_abruptly_dropped_member_is_replaced,
            groups_do_not_see_each_other,
            expired_offsets_are_an_error,
            unknown_topics_are_an_error,
            topics_are_verified,
            large_records_pass_and_larger_ones_are_named,
            long_metadata_is_refused,
            waiting_can_be_given_up_and_taken_up,
            a_slow_reader_holds_delivery_back_and_loses_nothing,
            every_seek_starts_exactly_at_its_offset,
        );
    };
    ($log:ident: $($promise:ident),* $(,)?) => {
        mod $log {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    if let Some(harness) = crate::$log::start().await {
                        crate::suite::$promise(&harness).await;
                    }
                }
            )*
        }
    };
}

mod contract_of {
    contract!(on_embedded);
    contract!(on_mock);
    contract!(on_kafka);
}
