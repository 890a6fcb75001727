//! Tests that the documents name exist.

use std::collections::BTreeMap;

/// A test that a document names: the file it is in and its function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedTest {
    /// Path from the root of the workspace.
    pub path: String,
    /// Name of the function.
    pub name: String,
}

/// Returns the tests that a document names as `` `path/to/file.rs::name` ``. `` `::name` `` is another one of the file named before it.
///
/// # Errors
/// The text of a `` `::name` `` that no file precedes on its line.
pub fn named_tests(text: &str) -> Result<Vec<NamedTest>, String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut path = None;
        // Every second piece is between backticks.
        for code in line.split('`').skip(1).step_by(2) {
            if code.contains(char::is_whitespace) {
                continue;
            }
            let Some((file, name)) = code.rsplit_once("::") else {
                continue;
            };
            if file.ends_with(".rs") {
                path = Some(file);
            } else if !file.is_empty() {
                continue;
            }
            let file = path.ok_or_else(|| format!("`{code}` follows no `file.rs::test`"))?;
            found.push(NamedTest {
                path: file.to_owned(),
                name: name.to_owned(),
            });
        }
    }
    Ok(found)
}

/// Returns a finding for each test that its file does not contain. `sources` holds the text of each file by its path.
pub fn missing(named: &[NamedTest], sources: &BTreeMap<String, String>) -> Vec<String> {
    named
        .iter()
        .filter_map(|NamedTest { path, name }| match sources.get(path) {
            None => Some(format!("{path}::{name}: there is no such file")),
            Some(text) => (!declares_test(text, name))
                .then(|| format!("{path}::{name}: there is no such test")),
        })
        .collect()
}

/// Whether a source file has a function of this name right behind attributes that make it a test.
fn declares_test(text: &str, name: &str) -> bool {
    let mut is_test = false;
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("#[") {
            is_test |= line.contains("test");
        } else if let Some((_, after)) = line.split_once("fn ") {
            let declared: &str = after.split(['(', '<']).next().unwrap_or_default();
            if is_test && declared == name {
                return true;
            }
            is_test = false;
        } else if !line.starts_with("//") && !line.is_empty() {
            is_test = false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(path: &str, name: &str) -> NamedTest {
        NamedTest {
            path: path.to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn full_names_and_short_ones_are_read() {
        let text = "| x | `a/b.rs::one`, `::two` and `log/c.rs::three`, `Stack::start`, `cargo test -p x::y` |\n";
        assert_eq!(
            named_tests(text),
            Ok(vec![
                test("a/b.rs", "one"),
                test("a/b.rs", "two"),
                test("log/c.rs", "three"),
            ])
        );
        assert!(named_tests("`::two`").is_err());
    }

    #[test]
    fn what_is_no_test_or_not_there_is_found() {
        let text = "#[test]\nfn one() {}\n#[tokio::test]\nasync fn two() {}\nfn three() {}\n";
        let sources = BTreeMap::from([("a.rs".to_owned(), text.to_owned())]);
        let named = ["one", "two", "three", "four"].map(|name| test("a.rs", name));
        assert_eq!(
            missing(&named, &sources),
            [
                "a.rs::three: there is no such test",
                "a.rs::four: there is no such test"
            ]
        );
        assert_eq!(
            missing(&[test("b.rs", "one")], &sources),
            ["b.rs::one: there is no such file"]
        );
    }
}
