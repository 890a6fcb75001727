//! DDL text in the form Doris prints it.

use std::cmp::Ordering;
use std::fmt::Write as _;

use crate::catalog::properties;
use dorisim_model::partition::{self, Bound, compare_bounds};
use dorisim_model::types::ClauseSpelling;
use dorisim_model::{
    Cell, Column, DataType, Database, DefaultValue, IndexState, OlapTable, Partition,
    PartitionItem, PartitionKind, View,
};

/// Which reader the text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// SHOW CREATE TABLE.
    Shown,
    /// The `sql` of a CREATE_TABLE record: concrete buckets, `is_being_synced`.
    Synced,
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

/// How Doris escapes comments: the double quotes alone.
fn escaped(text: &str) -> String {
    text.replace('"', "\\\"")
}

fn double_quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// A column of ADD or MODIFY COLUMN as `rawSql` has it: `` `c` DATETIMEV2(0) NULL DEFAULT "1" COMMENT "x" ``. ON UPDATE is lost.
#[must_use]
pub fn column_clause(column: &Column) -> String {
    let mut sql = format!("`{}` {}", column.name, ClauseSpelling(&column.data_type));
    if let Some(aggregation) = column.aggregation {
        let _ = write!(sql, " {}", aggregation.as_str());
    }
    sql.push_str(if column.nullable {
        " NULL"
    } else {
        " NOT NULL"
    });
    if let Some(start) = column.auto_inc {
        let _ = write!(sql, " AUTO_INCREMENT ({start})");
    }
    match &column.default {
        None => {}
        Some(DefaultValue::Function(_)) if column.data_type == DataType::Hll => {}
        Some(DefaultValue::Function(name)) if name.eq_ignore_ascii_case("PI") => {
            let _ = write!(sql, " DEFAULT {}", std::f64::consts::PI);
        }
        Some(DefaultValue::Function(name)) if name.eq_ignore_ascii_case("E") => {
            let _ = write!(sql, " DEFAULT {}", std::f64::consts::E);
        }
        Some(default) => {
            let _ = write!(sql, " DEFAULT {}", default_sql(default, &column.data_type));
        }
    }
    let _ = write!(sql, " COMMENT \"{}\"", double_quoted(&column.comment));
    sql
}

/// What stands behind DEFAULT.
fn default_sql(default: &DefaultValue, ty: &DataType) -> String {
    match default {
        DefaultValue::Constant(None) => "NULL".to_owned(),
        DefaultValue::Constant(Some(text)) if *ty == DataType::Boolean => {
            format!("\"{}\"", if text == "1" { "true" } else { "false" })
        }
        DefaultValue::Constant(Some(text)) => format!("\"{}\"", double_quoted(text)),
        DefaultValue::CurrentTimestamp(0) => "CURRENT_TIMESTAMP".to_owned(),
        DefaultValue::CurrentTimestamp(n) => format!("CURRENT_TIMESTAMP({n})"),
        DefaultValue::Function(text) => text.clone(),
    }
}

