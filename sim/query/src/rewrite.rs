//! Doris' SELECT → SQLite's: tables to their loaded copies, literals, casts and a few functions by another spelling.
//!
//! The text is walked token by token; expressions keep their shape, so SQLite does the parsing that matters.

use std::collections::BTreeSet;

use super::items;
use super::session::session_literal;
use super::source::{SessionInfo, TableRef};
use super::words::{common_tables, is_bracket_keyword, is_keyword, other_name};
use dorisim_model::SqlError;
use dorisim_sql::{Token, TokenKind, tokenize};

/// What a table in `FROM` becomes.
pub(super) enum Placed {
    /// A table of the connection.
    Table(String),
    /// A view, to be expanded here.
    View {
        /// Its query.
        select: String,
        /// Declared column names.
        columns: Vec<String>,
    },
}

/// Brings tables into the connection.
pub(super) trait Placer {
    fn place(&mut self, table: &TableRef) -> Result<Placed, SqlError>;
    fn place_function(&mut self, name: &str, arguments: &str) -> Result<String, SqlError>;
}

/// Views inside views, at most.
pub(super) const MAX_VIEW_DEPTH: usize = 16;

/// Rewrites one query.
pub(super) fn rewrite(
    text: &str,
    session: &SessionInfo,
    placer: &mut dyn Placer,
) -> Result<String, SqlError> {
    rewrite_at(text, session, session.db.as_deref(), placer, 0)
}

pub(super) fn rewrite_at(
    text: &str,
    session: &SessionInfo,
    db: Option<&str>,
    placer: &mut dyn Placer,
    depth: usize,
) -> Result<String, SqlError> {
    let tokens = tokenize(text).map_err(|error| SqlError::analysis(error.message))?;
    let aliases = items::missing_aliases(text, &tokens);
    let ctes = common_tables(&tokens);
    let mut rewriter = Rewriter {
        text,
        tokens,
        at: 0,
        out: String::with_capacity(text.len() * 2),
        frames: vec![Frame::default()],
        session,
        db,
        ctes,
        depth,
        operand: 0,
    };
    while !matches!(rewriter.kind(0), TokenKind::Eof) {
        if let Some((_, alias)) = aliases.iter().find(|(at, _)| *at == rewriter.at) {
            rewriter.push("AS");
            rewriter.push_name(alias);
        }
        rewriter.step(placer)?;
    }
    if let Some((_, alias)) = aliases.iter().find(|(at, _)| *at == rewriter.at) {
        rewriter.push("AS");
        rewriter.push_name(alias);
    }
    Ok(rewriter.out)
}

/// What the bracket that is open means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Bracket {
    /// A subquery, a list, or just a bracket.
    #[default]
    Plain,
    /// Arguments of a function.
    Call,
    /// `CAST(`.
    Cast,
}

/// Where the walk stands regarding `FROM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum From {
    #[default]
    Outside,
    /// A table has to come.
    Wanted,
    /// Behind a table: a comma brings the next one.
    Behind,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Frame {
    pub(super) bracket: Bracket,
    pub(super) from: From,
    pub(super) interval: bool,
    /// Where in the output it began, with the name of a function.
    pub(super) start: usize,
    /// Further brackets to close with it.
    pub(super) extra: u8,
    /// What has to come at its end.
    pub(super) end: FrameEnd,
}

/// What a bracket that closes is followed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum FrameEnd {
    /// Nothing.
    #[default]
    Nothing,
    /// `GROUP_CONCAT(DISTINCT x` without a separator so far.
    Separator,
}

pub(super) struct Rewriter<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: Vec<Token>,
    pub(super) at: usize,
    pub(super) out: String,
    pub(super) frames: Vec<Frame>,
    pub(super) session: &'a SessionInfo,
    pub(super) db: Option<&'a str>,
    pub(super) ctes: BTreeSet<String>,
    pub(super) depth: usize,
    /// Where in the output the last operand began.
    pub(super) operand: usize,
}

