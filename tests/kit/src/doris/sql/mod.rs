//! Statements as text -> [`Stmt`], as far as the product sends them. What is not understood is `None`: the model refuses it, and
//! the run reports it, so that a new statement of the product is noticed.

mod alter;
mod create;
mod token;

use super::stmt::Stmt;
use token::Cursor;

/// Reads a statement.
pub fn parse(sql: &str) -> Option<Stmt> {
    let mut at = Cursor::new(sql);
    let stmt = if at.word("CREATE") {
        create::create(&mut at)?
    } else if at.word("DROP") {
        drop(&mut at)?
    } else if at.word("TRUNCATE") {
        at.expect("TABLE")?;
        let table = at.name()?;
        let partitions = if at.word("PARTITION") || at.word("PARTITIONS") {
            at.names()?
        } else {
            Vec::new()
        };
        Stmt::Truncate {
            table,
            partitions,
            force: at.word("FORCE"),
        }
    } else if at.word("ALTER") {
        alter::alter(&mut at)?
    } else if at.word("BACKUP") {
        backup(&mut at)?
    } else if at.words(&["CANCEL", "RESTORE", "FROM"]) {
        Stmt::CancelRestore(at.name()?)
    } else if at.word("SELECT") || at.word("SET") {
        return Some(Stmt::Nothing);
    } else {
        return None;
    };
    at.sign(";");
    at.at_end().then_some(stmt)
}

fn drop(at: &mut Cursor) -> Option<Stmt> {
    let is_view = at.word("VIEW");
    if !is_view {
        at.expect("TABLE")?;
    }
    let if_exists = at.words(&["IF", "EXISTS"]);
    let name = at.name()?;
    if is_view {
        return Some(Stmt::DropView { name, if_exists });
    }
    Some(Stmt::DropTable {
        name,
        if_exists,
        force: at.word("FORCE"),
    })
}

fn backup(at: &mut Cursor) -> Option<Stmt> {
    at.expect("SNAPSHOT")?;
    let label = at.name()?;
    at.expect("TO")?;
    at.name()?;
    let objects = if at.word("ON") {
        at.names()?
    } else {
        Vec::new()
    };
    if at.word("PROPERTIES") {
        at.properties()?;
    }
    Some(Stmt::Backup { label, objects })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doris::Cluster;
    use crate::doris::print;
    use crate::doris::stmt::TableDef;

    #[test]
    fn a_printed_table_is_read_as_the_same_table() {
        let def = TableDef {
            name: "t`1".replace('`', "_"),
            columns: vec![
                ("k".to_owned(), "int".to_owned(), true),
                ("v".to_owned(), "varchar(20)".to_owned(), false),
            ],
            secondary: vec![("i".to_owned(), "v".to_owned())],
            partitions: Some(vec![("p0".to_owned(), 0, 10), ("p1".to_owned(), 10, 20)]),
            buckets: 2,
            replicas: 1,
            comment: "of a test".to_owned(),
        };
        let mut cluster = Cluster::new("c", 1, 1, 7);
        cluster.create_database("d", true);
        cluster
            .execute("d", &Stmt::CreateTable(def.clone()), 0)
            .unwrap();
        let table = cluster.databases["d"].table_named(&def.name).unwrap();
        assert_eq!(
            parse(&print::create_table(table)),
            Some(Stmt::CreateTable(def))
        );
    }

    #[test]
    fn statements_of_the_product_are_read_and_others_are_not() {
        for (sql, expected) in [
            (
                "DROP TABLE IF EXISTS `a` FORCE",
                "DropTable { name: \"a\", if_exists: true, force: true }",
            ),
            (
                "ALTER TABLE `a` REPLACE WITH TABLE `b` PROPERTIES ('swap' = 'false')",
                "ReplaceTable { table: \"a\", with: \"b\", swap: false }",
            ),
            (
                "ALTER TABLE `a` ADD PARTITION IF NOT EXISTS `p` VALUES [('0'), ('10')) (\"version_info\" = \"1\") DISTRIBUTED BY HASH(`k`) BUCKETS 2",
                "AddPartition { table: \"a\", name: \"p\", temp: false, range: Some((0, 10)), buckets: Some(2), if_not_exists: true }",
            ),
            (
                "BACKUP SNAPSHOT `d`.`l` TO `__keep_on_local__` ON (`a`, `b`) PROPERTIES (\"type\" = \"full\")",
                "Backup { label: \"l\", objects: [\"a\", \"b\"] }",
            ),
            (
                "CREATE VIEW `d`.`v` AS SELECT * FROM `internal`.`d`.`a`;",
                "CreateView { name: \"v\", select: \"SELECT * FROM `internal`.`d`.`a`\" }",
            ),
            ("CANCEL RESTORE FROM `d`", "CancelRestore(\"d\")"),
            (
                "TRUNCATE TABLE `a` PARTITION (`p1`, `p 2`) FORCE",
                "Truncate { table: \"a\", partitions: [\"p1\", \"p 2\"], force: true }",
            ),
        ] {
            assert_eq!(format!("{:?}", parse(sql).unwrap()), expected);
        }
        for sql in [
            "DROP TABEL `a`",
            "ALTER TABLE `a` FROBNICATE",
            "DROP TABLE `a` `b`",
            "",
        ] {
            assert_eq!(parse(sql), None, "{sql}");
        }
    }
}
