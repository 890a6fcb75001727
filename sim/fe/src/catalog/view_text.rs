//! The text of a view: its words, and tables with their catalogue and database.

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

pub(crate) fn is_name(token: &str) -> bool {
    token.starts_with('`') || token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

pub(crate) fn unquote(token: &str) -> &str {
    token.trim_matches('`')
}

/// Words, quoted texts, blanks and single signs.
pub(crate) fn tokenize(text: &str) -> Vec<String> {
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
