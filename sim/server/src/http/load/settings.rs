//! The headers of a stream load. Names and refusals are those of the backend's `stream_load.cpp`.

use std::str::FromStr;

use axum::http::{HeaderMap, header};

use super::refusal::Refusal;
use dorisim_sql::load::{ColumnMapping, LoadOptions, unescape_separator};

/// Largest body in bytes, before and after decompression. `streaming_load_max_mb` of Doris is 10 GiB; here rows are in memory.
pub(super) const MAX_BODY: usize = 256 << 20;
/// Largest JSON body that is not read line by line, `streaming_load_json_max_mb`.
const MAX_JSON: usize = 100 << 20;

/// What is looked at before the transaction begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Head {
    pub(super) label: Option<String>,
    pub(super) comment: String,
    pub(super) two_phase: bool,
    pub(super) group_commit: bool,
    pub(super) json: bool,
    /// Lines of names and types in front of CSV.
    pub(super) heading: usize,
    pub(super) compression: Compression,
    /// `Content-Length`; `None` for chunked bodies.
    pub(super) length: Option<usize>,
    pub(super) timeout_s: Option<i64>,
}

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Deflate,
}

/// Which rows are deletions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Merge {
    Append,
    Delete,
    /// Those that fulfil the condition.
    Where(String),
}

/// The rest of the headers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    pub(super) options: LoadOptions,
    pub(super) mapping: ColumnMapping,
    pub(super) hidden_columns: Vec<String>,
    pub(super) filter: Option<String>,
    pub(super) partitions: Vec<String>,
    pub(super) temp_partitions: bool,
    pub(super) strict: bool,
    pub(super) merge: Merge,
    pub(super) sequence: Option<String>,
    pub(super) partial: bool,
    pub(super) negative: bool,
    pub(super) max_filter_ratio: f64,
}

impl Head {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let label = text(headers, "label");
        let two_phase = text(headers, "two_phase_commit").as_deref() == Some("true");
        let format = text(headers, "format").unwrap_or_default();
        let (json, heading) = match format.to_ascii_lowercase().as_str() {
            "" | "csv" => (false, 0),
            "csv_with_names" => (false, 1),
            "csv_with_names_and_types" => (false, 2),
            "json" => (true, 0),
            "parquet" | "orc" | "arrow" | "wal" | "hive_text" => {
                return Err(Refusal::new(
                    "NOT_IMPLEMENTED_ERROR",
                    format!("format {format} is not simulated"),
                ));
            }
            _ => return Err(unknown_format(&format)),
        };
        let packed = text(headers, "compress_type").unwrap_or_default();
        let compression = match packed.to_ascii_lowercase().as_str() {
            "" => Compression::None,
            "gz" => Compression::Gzip,
            "deflate" => Compression::Deflate,
            "lzo" | "bz2" | "lz4" | "lz4frame" | "lz4_block" | "lzop" | "snappy_block" => {
                return Err(Refusal::new(
                    "NOT_IMPLEMENTED_ERROR",
                    format!("compress_type {packed} is not simulated"),
                ));
            }
            _ if json => Compression::None,
            _ => return Err(unknown_format(&format)),
        };
        let length = length(headers, json)?;
        Ok(Self {
            group_commit: group_commit(headers, label.as_deref(), two_phase, length)?,
            label,
            comment: text(headers, "comment").unwrap_or_default(),
            two_phase,
            json,
            heading,
            compression,
            length,
            timeout_s: number(headers, "timeout")?,
        })
    }
}

fn unknown_format(format: &str) -> Refusal {
    Refusal::new(
        "DATA_FILE_TYPE_ERROR",
        format!("unknown data format, format={format}"),
    )
}

