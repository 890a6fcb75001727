//! ALTER TABLE ENABLE FEATURE: hidden columns that a table was made without.

use crate::alter::index::no_temporary;
use crate::alter::job::light_change;
use crate::api::SqlError;
use crate::binlog::record;
use crate::frontend::Frontend;
use dorisim_model::catalog::Properties;
use dorisim_model::column::{DELETE_SIGN, SEQUENCE_COL, SKIP_BITMAP_COL, hidden};
use dorisim_model::{Aggregation, Column, DataType, DefaultValue, KeysModel, OlapTable};

/// The hidden column of a feature.
fn column_of(
    table: &OlapTable,
    feature: &str,
    properties: &Properties,
) -> Result<Column, SqlError> {
    let refuse = |text: &str| Err(SqlError::analysis(text));
    let KeysModel::Unique { mow, .. } = table.schema.keys else {
        return match feature {
            "BATCH_DELETE" => refuse("Batch delete only supported in unique tables."),
            "SEQUENCE_LOAD" => refuse("Sequence load only supported in unique tables."),
            _ => refuse("unknown feature for alter clause"),
        };
    };
    let column = match feature {
        "BATCH_DELETE" => hidden(DELETE_SIGN, DataType::TinyInt, false, Some("0")),
        "SEQUENCE_LOAD" => {
            let Some(text) = properties.get("function_column.sequence_type") else {
                return refuse("unknown sequence column type");
            };
            let data_type = DataType::parse(text).map_err(SqlError::analysis)?;
            if !data_type.is_integer()
                && !matches!(data_type, DataType::Date | DataType::DateTime(_))
            {
                return refuse("sequence type only support integer types and date types");
            }
            hidden(SEQUENCE_COL, data_type, true, None)
        }
        "UPDATE_FLEXIBLE_COLUMNS" if mow => Column {
            default: Some(DefaultValue::Function("BITMAP_EMPTY".to_owned())),
            ..hidden(SKIP_BITMAP_COL, DataType::Bitmap, false, None)
        },
        "UPDATE_FLEXIBLE_COLUMNS" => {
            return refuse(
                "Update flexible columns feature is only supported on merge-on-write unique tables.",
            );
        }
        _ => return refuse("unknown feature for alter clause"),
    };
    if table.schema.column(&column.name).is_some() {
        return Err(SqlError::analysis(format!(
            "Can not add column which already exists in base table: {}",
            column.name
        )));
    }
    Ok(Column {
        aggregation: (!mow).then_some(Aggregation::Replace),
        ..column
    })
}

/// The clause as Doris prints it.
fn clause_text(feature: &str, properties: &Properties) -> String {
    let list: Vec<String> = properties
        .iter()
        .map(|(key, value)| format!("\"{key}\" = \"{value}\""))
        .collect();
    let with = if list.is_empty() {
        String::new()
    } else {
        format!(" WITH PROPERTIES ({})", list.join(", "))
    };
    format!("ENABLE FEATURE \"{feature}\"{with}")
}

impl Frontend {
    /// The column is added as a light change adds one: with a record of its own.
    pub(crate) async fn enable_feature(
        &self,
        db: &str,
        name: &str,
        feature: &str,
        properties: &Properties,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        {
            let mut guard = self.lock();
            let state = &mut *guard;
            let db_id = state.db(db)?.id;
            let table = state.table(db, name)?;
            no_temporary(table)?;
            let mut column = column_of(table, &feature.to_ascii_uppercase(), properties)?;
            let base = table.base_index_id();
            let before = [(base, table.schema.clone())].into_iter().collect();
            let job_id = state.new_id();
            let table = state.table_mut(db, name)?;
            table.max_column_unique_id += 1;
            column.unique_id = table.max_column_unique_id;
            column.copied = true;
            // Among the hidden columns it is the first, but for the last one.
            let columns = &mut table.schema.columns;
            let is_last = column.name == SKIP_BITMAP_COL;
            let at = columns.iter().position(|c| !c.visible && !is_last);
            columns.insert(at.unwrap_or(columns.len()), column);
            table.schema.schema_version += 1;
            table.properties.extend(properties.clone());
            if feature.eq_ignore_ascii_case("UPDATE_FLEXIBLE_COLUMNS") {
                let key = "enable_unique_key_skip_bitmap_column".to_owned();
                table.properties.insert(key, "true".to_owned());
            }
            let raw = format!(
                "ALTER TABLE `{db}`.`{name}` {}",
                clause_text(feature, properties)
            );
            let record = record::alter_columns(db_id, table, &before, job_id, &raw);
            let job = light_change(table, &[base], (db_id, job_id), &raw, now);
            state.alters.submit(job);
            state.emit(record, now);
        }
        self.push_schema(db, name).await;
        Ok(())
    }
}
