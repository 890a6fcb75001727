//! `REPLACE WITH TABLE` where not both tables are at the destination: one of them was never brought, because its own snapshot
//! turned out not to be needed, or because it came to the source without a record.
//!
//! Before the event each name belongs to the copy of the table that bears it at the source, or to nothing. So the tables that
//! are there tell what is left to do: names change by a statement, and what is absent is brought under the name it has then.

use crate::plan::checkpoint::PairFound;
use crate::plan::ddl::{self, Bearer, Ddl, Effect};

/// What a change of names comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What to run first, if anything.
    pub ddl: Option<Ddl>,
    /// Tables to bring by snapshots then, under the names they bear after the event.
    pub resync: Vec<Bearer>,
}

/// Decides by what was there. A change that is no exchange is run as it is.
pub fn exchange(change: &Ddl, found: Option<PairFound>) -> Exchange {
    let renamed = |old: &str, new: &str| Some(ddl::renamed(old, new));
    let as_it_is = || Some(change.clone());
    // The bearers of an exchange are the replacement, then, after a swap, the original.
    let (ddl, absent) = match (found, &change.effect) {
        (
            Some(found),
            Effect::Exchanged {
                original,
                replacement,
                swap,
            },
        ) => match (found, swap) {
            (PairFound::Both(_), _) => (as_it_is(), None),
            (PairFound::ReplacementOnly, _) => {
                (renamed(replacement, original), change.bearers.get(1..))
            }
            (PairFound::OriginalOnly, true) => {
                (renamed(original, replacement), change.bearers.get(..1))
            }
            // The original is gone at the source: the snapshot of the other takes its place.
            (PairFound::OriginalOnly, false) => (None, change.bearers.get(..1)),
            (PairFound::Neither, _) => (None, change.bearers.get(..)),
        },
        (Some(_) | None, _) => (as_it_is(), None),
    };
    let absent = absent.unwrap_or_default();
    let is_stale = |bearer: &Bearer| {
        let stale = change.stale.as_ref();
        stale.is_some_and(|stale| stale.tables.contains(&bearer.table))
    };
    let resync = change.bearers.iter();
    let resync = resync.filter(|bearer| absent.contains(bearer) || is_stale(bearer));
    Exchange {
        ddl,
        resync: resync.cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use ccr_control::{JobOptions, TableFilter};
    use ccr_schemas::TableId;
    use ccr_schemas::event::{TableRef, TableReplaced};

    use super::*;
    use crate::plan::Settings;

    fn replaced(swap: bool) -> Ddl {
        let settings = Settings {
            database: "dst".to_owned(),
            source_database: "src".to_owned(),
            table_names: [("a".to_owned(), "alias".to_owned())].into(),
            filter: TableFilter::default(),
            options: JobOptions::default(),
            job: "job".to_owned(),
            replaces_existing: false,
            table_resyncs: Default::default(),
            layout_max_age_ms: 10_000,
        };
        let table = |id: i64, name: &str| TableRef {
            id: TableId(id),
            name: name.to_owned(),
        };
        let event = TableReplaced {
            original: table(1, "a"),
            replacement: table(2, "b"),
            swap,
        };
        ddl::table_replaced(&event, &settings)
    }

    #[test]
    fn names_change_by_a_statement_and_absent_tables_come_under_the_name_they_have_then() {
        for (found, swap, statement, absent) in [
            (
                PairFound::Both(7),
                false,
                "ALTER TABLE `alias` REPLACE WITH TABLE `b` PROPERTIES ('swap' = 'false')",
                "",
            ),
            (
                PairFound::Both(7),
                true,
                "ALTER TABLE `alias` REPLACE WITH TABLE `b` PROPERTIES ('swap' = 'true')",
                "",
            ),
            (
                PairFound::ReplacementOnly,
                false,
                "ALTER TABLE `b` RENAME `alias`",
                "",
            ),
            (
                PairFound::ReplacementOnly,
                true,
                "ALTER TABLE `b` RENAME `alias`",
                "1 as b",
            ),
            (PairFound::OriginalOnly, false, "", "2 as alias"),
            (
                PairFound::OriginalOnly,
                true,
                "ALTER TABLE `alias` RENAME `b`",
                "2 as alias",
            ),
            (PairFound::Neither, false, "", "2 as alias"),
            (PairFound::Neither, true, "", "2 as alias, 1 as b"),
        ] {
            let found_text = format!("{found:?}, swap {swap}");
            let exchange = exchange(&replaced(swap), Some(found));
            let run = exchange
                .ddl
                .map_or_else(String::new, |ddl| ddl.statements.join(" | "));
            assert_eq!(run, statement, "{found_text}");
            let named = |b: &Bearer| format!("{} as {}", b.table, b.dest);
            let brought: Vec<_> = exchange.resync.iter().map(named).collect();
            assert_eq!(brought.join(", "), absent, "{found_text}");
        }
    }
}