impl Rewriter<'_> {
    pub(super) fn kind(&self, ahead: usize) -> &TokenKind {
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)].kind
    }

    pub(super) fn word(&self, ahead: usize) -> String {
        match self.kind(ahead) {
            TokenKind::Word(word) => word.to_ascii_uppercase(),
            _ => String::new(),
        }
    }

    pub(super) fn is_symbol(&self, ahead: usize, symbol: &str) -> bool {
        matches!(self.kind(ahead), TokenKind::Symbol(found) if *found == symbol)
    }

    pub(super) fn push(&mut self, text: &str) {
        if !self.out.is_empty() {
            self.out.push(' ');
        }
        self.out.push_str(text);
    }

    pub(super) fn push_name(&mut self, name: &str) {
        self.push(&format!("`{}`", name.replace('`', "``")));
    }

    pub(super) fn push_string(&mut self, text: &str) {
        self.push(&format!("'{}'", text.replace('\'', "''")));
    }

    pub(super) fn frame(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::default());
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn step(&mut self, placer: &mut dyn Placer) -> Result<(), SqlError> {
        if self.frame().from == From::Wanted {
            return self.table_source(placer);
        }
        match self.kind(0).clone() {
            TokenKind::Word(word) => self.word_step(&word),
            TokenKind::Quoted(name) => {
                self.name_step(name);
                Ok(())
            }
            TokenKind::Str(text) => {
                self.operand = self.out.len();
                self.push_string(&text);
                self.at += 1;
                Ok(())
            }
            TokenKind::Number(number) => {
                self.operand = self.out.len();
                // SQLite would round what has more digits than its numbers.
                if number.bytes().filter(u8::is_ascii_digit).count() > 15
                    && number.parse::<i64>().is_err()
                {
                    self.push_string(&number);
                } else {
                    self.push(&number);
                }
                self.at += 1;
                Ok(())
            }
            TokenKind::Symbol(symbol) => self.symbol_step(symbol),
            TokenKind::Eof => Ok(()),
        }
    }

    fn symbol_step(&mut self, symbol: &'static str) -> Result<(), SqlError> {
        match symbol {
            "(" => {
                self.frames.push(Frame {
                    start: self.out.len(),
                    ..Frame::default()
                });
                self.push("(");
            }
            ")" => return self.close(),
            "[" | "{" => {
                self.open_list(symbol);
                return Ok(());
            }
            "]" | "}" => return self.close(),
            ":" if self.frame().bracket == Bracket::Call => {
                self.push(",");
                // `a[from:]`
                if self.is_symbol(1, "]") {
                    self.push(&i32::MAX.to_string());
                }
            }
            "," => {
                if self.frame().from == From::Behind {
                    self.frame().from = From::Wanted;
                }
                if !self.separate() {
                    self.push(",");
                }
            }
            "+" | "-" if self.word(1) == "INTERVAL" => {
                return self.add_interval(symbol == "-");
            }
            "/" => self.push("* 1.0 /"),
            "&&" => self.push("AND"),
            "||" => self.push("OR"),
            "!" => self.push("NOT"),
            "<=>" => self.push("IS"),
            ";" => {}
            "@@" => {
                self.variable();
                return Ok(());
            }
            "@" => {
                let value = match self.kind(1) {
                    TokenKind::Word(name) | TokenKind::Quoted(name) => {
                        let name = format!("@{}", name.to_ascii_lowercase());
                        self.session.variables.get(&name).cloned()
                    }
                    _ => None,
                };
                match value {
                    Some(value) if value.parse::<i64>().is_ok() => self.push(&value),
                    Some(value) => self.push_string(&value),
                    None => self.push("NULL"),
                }
                self.at += 1;
            }
            other => self.push(other),
        }
        self.at += 1;
        Ok(())
    }

    /// `@@[scope.]name`.
    fn variable(&mut self) {
        self.at += 1;
        let mut global = false;
        if ["SESSION", "GLOBAL", "LOCAL"].contains(&self.word(0).as_str()) && self.is_symbol(1, ".")
        {
            global = self.word(0) == "GLOBAL";
            self.at += 2;
        }
        let name = match self.kind(0) {
            TokenKind::Word(name) | TokenKind::Quoted(name) => name.to_ascii_lowercase(),
            _ => String::new(),
        };
        self.at += 1;
        let values = if global {
            &self.session.globals
        } else {
            &self.session.variables
        };
        match super::variables::variable(self.session, values, &name) {
            Some(value) if value.parse::<i64>().is_ok() => self.push(&value),
            Some(value) => self.push_string(&value),
            None => self.push("NULL"),
        }
    }

    fn word_step(&mut self, word: &str) -> Result<(), SqlError> {
        let upper = word.to_ascii_uppercase();
        match upper.as_str() {
            "FROM" | "JOIN" if self.frame().bracket != Bracket::Call => {
                self.frame().from = From::Wanted
            }
            "SELECT" | "WHERE" | "GROUP" | "ORDER" | "HAVING" | "LIMIT" | "WINDOW" => {
                self.frame().from = From::Outside
            }
            "UNION" | "EXCEPT" | "INTERSECT" | "MINUS" => {
                self.frame().from = From::Outside;
                self.push(if upper == "MINUS" { "EXCEPT" } else { &upper });
                self.at += if self.word(1) == "DISTINCT" { 2 } else { 1 };
                return Ok(());
            }
            "RLIKE" | "REGEXP" if !self.is_symbol(1, "(") => {
                self.push("REGEXP");
                self.at += 1;
                return Ok(());
            }
            _ => {}
        }
        if self.frame().bracket == Bracket::Cast && upper == "AS" {
            self.at += 1;
            let declared = self.text_to_bracket();
            self.push(",");
            self.push_string(&declared);
            return Ok(());
        }
        if upper == "INTERVAL" && self.frame().bracket == Bracket::Call {
            self.frame().interval = true;
            self.at += 1;
            return Ok(());
        }
        if self.frame().interval && self.is_symbol(1, ")") {
            self.push(",");
            self.push_string(&upper);
            self.at += 1;
            return Ok(());
        }
        if upper == "SEPARATOR" && self.frame().bracket == Bracket::Call {
            if !self.separate() {
                self.push(",");
            }
            self.at += 1;
            return Ok(());
        }
        if ["DATE", "TIMESTAMP", "DATETIME", "DATEV2"].contains(&upper.as_str())
            && matches!(self.kind(1), TokenKind::Str(_))
        {
            self.at += 1;
            return Ok(());
        }
        if let Some((literal, taken)) = session_literal(self.session, &upper, &self.following()) {
            self.operand = self.out.len();
            self.push(&literal);
            self.at += taken;
            return Ok(());
        }
        if self.is_symbol(1, "(") && !is_bracket_keyword(&upper) {
            self.call(&upper, word);
            return Ok(());
        }
        match upper.as_str() {
            "DIV" => self.push("/"),
            "MOD" => self.push("%"),
            _ if self.is_symbol(1, ".") => {
                self.name_step(word.to_owned());
                return Ok(());
            }
            _ if is_keyword(&upper) => self.push(word),
            _ => {
                self.name_step(word.to_owned());
                return Ok(());
            }
        }
        self.at += 1;
        Ok(())
    }

    /// The next two symbols, to see `()` behind a word.
    fn following(&self) -> [bool; 2] {
        [self.is_symbol(1, "("), self.is_symbol(2, ")")]
    }

    pub(super) fn text_to_bracket(&mut self) -> String {
        let start = self.tokens[self.at].start;
        let mut depth = 0;
        let mut end = start;
        while !matches!(self.kind(0), TokenKind::Eof) {
            if self.is_symbol(0, "(") {
                depth += 1;
            } else if self.is_symbol(0, ")") {
                if depth == 0 {
                    break;
                }
                depth -= 1;
            }
            end = self.tokens[self.at].end;
            self.at += 1;
        }
        self.text[start..end].to_owned()
    }

    /// A function: name and opening bracket.
    fn call(&mut self, upper: &str, word: &str) {
        let mut frame = Frame {
            bracket: Bracket::Call,
            start: self.out.len(),
            ..Frame::default()
        };
        if upper == "EXTRACT" && self.word(3) == "FROM" {
            let unit = self.word(2).to_ascii_lowercase();
            self.push(&unit);
            self.push("(");
            self.at += 4;
            self.frames.push(frame);
            return;
        }
        let mut taken = 2;
        match upper {
            "CAST" | "TRY_CAST" => {
                frame.bracket = Bracket::Cast;
                let strict = upper == "CAST"
                    && self
                        .session
                        .variables
                        .get("enable_strict_cast")
                        .is_some_and(|on| {
                            ["1", "true"].contains(&on.to_ascii_lowercase().as_str())
                        });
                self.push(if strict {
                    "doris_cast_strict ("
                } else {
                    "doris_cast ("
                });
            }
            "NDV" | "APPROX_COUNT_DISTINCT" | "MULTI_DISTINCT_COUNT" => {
                self.push("count ( DISTINCT")
            }
            "COUNT" if self.word(2) == "DISTINCT" && self.has_comma() => {
                self.push("count ( DISTINCT distinct_key (");
                frame.extra = 1;
                taken = 3;
            }
            "GREATEST" | "LEAST" | "COALESCE" if !self.has_comma() => self.push("nullable ("),
            "GROUP_CONCAT" if self.word(2) == "DISTINCT" => {
                self.push("replace ( group_concat ( DISTINCT");
                frame.end = FrameEnd::Separator;
                taken = 3;
            }
            // Units of other lengths are unknown functions.
            "TIMESTAMPDIFF"
                if ["SECOND", "MINUTE", "HOUR", "DAY"].contains(&self.word(2).as_str()) =>
            {
                let unit = self.word(2).to_ascii_lowercase();
                self.push("timestampdiff (");
                self.push_string(&unit);
                taken = 3;
            }
            // `NOW(3)`: fractions of a second are zero here.
            "NOW" | "CURRENT_TIMESTAMP" if matches!(self.kind(2), TokenKind::Number(_)) => {
                let literal = session_literal(self.session, "NOW", &[true, true]);
                self.operand = self.out.len();
                self.push(&literal.map_or_else(|| "NULL".to_owned(), |(literal, _)| literal));
                self.at += 4;
                return;
            }
            _ => {
                self.push(other_name(upper).unwrap_or(word));
                self.push("(");
            }
        }
        self.at += taken;
        self.frames.push(frame);
    }

    /// `a`, `t.a`, `db.t.a`, `t.*`: the last two parts.
    fn name_step(&mut self, first: String) {
        let mut parts = vec![first];
        self.operand = self.out.len();
        self.at += 1;
        while self.is_symbol(0, ".") {
            match self.kind(1).clone() {
                TokenKind::Word(name) | TokenKind::Quoted(name) => parts.push(name),
                TokenKind::Symbol("*") => {
                    if let Some(table) = parts.last().cloned() {
                        self.push_name(&table);
                    }
                    self.push(". *");
                    self.at += 2;
                    return;
                }
                TokenKind::Str(_)
                | TokenKind::Number(_)
                | TokenKind::Symbol(_)
                | TokenKind::Eof => break,
            }
            self.at += 2;
        }
        let from = parts.len().saturating_sub(2);
        for (index, part) in parts[from..].iter().enumerate() {
            if index > 0 {
                self.push(".");
            }
            self.push_name(part);
        }
    }
}
