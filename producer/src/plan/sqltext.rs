//! The little that has to be known about a CREATE statement's text. Literals, comments and quoted names are not searched.

/// True when the statement defines an index whose files bear its id: inverted, or approximate nearest neighbour.
pub fn defines_inverted_index(sql: &str) -> bool {
    let words = bare_words(sql);
    words
        .windows(2)
        .any(|pair| pair[0] == "USING" && (pair[1] == "INVERTED" || pair[1] == "ANN"))
}

/// Name after `CREATE TABLE` or `CREATE VIEW`, when it is back-quoted.
pub fn created_name(sql: &str) -> Option<String> {
    let mut parts = sql.splitn(2, '`');
    parts.next()?;
    let rest = parts.next()?;
    let mut name = String::new();
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '`' {
            name.push(c);
        } else if chars.peek() == Some(&'`') {
            chars.next();
            name.push('`');
        } else {
            return Some(name);
        }
    }
    None
}

/// Words outside of quotes and comments, upper case.
fn bare_words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = sql.chars().peekable();
    while let Some(c) = chars.next() {
        let end_of_line = (c == '-' && chars.peek() == Some(&'-')) || c == '#';
        let block = c == '/' && chars.peek() == Some(&'*');
        if c.is_alphanumeric() || c == '_' {
            word.extend(c.to_uppercase());
            continue;
        }
        if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if matches!(c, '\'' | '"' | '`') {
            skip_quoted(&mut chars, c);
            // A quoted thing parts the words around it.
            words.push(String::new());
        } else if end_of_line {
            for c in chars.by_ref() {
                if c == '\n' {
                    break;
                }
            }
        } else if block {
            let mut last = ' ';
            chars.next();
            for c in chars.by_ref() {
                if last == '*' && c == '/' {
                    break;
                }
                last = c;
            }
        }
    }
    words.push(word);
    words
}

fn skip_quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, quote: char) {
    while let Some(c) = chars.next() {
        if c == '\\' && quote != '`' {
            chars.next();
        } else if c == quote {
            if chars.peek() != Some(&quote) {
                return;
            }
            chars.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_found_only_where_they_are_defined() {
        let cases = [
            (
                "CREATE TABLE `t` (a INT, INDEX i (`a`) USING INVERTED)",
                true,
            ),
            (
                "create table `t` (a int, index i (a) using\n inverted COMMENT 'x')",
                true,
            ),
            (
                "CREATE TABLE t (a INT, INDEX i (a) /* c */ USING /* d */ INVERTED)",
                true,
            ),
            (
                "CREATE TABLE t (e ARRAY<FLOAT>, INDEX i (e) USING ANN)",
                true,
            ),
            ("CREATE TABLE t (a INT COMMENT 'USING INVERTED')", false),
            (
                "CREATE TABLE t (a INT COMMENT \"it''s \\\" USING INVERTED\")",
                false,
            ),
            ("CREATE TABLE t (`using inverted` INT)", false),
            ("CREATE TABLE t (using `x` inverted)", false),
            (
                "CREATE TABLE t (a INT, INDEX i (a) USING NGRAM_BF) -- USING INVERTED",
                false,
            ),
            ("CREATE TABLE t (a INT COMMENT 'unclosed", false),
        ];
        for (sql, expected) in cases {
            assert_eq!(defines_inverted_index(sql), expected, "{sql}");
        }
    }

    #[test]
    fn names_are_read_from_the_statement() {
        assert_eq!(
            created_name("CREATE TABLE `a``b` (x INT)").as_deref(),
            Some("a`b")
        );
        assert_eq!(created_name("CREATE TABLE plain (x INT)"), None);
    }
}
