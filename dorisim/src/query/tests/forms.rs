//! Forms of SELECT that SQLite has not, asked over the fixed tables.

use super::ask;

#[test]
fn semi_and_anti_joins_keep_rows_of_one_side() {
    assert_eq!(
        ask("select * from u left semi join t on t.id = u.id order by note"),
        ["2|x", "2|y"]
    );
    assert_eq!(
        ask("select u.note from u left anti join t on t.id = u.id"),
        ["z"]
    );
    assert_eq!(
        ask("select t.id from u right semi join t on t.id = u.id"),
        ["2"]
    );
    assert_eq!(
        ask("select t.id from u right anti join t using (id) where t.id > 1 order by 1"),
        ["3"]
    );
}

#[test]
fn grouping_sets_repeat_rows() {
    assert_eq!(
        ask("select id, grouping(id), count(*) from u group by rollup(id) order by 2, 1"),
        ["2|0|2", "9|0|1", "NULL|1|3"]
    );
    assert_eq!(
        ask(
            "select id, note, grouping_id(id, note) g, sum(id) from u where id = 2 group by cube(id, note) order by g, note"
        ),
        [
            "2|x|0|2",
            "2|y|0|2",
            "2|NULL|1|4",
            "NULL|x|2|2",
            "NULL|y|2|2",
            "NULL|NULL|3|4"
        ]
    );
    assert_eq!(
        ask("select note, count(*) from u group by grouping sets ((note), ()) having count(*) > 1"),
        ["NULL|3"]
    );
}

#[test]
fn qualify_filters_by_windows() {
    assert_eq!(
        ask(
            "select id, note, row_number() over (partition by id order by note desc) rn from u qualify rn = 1 order by id"
        ),
        ["2|y|1", "9|z|1"]
    );
    assert_eq!(
        ask("select * from u qualify row_number() over (order by note) = 2"),
        ["2|y"]
    );
    assert_eq!(ask("select id * 2 as d from u having d > 4"), ["18"]);
}

#[test]
fn lambdas_of_arrays() {
    assert_eq!(
        ask(
            "select array_map(x -> x + 1, [1, 2]), array_map((x, y) -> x * y, [1, 2], [3, 4]), array_map(x -> x > 1, [1, null, 2])"
        ),
        ["[2, 3]|[3, 8]|[0, null, 1]"]
    );
    assert_eq!(
        ask(
            "select array_filter(x -> x > 1, [1, 2, 3]), array_exists(x -> x = 2, [1, 2]), array_count(x -> x > 1, [1, 2, 3])"
        ),
        ["[2, 3]|[0, 1]|2"]
    );
    assert_eq!(
        ask(
            "select array_first_index(x -> x > 1, [1, 2]), array_last(x -> x < 3, [1, 2, 3]), array_sortby(x -> -x, [1, 3, 2])"
        ),
        ["2|2|[3, 2, 1]"]
    );
    // Lambdas inside lambdas, columns of the row, NULL and empty arrays.
    assert_eq!(
        ask(
            "select array_map(x -> array_map(y -> x * y + id, [1, 2]), [10, 20]) from u where id = 9"
        ),
        ["[[19, 29], [29, 49]]"]
    );
    assert_eq!(
        ask("select array_map(x -> x, null), array_map(x -> x, [])"),
        ["NULL|[]"]
    );
    assert_eq!(
        ask(
            "select array_sort((x, y) -> case when x < y then 1 when x = y then 0 else -1 end, [2, 3, 1])"
        ),
        ["[3, 2, 1]"]
    );
}

