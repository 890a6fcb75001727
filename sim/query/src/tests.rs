//! Queries as clients send them, over fixed tables.

mod forms;
mod functions;

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use dorisim_model::{Column, DataType, Row};
use dorisim_model::{SqlError, TableScan};

/// Database `d` with `t` (id, name, price, day, amount), `u` (id, note) and view `v` over `t`.
#[derive(Default)]
struct Fixed {
    scans: AtomicUsize,
    version: i64,
}

fn rows_of(lines: &[&str]) -> Vec<Row> {
    let cell = |text: &str| (text != "-").then(|| text.to_owned());
    lines
        .iter()
        .map(|line| line.split('|').map(cell).collect())
        .collect()
}

fn columns_of(columns: &[(&str, &str)]) -> Vec<Column> {
    columns
        .iter()
        .map(|(name, declared)| Column::new(*name, DataType::parse(declared).unwrap()))
        .collect()
}

impl Tables for Fixed {
    fn named(&self, table: &TableRef) -> Result<Named, SqlError> {
        match (table.db.as_str(), table.name.as_str()) {
            ("d", "t" | "u") => Ok(Named::Table(TableKey {
                id: i64::from(table.name == "u"),
                versions: vec![(1, self.version, 0)],
                columns: Vec::new(),
            })),
            ("d", "v") => Ok(Named::View {
                select: "SELECT `d`.`t`.`id` AS `id`, `price` FROM `internal`.`d`.`t` WHERE id > 1"
                    .into(),
                columns: vec!["k".into(), "p".into()],
            }),
            _ => Err(SqlError::unknown_table(&table.name)),
        }
    }

    fn scan(&self, table: &TableRef) -> Result<TableScan, SqlError> {
        self.scans.fetch_add(1, Ordering::Relaxed);
        Ok(if table.name == "t" {
            TableScan {
                columns: columns_of(&[
                    ("id", "int"),
                    ("name", "varchar(20)"),
                    ("price", "decimal(20,2)"),
                    ("day", "datetime"),
                    ("amount", "double"),
                ]),
                rows: rows_of(&[
                    "1|ann|9.50|2024-01-01 00:00:00|1.5",
                    "2|Bob|10.25|2024-01-02 12:00:00|2",
                    "3|-|99999999999999999.99|2024-02-01 00:00:00|-",
                ]),
            }
        } else {
            TableScan {
                columns: columns_of(&[("id", "bigint"), ("note", "string")]),
                rows: rows_of(&["2|x", "2|y", "9|z"]),
            }
        })
    }

    fn function(&self, name: &str, _: &str) -> Result<ResultSet, SqlError> {
        if name != "frontends" {
            return Err(SqlError::analysis("no such function"));
        }
        let mut answer = ResultSet::of_text(&["Name", "Host"]);
        answer.push(vec!["fe1".into(), "h".into()]);
        Ok(answer)
    }
}

fn session() -> SessionInfo {
    SessionInfo {
        db: Some("d".into()),
        user: "root".into(),
        connection_id: 7,
        version: "5.7.99".into(),
        now_ms: 1_700_000_000_000,
        ..SessionInfo::default()
    }
}

/// The answer as `a|b` lines.
fn ask(text: &str) -> Vec<String> {
    let answer = QueryEngine::new()
        .unwrap()
        .select(text, &session(), &Fixed::default());
    let answer = answer.unwrap_or_else(|error| panic!("{text}: {error}"));
    answer
        .rows
        .iter()
        .map(|row| {
            row.iter()
                .map(|cell| cell.clone().unwrap_or_else(|| "NULL".into()))
                .collect::<Vec<_>>()
                .join("|")
        })
        .collect()
}

#[test]
fn filters_compare_by_the_type_of_the_column() {
    assert_eq!(
        ask("select id from t where price > 9.9 order by price"),
        ["2", "3"]
    );
    assert_eq!(ask("select id from t where price = 10.250"), ["2"]);
    assert_eq!(ask("select id from t where day = '2024-01-01'"), ["1"]);
    assert_eq!(
        ask(
            "select id from t where day between date '2024-01-02' and '2024-01-31' and id in ('2', 3)"
        ),
        ["2"]
    );
    assert_eq!(
        ask("select id from t where name like 'b%'"),
        Vec::<String>::new()
    );
    assert_eq!(
        ask("select id from t where name like \"B_b\" && id != 1"),
        ["2"]
    );
    assert_eq!(ask("select id from t order by name limit 1, 1"), ["2"]);
}

#[test]
fn aggregates_are_exact() {
    assert_eq!(
        ask("select sum(price), count(*), count(name), max(price), min(price) from t"),
        ["100000000000000019.74|3|2|99999999999999999.99|9.50"]
    );
    assert_eq!(ask("select sum(id) from t where id > 100"), ["NULL"]);
    assert_eq!(
        ask("select avg(id), sum(amount), 7/2 from t"),
        ["2|3.5|3.5"]
    );
}

#[test]
fn checksums_do_not_depend_on_the_order_of_rows() {
    let checksum = "select count(*), bit_xor(crc32(concat_ws('|', id, ifnull(cast(name as char), '\\\\N'), price))), sum(crc32(concat_ws('|', id, name))) from ";
    let whole = ask(&format!("{checksum} t"));
    assert_eq!(
        whole,
        ask(&format!("{checksum} (select * from t order by id desc) x"))
    );
    let one = crc32fast::hash(b"1|ann|9.50")
        ^ crc32fast::hash(b"2|Bob|10.25")
        ^ crc32fast::hash(b"3|\\N|99999999999999999.99");
    assert!(whole[0].starts_with(&format!("3|{one}|")), "{whole:?}");
}

