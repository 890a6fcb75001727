//! Events after which another table bears one of the job's names.
//!
//! For every name of the job the destination's table holds the content of the source table that bears it. `RENAME` and
//! `REPLACE WITH TABLE` between names of the job keep that by a statement. Where a table comes to a name of the job from a name
//! that is none, the destination has no copy of it: a snapshot brings it under its new name, in place of what bore that name.
//! A table that leaves the job's names takes nothing along; what is written under its new name does not concern the job.

use std::collections::BTreeMap;

use ccr_control::Policy;
use ccr_schemas::event::{Renamed, TableReplaced};
use ccr_schemas::{Envelope, Event, Replay, TableId};

use crate::plan::ddl::{self, Bearer, Ddl, replaced_bearers};
use crate::plan::route::{NOT_SUPPORTED, Route, unsupported};
use crate::plan::state::{Renewal, Settings};

/// What an event means that no statement between two names of the job repeats; `None` for all others.
pub(super) fn crossing(envelope: &Envelope, settings: &Settings) -> Option<Route> {
    let by_statement = match envelope.replay {
        Replay::Sql | Replay::Transaction => true,
        Replay::Snapshot { .. } => false,
        Replay::Skip { .. } | Replay::Halt { .. } | Replay::Control => return None,
    };
    if let Event::TableRenamed(event) = &envelope.event {
        return renamed(event, by_statement, envelope, settings);
    }
    if let Event::TableReplaced(event) = &envelope.event {
        return replaced(event, by_statement, envelope, settings);
    }
    None
}

fn renamed(
    event: &Renamed,
    by_statement: bool,
    envelope: &Envelope,
    settings: &Settings,
) -> Option<Route> {
    let old = match event.old.as_str() {
        "" => event.table.name.as_str(),
        old => old,
    };
    if old.is_empty() {
        return None;
    }
    let bearer = Bearer::new(event.table.id, &event.new, settings);
    match (
        settings.filter.takes(old),
        settings.filter.takes(&event.new),
    ) {
        (false, true) => {
            let renewal = Renewal {
                creates: !settings.replaces_existing,
                ..resync(&bearer, envelope, settings)
            };
            Some(resyncs(vec![renewal], BTreeMap::new(), envelope, settings))
        }
        (true, true) if !by_statement => {
            let tables = BTreeMap::from([(event.table.id, old.to_owned())]);
            let ddl = ddl::table_renamed(event, settings);
            Some(put_right(ddl, tables, envelope, settings))
        }
        (true, false) => {
            let tables = BTreeMap::from([(event.table.id, old.to_owned())]);
            let reason = format!("the new name {} is not among the job's tables", event.new);
            Some(unsupported(tables, &reason, settings, envelope))
        }
        (true, true) | (false, false) => None,
    }
}

fn replaced(
    event: &TableReplaced,
    by_statement: bool,
    envelope: &Envelope,
    settings: &Settings,
) -> Option<Route> {
    let (original, replacement) = (&event.original, &event.replacement);
    if original.name.is_empty() || replacement.name.is_empty() {
        return None;
    }
    let takes = |name: &str| settings.filter.takes(name);
    let was = (takes(&original.name), takes(&replacement.name));
    let both = [original, replacement].map(|table| (table.id, table.name.clone()));
    let both = BTreeMap::from(both);
    match (was, by_statement) {
        ((true, true), true) | ((false, false), _) => return None,
        ((true, true), false) => {
            let ddl = ddl::table_replaced(event, settings);
            return Some(put_right(ddl, both, envelope, settings));
        }
        ((true, false) | (false, true), _) => {}
    }
    if was == (false, true) && !event.swap {
        let tables = BTreeMap::from([(replacement.id, replacement.name.clone())]);
        let reason = format!(
            "it takes the name {}, which is not among the job's tables",
            original.name
        );
        return Some(unsupported(tables, &reason, settings, envelope));
    }
    let bearers = replaced_bearers(event, settings);
    let renewals: Vec<Renewal> = bearers
        .iter()
        .filter(|bearer| takes(&bearer.name))
        .map(|bearer| resync(bearer, envelope, settings))
        .collect();
    Some(resyncs(renewals, both, envelope, settings))
}

/// Names change by a statement on the copies there are, then snapshots bring the content.
fn put_right(
    ddl: Ddl,
    tables: BTreeMap<TableId, String>,
    envelope: &Envelope,
    settings: &Settings,
) -> Route {
    let why = match &envelope.replay {
        Replay::Snapshot { reason } => reason.as_str(),
        Replay::Sql
        | Replay::Transaction
        | Replay::Skip { .. }
        | Replay::Halt { .. }
        | Replay::Control => "",
    };
    match settings.options.on_unsupported {
        Policy::Halt => Route::Change {
            ddl: Box::new(ddl.with_stale(tables.keys().copied(), why)),
            tables,
            barrier: true,
        },
        Policy::Skip => not_supported(envelope),
    }
}

fn not_supported(envelope: &Envelope) -> Route {
    Route::Skip(format!(
        "{NOT_SUPPORTED}: {}",
        envelope.event.kind().as_str()
    ))
}

fn resync(bearer: &Bearer, envelope: &Envelope, settings: &Settings) -> Renewal {
    let reason = match &envelope.replay {
        Replay::Snapshot { reason } => reason.clone(),
        Replay::Sql
        | Replay::Transaction
        | Replay::Skip { .. }
        | Replay::Halt { .. }
        | Replay::Control => format!(
            "a table that job {} did not follow bears the name {}",
            settings.job, bearer.name
        ),
    };
    Renewal::instead(bearer, envelope.event.kind(), &reason)
}

fn resyncs(
    renewals: Vec<Renewal>,
    mut tables: BTreeMap<TableId, String>,
    envelope: &Envelope,
    settings: &Settings,
) -> Route {
    for renewal in &renewals {
        tables.insert(renewal.table, renewal.name.clone());
    }
    match settings.options.on_unsupported {
        Policy::Halt => Route::Renew { renewals, tables },
        Policy::Skip => not_supported(envelope),
    }
}
