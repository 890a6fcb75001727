//! Which tables and views a database has, as of the last event: a fold over events.

use std::collections::{BTreeMap, BTreeSet};

use ccr_doris::TableMeta;
use ccr_schemas::event::TableRef;
use ccr_schemas::{Event, IndexId, Replay, TableId};
use serde::{Deserialize, Serialize};

/// Type of a view in `tableType` of Doris.
pub const VIEW: &str = "VIEW";
/// Type of a table.
pub const OLAP: &str = "OLAP";
/// Type of an asynchronous materialized view.
pub const MATERIALIZED_VIEW: &str = "MATERIALIZED_VIEW";

/// A table or view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Name.
    pub name: String,
    /// [`OLAP`], [`VIEW`], [`MATERIALIZED_VIEW`] or another of the source's types.
    pub kind: String,
}

/// Tables and views by id, and the hidden indexes of jobs that run.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Catalog {
    objects: BTreeMap<TableId, Object>,
    /// Indexes that a job builds and has not finished, as of the last event. The source may be further: there, such an
    /// index may have taken over already.
    #[serde(default)]
    unfinished: BTreeSet<IndexId>,
}

impl Catalog {
    /// From what the source has now.
    pub fn of(tables: &[TableMeta], views: &[TableRef]) -> Self {
        let tables = tables.iter().map(|table| {
            let kind = match table.kind.as_str() {
                "" => OLAP,
                kind => kind,
            };
            (table.id, object(&table.name, kind))
        });
        let views = views.iter().map(|view| (view.id, object(&view.name, VIEW)));
        Self {
            objects: tables.chain(views).collect(),
            unfinished: BTreeSet::new(),
        }
    }

    /// The object of an id.
    pub fn get(&self, id: TableId) -> Option<&Object> {
        self.objects.get(&id)
    }

    /// Names of all objects.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.objects.values().map(|object| object.name.as_str())
    }

    /// The table with the name it has now. `said` is what the record says, for tables that are not known: some records
    /// carry the name of the day their job began.
    pub fn now(&self, id: TableId, said: &str) -> TableRef {
        TableRef {
            id,
            name: self
                .get(id)
                .map_or_else(|| said.to_owned(), |object| object.name.clone()),
        }
    }

    /// The table with the name that the record says, which is the name of the moment; else the one it has now.
    pub fn said(&self, id: TableId, said: &str) -> TableRef {
        if said.is_empty() {
            return self.now(id, said);
        }
        TableRef {
            id,
            name: said.to_owned(),
        }
    }

    /// True for an asynchronous materialized view.
    pub fn is_async_view(&self, id: TableId) -> bool {
        self.get(id)
            .is_some_and(|object| object.kind == MATERIALIZED_VIEW)
    }

    /// Takes over a view of a snapshot, unless its id is known. True when it was not.
    pub fn learn_view(&mut self, view: &TableRef) -> bool {
        self.get(view.id).is_none() && self.put(view.id, &view.name, VIEW)
    }

    /// Takes over the tables of an event that brings them by a snapshot and that no record introduced. True when there was one.
    pub fn introduce(&mut self, event: &Event, replay: &Replay) -> bool {
        // Of these the event itself says what becomes of names.
        let changes_names = matches!(
            event,
            Event::TableCreated(_)
                | Event::TableDropped(_)
                | Event::TableRenamed(_)
                | Event::TableReplaced(_)
        );
        if changes_names || !matches!(replay, Replay::Snapshot { .. }) {
            return false;
        }
        let mut changed = false;
        for table in event.tables() {
            if !table.name.is_empty() && self.get(table.id).is_none() {
                changed |= self.take_name(table.id, &table.name, OLAP);
            }
        }
        changed
    }

    /// The object bears the name from now on, and no other does: one that did is gone without a record.
    pub fn take_name(&mut self, id: TableId, name: &str, kind: &str) -> bool {
        let before = self.objects.len();
        self.objects
            .retain(|other, object| *other == id || object.name != name);
        self.put(id, name, kind) || self.objects.len() != before
    }

    /// True for an index that a job still builds.
    pub fn is_unfinished(&self, index: IndexId) -> bool {
        self.unfinished.contains(&index)
    }

    /// Takes over what an event changes. True when something changed. Taking over the same event again changes nothing.
    pub fn fold(&mut self, event: &Event) -> bool {
        match event {
            Event::TableCreated(e) => self.take_name(e.table.id, &e.table.name, &e.table_type),
            Event::TableDropped(e) => self.objects.remove(&e.table.id).is_some(),
            Event::TableRenamed(e) => {
                let kind = self.kind(e.table.id);
                self.take_name(e.table.id, &e.new, &kind)
            }
            Event::TableReplaced(e) => {
                let (original, replacement) = (&e.original, &e.replacement);
                let before = self.objects.clone();
                let (kind, other) = (self.kind(replacement.id), self.kind(original.id));
                self.objects.remove(&original.id);
                self.objects.remove(&replacement.id);
                self.take_name(replacement.id, &original.name, &kind);
                if e.swap {
                    self.take_name(original.id, &replacement.name, &other);
                }
                self.objects != before
            }
            Event::Recovered(e) => match e.partition {
                None => {
                    let kind = self.kind(e.table.id);
                    self.take_name(e.table.id, &e.table.name, &kind)
                }
                Some(_) => false,
            },
            Event::AlterJobChanged(e) => {
                let built = e.shadow_indexes.iter().chain(&e.rollup).map(|i| i.shadow);
                let ended = matches!(e.state.as_str(), "FINISHED" | "CANCELLED");
                let mut changed = false;
                for index in built {
                    changed |= match ended {
                        true => self.unfinished.remove(&index),
                        false => self.unfinished.insert(index),
                    };
                }
                changed
            }
            Event::RowsetsCommitted(_)
            | Event::PartitionAdded(_)
            | Event::PartitionDropped(_)
            | Event::ColumnsChanged(_)
            | Event::StreamHead(_)
            | Event::DatabasePropertiesChanged(_)
            | Event::TablePropertiesChanged(_)
            | Event::Barrier(_)
            | Event::PartitionsModified(_)
            | Event::PartitionsReplaced(_)
            | Event::TableTruncated(_)
            | Event::ColumnRenamed(_)
            | Event::CommentModified(_)
            | Event::ViewRedefined(_)
            | Event::IndexesChanged(_)
            | Event::IndexJobChanged(_)
            | Event::RollupRenamed(_)
            | Event::PartitionRenamed(_)
            | Event::RollupDropped(_)
            | Event::BucketCountModified(_)
            | Event::DistributionTypeModified(_)
            | Event::Unsupported(_)
            | Event::Gap(_)
            | Event::SnapshotTaken(_)
            | Event::Heartbeat(_)
            | Event::TimelineChanged(_) => false,
        }
    }

    /// The kind of an object; a table where it is not known.
    pub(super) fn kind(&self, id: TableId) -> String {
        self.get(id)
            .map_or_else(|| OLAP.to_owned(), |object| object.kind.clone())
    }

    /// Forgets an object.
    pub(super) fn remove(&mut self, id: TableId) {
        self.objects.remove(&id);
    }

    /// Gives an id a name. True when that changes something.
    pub(super) fn put(&mut self, id: TableId, name: &str, kind: &str) -> bool {
        let new = object(name, kind);
        if self.objects.get(&id) == Some(&new) {
            return false;
        }
        self.objects.insert(id, new);
        true
    }
}

