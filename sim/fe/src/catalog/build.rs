//! From CREATE TABLE to a table without partitions: columns, keys, hidden columns, properties.

use std::collections::BTreeMap;

use crate::api::SqlError;
use crate::catalog::build_properties::{properties, settle_dynamic};
use crate::catalog::generated_text;
use crate::catalog::key_columns;
use crate::catalog::properties::is_on;
use crate::catalog::rollup_schema::schema_hash;
use crate::state::FeState;
use dorisim_model::catalog::Properties;
use dorisim_model::column::{DELETE_SIGN, ROW_STORE_COL, SEQUENCE_COL, VERSION_COL, hidden};
use dorisim_model::{
    Aggregation, Column, DataType, DefaultValue, Distribution, DistributionKind, IndexMeta,
    IndexState, KeysModel, OlapTable, PartitionKind, SecondaryIndex, TableSchema, TableState,
};
use dorisim_sql::ast;

/// Buckets of `BUCKETS AUTO` without an estimate.
const AUTO_BUCKETS: u32 = 10;

/// A column as DDL gives it; key, aggregation and unique id are the caller's.
pub fn column(def: &ast::ColumnDef) -> Result<Column, SqlError> {
    key_columns::check_version(&def.type_text)?;
    let data_type = DataType::parse(&def.type_text).map_err(SqlError::analysis)?;
    let default = match &def.default {
        None => None,
        Some(ast::DefaultValue::Null) => Some(DefaultValue::Constant(None)),
        Some(ast::DefaultValue::Literal(text)) => Some(DefaultValue::Constant(
            data_type.canonicalize(text).map_err(|_| {
                SqlError::analysis(format!(
                    "Invalid default value of column {}: {text}",
                    def.name
                ))
            })?,
        )),
        Some(ast::DefaultValue::CurrentTimestamp(scale)) => {
            Some(DefaultValue::CurrentTimestamp(scale.unwrap_or(0)))
        }
        Some(ast::DefaultValue::CurrentDate) => {
            Some(DefaultValue::Function("CURRENT_DATE".to_owned()))
        }
        Some(ast::DefaultValue::Expression(text)) => Some(DefaultValue::Function(text.clone())),
    };
    let aggregation = match &def.aggregation {
        None => None,
        Some(text) => Some(
            Aggregation::parse(text)
                .ok_or_else(|| SqlError::analysis(format!("Unknown aggregate type: {text}")))?,
        ),
    };
    // A bitmap is never NULL: its default is the empty one, also where NULL was written.
    let default = match default {
        None | Some(DefaultValue::Constant(None)) if data_type == DataType::Bitmap => {
            Some(DefaultValue::Function("BITMAP_EMPTY".to_owned()))
        }
        other => other,
    };
    check_column(def, &data_type, default.as_ref())?;
    let default = match default {
        None if data_type == DataType::Hll => Some(DefaultValue::Function("HLL_EMPTY".to_owned())),
        None if aggregation == Some(Aggregation::ReplaceIfNotNull) => {
            Some(DefaultValue::Constant(None))
        }
        other => other,
    };
    let on_update = match &default {
        Some(DefaultValue::CurrentTimestamp(scale)) => *scale,
        Some(DefaultValue::Constant(_) | DefaultValue::Function(_)) | None => 0,
    };
    // Sketches have an empty value of their own.
    let sketch = matches!(
        data_type,
        DataType::Bitmap | DataType::Hll | DataType::QuantileState
    );
    let nullable = def.nullable.unwrap_or(!sketch) && def.auto_increment.is_none();
    Ok(Column {
        is_key: def.is_key,
        nullable,
        default,
        aggregation,
        comment: def.comment.clone(),
        auto_inc: def.auto_increment,
        generated: def.generated.clone(),
        on_update: def.on_update_current_timestamp.then_some(on_update),
        ..Column::new(def.name.clone(), data_type)
    })
}

