//! The query of a synchronous materialized view: what it selects, under which condition, and the columns that come of it.

use crate::api::SqlError;
use dorisim_model::catalog::IndexMeta;
use dorisim_model::{Aggregation, Column, DataType, IndexState, KeysModel, TableSchema};
use dorisim_sql::{Token, TokenKind, tokenize};

/// What the view selects.
#[derive(Debug, PartialEq, Eq)]
pub struct ViewQuery {
    /// Table with or without its database, without quotes.
    pub table: String,
    /// What it selects.
    pub items: Vec<Item>,
    /// Text of WHERE.
    pub filter: Option<String>,
}

/// One selected thing.
#[derive(Debug, PartialEq, Eq)]
pub struct Item {
    /// Aggregate function, upper case; empty for what the rows are grouped by.
    pub function: String,
    /// Text of the expression, or of the function's argument.
    pub text: String,
    /// The column that the expression is, when it is nothing but one.
    pub column: Option<String>,
}

const FUNCTIONS: [&str; 8] = [
    "SUM",
    "MIN",
    "MAX",
    "COUNT",
    "BITMAP_UNION",
    "HLL_UNION",
    "BITMAP_UNION_COUNT",
    "HLL_UNION_AGG",
];

fn bad(what: &str) -> SqlError {
    SqlError::analysis(format!(
        "a synchronous materialized view selects from one table, not: {what}"
    ))
}

/// A place in the tokens of a query.
struct Reader<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Reader<'a> {
    fn is_word(&self, words: &[&str]) -> bool {
        matches!(&self.tokens[self.at].kind, TokenKind::Word(w) if words.iter().any(|x| w.eq_ignore_ascii_case(x)))
    }

    fn is_symbol(&self, wanted: &str) -> bool {
        matches!(&self.tokens[self.at].kind, TokenKind::Symbol(s) if *s == wanted)
    }

    fn ended(&self) -> bool {
        matches!(self.tokens[self.at].kind, TokenKind::Eof) || self.is_symbol(";")
    }

    /// Tokens up to one of these words, or a comma if asked for, outside of parentheses.
    fn until(&mut self, words: &[&str], comma: bool) -> &'a [Token] {
        let (start, mut depth) = (self.at, 0_usize);
        while !self.ended() {
            if depth == 0 && (self.is_word(words) || (comma && self.is_symbol(","))) {
                break;
            }
            if self.is_symbol("(") {
                depth += 1;
            } else if self.is_symbol(")") {
                depth = depth.saturating_sub(1);
            }
            self.at += 1;
        }
        &self.tokens[start..self.at]
    }

    fn text(&self, tokens: &[Token]) -> &'a str {
        match (tokens.first(), tokens.last()) {
            (Some(first), Some(last)) => self.text[first.start..last.end].trim(),
            _ => "",
        }
    }
}

/// Reads `SELECT a, sum(b + 1) AS s FROM t WHERE c > 0 GROUP BY a`.
pub fn view_query(select: &str) -> Result<ViewQuery, SqlError> {
    let tokens = tokenize(select).map_err(|_| bad(select))?;
    let mut reader = Reader {
        text: select,
        tokens: &tokens,
        at: 0,
    };
    if !reader.is_word(&["SELECT"]) {
        return Err(bad(select));
    }
    let mut items = Vec::new();
    loop {
        reader.at += 1;
        let tokens = reader.until(&["FROM", "AS"], true);
        items.push(item(&reader, tokens).ok_or_else(|| bad(select))?);
        if reader.is_word(&["AS"]) {
            reader.until(&["FROM"], true);
        }
        if !reader.is_symbol(",") {
            break;
        }
    }
    if !reader.is_word(&["FROM"]) {
        return Err(bad(select));
    }
    reader.at += 1;
    const ENDS: [&str; 4] = ["WHERE", "GROUP", "ORDER", "HAVING"];
    let tables = reader.until(&ENDS, false);
    let single = tables.iter().enumerate().all(|(at, t)| match t.kind {
        TokenKind::Word(_) | TokenKind::Quoted(_) => at % 2 == 0,
        TokenKind::Symbol(".") => at % 2 == 1,
        TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::Eof => false,
    });
    let table = reader.text(tables).replace(['`', ' '], "");
    if !single || table.is_empty() || tables.len() > 5 {
        return Err(bad(select));
    }
    let filter = if reader.is_word(&["WHERE"]) {
        reader.at += 1;
        let tokens = reader.until(&ENDS, false);
        Some(reader.text(tokens).to_owned())
    } else {
        None
    };
    reader.until(&["HAVING"], false);
    if reader.is_word(&["HAVING"]) {
        return Err(bad(select));
    }
    Ok(ViewQuery {
        table,
        items,
        filter,
    })
}

