//! What an event means for a job, and the statements that repeat it.

use ccr_applier::plan::ddl::Ddl;
use ccr_applier::plan::route::{Route, route};
use ccr_schemas::event::{
    AlterJobChanged, IndexJobChanged, PartitionDropped, PartitionRef, PartitionsReplaced, Property,
    Recovered, Renamed, TableDropped, TableRef, TableTruncated, TruncateScope, ViewRedefined,
};
use ccr_schemas::{PartitionId, Replay};

use super::*;

fn settings() -> Settings {
    Settings {
        database: "dst".to_owned(),
        source_database: "src".to_owned(),
        table_names: BTreeMap::new(),
        filter: TableFilter::default(),
        options: JobOptions::default(),
        job: "job".to_owned(),
        replaces_existing: false,
        table_resyncs: Default::default(),
        layout_max_age_ms: 10_000,
    }
}

fn table() -> TableRef {
    TableRef {
        id: TableId(7),
        name: "t".to_owned(),
    }
}

fn routed(event: Event, replay: Replay) -> Route {
    let envelope = Envelope {
        replay,
        ..Source::new(1).own(event)
    };
    route(&envelope, &settings())
}

fn ddl(event: Event) -> Ddl {
    match routed(event, Replay::Sql) {
        Route::Change { ddl, .. } => *ddl,
        other => panic!("no statement: {other:?}"),
    }
}

fn truncated(scope: TruncateScope) -> Event {
    Event::TableTruncated(TableTruncated {
        table: table(),
        scope,
        force: false,
    })
}

fn partition(id: i64, name: &str) -> PartitionRef {
    PartitionRef {
        id: PartitionId(id),
        name: name.to_owned(),
    }
}

#[test]
fn a_truncate_of_partitions_never_empties_the_others() {
    let some = TruncateScope::TruncatedPartitions(vec![partition(-1, "p1"), partition(5, "p2")]);
    assert_eq!(
        ddl(truncated(some)).statements,
        ["TRUNCATE TABLE `t` PARTITION (`p1`, `p2`)"]
    );
    assert_eq!(
        ddl(truncated(TruncateScope::EntireTable)).statements,
        ["TRUNCATE TABLE `t`"]
    );
    for unknown in [vec![], vec![partition(5, "")]] {
        let scope = TruncateScope::TruncatedPartitions(unknown);
        let route = routed(truncated(scope), Replay::Sql);
        assert!(matches!(route, Route::Renew { .. }), "{route:?}");
    }
}

#[test]
fn what_is_dropped_stays_recoverable_unless_the_source_used_force() {
    for (force, tail) in [(false, ""), (true, " FORCE")] {
        let drop = Event::TableDropped(TableDropped {
            table: table(),
            is_view: false,
            force,
        });
        assert_eq!(
            ddl(drop).statements,
            [format!("DROP TABLE IF EXISTS `t`{tail}")]
        );
        let drop = Event::PartitionDropped(PartitionDropped {
            table: table(),
            partition_id: PartitionId(5),
            name: "p1".to_owned(),
            is_temp: false,
            force,
        });
        assert_eq!(
            ddl(drop).statements,
            [format!(
                "ALTER TABLE `t` DROP PARTITION IF EXISTS `p1`{tail}"
            )]
        );
    }
}