/// What a column of these members can not be.
fn check_column(
    def: &ast::ColumnDef,
    data_type: &DataType,
    default: Option<&DefaultValue>,
) -> Result<(), SqlError> {
    let refuse = |text: String| Err(SqlError::analysis(text));
    let given = default.is_some_and(|d| *d != DefaultValue::Constant(None));
    match data_type {
        DataType::Hll if default.is_some() => {
            return refuse("Hll type column can not set default value".to_owned());
        }
        DataType::Map(..) if given => {
            return refuse("Map type column default value just support null".to_owned());
        }
        DataType::Struct(_) if given => {
            return refuse("Struct type column default value just support null".to_owned());
        }
        DataType::Json | DataType::Variant if given => {
            return refuse(
                "Json or Variant type column default value just support null".to_owned(),
            );
        }
        DataType::Bitmap
            if given && default != Some(&DefaultValue::Function("BITMAP_EMPTY".to_owned())) =>
        {
            return refuse("Bitmap type column default value only support BITMAP_EMPTY".to_owned());
        }
        _ => {}
    }
    if def.nullable == Some(false) && default == Some(&DefaultValue::Constant(None)) {
        return refuse(format!(
            "Can not set null default value to non nullable column: {}",
            def.name
        ));
    }
    if def.on_update_current_timestamp
        && !matches!(default, Some(DefaultValue::CurrentTimestamp(_)))
    {
        return refuse(format!(
            "You must set the default value of the column[{}] to CURRENT_TIMESTAMP when using 'ON UPDATE CURRENT_TIMESTAMP'.",
            def.name
        ));
    }
    if def.generated.is_some() {
        if def.auto_increment.is_some() {
            return refuse("Generated columns cannot be auto_increment.".to_owned());
        }
        if given {
            return refuse("Generated columns cannot have default value.".to_owned());
        }
        if def.on_update_current_timestamp {
            return refuse("Generated columns cannot have on update default value.".to_owned());
        }
    }
    if def.auto_increment.is_some() {
        let why = match () {
            () if def.nullable != Some(false) => "the auto increment column should be NOT NULL.",
            () if *data_type != DataType::BigInt => "the auto increment must be BIGINT type.",
            () if default.is_some() => "the auto increment column can't have default value.",
            () => return Ok(()),
        };
        return refuse(why.to_owned());
    }
    Ok(())
}

/// Distribution of the partitions to come of a table, with another bucket number if one is given.
#[must_use]
pub fn distribution_of(table: &OlapTable, buckets: Option<u32>) -> Distribution {
    let mut distribution = table.distribution.clone();
    if let Some(buckets) = buckets.filter(|_| !distribution.auto) {
        distribution.buckets = buckets;
    }
    distribution
}

/// Distribution of a clause, or RANDOM with automatic buckets.
pub fn distribution(
    clause: Option<&ast::Distribution>,
    schema: &TableSchema,
) -> Result<Distribution, SqlError> {
    let Some(clause) = clause else {
        return Ok(Distribution {
            kind: DistributionKind::Random,
            buckets: AUTO_BUCKETS,
            auto: true,
        });
    };
    if clause.buckets == Some(0) {
        return Err(SqlError::analysis(
            "Number of hash distribution should be greater than zero.",
        ));
    }
    let kind = if clause.hash_columns.is_empty() {
        if schema.keys.is_unique() {
            return Err(SqlError::analysis(
                "Create unique keys table should not contain random distribution desc",
            ));
        }
        DistributionKind::Random
    } else {
        let mut names = Vec::new();
        for name in &clause.hash_columns {
            let column = schema.column(name).ok_or_else(|| {
                SqlError::analysis(format!("Distribution column({name}) doesn't exist"))
            })?;
            if !column.is_key && schema.keys != KeysModel::Duplicate {
                return Err(SqlError::analysis(format!(
                    "Distribution column[{name}] is not key column"
                )));
            }
            names.push(column.name.clone());
        }
        DistributionKind::Hash(names)
    };
    Ok(Distribution {
        kind,
        buckets: clause.buckets.unwrap_or(AUTO_BUCKETS),
        auto: clause.buckets.is_none(),
    })
}

