//! What CREATE VIEW makes of a query: its columns by name, and every column of the table under its full name.
//!
//! Doris writes `` `internal`.`db`.`t`.`c` `` for every column and names the columns of the view in front. Here that is done for queries
//! of one table (or none); joins, subqueries and unions stay as they were written.

use crate::api::SqlError;
use crate::catalog::view_text::{is_name, tokenize, unquote};
use dorisim_model::Catalog;

/// A view's query and columns (name, comment) as they are kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub definition: String,
    pub columns: Vec<(String, String)>,
}

/// The one table of a query.
struct Source {
    db: String,
    /// Its name, or its alias.
    name: String,
    table: String,
    columns: Vec<String>,
}

/// Checks the tables of a query whose tables have their full names, and names its columns.
///
/// # Errors
/// A table that is not there; more or fewer columns declared than selected.
pub(crate) fn settle(
    catalog: &Catalog,
    definition: String,
    declared: Vec<(String, String)>,
) -> Result<Settled, SqlError> {
    let tokens = tokenize(&definition);
    let significant: Vec<usize> = (0..tokens.len())
        .filter(|at| !tokens[*at].trim().is_empty())
        .collect();
    let sig = |at: usize| significant.get(at).map_or("", |at| tokens[*at].as_str());
    for at in 0..significant.len() {
        let path = [sig(at), sig(at + 1), sig(at + 3)] == ["`internal`", ".", "."];
        if path && sig(at + 5) != "." && (at == 0 || sig(at - 1) != ".") {
            let (db, name) = (unquote(sig(at + 2)), unquote(sig(at + 4)));
            let missing = catalog.database(db).is_some_and(|db| !db.has_name(name));
            if missing {
                return Err(SqlError::analysis(format!(
                    "Table [{name}] does not exist in database [{db}]."
                )));
            }
        }
    }
    Ok(simple(catalog, &tokens, &declared)?.unwrap_or(Settled {
        definition,
        columns: declared,
    }))
}

/// A query of one table or none; `None` for any other.
fn simple(
    catalog: &Catalog,
    tokens: &[String],
    declared: &[(String, String)],
) -> Result<Option<Settled>, SqlError> {
    const OTHERS: [&str; 9] = [
        "JOIN",
        "UNION",
        "WITH",
        "LATERAL",
        "INTERSECT",
        "EXCEPT",
        "MINUS",
        "EXISTS",
        "PARTITION",
    ];
    let word = |at: usize| tokens[at].to_ascii_uppercase();
    let found = |name: &str| (0..tokens.len()).filter(|at| word(*at) == name).count();
    let begins = tokens
        .first()
        .is_some_and(|first| first.eq_ignore_ascii_case("SELECT"));
    if !begins || found("SELECT") != 1 || OTHERS.iter().any(|other| found(other) > 0) {
        return Ok(None);
    }
    let mut depth = 0_i32;
    let mut from = None;
    for at in 0..tokens.len() {
        match word(at).as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            "FROM" if depth == 0 => from = from.or(Some(at)),
            _ => {}
        }
    }
    let items_end = from.unwrap_or(tokens.len());
    let (source, head, tail) = match from {
        None => (None, String::new(), tokens.len()),
        Some(from) => match one_table(catalog, tokens, from) {
            Some((source, head, tail)) => (Some(source), head, tail),
            None => return Ok(None),
        },
    };
    let Some(items) = items(&tokens[1..items_end], source.as_ref()) else {
        return Ok(None);
    };
    if !declared.is_empty() && declared.len() != items.len() {
        return Err(SqlError::analysis(
            "View's SELECT and view's field list have different column counts",
        ));
    }
    let mut definition = tokens[0].clone();
    for (at, item) in items.iter().enumerate() {
        definition.push_str(if at > 0 { "," } else { "" });
        definition.push_str(&item.blank);
        definition.push_str(&item.expression);
        match declared.get(at) {
            Some((name, _)) => definition.push_str(&format!(" AS `{name}`")),
            None => definition.push_str(&item.alias),
        }
        definition.push_str(&item.behind);
    }
    definition.push_str(&head);
    definition.push_str(&full_names(&tokens[tail..], source.as_ref()));
    let inferred = items
        .iter()
        .map(|item| Some((item.name.clone()?, String::new())));
    let columns = if declared.is_empty() {
        inferred.collect::<Option<Vec<_>>>().unwrap_or_default()
    } else {
        declared.to_vec()
    };
    Ok(Some(Settled {
        definition,
        columns,
    }))
}