fn length(headers: &HeaderMap, json: bool) -> Result<Option<usize>, Refusal> {
    let chunked = headers
        .get(header::TRANSFER_ENCODING)
        .is_some_and(|value| value.as_bytes().windows(7).any(|part| part == b"chunked"));
    let given = match text(headers, "content-length") {
        None => None,
        Some(text) => Some(text.parse::<usize>().map_err(|error| {
            Refusal::invalid(format!(
                "invalid HTTP header CONTENT_LENGTH={text}: {error}"
            ))
        })?),
    };
    match (given, chunked) {
        (None, false) => Err(Refusal::invalid(
            "content_length is empty and transfer-encoding!=chunked, please set content_length or transfer-encoding=chunked",
        )),
        (Some(_), true) => Err(Refusal::invalid(
            "please do not set both content_length and transfer-encoding",
        )),
        (Some(given), false)
            if json && given > MAX_JSON && !is_true(headers, "read_json_by_line") =>
        {
            Err(Refusal::new(
                "EXCEEDED_LIMIT",
                format!(
                    "json body size {given} exceed BE's conf `streaming_load_json_max_mb` {MAX_JSON}. increase it if you are sure this load is reasonable"
                ),
            ))
        }
        (Some(given), false) if given > MAX_BODY => Err(too_large(given)),
        (given, _) => Ok(given),
    }
}

/// The refusal of a body over [`MAX_BODY`].
pub(super) fn too_large(given: usize) -> Refusal {
    Refusal::new(
        "EXCEEDED_LIMIT",
        format!(
            "body size {given} exceed BE's conf `streaming_load_max_mb` {MAX_BODY}. increase it if you are sure this load is reasonable"
        ),
    )
}

fn group_commit(
    headers: &HeaderMap,
    label: Option<&str>,
    two_phase: bool,
    length: Option<usize>,
) -> Result<bool, Refusal> {
    let Some(mode) = text(headers, "group_commit") else {
        return Ok(false);
    };
    match mode.to_ascii_lowercase().as_str() {
        "off_mode" => return Ok(false),
        "sync_mode" | "async_mode" => {}
        _ => {
            return Err(Refusal::invalid(
                "group_commit can only be [async_mode, sync_mode, off_mode]",
            ));
        }
    }
    let update_mode = text(headers, "unique_key_update_mode").is_some_and(|mode| {
        mode.eq_ignore_ascii_case("UPDATE_FIXED_COLUMNS")
            || mode.eq_ignore_ascii_case("UPDATE_FLEXIBLE_COLUMNS")
    });
    let alone = two_phase
        || update_mode
        || length == Some(0)
        || is_true(headers, "partial_columns")
        || headers.contains_key("partitions")
        || headers.contains_key("temporary_partitions");
    if alone {
        return Ok(false);
    }
    // The label of a chunked body is forgotten, as Flink's connector needs it.
    if length.is_some() && label.is_some() {
        return Err(Refusal::invalid(
            "label and group_commit can't be set at the same time",
        ));
    }
    Ok(true)
}

impl Settings {
    pub(super) fn of(headers: &HeaderMap, head: &Head) -> Result<Self, Refusal> {
        let (partitions, temporary) = (
            text(headers, "partitions"),
            text(headers, "temporary_partitions"),
        );
        if partitions.is_some() && temporary.is_some() {
            return Err(Refusal::invalid(
                "Can not specify both partitions and temporary partitions",
            ));
        }
        let strict = match text(headers, "strict_mode") {
            None => false,
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(_) => {
                return Err(Refusal::invalid(
                    "Invalid strict mode format. Must be bool type",
                ));
            }
        };
        if let Some(limit) = text(headers, "exec_mem_limit") {
            limit
                .parse::<i64>()
                .map_err(|_| Refusal::invalid("Invalid mem limit format, stoll".to_owned()))?;
        }
        let partial = match text(headers, "unique_key_update_mode") {
            None => is_true(headers, "partial_columns"),
            Some(mode) => match mode.to_ascii_uppercase().as_str() {
                "UPSERT" => false,
                "UPDATE_FIXED_COLUMNS" => true,
                "UPDATE_FLEXIBLE_COLUMNS" => {
                    return Err(Refusal::new(
                        "NOT_IMPLEMENTED_ERROR",
                        "flexible partial update is not simulated",
                    ));
                }
                _ => {
                    return Err(Refusal::invalid(format!(
                        "Invalid unique_key_partial_mode {mode}, must be one of 'UPSERT', 'UPDATE_FIXED_COLUMNS' or 'UPDATE_FLEXIBLE_COLUMNS'"
                    )));
                }
            },
        };
        let mapping = match text(headers, "columns") {
            None => ColumnMapping::default(),
            Some(list) => {
                ColumnMapping::parse(&list).map_err(|error| Refusal::analysis(error.message))?
            }
        };
        let merge = merge(headers)?;
        let negative = text(headers, "negative").as_deref() == Some("true");
        if negative && merge != Merge::Append {
            return Err(Refusal::analysis(
                "Negative is only used when merge type is APPEND.",
            ));
        }
        Ok(Self {
            options: options(headers, head)?,
            mapping,
            hidden_columns: text(headers, "hidden_columns")
                .map_or_else(Vec::new, |list| names(&list)),
            filter: text(headers, "where"),
            temp_partitions: temporary.is_some(),
            partitions: partitions
                .or(temporary)
                .map_or_else(Vec::new, |list| names(&list)),
            strict,
            merge,
            sequence: text(headers, "function_column.sequence_col"),
            partial,
            negative,
            max_filter_ratio: text(headers, "max_filter_ratio")
                .and_then(|ratio| ratio.trim().parse().ok())
                .unwrap_or(0.0),
        })
    }
}

