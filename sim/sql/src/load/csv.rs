//! CSV bodies: lines → fields.

use super::{LoadOptions, ParsedRows};
use dorisim_model::{Cell, Row};

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

/// Reads CSV. `columns` names the fields; lines of another number of fields are rejected.
#[must_use]
pub fn parse_csv(body: &[u8], options: &LoadOptions, columns: &[String]) -> ParsedRows {
    let mut parsed = ParsedRows::default();
    for line in lines(body, options).into_iter().skip(options.skip_lines) {
        if line.is_empty() {
            continue;
        }
        let Ok(text) = std::str::from_utf8(line) else {
            parsed.rejected.add(
                || "Invalid file encoding: all CSV files must be UTF-8 encoded".to_owned(),
                || String::from_utf8_lossy(line).into_owned(),
            );
            continue;
        };
        let row = fields(text, options);
        if row.len() == columns.len() {
            parsed.rows.push(row);
        } else {
            parsed.rejected.add(
                || mismatch(columns.len(), row.len(), options),
                || text.to_owned(),
            );
        }
    }
    parsed
}

/// Fields of the body's first line, skipped lines included.
#[must_use]
pub fn first_line(body: &[u8], options: &LoadOptions) -> Row {
    let first = lines(body, options).into_iter().next().unwrap_or_default();
    fields(&String::from_utf8_lossy(first), options)
}

fn mismatch(expected: usize, found: usize, options: &LoadOptions) -> String {
    let quote = |name: &str, byte: Option<u8>| {
        byte.map_or_else(String::new, |byte| format!(" {name}:{}", char::from(byte)))
    };
    format!(
        "Column count mismatch: expected {expected}, but found {found} (sep:{} delim:{}{}{})",
        options.column_separator.replace('\t', "\\t"),
        options.line_delimiter.replace('\n', "\\n"),
        quote("encl", options.enclose),
        quote("esc", options.escape),
    )
}

/// Lines without their delimiter; a delimiter inside quotes does not count. Quotes begin where fields begin.
fn lines<'a>(body: &'a [u8], options: &LoadOptions) -> Vec<&'a [u8]> {
    let delimiter = options.line_delimiter.as_bytes();
    let separator = options.column_separator.as_bytes();
    let mut lines = Vec::new();
    let (mut start, mut at) = (0, 0);
    let (mut inside, mut field_begins) = (false, true);
    while at < body.len() {
        let rest = &body[at..];
        if !inside && rest.starts_with(delimiter) {
            lines.push(&body[start..at]);
            at += delimiter.len().max(1);
            start = at;
            field_begins = true;
        } else if !inside && rest.starts_with(separator) {
            at += separator.len().max(1);
            field_begins = true;
        } else if inside && options.escape == Some(rest[0]) {
            at += 2;
        } else {
            let quote = options.enclose == Some(rest[0]) && (inside || field_begins);
            // A doubled quote closes and opens again.
            field_begins = quote && inside;
            inside ^= quote;
            at += 1;
        }
    }
    if start < body.len() {
        lines.push(&body[start..]);
    }
    if delimiter == b"\n" {
        for line in &mut lines {
            *line = line.strip_suffix(b"\r").unwrap_or(line);
        }
    }
    lines
}

fn fields(line: &str, options: &LoadOptions) -> Row {
    let separator = options.column_separator.as_str();
    let Some(enclose) = options.enclose else {
        return line
            .split(separator)
            .map(|field| cell(field, options))
            .collect();
    };
    let mut row = Row::new();
    let mut rest = line;
    loop {
        if let Some(inner) = rest.strip_prefix(char::from(enclose)) {
            let (field, behind) = enclosed(inner, enclose, options.escape);
            // What stands between the quote and the separator belongs to no field.
            match behind.split_once(separator) {
                Some((_, next)) => {
                    row.push(Some(field));
                    rest = next;
                }
                None => {
                    row.push(Some(field));
                    return row;
                }
            }
        } else if let Some((field, next)) = rest.split_once(separator) {
            row.push(cell(field, options));
            rest = next;
        } else {
            row.push(cell(rest, options));
            return row;
        }
    }
}

/// Text up to the closing quote, and what stands behind it.
fn enclosed(inner: &str, enclose: u8, escape: Option<u8>) -> (String, &str) {
    let (enclose, escape) = (char::from(enclose), escape.map(char::from));
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

fn cell(field: &str, options: &LoadOptions) -> Cell {
    if field == "\\N" || (options.empty_field_as_null && field.is_empty()) {
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
    fn nulls_short_lines_and_other_encodings() {
        let options = LoadOptions {
            column_separator: ",".into(),
            ..LoadOptions::default()
        };
        let body = b"1,\\N,x\r\n\n2\n3,,y\n\xff,,\n";
        let parsed = parse_csv(body, &options, &names(&["a", "b", "c"]));
        assert_eq!(
            parsed.rows,
            [
                row(&[Some("1"), None, Some("x")]),
                row(&[Some("3"), Some(""), Some("y")])
            ]
        );
        let log = parsed.rejected.log().unwrap();
        assert!(
            log.starts_with("Reason: Column count mismatch: expected 3, but found 1 (sep:, delim:\\n). src line [2]; \n"),
            "{log}"
        );
        assert!(log.contains("must be UTF-8 encoded"), "{log}");
        let nulls = LoadOptions {
            empty_field_as_null: true,
            ..options
        };
        assert_eq!(
            parse_csv(b",", &nulls, &names(&["a", "b"])).rows,
            [row(&[None, None])]
        );
    }

    #[test]
    fn quotes_hold_separators_and_delimiters() {
        let options = LoadOptions {
            column_separator: "||".into(),
            enclose: Some(b'\''),
            escape: Some(b'\\'),
            ..LoadOptions::default()
        };
        let body = b"'x||''y\nz'||1\n2||'it\\'s\n'\n3'||''";
        let parsed = parse_csv(body, &options, &names(&["b", "a"]));
        assert_eq!(parsed.rejected.log(), None);
        assert_eq!(
            parsed.rows,
            [
                row(&[Some("x||'y\nz"), Some("1")]),
                row(&[Some("2"), Some("it's\n")]),
                row(&[Some("3'"), Some("")])
            ]
        );
    }

    #[test]
    fn separators() {
        assert_eq!(unescape_separator("\\x01"), "\u{1}");
        assert_eq!(unescape_separator("\\x01\\x02"), "\u{1}\u{2}");
        assert_eq!(unescape_separator("\\t"), "\t");
        assert_eq!(unescape_separator("||"), "||");
    }

    #[test]
    fn other_delimiters_and_skipped_lines() {
        let options = LoadOptions {
            column_separator: "\u{1}".into(),
            line_delimiter: "@@".into(),
            skip_lines: 1,
            trim_double_quotes: true,
            ..LoadOptions::default()
        };
        let parsed = parse_csv(b"a\x01b@@\"1\"\x012\n@@", &options, &names(&["a", "b"]));
        assert_eq!(parsed.rows, [row(&[Some("1"), Some("2\n")])]);
    }
}
