//! The schema files of `schemas/avro`, put together into one self-contained schema.
//!
//! Each record is defined in its own file and names others; a registry, and a reader in another language, want one text in
//! which each name is defined where it is first used.

use std::collections::BTreeMap;

use serde_json::Value;

/// The root: names the event records in the order of [`crate::Event`]'s variants.
const ENVELOPE: &str = include_str!("../../avro/envelope.v1.avsc");

/// Every named record below the root, one per file.
const RECORDS: &[&str] = &[
    include_str!("../../avro/alter_job_changed.avsc"),
    include_str!("../../avro/backend_address.avsc"),
    include_str!("../../avro/barrier.avsc"),
    include_str!("../../avro/bucket_count_modified.avsc"),
    include_str!("../../avro/column_renamed.avsc"),
    include_str!("../../avro/columns_changed.avsc"),
    include_str!("../../avro/comment_modified.avsc"),
    include_str!("../../avro/database_properties_changed.avsc"),
    include_str!("../../avro/distribution.avsc"),
    include_str!("../../avro/distribution_type_modified.avsc"),
    include_str!("../../avro/gap.avsc"),
    include_str!("../../avro/heartbeat.avsc"),
    include_str!("../../avro/index_job_changed.avsc"),
    include_str!("../../avro/index_rowsets.avsc"),
    include_str!("../../avro/indexes_changed.avsc"),
    include_str!("../../avro/partition_added.avsc"),
    include_str!("../../avro/partition_dropped.avsc"),
    include_str!("../../avro/partition_ref.avsc"),
    include_str!("../../avro/partition_renamed.avsc"),
    include_str!("../../avro/partition_rowsets.avsc"),
    include_str!("../../avro/partitions_modified.avsc"),
    include_str!("../../avro/partitions_replaced.avsc"),
    include_str!("../../avro/properties_changed.avsc"),
    include_str!("../../avro/property.avsc"),
    include_str!("../../avro/recovered.avsc"),
    include_str!("../../avro/renamed.avsc"),
    include_str!("../../avro/rollup_dropped.avsc"),
    include_str!("../../avro/rollup_renamed.avsc"),
    include_str!("../../avro/rowsets_committed.avsc"),
    include_str!("../../avro/shadow_index.avsc"),
    include_str!("../../avro/snapshot_table.avsc"),
    include_str!("../../avro/snapshot_taken.avsc"),
    include_str!("../../avro/stream_head.avsc"),
    include_str!("../../avro/table_created.avsc"),
    include_str!("../../avro/table_dropped.avsc"),
    include_str!("../../avro/table_fact.avsc"),
    include_str!("../../avro/table_properties_changed.avsc"),
    include_str!("../../avro/table_ref.avsc"),
    include_str!("../../avro/table_renamed.avsc"),
    include_str!("../../avro/table_replaced.avsc"),
    include_str!("../../avro/table_rowsets.avsc"),
    include_str!("../../avro/table_truncated.avsc"),
    include_str!("../../avro/tablet_replicas.avsc"),
    include_str!("../../avro/timeline_changed.avsc"),
    include_str!("../../avro/unsupported.avsc"),
    include_str!("../../avro/view_redefined.avsc"),
];

/// The bundled schema as JSON text, with documentation.
pub(super) fn text() -> String {
    let mut pending: BTreeMap<String, Value> = RECORDS
        .iter()
        .map(|text| {
            let record = parse(text);
            (name_of(&record), record)
        })
        .collect();
    let mut root = parse(ENVELOPE);
    inline(&mut root, &mut pending);
    assert!(
        pending.is_empty(),
        "invariant: every schema file is reachable from the envelope: {:?}",
        pending.keys()
    );
    root.to_string()
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("invariant: schema files are part of this binary and tested")
}

fn name_of(record: &Value) -> String {
    record["name"]
        .as_str()
        .expect("invariant: every schema file defines a named record")
        .to_owned()
}

/// Replaces the first mention of each pending name by its definition, in depth-first order.
fn inline(node: &mut Value, pending: &mut BTreeMap<String, Value>) {
    match node {
        Value::String(name) => {
            if let Some(mut definition) = pending.remove(name.as_str()) {
                inline(&mut definition, pending);
                *node = definition;
            }
        }
        Value::Array(branches) => branches.iter_mut().for_each(|b| inline(b, pending)),
        Value::Object(object) => {
            if let Some(Value::Array(fields)) = object.get_mut("fields") {
                for field in fields {
                    inline(&mut field["type"], pending);
                }
            }
            for key in ["items", "values"] {
                if let Some(inner) = object.get_mut(key) {
                    inline(inner, pending);
                }
            }
            if let Some(inner @ (Value::Object(_) | Value::Array(_))) = object.get_mut("type") {
                inline(inner, pending);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