fn merge(headers: &HeaderMap) -> Result<Merge, Refusal> {
    let condition = text(headers, "delete");
    let Some(kind) = text(headers, "merge_type") else {
        return Ok(Merge::Append);
    };
    match (kind.to_ascii_uppercase().as_str(), condition) {
        ("MERGE", Some(condition)) => Ok(Merge::Where(condition)),
        ("MERGE", None) => Err(Refusal::invalid(
            "Excepted DELETE ON clause when merge type is MERGE.",
        )),
        ("APPEND" | "DELETE", Some(_)) => Err(Refusal::invalid(
            "Not support DELETE ON clause when merge type is not MERGE.",
        )),
        ("APPEND", None) => Ok(Merge::Append),
        ("DELETE", None) => Ok(Merge::Delete),
        _ => Err(Refusal::invalid(format!("Invalid merge type {kind}"))),
    }
}

fn options(headers: &HeaderMap, head: &Head) -> Result<LoadOptions, Refusal> {
    let separator = |name: &str, default: &str| {
        text(headers, name).map_or_else(|| default.to_owned(), |text| unescape_separator(&text))
    };
    let single = |name: &str| match text(headers, name) {
        None => Ok(None),
        Some(text) => match text.as_bytes() {
            [byte] => Ok(Some(*byte)),
            _ => Err(Refusal::invalid(format!(
                "{name} must be single-char, actually is {text}"
            ))),
        },
    };
    let skipped = number::<i64>(headers, "skip_lines")?.unwrap_or(0);
    let skipped = usize::try_from(skipped)
        .map_err(|_| Refusal::invalid(format!("Invalid 'skip_lines': {skipped}")))?;
    let jsonpaths = match text(headers, "jsonpaths") {
        None => Vec::new(),
        Some(paths) => serde_json::from_str(&paths).map_err(|_| {
            Refusal::new("INVALID_JSON_PATH", format!("Invalid json path: {paths}"))
        })?,
    };
    let (by_line, stripped) = (
        text(headers, "read_json_by_line"),
        text(headers, "strip_outer_array"),
    );
    Ok(LoadOptions {
        column_separator: separator("column_separator", "\t"),
        line_delimiter: separator("line_delimiter", "\n"),
        enclose: single("enclose")?,
        escape: single("escape")?,
        trim_double_quotes: is_true(headers, "trim_double_quotes"),
        empty_field_as_null: is_true(headers, "empty_field_as_null"),
        skip_lines: skipped + head.heading,
        strip_outer_array: is_true(headers, "strip_outer_array"),
        read_json_by_line: is_true(headers, "read_json_by_line")
            || (by_line.is_none() && stripped.is_none()),
        jsonpaths,
        json_root: text(headers, "json_root"),
        missing: std::collections::HashMap::new(),
    })
}

/// A header's text; empty ones count as absent.
pub(super) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = String::from_utf8(headers.get(name)?.as_bytes().to_vec()).ok()?;
    (!value.is_empty()).then_some(value)
}

