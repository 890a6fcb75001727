//! A file of librdkafka's properties, as its own programs read it: one `name=value` a line, `#` begins a comment line.

use std::path::Path;

use crate::error::Error;

/// Most bytes of such a file.
const MAX_BYTES: u64 = 1024 * 1024;

/// Names and values of a properties file in their order. Values are never part of an error: they may be secrets.
///
/// # Errors
/// [`Error::Config`] names the file and, where there is one, the line.
pub fn read_properties(path: &Path) -> Result<Vec<(String, String)>, Error> {
    let refuse = |why: String| Error::Config(format!("Kafka settings {}: {why}", path.display()));
    let unreadable = |error: std::io::Error| refuse(format!("cannot be read: {error}"));
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > MAX_BYTES {
        return Err(refuse(format!(
            "the file has {bytes} bytes, more than a file of settings may have ({MAX_BYTES})"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    parse(&text).map_err(|line| refuse(format!("line {line} is not name=value")))
}

/// Fails with the number of the line that is none.
fn parse(text: &str) -> Result<Vec<(String, String)>, usize> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                found.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            Some(_) | None => return Err(number),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_everything_behind_the_first_equals_sign() {
        let text = "# ours\r\n\r\n sasl.username = ccr \r\nsasl.password=a=b#c!\r\n";
        assert_eq!(
            parse(text),
            Ok(vec![
                ("sasl.username".to_owned(), "ccr".to_owned()),
                ("sasl.password".to_owned(), "a=b#c!".to_owned()),
            ])
        );
    }

    #[test]
    fn a_wrong_line_is_named_and_not_quoted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a=b\npa55\n").unwrap();
        let error = read_properties(file.path()).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(error.contains(file.path().to_str().unwrap()), "{error}");
        assert!(!error.contains("pa55"), "{error}");
        let absent = read_properties(Path::new("/no/such")).unwrap_err();
        assert!(absent.to_string().contains("/no/such"), "{absent}");
    }
}