#[test]
fn a_view_is_redefined_with_its_columns_and_its_comment() {
    let property = |key: &str, value: &str| Property {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let redefined = |definition: &str, comment: Option<&str>, columns: Vec<Property>| {
        Event::ViewRedefined(ViewRedefined {
            view: table(),
            definition: definition.to_owned(),
            comment: comment.map(str::to_owned),
            columns,
        })
    };
    let both = redefined(
        "SELECT `internal`.`src`.`a`.`x` FROM `internal`.`src`.`a`",
        Some("d"),
        vec![property("x", "c"), property("y", "")],
    );
    assert_eq!(
        ddl(both).statements,
        [
            "ALTER VIEW `t` (`x` COMMENT 'c', `y`) AS SELECT `internal`.`dst`.`a`.`x` FROM `internal`.`dst`.`a`",
            "ALTER VIEW `t` MODIFY COMMENT 'd'",
        ]
    );
    assert_eq!(
        ddl(redefined("", Some("d"), vec![])).statements,
        ["ALTER VIEW `t` MODIFY COMMENT 'd'"]
    );
    assert_eq!(
        ddl(redefined("SELECT 1", None, vec![property("x", "")])).statements,
        ["ALTER VIEW `t` AS SELECT 1"]
    );
}

/// The producer decides once for all targets; nothing is decided again here.
#[test]
fn every_kind_is_repeated_as_the_event_says() {
    let renamed = |new: &str| Renamed {
        table: table(),
        old: "o".to_owned(),
        new: new.to_owned(),
    };
    let events = [
        truncated(TruncateScope::EntireTable),
        Event::PartitionRenamed(renamed("n")),
        Event::RollupRenamed(renamed("n")),
        Event::Recovered(Recovered {
            table: table(),
            partition: None,
        }),
        Event::PartitionsReplaced(PartitionsReplaced {
            table: table(),
            partitions: vec![],
            temp_partitions: vec![],
            strict_range: true,
            use_temp_name: false,
        }),
        Event::IndexJobChanged(IndexJobChanged {
            table: table(),
            partition: partition(1, "p"),
            state: "FINISHED".to_owned(),
            is_drop: false,
            names: vec![],
        }),
        Event::AlterJobChanged(AlterJobChanged {
            table: table(),
            job_type: "SCHEMA_CHANGE".to_owned(),
            job_id: 1,
            state: "FINISHED".to_owned(),
            sql: String::new(),
            shadow_indexes: vec![],
            rollup: None,
            rollup_name: String::new(),
        }),
    ];
    for event in events {
        let reason = || "as the producer says".to_owned();
        let kind = event.kind();
        let route = routed(event.clone(), Replay::Snapshot { reason: reason() });
        let Route::Renew { renewals, .. } = route else {
            panic!("{kind:?} does not come by a snapshot: {route:?}");
        };
        let renewal = &renewals[0];
        assert!(renewal.reason.contains("as the producer says"), "{kind:?}");
        let route = routed(event.clone(), Replay::Skip { reason: reason() });
        assert!(
            matches!(&route, Route::Skip(text) if *text == reason()),
            "{kind:?}: {route:?}"
        );
        let route = routed(event, Replay::Halt { reason: reason() });
        assert!(matches!(route, Route::Stand { .. }), "{kind:?}: {route:?}");
    }
}

/// More tablets than a record of the log can list, or a table that no record introduced: the event has no places to fetch from.
#[test]
fn a_transaction_is_repeated_as_its_event_says_too() {
    let mut source = Source::new(1);
    let (a, b) = (source.existing("a"), source.existing("b"));
    let load = source.write(&[a, b]);
    let reason = || "as the producer says".to_owned();
    let with = |replay: Replay| {
        let envelope = Envelope {
            replay,
            ..load.clone()
        };
        route(&envelope, &settings())
    };
    assert!(matches!(with(Replay::Transaction), Route::Load(_)));
    let Route::Renew { renewals, .. } = with(Replay::Snapshot { reason: reason() }) else {
        panic!("it does not come by snapshots");
    };
    let brought: Vec<_> = renewals.iter().map(|renewal| renewal.table.0).collect();
    assert_eq!(brought, [a, b]);
    let skipped = with(Replay::Skip { reason: reason() });
    assert!(matches!(skipped, Route::Skip(text) if text == reason()));
    let halted = with(Replay::Halt { reason: reason() });
    assert!(matches!(halted, Route::Stand { .. }), "{halted:?}");
}
