//! Text → statement: `ast` (what there is), `parser` (how it is read).

pub mod ast;