fn column_text(column: &Column, unique: bool) -> String {
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
        Some(DefaultValue::Function(_)) if column.data_type == DataType::Hll => {}
        Some(DefaultValue::Constant(None)) => {}
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
    match column.on_update {
        None => {}
        Some(0) => sql.push_str(" ON UPDATE CURRENT_TIMESTAMP"),
        Some(n) => {
            let _ = write!(sql, " ON UPDATE CURRENT_TIMESTAMP({n})");
        }
    }
    if !column.comment.is_empty() {
        let _ = write!(sql, " COMMENT \"{}\"", escaped(&column.comment));
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
        .map(|c| format!("  {}", column_text(c, unique)))
        .collect();
    for index in &table.secondary {
        let mut line = format!(
            "  INDEX {} ({})",
            index.name,
            names(index.columns.iter()).replace("`, `", "`,`")
        );
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
            let _ = write!(line, " COMMENT \"{}\"", escaped(&index.comment));
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
        // Double quotes are escaped, single ones and backslashes are not, though single quotes stand around it.
        let _ = write!(sql, "\nCOMMENT '{}'", escaped(&table.comment));
    }
    sql.push_str(&partition_sql(table));
    let _ = write!(sql, "\n{}", table.distribution.to_sql(form == Form::Synced));
    if form == Form::Synced {
        sql.push_str(&rollups_sql(table));
    }
    sql.push_str("\nPROPERTIES (\n");
    let list: Vec<String> = properties::shown(table, form)
        .into_iter()
        .map(|(k, v)| format!("\"{k}\" = \"{}\"", double_quoted(&v)))
        .collect();
    sql.push_str(&list.join(",\n"));
    sql.push_str("\n);");
    sql
}

/// Rollups and materialized views, as the synced form lists them: without quotes.
fn rollups_sql(table: &OlapTable) -> String {
    let finished = table.indexes.iter().skip(1);
    let list: Vec<String> = finished
        .filter(|i| i.state == IndexState::Normal)
        .map(|i| {
            let columns = table.index_schema(i.id).visible();
            let columns: Vec<&str> = columns.map(|c| c.name.as_str()).collect();
            format!("{} ({})", i.name, columns.join(", "))
        })
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
    let by = match (&table.auto_partition, kind) {
        (Some(expression), _) => format!("\nAUTO PARTITION BY {kind} ({expression})"),
        (None, "LIST") => format!("\nPARTITION BY LIST ({})", names(columns.iter())),
        (None, _) => format!("\nPARTITION BY {kind}({})", names(columns.iter())),
    };
    let partitions = in_order(table, false);
    let list: Vec<String> = partitions
        .iter()
        .map(|p| {
            let policy = if p.storage_policy.is_empty() {
                String::new()
            } else {
                format!("(\"storage_policy\" = \"{}\")", p.storage_policy)
            };
            format!("PARTITION {} {}", p.name, shown_values(&p.item, &types))
                .trim_end()
                .to_owned()
                + &policy
        })
        .collect();
    format!("{by}\n({})", list.join(",\n"))
}

/// The partitions in the order of their items, as SHOW CREATE TABLE and SHOW PARTITIONS list them.
#[must_use]
pub fn in_order(table: &OlapTable, temp: bool) -> Vec<&Partition> {
    let types = table.partition_types();
    let mut partitions: Vec<&Partition> = table
        .partitions
        .values()
        .filter(|partition| partition.is_temp == temp)
        .collect();
    partitions.sort_by(|a, b| match (&a.item, &b.item) {
        (PartitionItem::Range { lower: a, .. }, PartitionItem::Range { lower: b, .. }) => {
            compare_bounds(a, b, &types)
        }
        // Lists stand in the order of their first values, the default partition in front.
        (PartitionItem::List(a), PartitionItem::List(b)) => compare_lists(a, b, &types),
        (PartitionItem::ListDefault, PartitionItem::List(_)) => Ordering::Less,
        (PartitionItem::List(_), PartitionItem::ListDefault) => Ordering::Greater,
        _ => a.id.cmp(&b.id),
    });
    partitions
}

/// The order of two list partitions: by their first tuples, NULL below every value.
fn compare_lists(a: &[Vec<Cell>], b: &[Vec<Cell>], types: &[DataType]) -> Ordering {
    let key = |tuples: &[Vec<Cell>]| -> Vec<Bound> {
        let first = tuples.first().map(Vec::as_slice).unwrap_or_default();
        let bound = |cell: &Cell| cell.clone().map_or(Bound::Min, Bound::Value);
        first.iter().map(bound).collect()
    };
    compare_bounds(&key(a), &key(b), types)
}

/// VALUES as SHOW CREATE TABLE prints them: lists of one column have no parentheses of their own.
fn shown_values(item: &PartitionItem, types: &[DataType]) -> String {
    match (item, types) {
        (PartitionItem::List(tuples), [only]) => {
            let cells: Vec<String> = tuples
                .iter()
                .filter_map(|tuple| tuple.first())
                .map(|cell| partition::key_sql(cell, only))
                .collect();
            format!("VALUES IN ({})", cells.join(","))
        }
        _ => item.values_sql(types),
    }
}

/// CREATE VIEW: declared columns on a line of their own, without quotes, as Doris prints them.
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
                    name.clone()
                } else {
                    format!("{name} comment '{}'", quoted(comment))
                }
            })
            .collect();
        format!("\n({})\n", list.join(","))
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
