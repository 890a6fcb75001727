//! Source files stay short enough to be read to their end.

/// Max lines of a source file, its test module not counted.
const MAX_LINES: usize = 600;

/// A finding when the file is too long. Generated code is not checked.
pub fn too_long(path: &str, text: &str) -> Option<String> {
    if path.contains("/generated/") {
        return None;
    }
    let counted = text
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .count();
    (counted > MAX_LINES).then(|| format!("{path}: {counted} lines, at most {MAX_LINES}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_and_generated_code_do_not_count() {
        let long = "x\n".repeat(MAX_LINES + 1);
        assert!(too_long("a/src/b.rs", &long).is_some());
        assert!(too_long("a/src/generated/b.rs", &long).is_none());
        let with_tests = format!("{}#[cfg(test)]\n{long}", "x\n".repeat(MAX_LINES));
        assert!(too_long("a/src/b.rs", &with_tests).is_none());
    }
}
