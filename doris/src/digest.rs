//! What a table holds, counted and summed by its own cluster: two tables with the same rows have the same digest, in whatever order and
//! wherever the rows lie.

use crate::ddl::{ObjectName, ident};
use crate::inspect::ColumnInfo;

/// Number of rows, and the sum of a hash of each of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct TableDigest {
    /// Number of rows.
    pub rows: u64,
    /// Sum of the rows' 60-bit hashes as decimal text: repeated rows count. Empty for a table without rows.
    pub sum: String,
}

/// The question for a digest: columns `n` and `s` of one row. Columns that have no text (see [`has_text`]) are left out.
///
/// MD5 is slower than Doris' other hashes, but the only one that means the same in every version: the two clusters may differ in it.
/// Each value goes in with its length, NULL apart from every text.
pub fn statement(table: &ObjectName, partition: Option<&str>, columns: &[ColumnInfo]) -> String {
    let values: Vec<String> = columns.iter().filter_map(value).collect();
    let row = if values.is_empty() {
        "''".to_owned()
    } else {
        format!("CONCAT({})", values.join(", "))
    };
    let partition =
        partition.map_or_else(String::new, |name| format!(" PARTITION ({})", ident(name)));
    format!(
        "SELECT COUNT(*) AS n, SUM(CAST(CONV(SUBSTRING(MD5({row}), 1, 15), 16, 10) AS LARGEINT)) AS s FROM {table}{partition}"
    )
}

/// Whether a type can be compared by its text. States of aggregations cannot.
pub fn has_text(kind: &str) -> bool {
    !["agg_state", "quantile_state"]
        .iter()
        .any(|without| starts_with(kind, without))
}

fn value(column: &ColumnInfo) -> Option<String> {
    if !has_text(&column.kind) {
        return None;
    }
    let name = ident(&column.name);
    let text = if starts_with(&column.kind, "bitmap") {
        format!("BITMAP_TO_STRING({name})")
    } else if starts_with(&column.kind, "hll") {
        format!("CAST(HLL_CARDINALITY({name}) AS STRING)")
    } else {
        format!("CAST({name} AS STRING)")
    };
    Some(format!(
        "IF({name} IS NULL, 'n', CONCAT(LENGTH({text}), ':', {text}))"
    ))
}

fn starts_with(kind: &str, prefix: &str) -> bool {
    kind.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: &str) -> ColumnInfo {
        ColumnInfo {
            name: name.to_owned(),
            kind: kind.to_owned(),
            is_key: false,
        }
    }

    #[test]
    fn values_are_taken_by_their_type_and_null_is_no_text() {
        let columns = [
            column("a`b", "INT"),
            column("b", "bitmap"),
            column("h", "HLL"),
            column("q", "quantile_state"),
        ];
        assert_eq!(
            statement(&ObjectName::new("d", "t"), Some("p"), &columns),
            "SELECT COUNT(*) AS n, SUM(CAST(CONV(SUBSTRING(MD5(CONCAT(\
             IF(`a``b` IS NULL, 'n', CONCAT(LENGTH(CAST(`a``b` AS STRING)), ':', CAST(`a``b` AS STRING))), \
             IF(`b` IS NULL, 'n', CONCAT(LENGTH(BITMAP_TO_STRING(`b`)), ':', BITMAP_TO_STRING(`b`))), \
             IF(`h` IS NULL, 'n', CONCAT(LENGTH(CAST(HLL_CARDINALITY(`h`) AS STRING)), ':', CAST(HLL_CARDINALITY(`h`) AS STRING)))\
             )), 1, 15), 16, 10) AS LARGEINT)) AS s FROM `d`.`t` PARTITION (`p`)"
        );
    }

    #[test]
    fn a_table_of_states_alone_is_counted() {
        assert_eq!(
            statement(
                &ObjectName::new("d", "t"),
                None,
                &[column("q", "AGG_STATE<sum(int)>")]
            ),
            "SELECT COUNT(*) AS n, SUM(CAST(CONV(SUBSTRING(MD5(''), 1, 15), 16, 10) AS LARGEINT)) AS s FROM `d`.`t`"
        );
    }
}
