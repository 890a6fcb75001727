//! Defaults of older releases, and readers that take what they sent.

use ccr_schemas::{IndexId, PartitionId, TableId, TxnId};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

pub(super) fn yes() -> bool {
    true
}

pub(super) fn minus_one() -> i64 {
    -1
}

pub(super) fn no_txn() -> TxnId {
    TxnId(-1)
}

pub(super) fn no_table() -> TableId {
    TableId(-1)
}

pub(super) fn no_index() -> IndexId {
    IndexId(-1)
}

pub(super) fn no_partition() -> PartitionId {
    PartitionId(-1)
}

/// An id that came as a number or as its decimal text.
pub(super) fn table_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TableId, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Number(i64),
        Text(String),
    }
    match Id::deserialize(deserializer)? {
        Id::Number(id) => Ok(TableId(id)),
        Id::Text(text) => text
            .trim()
            .parse()
            .map(TableId)
            .map_err(|_| serde::de::Error::custom("a table id is expected, not a name")),
    }
}

/// Whether a statement begins with these words, in any case and with any white space between.
pub(super) fn starts_with_words(sql: &str, words: &[&str]) -> bool {
    let mut found = sql.split_whitespace();
    words.iter().all(|word| {
        found
            .next()
            .is_some_and(|next| next.eq_ignore_ascii_case(word))
    })
}

/// Takes members that are null out of objects: a null member means the same as an absent one.
pub(super) fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => {
            items.iter_mut().for_each(without_nulls);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
