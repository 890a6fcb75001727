//! Statements of sources, in and out.

use super::*;

fn create(sql: &str, replication_num: Option<u16>) -> String {
    let how = CreateRewrite {
        source_database: "sales",
        target: ObjectName::new("copy", "o`2"),
        replication_num,
        if_not_exists: false,
    };
    create_for_destination(sql, &how).unwrap()
}

fn hash(buckets: i32, auto: bool) -> Distribution {
    Distribution {
        hash: true,
        columns: vec!["id".to_owned()],
        buckets,
        auto,
    }
}

#[test]
fn tables_get_the_new_name_and_lose_what_belongs_to_the_source() {
    let sql = "CREATE TABLE `orders` (\n  `id` bigint NOT NULL COMMENT \"`orders` \\\"x\\\" (\",\n  INDEX i (`id`) USING INVERTED PROPERTIES(\"parser\" = \"english\")\n) ENGINE=OLAP\nPARTITION BY RANGE(`a`,`b`)\n(PARTITION p VALUES [(\"1\", \"2\"), (MAXVALUEMAXVALUE)) (\"storage_medium\" = \"ssd\"))\nDISTRIBUTED BY HASH(`id`) BUCKETS 4\nPROPERTIES (\n\"replication_allocation\" = \"tag.location.default: 3\",\n\"storage_medium\" = \"hdd\",\n\"colocate_with\" = \"g\",\n\"binlog.enable\" = \"true\",\n\"dynamic_partition.storage_policy\" = \"\",\n\"storage_policy\" = \"p\"\n);";
    assert_eq!(
        create(sql, None),
        "CREATE TABLE `copy`.`o``2` (\n  `id` bigint NOT NULL COMMENT \"`orders` \\\"x\\\" (\",\n  INDEX i (`id`) USING INVERTED PROPERTIES(\"parser\" = \"english\")\n) ENGINE=OLAP\nPARTITION BY RANGE(`a`,`b`)\n(PARTITION p VALUES [(\"1\", \"2\"), (MAXVALUE, MAXVALUE)) )\nDISTRIBUTED BY HASH(`id`) BUCKETS 4\nPROPERTIES (\n\"replication_allocation\" = \"tag.location.default: 3\",\n\"binlog.enable\" = \"true\"\n);"
    );
}

#[test]
fn number_of_replicas() {
    let body = |properties: &str| format!("CREATE TABLE `t` (`a` int){properties}");
    for (given, expected) in [
        (
            " PROPERTIES (\"replication_allocation\" = \"tag.location.default: 3\", \"min_load_replica_num\" = \"2\")",
            " PROPERTIES (\n\"replication_allocation\" = \"tag.location.default: 1\"\n)",
        ),
        (
            " PROPERTIES ('replication_num'='3')",
            " PROPERTIES (\n'replication_num' = \"1\"\n)",
        ),
        (
            " PROPERTIES (\"a\" = \"b\");",
            " PROPERTIES (\n\"replication_num\" = \"1\",\"a\" = \"b\");",
        ),
        (";\n", "\nPROPERTIES (\"replication_num\" = \"1\")"),
    ] {
        let made = create(&body(given), Some(1));
        assert_eq!(
            made,
            format!("CREATE TABLE `copy`.`o``2` (`a` int){expected}")
        );
    }
    assert_eq!(
        create(&body(" PROPERTIES (\"storage_medium\" = \"ssd\")"), None),
        "CREATE TABLE `copy`.`o``2` (`a` int) "
    );
}

#[test]
fn heads_in_all_spellings() {
    for head in [
        "CREATE TABLE t",
        "create  external\ttable if not exists `sales`.`t`",
        "/* c */ CREATE -- `x`\n TABLE `internal`.`sales`.`t`",
        "CREATE OR REPLACE TABLE `a``b`",
    ] {
        assert_eq!(
            create(&format!("{head} (a int)"), None),
            "CREATE TABLE `copy`.`o``2` (a int)"
        );
    }
    let how = CreateRewrite {
        source_database: "s",
        target: ObjectName::bare("t"),
        replication_num: None,
        if_not_exists: true,
    };
    assert_eq!(
        create_for_destination("CREATE TABLE x(a int)", &how).unwrap(),
        "CREATE TABLE IF NOT EXISTS `t`(a int)"
    );
    for sql in [
        "",
        "CREATE",
        "CREATE TABLE",
        "CREATE TABLE 'x' (",
        "CREATE FUNCTION f",
        "SELECT 1",
        "CREATE TABLE a.",
    ] {
        assert!(create_for_destination(sql, &how).is_err(), "{sql}");
    }
}

