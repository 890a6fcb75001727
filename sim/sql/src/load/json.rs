//! JSON bodies: documents → rows.

use serde_json::Value;

use super::{LoadOptions, ParsedRows};

/// Reads JSON: one document, or one per line; rows are objects or arrays of them. `columns` names the cells.
#[must_use]
pub fn parse_json(body: &[u8], options: &LoadOptions, columns: &[String]) -> ParsedRows {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut parsed = ParsedRows::default();
    if options.read_json_by_line {
        let lines = body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.trim_ascii().is_empty());
        for line in lines {
            document(line, options, columns, &mut parsed);
        }
    } else if !body.trim_ascii().is_empty() {
        document(body, options, columns, &mut parsed);
    }
    parsed
}

fn document(text: &[u8], options: &LoadOptions, columns: &[String], parsed: &mut ParsedRows) {
    let shown = || String::from_utf8_lossy(text).trim().to_owned();
    let found = match serde_json::from_slice::<Value>(text) {
        Ok(found) => found,
        Err(error) => {
            // 3 is the parser's TAPE_ERROR.
            return parsed.rejected.add(
                || format!("Parse json data for JsonDoc failed. code: 3, error info: {error}"),
                shown,
            );
        }
    };
    let root = match &options.json_root {
        Some(path) if found.is_object() => match at_path(&found, path) {
            Some(root) => root,
            None => {
                return parsed
                    .rejected
                    .add(|| "JSON Root not found.".to_owned(), shown);
            }
        },
        Some(_) | None => &found,
    };
    match (root, options.strip_outer_array) {
        (Value::Array(rows), true) => {
            for row in rows {
                json_row(row, options, columns, parsed);
            }
        }
        (Value::Object(_), false) => json_row(root, options, columns, parsed),
        (Value::Array(_), false) => parsed.rejected.add(
            || "JSON data is array-object, `strip_outer_array` must be TRUE.".to_owned(),
            shown,
        ),
        (Value::Object(_), true) => parsed.rejected.add(
            || "JSON data is not an array-object, `strip_outer_array` must be FALSE.".to_owned(),
            shown,
        ),
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _) => parsed
            .rejected
            .add(|| "Not an json object or json array".to_owned(), shown),
    }
}

fn json_row(row: &Value, options: &LoadOptions, columns: &[String], parsed: &mut ParsedRows) {
    let Some(object) = row.as_object() else {
        return parsed
            .rejected
            .add(|| "Expect json object value".to_owned(), || row.to_string());
    };
    let mut found = false;
    let cells = columns.iter().enumerate().map(|(at, column)| {
        let value = if options.jsonpaths.is_empty() {
            object.get(column).or_else(|| {
                object
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(column))
                    .map(|(_, value)| value)
            })
        } else {
            options
                .jsonpaths
                .get(at)
                .and_then(|path| at_path(row, path))
        };
        match value {
            Some(value) => {
                found = true;
                text_of(value)
            }
            None => options.missing.get(&column.to_ascii_lowercase()).cloned(),
        }
    });
    let cells: Vec<_> = cells.collect();
    if found {
        parsed.rows.push(cells);
    } else {
        parsed.rejected.add(
            || {
                let names: String = columns.iter().map(|name| format!("{name}, ")).collect();
                format!(
                    "There is no column matching jsonpaths in the json file, columns:[{names}], please check columns and jsonpaths:{}",
                    serde_json::json!(options.jsonpaths)
                )
            },
            || row.to_string(),
        );
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(u8::from(*value).to_string()),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(value.to_string()),
    }
}

/// `$.a.b[0]`, also `$."a.b"`.
fn at_path<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = value;
    let mut rest = path.trim().strip_prefix('$').unwrap_or(path.trim());
    while !rest.is_empty() {
        if let Some(index) = rest.strip_prefix('[') {
            let (index, behind) = index.split_once(']')?;
            at = match index.trim_matches(['"', '\'']) {
                key if key.len() < index.len() => at.get(key)?,
                number => at.get(number.parse::<usize>().ok()?)?,
            };
            rest = behind;
            continue;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if let Some(quoted) = rest.strip_prefix('"') {
            let (key, behind) = quoted.split_once('"')?;
            at = at.get(key)?;
            rest = behind;
            continue;
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (key, behind) = rest.split_at(end);
        if !key.is_empty() {
            at = at.get(key)?;
        }
        rest = behind;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dorisim_model::Row;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn row(cells: &[Option<&str>]) -> Row {
        cells.iter().map(|cell| cell.map(str::to_owned)).collect()
    }

    fn by_line() -> LoadOptions {
        LoadOptions {
            read_json_by_line: true,
            ..LoadOptions::default()
        }
    }

    fn array() -> LoadOptions {
        LoadOptions {
            strip_outer_array: true,
            ..LoadOptions::default()
        }
    }

    #[test]
    fn forms_give_the_same_rows() {
        let columns = names(&["a", "b"]);
        let want = [
            row(&[Some("1"), None]),
            row(&[Some("x"), Some("{\"k\":[1]}")]),
        ];
        let first = parse_json(
            b"[{\"a\":1},{\"a\":\"x\",\"b\":{\"k\":[1]}}]",
            &array(),
            &columns,
        );
        let second = parse_json(
            b"{\"a\":1,\"b\":null}\n\n{\"A\":\"x\",\"b\":{\"k\":[1]}}\n",
            &by_line(),
            &columns,
        );
        assert_eq!((&first.rows[..], &second.rows[..]), (&want[..], &want[..]));
    }

    #[test]
    fn one_bad_line_costs_one_row() {
        let body = b"{\"a\":1}\n{\"a\":\n[1]\n7\n{\"z\":1}\n{\"a\":2}";
        let parsed = parse_json(body, &by_line(), &names(&["a"]));
        assert_eq!(parsed.rows, [row(&[Some("1")]), row(&[Some("2")])]);
        assert_eq!(parsed.rejected.count, 4);
        let log = parsed.rejected.log().unwrap();
        assert!(log.contains("`strip_outer_array` must be TRUE"), "{log}");
        assert!(log.contains("src line [7]; \n"), "{log}");
    }

    #[test]
    fn paths_roots_and_defaults() {
        let options = LoadOptions {
            jsonpaths: names(&["$.k[1].x", "$.\"a.b\"", "$.none"]),
            json_root: Some("$.data".into()),
            missing: [("c".to_owned(), "d".to_owned())].into(),
            ..array()
        };
        let body = br#"{"data": [{"k": [0, {"x": true}], "a.b": "t"}]}"#;
        let parsed = parse_json(body, &options, &names(&["a", "b", "C"]));
        assert_eq!(parsed.rows, [row(&[Some("1"), Some("t"), Some("d")])]);
    }
}
