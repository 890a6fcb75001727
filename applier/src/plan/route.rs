//! What an event means for a job: the one place where kinds of events are told apart.

use std::collections::BTreeMap;

use ccr_control::Policy;
use ccr_doris::ddl::NotUnderstood;
use ccr_schemas::event::{RowsetsCommitted, TableRef};
use ccr_schemas::{Envelope, Event, Replay, TableId};

use crate::plan::ddl::{self, Ddl};
use crate::plan::mapping::left_out;
use crate::plan::scope;
use crate::plan::state::{Renewal, Settings};

/// How the reason begins for which the policy leaves out an event that changes a table.
pub const NOT_SUPPORTED: &str = "not supported";

/// What an event means.
#[derive(Clone, Debug)]
pub enum Route {
    /// Nothing to do and nothing to tell: events that only steer.
    Pass,
    /// Nothing to do, for a reason.
    Skip(String),
    /// A transaction on these tables.
    Load(BTreeMap<TableId, String>),
    /// A change of shape on these tables.
    Change {
        /// What to run.
        ddl: Box<Ddl>,
        /// Its tables.
        tables: BTreeMap<TableId, String>,
        /// Everything before it ends first, and nothing behind it starts.
        barrier: bool,
    },
    /// What no statement repeats: tables are re-synced by snapshots, one after the other.
    Renew {
        /// At least one.
        renewals: Vec<Renewal>,
        /// Its tables: those, and the ones that leave the job's names to them.
        tables: BTreeMap<TableId, String>,
    },
    /// These tables cannot go on.
    Stand {
        /// Tables.
        tables: BTreeMap<TableId, String>,
        /// Why, with the next step.
        reason: String,
    },
    /// The job cannot go on.
    Halt(String),
}

/// Decides by kind, filter and policy. Positions play no part here.
pub fn route(envelope: &Envelope, settings: &Settings) -> Route {
    let seq = envelope.commit_seq;
    if settings.options.skip.contains(&seq) {
        return Route::Skip("skipped by the job's options".to_owned());
    }
    if let Event::RowsetsCommitted(event) = &envelope.event {
        return load(event, envelope, settings);
    }
    if let Some(route) = scope::crossing(envelope, settings) {
        return route;
    }
    let tables: BTreeMap<TableId, String> = envelope
        .event
        .tables()
        .into_iter()
        .filter(|table| takes(table, settings))
        .map(|table| (table.id, table.name.clone()))
        .collect();
    let of_tables = !envelope.event.tables().is_empty();
    if of_tables && tables.is_empty() {
        return Route::Skip("filtered".to_owned());
    }
    match &envelope.replay {
        Replay::Skip { reason } => return Route::Skip(reason.clone()),
        Replay::Control => return Route::Pass,
        Replay::Snapshot { reason } => {
            // Names that changed in a way that is not known cannot be put right by a snapshot.
            let changes_names = matches!(
                envelope.event,
                Event::TableRenamed(_) | Event::TableReplaced(_)
            );
            return if changes_names {
                unsupported(tables, reason, settings, envelope)
            } else {
                renew(tables, reason, settings, envelope)
            };
        }
        Replay::Halt { reason } => return unsupported(tables, reason, settings, envelope),
        Replay::Transaction | Replay::Sql => {}
    }
    if tables.values().any(String::is_empty) {
        return unsupported(tables, "the table's name is not known", settings, envelope);
    }
    change(envelope, tables, settings)
}

fn takes(table: &TableRef, settings: &Settings) -> bool {
    settings.filter.takes(&table.name)
}

fn load(event: &RowsetsCommitted, envelope: &Envelope, settings: &Settings) -> Route {
    let mut why = None;
    let mut tables = BTreeMap::new();
    for rowsets in &event.tables {
        let needed = rowsets.partitions.iter().any(|p| left_out(p).is_none());
        if !needed {
            why = why.or(rowsets.partitions.iter().find_map(left_out));
        } else if takes(&rowsets.table, settings) {
            tables.insert(rowsets.table.id, rowsets.table.name.clone());
        } else {
            why = why.or(Some("filtered"));
        }
    }
    if tables.is_empty() {
        return Route::Skip(why.unwrap_or("nothing written").to_owned());
    }
    match &envelope.replay {
        Replay::Transaction | Replay::Sql => Route::Load(tables),
        Replay::Snapshot { reason } => renew(tables, reason, settings, envelope),
        Replay::Skip { reason } => Route::Skip(reason.clone()),
        Replay::Halt { reason } => unsupported(tables, reason, settings, envelope),
        Replay::Control => Route::Pass,
    }
}

