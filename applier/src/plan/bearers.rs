//! Which source table bears which name, by the events read in this run. A second line of defence: the producer tells a table that
//! no record introduced, and every event that changes names is in the log; where a name passes to another table without one, the
//! rows of that table must not go to the copy of the other.

use std::collections::BTreeMap;

use ccr_schemas::event::TableRef;
use ccr_schemas::{Envelope, Event, Replay, TableId};

/// Source tables by name, as far as events have said.
#[derive(Clone, Debug, Default)]
pub struct Bearers(BTreeMap<String, TableId>);

impl Bearers {
    /// Forgets everything: history is missing.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the table that bears the name of a table of a transaction, when that is another one. Then takes over what the
    /// event says of names.
    pub fn contradiction(&mut self, envelope: &Envelope) -> Option<(TableRef, TableId)> {
        if let Event::RowsetsCommitted(event) = &envelope.event
            && envelope.replay == Replay::Transaction
        {
            let tables = event.tables.iter().map(|rowsets| &rowsets.table);
            for table in tables.filter(|table| !table.name.is_empty()) {
                let known = *self.0.entry(table.name.clone()).or_insert(table.id);
                if known != table.id {
                    return Some((table.clone(), known));
                }
            }
            return None;
        }
        self.fold(envelope);
        None
    }

    fn fold(&mut self, envelope: &Envelope) {
        let by_snapshot = matches!(envelope.replay, Replay::Snapshot { .. });
        if let Event::TableDropped(event) = &envelope.event {
            self.forget(event.table.id);
        } else if let Event::TableRenamed(event) = &envelope.event {
            self.take(event.table.id, &event.new);
        } else if let Event::TableReplaced(event) = &envelope.event {
            self.forget(event.original.id);
            self.take(event.replacement.id, &event.original.name);
            if event.swap {
                self.take(event.original.id, &event.replacement.name);
            }
        } else if let Event::TableCreated(event) = &envelope.event {
            self.take(event.table.id, &event.table.name);
        } else if by_snapshot {
            for table in envelope.event.tables() {
                self.take(table.id, &table.name);
            }
        }
    }

    fn take(&mut self, table: TableId, name: &str) {
        self.forget(table);
        if !name.is_empty() {
            self.0.insert(name.to_owned(), table);
        }
    }

    fn forget(&mut self, table: TableId) {
        self.0.retain(|_, bearer| *bearer != table);
    }
}
