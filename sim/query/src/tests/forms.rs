//! Forms of SELECT that SQLite has not, asked over the fixed tables.

use super::ask;

#[test]
fn decimals_stay_decimals() {
    assert_eq!(
        ask(
            "select cast('1.50' as decimal(5,2)) * 2, cast('1.5' as decimal(4,1)) / cast('3' as decimal(4,1)), 1 / 4"
        ),
        ["3.00|0.50000|0.25"]
    );
    assert_eq!(ask("select avg(price) from t where id < 3"), ["9.8750"]);
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
