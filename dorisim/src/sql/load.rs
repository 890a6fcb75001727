//! Bodies of stream loads → rows of text, by column name.
//!
//! Nothing is converted here: a field keeps its text, `\N` of CSV and `null` of JSON are NULL.

use crate::model::Row;

/// How a body is to be read; the fields carry the names of the HTTP headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// CSV: between fields; escapes (`\t`, `\x01`) already resolved by [`unescape_separator`].
    pub column_separator: String,
    /// CSV: behind lines.
    pub line_delimiter: String,
    /// CSV: quote around fields.
    pub enclose: Option<char>,
    /// CSV: escape inside quotes.
    pub escape: Option<char>,
    /// CSV: quotes around fields are taken away.
    pub trim_double_quotes: bool,
    /// CSV: lines to skip at the start (1 for `csv_with_names`, 2 with types).
    pub skip_lines: usize,
    /// Names of the fields in order, from the `columns` header (plain names only); empty: the table's.
    pub columns: Vec<String>,
    /// JSON: the body is one array of rows.
    pub strip_outer_array: bool,
    /// JSON: one object per line.
    pub read_json_by_line: bool,
    /// JSON: paths of the columns, in their order.
    pub jsonpaths: Vec<String>,
    /// JSON: path to the rows.
    pub json_root: Option<String>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            column_separator: "\t".to_owned(),
            line_delimiter: "\n".to_owned(),
            enclose: None,
            escape: None,
            trim_double_quotes: false,
            skip_lines: 0,
            columns: Vec::new(),
            strip_outer_array: false,
            read_json_by_line: false,
            jsonpaths: Vec::new(),
            json_root: None,
        }
    }
}

/// What a body held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParsedRows {
    /// Names of the cells.
    pub columns: Vec<String>,
    /// Rows in order.
    pub rows: Vec<Row>,
    /// One reason per line that did not fit; such lines count as filtered.
    pub errors: Vec<String>,
}

/// A body that can not be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[DATA_QUALITY_ERROR]{0}")]
pub struct LoadParseError(pub String);

/// Resolves `\t`, `\n`, `\r`, `\\` and `\x01` / `0x01` in a separator header.
#[must_use]
pub fn unescape_separator(text: &str) -> String {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    if let Some(bytes) = hex.and_then(hex_bytes) {
        return bytes;
    }
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        result.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(escaped) = rest.chars().next() else {
            result.push('\\');
            break;
        };
        let mut taken = escaped.len_utf8();
        match escaped {
            't' => result.push('\t'),
            'n' => result.push('\n'),
            'r' => result.push('\r'),
            'x' | 'X' => match rest.get(1..3).and_then(hex_bytes) {
                Some(byte) => {
                    result.push_str(&byte);
                    taken = 3;
                }
                None => result.push(escaped),
            },
            other => result.push(other),
        }
        rest = &rest[taken..];
    }
    result.push_str(rest);
    result
}

fn hex_bytes(hex: &str) -> Option<String> {
    String::from_utf8(hex::decode(hex).ok()?).ok()
}

/// Reads CSV. `table_columns` are the visible columns of the table, used when the options name none.
///
/// # Errors
/// A body that is not UTF-8.
pub fn parse_csv(
    body: &[u8],
    options: &LoadOptions,
    table_columns: &[String],
) -> Result<ParsedRows, LoadParseError> {
    let text =
        std::str::from_utf8(body).map_err(|_| LoadParseError("body is not UTF-8".to_owned()))?;
    let columns = if options.columns.is_empty() {
        table_columns.to_vec()
    } else {
        options.columns.clone()
    };
    let mut parsed = ParsedRows {
        columns,
        ..ParsedRows::default()
    };
    for line in lines(text, options).into_iter().skip(options.skip_lines) {
        let row = fields(line, options);
        let (found, wanted) = (row.len(), parsed.columns.len());
        if found == wanted {
            parsed.rows.push(row);
        } else {
            let word = if found < wanted { "less" } else { "more" };
            parsed.errors.push(format!(
                "Reason: actual column number in csv file is  {word} than  schema column number.actual number: {found}, schema column number: {wanted}; . src line [{line}]; "
            ));
        }
    }
    Ok(parsed)
}