/// Columns and key model.
fn schema(create: &ast::CreateTable, properties: &Properties) -> Result<TableSchema, SqlError> {
    let mut columns = create
        .columns
        .iter()
        .map(column)
        .collect::<Result<Vec<_>, _>>()?;
    if columns.is_empty() {
        return Err(SqlError::analysis(
            "Should contain at least one column in a table",
        ));
    }
    for (i, c) in columns.iter().enumerate() {
        if columns[..i].iter().any(|other| other.is_named(&c.name)) {
            return Err(SqlError::new(
                1060,
                format!("Duplicate column name '{}'", c.name),
            ));
        }
    }
    let aggregated = columns.iter().any(|c| c.aggregation.is_some());
    let (model, mut key_names) = match &create.keys {
        Some(keys) => (keys.model, keys.columns.clone()),
        None if aggregated => (
            ast::KeysModel::Aggregate,
            columns
                .iter()
                .filter(|c| c.aggregation.is_none())
                .map(|c| c.name.clone())
                .collect(),
        ),
        None => (
            ast::KeysModel::Duplicate,
            columns
                .iter()
                .filter(|c| c.is_key)
                .map(|c| c.name.clone())
                .collect(),
        ),
    };
    if key_names.is_empty() && model == ast::KeysModel::Duplicate {
        key_names = key_columns::default_keys(&columns);
    }
    key_columns::check(&model, &key_names, &columns)?;
    let keys_len = key_names.len();
    let keys = match model {
        ast::KeysModel::Duplicate => KeysModel::Duplicate,
        ast::KeysModel::Aggregate => KeysModel::Aggregate,
        ast::KeysModel::Unique => KeysModel::Unique {
            mow: properties
                .get("enable_unique_key_merge_on_write")
                .is_none_or(|v| v.eq_ignore_ascii_case("true")),
            sequence_col: properties.get("function_column.sequence_col").cloned(),
        },
    };
    for (i, c) in columns.iter_mut().enumerate() {
        c.is_key = i < keys_len;
        match keys {
            _ if c.is_key => c.aggregation = None,
            KeysModel::Duplicate => c.aggregation = None,
            KeysModel::Unique { mow, .. } => c.aggregation = (!mow).then_some(Aggregation::Replace),
            KeysModel::Aggregate if c.aggregation.is_none() => {
                return Err(SqlError::analysis(format!(
                    "AGG_KEYS table should specify aggregate type for non-key column[{}]",
                    c.name
                )));
            }
            KeysModel::Aggregate => {}
        }
    }
    let on_update = columns.iter().any(|c| c.on_update.is_some());
    let mow = matches!(keys, KeysModel::Unique { mow: true, .. });
    if on_update && !mow {
        return Err(SqlError::analysis(
            "'ON UPDATE CURRENT_TIMESTAMP' is only supportted in unique table with merge-on-write enabled.",
        ));
    }
    let replaced = keys.is_unique() && !mow;
    let mut push = |column: Column| {
        columns.push(Column {
            aggregation: replaced.then_some(Aggregation::Replace),
            ..column
        });
    };
    if keys.is_unique() {
        push(hidden(DELETE_SIGN, DataType::TinyInt, false, Some("0")));
    }
    if is_on(properties, "store_row_column") || properties.contains_key("row_store_columns") {
        push(hidden(ROW_STORE_COL, DataType::String, false, Some("")));
    }
    if keys.is_unique() {
        push(hidden(VERSION_COL, DataType::BigInt, false, Some("0")));
        let sequence = match (
            properties.get("function_column.sequence_col"),
            properties.get("function_column.sequence_type"),
        ) {
            (Some(name), _) => Some(sequence_type(&columns, name)?),
            (None, Some(text)) => {
                let data_type = DataType::parse(text).map_err(SqlError::analysis)?;
                if !is_sequence(&data_type) {
                    return Err(SqlError::analysis(
                        "sequence type only support integer types and date types",
                    ));
                }
                Some(data_type)
            }
            (None, None) => None,
        };
        if let Some(data_type) = sequence {
            let column = hidden(SEQUENCE_COL, data_type, true, None);
            columns.push(Column {
                aggregation: replaced.then_some(Aggregation::Replace),
                ..column
            });
        }
    }
    for (id, c) in (0_i32..).zip(columns.iter_mut()) {
        c.unique_id = id;
    }
    let mut schema = TableSchema {
        columns,
        keys,
        schema_hash: 0,
        schema_version: 0,
        indexes: Default::default(),
    };
    let print = |text: &String| generated_text::printed(text, &schema);
    let texts: Vec<Option<String>> = schema
        .columns
        .iter()
        .map(|c| c.generated.as_ref().map(print))
        .collect();
    for (column, text) in schema.columns.iter_mut().zip(texts) {
        column.generated = text;
    }
    Ok(schema)
}

/// Numbers the columns of a table from 0, as a CREATE TABLE with these columns does. Rollups share the ids of the base.
pub fn number_columns_anew(table: &mut OlapTable) {
    let mut new_ids = BTreeMap::new();
    for (id, column) in (0_i32..).zip(table.schema.columns.iter_mut()) {
        new_ids.insert(column.unique_id, id);
        column.unique_id = id;
    }
    let rollups = table.indexes.iter_mut().filter_map(|i| i.schema.as_mut());
    for column in rollups.flat_map(|schema| &mut schema.columns) {
        // Computed columns of views have ids of their own.
        if let Some(id) = new_ids.get(&column.unique_id) {
            column.unique_id = *id;
        }
    }
    table.max_column_unique_id = table.schema.max_unique_id();
}

fn is_sequence(data_type: &DataType) -> bool {
    data_type.is_integer() || matches!(data_type, DataType::Date | DataType::DateTime(_))
}

/// Type of the column that `function_column.sequence_col` names.
fn sequence_type(columns: &[Column], name: &str) -> Result<DataType, SqlError> {
    let column = columns.iter().find(|c| c.visible && c.is_named(name));
    match column.map(|c| &c.data_type) {
        None => Err(SqlError::analysis(format!(
            "The specified sequence column[{name}] not exists"
        ))),
        Some(data_type) if is_sequence(data_type) => Ok(data_type.clone()),
        Some(_) => Err(SqlError::analysis(
            "Sequence type only support integer types and date types",
        )),
    }
}