fn object(name: &str, kind: &str) -> Object {
    Object {
        name: name.to_owned(),
        kind: kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use ccr_schemas::event::{Recovered, Renamed, TableCreated, TableDropped, TableReplaced};

    use super::*;

    fn table(id: i64, name: &str) -> TableRef {
        TableRef {
            id: TableId(id),
            name: name.to_owned(),
        }
    }

    fn created(id: i64, name: &str, kind: &str) -> Event {
        Event::TableCreated(TableCreated {
            table: table(id, name),
            table_type: kind.to_owned(),
            sql: String::new(),
            properties: Vec::new(),
        })
    }

    fn replaced(original: TableRef, replacement: TableRef, swap: bool) -> Event {
        Event::TableReplaced(TableReplaced {
            original,
            replacement,
            swap,
        })
    }

    fn shown(catalog: &Catalog) -> String {
        catalog
            .objects
            .iter()
            .map(|(id, object)| format!("{id}={}", object.name))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn names_follow_the_events() {
        let mut catalog = Catalog::default();
        let steps = [
            (created(1, "a", OLAP), "1=a"),
            (created(2, "b", OLAP), "1=a 2=b"),
            (
                Event::TableRenamed(Renamed {
                    table: table(1, "a"),
                    old: "a".to_owned(),
                    new: "c".to_owned(),
                }),
                "1=c 2=b",
            ),
            (replaced(table(1, "c"), table(2, "b"), true), "1=b 2=c"),
            (replaced(table(2, "c"), table(1, "b"), false), "1=c"),
            (
                Event::TableDropped(TableDropped {
                    table: table(1, "c"),
                    is_view: false,
                    force: false,
                }),
                "",
            ),
            (
                Event::Recovered(Recovered {
                    table: table(1, "d"),
                    partition: None,
                }),
                "1=d",
            ),
        ];
        for (event, expected) in steps {
            assert!(catalog.fold(&event), "{event:?}");
            assert_eq!(shown(&catalog), expected);
            assert!(!catalog.fold(&event), "again: {event:?}");
        }
    }

    #[test]
    fn the_name_of_the_moment_wins_where_the_record_has_it() {
        let mut catalog = Catalog::default();
        catalog.fold(&created(1, "new", OLAP));
        assert_eq!(catalog.now(TableId(1), "old").name, "new");
        assert_eq!(catalog.said(TableId(1), "old").name, "old");
        assert_eq!(catalog.said(TableId(1), "").name, "new");
        assert_eq!(catalog.now(TableId(9), "gone").name, "gone");
    }

    #[test]
    fn a_view_stays_a_view_when_it_is_renamed() {
        let mut catalog = Catalog::default();
        catalog.fold(&created(1, "v", VIEW));
        catalog.fold(&Event::TableRenamed(Renamed {
            table: table(1, "v"),
            old: "v".to_owned(),
            new: "w".to_owned(),
        }));
        assert_eq!(catalog.get(TableId(1)).unwrap().kind, VIEW);
    }
}
