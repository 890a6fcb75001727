//! A body → rows of the table: fields, computed columns, conversion, filter.

use super::refusal::Refusal;
use super::settings::{Head, Merge, Settings};
use dorisim_model::clock::datetime_text;
use dorisim_model::column::{DELETE_SIGN, SEQUENCE_COL};
use dorisim_model::{
    Aggregation, Cell, Column, DataType, DefaultValue, KeysModel, OlapTable, Row, TableSchema,
};
use dorisim_query::{Input, QueryEngine, SessionInfo, add_generated, compute};
use dorisim_sql::load::{Rejections, parse_csv, parse_json};

/// Rows ready for the frontend.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Row>,
    pub(super) rejected: Rejections,
    /// Left out by `where`.
    pub(super) unselected: u64,
    /// Columns that were left out keep their values.
    pub(super) partial: bool,
}

/// Where a column of the table comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Field(usize),
    Expression(String),
}

/// Fields of the body, and the columns they become.
#[derive(Debug)]
struct Plan<'a> {
    fields: Vec<String>,
    targets: Vec<(&'a Column, Origin)>,
    partial: bool,
}

/// Reads, computes, converts and filters.
pub(super) fn prepare(
    engine: &QueryEngine,
    session: &SessionInfo,
    table: &OlapTable,
    head: &Head,
    settings: &Settings,
    body: &[u8],
) -> Result<Prepared, Refusal> {
    let schema = &table.schema;
    let plan = plan(&table.name, schema, settings)?;
    let parsed = if head.json {
        let mut options = settings.options.clone();
        options.missing = defaults(schema, session.now_ms);
        parse_json(body, &options, &plan.fields)
    } else {
        parse_csv(body, &settings.options, &plan.fields)
    };
    let computed = computed(engine, session, &plan, &parsed.rows)?;
    let mut rejected = parsed.rejected;
    let mut rows = Vec::with_capacity(parsed.rows.len());
    let mut sources = Vec::new();
    for (number, fields) in parsed.rows.into_iter().enumerate() {
        let values = computed.get(number).map_or(&[][..], Vec::as_slice);
        match converted(&plan, settings.strict, &fields, values) {
            Ok(row) => {
                rows.push(row);
                if settings.filter.is_some() {
                    sources.push(fields);
                }
            }
            Err(reason) => rejected.add(|| reason, || shown(&fields)),
        }
    }
    let mut unselected = 0;
    if let Some(filter) = &settings.filter {
        let all = rows.len();
        rows = selected(engine, session, &plan, rows, &sources, filter)?;
        unselected = (all - rows.len()) as u64;
    }
    let mut columns = plan
        .targets
        .iter()
        .map(|(column, _)| column.name.clone())
        .collect();
    if !plan.partial {
        add_generated(engine, session, schema, &mut columns, &mut rows)?;
    }
    Ok(Prepared {
        columns,
        rows,
        rejected,
        unselected,
        partial: plan.partial,
    })
}

fn plan<'a>(
    table: &str,
    schema: &'a TableSchema,
    settings: &Settings,
) -> Result<Plan<'a>, Refusal> {
    check_keys(table, schema, settings)?;
    let mapping = &settings.mapping;
    let mut fields = mapping.sources.clone();
    if fields.is_empty() {
        let constant = |column: &&Column| {
            let derived = mapping
                .derived
                .iter()
                .find(|one| column.is_named(&one.name));
            derived.is_some_and(|one| one.constant)
        };
        fields.extend(
            schema
                .visible()
                .filter(|column| !constant(column))
                .map(|column| column.name.clone()),
        );
        let hidden = |name: &&String| schema.column(name).is_some_and(|column| !column.visible);
        fields.extend(settings.hidden_columns.iter().filter(hidden).cloned());
    }
    let mut targets = targets(schema, settings, &fields);
    if let Some(name) = &settings.sequence
        && let Some(column) = schema.column(SEQUENCE_COL)
    {
        let derived = mapping.derived.iter().rev();
        let mut derived = derived.filter(|one| one.name.eq_ignore_ascii_case(name));
        let field = fields
            .iter()
            .position(|field| field.eq_ignore_ascii_case(name));
        let origin = match (derived.next(), field) {
            (Some(one), _) => Origin::Expression(one.expression.clone()),
            (None, Some(at)) => Origin::Field(at),
            (None, None) => {
                return Err(Refusal::analysis(format!(
                    "Unknown column '{name}' in 'table list'"
                )));
            }
        };
        targets.push((column, origin));
    }
    if let (Merge::Where(condition), Some(column)) = (&settings.merge, schema.column(DELETE_SIGN)) {
        let sign = format!("CASE WHEN ({condition}) THEN 1 ELSE 0 END");
        targets.push((column, Origin::Expression(sign)));
    }
    // Without a list of columns a partial update is a full one.
    let partial = settings.partial && !(mapping.sources.is_empty() && mapping.derived.is_empty());
    if partial {
        let given = |column: &Column| targets.iter().any(|(other, _)| other.name == column.name);
        if let Some(missing) = schema
            .key_columns()
            .find(|column| !given(column) && column.auto_inc.is_none())
        {
            return Err(Refusal::analysis(format!(
                "Partial update should include all key columns, missing: {}",
                missing.name
            )));
        }
    }
    Ok(Plan {
        fields,
        targets,
        partial,
    })
}

