//! The engine: an in-memory SQLite that keeps copies of tables as long as they stay as they are.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params_from_iter};

use super::count::count_of;
use super::define::text_of;
use super::functions;
use super::kinds::{KnownColumns, add_derived, expression_kinds, with_room};
use super::numbers::{double_text, float_text};
use super::rewrite::{Placed, Placer, rewrite};
use super::source::{
    ColumnKind, Named, ResultColumn, ResultSet, SessionInfo, TableKey, TableRef, Tables,
};
use dorisim_model::SqlError;
use dorisim_model::{Cell, Column, DataType, Row};
use dorisim_sql::tokenize;

/// Rows kept in copies, at most; the least recently used tables go first.
const MAX_CACHED_ROWS: usize = 2_000_000;
/// Digits that an inferred DECIMAL has room for, at least: what was guessed too small is shown whole.
const MIN_ROOM: u8 = 38;
/// Row counts kept, at most.
const MAX_CACHED_COUNTS: usize = 10_000;

/// Answers queries. One query at a time; share it between all connections of a server.
pub struct QueryEngine {
    state: Mutex<State>,
}

struct State {
    connection: Connection,
    copies: HashMap<TableKey, Copy>,
    counts: HashMap<TableKey, usize>,
    /// Grows with every query and names copies.
    clock: u64,
}

struct Copy {
    name: String,
    rows: usize,
    used: u64,
}

impl std::fmt::Debug for QueryEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryEngine").finish_non_exhaustive()
    }
}

impl QueryEngine {
    /// An empty engine.
    ///
    /// # Errors
    /// SQLite refuses to open a database in memory.
    pub fn new() -> Result<Self, SqlError> {
        let connection = Connection::open_in_memory().map_err(|error| engine_error(&error))?;
        functions::register(&connection).map_err(|error| engine_error(&error))?;
        let state = State {
            connection,
            copies: HashMap::new(),
            counts: HashMap::new(),
            clock: 0,
        };
        Ok(Self {
            state: Mutex::new(state),
        })
    }

    /// Runs a query. Blocks: call it where blocking is allowed.
    ///
    /// # Errors
    /// Unknown names, what SQLite does not understand, or tables that can not be read.
    pub fn select(
        &self,
        text: &str,
        session: &SessionInfo,
        tables: &dyn Tables,
    ) -> Result<ResultSet, SqlError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = state.count_only(text, session, tables)? {
            return Ok(answer);
        }
        state.answer(text, session, tables, Extent::Rows)
    }

    /// The columns a query will answer, without running it.
    ///
    /// # Errors
    /// As [`Self::select`].
    pub fn describe(
        &self,
        text: &str,
        session: &SessionInfo,
        tables: &dyn Tables,
    ) -> Result<Vec<ResultColumn>, SqlError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .answer(text, session, tables, Extent::Columns)
            .map(|answer| answer.columns)
    }

    /// Filters, orders and cuts an answer by the `WHERE`, `ORDER BY` and `LIMIT` of a SHOW statement.
    ///
    /// # Errors
    /// A condition that does not fit the columns.
    pub fn narrow(
        &self,
        answer: ResultSet,
        tail: &dorisim_sql::ast::ShowTail,
    ) -> Result<ResultSet, SqlError> {
        if tail.filter.is_none() && tail.order_by.is_none() && tail.limit.is_none() {
            return Ok(answer);
        }
        let mut text = "SELECT * FROM answer()".to_owned();
        for (word, part) in [
            ("WHERE", &tail.filter),
            ("ORDER BY", &tail.order_by),
            ("LIMIT", &tail.limit),
        ] {
            if let Some(part) = part {
                text.push_str(&format!(" {word} {part}"));
            }
        }
        self.select(&text, &SessionInfo::default(), &OneAnswer(answer))
    }
}

/// The only table is the answer itself.
struct OneAnswer(ResultSet);

impl Tables for OneAnswer {
    fn named(&self, table: &TableRef) -> Result<Named, SqlError> {
        Err(SqlError::unknown_table(&table.name))
    }

    fn scan(&self, table: &TableRef) -> Result<dorisim_model::TableScan, SqlError> {
        Err(SqlError::unknown_table(&table.name))
    }

    fn function(&self, _: &str, _: &str) -> Result<ResultSet, SqlError> {
        Ok(self.0.clone())
    }
}

/// How much of an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Rows,
    Columns,
}

impl State {
    /// Brings the tables of a query in, and asks SQLite.
    fn answer(
        &mut self,
        text: &str,
        session: &SessionInfo,
        tables: &dyn Tables,
        extent: Extent,
    ) -> Result<ResultSet, SqlError> {
        self.clock += 1;
        let mut placement = Placement {
            state: self,
            tables,
            transient: Vec::new(),
            columns: KnownColumns::default(),
        };
        let rewritten = rewrite(text, session, &mut placement);
        let transient = std::mem::take(&mut placement.transient);
        let mut columns = std::mem::take(&mut placement.columns);
        let answer = rewritten.and_then(|sql| {
            let tokens = tokenize(text).map_err(|error| SqlError::analysis(error.message))?;
            add_derived(&tokens, &mut columns);
            self.run(&sql, &expression_kinds(text, &tokens, &columns), extent)
        });
        for name in transient {
            self.drop_table(&name)?;
        }
        self.evict()?;
        answer
    }