/// The table behind FROM, the text up to its end, and where that is.
fn one_table(catalog: &Catalog, tokens: &[String], from: usize) -> Option<(Source, String, usize)> {
    const NEXT: [&str; 5] = ["WHERE", "GROUP", "HAVING", "ORDER", "LIMIT"];
    let start = from + 2;
    let path = tokens.get(start..start + 5)?;
    if path[0] != "`internal`" || path[1] != "." || path[3] != "." {
        return None;
    }
    let (db, table) = (unquote(&path[2]).to_owned(), unquote(&path[4]).to_owned());
    let columns = catalog
        .table(&db, &table)?
        .schema
        .visible()
        .map(|column| column.name.clone())
        .collect();
    let mut head = tokens[from..start + 5].concat();
    let mut at = start + 5;
    let mut name = table.clone();
    while let Some(token) = tokens.get(at) {
        let upper = token.to_ascii_uppercase();
        if NEXT.contains(&upper.as_str()) {
            break;
        }
        if token.trim().is_empty() || upper == "AS" {
            head.push_str(token);
        } else if is_name(token) && name == table {
            name = unquote(token).to_owned();
            head.push_str(&format!("`{name}`"));
        } else {
            return None;
        }
        at += 1;
    }
    Some((
        Source {
            db,
            name,
            table,
            columns,
        },
        head,
        at,
    ))
}

/// One of the selected.
struct Item {
    /// White space in front, and DISTINCT.
    blank: String,
    expression: String,
    /// ` as ` and its name, as it was written but for quotes.
    alias: String,
    /// White space behind.
    behind: String,
    /// Its name as a column of the view; `None` when Doris' name is not known.
    name: Option<String>,
}