/// The table of a CREATE TABLE, without partitions.
pub fn table(
    state: &mut FeState,
    create: &ast::CreateTable,
    db: &Properties,
    default_replicas: u32,
) -> Result<OlapTable, SqlError> {
    if create
        .engine
        .as_deref()
        .is_some_and(|e| !e.eq_ignore_ascii_case("olap"))
    {
        return Err(SqlError::analysis("only the OLAP engine is simulated"));
    }
    let mut schema = schema(create, &create.properties)?;
    let (properties, replicas) = properties(create, db, default_replicas, &schema)?;
    let mut distribution = distribution(create.distribution.as_ref(), &schema)?;
    // The synced form of a table with automatic buckets names their number, and says what it is in a property.
    distribution.auto |= is_on(&create.properties, "_auto_bucket");
    let names = |columns: &[String]| -> Result<Vec<String>, SqlError> {
        columns
            .iter()
            .map(|name| {
                schema.column(name).map(|c| c.name.clone()).ok_or_else(|| {
                    SqlError::analysis(format!("partition key {name} is not exists"))
                })
            })
            .collect()
    };
    let partition_kind = match &create.partition {
        None => PartitionKind::Unpartitioned,
        Some(by) => match by.kind {
            ast::PartitionKind::Range => PartitionKind::Range(names(&by.columns)?),
            ast::PartitionKind::List => PartitionKind::List(names(&by.columns)?),
        },
    };
    let auto_partition = create.partition.as_ref().filter(|by| by.auto).map(|by| {
        by.auto_expr.clone().unwrap_or_else(|| {
            by.columns
                .iter()
                .map(|c| format!("`{c}`"))
                .collect::<Vec<_>>()
                .join(", ")
        })
    });
    let id = state.new_id();
    let index_id = state.new_id();
    schema.schema_hash = schema_hash(&schema);
    let secondary = create
        .indexes
        .iter()
        .map(|def| secondary_index(state, def, &schema))
        .collect::<Result<_, _>>()?;
    let mut indexes = vec![IndexMeta {
        id: index_id,
        name: create.name.name.clone(),
        schema_hash: schema.schema_hash,
        columns: Vec::new(),
        schema: None,
        state: IndexState::Normal,
        define: None,
        filter: None,
    }];
    for def in &create.rollups {
        if indexes
            .iter()
            .any(|i| i.name.eq_ignore_ascii_case(&def.name))
        {
            return Err(SqlError::analysis(format!(
                "Duplicate rollup name: {}",
                def.name
            )));
        }
        indexes.push(crate::catalog::rollup_schema::rollup_meta(
            state.new_id(),
            &schema,
            def,
        )?);
    }
    let mut table = OlapTable {
        id,
        name: create.name.name.clone(),
        partition_kind,
        auto_partition,
        distribution,
        properties,
        replication_num: replicas,
        comment: create.comment.clone(),
        partitions: dorisim_model::Tracked::new(),
        indexes,
        secondary,
        state: TableState::Normal,
        max_column_unique_id: schema.max_unique_id(),
        visible_version: 1,
        visible_version_time: 0,
        auto_inc_next: schema.columns.iter().find_map(|c| c.auto_inc).unwrap_or(1),
        schema,
    };
    settle_dynamic(&mut table)?;
    table.refresh_indexes();
    Ok(table)
}

/// A secondary index with a fresh id.
pub fn secondary_index(
    state: &mut FeState,
    def: &ast::IndexDef,
    schema: &TableSchema,
) -> Result<SecondaryIndex, SqlError> {
    for name in &def.columns {
        if schema.column(name).is_none() {
            return Err(SqlError::analysis(format!(
                "Column does not exist in table. invalid column: {name}"
            )));
        }
    }
    let mut properties = def.properties.clone();
    if def.index_type == "NGRAM_BF" {
        for (key, value) in [("gram_size", "2"), ("bf_size", "256")] {
            properties
                .entry(key.to_owned())
                .or_insert_with(|| value.to_owned());
        }
    }
    if def.index_type == "INVERTED" {
        let names = |known: &[&str]| known.iter().any(|key| def.properties.contains_key(*key));
        let mut add = |key: &str| {
            properties
                .entry(key.to_owned())
                .or_insert_with(|| "true".to_owned());
        };
        if names(&["parser", "built_in_analyzer", "analyzer", "normalizer"]) {
            add("support_phrase");
        }
        if names(&["parser", "built_in_analyzer"]) {
            add("lower_case");
        }
    }
    Ok(SecondaryIndex {
        id: state.new_id(),
        name: def.name.clone(),
        columns: def.columns.clone(),
        kind: def.index_type.clone(),
        properties,
        comment: def.comment.clone(),
    })
}
