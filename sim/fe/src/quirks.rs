//! Records as frontends of other versions write them, on demand.
//!
//! The setting [`SETTING`] lists names of [`Quirk`]s, separated by commas; records made from then on have those forms.

use serde_json::{Value, json};

/// Name of the setting, for ADMIN SET FRONTEND CONFIG and `/sim/settings`.
pub const SETTING: &str = "dorisim_record_quirks";

/// One way in which records of other versions differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    /// ADD_PARTITION: `distributionInfo` and `name` instead of `di` and `nm`.
    LongPartitionNames,
    /// Index objects: `indexId`, `indexName`, `columns`, `indexType`, `properties`, `comment`, `columnUniqueIds` instead of `i`, `in`, ...
    LongIndexNames,
    /// DROP_PARTITION without `pid`, REPLACE_PARTITIONS without `partitionIds` (before mid-2024).
    NoPartitionIds,
    /// Renames without `oT`, `oR`, `oP` (before mid-2024).
    NoOldNames,
    /// UPSERT without `indexIds`.
    NoIndexIds,
    /// `sql` of ADD_PARTITION as before 2.1.3: `VALUES [(), ())` where nothing is partitioned, three brackets before list values, no TEMPORARY.
    OldPartitionSql,
    /// Members that no reader knows, on every level that is an object of its own.
    UnknownFields,
    /// Members in reverse order.
    ReversedKeys,
}

impl Quirk {
    /// Every quirk.
    pub const ALL: [Self; 8] = [
        Self::LongPartitionNames,
        Self::LongIndexNames,
        Self::NoPartitionIds,
        Self::NoOldNames,
        Self::NoIndexIds,
        Self::OldPartitionSql,
        Self::UnknownFields,
        Self::ReversedKeys,
    ];

    /// Its name in the setting.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LongPartitionNames => "long_partition_names",
            Self::LongIndexNames => "long_index_names",
            Self::NoPartitionIds => "no_partition_ids",
            Self::NoOldNames => "no_old_names",
            Self::NoIndexIds => "no_index_ids",
            Self::OldPartitionSql => "old_partition_sql",
            Self::UnknownFields => "unknown_fields",
            Self::ReversedKeys => "reversed_keys",
        }
    }
}

/// The quirks that a value of the setting lists; unknown names are passed over.
#[must_use]
pub fn listed(setting: Option<&str>) -> Vec<Quirk> {
    let names: Vec<&str> = setting.unwrap_or("").split(',').map(str::trim).collect();
    Quirk::ALL
        .into_iter()
        .filter(|quirk| names.contains(&quirk.name()))
        .collect()
}

/// Gives a record of type `kind` the forms of these quirks.
pub fn apply(quirks: &[Quirk], kind: i32, data: &mut Value) {
    for quirk in quirks {
        match quirk {
            Quirk::LongPartitionNames if kind == 1 => {
                rename(&mut data["partition"], &[("di", "distributionInfo"), ("nm", "name")]);
            }
            Quirk::LongIndexNames => {
                for list in ["indexes", "alterInvertedIndexes"] {
                    for index in data[list].as_array_mut().into_iter().flatten() {
                        long_index(index);
                    }
                }
            }
            Quirk::NoPartitionIds => remove(data, &[(3, "pid"), (12, "partitionIds")], kind),
            Quirk::NoOldNames if matches!(kind, 14 | 21 | 22 | 26) => {
                remove(data, &[(kind, "oT"), (kind, "oR"), (kind, "oP")], kind);
            }
            Quirk::NoIndexIds if kind == 0 => {
                for table in data["tableRecords"].as_object_mut().into_iter().flatten() {
                    remove(table.1, &[(0, "indexIds")], 0);
                }
            }
            Quirk::OldPartitionSql if kind == 1 => {
                if let Some(sql) = data["sql"].as_str().map(old_partition_sql) {
                    data["sql"] = sql.into();
                }
            }
            Quirk::UnknownFields => add_unknown(data),
            Quirk::LongPartitionNames
            | Quirk::NoOldNames
            | Quirk::NoIndexIds
            | Quirk::OldPartitionSql
            // A matter of the text, not of the value.
            | Quirk::ReversedKeys => {}
        }
    }
}

fn rename(object: &mut Value, names: &[(&str, &str)]) {
    if let Some(object) = object.as_object_mut() {
        for (short, long) in names {
            if let Some(value) = object.remove(*short) {
                object.insert((*long).to_owned(), value);
            }
        }
    }
}