#[test]
fn views_look_at_the_destination() {
    for (given, expected) in [
        (
            "SELECT `internal`.`sales`.`t`.`id` AS `id` FROM `internal`.`sales`.`t` `sales` WHERE `sales`.`x` = '`internal`.`sales`.`t`'",
            "SELECT `internal`.`copy`.`t`.`id` AS `id` FROM `internal`.`copy`.`t` `sales` WHERE `sales`.`x` = '`internal`.`sales`.`t`'",
        ),
        (
            "SELECT * FROM `default_cluster:sales`.`t`",
            "SELECT * FROM `internal`.`copy`.`t`",
        ),
        (
            "SELECT `sales`.`t`.`sales` FROM `sales`.`t` /* `sales`.`t` */ JOIN other.`sales`",
            "SELECT `internal`.`copy`.`t`.`sales` FROM `internal`.`copy`.`t` /* `sales`.`t` */ JOIN other.`sales`",
        ),
        (
            "SELECT 1 FROM internal.sales.t",
            "SELECT 1 FROM `internal`.`copy`.t",
        ),
        (
            "SELECT `other`.`sales`.`x`, sales",
            "SELECT `other`.`sales`.`x`, sales",
        ),
    ] {
        assert_eq!(requalify(given, "sales", "copy"), expected);
    }
    assert_eq!(
        create(
            "CREATE VIEW `v` COMMENT '`sales`.x' AS SELECT `a` FROM `internal`.`sales`.`t`;",
            Some(1)
        ),
        "CREATE VIEW `copy`.`o``2` COMMENT '`sales`.x' AS SELECT `a` FROM `internal`.`copy`.`t`;"
    );
}

#[test]
fn alter_statements_go_to_the_destinations_table() {
    for head in [
        "ALTER TABLE `sales`.`t`",
        "ALTER TABLE `internal`.`sales`.`t`",
        "ALTER TABLE `default_cluster:sales`.`t`",
        "alter table t",
        "ALTER TABLE sales.`t`",
    ] {
        assert_eq!(
            retarget_alter(
                &format!("{head} ADD COLUMN `a.b` int"),
                ObjectName::new("d", "x")
            )
            .unwrap(),
            "ALTER TABLE `d`.`x` ADD COLUMN `a.b` int"
        );
    }
    assert!(retarget_alter("DROP TABLE t", ObjectName::bare("x")).is_err());
}

#[test]
fn wrongly_printed_defaults_are_repaired() {
    for (given, expected) in [
        (
            "ADD COLUMN `a` datetime NULL DEFAULT \"CURRENT_TIMESTAMP\"",
            "ADD COLUMN `a` datetime NULL DEFAULT CURRENT_TIMESTAMP",
        ),
        (
            "ADD COLUMN `a` datetime(3) DEFAULT 'CURRENT_TIMESTAMP(3)' COMMENT \"\"",
            "ADD COLUMN `a` datetime(3) DEFAULT CURRENT_TIMESTAMP(3) COMMENT \"\"",
        ),
        (
            "ADD COLUMN `a` bitmap DEFAULT \"BITMAP_EMPTY\"",
            "ADD COLUMN `a` bitmap DEFAULT BITMAP_EMPTY",
        ),
        (
            "ADD COLUMN `a` int REPLACE_IF_NOT_NULL NULL DEFAULT \"null\" COMMENT \"\"",
            "ADD COLUMN `a` int REPLACE_IF_NOT_NULL NULL  COMMENT \"\"",
        ),
        (
            "ADD COLUMN `a` varchar(4) NULL DEFAULT \"null\"",
            "ADD COLUMN `a` varchar(4) NULL DEFAULT \"null\"",
        ),
        (
            "ADD COLUMN `a` int COMMENT \"DEFAULT 'CURRENT_TIMESTAMP'\"",
            "ADD COLUMN `a` int COMMENT \"DEFAULT 'CURRENT_TIMESTAMP'\"",
        ),
    ] {
        let made =
            retarget_alter(&format!("ALTER TABLE t {given}"), ObjectName::bare("t")).unwrap();
        assert_eq!(made, format!("ALTER TABLE `t` {expected}"));
    }
}

