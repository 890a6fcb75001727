//! Doris' SELECT → SQLite's: tables to their loaded copies, literals, casts and a few functions by another spelling.
//!
//! The text is walked token by token; expressions keep their shape, so SQLite does the parsing that matters.

use std::collections::BTreeSet;

use super::items;
use super::session::session_literal;
use super::source::{SessionInfo, TableRef};
use crate::fe::SqlError;
use crate::sql::{Token, TokenKind, tokenize};

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
const MAX_VIEW_DEPTH: usize = 16;

/// Rewrites one query.
pub(super) fn rewrite(
    text: &str,
    session: &SessionInfo,
    placer: &mut dyn Placer,
) -> Result<String, SqlError> {
    rewrite_at(text, session, session.db.as_deref(), placer, 0)
}

fn rewrite_at(
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
enum Bracket {
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
enum From {
    #[default]
    Outside,
    /// A table has to come.
    Wanted,
    /// Behind a table: a comma brings the next one.
    Behind,
}

#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    bracket: Bracket,
    from: From,
    interval: bool,
}

struct Rewriter<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    out: String,
    frames: Vec<Frame>,
    session: &'a SessionInfo,
    db: Option<&'a str>,
    ctes: BTreeSet<String>,
    depth: usize,
}

impl Rewriter<'_> {
    fn kind(&self, ahead: usize) -> &TokenKind {
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)].kind
    }

    fn word(&self, ahead: usize) -> String {
        match self.kind(ahead) {
            TokenKind::Word(word) => word.to_ascii_uppercase(),
            _ => String::new(),
        }
    }

    fn is_symbol(&self, ahead: usize, symbol: &str) -> bool {
        matches!(self.kind(ahead), TokenKind::Symbol(found) if *found == symbol)
    }

    fn push(&mut self, text: &str) {
        if !self.out.is_empty() {
            self.out.push(' ');
        }
        self.out.push_str(text);
    }

    fn push_name(&mut self, name: &str) {
        self.push(&format!("`{}`", name.replace('`', "``")));
    }

    fn push_string(&mut self, text: &str) {
        self.push(&format!("'{}'", text.replace('\'', "''")));
    }

    fn frame(&mut self) -> &mut Frame {
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
                self.push_string(&text);
                self.at += 1;
                Ok(())
            }
            TokenKind::Number(number) => {
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
            TokenKind::Symbol(symbol) => {
                self.symbol_step(symbol);
                Ok(())
            }
            TokenKind::Eof => Ok(()),
        }
    }

    fn symbol_step(&mut self, symbol: &'static str) {
        match symbol {
            "(" => {
                self.frames.push(Frame::default());
                self.push("(");
            }
            ")" => {
                self.frames.pop();
                self.push(")");
            }
            "," => {
                if self.frame().from == From::Behind {
                    self.frame().from = From::Wanted;
                }
                self.push(",");
            }
            "/" => self.push("* 1.0 /"),
            "&&" => self.push("AND"),
            "||" => self.push("OR"),
            "!" => self.push("NOT"),
            "<=>" => self.push("IS"),
            ";" => {}
            "@@" => {
                self.variable();
                return;
            }
            "@" => {
                self.push("NULL");
                self.at += 1;
            }
            other => self.push(other),
        }
        self.at += 1;
    }

    /// `@@[scope.]name`.
    fn variable(&mut self) {
        self.at += 1;
        if ["SESSION", "GLOBAL", "LOCAL"].contains(&self.word(0).as_str()) && self.is_symbol(1, ".")
        {
            self.at += 2;
        }
        let name = match self.kind(0) {
            TokenKind::Word(name) | TokenKind::Quoted(name) => name.to_ascii_lowercase(),
            _ => String::new(),
        };
        self.at += 1;
        match super::session::variable(self.session, &name) {
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
            "LATERAL" | "QUALIFY" | "RLIKE" | "REGEXP" => {
                return Err(SqlError::analysis(format!(
                    "{upper} is not supported by the simulated cluster"
                )));
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
            self.push(",");
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
            _ => self.push_name(word),
        }
        self.at += 1;
        Ok(())
    }

    /// The next two symbols, to see `()` behind a word.
    fn following(&self) -> [bool; 2] {
        [self.is_symbol(1, "("), self.is_symbol(2, ")")]
    }

    fn text_to_bracket(&mut self) -> String {
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
        let mut bracket = Bracket::Call;
        if upper == "EXTRACT" && self.word(3) == "FROM" {
            let unit = self.word(2).to_ascii_lowercase();
            self.push(&unit);
            self.push("(");
            self.at += 4;
            self.frames.push(Frame {
                bracket,
                ..Frame::default()
            });
            return;
        }
        match upper {
            "CAST" => {
                bracket = Bracket::Cast;
                self.push("doris_cast (");
            }
            "NDV" | "APPROX_COUNT_DISTINCT" | "MULTI_DISTINCT_COUNT" => {
                self.push("count ( DISTINCT")
            }
            _ => {
                self.push(other_name(upper).unwrap_or(word));
                self.push("(");
            }
        }
        self.at += 2;
        self.frames.push(Frame {
            bracket,
            ..Frame::default()
        });
    }

    /// `a`, `t.a`, `db.t.a`, `t.*`: the last two parts.
    fn name_step(&mut self, first: String) {
        let mut parts = vec![first];
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

    fn table_source(&mut self, placer: &mut dyn Placer) -> Result<(), SqlError> {
        self.frame().from = From::Behind;
        if self.is_symbol(0, "(") {
            let inside = if ["SELECT", "WITH", "VALUES"].contains(&self.word(1).as_str())
                || self.is_symbol(1, "(")
            {
                From::Outside
            } else {
                From::Wanted
            };
            self.push("(");
            self.at += 1;
            self.frames.push(Frame {
                from: inside,
                ..Frame::default()
            });
            return Ok(());
        }
        let mut parts = Vec::new();
        loop {
            match self.kind(0).clone() {
                TokenKind::Word(name) | TokenKind::Quoted(name) => parts.push(name),
                _ => {
                    return Err(SqlError::analysis(
                        "a table name is expected behind FROM or JOIN",
                    ));
                }
            }
            self.at += 1;
            if !self.is_symbol(0, ".") || parts.len() == 3 {
                break;
            }
            self.at += 1;
        }
        let name = parts.pop().unwrap_or_default();
        if self.is_symbol(0, "(") {
            self.at += 1;
            let arguments = self.text_to_bracket();
            self.at += 1;
            let table = placer.place_function(&name, &arguments)?;
            return self.table(&table, &name);
        }
        let db = parts.pop();
        if db.is_none() && name.eq_ignore_ascii_case("dual") {
            self.push("( SELECT 1 )");
            return Ok(());
        }
        if db.is_none() && self.ctes.contains(&name.to_ascii_lowercase()) {
            self.push_name(&name);
            return Ok(());
        }
        let (partitions, temp) = self.partition_clause();
        let Some(db) = db.or_else(|| self.db.map(str::to_owned)) else {
            return Err(SqlError::new(1046, "No database selected"));
        };
        let table = TableRef {
            db,
            name,
            partitions,
            temp,
        };
        match placer.place(&table)? {
            Placed::Table(placed) => self.table(&placed, &table.name),
            Placed::View { select, columns } => self.view(&table, &select, &columns, placer),
        }
    }

    fn view(
        &mut self,
        view: &TableRef,
        select: &str,
        columns: &[String],
        placer: &mut dyn Placer,
    ) -> Result<(), SqlError> {
        if self.depth >= MAX_VIEW_DEPTH {
            return Err(SqlError::analysis(format!(
                "view {} contains too many views",
                view.name
            )));
        }
        let inner = rewrite_at(select, self.session, Some(&view.db), placer, self.depth + 1)?;
        if columns.is_empty() {
            self.push(&format!("( {inner} )"));
        } else {
            let names: Vec<_> = columns
                .iter()
                .map(|name| format!("`{}`", name.replace('`', "``")))
                .collect();
            self.push(&format!(
                "( WITH v_ ( {} ) AS ( {inner} ) SELECT * FROM v_ )",
                names.join(", ")
            ));
        }
        self.alias(&view.name);
        Ok(())
    }

    fn table(&mut self, placed: &str, name: &str) -> Result<(), SqlError> {
        self.push_name(placed);
        self.alias(name);
        Ok(())
    }

    /// The table's own name as alias, unless one is written.
    fn alias(&mut self, name: &str) {
        let written = match self.kind(0) {
            TokenKind::Quoted(_) => true,
            TokenKind::Word(word) => {
                let upper = word.to_ascii_uppercase();
                upper == "AS" || !is_behind_table(&upper)
            }
            TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::Eof => {
                false
            }
        };
        if !written {
            self.push("AS");
            self.push_name(name);
        }
    }

    /// `[TEMPORARY] PARTITION(S) p|(p, ...)` and `TABLET(...)`.
    fn partition_clause(&mut self) -> (Vec<String>, bool) {
        let temp = self.word(0) == "TEMPORARY";
        let ahead = usize::from(temp);
        let mut partitions = Vec::new();
        if ["PARTITION", "PARTITIONS"].contains(&self.word(ahead).as_str()) {
            self.at += ahead + 1;
            let listed = self.is_symbol(0, "(");
            loop {
                match self.kind(0).clone() {
                    TokenKind::Word(name) | TokenKind::Quoted(name) => {
                        partitions.push(name);
                        self.at += 1;
                        if !listed {
                            break;
                        }
                    }
                    TokenKind::Symbol("(" | ",") => self.at += 1,
                    TokenKind::Symbol(")") => {
                        self.at += 1;
                        break;
                    }
                    TokenKind::Str(_)
                    | TokenKind::Number(_)
                    | TokenKind::Symbol(_)
                    | TokenKind::Eof => break,
                }
            }
        }
        (partitions, temp)
    }
}

/// Names that `WITH` introduces, lower case.
fn common_tables(tokens: &[Token]) -> BTreeSet<String> {
    let word = |at: usize, wanted: &str| matches!(tokens.get(at).map(|token| &token.kind), Some(TokenKind::Word(word)) if word.eq_ignore_ascii_case(wanted));
    let symbol = |at: usize, wanted: &str| matches!(tokens.get(at).map(|token| &token.kind), Some(TokenKind::Symbol(symbol)) if *symbol == wanted);
    let mut names = BTreeSet::new();
    for at in 1..tokens.len() {
        let (TokenKind::Word(name) | TokenKind::Quoted(name)) = &tokens[at].kind else {
            continue;
        };
        if !word(at - 1, "WITH") && !symbol(at - 1, ",") && !word(at - 1, "RECURSIVE") {
            continue;
        }
        let mut behind = at + 1;
        if symbol(behind, "(") {
            while behind < tokens.len() && !symbol(behind, ")") {
                behind += 1;
            }
            behind += 1;
        }
        if word(behind, "AS") && symbol(behind + 1, "(") {
            names.insert(name.to_ascii_lowercase());
        }
    }
    names
}

fn is_bracket_keyword(upper: &str) -> bool {
    [
        "IN",
        "EXISTS",
        "AND",
        "OR",
        "NOT",
        "ON",
        "WHERE",
        "SELECT",
        "AS",
        "BY",
        "HAVING",
        "VALUES",
        "UNION",
        "ALL",
        "WHEN",
        "THEN",
        "ELSE",
        "LIKE",
        "BETWEEN",
        "CASE",
        "IS",
        "USING",
        "LIMIT",
        "EXCEPT",
        "INTERSECT",
        "MINUS",
        "DISTINCT",
        "ANY",
        "OVER",
        "FROM",
        "JOIN",
        "DIV",
    ]
    .contains(&upper)
}

/// Words that go through unquoted. Anything else is a name and gets quotes, because SQLite reserves other words than Doris.
fn is_keyword(upper: &str) -> bool {
    is_bracket_keyword(upper)
        || [
            "WITH",
            "RECURSIVE",
            "GROUP",
            "ORDER",
            "ASC",
            "DESC",
            "OFFSET",
            "INNER",
            "LEFT",
            "RIGHT",
            "FULL",
            "OUTER",
            "CROSS",
            "NATURAL",
            "NULL",
            "TRUE",
            "FALSE",
            "END",
            "ESCAPE",
            "NULLS",
            "FIRST",
            "LAST",
            "PARTITION",
            "ROWS",
            "RANGE",
            "UNBOUNDED",
            "PRECEDING",
            "FOLLOWING",
            "CURRENT",
            "ROW",
            "WINDOW",
        ]
        .contains(&upper)
}

fn is_behind_table(upper: &str) -> bool {
    [
        "WHERE",
        "GROUP",
        "ORDER",
        "HAVING",
        "LIMIT",
        "JOIN",
        "INNER",
        "LEFT",
        "RIGHT",
        "FULL",
        "CROSS",
        "ON",
        "USING",
        "UNION",
        "INTERSECT",
        "EXCEPT",
        "MINUS",
        "NATURAL",
        "OFFSET",
        "WINDOW",
        "LATERAL",
        "QUALIFY",
        "TABLESAMPLE",
    ]
    .contains(&upper)
}

/// Functions that SQLite has under another name.
fn other_name(upper: &str) -> Option<&'static str> {
    Some(match upper {
        "IF" => "iif",
        "LEFT" => "strleft",
        "RIGHT" => "strright",
        "NVL" => "ifnull",
        "UCASE" => "upper",
        "LCASE" => "lower",
        "MID" | "SUBSTRING" => "substr",
        "GREATEST" => "max",
        "LEAST" => "min",
        "ANY_VALUE" => "min",
        "POWER" => "pow",
        _ => return None,
    })
}