fn is_true(headers: &HeaderMap, name: &str) -> bool {
    text(headers, name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn number<T: FromStr>(headers: &HeaderMap, name: &str) -> Result<Option<T>, Refusal> {
    text(headers, name)
        .map(|text| {
            text.trim().parse().map_err(|_| {
                Refusal::invalid(format!("convert {name} to integer failed, value={text}"))
            })
        })
        .transpose()
}

fn names(list: &str) -> Vec<String> {
    list.split(',')
        .map(|name| name.trim().trim_matches('`').to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_bytes(name.as_bytes()).unwrap(),
                    HeaderValue::from_bytes(value.as_bytes()).unwrap(),
                )
            })
            .collect()
    }

    fn refusal(pairs: &[(&str, &str)]) -> String {
        // The first header of a name counts.
        let mut all = pairs.to_vec();
        all.push(("content-length", "5"));
        let headers = headers(&all);
        Head::of(&headers)
            .and_then(|head| Settings::of(&headers, &head))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_can_not_be_is_refused_in_doris_words() {
        for (pairs, wanted) in [
            (
                &[("format", "xml")][..],
                "[DATA_FILE_TYPE_ERROR]unknown data format, format=xml",
            ),
            (
                &[("transfer-encoding", "chunked")],
                "[INVALID_ARGUMENT]please do not set both content_length and transfer-encoding",
            ),
            (
                &[("enclose", "ab")],
                "[INVALID_ARGUMENT]enclose must be single-char, actually is ab",
            ),
            (
                &[("merge_type", "MERGE")],
                "[INVALID_ARGUMENT]Excepted DELETE ON clause when merge type is MERGE.",
            ),
            (
                &[("merge_type", "delete"), ("delete", "a = 1")],
                "[INVALID_ARGUMENT]Not support DELETE ON clause when merge type is not MERGE.",
            ),
            (
                &[("merge_type", "upsert")],
                "[INVALID_ARGUMENT]Invalid merge type upsert",
            ),
            (
                &[("strict_mode", "yes")],
                "[INVALID_ARGUMENT]Invalid strict mode format. Must be bool type",
            ),
            (
                &[("partitions", "p"), ("temporary_partitions", "q")],
                "[INVALID_ARGUMENT]Can not specify both partitions and temporary partitions",
            ),
            (
                &[("skip_lines", "-1")],
                "[INVALID_ARGUMENT]Invalid 'skip_lines': -1",
            ),
            (
                &[("jsonpaths", "$.a")],
                "[INVALID_JSON_PATH]Invalid json path: $.a",
            ),
            (
                &[("group_commit", "maybe")],
                "[INVALID_ARGUMENT]group_commit can only be [async_mode, sync_mode, off_mode]",
            ),
            (
                &[("group_commit", "sync_mode"), ("label", "l")],
                "[INVALID_ARGUMENT]label and group_commit can't be set at the same time",
            ),
            (
                &[("content-length", "99999999999")],
                "[EXCEEDED_LIMIT]body size 99999999999 exceed BE's conf `streaming_load_max_mb`",
            ),
        ] {
            let found = refusal(pairs);
            assert!(found.starts_with(wanted), "{pairs:?}: {found}");
        }
        let nothing = Head::of(&headers(&[])).unwrap_err().to_string();
        assert!(nothing.contains("content_length is empty"), "{nothing}");
    }

    #[test]
    fn json_is_read_by_line_unless_told_otherwise() {
        let read = |pairs: &[(&str, &str)]| {
            let mut all = vec![("content-length", "5"), ("format", "json")];
            all.extend(pairs);
            let headers = headers(&all);
            let head = Head::of(&headers).unwrap();
            let options = Settings::of(&headers, &head).unwrap().options;
            (options.read_json_by_line, options.strip_outer_array)
        };
        assert_eq!(read(&[]), (true, false));
        assert_eq!(read(&[("strip_outer_array", "true")]), (false, true));
        assert_eq!(read(&[("strip_outer_array", "false")]), (false, false));
    }
}