fn item(reader: &Reader<'_>, tokens: &[Token]) -> Option<Item> {
    let call = match tokens {
        [name, open, .., close] => {
            let TokenKind::Word(name) = &name.kind else {
                return Some(plain(reader, tokens, ""));
            };
            let bracketed =
                open.kind == TokenKind::Symbol("(") && close.kind == TokenKind::Symbol(")");
            let name = name.to_ascii_uppercase();
            (bracketed && FUNCTIONS.contains(&name.as_str())).then_some(name)
        }
        [] => return None,
        [..] => None,
    };
    Some(match call {
        Some(function) => plain(reader, &tokens[2..tokens.len() - 1], &function),
        None => plain(reader, tokens, ""),
    })
}

fn plain(reader: &Reader<'_>, tokens: &[Token], function: &str) -> Item {
    let column = match tokens {
        [one] => match &one.kind {
            TokenKind::Word(name) | TokenKind::Quoted(name) => Some(name.clone()),
            TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::Eof => {
                None
            }
        },
        _ => None,
    };
    Item {
        function: function.to_owned(),
        text: reader.text(tokens).to_owned(),
        column,
    }
}

/// Unique ids of what a materialized view computes start here; the base table's stay below.
const VIEW_IDS: i32 = 1_000_000;

/// The kind of value an expression gives, as far as its text tells.
fn type_of(base: &TableSchema, text: &str) -> DataType {
    let tokens = tokenize(text).unwrap_or_default();
    let words: Vec<String> = tokens
        .iter()
        .filter_map(|t| match &t.kind {
            TokenKind::Word(w) | TokenKind::Quoted(w) => Some(w.to_ascii_lowercase()),
            TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::Eof => {
                None
            }
        })
        .collect();
    let columns: Vec<&Column> = words.iter().filter_map(|w| base.column(w)).collect();
    match words.first().map(String::as_str) {
        Some("to_bitmap" | "bitmap_hash" | "bitmap_hash64") => return DataType::Bitmap,
        Some("hll_hash") => return DataType::Hll,
        Some("to_date" | "date") => return DataType::Date,
        Some("date_trunc" | "abs") => {
            if let Some(column) = columns.first() {
                return column.data_type.clone();
            }
        }
        Some("year" | "month" | "day" | "hour" | "minute" | "second" | "length") => {
            return DataType::Int;
        }
        _ => {}
    }
    let all = |fits: fn(&DataType) -> bool| columns.iter().all(|c| fits(&c.data_type));
    let has = |symbol: &str| {
        tokens
            .iter()
            .any(|t| matches!(t.kind, TokenKind::Symbol(s) if s == symbol))
    };
    let compares = ["=", "<", ">", "<=", ">=", "<>", "!="]
        .iter()
        .any(|s| has(s));
    if compares && words.first().map(String::as_str) != Some("case") {
        return DataType::Boolean;
    }
    let computes = ["+", "-", "*", "%"].iter().any(|s| has(s));
    if has("/") && all(DataType::is_numeric) {
        return DataType::Double;
    }
    if computes && all(DataType::is_integer) {
        return DataType::BigInt;
    }
    if computes && all(DataType::is_numeric) {
        let scale = columns.iter().filter_map(|c| match c.data_type {
            DataType::Decimal(_, scale) => Some(scale),
            _ => None,
        });
        return scale
            .max()
            .map_or(DataType::Double, |scale| DataType::Decimal(38, scale));
    }
    match words.first().map(String::as_str) {
        Some("case" | "if" | "ifnull" | "coalesce" | "nullif")
            if !columns.is_empty() && all(DataType::is_integer) =>
        {
            DataType::BigInt
        }
        _ => DataType::Varchar(dorisim_model::types::MAX_VARCHAR),
    }
}

/// What is inside of a function that only makes a sketch of its argument: sketches are texts of their members here.
fn unsketched(text: &str) -> &str {
    for name in ["to_bitmap", "bitmap_hash64", "bitmap_hash", "hll_hash"] {
        let Some((head, rest)) = text.split_at_checked(name.len()) else {
            continue;
        };
        if head.eq_ignore_ascii_case(name)
            && let Some(inner) = rest.trim().strip_prefix('(')
        {
            return inner.strip_suffix(')').unwrap_or(inner).trim();
        }
    }
    text
}

fn wide(data_type: &DataType) -> DataType {
    match data_type {
        DataType::TinyInt | DataType::SmallInt | DataType::Int => DataType::BigInt,
        DataType::Float => DataType::Double,
        DataType::Decimal(_, scale) => DataType::Decimal(38, *scale),
        other => other.clone(),
    }
}

