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
        ("select [1, 2, 3], ['a'], []", "[1, 2, 3]|[\"a\"]|[]"),
        ("select array(1, null), size([4, 5])", "[1, null]|2"),
        ("select [7, 8, 9][2], [7, 8, 9][-1], [7][5]", "8|9|NULL"),
        ("select element_at(['x', 'y'], 1)", "x"),
        ("select {'a': 1, 'b': 2}['b'], map('k', 5)", "2|{\"k\":5}"),
        (
            "select array_contains([1, 2], 2), array_position(['a', 'b'], 'b')",
            "1|2",
        ),
        (
            "select array_sort([3, 1, 2]), array_distinct([1, 1, 2]), array_join(['a', 'b'], '-')",
            "[1, 2, 3]|[1, 2]|a-b",
        ),
        (
            "select array_sum([1, 2, 3]), array_avg([1, 2]), array_max([1, 10, 9]), array_min(['b', 'a'])",
            "6|1.5|10|a",
        ),
        (
            "select array_union([1], [1, 2]), array_intersect([1, 2], [2]), array_except([1, 2], [2])",
            "[1, 2]|[2]|[1]",
        ),
        (
            "select array_slice([1, 2, 3, 4], 2, 2), array_concat([1], [2]), array_remove([1, 2, 1], 1)",
            "[2, 3]|[1, 2]|[2]",
        ),
        (
            "select map_keys({'a': 1}), map_values({'a': 1}), map_contains_key({'a': 1}, 'b')",
            "[\"a\"]|[1]|0",
        ),
        (
            "select named_struct('f', 1, 'g', 'x'), struct_element(named_struct('f', 1), 'f')",
            "{\"f\":1, \"g\":\"x\"}|1",
        ),
        (
            "select array_range(3), split_by_string('a,b', ',')",
            "[0, 1, 2]|[\"a\", \"b\"]",
        ),
    ]);
}

#[test]
fn json() {
    table(&[
        (
            "select json_extract('{\"a\":{\"b\":[1,\"x\"]}}', '$.a.b[1]')",
            "\"x\"",
        ),
        ("select get_json_string('{\"a\":\"x\"}', '$.a')", "x"),
        ("select get_json_int('{\"a\":5}', '$.a') + 1", "6"),
        ("select json_extract_bool('{\"a\":true}', '$.a')", "1"),
        (
            "select json_type('[1]', '$'), json_length('{\"a\":1,\"b\":2}')",
            "array|2",
        ),
        ("select json_valid('{'), json_valid('{}')", "0|1"),
        (
            "select json_contains('[1, 2]', '2'), json_unquote('\"a\"')",
            "1|a",
        ),
        (
            "select json_object('a', 1), json_array(1, 'x')",
            "{\"a\":1}|[1,\"x\"]",
        ),
    ]);
}

#[test]
fn patterns_and_words() {
    table(&[
        (
            "select tokenize('A b', '')",
            "[{\"token\":\"a\"},{\"token\":\"b\"}]",
        ),
        (
            "select 'abc' regexp '^a.c$', 'abc' rlike 'x', not 'abc' regexp 'x'",
            "1|0|1",
        ),
        ("select count(*) from t where name regexp '^[aB]'", "2"),
        (
            "select regexp_extract('a1b22', '([0-9]+)$', 1), regexp_replace('a1b2', '[0-9]', '_')",
            "22|a_b_",
        ),
        ("select regexp_replace('ab', '(a)(b)', '\\\\2\\\\1')", "ba"),
        ("select count(*) from u where note match_any 'Y z'", "2"),
        (
            "select count(*) from u where note match_all 'x y' or id = 9",
            "1",
        ),
    ]);
}

#[test]
fn text() {
    table(&[
        (
            "select instr('abc', 'c'), locate('b', 'abcb', 3), position('c', 'abc')",
            "3|4|3",
        ),
        (
            "select substring_index('a.b.c', '.', 2), substring_index('a.b.c', '.', -1)",
            "a.b|c",
        ),
        (
            "select upper('ä'), lower('Ä'), initcap('hello world')",
            "Ä|ä|Hello World",
        ),
        (
            "select find_in_set('b', 'a,b'), field('x', 'a', 'x'), elt(2, 'a', 'b')",
            "2|2|b",
        ),
        (
            "select hex('ab'), hex(255), unhex('6162'), to_base64('a'), from_base64('YQ==')",
            "6162|FF|ab|YQ==|a",
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
        ("select strcmp('a', 'b'), space(2), ascii('a')", "-1|  |97"),
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
            "select timestampdiff(day, '2024-01-01', '2024-03-01'), days_diff('2024-01-03', '2024-01-01')",
            "60|2",
        ),
        (
            "select timestampadd(hour, 2, '2024-01-01')",
            "2024-01-01 02:00:00",
        ),
        (
            "select last_day('2024-02-10'), dayname('2024-01-01'), monthname('2024-01-01')",
            "2024-02-29|Monday|January",
        ),
        (
            "select quarter('2024-05-01'), weekofyear('2024-01-01'), dayofyear('2024-02-01')",
            "2|1|32",
        ),
        (
            "select str_to_date('2024/02/03 04', '%Y/%m/%d %H'), to_monday('2024-01-03')",
            "2024-02-03 04:00:00|2024-01-01",
        ),
        (
            "select now(3) = now(), hour_floor('2024-01-01 05:06:07')",
            "1|2024-01-01 05:00:00",
        ),
        (
            "select from_days(to_days('2024-01-01')), time_to_sec('01:00:01')",
            "2024-01-01|3601",
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
        (
            "select collect_list(id), collect_set(id) from u",
            "[2, 2, 9]|[2, 9]",
        ),
        ("select count(distinct id, note), ndv(id) from u", "3|2"),
        (
            "select max_by(note, id), min_by(id, note), median(id) from u",
            "z|2|2",
        ),
        (
            "select stddev(id), variance(id), percentile(id, 0.5) from t",
            "0.816496580927726|0.6666666666666666|2",
        ),
        ("select map_agg(id, note) from u where id = 9", "{9:\"z\"}"),
        (
            "select max_by_merge(s), count_merge(c) from (select max_by_state(note, id) s, count_state(id) c from u) x",
            "z|3",
        ),
        (
            "select sum_merge(s) from (select sum_union(sum_state(id)) s from u) x",
            "13",
        ),
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
fn lateral_views_unfold() {
    assert_eq!(
        ask("select id, e from u lateral view explode([10, 20]) tmp as e where id = 9 order by e"),
        ["9|10", "9|20"]
    );
    assert_eq!(
        ask(
            "select k, tmp.v from u lateral view explode_map({'a': 1, 'b': 2}) tmp as k, v where id = 9 order by k"
        ),
        ["a|1", "b|2"]
    );
    assert_eq!(
        ask(
            "select part from u lateral view explode_split(concat(note, ',!'), ',') s as part where id = 9"
        ),
        ["z", "!"]
    );
    assert_eq!(
        ask("select count(*) from u lateral view explode_outer([]) tmp as e"),
        ["3"]
    );
    assert_eq!(
        ask(
            "select sum(n), count(distinct m) from u lateral view explode_numbers(3) a as n lateral view explode(array(1, 2)) b as m"
        ),
        ["18|2"]
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