/// Refuses what the key model of the table has no place for.
fn check_keys(table: &str, schema: &TableSchema, settings: &Settings) -> Result<(), Refusal> {
    let (mow, mapped) = match &schema.keys {
        KeysModel::Unique { mow, sequence_col } => (*mow, sequence_col.as_deref()),
        KeysModel::Duplicate | KeysModel::Aggregate => {
            if settings.merge != Merge::Append {
                return Err(Refusal::analysis(
                    "load by MERGE or DELETE is only supported in unique tables.",
                ));
            }
            (false, None)
        }
    };
    if settings.partial && !mow {
        return Err(Refusal::analysis(
            "Only unique key merge on write support partial update",
        ));
    }
    let needed = || {
        Refusal::analysis(format!(
            "Table {table} has sequence column, need to specify the sequence column"
        ))
    };
    match (schema.sequence(), mapped, &settings.sequence) {
        (None, _, Some(_)) => Err(Refusal::analysis(format!(
            "There is no sequence column in the table {table}"
        ))),
        (Some(_), None, None) => Err(needed()),
        (Some(_), Some(mapped), _) => {
            let mapping = &settings.mapping;
            let names = mapping.sources.iter();
            let mut names = names.chain(mapping.derived.iter().map(|one| &one.name));
            let listed = !mapping.sources.is_empty();
            let timed = schema.column(mapped).is_some_and(|column| {
                matches!(column.default, Some(DefaultValue::CurrentTimestamp(_)))
            });
            let there = names.any(|name| name.eq_ignore_ascii_case(mapped));
            if listed && !there && !timed && !settings.partial {
                return Err(needed());
            }
            Ok(())
        }
        (None, _, None) | (Some(_), None, Some(_)) => Ok(()),
    }
}

fn targets<'a>(
    schema: &'a TableSchema,
    settings: &Settings,
    fields: &[String],
) -> Vec<(&'a Column, Origin)> {
    let mut targets: Vec<(&Column, Origin)> = Vec::new();
    for one in settings.mapping.derived.iter().rev() {
        if let Some(column) = schema.column(&one.name)
            && !targets.iter().any(|(other, _)| other.name == column.name)
        {
            targets.push((column, Origin::Expression(one.expression.clone())));
        }
    }
    for (at, name) in fields.iter().enumerate() {
        if let Some(column) = schema.column(name)
            && !targets.iter().any(|(other, _)| other.name == column.name)
        {
            targets.push((column, Origin::Field(at)));
        }
    }
    targets.retain(|(column, _)| column.generated.is_none());
    if settings.negative {
        for (column, origin) in &mut targets {
            if column.aggregation == Some(Aggregation::Sum) {
                let value = match &*origin {
                    Origin::Field(at) => format!("`{}`", fields[*at].replace('`', "``")),
                    Origin::Expression(text) => text.clone(),
                };
                *origin = Origin::Expression(format!("({value}) * -1"));
            }
        }
    }
    targets
}

