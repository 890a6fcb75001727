//! Functions, operators and clauses that SQLite knows otherwise or not at all.

use super::ask;

/// Each query answers one row.
fn table(cases: &[(&str, &str)]) {
    for (query, wanted) in cases {
        assert_eq!(ask(query), [*wanted], "{query}");
    }
}

#[test]
fn arrays_maps_and_structs() {
    table(&[
        (
            "select named_struct('f', 1, 'g', 'x'), struct_element(named_struct('f', 1), 'f')",
            "{\"f\":1, \"g\":\"x\"}|1",
        ),
        ("select [1, 2][2], {'a': 1}['a'], size([1, 2, 3])", "2|1|3"),
        (
            "select array('a', 'b'), map('k', 1)",
            "[\"a\", \"b\"]|{\"k\":1}",
        ),
    ]);
}

#[test]
fn text() {
    table(&[
        ("select instr('abc', 'c'), locate('b', 'abcb')", "3|2"),
        ("select upper('ä'), lower('Ä')", "Ä|ä"),
        (
            "select hex('ab'), hex(255), conv('ff', 16, 10)",
            "6162|FF|255",
        ),
        (
            "select group_concat(note order by note desc) from u",
            "z, y, x",
        ),
        (
            "select group_concat(distinct note separator '/') from u where id = 2",
            "x/y",
        ),
        ("select group_concat(note, '+') from u where id = 2", "x+y"),
    ]);
}

#[test]
fn dates() {
    table(&[
        (
            "select '2024-01-31' + interval 1 month, day - interval 1 day from t where id = 1",
            "2024-02-29|2023-12-31 00:00:00",
        ),
        (
            "select datediff('2024-03-01', '2024-01-01'), date_trunc('2024-05-06 07:08:09', 'month')",
            "60|2024-05-01 00:00:00",
        ),
        (
            "select timestampdiff(second, '2024-01-01 23:59:58', '2024-01-02 00:00:01'), timestampdiff(day, '2024-01-03', '2024-01-01')",
            "3|-2",
        ),
        (
            "select date_format('2024-02-03', '%Y/%m'), days_add('2024-02-28', 2)",
            "2024/02|2024-03-01",
        ),
    ]);
}

#[test]
fn sketches_and_aggregates_of_whole_groups() {
    table(&[
        (
            "select bitmap_to_string(bitmap_or(to_bitmap(10), bitmap_from_string('2,10')))",
            "2,10",
        ),
        (
            "select bitmap_count(bitmap_and(bitmap_from_string('1,2'), bitmap_from_string('2,3')))",
            "1",
        ),
        (
            "select bitmap_to_string(bitmap_or(to_bitmap(1), to_bitmap(2), to_bitmap(10), to_bitmap(0), NULL))",
            "0,1,2,10",
        ),
        (
            "select bitmap_xor_count(to_bitmap(1), to_bitmap(2), to_bitmap(1)), bitmap_and(to_bitmap(1), NULL) is null, \
             bitmap_or(NULL, NULL) is null",
            "1|1|1",
        ),
        (
            "select bitmap_union_count(to_bitmap(id)), hll_union_agg(hll_hash(id)) from u",
            "2|2",
        ),
        (
            "select bitmap_contains(bitmap_from_string('1,2'), 2), bitmap_to_array(bitmap_from_string('3,1'))",
            "1|[1, 3]",
        ),
        ("select count(distinct id, note) from u", "3"),
    ]);
}

#[test]
fn windows() {
    assert_eq!(
        ask(
            "select id, row_number() over (order by id desc) n, sum(id) over (order by id) s, \
             sum(id) over (order by id rows between 1 preceding and current row) w, \
             lag(id, 1, 0) over (order by id) from t order by id"
        ),
        ["1|3|1|1|0", "2|2|3|3|1", "3|1|6|5|2"]
    );
    assert_eq!(
        ask("select note, rank() over (partition by id order by note), \
             first_value(note) over (partition by id order by note) from u order by note"),
        ["x|1|x", "y|2|x", "z|1|z"]
    );
}

#[test]
fn subqueries_sets_and_common_tables() {
    table(&[
        (
            "select count(*) from t where exists (select 1 from u where u.id = t.id)",
            "1",
        ),
        (
            "select count(*) from t where id not in (select id from u)",
            "2",
        ),
        (
            "with a as (select id from u), b as (select distinct id from a) select sum(id) from b",
            "11",
        ),
        ("select (select max(id) from u) - 1", "8"),
    ]);
    assert_eq!(
        ask("select id from t union select id from u order by id desc limit 2 offset 1"),
        ["3", "2"]
    );
    assert_eq!(
        ask(
            "select case when id > 1 then 'many' else 'one' end c, count(*) from t group by c having count(*) > 1"
        ),
        ["many|2"]
    );
    assert_eq!(
        ask("select name from t order by name nulls last"),
        ["Bob", "ann", "NULL"]
    );
}