    /// `SELECT COUNT(*) FROM t` needs no copy of the table.
    fn count_only(
        &mut self,
        text: &str,
        session: &SessionInfo,
        tables: &dyn Tables,
    ) -> Result<Option<ResultSet>, SqlError> {
        let Some((heading, table)) = count_of(text, session.db.as_deref()) else {
            return Ok(None);
        };
        let Named::Table(key) = tables.named(&table)? else {
            return Ok(None);
        };
        let known = self
            .counts
            .get(&key)
            .copied()
            .or_else(|| self.copies.get(&key).map(|copy| copy.rows));
        let count = match known {
            Some(count) => count,
            None => {
                if self.counts.len() >= MAX_CACHED_COUNTS {
                    self.counts.clear();
                }
                let count = tables.scan(&table)?.rows.len();
                self.counts.insert(key, count);
                count
            }
        };
        Ok(Some(ResultSet {
            columns: vec![ResultColumn {
                name: heading,
                kind: ColumnKind::Integer,
            }],
            rows: vec![vec![Some(count.to_string())]],
        }))
    }

    fn run(
        &mut self,
        sql: &str,
        told: &HashMap<String, ColumnKind>,
        extent: Extent,
    ) -> Result<ResultSet, SqlError> {
        let fail = |error: rusqlite::Error| query_error(&error);
        let mut statement = self.connection.prepare(sql).map_err(fail)?;
        let declared: Vec<(String, Option<ColumnKind>)> = statement
            .columns()
            .map(|column| {
                (
                    column.name().to_owned(),
                    column
                        .decl_type()
                        .map(ColumnKind::of_declaration)
                        .or_else(|| told.get(column.name()).copied()),
                )
            })
            .collect();
        let mut kinds: Vec<Option<ColumnKind>> = declared.iter().map(|(_, kind)| *kind).collect();
        let mut rows: Vec<Row> = Vec::new();
        if extent == Extent::Rows {
            let mut cursor = statement.query([]).map_err(fail)?;
            while let Some(row) = cursor.next().map_err(fail)? {
                let mut cells = Vec::with_capacity(kinds.len());
                for (at, kind) in kinds.iter_mut().enumerate() {
                    let value = row.get_ref(at).map_err(fail)?;
                    *kind = match *kind {
                        None => kind_of(value),
                        Some(kind) => Some(with_room(kind, value)),
                    };
                    cells.push(cell_of(value, *kind));
                }
                rows.push(cells);
            }
        }
        let columns = declared
            .into_iter()
            .zip(kinds)
            .map(|((name, _), kind)| ResultColumn {
                name,
                kind: kind.unwrap_or(ColumnKind::Text),
            })
            .collect();
        Ok(ResultSet { columns, rows })
    }

    fn load(
        &mut self,
        name: &str,
        columns: &[(String, ColumnKind)],
        rows: &[Row],
    ) -> Result<(), SqlError> {
        let fail = |error: rusqlite::Error| engine_error(&error);
        let declarations: Vec<_> = columns
            .iter()
            .map(|(name, kind)| format!("`{}` {}", name.replace('`', "``"), kind.declaration()))
            .collect();
        let transaction = self.connection.transaction().map_err(fail)?;
        transaction
            .execute(
                &format!("CREATE TABLE `{name}` ({})", declarations.join(", ")),
                [],
            )
            .map_err(fail)?;
        {
            let places = vec!["?"; columns.len()].join(", ");
            let mut insert = transaction
                .prepare(&format!("INSERT INTO `{name}` VALUES ({places})"))
                .map_err(fail)?;
            for row in rows {
                insert.execute(params_from_iter(row.iter())).map_err(fail)?;
            }
        }
        transaction.commit().map_err(fail)
    }

    fn drop_table(&self, name: &str) -> Result<(), SqlError> {
        self.connection
            .execute(&format!("DROP TABLE IF EXISTS `{name}`"), [])
            .map(|_| ())
            .map_err(|error| engine_error(&error))
    }

    /// Forgets copies until the bound holds; those of the present query stay.
    fn evict(&mut self) -> Result<(), SqlError> {
        let mut total: usize = self.copies.values().map(|copy| copy.rows).sum();
        while total > MAX_CACHED_ROWS {
            let oldest = self
                .copies
                .iter()
                .filter(|(_, copy)| copy.used < self.clock)
                .min_by_key(|(_, copy)| copy.used)
                .map(|(key, _)| key.clone());
            let Some(copy) = oldest.and_then(|key| self.copies.remove(&key)) else {
                break;
            };
            total -= copy.rows;
            self.drop_table(&copy.name)?;
        }
        Ok(())
    }

