//! What the parser makes of statements as users and replication tools write them.

use super::ast::*;
use super::{parse, parse_statements};

fn one(text: &str) -> Statement {
    parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

fn create(text: &str) -> CreateTable {
    match one(text) {
        Statement::CreateTable(table) => *table,
        other => panic!("{other:?}"),
    }
}

fn clauses(text: &str) -> Vec<AlterClause> {
    match one(text) {
        Statement::AlterTable { clauses, .. } => clauses,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_table_with_everything() {
    let table = create(
        r#"CREATE TABLE IF NOT EXISTS `d`.`t 1` (
            `id` bigint NOT NULL AUTO_INCREMENT(100) COMMENT "it's",
            `day` datev2 NOT NULL,
            v decimal(18,2) SUM NULL DEFAULT "0.00",
            a array<map<string,int>> REPLACE,
            ts datetime(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
            n int GENERATED ALWAYS AS (id + 1) NULL,
            INDEX idx_v (`v`) USING INVERTED PROPERTIES("parser" = "english") COMMENT 'ix'
        ) ENGINE=OLAP
        UNIQUE KEY(`id`, `day`) CLUSTER BY (v)
        COMMENT 'c'
        PARTITION BY RANGE(`day`) (
            PARTITION p1 VALUES LESS THAN ("2024-01-01"),
            PARTITION p2 VALUES [("2024-01-01"), ("2024-02-01")) ("replication_num" = "1"),
            FROM ("2024-02-01") TO ("2024-05-01") INTERVAL 1 MONTH,
            PARTITION pm VALUES LESS THAN MAXVALUE)
        DISTRIBUTED BY HASH(`id`) BUCKETS AUTO
        ROLLUP (r1 (id, v), r2 (v) PROPERTIES("a"="b"))
        PROPERTIES ("replication_allocation" = "tag.location.default: 1", "binlog.enable" = "true", "k" = 3);"#,
    );
    assert!(table.if_not_exists);
    assert_eq!(table.name, ObjectName::in_db("d", "t 1"));
    let types: Vec<_> = table
        .columns
        .iter()
        .map(|column| column.type_text.as_str())
        .collect();
    assert_eq!(
        types,
        [
            "BIGINT",
            "DATEV2",
            "DECIMAL(18, 2)",
            "ARRAY<MAP<STRING, INT>>",
            "DATETIME(3)",
            "INT"
        ]
    );
    assert_eq!(table.columns[0].auto_increment, Some(100));
    assert_eq!(table.columns[0].comment, "it's");
    assert_eq!(table.columns[2].aggregation.as_deref(), Some("SUM"));
    assert_eq!(
        table.columns[2].default,
        Some(DefaultValue::Literal("0.00".into()))
    );
    assert_eq!(
        table.columns[4].default,
        Some(DefaultValue::CurrentTimestamp(Some(3)))
    );
    assert!(table.columns[4].on_update_current_timestamp);
    assert_eq!(table.columns[5].generated.as_deref(), Some("id + 1"));
    assert_eq!(table.indexes[0].properties["parser"], "english");
    assert_eq!(
        table.keys.as_ref().map(|keys| keys.model),
        Some(KeysModel::Unique)
    );
    assert_eq!(table.cluster_by, ["v"]);
    let partition = table.partition.unwrap();
    assert_eq!(partition.kind, PartitionKind::Range);
    assert_eq!(partition.partitions.len(), 4);
    assert!(
        matches!(&partition.partitions[2], PartitionItem::Step { interval: 1, unit: Some(unit), .. } if unit == "MONTH")
    );
    assert_eq!(
        table.distribution,
        Some(Distribution {
            hash_columns: vec!["id".into()],
            buckets: None
        })
    );
    assert_eq!(table.rollups.len(), 2);
    assert_eq!(table.properties["k"], "3");
}

#[test]
fn list_and_automatic_partitions() {
    let table = create(
        "create table t (a int, b varchar(10), index int) partition by list(a, b) (partition p1 values in ((1,'x'),(2,NULL)), partition pd)",
    );
    let partition = table.partition.unwrap();
    assert_eq!(table.columns[2].name, "index");
    let PartitionItem::One(first) = &partition.partitions[0] else {
        panic!()
    };
    assert_eq!(
        first.values,
        PartitionValues::In(vec![
            vec![
                PartitionValue::Value("1".into()),
                PartitionValue::Value("x".into())
            ],
            vec![PartitionValue::Value("2".into()), PartitionValue::Null],
        ])
    );
    let PartitionItem::One(second) = &partition.partitions[1] else {
        panic!()
    };
    assert_eq!(second.values, PartitionValues::Default);

    let auto = create(
        "create table t (d datetime not null) auto partition by range (date_trunc(`d`, 'day')) () distributed by random buckets 2",
    );
    let partition = auto.partition.unwrap();
    assert!(partition.auto);
    assert_eq!(partition.columns, ["d"]);
    assert_eq!(
        partition.auto_expr.as_deref(),
        Some("date_trunc(`d`, 'day')")
    );
    assert!(auto.distribution.unwrap().hash_columns.is_empty());
}

#[test]
fn the_binlog_forms_of_ddl() {
    // The texts that CREATE_TABLE and ADD_PARTITION records carry.
    let table = create(
        "CREATE TABLE `t` (\n  `a` int NULL,\n  `b` varchar(65533) NULL DEFAULT \"x\"\n) ENGINE=OLAP\nDUPLICATE KEY(`a`)\nDISTRIBUTED BY RANDOM BUCKETS 1\nPROPERTIES (\n\"is_being_synced\" = \"false\"\n);",
    );
    assert_eq!(table.columns[1].type_text, "VARCHAR(65533)");
    let add = clauses(
        "ALTER TABLE `d`.`t` ADD PARTITION `p1` VALUES [(\"0000-01-01\"), (\"2024-01-01\")) (\"version_info\" = \"1\") DISTRIBUTED BY HASH(`a`) BUCKETS 3",
    );
    assert!(
        matches!(&add[0], AlterClause::AddPartition { temp: false, distribution: Some(d), .. } if d.buckets == Some(3))
    );
    let drop = clauses("alter table t drop temporary partition if exists `tp` force");
    assert_eq!(
        drop[0],
        AlterClause::DropPartition {
            temp: true,
            if_exists: true,
            name: "tp".into(),
            force: true
        }
    );
}

#[test]
fn clauses_of_alter_table() {
    assert_eq!(
        clauses(
            "alter table t add column c int key default '1' after a, drop column b, order by (a, c)"
        )
        .len(),
        3
    );
    assert_eq!(
        clauses("alter table t add rollup r1 (a, b), r2 (c) from r1").len(),
        2
    );
    assert_eq!(
        clauses("alter table t rename u"),
        [AlterClause::RenameTable {
            new_name: "u".into()
        }]
    );
    assert_eq!(
        clauses("alter table t rename column a b"),
        [AlterClause::RenameColumn {
            name: "a".into(),
            new_name: "b".into()
        }]
    );
    assert_eq!(
        clauses("alter table t rename partition"),
        [AlterClause::RenameTable {
            new_name: "partition".into()
        }]
    );
    assert_eq!(
        clauses("alter table t replace with table u properties('swap'='false')"),
        [AlterClause::ReplaceWithTable {
            other: "u".into(),
            swap: false,
            force: false
        }]
    );
    assert!(matches!(
        &clauses("alter table t replace partition (p1, p2) with temporary partition (tp1) properties('strict_range'='false')")[0],
        AlterClause::ReplacePartition { partitions, temp_partitions, .. } if partitions.len() == 2 && temp_partitions.len() == 1
    ));
    assert!(matches!(
        &clauses("alter table t modify partition (*) set ('storage_policy'='x')")[0],
        AlterClause::ModifyPartition { partitions, .. } if partitions.is_empty()
    ));
    assert_eq!(
        clauses("alter table t modify column a comment 'x'"),
        [AlterClause::ModifyColumnComment {
            column: "a".into(),
            comment: "x".into()
        }]
    );
    assert_eq!(
        clauses("alter table t modify comment 'x'"),
        [AlterClause::ModifyComment {
            comment: "x".into()
        }]
    );
    assert!(matches!(
        &clauses("alter table t add index i (a) using inverted")[0],
        AlterClause::AddIndex { .. }
    ));
    assert!(matches!(
        &clauses("alter table t set ('binlog.enable'='true')")[0],
        AlterClause::SetProperties { .. }
    ));
}

#[test]
fn inserts() {
    let Statement::Insert(insert) = one(
        "insert into d.t partition (p1) with label `l-1` (a, b) values (1, 'x;y'), (-2.5, null), (default, concat('a', 'b'))",
    ) else {
        panic!()
    };
    assert_eq!(insert.label.as_deref(), Some("l-1"));
    assert_eq!(
        insert.source,
        InsertSource::Values(vec![
            vec![
                InsertValue::Literal("1".into()),
                InsertValue::Literal("x;y".into())
            ],
            vec![InsertValue::Literal("-2.5".into()), InsertValue::Null],
            vec![
                InsertValue::Default,
                InsertValue::Expression("concat('a', 'b')".into())
            ],
        ])
    );
    let Statement::Insert(insert) =
        one("insert overwrite table t partition(*) select * from u where a > 1")
    else {
        panic!()
    };
    assert!(insert.overwrite && insert.overwrite_touched);
    assert_eq!(
        insert.source,
        InsertSource::Select("select * from u where a > 1".into())
    );
}

#[test]
fn backup_as_the_tool_writes_it() {
    let Statement::Backup(backup) = one(
        "BACKUP SNAPSHOT `db`.`ccrs_x_1` TO `__keep_on_local__` ON ( `t1` PARTITION (`p1`), `t2` ) PROPERTIES (\"type\" = \"full\")",
    ) else {
        panic!()
    };
    assert_eq!(
        (backup.db.as_deref(), backup.repository.as_str()),
        (Some("db"), "__keep_on_local__")
    );
    assert_eq!(backup.tables[0].partitions, ["p1"]);
}

#[test]
fn shows() {
    assert_eq!(
        one("show transaction from `d` where label = 'x'"),
        Statement::Show(Show::Transaction {
            db: Some("d".into()),
            id: None,
            label: Some("x".into())
        })
    );
    assert_eq!(
        one("show full tables from d like 'a%'"),
        Statement::Show(Show::Tables {
            full: true,
            db: Some("d".into()),
            like: Some("a%".into())
        })
    );
    assert!(matches!(
        one("SHOW PARTITIONS FROM `d`.`t` WHERE PartitionName = \"p1\" LIMIT 1"),
        Statement::Show(Show::Narrowed { form, rest: ShowTail { filter: Some(filter), limit: Some(_), .. } })
            if matches!(*form, Show::Partitions { temp: false, .. }) && filter.starts_with("PartitionName")
    ));
    assert!(matches!(
        one("show alter table column from d"),
        Statement::Show(Show::Alter { .. })
    ));
    assert!(matches!(
        one("admin show frontend config like '%binlog%'"),
        Statement::AdminShowConfig { .. }
    ));
    assert!(matches!(
        one("desc d.t all"),
        Statement::Describe { all: true, .. }
    ));
}

#[test]
fn several_statements_and_sessions() {
    let all = parse_statements(
        "-- x\nbegin; insert into t values (1);; commit; set @@session.a = 1, global b = 'x'; use `d`;",
    )
    .unwrap();
    assert_eq!(all.len(), 5);
    assert_eq!(
        all[3],
        Statement::Set {
            assignments: [(false, "a", "1"), (true, "b", "'x'")]
                .map(|(global, name, value)| Assignment {
                    global,
                    name: name.into(),
                    value: value.into()
                })
                .to_vec()
        }
    );
    assert_eq!(
        one("recover table d.t 12 as u"),
        Statement::RecoverTable {
            name: ObjectName::in_db("d", "t"),
            id: Some(12),
            new_name: Some("u".into())
        }
    );
}

#[test]
fn errors_name_the_place() {
    let error = parse("create table t (\n a int,\n b ,,)").unwrap_err();
    assert_eq!((error.line, error.column), (3, 4), "{error}");
    for wrong in [
        "frobnicate t",
        "create table t (a int",
        "alter table t frob",
        "select 1; select 2",
        "",
        "insert into t",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
    let text = parse("frobnicate").unwrap_err().to_string();
    assert!(
        text.starts_with("errCode = 2, detailMessage = ") && text.contains("line 1, pos 0"),
        "{text}"
    );
}

#[test]
fn settings_are_shown_with_and_without_admin() {
    for text in [
        "SHOW FRONTEND CONFIG LIKE 'enable%'",
        "ADMIN SHOW FRONTEND CONFIG LIKE 'enable%'",
    ] {
        assert_eq!(
            one(text),
            Statement::AdminShowConfig {
                like: Some("enable%".into())
            }
        );
    }
}
