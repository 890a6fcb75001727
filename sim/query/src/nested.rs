//! Arrays, maps and structs as they stand in a cell: text that is JSON but for keys that are no strings.

use std::fmt;

/// A value inside an array, a map or a struct.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Nested {
    /// `null`.
    Null,
    /// A number, `true`, or a date: text without quotes.
    Bare(String),
    /// A string.
    Quoted(String),
    /// `[a, b]`.
    Array(Vec<Nested>),
    /// `{"k":v}`.
    Map(Vec<(Nested, Nested)>),
}

/// Brackets inside brackets, at most.
const MAX_DEPTH: usize = 32;

impl Nested {
    /// Reads an array, map or struct; `None` when the text is neither.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let trimmed = text.trim();
        if !trimmed.starts_with(['[', '{']) {
            return None;
        }
        let mut reader = Reader {
            rest: trimmed,
            depth: 0,
        };
        let value = reader.value()?;
        reader.rest.trim().is_empty().then_some(value)
    }

    /// The elements of an array.
    pub(super) fn elements(text: &str) -> Option<Vec<Self>> {
        match Self::parse(text)? {
            Self::Array(elements) => Some(elements),
            Self::Null | Self::Bare(_) | Self::Quoted(_) | Self::Map(_) => None,
        }
    }

    /// As a cell of its own: strings lose their quotes, null is no value.
    pub(super) fn cell(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Bare(text) | Self::Quoted(text) => Some(text.clone()),
            Self::Array(_) | Self::Map(_) => Some(self.to_string()),
        }
    }

    /// True when both say the same, quoted or not; numbers by value.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (self.cell(), other.cell()) {
            (None, None) => true,
            (Some(a), Some(b)) => {
                a == b
                    || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a.total_cmp(&b).is_eq())
            }
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
}

impl fmt::Display for Nested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bare(text) => f.write_str(text),
            Self::Quoted(text) => write!(f, "\"{text}\""),
            Self::Array(elements) => {
                f.write_str("[")?;
                for (at, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Map(entries) => {
                f.write_str("{")?;
                for (at, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key}:{value}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str("}")
            }
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    fn skip(&mut self, wanted: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Option<Nested> {
        if self.depth > MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let value = if self.skip('[') {
            self.array()
        } else if self.skip('{') {
            self.map()
        } else if self.skip('"') {
            self.string('"').map(Nested::Quoted)
        } else if self.skip('\'') {
            self.string('\'').map(Nested::Quoted)
        } else {
            self.bare()
        };
        self.depth -= 1;
        value
    }

    fn array(&mut self) -> Option<Nested> {
        let mut elements = Vec::new();
        if self.skip(']') {
            return Some(Nested::Array(elements));
        }
        loop {
            elements.push(self.value()?);
            if self.skip(']') {
                return Some(Nested::Array(elements));
            }
            if !self.skip(',') {
                return None;
            }
        }
    }

    fn map(&mut self) -> Option<Nested> {
        let mut entries = Vec::new();
        if self.skip('}') {
            return Some(Nested::Map(entries));
        }
        loop {
            let key = self.value()?;
            if !self.skip(':') {
                return None;
            }
            entries.push((key, self.value()?));
            if self.skip('}') {
                return Some(Nested::Map(entries));
            }
            if !self.skip(',') {
                return None;
            }
        }
    }

    fn string(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.rest = &self.rest[at + c.len_utf8()..];
                return Some(text);
            }
            if c == '\\' {
                let (_, escaped) = chars.next()?;
                text.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                });
            } else {
                text.push(c);
            }
        }
        None
    }

    fn bare(&mut self) -> Option<Nested> {
        let end = self
            .rest
            .find([',', ']', '}', ':'])
            .unwrap_or(self.rest.len());
        // A time has colons of its own: they are followed by a digit.
        let mut end = end;
        while self.rest[end..].starts_with(':')
            && self.rest[..end].len() >= 2
            && self.rest[..end].ends_with(|c: char| c.is_ascii_digit())
            && self.rest[..end].trim().contains('-')
        {
            end = self.rest[end + 1..]
                .find([',', ']', '}', ':'])
                .map_or(self.rest.len(), |at| end + 1 + at);
        }
        let text = self.rest[..end].trim().to_owned();
        self.rest = &self.rest[end..];
        match text.as_str() {
            "" => None,
            _ if text.eq_ignore_ascii_case("null") => Some(Nested::Null),
            _ => Some(Nested::Bare(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Nested;

    #[test]
    fn texts_round_trip_in_the_spelling_of_doris() {
        for (text, wanted) in [
            ("[1,2 , null]", "[1, 2, null]"),
            ("[\"a\", 'b']", "[\"a\", \"b\"]"),
            ("{\"a\": 1, \"b\":[1,2]}", "{\"a\":1, \"b\":[1, 2]}"),
            ("{1:10, 2:20}", "{1:10, 2:20}"),
            ("[]", "[]"),
            ("[2024-01-02 03:04:05]", "[2024-01-02 03:04:05]"),
        ] {
            assert_eq!(Nested::parse(text).unwrap().to_string(), wanted);
        }
        for wrong in ["1", "[1", "{1}", "[1] x", ""] {
            assert!(Nested::parse(wrong).is_none(), "{wrong}");
        }
    }
}
