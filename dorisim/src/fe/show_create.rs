//! DDL text in the form Doris prints it.

use std::fmt::Write as _;

use super::api::SqlError;
use crate::model::catalog::Properties;
use crate::model::{
    Column, Database, DefaultValue, IndexState, OlapTable, Partition, PartitionKind, View,
};

/// Which reader the text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// SHOW CREATE TABLE.
    Shown,
    /// The `sql` of a CREATE_TABLE record: concrete buckets, `is_being_synced`.
    Synced,
}

/// `tag.location.default: N`.
#[must_use]
pub fn allocation(replicas: u32) -> String {
    format!("tag.location.default: {replicas}")
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

fn double_quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// One column of CREATE TABLE: `` `c` int NULL DEFAULT "1" COMMENT 'x' ``.
#[must_use]
pub fn column_sql(column: &Column, unique: bool) -> String {
    let mut sql = format!("`{}` {}", column.name, column.data_type);
    if let Some(aggregation) = column.aggregation.filter(|_| !unique) {
        let _ = write!(sql, " {}", aggregation.as_str());
    }
    if let Some(expression) = &column.generated {
        let _ = write!(sql, " AS ({expression})");
    }
    sql.push_str(if column.nullable {
        " NULL"
    } else {
        " NOT NULL"
    });
    if let Some(start) = column.auto_inc {
        let _ = write!(sql, " AUTO_INCREMENT({start})");
    }
    match &column.default {
        None => {}
        Some(DefaultValue::Constant(None)) if !column.nullable || column.generated.is_some() => {}
        Some(DefaultValue::Constant(None)) => sql.push_str(" DEFAULT NULL"),
        Some(DefaultValue::Constant(Some(text))) => {
            let _ = write!(sql, " DEFAULT \"{}\"", double_quoted(text));
        }
        Some(DefaultValue::CurrentTimestamp(0)) => sql.push_str(" DEFAULT CURRENT_TIMESTAMP"),
        Some(DefaultValue::CurrentTimestamp(n)) => {
            let _ = write!(sql, " DEFAULT CURRENT_TIMESTAMP({n})");
        }
        Some(DefaultValue::Function(text)) => {
            let _ = write!(sql, " DEFAULT {text}");
        }
    }
    if !column.comment.is_empty() {
        let _ = write!(sql, " COMMENT '{}'", quoted(&column.comment));
    }
    sql
}

fn names(columns: impl Iterator<Item = impl AsRef<str>>) -> String {
    columns
        .map(|c| format!("`{}`", c.as_ref()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// CREATE TABLE of a table, without database name, with a `;` at the end.
#[must_use]
pub fn create_table(table: &OlapTable, form: Form) -> String {
    let unique = table.schema.keys.is_unique();
    let mut sql = format!("CREATE TABLE `{}` (\n", table.name);
    let mut lines: Vec<String> = table
        .schema
        .visible()
        .map(|c| format!("  {}", column_sql(c, unique)))
        .collect();
    for index in &table.secondary {
        let mut line = format!("  INDEX {} ({})", index.name, names(index.columns.iter()));
        if !index.kind.is_empty() {
            let _ = write!(line, " USING {}", index.kind);
        }
        if !index.properties.is_empty() {
            let list: Vec<String> = index
                .properties
                .iter()
                .map(|(k, v)| format!("\"{k}\" = \"{v}\""))
                .collect();
            let _ = write!(line, " PROPERTIES({})", list.join(", "));
        }
        if !index.comment.is_empty() {
            let _ = write!(line, " COMMENT '{}'", quoted(&index.comment));
        }
        lines.push(line);
    }
    sql.push_str(&lines.join(",\n"));
    sql.push_str("\n) ENGINE=OLAP\n");
    let _ = write!(
        sql,
        "{}({})",
        table.schema.keys.as_sql(),
        names(table.schema.key_columns().map(|c| &c.name))
    );
    if !table.comment.is_empty() {
        let _ = write!(sql, "\nCOMMENT '{}'", quoted(&table.comment));
    }
    sql.push_str(&partition_sql(table));
    let _ = write!(sql, "\n{}", table.distribution.to_sql(form == Form::Synced));
    if form == Form::Synced {
        sql.push_str(&rollups_sql(table));
    }
    sql.push_str("\nPROPERTIES (\n");
    let list: Vec<String> = shown_properties(table, form)
        .into_iter()
        .map(|(k, v)| format!("\"{k}\" = \"{}\"", double_quoted(&v)))
        .collect();
    sql.push_str(&list.join(",\n"));
    sql.push_str("\n);");
    sql
}

/// The rollups, as the synced form lists them; materialized views have columns that no ROLLUP clause can name.
fn rollups_sql(table: &OlapTable) -> String {
    let list: Vec<String> = table
        .indexes
        .iter()
        .skip(1)
        .filter(|i| {
            i.state == IndexState::Normal
                && i.columns.iter().all(|c| {
                    let schema = i.schema.as_ref().unwrap_or(&table.schema);
                    schema.column(c).is_some()
                })
        })
        .map(|i| format!("`{}` ({})", i.name, names(i.columns.iter())))
        .collect();
    if list.is_empty() {
        String::new()
    } else {
        format!("\nROLLUP (\n{}\n)", list.join(",\n"))
    }
}

fn partition_sql(table: &OlapTable) -> String {
    let (kind, columns) = match &table.partition_kind {
        PartitionKind::Unpartitioned => return String::new(),
        PartitionKind::Range(columns) => ("RANGE", columns),
        PartitionKind::List(columns) => ("LIST", columns),
    };
    let types = table.partition_types();
    let by = match &table.auto_partition {
        Some(expression) => format!("\nAUTO PARTITION BY {kind} ({expression})"),
        None => format!("\nPARTITION BY {kind}({})", names(columns.iter())),
    };
    let mut partitions: Vec<&Partition> =
        table.partitions.values().filter(|p| !p.is_temp).collect();
    partitions.sort_by_key(|p| p.id);
    let list: Vec<String> = partitions
        .iter()
        .map(|p| {
            format!("PARTITION {} {}", p.name, p.item.values_sql(&types))
                .trim_end()
                .to_owned()
        })
        .collect();
    format!("{by}\n({})", list.join(",\n"))
}

/// The properties that CREATE TABLE shows, in Doris' order.
#[must_use]
pub fn shown_properties(table: &OlapTable, form: Form) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = vec![(
        "replication_allocation".to_owned(),
        allocation(table.replication_num),
    )];
    let mut rest = table.properties.clone();
    if form == Form::Synced {
        rest.insert("is_being_synced".to_owned(), "true".to_owned());
        if table.distribution.auto {
            rest.insert("_auto_bucket".to_owned(), "true".to_owned());
        }
    }
    const ORDER: [&str; 12] = [
        "min_load_replica_num",
        "bloom_filter_columns",
        "is_being_synced",
        "_auto_bucket",
        "colocate_with",
        "in_memory",
        "storage_medium",
        "storage_format",
        "inverted_index_storage_format",
        "compression",
        "enable_unique_key_merge_on_write",
        "light_schema_change",
    ];
    for key in ORDER {
        if let Some(value) = rest.remove(key) {
            out.push((key.to_owned(), value));
        }
    }
    out.extend(rest);
    out
}

/// The `properties` member of a CREATE_TABLE record.
#[must_use]
pub fn record_properties(table: &OlapTable) -> Properties {
    shown_properties(table, Form::Shown).into_iter().collect()
}

/// CREATE VIEW.
#[must_use]
pub fn create_view(view: &View) -> String {
    let columns = if view.columns.is_empty() {
        String::new()
    } else {
        let list: Vec<String> = view
            .columns
            .iter()
            .map(|(name, comment)| {
                if comment.is_empty() {
                    format!("`{name}`")
                } else {
                    format!("`{name}` COMMENT '{}'", quoted(comment))
                }
            })
            .collect();
        format!(" ({})", list.join(", "))
    };
    let comment = if view.comment.is_empty() {
        String::new()
    } else {
        format!(" COMMENT '{}'", quoted(&view.comment))
    };
    format!(
        "CREATE VIEW `{}`{columns}{comment} AS {};",
        view.name, view.definition
    )
}

/// CREATE DATABASE.
#[must_use]
pub fn create_database(db: &Database) -> String {
    if db.properties.is_empty() {
        return format!("CREATE DATABASE `{}`", db.name);
    }
    let list: Vec<String> = db
        .properties
        .iter()
        .map(|(k, v)| format!("\"{k}\" = \"{v}\""))
        .collect();
    format!(
        "CREATE DATABASE `{}`\nPROPERTIES (\n{}\n)",
        db.name,
        list.join(",\n")
    )
}

/// Checks `binlog.*` values and replica numbers of a property list.
pub fn check_properties(properties: &Properties) -> Result<(), SqlError> {
    for (key, value) in properties {
        let fine = match key.as_str() {
            "binlog.enable"
            | "light_schema_change"
            | "enable_unique_key_merge_on_write"
            | "is_being_synced" => {
                matches!(value.to_ascii_lowercase().as_str(), "true" | "false")
            }
            "binlog.ttl_seconds" | "binlog.max_bytes" | "binlog.max_history_nums" => {
                value.parse::<i64>().is_ok()
            }
            "replication_num" => value.parse::<u32>().is_ok_and(|n| n > 0),
            _ => true,
        };
        if !fine {
            return Err(SqlError::analysis(format!(
                "Invalid value of property {key}: {value}"
            )));
        }
    }
    Ok(())
}

/// Takes the replica number out of `replication_num` or `replication_allocation`.
pub fn take_replicas(properties: &mut Properties, prefix: &str) -> Result<Option<u32>, SqlError> {
    let number = properties.remove(&format!("{prefix}replication_num"));
    let allocation = properties.remove(&format!("{prefix}replication_allocation"));
    let text = match (number, allocation) {
        (None, None) => return Ok(None),
        (_, Some(allocation)) => allocation
            .split(',')
            .filter_map(|tag| tag.rsplit(':').next())
            .map(|n| n.trim().parse::<u32>())
            .try_fold(0_u32, |sum, n| n.map(|n| sum + n))
            .ok()
            .map(|n| n.to_string())
            .unwrap_or(allocation),
        (Some(number), None) => number,
    };
    match text.trim().parse::<u32>() {
        Ok(n) if n > 0 => Ok(Some(n)),
        Ok(_) | Err(_) => Err(SqlError::analysis(format!(
            "Invalid replication number: {text}"
        ))),
    }
}