#[test]
fn added_partitions() {
    let by = " DISTRIBUTED BY HASH(`id`) BUCKETS 8";
    for (given, expected) in [
        (
            "ADD PARTITION `p` VALUES [('2026-02-01'), ('2026-03-01')) (\"version_info\" = \"1\");",
            format!(
                "ADD PARTITION IF NOT EXISTS `p` VALUES [('2026-02-01'), ('2026-03-01')) (\"version_info\" = \"1\"){by}"
            ),
        ),
        (
            "add partition if not exists p VALUES IN (('a'),('b'))",
            format!("ADD PARTITION IF NOT EXISTS `p` VALUES IN (('a'),('b')){by}"),
        ),
        (
            "ADD PARTITION `p``;q`",
            format!("ADD PARTITION IF NOT EXISTS `p``;q`{by}"),
        ),
        (
            "ADD TEMPORARY PARTITION `p`",
            format!("ADD TEMPORARY PARTITION IF NOT EXISTS `p`{by}"),
        ),
        (
            "ADD PARTITION `p` VALUES [(), ()) (\"version_info\" = \"1\")",
            format!("ADD PARTITION IF NOT EXISTS `p` (\"version_info\" = \"1\"){by}"),
        ),
        (
            "ADD PARTITION `p` VALUES IN (((\"a\",\"b\"),(\"c\",\"d\")))",
            format!("ADD PARTITION IF NOT EXISTS `p` VALUES IN ((\"a\",\"b\"),(\"c\",\"d\")){by}"),
        ),
        (
            "ADD PARTITION `p` VALUES IN (((\"a\",\"b\"),(\"c\",\"d\"))",
            format!("ADD PARTITION IF NOT EXISTS `p` VALUES IN ((\"a\",\"b\"),(\"c\",\"d\")){by}"),
        ),
        (
            "ADD PARTITION `p` VALUES LESS THAN ('x') DISTRIBUTED BY HASH(`id`) BUCKETS AUTO",
            format!("ADD PARTITION IF NOT EXISTS `p` VALUES LESS THAN ('x'){by}"),
        ),
        (
            "ADD PARTITION `DISTRIBUTED BY` VALUES LESS THAN ('DISTRIBUTED BY')",
            format!(
                "ADD PARTITION IF NOT EXISTS `DISTRIBUTED BY` VALUES LESS THAN ('DISTRIBUTED BY'){by}"
            ),
        ),
    ] {
        assert_eq!(
            add_partition_clause(given, &hash(8, false)).unwrap(),
            expected
        );
    }
    let random = Distribution {
        hash: false,
        columns: vec![],
        buckets: 3,
        auto: true,
    };
    assert_eq!(
        add_partition_clause("ADD PARTITION p", &random).unwrap(),
        "ADD PARTITION IF NOT EXISTS `p` DISTRIBUTED BY RANDOM BUCKETS 3"
    );
    assert_eq!(
        add_partition_clause("ADD PARTITION p", &hash(0, false)).unwrap(),
        "ADD PARTITION IF NOT EXISTS `p`",
        "an unknown distribution is the table's default"
    );
    assert!(add_partition_clause("DROP PARTITION p", &hash(1, false)).is_err());
}

proptest::proptest! {
    #[test]
    fn hostile_statements_never_panic(tail in "[a`'\"\\\\ ()=,.;\\[\\]]{0,60}") {
        let how = CreateRewrite {
            source_database: "a",
            target: ObjectName::bare("t"),
            replication_num: Some(1),
            if_not_exists: true,
        };
        let _ = create_for_destination(&format!("CREATE TABLE t {tail}"), &how);
        let _ = create_for_destination(&format!("CREATE VIEW t {tail}"), &how);
        let _ = retarget_alter(&format!("ALTER TABLE {tail}"), ObjectName::bare("t"));
        let _ = add_partition_clause(&format!("ADD PARTITION a VALUES IN {tail}"), &hash(1, false));
    }
}
