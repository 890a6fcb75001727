//! What the parser says when it does not understand.

/// A statement outside the dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("errCode = 2, detailMessage = {message}(line {line}, pos {column}) near '{near}'")]
pub struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 0, as Doris' parser counts.
    pub column: usize,
    /// The text that follows, shortened.
    pub near: String,
}

impl SyntaxError {
    /// An error at byte `at` of `source`.
    #[must_use]
    pub fn at(source: &str, at: usize, message: impl Into<String>) -> Self {
        let at = at.min(source.len());
        let before = &source[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            message: message.into(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count(),
            near: source[at..].chars().take(40).collect(),
        }
    }
}
