//! What identifies a record beside its position, so that a history that counts the same positions again is noticed.
//!
//! The same record does not always come in the same bytes: another FE writes other dates into all but UPSERT, and a newer
//! release adds members. So a fingerprint is made of what every FE tells alike: of an UPSERT the transaction, its label and
//! its finish time, of any other record what [`binlog::decode`] reads of it.

use std::hash::{DefaultHasher, Hash, Hasher};

use ccr_doris::RawBinlog;
use ccr_doris::binlog;
use ccr_schemas::{Envelope, Event, TableId, TimestampMs};
use serde::Deserialize;

/// Number of UPSERT in `TBinlogType`.
const UPSERT: i32 = 0;
/// Numbers of CREATE_TABLE and DROP_TABLE: a running FE adds them to the database's stream only.
const OUTSIDE_TABLE_STREAMS: [i32; 2] = [2, 4];

/// Identity of a record at a position. Kept in memory only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    digest: u64,
    /// A table whose own stream has the record, too; `None` when there is none.
    pub table: Option<TableId>,
}

/// The members of an UPSERT that identify it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Load {
    txn_id: i64,
    #[serde(default)]
    label: String,
}

impl Fingerprint {
    /// Of a record as the source gives it.
    pub fn of(record: &RawBinlog) -> Self {
        let table = record.table_ids.first().copied();
        let digest = match record.binlog_type {
            UPSERT => match serde_json::from_str::<Load>(&record.data) {
                Ok(load) => of_load(load.txn_id, &load.label, record.timestamp),
                Err(_) => hash(&(UPSERT, &record.data)),
            },
            other => match binlog::decode(record) {
                Ok(decoded) => hash(&(other, format!("{:?}", decoded.record))),
                Err(_) => hash(&(other, &record.data)),
            },
        };
        Self {
            digest,
            table: table.filter(|_| !OUTSIDE_TABLE_STREAMS.contains(&record.binlog_type)),
        }
    }

    /// Of a record as the log has it. `None` for events of our own, and where the log left out the record's text.
    pub fn of_event(envelope: &Envelope) -> Option<Self> {
        if !envelope.event.is_chained() {
            return None;
        }
        let tables = envelope.event.tables();
        if let Event::RowsetsCommitted(load) = &envelope.event {
            return Some(Self {
                digest: of_load(load.txn_id.0, &load.label, envelope.source_at),
                table: tables.first().map(|table| table.id),
            });
        }
        Some(Self::of(&RawBinlog {
            commit_seq: envelope.commit_seq,
            timestamp: envelope.source_at,
            binlog_type: envelope.binlog_type,
            db_id: envelope.db_id,
            table_ids: tables.iter().map(|table| table.id).collect(),
            data: envelope.raw.clone()?,
        }))
    }

    /// True when both are of the same record.
    pub fn is_same(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

fn of_load(txn_id: i64, label: &str, finished: TimestampMs) -> u64 {
    hash(&(UPSERT, txn_id, label, finished.0))
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use ccr_schemas::{CommitSeq, DbId};

    use super::*;

    fn record(binlog_type: i32, dated: i64, data: &str) -> RawBinlog {
        RawBinlog {
            commit_seq: CommitSeq(7),
            timestamp: TimestampMs(dated),
            binlog_type,
            db_id: DbId(1),
            table_ids: vec![TableId(5)],
            data: data.to_owned(),
        }
    }

    fn load(txn: i64, label: &str, more: &str) -> String {
        format!("{{\"txnId\":{txn},\"label\":\"{label}\",\"tableRecords\":{{}}{more}}}")
    }

    #[test]
    fn a_load_is_its_transaction_label_and_finish_time() {
        let one = Fingerprint::of(&record(0, 10, &load(1, "a", "")));
        let cases = [
            ("more members", 10, load(1, "a", ",\"new\":1"), true),
            ("another time", 11, load(1, "a", ""), false),
            ("another label", 10, load(1, "b", ""), false),
            ("another transaction", 10, load(2, "a", ""), false),
            ("unreadable", 10, "{".to_owned(), false),
        ];
        for (what, dated, data, same) in cases {
            let other = Fingerprint::of(&record(0, dated, &data));
            assert_eq!(one.is_same(&other), same, "{what}");
        }
    }

    #[test]
    fn another_frontend_gives_a_rename_another_date_and_it_is_the_same() {
        let rename = |new: &str| format!("{{\"tb\":5,\"nT\":\"{new}\",\"oT\":\"t\"}}");
        let one = Fingerprint::of(&record(14, 10, &rename("u")));
        assert!(one.is_same(&Fingerprint::of(&record(14, 99, &rename("u")))));
        assert!(!one.is_same(&Fingerprint::of(&record(14, 10, &rename("w")))));
        assert!(!one.is_same(&Fingerprint::of(&record(15, 10, &rename("u")))));
    }

    #[test]
    fn the_log_and_the_source_give_the_same_fingerprint() {
        let mut envelope = ccr_schemas::sample::upsert(CommitSeq(7), CommitSeq(6), 1);
        let raw = record(0, envelope.source_at.0, &load(7, "label_7", ""));
        let from_log = Fingerprint::of_event(&envelope).unwrap();
        assert!(from_log.is_same(&Fingerprint::of(&raw)));
        assert_eq!(from_log.table, Some(TableId(10_100)));

        let text = "{\"dbId\":1,\"tableId\":5,\"tableName\":\"t\",\"isView\":false,\"rawSql\":\"DROP TABLE t\"}";
        envelope.event = Event::TableDropped(ccr_schemas::event::TableDropped {
            table: ccr_schemas::event::TableRef {
                id: TableId(5),
                name: "t".to_owned(),
            },
            is_view: false,
            force: false,
        });
        envelope.binlog_type = 4;
        envelope.raw = Some(text.to_owned());
        let from_log = Fingerprint::of_event(&envelope).unwrap();
        assert!(from_log.is_same(&Fingerprint::of(&record(4, 99, text))));
        assert_eq!(from_log.table, None, "its table's stream does not have it");
        envelope.raw = None;
        assert_eq!(Fingerprint::of_event(&envelope), None);
    }
}
