//! Text → tokens that know where they stand, so that later parts can cut their text out of the source.

use super::error::SyntaxError;

/// One token and the bytes it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// First byte.
    pub start: usize,
    /// Byte behind the last.
    pub end: usize,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenKind {
    /// A word as written: keyword or plain name.
    Word(String),
    /// A name that stood in back-quotes, without them.
    Quoted(String),
    /// A string literal, unescaped.
    Str(String),
    /// A number as written.
    Number(String),
    /// Everything else; two-byte operators are one token.
    Symbol(&'static str),
    /// The end.
    Eof,
}

/// No `>>`: the dialect has it only as the end of two nested types.
const SYMBOLS: [&str; 40] = [
    "<=>", "->>", "<=", ">=", "<>", "!=", ":=", "||", "&&", "->", "@@", "(", ")", ",", ".", ";",
    "=", "<", ">", "+", "-", "*", "/", "%", "[", "]", "{", "}", ":", "?", "@", "!", "&", "|", "^",
    "~", "$", "\\", "#", "'",
];

/// Splits `source`; comments and hints vanish, the list ends with `Eof`.
///
/// # Errors
/// A string, name or comment that does not end, or a byte outside the dialect.
pub fn tokenize(source: &str) -> Result<Vec<Token>, SyntaxError> {
    let mut lexer = Lexer {
        source,
        bytes: source.as_bytes(),
        at: 0,
    };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        tokens.push(token);
    }
    tokens.push(Token {
        kind: TokenKind::Eof,
        start: source.len(),
        end: source.len(),
    });
    Ok(tokens)
}

