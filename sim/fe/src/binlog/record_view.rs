//! The JSON of binlog records about views.

use serde_json::{Map, Value, json};

use crate::binlog::record::table_record;
use crate::state::Record;
use dorisim_model::View;

/// CREATE_TABLE (2) of a view.
pub fn create_view(db_id: i64, db: &str, view: &View, sql: &str) -> Record {
    table_record(
        2,
        db_id,
        view.id,
        json!({
            "commitSeq": 0, "dbId": db_id, "dbName": db, "tableId": view.id, "tableName": view.name, "tableType": "VIEW",
            "sql": sql, "properties": {},
        }),
    )
}

/// Session variables that a view keeps, with their defaults.
const VIEW_VARIABLES: [(&str, &str); 14] = [
    ("sql_mode", "32"),
    ("show_hidden_columns", "false"),
    ("block_encryption_mode", ""),
    ("decimal_overflow_scale", "6"),
    ("skip_storage_engine_merge", "false"),
    ("skip_delete_sign", "false"),
    ("skip_delete_bitmap", "false"),
    ("skip_missing_version", "false"),
    ("skip_bad_tablet", "false"),
    ("sql_dialect", "doris"),
    ("serde_dialect", "doris"),
    ("enable_strict_cast", "false"),
    ("enable_decimal256", "false"),
    ("skip_checking_acid_version_file", "false"),
];

fn view_variables() -> Value {
    VIEW_VARIABLES
        .into_iter()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect::<Map<_, _>>()
        .into()
}

/// MODIFY_VIEW_DEF (17): a new query. `comment` is set where the statement names one. Types of the columns are not known here.
pub fn view_def(db_id: i64, view: &View, comment: Option<&str>) -> Record {
    let columns: Vec<Value> = view
        .columns
        .iter()
        .map(|(name, comment)| json!({"name": name, "comment": comment}))
        .collect();
    let mut data = json!({
        "dbId": db_id, "tableId": view.id, "inlineViewDef": view.definition, "newFullSchema": columns,
    });
    if let Some(comment) = comment {
        data["comment"] = comment.into();
    }
    data["sv"] = view_variables();
    table_record(17, db_id, view.id, data)
}

/// MODIFY_VIEW_DEF (17) of `MODIFY COMMENT`: it has no query.
pub fn view_comment(db_id: i64, view_id: i64, comment: &str) -> Record {
    let data = json!({
        "dbId": db_id, "tableId": view_id, "newFullSchema": [], "comment": comment, "sv": view_variables(),
    });
    table_record(17, db_id, view_id, data)
}
