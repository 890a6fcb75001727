//! Typed statements -> SQL text. The only place where identifiers are quoted.
