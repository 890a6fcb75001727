//! Text → statement: `lexer` → `parser` → `ast`; `load` reads the bodies of stream loads.

pub mod ast;
mod error;
mod lexer;
pub mod load;
mod parser;

pub use error::SyntaxError;
pub use lexer::{Token, TokenKind, tokenize};
pub use parser::{parse, parse_statements, parse_with_text};

#[cfg(test)]
mod tests;
