//! Splits a statement into tokens, as far as rewriting needs it. Nothing is lost: the tokens' texts make up the statement.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// White space and comments.
    Space,
    /// Keyword, bare identifier or number.
    Word,
    /// Back-quoted identifier.
    Quoted,
    /// String in single or double quotes.
    Text,
    /// One other character.
    Sign,
}

/// A piece of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
}

impl Token<'_> {
    /// A keyword, in any case.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        self.kind == Kind::Sign && self.text == sign
    }

    /// The identifier, without its quotes.
    pub(super) fn identifier(&self) -> Option<String> {
        match self.kind {
            Kind::Word => Some(self.text.to_owned()),
            Kind::Quoted => {
                let inside = self.text.strip_prefix('`')?.strip_suffix('`')?;
                Some(inside.replace("``", "`"))
            }
            Kind::Space | Kind::Text | Kind::Sign => None,
        }
    }

    /// The content of a string, its escapes left as they are.
    pub(super) fn content(&self) -> Option<&str> {
        if self.kind != Kind::Text || self.text.len() < 2 {
            return None;
        }
        self.text.get(1..self.text.len() - 1)
    }
}

/// All tokens of a statement. A quote or comment that is not closed reaches to the end.
pub(super) fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = match first {
            '`' => (Kind::Quoted, quoted_length(rest, '`', false)),
            '\'' | '"' => (Kind::Text, quoted_length(rest, first, true)),
            c if c.is_whitespace() => (Kind::Space, run_length(rest, char::is_whitespace)),
            '#' => (Kind::Space, line_length(rest)),
            '-' if rest.starts_with("-- ") || rest.starts_with("--\n") || rest == "--" => {
                (Kind::Space, line_length(rest))
            }
            '/' if rest.starts_with("/*") => {
                let end = rest.get(2..).and_then(|inside| inside.find("*/"));
                (Kind::Space, end.map_or(rest.len(), |end| end + 4))
            }
            c if is_word(c) => (Kind::Word, run_length(rest, is_word)),
            other => (Kind::Sign, other.len_utf8()),
        };
        let (text, left) = rest.split_at(length);
        found.push(Token { kind, text });
        rest = left;
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

fn run_length(text: &str, inside: impl Fn(char) -> bool) -> usize {
    text.find(|c| !inside(c)).unwrap_or(text.len())
}

fn line_length(text: &str) -> usize {
    text.find('\n').map_or(text.len(), |end| end + 1)
}

/// Length of a quoted piece; a doubled quote stays inside, and in strings a backslash takes the next character with it.
fn quoted_length(text: &str, quote: char, escapes: bool) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if escapes && c == '\\' {
            characters.next();
        } else if c == quote {
            match characters.peek() {
                Some((_, next)) if *next == quote => {
                    characters.next();
                }
                _ => return at + quote.len_utf8(),
            }
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn significant(sql: &str) -> Vec<&str> {
        tokens(sql)
            .iter()
            .filter(|token| token.kind != Kind::Space)
            .map(|token| token.text)
            .collect()
    }

    #[test]
    fn hostile_statements() {
        assert_eq!(
            significant("a`b``c` 'it''s \\' x' \"q\\\"\" -- ` '\n/* ' */+é#end"),
            ["a", "`b``c`", "'it''s \\' x'", "\"q\\\"\"", "+", "é"]
        );
        assert_eq!(significant("`open"), ["`open"]);
        assert_eq!(significant("'open\\"), ["'open\\"]);
        assert_eq!(significant("/* open"), Vec::<&str>::new());
        assert_eq!(significant("a--b"), ["a", "-", "-", "b"]);
        assert_eq!(tokens("`a``b`")[0].identifier().unwrap(), "a`b");
        assert_eq!(tokens("`")[0].identifier(), None);
        assert_eq!(tokens("'x'")[0].content(), Some("x"));
        assert_eq!(tokens("'")[0].content(), None);
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost(sql in "[a`'\"\\\\ \\-/*#é().\n]{0,40}") {
            let joined: String = tokens(&sql).iter().map(|token| token.text).collect();
            proptest::prop_assert_eq!(joined, sql);
        }
    }
}