pub(super) fn unsupported(
    tables: BTreeMap<TableId, String>,
    reason: &str,
    settings: &Settings,
    envelope: &Envelope,
) -> Route {
    let kind = envelope.event.kind().as_str();
    let seq = envelope.commit_seq;
    match (settings.options.on_unsupported, tables.is_empty()) {
        (Policy::Skip, _) => Route::Skip(format!("{NOT_SUPPORTED}: {kind}")),
        (Policy::Halt, true) => Route::Halt(format!(
            "event {seq} ({kind}) cannot be repeated: {reason}; sync the job again with `ccr job resync {}`, or repair \
             the destination by hand and let the job leave the event out with `ccr job skip {} {seq}`",
            settings.job, settings.job
        )),
        (Policy::Halt, false) => Route::Stand {
            reason: format!(
                "{kind} cannot be repeated by a statement: {reason}; {}",
                settings.resync_advice(tables.values().map(String::as_str))
            ),
            tables,
        },
    }
}

/// Tables whose names are known come by snapshots.
fn renew(
    tables: BTreeMap<TableId, String>,
    reason: &str,
    settings: &Settings,
    envelope: &Envelope,
) -> Route {
    let is_named = !tables.is_empty() && tables.values().all(|name| !name.is_empty());
    if settings.options.on_unsupported == Policy::Skip || !is_named {
        return unsupported(tables, reason, settings, envelope);
    }
    let creates = matches!(envelope.event, Event::TableCreated(_));
    let renewals = tables
        .iter()
        .map(|(table, name)| Renewal {
            table: *table,
            name: name.clone(),
            dest: settings.dest_name(name).to_owned(),
            reason: format!(
                "{} cannot be repeated by a statement: {reason}",
                envelope.event.kind().as_str()
            ),
            creates: creates && !settings.replaces_existing,
            request: None,
        })
        .collect();
    Route::Renew { renewals, tables }
}

/// An event that the producer says a statement repeats. What has no statement here is brought by a snapshot.
fn change(envelope: &Envelope, tables: BTreeMap<TableId, String>, settings: &Settings) -> Route {
    let changed = |ddl: Ddl, barrier: bool| Route::Change {
        ddl: Box::new(ddl),
        tables: tables.clone(),
        barrier,
    };
    let lane = |ddl: Ddl| changed(ddl, false);
    let barrier = |ddl: Ddl| changed(ddl, true);
    let by_snapshot = |reason: &str| renew(tables.clone(), reason, settings, envelope);
    let rewritten = |ddl: Result<Ddl, NotUnderstood>, barrier: bool| match ddl {
        Ok(ddl) => changed(ddl, barrier),
        Err(error) => by_snapshot(&error.to_string()),
    };
    let not_by_sql = |reason: &str| unsupported(tables.clone(), reason, settings, envelope);
    match &envelope.event {
        Event::TableCreated(e) => rewritten(ddl::table_created(e, settings), true),
        Event::TableDropped(e) => barrier(ddl::table_dropped(e, settings)),
        Event::TableRenamed(e) => barrier(ddl::table_renamed(e, settings)),
        Event::TableReplaced(e) => barrier(ddl::table_replaced(e, settings)),
        Event::ViewRedefined(e) => match ddl::view_redefined(e, settings) {
            Some(ddl) => barrier(ddl),
            None => not_by_sql("the event has neither a definition nor a comment"),
        },
        Event::PartitionAdded(e) => rewritten(ddl::partition_added(e, settings), false),
        Event::PartitionDropped(e) => lane(ddl::partition_dropped(e, settings)),
        Event::PartitionRenamed(e) => lane(ddl::partition_renamed(e, settings)),
        Event::TableTruncated(e) => match ddl::table_truncated(e, settings) {
            Some(ddl) => lane(ddl),
            None => by_snapshot("the event does not name the truncated partitions"),
        },
        Event::ColumnsChanged(e) => rewritten(ddl::columns_changed(e, settings), false),
        Event::ColumnRenamed(e) => lane(ddl::column_renamed(e, settings)),
        Event::CommentModified(e) => lane(ddl::comment_modified(e, settings)),
        Event::TablePropertiesChanged(e) => match ddl::table_properties(e, settings) {
            Some(ddl) => lane(ddl),
            None => not_by_sql("the event has no property"),
        },
        Event::IndexesChanged(e) if e.dropped => lane(ddl::indexes_dropped(e, settings)),
        Event::RollupDropped(e) => lane(ddl::rollup_dropped(e, settings)),
        Event::RollupRenamed(e) => lane(ddl::rollup_renamed(e, settings)),
        Event::BucketCountModified(e) => lane(ddl::bucket_count(e, settings)),
        Event::DistributionTypeModified(e) => lane(ddl::distribution_random(e, settings)),
        Event::IndexesChanged(_)
        | Event::AlterJobChanged(_)
        | Event::PartitionsReplaced(_)
        | Event::IndexJobChanged(_)
        | Event::Recovered(_) => by_snapshot("no statement is known for it"),
        Event::RowsetsCommitted(_)
        | Event::StreamHead(_)
        | Event::DatabasePropertiesChanged(_)
        | Event::Barrier(_)
        | Event::PartitionsModified(_)
        | Event::Unsupported(_)
        | Event::Heartbeat(_)
        | Event::TimelineChanged(_)
        | Event::SnapshotTaken(_)
        | Event::Gap(_) => not_by_sql("no statement is known for it"),
    }
}
