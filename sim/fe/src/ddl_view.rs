//! Views: creation, change, removal, and how their select text is qualified.

use super::api::SqlError;
use super::ddl::view;
use super::frontend::Frontend;
use super::show_create;
use super::view_columns;
use super::{record, record_view};

impl Frontend {
    #[allow(clippy::too_many_arguments)] // the members of one statement
    pub(super) fn create_view(
        &self,
        db: &str,
        name: &str,
        columns: Vec<(String, String)>,
        comment: String,
        select: &str,
        or_replace: bool,
        if_not_exists: bool,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let mut state = self.lock();
        state.db(db)?;
        let settled = view_columns::settle(&state.catalog, qualify(select, db), columns)?;
        let view_columns::Settled {
            definition,
            columns,
        } = settled;
        let database = state.db_mut(db)?;
        let db_id = database.id;
        if let Some(old) = database
            .views
            .values_mut()
            .find(|v| v.name == name)
            .filter(|_| or_replace)
        {
            old.definition = definition;
            old.columns = columns;
            let said = (!comment.is_empty()).then(|| comment.clone());
            old.comment = comment;
            let record = record_view::view_def(db_id, old, said.as_deref());
            state.emit(record, now);
            return Ok(());
        }
        if database.has_name(name) {
            return if if_not_exists {
                Ok(())
            } else {
                Err(SqlError::new(
                    1050,
                    format!("Table '{name}' already exists"),
                ))
            };
        }
        let id = state.new_id();
        let view = view(id, name, columns, comment, definition);
        let record = record_view::create_view(db_id, db, &view, &show_create::create_view(&view));
        state.db_mut(db)?.views.insert(id, view);
        state.emit(record, now);
        Ok(())
    }

    pub(super) fn alter_view(
        &self,
        db: &str,
        name: &str,
        columns: Vec<(String, String)>,
        select: Option<&str>,
        comment: Option<String>,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let mut state = self.lock();
        state.db(db)?;
        let settled = match select {
            Some(select) => {
                let definition = qualify(select, db);
                Some(view_columns::settle(&state.catalog, definition, columns)?)
            }
            None => None,
        };
        let database = state.db_mut(db)?;
        let db_id = database.id;
        let view = database
            .views
            .values_mut()
            .find(|v| v.name == name)
            .ok_or_else(|| SqlError::unknown_table(name))?;
        if let Some(comment) = &comment {
            view.comment.clone_from(comment);
        }
        let record = if let Some(settled) = settled {
            view.definition = settled.definition;
            view.columns = settled.columns;
            record_view::view_def(db_id, view, comment.as_deref())
        } else {
            record_view::view_comment(db_id, view.id, &view.comment)
        };
        state.emit(record, now);
        Ok(())
    }

    pub(super) fn drop_view(&self, db: &str, name: &str, if_exists: bool) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let mut state = self.lock();
        let Ok(database) = state.db_mut(db) else {
            return if if_exists {
                Ok(())
            } else {
                Err(SqlError::unknown_db(db))
            };
        };
        if database.table(name).is_some() {
            return Err(SqlError::new(
                1347,
                format!("'{db}.{name}' is not VIEW. Use 'DROP TABLE {db}.{name}'."),
            ));
        }
        let db_id = database.id;
        let Some(id) = database.view(name).map(|v| v.id) else {
            return if if_exists {
                Ok(())
            } else {
                Err(SqlError::unknown_table_in(name, db))
            };
        };
        database.views.remove(&id);
        let seq = state.emit(record::drop_table(db_id, id, name, true), now);
        state.streams.note_dropped(db_id, seq, &[], &[id], &[]);
        Ok(())
    }
}

