//! `_http_stream`: the header `sql` holds an INSERT whose SELECT reads the body as `http_stream(...)`.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::answer::LoadAnswer;
use super::auth::Login;
use super::refusal::Refusal;
use super::settings::{Head, text};
use super::{Loader, authorized, commit, passed, receive, refused, target};
use crate::fe::{LoadRequest, LoadSource, SqlError, TableScan};
use crate::model::{OlapTable, Row};
use crate::query::{
    Named, QueryEngine, ResultSet, SessionInfo, TableRef, Tables, add_generated, field_columns,
};
use crate::sql::ast::{Insert, InsertSource, Statement};
use crate::sql::load::{
    LoadOptions, Rejections, first_line, parse_csv, parse_json, unescape_separator,
};
use crate::sql::{TokenKind, parse, tokenize};

pub(super) async fn http_stream(
    State(mut loader): State<Loader>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if let Some(port) = passed::port_of(&headers) {
        loader.place.http_port = port;
    }
    // As for a stream load: it ends its transaction whether the client stays or not.
    let running = tokio::spawn(async move { run(&loader, &headers, body).await });
    match running.await {
        Ok(answer) => answer.into_response(),
        Err(error) => format!("the load ended: {error}").into_response(),
    }
}

async fn run(loader: &Loader, headers: &HeaderMap, body: Body) -> LoadAnswer {
    let started = loader.place.clock.monotonic();
    let mut answer = LoadAnswer::new(String::new());
    if let Err(refusal) = attempt(loader, headers, body, &mut answer).await {
        loader.refuse(&mut answer, &refusal).await;
    }
    answer.times.total = loader.since(started);
    answer
}

async fn attempt(
    loader: &Loader,
    headers: &HeaderMap,
    body: Body,
    answer: &mut LoadAnswer,
) -> Result<(), Refusal> {
    if Login::of(headers).is_none() {
        return Err(Refusal::new(
            "NOT_AUTHORIZED",
            "no valid Basic authorization",
        ));
    }
    let head = Head::of_stream(headers)?;
    let (insert, select) = statement(headers)?;
    let Some(db) = insert.table.db.clone() else {
        return Err(Refusal::analysis("No database selected"));
    };
    let table = insert.table.name.clone();
    authorized(&loader.frontend, headers, &db, Some(&table))?;
    let target = target(&loader.frontend, &db, &table)?;
    answer.label = insert.label.clone().unwrap_or_else(|| loader.made_label());
    match loader
        .frontend
        .begin_stream_load(&db, &table, &answer.label, head.timeout_s)
    {
        Ok(id) => answer.txn_id = id,
        Err(error) => return refused(error, answer),
    }
    let (bytes, received, memory) = receive::receive(&loader.shared.memory, &head, body).await?;
    answer.bytes = received;
    let shared = std::sync::Arc::clone(&loader.shared);
    let session = SessionInfo {
        db: Some(db.clone()),
        now_ms: loader.frontend.clock().now_ms(),
        ..SessionInfo::default()
    };
    let columns = insert.columns.clone();
    let working = tokio::task::spawn_blocking(move || {
        let stream = Stream { body: bytes };
        rows(&shared.engine, &session, &target, columns, &select, &stream)
    });
    let (columns, rows, rejected) = working
        .await
        .map_err(|error| Refusal::new("INTERNAL_ERROR", format!("reading the body: {error}")))??;
    answer.loaded = rows.len() as u64;
    let request = LoadRequest {
        label: Some(answer.label.clone()),
        partitions: insert.partitions,
        temp_partitions: insert.temp_partitions,
        begun: Some(answer.txn_id),
        refused_before: rejected.count,
        source: LoadSource::StreamLoad,
        timeout_s: head.timeout_s,
        ..LoadRequest::insert(&db, &table, columns, rows)
    };
    let result = commit(loader, request, rejected, answer).await;
    drop(memory);
    result
}

/// The INSERT of the header, and the text of its query.
fn statement(headers: &HeaderMap) -> Result<(Insert, String), Refusal> {
    let sql = text(headers, "sql").unwrap_or_default();
    let statement = parse(&sql).map_err(|error| Refusal::analysis(error.message))?;
    match statement {
        Statement::Insert(insert) if !insert.overwrite => match insert.source.clone() {
            InsertSource::Select(select) => Ok((*insert, select)),
            InsertSource::Values(_) => Err(unfit()),
        },
        _ => Err(unfit()),
    }
}

fn unfit() -> Refusal {
    Refusal::analysis(
        "the header sql has to be INSERT INTO db.table SELECT ... FROM http_stream(...)",
    )
}

type Selected = (Vec<String>, Vec<Row>, Rejections);