fn items(tokens: &[String], source: Option<&Source>) -> Option<Vec<Item>> {
    let mut parts: Vec<&[String]> = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            "," if depth == 0 => {
                parts.push(&tokens[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[start..]);
    let mut items = Vec::new();
    for part in parts {
        item(part, source, &mut items)?;
    }
    Some(items)
}

fn item(part: &[String], source: Option<&Source>, items: &mut Vec<Item>) -> Option<()> {
    let is_blank = |token: &String| token.trim().is_empty();
    let is_prefix = |token: &String| is_blank(token) || token.eq_ignore_ascii_case("DISTINCT");
    let lead = part.iter().take_while(|token| is_prefix(token)).count();
    let trail = part
        .iter()
        .rev()
        .take_while(|token| is_blank(token))
        .count();
    let core = part.get(lead..part.len() - trail)?;
    let (mut blank, behind) = (part[..lead].concat(), part[part.len() - trail..].concat());
    let last = core.last()?;
    if last == "*" && (core.len() == 1 || core.get(core.len() - 2).is_some_and(|dot| dot == ".")) {
        let source = source?;
        for (at, column) in source.columns.iter().enumerate() {
            items.push(Item {
                blank: std::mem::replace(&mut blank, " ".to_owned()),
                expression: full_name(source, column),
                alias: String::new(),
                behind: if at + 1 == source.columns.len() {
                    behind.clone()
                } else {
                    String::new()
                },
                name: Some(column.clone()),
            });
        }
        return Some(());
    }
    let end = alias_start(core);
    let expression = &core[..end];
    let (mut alias, mut name) = (String::new(), None);
    if let Some((called, between)) = core[end..].split_last() {
        name = Some(unquote(called).to_owned());
        alias = format!("{}`{}`", between.concat(), unquote(called));
    }
    let name = name.or_else(|| name_of(expression, source, items.len()));
    items.push(Item {
        blank,
        expression: full_names(expression, source),
        alias,
        behind,
        name,
    });
    Some(())
}

/// Where the alias begins, its white space and AS included; the length when there is none.
fn alias_start(core: &[String]) -> usize {
    const OPERATORS: [&str; 12] = [
        "NOT", "AND", "OR", "IS", "IN", "LIKE", "BETWEEN", "THEN", "ELSE", "WHEN", "CASE",
        "INTERVAL",
    ];
    const ENDS: [&str; 4] = ["END", "NULL", "TRUE", "FALSE"];
    let significant: Vec<usize> = (0..core.len())
        .filter(|at| !core[*at].trim().is_empty())
        .collect();
    let [.., before, last] = significant.as_slice() else {
        return core.len();
    };
    let word = |at: usize| core[at].to_ascii_uppercase();
    if !is_name(&core[*last]) || ENDS.contains(&word(*last).as_str()) {
        return core.len();
    }
    if word(*before) == "AS" {
        let kept = significant[..significant.len() - 2].last();
        return kept.map_or(core.len(), |at| at + 1);
    }
    let ended = core[*before].starts_with(|c: char| c.is_alphanumeric() || "_`'\")".contains(c));
    if ended && !OPERATORS.contains(&word(*before).as_str()) && before + 1 < *last {
        return before + 1;
    }
    core.len()
}

/// Doris' name for a column without alias, where it is known.
fn name_of(expression: &[String], source: Option<&Source>, at: usize) -> Option<String> {
    let last = expression.last()?;
    let is_path = expression
        .iter()
        .all(|token| token == "." || is_name(token));
    if is_path {
        let name = unquote(last);
        let columns = &source?.columns;
        let known = columns
            .iter()
            .any(|column| column.eq_ignore_ascii_case(name));
        return known.then(|| name.to_owned());
    }
    let literal =
        |token: &str| token.starts_with(|c: char| c.is_ascii_digit() || "'\"".contains(c));
    if expression.len() == 1 && literal(last) {
        return Some(format!("__literal_{at}"));
    }
    let called = is_name(&expression[0]) && expression.get(1).is_some_and(|open| open == "(");
    let mut depth = 0_i32;
    let closes = expression.iter().position(|token| {
        depth += i32::from(token == "(") - i32::from(token == ")");
        token == ")" && depth == 0
    });
    (called && closes == Some(expression.len() - 1))
        .then(|| format!("__{}_{at}", expression[0].to_ascii_lowercase()))
}

fn full_name(source: &Source, column: &str) -> String {
    format!("`internal`.`{}`.`{}`.`{column}`", source.db, source.name)
}

/// The text with the full names of the table's columns.
fn full_names(tokens: &[String], source: Option<&Source>) -> String {
    let Some(source) = source else {
        return tokens.concat();
    };
    let mut out = String::new();
    let mut at = 0;
    let mut before = String::new();
    while at < tokens.len() {
        let token = &tokens[at];
        let mut end = at + 1;
        if is_name(token) && before != "." {
            while tokens.get(end).is_some_and(|dot| dot == ".")
                && tokens.get(end + 1).is_some_and(|next| is_name(next))
            {
                end += 2;
            }
        }
        let name = unquote(&tokens[end - 1]);
        let of_source = end == at + 1 || {
            let qualifier = unquote(&tokens[end - 3]);
            qualifier == source.name || qualifier == source.table
        };
        let known = source
            .columns
            .iter()
            .any(|column| column.eq_ignore_ascii_case(name));
        let call = tokens.get(end).is_some_and(|next| next == "(");
        if is_name(token) && of_source && known && !call && before != "AS" && before != "." {
            out.push_str(&full_name(source, name));
        } else {
            out.push_str(&tokens[at..end].concat());
        }
        if !tokens[end - 1].trim().is_empty() {
            before = tokens[end - 1].to_ascii_uppercase();
        }
        at = end;
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::tests::World;

    #[tokio::test]
    async fn queries_of_one_table_are_written_out() {
        let w = World::new(1).await;
        w.sql("CREATE TABLE t (k1 INT, V VARCHAR(9), d DATE) DUPLICATE KEY(k1) DISTRIBUTED BY HASH(k1) BUCKETS 1")
            .await;
        for (head, query, wanted) in [
            (
                "",
                "select * from t",
                "(k1,V,d)\n AS select T.`k1`, T.`V`, T.`d` from T",
            ),
            (
                "(a, b)",
                "select k1, v from t where k1>1 order by V",
                "(a,b)\n AS select T.`k1` AS `a`, T.`v` AS `b` from T where T.`k1`>1 order by T.`V`",
            ),
            (
                "",
                "select k1 x, v as y, V from t",
                "(x,y,V)\n AS select T.`k1` `x`, T.`v` as `y`, T.`V` from T",
            ),
            (
                "",
                "SELECT k1 AS k1, upper(v), 1, 'a', count(*) c from t group by k1,v",
                "(k1,__upper_1,__literal_2,__literal_3,c)\n AS SELECT T.`k1` AS `k1`, upper(T.`v`), 1, 'a', count(*) `c` from T group by \
                 T.`k1`,T.`v`",
            ),
            (
                "",
                "select t.k1, d.t.v from t",
                "(k1,v)\n AS select T.`k1`, T.`v` from T",
            ),
            (
                "",
                "select x.k1 from t x",
                "(k1)\n AS select `internal`.`d`.`x`.`k1` from T `x`",
            ),
            (
                "",
                "select case when k1>1 then v else 'x' end z, k1 from t",
                "(z,k1)\n AS select case when T.`k1`>1 then T.`v` else 'x' end `z`, T.`k1` from T",
            ),
            (
                "",
                "select distinct k1 from t limit 3",
                "(k1)\n AS select distinct T.`k1` from T limit 3",
            ),
            ("", "select 1", "(__literal_0)\n AS select 1"),
            ("(n)", "select 1", "(n)\n AS select 1 AS `n`"),
        ] {
            w.sql(&format!("CREATE VIEW v{head} AS {query}")).await;
            let shown = w.fe.with_catalog(|catalog| {
                let view = catalog.database("d").unwrap().view("v").unwrap().clone();
                w.fe.show_create_view(&view)
            });
            let wanted = wanted
                .replace("T.", "`internal`.`d`.`t`.")
                .replace("from T", "from `internal`.`d`.`t`");
            assert_eq!(shown, format!("CREATE VIEW `v`\n{wanted};"), "{query}");
            w.sql("DROP VIEW v").await;
        }
        for (statement, wanted) in [
            (
                "CREATE VIEW v AS SELECT * FROM t, nope",
                "Table [nope] does not exist in database [d].",
            ),
            (
                "CREATE VIEW v(a) AS SELECT k1, v FROM t",
                "View's SELECT and view's field list have different column counts",
            ),
        ] {
            assert_eq!(w.try_sql(statement).await.unwrap_err().text, wanted);
        }
    }
}
