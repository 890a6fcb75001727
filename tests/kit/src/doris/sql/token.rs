//! Words, names, texts and signs of a statement.

use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Text(String),
    Sign(char),
}

/// A place in a statement.
pub(super) struct Cursor {
    sql: String,
    tokens: Vec<(usize, Token)>,
    at: usize,
}

impl Cursor {
    pub(super) fn new(sql: &str) -> Self {
        Self {
            sql: sql.to_owned(),
            tokens: tokens(sql),
            at: 0,
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    pub(super) fn at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// Takes a keyword.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(w)) if w.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    /// Takes keywords that belong together, all or none.
    pub(super) fn words(&mut self, words: &[&str]) -> bool {
        let before = self.at;
        let all = words.iter().all(|word| self.word(word));
        if !all {
            self.at = before;
        }
        all
    }

    /// Takes a keyword that must be there.
    pub(super) fn expect(&mut self, word: &str) -> Option<()> {
        self.word(word).then_some(())
    }

    /// Takes a sign.
    pub(super) fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(c)) if sign.starts_with(*c));
        self.at += usize::from(found);
        found
    }

    /// Takes any word, and returns it.
    pub(super) fn any_word(&mut self) -> Option<String> {
        let Some(Token::Word(word)) = self.peek() else {
            return None;
        };
        let word = word.clone();
        self.at += 1;
        Some(word)
    }

    /// Takes a name, quoted or not; of a qualified one the last part.
    pub(super) fn name(&mut self) -> Option<String> {
        loop {
            let name = match self.peek()? {
                Token::Word(name) | Token::Quoted(name) => name.clone(),
                Token::Text(_) | Token::Sign(_) => return None,
            };
            self.at += 1;
            if !self.sign(".") {
                return Some(name);
            }
        }
    }

    /// Takes `(a, b)`.
    pub(super) fn names(&mut self) -> Option<Vec<String>> {
        self.sign("(").then_some(())?;
        let mut names = vec![self.name()?];
        while self.sign(",") {
            names.push(self.name()?);
        }
        self.sign(")").then_some(names)
    }

    /// Takes a string literal.
    pub(super) fn text(&mut self) -> Option<String> {
        let Some(Token::Text(text)) = self.peek() else {
            return None;
        };
        let text = text.clone();
        self.at += 1;
        Some(text)
    }

    /// Takes a number, bare or as a string.
    pub(super) fn number(&mut self) -> Option<i64> {
        let negative = self.sign("-");
        let text = match self.peek()? {
            Token::Word(text) | Token::Text(text) => text.clone(),
            Token::Quoted(_) | Token::Sign(_) => return None,
        };
        let number: i64 = text.parse().ok()?;
        self.at += 1;
        Some(if negative { -number } else { number })
    }

    /// Takes `("k" = "v", ...)`.
    pub(super) fn properties(&mut self) -> Option<BTreeMap<String, String>> {
        self.sign("(").then_some(())?;
        let mut found = BTreeMap::new();
        loop {
            let key = self.text()?;
            self.sign("=").then_some(())?;
            found.insert(key, self.text()?);
            if !self.sign(",") {
                break;
            }
        }
        self.sign(")").then_some(found)
    }

    /// Takes a type: a word, with numbers in brackets.
    pub(super) fn kind(&mut self) -> Option<String> {
        let mut kind = self.any_word()?;
        if self.sign("(") {
            kind = format!("{kind}({})", self.number()?);
            self.sign(")").then_some(())?;
        }
        Some(kind)
    }

    /// Takes everything that is left, but a semicolon at the end.
    pub(super) fn rest(&mut self) -> Option<String> {
        let (from, _) = self.tokens.get(self.at)?;
        let rest = self.sql.get(*from..)?.trim_end().trim_end_matches(';');
        self.at = self.tokens.len();
        Some(rest.trim_end().to_owned())
    }
}

fn tokens(sql: &str) -> Vec<(usize, Token)> {
    let mut found = Vec::new();
    let mut chars = sql.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c.is_whitespace() {
            continue;
        }
        if matches!(c, '`' | '\'' | '"') {
            let mut text = String::new();
            while let Some((_, inside)) = chars.next() {
                if inside == '\\' && c != '`' {
                    text.extend(chars.next().map(|(_, escaped)| escaped));
                } else if inside == c {
                    if chars.peek().is_some_and(|(_, next)| *next == c) {
                        chars.next();
                        text.push(c);
                    } else {
                        break;
                    }
                } else {
                    text.push(inside);
                }
            }
            found.push((
                at,
                if c == '`' {
                    Token::Quoted(text)
                } else {
                    Token::Text(text)
                },
            ));
        } else if c.is_alphanumeric() || c == '_' {
            let mut word = c.to_string();
            while let Some((_, next)) = chars.peek() {
                if !next.is_alphanumeric() && *next != '_' {
                    break;
                }
                word.push(*next);
                chars.next();
            }
            found.push((at, Token::Word(word)));
        } else {
            found.push((at, Token::Sign(c)));
        }
    }
    found
}
