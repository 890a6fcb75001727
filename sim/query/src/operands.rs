//! What is written behind an operand in Doris and around it in SQLite: subscripts, intervals. Also lists in brackets.

use super::rewrite::{Bracket, Frame, FrameEnd, Rewriter};
use super::words::is_keyword;
use dorisim_model::SqlError;
use dorisim_sql::TokenKind;

impl Rewriter<'_> {
    /// True when the token before ends an operand.
    pub(super) fn is_operand_before(&self) -> bool {
        let Some(before) = self.at.checked_sub(1).map(|at| &self.tokens[at].kind) else {
            return false;
        };
        match before {
            TokenKind::Word(word) => !is_keyword(&word.to_ascii_uppercase()),
            TokenKind::Quoted(_) => true,
            TokenKind::Symbol(symbol) => [")", "]", "}"].contains(symbol),
            TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Eof => false,
        }
    }

    /// Puts `text` before the last operand.
    fn wrap(&mut self, text: &str) {
        self.out.insert_str(self.operand, &format!(" {text}"));
    }

    /// `[`: a subscript behind an operand, otherwise an array. `{`: a map, or a struct when no colon follows its first entry.
    pub(super) fn open_list(&mut self, symbol: &str) {
        let mut frame = Frame {
            bracket: Bracket::Call,
            start: self.out.len(),
            ..Frame::default()
        };
        if symbol == "[" && self.is_operand_before() {
            frame.start = self.operand;
            self.wrap("element_at (");
            self.push(",");
        } else if symbol == "[" {
            self.push("array (");
        } else if self.is_symbol(1, "}") || self.is_symbol(2, ":") {
            self.push("map (");
        } else {
            self.push("struct (");
        }
        self.frames.push(frame);
        self.at += 1;
    }

    /// Any closing bracket.
    pub(super) fn close(&mut self) -> Result<(), SqlError> {
        let frame = self.frames.pop().unwrap_or_default();
        self.at += 1;
        match frame.end {
            FrameEnd::Nothing => {
                self.push(")");
                for _ in 0..frame.extra {
                    self.push(")");
                }
            }
            FrameEnd::Separator => self.push(") , ', ' , ', ' )"),
        }
        self.operand = frame.start;
        Ok(())
    }

    /// The separator of `GROUP_CONCAT(DISTINCT x`: SQLite joins with one argument, the joint is exchanged afterwards.
    pub(super) fn separate(&mut self) -> bool {
        let open = self.frame().end == FrameEnd::Separator;
        if open {
            self.frame().end = FrameEnd::Nothing;
            self.push(") , ', ' ,");
        }
        open
    }

    /// True when the call that begins here has more than one argument.
    pub(super) fn has_comma(&self) -> bool {
        let mut depth = 0_usize;
        for token in &self.tokens[self.at + 1..] {
            match &token.kind {
                TokenKind::Symbol("(" | "[" | "{") => depth += 1,
                TokenKind::Symbol(")" | "]" | "}") if depth <= 1 => return false,
                TokenKind::Symbol(")" | "]" | "}") => depth -= 1,
                TokenKind::Symbol(",") if depth == 1 => return true,
                TokenKind::Word(_)
                | TokenKind::Quoted(_)
                | TokenKind::Str(_)
                | TokenKind::Number(_)
                | TokenKind::Symbol(_)
                | TokenKind::Eof => {}
            }
        }
        false
    }

    /// `d + INTERVAL n unit`.
    pub(super) fn add_interval(&mut self, back: bool) -> Result<(), SqlError> {
        self.at += 2;
        let amount = match self.kind(0).clone() {
            TokenKind::Number(number) | TokenKind::Str(number) => number,
            TokenKind::Symbol("-") => match self.kind(1).clone() {
                TokenKind::Number(number) => {
                    self.at += 1;
                    format!("-{number}")
                }
                _ => return Err(SqlError::analysis("a number is expected behind INTERVAL")),
            },
            _ => return Err(SqlError::analysis("a number is expected behind INTERVAL")),
        };
        self.at += 1;
        let unit = self.word(0);
        self.at += 1;
        self.wrap(if back { "date_sub (" } else { "date_add (" });
        self.push(",");
        self.push_string(&amount);
        self.push(",");
        self.push_string(&unit);
        self.push(")");
        Ok(())
    }
}