fn rows(
    engine: &QueryEngine,
    session: &SessionInfo,
    table: &OlapTable,
    mut columns: Vec<String>,
    select: &str,
    stream: &Stream,
) -> Result<Selected, Refusal> {
    let selected = engine.select(select, session, stream)?;
    let schema = &table.schema;
    if columns.is_empty() {
        let given = schema.visible().filter(|column| column.generated.is_none());
        columns.extend(given.map(|column| column.name.clone()));
    }
    if columns.len() != selected.columns.len() {
        return Err(Refusal::analysis(
            "insert into cols should be corresponding to the query output",
        ));
    }
    let mut rows = selected.rows;
    add_generated(engine, session, schema, &mut columns, &mut rows)?;
    Ok((columns, rows, stream.rejected(select)?))
}

/// The body as a table function.
struct Stream {
    body: Bytes,
}

impl Stream {
    /// Lines that could not be read: the function's arguments stand in the query.
    fn rejected(&self, select: &str) -> Result<Rejections, Refusal> {
        let lower = select.to_ascii_lowercase();
        let arguments = lower
            .find("http_stream")
            .and_then(|at| select.get(at..)?.split_once('('))
            .and_then(|(_, behind)| behind.split_once(')'))
            .map_or("", |(arguments, _)| arguments);
        Ok(self.read(arguments)?.2)
    }

    fn read(&self, arguments: &str) -> Result<(Vec<String>, Vec<Row>, Rejections), SqlError> {
        let arguments = pairs(arguments)?;
        let get = |name: &str| arguments.get(name).map(String::as_str);
        let format = get("format").unwrap_or("csv").to_ascii_lowercase();
        let separator = |name: &str, default: &str| {
            get(name).map_or_else(|| default.to_owned(), unescape_separator)
        };
        let heading = match format.as_str() {
            "csv" | "json" => 0,
            "csv_with_names" => 1,
            "csv_with_names_and_types" => 2,
            other => {
                return Err(SqlError::analysis(format!(
                    "format {other} is not simulated"
                )));
            }
        };
        let is_true = |name: &str| get(name).is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let options = LoadOptions {
            column_separator: separator("column_separator", "\t"),
            line_delimiter: separator("line_delimiter", "\n"),
            enclose: get("enclose").and_then(|text| text.bytes().next()),
            skip_lines: heading,
            strip_outer_array: is_true("strip_outer_array"),
            read_json_by_line: !is_true("strip_outer_array"),
            ..LoadOptions::default()
        };
        if format == "json" {
            let names = json_names(&self.body, options.read_json_by_line);
            let parsed = parse_json(&self.body, &options, &names);
            return Ok((names, parsed.rows, parsed.rejected));
        }
        let first = first_line(&self.body, &options);
        let names = (1..).zip(first).map(|(number, field)| match field {
            Some(name) if heading > 0 => name,
            Some(_) | None => format!("c{number}"),
        });
        let names: Vec<_> = names.collect();
        let parsed = parse_csv(&self.body, &options, &names);
        Ok((names, parsed.rows, parsed.rejected))
    }
}

/// Names of the first object.
fn json_names(body: &[u8], by_line: bool) -> Vec<String> {
    let document = if by_line {
        body.split(|byte| *byte == b'\n').next().unwrap_or_default()
    } else {
        body
    };
    let first = serde_json::from_slice::<serde_json::Value>(document).unwrap_or_default();
    let first = first.get(0).unwrap_or(&first);
    first
        .as_object()
        .map_or_else(Vec::new, |object| object.keys().cloned().collect())
}

/// `"name" = "value", ...`.
fn pairs(text: &str) -> Result<HashMap<String, String>, SqlError> {
    let tokens = tokenize(text).map_err(|error| SqlError::analysis(error.message))?;
    let mut pairs = HashMap::new();
    for item in tokens.split(|token| token.kind == TokenKind::Symbol(",")) {
        if let [name, equals, value, ..] = item
            && equals.kind == TokenKind::Symbol("=")
            && let (TokenKind::Str(name) | TokenKind::Word(name), TokenKind::Str(value)) =
                (&name.kind, &value.kind)
        {
            pairs.insert(name.to_ascii_lowercase(), value.clone());
        }
    }
    Ok(pairs)
}

impl Tables for Stream {
    fn named(&self, table: &TableRef) -> Result<Named, SqlError> {
        Err(SqlError::unknown_table(&table.name))
    }

    fn scan(&self, table: &TableRef) -> Result<TableScan, SqlError> {
        Err(SqlError::unknown_table(&table.name))
    }

    fn function(&self, name: &str, arguments: &str) -> Result<ResultSet, SqlError> {
        if !name.eq_ignore_ascii_case("http_stream") {
            return Err(SqlError::analysis(format!(
                "Can not build FunctionSet for function '{name}'"
            )));
        }
        let (names, rows, _) = self.read(arguments)?;
        Ok(ResultSet {
            columns: field_columns(&names, &rows),
            rows,
        })
    }
}
