//! CREATE.

use super::token::Cursor;
use crate::doris::stmt::{Stmt, TableDef};

pub(super) fn create(at: &mut Cursor) -> Option<Stmt> {
    if at.word("DATABASE") {
        at.words(&["IF", "NOT", "EXISTS"]);
        return Some(Stmt::CreateDatabase(at.name()?));
    }
    if at.word("VIEW") {
        let name = at.name()?;
        at.expect("AS")?;
        return Some(Stmt::CreateView {
            name,
            select: at.rest()?,
        });
    }
    at.expect("TABLE")?;
    at.words(&["IF", "NOT", "EXISTS"]);
    let mut def = TableDef {
        name: at.name()?,
        ..TableDef::default()
    };
    body(at, &mut def)?;
    at.expect("ENGINE")?;
    at.sign("=").then_some(())?;
    at.any_word()?;
    at.any_word()?;
    at.expect("KEY")?;
    let keys = at.names()?;
    for (name, _, key) in &mut def.columns {
        *key = keys.contains(name);
    }
    if at.word("COMMENT") {
        def.comment = at.text()?;
    }
    if at.words(&["PARTITION", "BY", "RANGE"]) {
        at.names()?;
        def.partitions = Some(partitions(at)?);
    }
    at.words(&["DISTRIBUTED", "BY", "HASH"]).then_some(())?;
    at.names()?;
    at.expect("BUCKETS")?;
    def.buckets = usize::try_from(at.number()?).ok()?;
    def.replicas = 1;
    if at.word("PROPERTIES") {
        let properties = at.properties()?;
        let number = match properties.get("replication_num") {
            Some(number) => Some(number.as_str()),
            None => properties
                .get("replication_allocation")
                .and_then(|text| text.rsplit(' ').next()),
        };
        if let Some(number) = number {
            def.replicas = number.parse().ok()?;
        }
    }
    Some(Stmt::CreateTable(def))
}

fn body(at: &mut Cursor, def: &mut TableDef) -> Option<()> {
    at.sign("(").then_some(())?;
    loop {
        if at.word("INDEX") {
            let name = at.name()?;
            let column = at.names()?.into_iter().next()?;
            at.words(&["USING", "INVERTED"]).then_some(())?;
            def.secondary.push((name, column));
        } else {
            let name = at.name()?;
            let kind = at.kind()?;
            let _ = at.words(&["NOT", "NULL"]) || at.word("NULL");
            if at.word("COMMENT") {
                at.text()?;
            }
            def.columns.push((name, kind, false));
        }
        if !at.sign(",") {
            break;
        }
    }
    at.sign(")").then_some(())
}

fn partitions(at: &mut Cursor) -> Option<Vec<(String, i64, i64)>> {
    at.sign("(").then_some(())?;
    let mut found = Vec::new();
    while at.word("PARTITION") {
        let name = at.name()?;
        let (low, high) = values(at)?;
        found.push((name, low, high));
        at.sign(",");
    }
    at.sign(")").then_some(found)
}

/// `VALUES [("0"), ("10"))`.
pub(super) fn values(at: &mut Cursor) -> Option<(i64, i64)> {
    at.expect("VALUES")?;
    (at.sign("[") && at.sign("(")).then_some(())?;
    let low = at.number()?;
    (at.sign(")") && at.sign(",") && at.sign("(")).then_some(())?;
    let high = at.number()?;
    (at.sign(")") && at.sign(")")).then_some((low, high))
}
