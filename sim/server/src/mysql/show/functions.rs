//! Functions of users.

use super::objects::in_db;
use crate::mysql::session::SqlSession;
use crate::mysql::words::passes;
use dorisim_model::SqlError;
use dorisim_query::ResultSet;

/// SHOW [FULL] FUNCTIONS. As in Doris, every name is listed once, and of the other columns of FULL none is filled.
pub(super) fn functions(
    session: &SqlSession,
    full: bool,
    db: Option<&str>,
    like: Option<&str>,
) -> Result<ResultSet, SqlError> {
    let name_of = |signature: &String| {
        let end = signature.find('(').unwrap_or(signature.len());
        signature[..end].to_owned()
    };
    let mut names: Vec<String> = in_db(session, db, |db| {
        Ok(db.functions.keys().map(name_of).collect())
    })?;
    names.dedup();
    names.retain(|name| passes(name, like));
    let columns: &[&str] = if full {
        &[
            "Signature",
            "Return Type",
            "Function Type",
            "Intermediate Type",
            "Properties",
        ]
    } else {
        &["Function Name"]
    };
    let mut answer = ResultSet::of_strings(columns);
    for name in names {
        let mut row = vec![name];
        row.resize(columns.len(), String::new());
        answer.push(row);
    }
    Ok(answer)
}

/// SHOW CREATE FUNCTION.
pub(super) fn create(
    session: &SqlSession,
    db: Option<&str>,
    signature: &str,
) -> Result<ResultSet, SqlError> {
    let text = in_db(session, db, |db| Ok(db.functions.get(signature).cloned()))?;
    let text =
        text.ok_or_else(|| SqlError::analysis(format!("Unknown function, function={signature}")))?;
    let mut answer = ResultSet::of_text(&["Function Signature", "Create Function"]);
    answer.push(vec![signature.to_owned(), text]);
    Ok(answer)
}