struct Lexer<'a> {
    source: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl Lexer<'_> {
    fn next(&mut self) -> Result<Option<Token>, SyntaxError> {
        self.skip_blank()?;
        let start = self.at;
        let Some(&first) = self.bytes.get(start) else {
            return Ok(None);
        };
        let kind = match first {
            b'\'' | b'"' => TokenKind::Str(self.quoted(first)?),
            b'`' => TokenKind::Quoted(self.back_quoted()?),
            b'0'..=b'9' => self.number(),
            b'.' if self.bytes.get(start + 1).is_some_and(u8::is_ascii_digit)
                && !self.after_name() =>
            {
                self.number()
            }
            _ if is_name_byte(first) => self.word(),
            _ => self.symbol()?,
        };
        Ok(Some(Token {
            kind,
            start,
            end: self.at,
        }))
    }

    /// `t.1a` is a name's second part, ` .5` a number.
    fn after_name(&self) -> bool {
        self.at > 0 && (is_name_byte(self.bytes[self.at - 1]) || self.bytes[self.at - 1] == b'`')
    }

    fn skip_blank(&mut self) -> Result<(), SyntaxError> {
        loop {
            while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
                self.at += 1;
            }
            let rest = &self.bytes[self.at..];
            let line_comment = rest.starts_with(b"#")
                || (rest.starts_with(b"--")
                    && rest
                        .get(2)
                        .is_none_or(|next| next.is_ascii_whitespace() || *next == b'-'));
            if line_comment {
                self.at += rest
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .unwrap_or(rest.len());
            } else if rest.starts_with(b"/*") {
                let length = self.source[self.at + 2..]
                    .find("*/")
                    .ok_or_else(|| SyntaxError::at(self.source, self.at, "comment does not end"))?;
                self.at += length + 4;
            } else {
                return Ok(());
            }
        }
    }

    fn quoted(&mut self, quote: u8) -> Result<String, SyntaxError> {
        let start = self.at;
        let mut text = Vec::new();
        self.at += 1;
        while let Some(&byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'\\' => {
                    let Some(&escaped) = self.bytes.get(self.at) else {
                        break;
                    };
                    self.at += 1;
                    unescape(escaped, &mut text);
                }
                _ if byte == quote => {
                    if self.bytes.get(self.at) != Some(&quote) {
                        return String::from_utf8(text).map_err(|_| {
                            SyntaxError::at(self.source, start, "string is not UTF-8")
                        });
                    }
                    self.at += 1;
                    text.push(quote);
                }
                _ => text.push(byte),
            }
        }
        Err(SyntaxError::at(self.source, start, "string does not end"))
    }

    fn back_quoted(&mut self) -> Result<String, SyntaxError> {
        let start = self.at;
        let mut text = String::new();
        loop {
            let rest = &self.source[self.at + 1..];
            let length = rest.find('`').ok_or_else(|| {
                SyntaxError::at(self.source, start, "back-quoted name does not end")
            })?;
            text.push_str(&rest[..length]);
            self.at += length + 1;
            if self.bytes.get(self.at + 1) != Some(&b'`') {
                self.at += 1;
                return Ok(text);
            }
            text.push('`');
            self.at += 1;
        }
    }

    fn number(&mut self) -> TokenKind {
        let start = self.at;
        let mut seen_point = false;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'0'..=b'9' => {}
                b'.' if !seen_point => seen_point = true,
                b'e' | b'E' if self.exponent_follows() => self.at += 1,
                // Names may begin with digits (`1d`, `2024_a`).
                _ if is_name_byte(byte) && !seen_point => {
                    self.at = start;
                    return self.word();
                }
                _ => break,
            }
            self.at += 1;
        }
        TokenKind::Number(self.source[start..self.at].to_owned())
    }

    fn exponent_follows(&self) -> bool {
        match self.bytes.get(self.at + 1) {
            Some(b'+' | b'-') => self.bytes.get(self.at + 2).is_some_and(u8::is_ascii_digit),
            Some(byte) => byte.is_ascii_digit(),
            None => false,
        }
    }

    fn word(&mut self) -> TokenKind {
        let start = self.at;
        while self.bytes.get(self.at).copied().is_some_and(is_name_byte) {
            self.at += 1;
        }
        TokenKind::Word(self.source[start..self.at].to_owned())
    }

    fn symbol(&mut self) -> Result<TokenKind, SyntaxError> {
        let rest = &self.source[self.at..];
        let symbol = SYMBOLS
            .iter()
            .find(|symbol| rest.starts_with(**symbol))
            .ok_or_else(|| SyntaxError::at(self.source, self.at, "unexpected character"))?;
        self.at += symbol.len();
        Ok(TokenKind::Symbol(symbol))
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// MySQL's escapes; `\%` and `\_` keep their backslash because only LIKE gives them meaning.
fn unescape(escaped: u8, text: &mut Vec<u8>) {
    match escaped {
        b'n' => text.push(b'\n'),
        b't' => text.push(b'\t'),
        b'r' => text.push(b'\r'),
        b'b' => text.push(8),
        b'0' => text.push(0),
        b'Z' => text.push(26),
        b'%' | b'_' => text.extend([b'\\', escaped]),
        other => text.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<TokenKind> {
        tokenize(source)
            .unwrap()
            .into_iter()
            .map(|token| token.kind)
            .collect()
    }

    #[test]
    fn strings_names_numbers_and_comments() {
        use TokenKind::{Eof, Number, Quoted, Str, Symbol, Word};
        let source = "/*+ hint */ a.`b``c` -- x\n 'it''s \\n' \"q\" 1.5e-3 1d # end";
        assert_eq!(
            kinds(source),
            [
                Word("a".into()),
                Symbol("."),
                Quoted("b`c".into()),
                Str("it's \n".into()),
                Str("q".into()),
                Number("1.5e-3".into()),
                Word("1d".into()),
                Eof
            ]
        );
    }

    #[test]
    fn backslash_n_is_null_text_when_escaped() {
        assert_eq!(kinds("'\\\\N'")[0], TokenKind::Str("\\N".into()));
    }

    #[test]
    fn what_does_not_end_is_named_with_its_place() {
        let error = tokenize("select\n  'abc").unwrap_err();
        assert_eq!((error.line, error.column), (2, 2));
    }
}