#[test]
fn joins_views_subqueries_and_common_tables() {
    assert_eq!(
        ask("select t.id, u.note from d.t join u on t.id = u.id order by note"),
        ["2|x", "2|y"]
    );
    assert_eq!(
        ask(
            "select a.id, count(b.note) n from t a left join u b using (id) group by a.id having n > 0"
        ),
        ["2|2"]
    );
    assert_eq!(ask("select k, p from v where k = 2"), ["2|10.25"]);
    assert_eq!(
        ask(
            "with x as (select id from t where id < 3), y as (select * from x) select sum(id) from y"
        ),
        ["3"]
    );
    assert_eq!(
        ask("select id from t where exists (select 1 from u where u.id = t.id) union select 5"),
        ["2", "5"]
    );
    assert_eq!(ask("select count(*) from t, u where t.id = u.id"), ["2"]);
}

#[test]
fn expressions_and_functions() {
    assert_eq!(
        ask(
            "select if(id > 1, 'a', 'b'), case when id = 1 then left('abc', 2) else null end, id div 2, substring('abc', 2) from t limit 1"
        ),
        ["b|ab|0|bc"]
    );
    assert_eq!(
        ask(
            "select date_add('2024-01-31', interval 1 month), datediff('2024-03-01', '2024-02-01'), date_trunc('2024-05-06 07:08:09', 'month'), extract(year from day) from t limit 1"
        ),
        ["2024-02-29|29|2024-05-01 00:00:00|2024"]
    );
    assert_eq!(
        ask(
            "select cast('12.345' as decimal(9,1)), cast('7' as int) + 1, cast(1 as varchar(5)), md5('a')"
        ),
        ["12.3|8|1|0cc175b9c0f1b6a831c399e269772661"]
    );
    assert_eq!(
        ask("select null <=> null, concat('a', null), length('é'), char_length('é')"),
        ["1|NULL|2|1"]
    );
}

#[test]
fn without_tables() {
    assert_eq!(ask("select 1"), ["1"]);
    assert_eq!(
        ask("select @@version_comment limit 1"),
        ["doris version doris-3.1.0-dorisim"]
    );
    assert_eq!(
        ask("SELECT DATABASE(), connection_id(), version(), @@session.autocommit, now()"),
        ["d|7|5.7.99|1|2023-11-14 22:13:20"]
    );
    assert_eq!(
        ask("select Host from frontends() where Name = 'fe1'"),
        ["h"]
    );
}

#[test]
fn headings_are_the_text_of_the_expression() {
    let engine = QueryEngine::new().unwrap();
    let answer = engine
        .select(
            "select COUNT(*), id + 1, name n, `price` from t group by id",
            &session(),
            &Fixed::default(),
        )
        .unwrap();
    let names: Vec<_> = answer
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(names, ["COUNT(*)", "id + 1", "n", "price"]);
    let kinds: Vec<_> = answer.columns.iter().map(|column| column.kind).collect();
    assert_eq!(
        kinds,
        [
            ColumnKind::Integer,
            ColumnKind::Integer,
            ColumnKind::Text,
            ColumnKind::Decimal(20, 2)
        ]
    );
}

#[test]
fn a_table_is_read_again_only_when_it_changed() {
    let engine = QueryEngine::new().unwrap();
    let mut tables = Fixed::default();
    let count = |tables: &Fixed| {
        engine
            .select("select count(*) from d.t", &session(), tables)
            .unwrap()
            .rows[0][0]
            .clone()
    };
    assert_eq!(count(&tables).as_deref(), Some("3"));
    count(&tables);
    assert_eq!(tables.scans.load(Ordering::Relaxed), 1);
    for _ in 0..2 {
        engine
            .select("select sum(id) from t", &session(), &tables)
            .unwrap();
    }
    assert_eq!(tables.scans.load(Ordering::Relaxed), 2);
    tables.version = 2;
    engine
        .select("select sum(id) from t", &session(), &tables)
        .unwrap();
    assert_eq!(tables.scans.load(Ordering::Relaxed), 3);
    count(&tables);
    assert_eq!(
        tables.scans.load(Ordering::Relaxed),
        3,
        "the count comes from the copy"
    );
}

#[test]
fn errors_speak_of_doris_objects() {
    let engine = QueryEngine::new().unwrap();
    let error = |text: &str| {
        engine
            .select(text, &session(), &Fixed::default())
            .unwrap_err()
    };
    assert_eq!(error("select nope from t").code, 1054);
    assert_eq!(error("select * from nope").code, 1051);
    assert!(error("select frob(1)").text.contains("frob"));
    let no_db = SessionInfo::default();
    assert_eq!(
        engine
            .select("select * from t", &no_db, &Fixed::default())
            .unwrap_err()
            .code,
        1046
    );
}

#[test]
fn show_answers_can_be_narrowed() {
    let mut answer = ResultSet::of_text(&["PartitionName", "VisibleVersion"]);
    for (name, version) in [("p1", "1"), ("p2", "2"), ("p3", "3")] {
        answer.push(vec![name.into(), version.into()]);
    }
    let tail = dorisim_sql::ast::ShowTail {
        filter: Some("PartitionName != \"p1\"".into()),
        order_by: Some("VisibleVersion DESC".into()),
        limit: Some("1".into()),
    };
    let narrowed = QueryEngine::new().unwrap().narrow(answer, &tail).unwrap();
    assert_eq!(narrowed.rows, rows_of(&["p3|3"]));
}