/// One column of the view, named as Doris names it.
fn view_column(
    base: &TableSchema,
    item: &Item,
    at: usize,
    grouped: bool,
) -> Result<Column, SqlError> {
    let unknown =
        |name: &str| SqlError::new(1054, format!("Unknown column '{name}' in 'table list'"));
    let source = match &item.column {
        Some(name) => Some(base.column(name).ok_or_else(|| unknown(name))?),
        None => None,
    };
    let label = source.map_or_else(|| item.text.clone(), |c| format!("`{}`", c.name));
    let mut column = match source {
        Some(source) => Column {
            default: None,
            comment: String::new(),
            auto_inc: None,
            on_update: None,
            ..source.clone()
        },
        None => Column::new("", type_of(base, &item.text)),
    };
    let computed = VIEW_IDS.saturating_add(i32::try_from(at).unwrap_or(0));
    column.generated =
        Some(source.map_or_else(|| unsketched(&item.text).to_owned(), |_| label.clone()));
    if item.function.is_empty() {
        column.is_key = grouped || source.is_some_and(|c| c.is_key) || at == 0;
        column.aggregation = None;
        match source {
            Some(source) => {
                column.name = format!("mv_{}", source.name);
                column.generated = None;
            }
            None => {
                column.name = format!("mv_{}", item.text);
                column.unique_id = computed;
            }
        }
        return Ok(column);
    }
    column.name = format!("mva_{}__{label}", item.function);
    column.unique_id = computed;
    column.is_key = false;
    column.aggregation = Some(match item.function.as_str() {
        "SUM" => {
            column.data_type = wide(&column.data_type);
            Aggregation::Sum
        }
        "COUNT" => {
            column.data_type = DataType::BigInt;
            column.nullable = false;
            column.generated = Some(if item.text == "*" {
                "1".to_owned()
            } else {
                format!("CASE WHEN {label} IS NULL THEN 0 ELSE 1 END")
            });
            Aggregation::Sum
        }
        "MIN" => Aggregation::Min,
        "MAX" => Aggregation::Max,
        "BITMAP_UNION" | "BITMAP_UNION_COUNT" => {
            column.data_type = DataType::Bitmap;
            Aggregation::BitmapUnion
        }
        "HLL_UNION" | "HLL_UNION_AGG" => {
            column.data_type = DataType::Hll;
            Aggregation::HllUnion
        }
        other => {
            return Err(SqlError::analysis(format!(
                "The function {other} is not supported in a materialized view"
            )));
        }
    });
    Ok(column)
}

/// Columns of a materialized view.
pub fn view_schema(base: &TableSchema, query: &ViewQuery) -> Result<TableSchema, SqlError> {
    let grouped = query.items.iter().any(|i| !i.function.is_empty());
    let mut columns = query
        .items
        .iter()
        .enumerate()
        .map(|(at, item)| view_column(base, item, at, grouped))
        .collect::<Result<Vec<_>, _>>()?;
    if columns.windows(2).any(|w| !w[0].is_key && w[1].is_key) {
        return Err(SqlError::analysis(
            "The aggregate column should be after the single column",
        ));
    }
    let keys = if grouped {
        KeysModel::Aggregate
    } else {
        columns.extend(base.columns.iter().filter(|c| !c.visible).cloned());
        base.keys.clone()
    };
    Ok(crate::catalog::rollup_schema::finish_schema(columns, keys))
}

/// The index of a view that is still to be built.
pub fn view_meta(
    id: i64,
    name: &str,
    define: String,
    query: &ViewQuery,
    schema: TableSchema,
) -> IndexMeta {
    IndexMeta {
        id,
        name: name.to_owned(),
        schema_hash: schema.schema_hash,
        columns: query
            .items
            .iter()
            .map(|i| i.column.clone().unwrap_or_else(|| i.text.clone()))
            .collect(),
        schema: Some(schema),
        state: IndexState::Shadow,
        define: Some(define),
        filter: query.filter.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_query_is_columns_expressions_and_aggregates() {
        let query = view_query(
            "SELECT `k`, k + 1 AS k1, sum(v) AS s, COUNT(`v`), max(abs(v - 1)) FROM `d`.`t` WHERE v > 0 AND w IN (1, 2) GROUP BY k, k + 1",
        )
        .unwrap();
        let item = |f: &str, text: &str, column: Option<&str>| Item {
            function: f.to_owned(),
            text: text.to_owned(),
            column: column.map(str::to_owned),
        };
        assert_eq!(query.table, "d.t");
        assert_eq!(query.filter.as_deref(), Some("v > 0 AND w IN (1, 2)"));
        assert_eq!(
            query.items,
            [
                item("", "`k`", Some("k")),
                item("", "k + 1", None),
                item("SUM", "v", Some("v")),
                item("COUNT", "`v`", Some("v")),
                item("MAX", "abs(v - 1)", None)
            ]
        );
        for refused in [
            "SELECT k FROM t JOIN u",
            "SELECT k FROM t, u",
            "SELECT k, sum(v) FROM t GROUP BY k HAVING sum(v) > 1",
            "SELECT FROM t",
            "DELETE FROM t",
        ] {
            assert!(view_query(refused).is_err(), "{refused}");
        }
    }
}
