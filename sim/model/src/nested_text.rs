//! Texts of ARRAY, MAP and STRUCT values: elements in the spelling of their types.

use super::DataType;

/// Types inside types, at most.
const MAX_DEPTH: usize = 16;

/// The text with every element as its type prints it: dates and strings quoted, what does not fit `null`. `None` when the text has
/// another shape than the type, or the type holds values that have no text of their own.
pub fn canonical(text: &str, data_type: &DataType) -> Option<String> {
    let mut reader = Reader { rest: text };
    let value = reader.value(data_type, Place::Element, 0)?;
    reader.rest.trim().is_empty().then_some(value)
}

/// Where a value stands: it says what ends a bare one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Key,
    Element,
}

struct Reader<'a> {
    rest: &'a str,
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

    fn value(&mut self, data_type: &DataType, place: Place, depth: usize) -> Option<String> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.rest = self.rest.trim_start();
        match data_type {
            DataType::Array(inner) if self.skip('[') => {
                let mut elements = Vec::new();
                if self.skip(']') {
                    return Some("[]".to_owned());
                }
                loop {
                    elements.push(self.value(inner, Place::Element, depth + 1)?);
                    if self.skip(']') {
                        return Some(format!("[{}]", elements.join(", ")));
                    }
                    if !self.skip(',') {
                        return None;
                    }
                }
            }
            DataType::Map(key, value) if self.skip('{') => {
                let mut entries = Vec::new();
                if self.skip('}') {
                    return Some("{}".to_owned());
                }
                loop {
                    let name = self.value(key, Place::Key, depth + 1)?;
                    if !self.skip(':') {
                        return None;
                    }
                    let value = self.value(value, Place::Element, depth + 1)?;
                    entries.push(format!("{name}:{value}"));
                    if self.skip('}') {
                        return Some(format!("{{{}}}", entries.join(", ")));
                    }
                    if !self.skip(',') {
                        return None;
                    }
                }
            }
            DataType::Array(_) | DataType::Map(..) => {
                (self.scalar(place)? == Scalar::Null).then(|| "null".to_owned())
            }
            DataType::Struct(_)
            | DataType::Json
            | DataType::Variant
            | DataType::Bitmap
            | DataType::Hll
            | DataType::QuantileState
            | DataType::AggState(_) => None,
            scalar => {
                let read = self.scalar(place)?;
                Some(read.shown(scalar))
            }
        }
    }

    fn scalar(&mut self, place: Place) -> Option<Scalar> {
        for quote in ['"', '\''] {
            if self.skip(quote) {
                return self.quoted(quote).map(Scalar::Text);
            }
        }
        let ends = |c: char| matches!(c, ',' | ']' | '}') || (place == Place::Key && c == ':');
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let text = self.rest[..end].trim();
        if text.starts_with(['[', '{']) {
            return None;
        }
        let scalar = if text.is_empty() || text.eq_ignore_ascii_case("null") {
            Scalar::Null
        } else {
            Scalar::Text(text.to_owned())
        };
        self.rest = &self.rest[end..];
        Some(scalar)
    }

    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.rest = &self.rest[at + c.len_utf8()..];
                return Some(text);
            }
            match c {
                '\\' => match chars.next()?.1 {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    other => text.push(other),
                },
                c => text.push(c),
            }
        }
        None
    }
}

#[derive(PartialEq, Eq)]
enum Scalar {
    Null,
    Text(String),
}

impl Scalar {
    /// As an element of its type.
    fn shown(self, data_type: &DataType) -> String {
        let Self::Text(text) = self else {
            return "null".to_owned();
        };
        let known = match data_type {
            // Too long a text is cut off inside others.
            DataType::Char(length) | DataType::Varchar(length) => {
                let mut end = text.len().min(*length as usize);
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                Some(text[..end].to_owned())
            }
            other => other.canonicalize(&text).ok().flatten(),
        };
        let Some(known) = known else {
            return "null".to_owned();
        };
        let bare = data_type.is_integer()
            || matches!(
                data_type,
                DataType::Boolean | DataType::Float | DataType::Double | DataType::Decimal(..)
            );
        if bare { known } else { format!("\"{known}\"") }
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;
    use crate::DataType;

    #[test]
    fn elements_are_spelled_as_their_types() {
        for (declared, text, wanted) in [
            (
                "array<varchar(6)>",
                "[char11, 'b', null]",
                Some("[\"char11\", \"b\", null]"),
            ),
            ("array<varchar(2)>", "[\"abc\"]", Some("[\"ab\"]")),
            ("array<smallint>", "[32768, 1, x]", Some("[null, 1, null]")),
            ("array<decimal(10,3)>", "[0.1,2]", Some("[0.100, 2.000]")),
            ("array<boolean>", "[true,0]", Some("[1, 0]")),
            (
                "array<datetime(3)>",
                "[2012-03-01 01:00:01]",
                Some("[\"2012-03-01 01:00:01.000\"]"),
            ),
            (
                "map<string,int>",
                "{1:2, 'a': 3}",
                Some("{\"1\":2, \"a\":3}"),
            ),
            (
                "array<array<int>>",
                "[[1], null, []]",
                Some("[[1], null, []]"),
            ),
            ("array<int>", "[1", None),
            ("array<int>", "nothing", None),
        ] {
            let data_type = DataType::parse(declared).unwrap();
            assert_eq!(canonical(text, &data_type).as_deref(), wanted, "{text}");
        }
    }
}