fn remove(object: &mut Value, members: &[(i32, &str)], kind: i32) {
    if let Some(object) = object.as_object_mut() {
        for (_, member) in members.iter().filter(|(of, _)| *of == kind) {
            object.remove(*member);
        }
    }
}

fn long_index(index: &mut Value) {
    rename(
        index,
        &[
            ("i", "indexId"),
            ("in", "indexName"),
            ("c", "columns"),
            ("it", "indexType"),
            ("pt", "properties"),
            ("ct", "comment"),
        ],
    );
    if index.is_object() {
        index["columnUniqueIds"] = json!([]);
    }
}

/// As releases before 2.1.3 and 2.0.10 wrote it.
fn old_partition_sql(sql: &str) -> String {
    let sql = sql.replacen("ADD TEMPORARY PARTITION", "ADD PARTITION", 1);
    if sql.contains("VALUES IN (") {
        return sql.replacen("VALUES IN (", "VALUES IN ((", 1).replacen(
            ") (\"version_info\"",
            ")) (\"version_info\"",
            1,
        );
    }
    if sql.contains("VALUES") || sql.contains("version_info") {
        return sql;
    }
    format!("{sql} VALUES [(), ()) (\"version_info\" = \"1\");")
}

/// Members whose value is a map with keys of its own: a reader takes every entry for one.
const MAPS: [&str; 8] = [
    "properties",
    "pt",
    "tableProperties",
    "op",
    "colToComment",
    "indexNameToId",
    "allocMap",
    "sv",
];

fn add_unknown(value: &mut Value) {
    if let Some(object) = value.as_object_mut() {
        // Maps by id keep their shape: a reader takes every member of theirs for an entry.
        let by_id = object
            .keys()
            .any(|key| key.bytes().all(|b| b.is_ascii_digit()));
        for (name, member) in object.iter_mut() {
            if !MAPS.contains(&name.as_str()) {
                add_unknown(member);
            }
        }
        if !by_id && !object.is_empty() {
            object.insert(
                "zzFutureMember".to_owned(),
                json!({"since": "9.9", "l": [1, null]}),
            );
        }
    } else if let Some(list) = value.as_array_mut() {
        list.iter_mut().for_each(add_unknown);
    }
}

/// The value with the members of every object in reverse order, as text.
#[must_use]
pub fn reversed(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<String> = crate::binlog::gson_order::members(members)
                .into_iter()
                .rev()
                .map(|(name, member)| format!("{}:{}", Value::from(name), reversed(member)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(list) => {
            let list: Vec<String> = list.iter().map(reversed).collect();
            format!("[{}]", list.join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_and_found() {
        let all: Vec<&str> = Quirk::ALL.iter().map(|q| q.name()).collect();
        assert_eq!(listed(Some(&all.join(" , "))), Quirk::ALL);
        assert!(listed(Some("nonsense")).is_empty() && listed(None).is_empty());
    }

    #[test]
    fn old_partition_statements() {
        let range = "ADD PARTITION `p` VALUES [(\"1\"), (\"2\")) (\"version_info\" = \"1\");";
        assert_eq!(old_partition_sql(range), range);
        assert_eq!(
            old_partition_sql(
                "ADD TEMPORARY PARTITION `p` VALUES IN ((\"1\")) (\"version_info\" = \"1\");"
            ),
            "ADD PARTITION `p` VALUES IN (((\"1\"))) (\"version_info\" = \"1\");"
        );
        assert_eq!(
            old_partition_sql("ADD PARTITION `t`"),
            "ADD PARTITION `t` VALUES [(), ()) (\"version_info\" = \"1\");"
        );
    }

    #[test]
    fn unknown_members_leave_maps_by_id_alone() {
        let mut data = json!({"dbId": 1, "op": {"5": "p"}, "infos": [{"a": {"7": {"b": 1}}}]});
        add_unknown(&mut data);
        assert_eq!(data["op"], json!({"5": "p"}));
        assert!(data["zzFutureMember"].is_object());
        assert!(data["infos"][0]["zzFutureMember"].is_object());
        let by_id = data["infos"][0]["a"].as_object().unwrap();
        assert_eq!(by_id.len(), 1);
        assert!(by_id["7"]["zzFutureMember"].is_object());
    }

    #[test]
    fn reversed_text_is_the_same_value() {
        let value = json!({"a": [{"x": 1, "y": "q\"="}], "b": null});
        let text = reversed(&value);
        assert!(text.starts_with("{\"b\":null,\"a\":[{\"y\""), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
