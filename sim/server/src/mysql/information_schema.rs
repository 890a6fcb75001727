//! `information_schema`: the tables that tools ask for.

use dorisim_fe::Frontend;
use dorisim_model::clock::datetime_text;
use dorisim_model::{Column, DataType, Database, OlapTable};
use dorisim_query::{ColumnKind, ResultColumn, ResultSet};

/// Rows of a table; `None` when it is not known.
pub(super) fn table(frontend: &Frontend, name: &str) -> Option<ResultSet> {
    Some(match name.to_ascii_lowercase().as_str() {
        "schemata" => schemata(frontend),
        "tables" => tables(frontend),
        "columns" => columns(frontend),
        _ => return None,
    })
}

/// Names of all tables.
pub(super) fn names() -> Vec<&'static str> {
    vec!["columns", "schemata", "tables"]
}

fn result(columns: &[(&str, ColumnKind)]) -> ResultSet {
    let column = |(name, kind): &(&str, ColumnKind)| ResultColumn {
        name: (*name).to_owned(),
        kind: *kind,
    };
    ResultSet {
        columns: columns.iter().map(column).collect(),
        rows: Vec::new(),
    }
}

fn text(value: impl Into<String>) -> Option<String> {
    Some(value.into())
}

/// Every user database in order of names.
fn databases<T>(frontend: &Frontend, mut each: impl FnMut(&Database) -> T) -> Vec<T> {
    frontend.with_catalog(|catalog| {
        let mut databases: Vec<_> = catalog.databases.values().collect();
        databases.sort_by(|a, b| a.name.cmp(&b.name));
        databases.into_iter().map(&mut each).collect()
    })
}

fn schemata(frontend: &Frontend) -> ResultSet {
    const T: ColumnKind = ColumnKind::Text;
    let mut answer = result(&[
        ("CATALOG_NAME", T),
        ("SCHEMA_NAME", T),
        ("DEFAULT_CHARACTER_SET_NAME", T),
        ("DEFAULT_COLLATION_NAME", T),
        ("SQL_PATH", T),
    ]);
    let mut names = databases(frontend, |db| db.name.clone());
    names.push("information_schema".to_owned());
    for name in names {
        answer
            .rows
            .push(vec![text("internal"), Some(name), None, None, None]);
    }
    answer
}

fn tables(frontend: &Frontend) -> ResultSet {
    const T: ColumnKind = ColumnKind::Text;
    const I: ColumnKind = ColumnKind::Integer;
    let mut answer = result(&[
        ("TABLE_CATALOG", T),
        ("TABLE_SCHEMA", T),
        ("TABLE_NAME", T),
        ("TABLE_TYPE", T),
        ("ENGINE", T),
        ("VERSION", I),
        ("ROW_FORMAT", T),
        ("TABLE_ROWS", I),
        ("AVG_ROW_LENGTH", I),
        ("DATA_LENGTH", I),
        ("MAX_DATA_LENGTH", I),
        ("INDEX_LENGTH", I),
        ("DATA_FREE", I),
        ("AUTO_INCREMENT", I),
        ("CREATE_TIME", ColumnKind::DateTime(0)),
        ("UPDATE_TIME", ColumnKind::DateTime(0)),
        ("CHECK_TIME", ColumnKind::DateTime(0)),
        ("TABLE_COLLATION", T),
        ("CHECKSUM", I),
        ("CREATE_OPTIONS", T),
        ("TABLE_COMMENT", T),
    ]);
    let width = answer.columns.len();
    let row = |db: &str,
               name: &str,
               kind: &str,
               engine: Option<&str>,
               updated: Option<i64>,
               comment: &str| {
        let mut cells = vec![None; width];
        cells[0] = text("internal");
        cells[1] = text(db);
        cells[2] = text(name);
        cells[3] = text(kind);
        cells[4] = engine.map(str::to_owned);
        cells[15] = updated.map(datetime_text);
        cells[17] = text("utf-8");
        cells[20] = text(comment);
        cells
    };
    let rows = databases(frontend, |db| {
        let tables = db.tables.values().map(|table| {
            let updated = table
                .partitions
                .values()
                .map(|partition| partition.visible_version_time)
                .max();
            row(
                &db.name,
                &table.name,
                "BASE TABLE",
                Some("Doris"),
                updated,
                &table.comment,
            )
        });
        let views = db.views.values().map(|view| {
            row(
                &db.name,
                &view.name,
                "VIEW",
                Some("View"),
                None,
                &view.comment,
            )
        });
        tables.chain(views).collect::<Vec<_>>()
    });
    answer.rows = rows.into_iter().flatten().collect();
    for name in names() {
        answer.rows.push(row(
            "information_schema",
            name,
            "SYSTEM VIEW",
            Some("MEMORY"),
            None,
            "",
        ));
    }
    answer
}

fn columns(frontend: &Frontend) -> ResultSet {
    const T: ColumnKind = ColumnKind::Text;
    const I: ColumnKind = ColumnKind::Integer;
    let mut answer = result(&[
        ("TABLE_CATALOG", T),
        ("TABLE_SCHEMA", T),
        ("TABLE_NAME", T),
        ("COLUMN_NAME", T),
        ("ORDINAL_POSITION", I),
        ("COLUMN_DEFAULT", T),
        ("IS_NULLABLE", T),
        ("DATA_TYPE", T),
        ("CHARACTER_MAXIMUM_LENGTH", I),
        ("NUMERIC_PRECISION", I),
        ("NUMERIC_SCALE", I),
        ("COLUMN_TYPE", T),
        ("COLUMN_KEY", T),
        ("EXTRA", T),
        ("COLUMN_COMMENT", T),
    ]);
    let rows = databases(frontend, |db| {
        let of_table = |table: &OlapTable| {
            let each = |(at, column): (usize, &Column)| column_row(&db.name, table, at + 1, column);
            table
                .schema
                .visible()
                .enumerate()
                .map(each)
                .collect::<Vec<_>>()
        };
        db.tables.values().flat_map(of_table).collect::<Vec<_>>()
    });
    answer.rows = rows.into_iter().flatten().collect();
    answer
}

fn column_row(
    db: &str,
    table: &OlapTable,
    position: usize,
    column: &Column,
) -> Vec<Option<String>> {
    let (length, precision, scale) = match &column.data_type {
        DataType::Char(length) | DataType::Varchar(length) => {
            (Some(length.to_string()), None, None)
        }
        DataType::Decimal(precision, scale) => {
            (None, Some(precision.to_string()), Some(scale.to_string()))
        }
        _ => (None, None, None),
    };
    let declared = column.data_type.to_string();
    let base = declared
        .split(['(', '<'])
        .next()
        .unwrap_or_default()
        .to_owned();
    let key = match (&table.schema.keys, column.is_key) {
        (_, false) => "",
        (dorisim_model::KeysModel::Duplicate, true) => "DUP",
        (dorisim_model::KeysModel::Unique { .. }, true) => "UNI",
        (dorisim_model::KeysModel::Aggregate, true) => "AGG",
    };
    vec![
        text("internal"),
        text(db),
        text(&table.name),
        text(&column.name),
        text(position.to_string()),
        super::words::default_text(column),
        text(if column.nullable { "YES" } else { "NO" }),
        Some(base),
        length,
        precision,
        scale,
        Some(declared),
        text(key),
        text(""),
        text(&column.comment),
    ]
}