fn lines<'a>(text: &'a str, options: &LoadOptions) -> Vec<&'a str> {
    let delimiter = options.line_delimiter.as_str();
    let mut lines = Vec::new();
    let mut start = 0;
    let mut at = 0;
    let mut inside = false;
    while at < text.len() {
        let rest = &text[at..];
        if !inside && rest.starts_with(delimiter) {
            lines.push(&text[start..at]);
            at += delimiter.len();
            start = at;
            continue;
        }
        let Some(next) = rest.chars().next() else {
            break;
        };
        if Some(next) == options.enclose {
            inside = !inside;
        }
        at += next.len_utf8();
    }
    if start < text.len() {
        lines.push(&text[start..]);
    }
    if delimiter == "\n" {
        for line in &mut lines {
            *line = line.strip_suffix('\r').unwrap_or(line);
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

fn fields(line: &str, options: &LoadOptions) -> Row {
    let Some(enclose) = options.enclose else {
        return line
            .split(options.column_separator.as_str())
            .map(|field| cell(field, options))
            .collect();
    };
    let mut row = Row::new();
    let mut rest = line;
    loop {
        if let Some(inner) = rest.strip_prefix(enclose) {
            let (field, behind) = enclosed(inner, enclose, options.escape);
            row.push(Some(field));
            match behind.strip_prefix(options.column_separator.as_str()) {
                Some(next) => rest = next,
                None => return row,
            }
        } else if let Some((field, next)) = rest.split_once(options.column_separator.as_str()) {
            row.push(cell(field, options));
            rest = next;
        } else {
            row.push(cell(rest, options));
            return row;
        }
    }
}

/// Text up to the closing quote, and what stands behind it.
fn enclosed(inner: &str, enclose: char, escape: Option<char>) -> (String, &str) {
    let mut field = String::new();
    let mut chars = inner.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if Some(c) == escape && chars.peek().is_some() {
            if let Some((_, escaped)) = chars.next() {
                field.push(escaped);
            }
        } else if c == enclose {
            if chars.peek().is_some_and(|(_, next)| *next == enclose) {
                chars.next();
                field.push(enclose);
            } else {
                return (field, &inner[at + enclose.len_utf8()..]);
            }
        } else {
            field.push(c);
        }
    }
    (field, "")
}

fn cell(field: &str, options: &LoadOptions) -> Option<String> {
    if field == "\\N" {
        return None;
    }
    let unquoted = field
        .strip_prefix('"')
        .and_then(|field| field.strip_suffix('"'));
    match unquoted {
        Some(inner) if options.trim_double_quotes => Some(inner.to_owned()),
        Some(_) | None => Some(field.to_owned()),
    }
}

/// Reads JSON: a single object, objects by line, or an array of objects.
///
/// # Errors
/// A body that is not JSON of the announced shape.
pub fn parse_json(
    body: &[u8],
    options: &LoadOptions,
    table_columns: &[String],
) -> Result<ParsedRows, LoadParseError> {
    use serde_json::Value;
    let fail =
        |error: serde_json::Error| LoadParseError(format!("Parse json data failed: {error}"));
    let columns = if options.columns.is_empty() {
        table_columns.to_vec()
    } else {
        options.columns.clone()
    };
    let mut parsed = ParsedRows {
        columns,
        ..ParsedRows::default()
    };
    let mut documents = Vec::new();
    if options.strip_outer_array || !options.read_json_by_line {
        for document in serde_json::Deserializer::from_slice(body).into_iter::<Value>() {
            documents.push(document.map_err(fail)?);
        }
    } else {
        for line in body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.trim_ascii().is_empty())
        {
            documents.push(serde_json::from_slice(line).map_err(fail)?);
        }
    }
    for document in documents {
        let root = match &options.json_root {
            Some(path) => at_path(&document, path).cloned().unwrap_or(Value::Null),
            None => document,
        };
        match root {
            Value::Array(rows) if options.strip_outer_array => {
                for row in rows {
                    json_row(&row, options, &mut parsed);
                }
            }
            Value::Array(_) => {
                return Err(LoadParseError(
                    "JSON data is array-object, `strip_outer_array` must be TRUE.".to_owned(),
                ));
            }
            Value::Object(_) if options.strip_outer_array => {
                return Err(LoadParseError(
                    "JSON data is not an array-object, `strip_outer_array` must be FALSE."
                        .to_owned(),
                ));
            }
            row => json_row(&row, options, &mut parsed),
        }
    }
    Ok(parsed)
}

