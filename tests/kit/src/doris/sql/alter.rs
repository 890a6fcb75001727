//! ALTER.

use super::create::values;
use super::token::Cursor;
use crate::doris::stmt::Stmt;

pub(super) fn alter(at: &mut Cursor) -> Option<Stmt> {
    if at.word("VIEW") {
        let name = at.name()?;
        if at.words(&["MODIFY", "COMMENT"]) {
            at.text()?;
            return Some(Stmt::Nothing);
        }
        at.expect("AS")?;
        return Some(Stmt::AlterView {
            name,
            select: at.rest()?,
        });
    }
    at.expect("TABLE")?;
    let table = at.name()?;
    if at.word("ADD") {
        return add(at, table);
    }
    if at.word("DROP") {
        return drop(at, table);
    }
    if at.word("RENAME") {
        return rename(at, table);
    }
    if at.words(&["REPLACE", "WITH", "TABLE"]) {
        let with = at.name()?;
        let properties = if at.word("PROPERTIES") {
            at.properties()?
        } else {
            Default::default()
        };
        let swap = properties.get("swap").is_none_or(|value| value == "true");
        return Some(Stmt::ReplaceTable { table, with, swap });
    }
    if at.word("SET") {
        let properties = at.properties()?;
        return Some(Stmt::SetProperties { table, properties });
    }
    if at.words(&["MODIFY", "COMMENT"]) {
        let comment = at.text()?;
        return Some(Stmt::TableComment { table, comment });
    }
    if at.words(&["MODIFY", "DISTRIBUTION", "DISTRIBUTED", "BY"]) {
        let _ = at.word("RANDOM") || (at.word("HASH") && at.names().is_some());
        at.expect("BUCKETS")?;
        let buckets = usize::try_from(at.number()?).ok()?;
        return Some(Stmt::Buckets { table, buckets });
    }
    None
}

fn add(at: &mut Cursor, table: String) -> Option<Stmt> {
    if at.word("COLUMN") {
        let column = at.name()?;
        let kind = at.kind()?;
        at.word("NULL");
        if at.word("COMMENT") {
            at.text()?;
        }
        return Some(Stmt::AddColumn {
            table,
            column,
            kind,
        });
    }
    let temp = at.word("TEMPORARY");
    at.expect("PARTITION")?;
    let if_not_exists = at.words(&["IF", "NOT", "EXISTS"]);
    let name = at.name()?;
    let mut range = None;
    if let Some(found) = values(at) {
        range = Some(found);
        at.properties()?;
    }
    let mut buckets = None;
    if at.words(&["DISTRIBUTED", "BY"]) {
        let _ = at.word("RANDOM") || (at.word("HASH") && at.names().is_some());
        at.expect("BUCKETS")?;
        buckets = Some(usize::try_from(at.number()?).ok()?);
    }
    Some(Stmt::AddPartition {
        table,
        name,
        temp,
        range,
        buckets,
        if_not_exists,
    })
}

fn drop(at: &mut Cursor, table: String) -> Option<Stmt> {
    if at.word("COLUMN") {
        let column = at.name()?;
        return Some(Stmt::DropColumn { table, column });
    }
    if at.word("ROLLUP") {
        let name = at.name()?;
        return Some(Stmt::DropRollup { table, name });
    }
    if at.word("INDEX") {
        let mut names = vec![at.name()?];
        while at.sign(",") {
            at.words(&["DROP", "INDEX"]).then_some(())?;
            names.push(at.name()?);
        }
        return Some(Stmt::DropIndexes { table, names });
    }
    let temp = at.word("TEMPORARY");
    at.expect("PARTITION")?;
    let if_exists = at.words(&["IF", "EXISTS"]);
    let name = at.name()?;
    Some(Stmt::DropPartition {
        table,
        name,
        temp,
        if_exists,
        force: at.word("FORCE"),
    })
}

fn rename(at: &mut Cursor, table: String) -> Option<Stmt> {
    let what = ["COLUMN", "PARTITION", "ROLLUP"]
        .into_iter()
        .find(|word| at.word(word));
    let Some(what) = what else {
        let new = at.name()?;
        return Some(Stmt::RenameTable { table, new });
    };
    let (old, new) = (at.name()?, at.name()?);
    Some(match what {
        "COLUMN" => Stmt::RenameColumn { table, old, new },
        "PARTITION" => Stmt::RenamePartition { table, old, new },
        _ => Stmt::RenameRollup { table, old, new },
    })
}
