//! SHOW VIEW FROM a table, and DESC of a view.

use crate::mysql::session::SqlSession;
use dorisim_model::SqlError;
use dorisim_model::types::MAX_VARCHAR;
use dorisim_model::{DataType, View};
use dorisim_query::{ColumnKind, ResultColumn, ResultSet};
use dorisim_sql::ast::ObjectName;
use dorisim_sql::{TokenKind, tokenize};

/// The views of its database that read a table.
pub(super) fn of_table(session: &SqlSession, name: &ObjectName) -> Result<ResultSet, SqlError> {
    let db = session.db_of(name.db.as_deref())?;
    let views = session.frontend().with_catalog(|catalog| {
        let database = catalog
            .database(&db)
            .ok_or_else(|| SqlError::unknown_db(&db))?;
        let table = database
            .table(&name.name)
            .ok_or_else(|| SqlError::unknown_table(&name.name))?;
        let readers = database.views.values();
        Ok(readers
            .filter(|view| reads(&view.definition, &db, &table.name))
            .cloned()
            .collect::<Vec<_>>())
    })?;
    let mut answer = ResultSet::of_text(&["View", "Create View"]);
    for view in views {
        answer.push(vec![
            view.name.clone(),
            session.frontend().show_create_view(&view),
        ]);
    }
    Ok(answer)
}

/// The view of a name, if it is one.
pub(in crate::mysql) fn view_of(
    session: &SqlSession,
    name: &ObjectName,
) -> Result<Option<View>, SqlError> {
    let db = session.db_of(name.db.as_deref())?;
    Ok(session.frontend().with_catalog(|catalog| {
        let database = catalog.database(&db)?;
        database.view(&name.name).cloned()
    }))
}

/// DESC of a view; `columns` are those that its query answers.
pub(in crate::mysql) fn describe_view(view: &View, columns: &[ResultColumn]) -> ResultSet {
    let mut answer = ResultSet::of_text(&["Field", "Type", "Null", "Key", "Default", "Extra"]);
    let count = view.columns.len().max(columns.len());
    for at in 0..count {
        let answered = columns.get(at);
        let name = match (view.columns.get(at), answered) {
            (Some((name, _)), _) => name.clone(),
            (None, Some(column)) => column.name.clone(),
            (None, None) => continue,
        };
        answer.rows.push(vec![
            Some(name),
            Some(answered.map_or_else(|| "text".to_owned(), |column| type_name(column.kind))),
            Some("Yes".to_owned()),
            Some("false".to_owned()),
            None,
            Some(String::new()),
        ]);
    }
    answer
}

/// A type that answers in this way.
fn type_name(kind: ColumnKind) -> String {
    let data_type = match kind {
        ColumnKind::TinyInt => DataType::TinyInt,
        ColumnKind::SmallInt => DataType::SmallInt,
        ColumnKind::Int => DataType::Int,
        ColumnKind::Integer => DataType::BigInt,
        ColumnKind::Boolean => DataType::Boolean,
        ColumnKind::Large => DataType::LargeInt,
        ColumnKind::Float => DataType::Float,
        ColumnKind::Double => DataType::Double,
        ColumnKind::Decimal(precision, scale) => DataType::Decimal(precision, scale),
        ColumnKind::Date => DataType::Date,
        ColumnKind::DateTime(scale) => DataType::DateTime(scale),
        ColumnKind::Text => DataType::Varchar(MAX_VARCHAR),
        ColumnKind::String => DataType::String,
        ColumnKind::Json => DataType::Json,
    };
    data_type.to_string()
}

/// True when a query names a table behind FROM, JOIN or a comma: alone or with its database.
fn reads(query: &str, db: &str, table: &str) -> bool {
    let Ok(tokens) = tokenize(query) else {
        return false;
    };
    let name = |at: usize| match &tokens.get(at)?.kind {
        TokenKind::Word(name) | TokenKind::Quoted(name) => Some(name.as_str()),
        TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::Eof => None,
    };
    let opens = |at: usize| match &tokens[at].kind {
        TokenKind::Word(word) => {
            word.eq_ignore_ascii_case("from") || word.eq_ignore_ascii_case("join")
        }
        TokenKind::Symbol(symbol) => [",", "("].contains(symbol),
        TokenKind::Quoted(_) | TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Eof => false,
    };
    (0..tokens.len()).filter(|at| opens(*at)).any(|at| {
        let mut path = Vec::new();
        let mut next = at + 1;
        while let Some(part) = name(next) {
            path.push(part);
            let dotted = tokens
                .get(next + 1)
                .is_some_and(|token| token.kind == TokenKind::Symbol("."));
            if !dotted {
                break;
            }
            next += 2;
        }
        match path.as_slice() {
            [alone] => *alone == table,
            [.., of, last] => *of == db && *last == table,
            [] => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::reads;

    #[test]
    fn tables_are_found_behind_from_and_join() {
        let query = "SELECT a.k FROM `d`.`t` a JOIN (SELECT * FROM internal.d.u) b, w";
        for (table, wanted) in [
            ("t", true),
            ("u", true),
            ("w", true),
            ("k", false),
            ("a", false),
        ] {
            assert_eq!(reads(query, "d", table), wanted, "{table}");
        }
        assert!(!reads(query, "e", "t"));
    }
}