fn json_row(row: &serde_json::Value, options: &LoadOptions, parsed: &mut ParsedRows) {
    let Some(object) = row.as_object() else {
        parsed.errors.push(format!(
            "Reason: Expect json object value. src line [{row}]; "
        ));
        return;
    };
    let cells = parsed.columns.iter().enumerate().map(|(at, column)| {
        let value = match options.jsonpaths.get(at) {
            Some(path) => at_path(row, path),
            None => object.get(column).or_else(|| {
                object
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(column))
                    .map(|(_, value)| value)
            }),
        };
        value.and_then(json_text)
    });
    let cells = cells.collect();
    parsed.rows.push(cells);
}

fn json_text(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// `$.a.b[0]`.
fn at_path<'a>(value: &'a serde_json::Value, path: &str) -> Option<&'a serde_json::Value> {
    let mut at = value;
    for step in path
        .trim_start_matches('$')
        .split(['.', '['])
        .filter(|step| !step.is_empty())
    {
        at = match step.strip_suffix(']') {
            Some(index) => at.get(index.parse::<usize>().ok()?)?,
            None => at.get(step)?,
        };
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn row(cells: &[Option<&str>]) -> Row {
        cells.iter().map(|cell| cell.map(str::to_owned)).collect()
    }

    #[test]
    fn csv_with_nulls_and_a_short_line() {
        let options = LoadOptions {
            column_separator: ",".into(),
            ..LoadOptions::default()
        };
        let parsed = parse_csv(b"1,\\N,x\r\n2\n3,,y", &options, &names(&["a", "b", "c"])).unwrap();
        assert_eq!(
            parsed.rows,
            [
                row(&[Some("1"), None, Some("x")]),
                row(&[Some("3"), Some(""), Some("y")])
            ]
        );
        assert!(
            parsed.errors[0].contains("actual number: 1, schema column number: 3"),
            "{:?}",
            parsed.errors
        );
    }

    #[test]
    fn csv_in_quotes() {
        let options = LoadOptions {
            column_separator: "|".into(),
            enclose: Some('"'),
            columns: names(&["b", "a"]),
            ..LoadOptions::default()
        };
        let parsed = parse_csv(b"\"x|\"\"y\nz\"|1\n2|\"\"", &options, &names(&["a", "b"])).unwrap();
        assert_eq!(parsed.columns, ["b", "a"]);
        assert_eq!(
            parsed.rows,
            [
                row(&[Some("x|\"y\nz"), Some("1")]),
                row(&[Some("2"), Some("")])
            ]
        );
    }

    #[test]
    fn separators() {
        assert_eq!(unescape_separator("\\x01"), "\u{1}");
        assert_eq!(unescape_separator("\\t"), "\t");
        assert_eq!(unescape_separator("||"), "||");
    }

    #[test]
    fn json_forms_give_the_same_rows() {
        let columns = names(&["a", "b"]);
        let want = [
            row(&[Some("1"), None]),
            row(&[Some("x"), Some("{\"k\":[1]}")]),
        ];
        let array = LoadOptions {
            strip_outer_array: true,
            ..LoadOptions::default()
        };
        let lines = LoadOptions {
            read_json_by_line: true,
            ..LoadOptions::default()
        };
        let first = parse_json(
            b"[{\"a\":1},{\"a\":\"x\",\"b\":{\"k\":[1]}}]",
            &array,
            &columns,
        )
        .unwrap();
        let second = parse_json(
            b"{\"a\":1,\"b\":null}\n{\"a\":\"x\",\"b\":{\"k\":[1]}}\n",
            &lines,
            &columns,
        )
        .unwrap();
        assert_eq!(first.rows, want);
        assert_eq!(second.rows, want);
        assert!(parse_json(b"[]", &lines, &columns).is_err());
    }
}