    /// Copies of the same table in older states are of no more use.
    fn forget_older(&mut self, key: &TableKey) -> Result<(), SqlError> {
        let same_shape = |other: &TableKey| {
            other.id == key.id
                && other != key
                && other
                    .versions
                    .iter()
                    .map(|(partition, ..)| partition)
                    .eq(key.versions.iter().map(|(partition, ..)| partition))
        };
        let stale: Vec<_> = self
            .copies
            .iter()
            .filter(|(other, copy)| same_shape(other) && copy.used < self.clock)
            .map(|(other, _)| other.clone())
            .collect();
        for other in stale {
            if let Some(copy) = self.copies.remove(&other) {
                self.drop_table(&copy.name)?;
            }
        }
        self.counts.retain(|other, _| !same_shape(other));
        Ok(())
    }
}

/// Loads what one query names.
struct Placement<'a> {
    state: &'a mut State,
    tables: &'a dyn Tables,
    /// Tables to drop after the query.
    transient: Vec<String>,
    /// Columns of all tables placed.
    columns: KnownColumns,
}

impl Placement<'_> {
    fn place_rows(&mut self, answer: &ResultSet) -> Result<String, SqlError> {
        let name = format!("rows_{}_{}", self.state.clock, self.transient.len());
        let columns: Vec<_> = answer
            .columns
            .iter()
            .map(|column| (column.name.clone(), column.kind))
            .collect();
        self.state.load(&name, &columns, &answer.rows)?;
        self.transient.push(name.clone());
        Ok(name)
    }
}

impl Placer for Placement<'_> {
    fn place(&mut self, table: &TableRef) -> Result<Placed, SqlError> {
        let key = match self.tables.named(table)? {
            Named::View { select, columns } => return Ok(Placed::View { select, columns }),
            Named::Rows(answer) => return self.place_rows(&answer).map(Placed::Table),
            Named::Table(key) => key,
        };
        for (name, declared, _) in &key.columns {
            if let Ok(data_type) = DataType::parse(declared) {
                self.columns.add(name, ColumnKind::of(&data_type));
            }
        }
        let clock = self.state.clock;
        if let Some(copy) = self.state.copies.get_mut(&key) {
            copy.used = clock;
            return Ok(Placed::Table(copy.name.clone()));
        }
        let scan = self.tables.scan(table)?;
        let columns: Vec<_> = scan.columns.iter().map(kind_of_column).collect();
        let name = format!("t_{}_{}_{}", key.id, clock, self.state.copies.len());
        self.state.load(&name, &columns, &scan.rows)?;
        self.state.forget_older(&key)?;
        self.state.copies.insert(
            key,
            Copy {
                name: name.clone(),
                rows: scan.rows.len(),
                used: clock,
            },
        );
        Ok(Placed::Table(name))
    }

    fn place_function(&mut self, name: &str, arguments: &str) -> Result<String, SqlError> {
        let answer = self.tables.function(name, arguments)?;
        self.place_rows(&answer)
    }
}

fn kind_of_column(column: &Column) -> (String, ColumnKind) {
    (column.name.clone(), ColumnKind::of(&column.data_type))
}

fn kind_of(value: ValueRef<'_>) -> Option<ColumnKind> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(_) => Some(ColumnKind::Integer),
        ValueRef::Real(_) => Some(ColumnKind::Double),
        ValueRef::Text(_) | ValueRef::Blob(_) => Some(ColumnKind::Text),
    }
}

fn cell_of(value: ValueRef<'_>, kind: Option<ColumnKind>) -> Cell {
    match (value, kind) {
        (ValueRef::Real(value), Some(ColumnKind::Float)) => Some(float_text(value)),
        (ValueRef::Null, _) => None,
        (value, Some(ColumnKind::Decimal(precision, scale))) => {
            let text = match value {
                // More digits than a DOUBLE shows.
                ValueRef::Real(value) => format!("{value:.20}"),
                other => text_of(other).unwrap_or_default(),
            };
            let known = DataType::Decimal(precision.max(MIN_ROOM), scale).canonicalize(&text);
            known.unwrap_or(Some(text))
        }
        (value @ ValueRef::Text(_), Some(ColumnKind::Date)) => {
            let text = text_of(value).unwrap_or_default();
            DataType::Date.canonicalize(&text).unwrap_or(Some(text))
        }
        (value @ ValueRef::Text(_), Some(ColumnKind::DateTime(scale))) => {
            let text = text_of(value).unwrap_or_default();
            let known = DataType::DateTime(scale).canonicalize(&text);
            known.unwrap_or(Some(text))
        }
        (ValueRef::Real(value), _) => Some(double_text(value)),
        (other, _) => text_of(other),
    }
}

/// A failure that is not the query's fault.
fn engine_error(error: &rusqlite::Error) -> SqlError {
    SqlError::analysis(format!("query engine: {error}"))
}

/// What SQLite says about a query, in Doris' words where they are known.
fn query_error(error: &rusqlite::Error) -> SqlError {
    let text = match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        other => other.to_string(),
    };
    if let Some(column) = text.strip_prefix("no such column: ") {
        return SqlError::new(1054, format!("Unknown column '{column}' in 'table list'"));
    }
    if let Some(function) = text.strip_prefix("no such function: ") {
        return SqlError::analysis(format!("Can not found function '{function}'"));
    }
    SqlError::analysis(text)
}