#[test]
fn decimals_stay_decimals() {
    assert_eq!(
        ask(
            "select cast('1.50' as decimal(5,2)) * 2, cast('1.5' as decimal(4,1)) / cast('3' as decimal(4,1)), 1 / 4"
        ),
        ["3.00|0.50000|0.25"]
    );
    assert_eq!(ask("select avg(price) from t where id < 3"), ["9.8750"]);
    assert_eq!(
        ask("select round(price, 1), floor(price) from t where id = 1"),
        ["9.5|9"]
    );
    // Text of DOUBLE: sixteen digits, an exponent beyond them.
    assert_eq!(
        ask("select 0.1e0 + 0.2e0, 1e16 * 1, 1.5e-5 * 1"),
        ["0.3|1e+16|1.5e-05"]
    );
}

#[test]
fn decimal_literals_keep_their_digits_as_text() {
    assert_eq!(
        ask("select concat('Price: $', 99.99), [1.5, 99.99]"),
        ["Price: $99.99|[1.5, 99.99]"]
    );
}

#[test]
fn casts_that_do_not_fit() {
    assert_eq!(
        ask(
            "select cast('300' as tinyint), cast(40000.0 as smallint), cast('9223372036854775808.5' as bigint)"
        ),
        ["NULL|NULL|NULL"]
    );
    let mut strict = super::session();
    strict
        .variables
        .insert("enable_strict_cast".into(), "true".into());
    let engine = super::QueryEngine::new().unwrap();
    let refused = engine
        .select(
            "select cast('truth' as boolean)",
            &strict,
            &super::Fixed::default(),
        )
        .unwrap_err();
    assert!(
        refused.to_string().contains("[INVALID_ARGUMENT]"),
        "{refused}"
    );
    let kept = engine
        .select(
            "select try_cast('truth' as boolean)",
            &strict,
            &super::Fixed::default(),
        )
        .unwrap();
    assert_eq!(kept.rows, [[None]]);
}

#[test]
fn functions_answer_what_doris_recorded() {
    for (query, wanted) in [
        (
            "select format_number(1500), format_number(12345), format_number(-999), format_number(0)",
            "1.50K|12.3K|-999|0.00",
        ),
        (
            "select mask('Hello-123!'), mask_first_n('1234-5678', 4), digital_masking('13812345678')",
            "Xxxxx-nnn!|nnnn-5678|138****5678",
        ),
        (
            "select overlay('Quadratic', 3, 4, 'What'), overlay('Quadratic', 2, -1, 'Hi'), replace_empty('abc', '', 'x')",
            "QuWhattic|QHi|xaxbxcx",
        ),
        (
            "select translate('abacad', 'aac', 'zxy'), rtrim_in('ababccaab', 'ab')",
            "zbzyzd|ababcc",
        ),
        (
            "select format_round(1234567.8910, 5), format_round(-1111.235, 2)",
            "1,234,567.89100|-1,111.24",
        ),
        (
            "select year_ceil('2023-07-14 15:30:45', 10, '1970-01-01 00:00:00')",
            "2030-01-01 00:00:00",
        ),
        (
            "select date_floor('2023-07-14 10:51:00', interval 5 minute)",
            "2023-07-14 10:50:00",
        ),
        (
            "select quarters_add('2023-01-31', 1), from_iso8601_date('1900'), yearweek('2024-01-01')",
            "2023-04-30|1900-01-01|202353",
        ),
        (
            "select multi_search_all_positions('Hello, World!', ['hello', '!', 'World'])",
            "[0, 13, 8]",
        ),
        (
            "select sqrt(-1), log(2, 8), gcd(12, 18), floor(-1.5), ceil(1.2), round_bankers(2.5)",
            "NULL|3|6|-2|2|2",
        ),
        (
            "select make_set(3, 'dog', 'cat', 'bird'), make_set(5, null, 'warm', 'hot')",
            "dog,cat|hot",
        ),
        (
            "select sha2('abc', 224)",
            "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
        ),
        (
            "select coalesce(null), greatest(3), bit_shift_left(1, 2)",
            "NULL|3|4",
        ),
        (
            "select [1, 2, 3][2:], substring('foobarbar' from 4 for 3)",
            "[2, 3]|bar",
        ),
    ] {
        assert_eq!(ask(query), [wanted], "{query}");
    }
}
