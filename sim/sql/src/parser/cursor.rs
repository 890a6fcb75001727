//! The place in the token list, with the small moves every statement is read by.

use crate::ast::{ObjectName, Properties};
use crate::error::SyntaxError;
use crate::lexer::{Token, TokenKind, tokenize};

/// A list of tokens and a place in it.
pub(crate) struct Parser<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    at: usize,
}

type Read<T> = Result<T, SyntaxError>;

impl<'a> Parser<'a> {
    pub(crate) fn new(source: &'a str) -> Read<Self> {
        Ok(Self {
            source,
            tokens: tokenize(source)?,
            at: 0,
        })
    }

    pub(crate) fn peek(&self) -> &TokenKind {
        self.peek_nth(0)
    }

    pub(crate) fn peek_nth(&self, ahead: usize) -> &TokenKind {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.at + ahead).min(last)].kind
    }

    pub(crate) fn skip(&mut self) {
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
    }

    /// Byte at which the current token begins.
    pub(crate) fn position(&self) -> usize {
        self.tokens[self.at].start
    }

    /// Byte behind the token before this one.
    pub(crate) fn end_of_previous(&self) -> usize {
        self.at
            .checked_sub(1)
            .map_or(0, |previous| self.tokens[previous].end)
    }

    pub(crate) fn slice(&self, from: usize, to: usize) -> &'a str {
        self.source[from..to.max(from)].trim()
    }

    pub(crate) fn fail<T>(&self, message: impl Into<String>) -> Read<T> {
        Err(self.error_here(message))
    }

    pub(crate) fn error_here(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError::at(self.source, self.position(), message)
    }

    pub(crate) fn unexpected<T>(&self, expecting: &str) -> Read<T> {
        let found = match self.peek() {
            TokenKind::Eof => "<EOF>".to_owned(),
            TokenKind::Word(_)
            | TokenKind::Quoted(_)
            | TokenKind::Str(_)
            | TokenKind::Number(_)
            | TokenKind::Symbol(_) => {
                let token = &self.tokens[self.at];
                self.source[token.start..token.end].to_owned()
            }
        };
        self.fail(format!("mismatched input '{found}' expecting {expecting}"))
    }

    pub(crate) fn at_end(&self) -> bool {
        matches!(self.peek(), TokenKind::Eof | TokenKind::Symbol(";"))
    }

    pub(crate) fn is_word_nth(&self, ahead: usize, word: &str) -> bool {
        matches!(self.peek_nth(ahead), TokenKind::Word(found) if found.eq_ignore_ascii_case(word))
    }

    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.is_word_nth(0, word)
    }

    pub(crate) fn is_any_word(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is_word(word))
    }

    pub(crate) fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), TokenKind::Symbol(found) if *found == symbol)
    }

    pub(crate) fn is_symbol_nth(&self, ahead: usize, symbol: &str) -> bool {
        matches!(self.peek_nth(ahead), TokenKind::Symbol(found) if *found == symbol)
    }

    pub(crate) fn accept(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.skip();
        }
        found
    }

    /// Takes all words or none.
    pub(crate) fn accept_all(&mut self, words: &[&str]) -> bool {
        let found = words
            .iter()
            .enumerate()
            .all(|(ahead, word)| self.is_word_nth(ahead, word));
        if found {
            for _ in words {
                self.skip();
            }
        }
        found
    }

    pub(crate) fn accept_any(&mut self, words: &[&str]) -> Option<String> {
        let found = words
            .iter()
            .find(|word| self.is_word(word))
            .map(|word| (*word).to_owned());
        if found.is_some() {
            self.skip();
        }
        found
    }

    pub(crate) fn accept_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        if found {
            self.skip();
        }
        found
    }

    pub(crate) fn expect(&mut self, word: &str) -> Read<()> {
        if self.accept(word) {
            Ok(())
        } else {
            self.unexpected(&format!("'{word}'"))
        }
    }

    pub(crate) fn expect_symbol(&mut self, symbol: &str) -> Read<()> {
        if self.accept_symbol(symbol) {
            Ok(())
        } else {
            self.unexpected(&format!("'{symbol}'"))
        }
    }

    pub(crate) fn if_exists(&mut self) -> bool {
        self.accept_all(&["IF", "EXISTS"])
    }

    pub(crate) fn if_not_exists(&mut self) -> bool {
        self.accept_all(&["IF", "NOT", "EXISTS"])
    }

    pub(crate) fn name(&mut self) -> Read<String> {
        match self.peek() {
            TokenKind::Word(name) | TokenKind::Quoted(name) => {
                let name = name.clone();
                self.skip();
                Ok(name)
            }
            TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::Eof => {
                self.unexpected("an identifier")
            }
        }
    }

    /// A name, or a string standing for one (labels, users, setting names).
    pub(crate) fn name_or_string(&mut self) -> Read<String> {
        match self.peek() {
            TokenKind::Str(_) => self.string(),
            TokenKind::Word(_)
            | TokenKind::Quoted(_)
            | TokenKind::Number(_)
            | TokenKind::Symbol(_)
            | TokenKind::Eof => self.name(),
        }
    }

    pub(crate) fn string(&mut self) -> Read<String> {
        let TokenKind::Str(text) = self.peek() else {
            return self.unexpected("a string");
        };
        let text = text.clone();
        self.skip();
        Ok(text)
    }

    pub(crate) fn integer(&mut self) -> Read<i64> {
        let negative = self.accept_symbol("-");
        let TokenKind::Number(text) = self.peek() else {
            return self.unexpected("an integer");
        };
        let Ok(value) = text.parse::<i64>() else {
            return self.unexpected("an integer");
        };
        self.skip();
        Ok(if negative { -value } else { value })
    }

    pub(crate) fn optional_integer(&mut self) -> Read<Option<i64>> {
        if matches!(self.peek(), TokenKind::Number(_)) {
            self.integer().map(Some)
        } else {
            Ok(None)
        }
    }

    pub(crate) fn object_name(&mut self) -> Read<ObjectName> {
        let mut parts = vec![self.name()?];
        while parts.len() < 3 && self.accept_symbol(".") {
            parts.push(self.name()?);
        }
        let name = parts.pop().unwrap_or_default();
        let db = parts.pop();
        Ok(ObjectName {
            catalog: parts.pop(),
            db,
            name,
        })
    }

    /// `(a, b, c)`.
    pub(crate) fn name_list(&mut self) -> Read<Vec<String>> {
        self.list(Self::name)
    }

    /// `(x, y, ...)`, maybe empty.
    pub(crate) fn list<T>(&mut self, mut entry: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        self.expect_symbol("(")?;
        let mut entries = Vec::new();
        if self.accept_symbol(")") {
            return Ok(entries);
        }
        loop {
            entries.push(entry(self)?);
            if !self.accept_symbol(",") {
                break;
            }
        }
        self.expect_symbol(")")?;
        Ok(entries)
    }

    /// `a` or `(a, b)`.
    pub(crate) fn one_or_list(&mut self) -> Read<Vec<String>> {
        if self.is_symbol("(") {
            self.name_list()
        } else {
            Ok(vec![self.name()?])
        }
    }

    /// `[TEMPORARY] PARTITION(S) p|(p, ...)`; the flag says temporary.
    pub(crate) fn partitions(&mut self) -> Read<(Vec<String>, bool)> {
        let temp = self.is_word("TEMPORARY")
            && (self.is_word_nth(1, "PARTITION") || self.is_word_nth(1, "PARTITIONS"));
        if temp {
            self.skip();
        }
        if self.accept_any(&["PARTITION", "PARTITIONS"]).is_some() {
            return Ok((self.one_or_list()?, temp));
        }
        Ok((Vec::new(), false))
    }

    /// `PROPERTIES (...)` if it stands here.
    pub(crate) fn properties(&mut self) -> Read<Properties> {
        if self.accept("PROPERTIES") || self.accept("PROPERTY") {
            self.property_list()
        } else {
            Ok(Properties::new())
        }
    }

    /// `("k" = "v", ...)`.
    pub(crate) fn property_list(&mut self) -> Read<Properties> {
        let pairs = self.list(|parser| {
            let mut key = parser.name_or_string()?;
            while parser.accept_symbol(".") {
                key = format!("{key}.{}", parser.name()?);
            }
            parser.expect_symbol("=")?;
            Ok((key, parser.property_value()?))
        })?;
        Ok(pairs.into_iter().collect())
    }

    fn property_value(&mut self) -> Read<String> {
        let negative = self.accept_symbol("-");
        let text = match self.peek() {
            TokenKind::Str(text)
            | TokenKind::Number(text)
            | TokenKind::Word(text)
            | TokenKind::Quoted(text) => text.clone(),
            TokenKind::Symbol(_) | TokenKind::Eof => return self.unexpected("a value"),
        };
        self.skip();
        Ok(if negative { format!("-{text}") } else { text })
    }

    /// `COMMENT "x"` if it stands here.
    pub(crate) fn comment(&mut self) -> Read<String> {
        if self.accept("COMMENT") {
            self.accept_symbol("=");
            self.string()
        } else {
            Ok(String::new())
        }
    }

    /// `COMMENT "x"` of ALTER TABLE: Doris takes what stands between the quotes as it is, escapes and all.
    pub(crate) fn raw_comment(&mut self) -> Read<String> {
        self.expect("COMMENT")?;
        let start = self.position();
        let unescaped = self.string()?;
        let literal = self.source.get(start + 1..self.end_of_previous() - 1);
        Ok(literal.map_or(unescaped, str::to_owned))
    }

    /// The text up to the end of the statement, or to one of `stops` outside any bracket.
    pub(crate) fn text_until(&mut self, stops: &[&str]) -> &'a str {
        let start = self.position();
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                TokenKind::Eof => break,
                TokenKind::Symbol(";") if depth == 0 => break,
                TokenKind::Symbol(",") if depth == 0 && stops.contains(&",") => break,
                TokenKind::Symbol("(" | "[" | "{") => depth += 1,
                TokenKind::Symbol(")") if depth == 0 => break,
                TokenKind::Symbol(")" | "]" | "}") => depth = depth.saturating_sub(1),
                TokenKind::Word(word)
                    if depth == 0 && stops.iter().any(|stop| word.eq_ignore_ascii_case(stop)) =>
                {
                    break;
                }
                TokenKind::Word(_)
                | TokenKind::Quoted(_)
                | TokenKind::Str(_)
                | TokenKind::Number(_)
                | TokenKind::Symbol(_) => {}
            }
            self.skip();
        }
        self.slice(start, self.end_of_previous())
    }

    /// The whole rest of the statement.
    pub(crate) fn rest(&mut self) -> &'a str {
        let start = self.position();
        let mut depth = 0_usize;
        while !matches!(self.peek(), TokenKind::Eof) {
            match self.peek() {
                TokenKind::Symbol("(") => depth += 1,
                TokenKind::Symbol(")") => depth = depth.saturating_sub(1),
                TokenKind::Symbol(";") if depth == 0 => break,
                TokenKind::Word(_)
                | TokenKind::Quoted(_)
                | TokenKind::Str(_)
                | TokenKind::Number(_)
                | TokenKind::Symbol(_)
                | TokenKind::Eof => {}
            }
            self.skip();
        }
        self.slice(start, self.end_of_previous())
    }

    /// Text between the bracket that stands here and its partner.
    pub(crate) fn bracketed_text(&mut self) -> Read<&'a str> {
        self.expect_symbol("(")?;
        let text = self.text_until(&[]);
        self.expect_symbol(")")?;
        Ok(text)
    }
}