/// Qualifies the tables of a select text: a bare name after FROM, JOIN or a comma of the FROM list becomes
/// `` `internal`.`db`.`name` ``, `db.name` gets the catalogue. Text inside quotes stays as it is.
#[must_use]
pub fn qualify(select: &str, db: &str) -> String {
    let tokens = tokenize(select.trim().trim_end_matches(';'));
    let mut ctes: Vec<String> = Vec::new();
    for window in tokens.windows(5) {
        // `name AS (` of WITH
        let words: Vec<&str> = window
            .iter()
            .map(String::as_str)
            .filter(|t| !t.trim().is_empty())
            .collect();
        if let [name, keyword, "(", ..] = words.as_slice()
            && keyword.eq_ignore_ascii_case("as")
            && is_name(name)
        {
            ctes.push(unquote(name).to_lowercase());
        }
    }
    let mut out = String::with_capacity(select.len() + 32);
    let (mut expects, mut in_from, mut i) = (false, false, 0);
    // Per open parenthesis: whether a FROM list was being read, and whether it is a call like EXTRACT(x FROM y).
    let mut open: Vec<(bool, bool)> = Vec::new();
    let mut last_word = String::new();
    while i < tokens.len() {
        let token = &tokens[i];
        let word = token.to_ascii_uppercase();
        match word.as_str() {
            "FROM" if open.last().is_some_and(|(_, call)| *call) => {}
            "FROM" | "JOIN" => (expects, in_from) = (true, true),
            "WHERE" | "GROUP" | "ORDER" | "HAVING" | "LIMIT" | "UNION" | "SELECT" | "ON"
            | "USING" | "WINDOW" | "LATERAL" => {
                (expects, in_from) = (false, false);
            }
            "," if in_from => expects = true,
            "(" => {
                // A parenthesis where a table is expected may open a join or a subquery.
                open.push((
                    in_from,
                    matches!(last_word.as_str(), "EXTRACT" | "TRIM" | "SUBSTRING"),
                ));
                in_from = false;
            }
            ")" => {
                in_from = open.pop().is_some_and(|(was, _)| was);
                expects = false;
            }
            _ if expects && is_name(token) => {
                expects = false;
                let mut parts = vec![unquote(token).to_owned()];
                while tokens.get(i + 1).is_some_and(|t| t == ".")
                    && tokens.get(i + 2).is_some_and(|t| is_name(t))
                {
                    parts.push(unquote(&tokens[i + 2]).to_owned());
                    i += 2;
                }
                let full = match parts.as_slice() {
                    [name] if ctes.contains(&name.to_lowercase()) => format!("`{name}`"),
                    [name] if tokens.get(i + 1).is_some_and(|t| t == "(") => name.clone(),
                    [name] => format!("`internal`.`{db}`.`{name}`"),
                    [db, name] => format!("`internal`.`{db}`.`{name}`"),
                    other => other
                        .iter()
                        .map(|p| format!("`{p}`"))
                        .collect::<Vec<_>>()
                        .join("."),
                };
                out.push_str(&full);
                i += 1;
                continue;
            }
            _ => {}
        }
        if !word.trim().is_empty() {
            last_word = word;
        }
        out.push_str(token);
        i += 1;
    }
    out
}

/// A definition of another database, rewritten for `db`: the database part of every qualified table is replaced.
#[must_use]
pub fn qualify_restored(definition: &str, db: &str) -> String {
    let tokens = tokenize(definition);
    let mut out = String::with_capacity(definition.len());
    for (i, token) in tokens.iter().enumerate() {
        let after_catalog = i >= 2 && tokens[i - 1] == "." && tokens[i - 2] == "`internal`";
        if after_catalog {
            out.push_str(&format!("`{db}`"));
        } else {
            out.push_str(token);
        }
    }
    out
}

pub(super) fn is_name(token: &str) -> bool {
    token.starts_with('`') || token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

pub(super) fn unquote(token: &str) -> &str {
    token.trim_matches('`')
}

/// Words, quoted texts, blanks and single signs.
pub(super) fn tokenize(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let mut token = String::from(c);
        if matches!(c, '\'' | '"' | '`') {
            while let Some(d) = chars.next() {
                token.push(d);
                if d == '\\' && c != '`' {
                    token.extend(chars.next());
                } else if d == c {
                    break;
                }
            }
        } else if c.is_alphanumeric() || c == '_' {
            while let Some(d) = chars.next_if(|d| d.is_alphanumeric() || *d == '_') {
                token.push(d);
            }
        } else if c.is_whitespace() {
            while let Some(d) = chars.next_if(|d| d.is_whitespace()) {
                token.push(d);
            }
        }
        tokens.push(token);
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_get_their_catalogue_and_database() {
        assert_eq!(
            qualify(
                "select a, b from t1 x join `t2` on x.a = t2.a where c = 'from t3'",
                "s"
            ),
            "select a, b from `internal`.`s`.`t1` x join `internal`.`s`.`t2` on x.a = t2.a where c = 'from t3'"
        );
        assert_eq!(
            qualify("select 1 from other.t, u", "s"),
            "select 1 from `internal`.`other`.`t`, `internal`.`s`.`u`"
        );
        assert_eq!(
            qualify(
                "with q as (select * from t) select extract(day from d) from q",
                "s"
            ),
            "with q as (select * from `internal`.`s`.`t`) select extract(day from d) from `q`"
        );
    }
}