/// Values of the computed columns, per row; nothing when there are none.
fn computed(
    engine: &QueryEngine,
    session: &SessionInfo,
    plan: &Plan<'_>,
    rows: &[Row],
) -> Result<Vec<Row>, Refusal> {
    let expressions: Vec<&str> = plan
        .targets
        .iter()
        .filter_map(|(_, origin)| match origin {
            Origin::Expression(text) => Some(text.as_str()),
            Origin::Field(_) => None,
        })
        .collect();
    if expressions.is_empty() {
        return Ok(Vec::new());
    }
    let input = Input::of_fields(&plan.fields, rows);
    let computed = compute(engine, session, &input, &expressions, None)?;
    Ok(computed.into_iter().map(|(_, values)| values).collect())
}

/// One row of the table, or why it is refused. Values that do not fit become NULL, in strict mode they are refused.
fn converted(
    plan: &Plan<'_>,
    strict: bool,
    fields: &[Cell],
    computed: &[Cell],
) -> Result<Row, String> {
    let mut computed = computed.iter();
    let mut row = Row::with_capacity(plan.targets.len());
    for (column, origin) in &plan.targets {
        let (value, from_body) = match origin {
            Origin::Field(at) => (fields.get(*at).cloned().flatten(), true),
            Origin::Expression(_) => (computed.next().cloned().flatten(), false),
        };
        let name = &column.name;
        let cell = match value
            .as_deref()
            .map(|text| column.data_type.canonicalize(text))
        {
            None => None,
            Some(Ok(cell)) => cell,
            Some(Err(_)) => {
                let text = value.as_deref().unwrap_or_default();
                if let DataType::Char(length) | DataType::Varchar(length) = column.data_type {
                    return Err(too_long(name, text, length));
                }
                if strict && from_body {
                    return Err(format!(
                        "column({name}) value is incorrect while strict mode is true, src value is {text}"
                    ));
                }
                None
            }
        };
        if cell.is_none() && !column.nullable && column.auto_inc.is_none() {
            return Err(format!(
                "column({name}) values is null while columns is not nullable"
            ));
        }
        row.push(cell);
    }
    Ok(row)
}

fn too_long(name: &str, text: &str, length: u32) -> String {
    let cut = (0..=text.len().min(32)).rev();
    let head = cut
        .into_iter()
        .find_map(|at| text.get(..at))
        .unwrap_or_default();
    format!(
        "column_name[{name}], the length of input is too long than schema. first 32 bytes of input str: [{head}] schema length: {length}; actual length: {}; ",
        text.len()
    )
}

/// Rows that pass `where`: it sees the columns of the table, and fields that are none.
fn selected(
    engine: &QueryEngine,
    session: &SessionInfo,
    plan: &Plan<'_>,
    rows: Vec<Row>,
    sources: &[Row],
    filter: &str,
) -> Result<Vec<Row>, Refusal> {
    let mut columns: Vec<(String, DataType)> = plan
        .targets
        .iter()
        .map(|(column, _)| (column.name.clone(), column.data_type.clone()))
        .collect();
    let mut seen = rows.clone();
    for (at, name) in plan.fields.iter().enumerate() {
        if !columns
            .iter()
            .any(|(other, _)| other.eq_ignore_ascii_case(name))
        {
            columns.push((name.clone(), DataType::String));
            for (row, fields) in seen.iter_mut().zip(sources) {
                row.push(fields.get(at).cloned().flatten());
            }
        }
    }
    let input = Input::of_types(&columns, &seen);
    let chosen = compute(engine, session, &input, &[], Some(filter))?;
    let mut rows: Vec<Option<Row>> = rows.into_iter().map(Some).collect();
    Ok(chosen
        .into_iter()
        .filter_map(|(number, _)| rows.get_mut(number)?.take())
        .collect())
}

/// What JSON rows get for columns they do not name.
fn defaults(schema: &TableSchema, now_ms: i64) -> std::collections::HashMap<String, String> {
    let default = |column: &Column| match &column.default {
        Some(DefaultValue::Constant(text)) => text.clone(),
        Some(DefaultValue::CurrentTimestamp(_)) => Some(datetime_text(now_ms)),
        Some(DefaultValue::Function(_)) | None => None,
    };
    schema
        .visible()
        .filter_map(|column| Some((column.name.to_ascii_lowercase(), default(column)?)))
        .collect()
}

/// A row as the error log shows it.
fn shown(fields: &[Cell]) -> String {
    let cells: Vec<_> = fields
        .iter()
        .map(|cell| cell.as_deref().unwrap_or("NULL"))
        .collect();
    cells.join(" ")
}
