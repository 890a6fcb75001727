//! Events -> statements for the destination, each with what must hold before it is first run and how to see that it is in
//! effect, so that a change whose outcome is unknown is judged by the object's shape.

mod statements;

use std::collections::BTreeSet;

use ccr_doris::ddl as sql;
use ccr_schemas::TableId;
use ccr_schemas::event::TableRef;

use crate::plan::state::Settings;

pub use statements::*;

/// One change of shape at the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ddl {
    /// For people: `rename table a to b`.
    pub what: String,
    /// Run in the destination database, in order.
    pub statements: Vec<String>,
    /// What must hold before the first run.
    pub before: Before,
    /// How to see that it is in effect.
    pub effect: Effect,
    /// Destination name of the table that the statements need; `None` when they need none.
    pub needs: Option<String>,
    /// Tables under the names they bear after the event: what a snapshot brings where the statements cannot be run. Empty
    /// for views, and for what takes away.
    pub bearers: Vec<Bearer>,
    /// Copies that are not to be trusted, of tables whose names it changes.
    pub stale: Option<Stale>,
}

/// Tables whose copies are not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// Source tables.
    pub tables: BTreeSet<TableId>,
    /// Why, for people.
    pub why: String,
}

/// A source table under the name that it bears after an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// Source table.
    pub table: TableId,
    /// Name at the source.
    pub name: String,
    /// Name at the destination.
    pub dest: String,
}

impl Bearer {
    /// The table under a source name.
    pub fn new(table: TableId, name: &str, settings: &Settings) -> Self {
        Self {
            table,
            name: name.to_owned(),
            dest: settings.dest_name(name).to_owned(),
        }
    }
}

/// What must hold before the first run; a repetition does not ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Anything,
    /// No table or view of this name: an existing one has unknown content.
    Absent(String),
    /// No table of this name. A view is replaced: it has no content.
    NoTable(String),
    /// The effect may be there already, and then nothing is run: an earlier transaction can have needed it first.
    MayBeInEffect,
}

/// How to see that a change is in effect. Names are the destination's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Its shape does not tell, but running it again does no harm as nothing behind it was started.
    Repeatable,
    /// Table or view is there.
    ObjectThere(String),
    /// Table or view is gone.
    ObjectGone(String),
    /// The object bears the new name and nothing bears the old one.
    ObjectRenamed {
        /// Before.
        old: String,
        /// After.
        new: String,
    },
    /// A table took over the name of another. Its shape afterwards does not tell: see [`exchange`](crate::plan::exchange).
    Exchanged {
        /// Name that was taken over.
        original: String,
        /// Name of the table that took it, before.
        replacement: String,
        /// The other table bears that name afterwards.
        swap: bool,
    },
    /// Partition is there.
    PartitionThere {
        /// Table.
        table: String,
        /// Partition.
        partition: String,
    },
    /// Partition is gone.
    PartitionGone {
        /// Table.
        table: String,
        /// Partition.
        partition: String,
    },
    /// Partition bears the new name.
    PartitionRenamed {
        /// Table.
        table: String,
        /// Before.
        old: String,
        /// After.
        new: String,
    },
    /// The visible columns are these.
    ColumnsAre {
        /// Table.
        table: String,
        /// Columns in order.
        columns: Vec<String>,
    },
    /// Column bears the new name.
    ColumnRenamed {
        /// Table.
        table: String,
        /// Before.
        old: String,
        /// After.
        new: String,
    },
    /// Indexes are gone.
    IndexesGone {
        /// Table.
        table: String,
        /// Indexes.
        names: Vec<String>,
    },
    /// Rollup is gone.
    RollupGone {
        /// Table.
        table: String,
        /// Rollup.
        name: String,
    },
    /// Rollup bears the new name.
    RollupRenamed {
        /// Table.
        table: String,
        /// Before.
        old: String,
        /// After.
        new: String,
    },
}

impl Ddl {
    /// Returns whether the shape afterwards does not tell without a look before.
    pub fn needs_evidence(&self) -> bool {
        match self.before {
            Before::Absent(_) | Before::NoTable(_) => true,
            Before::Anything | Before::MayBeInEffect => {
                matches!(self.effect, Effect::Exchanged { .. })
            }
        }
    }

    /// Name of the object that it creates.
    pub fn creates(&self) -> Option<&str> {
        match &self.before {
            Before::Absent(name) | Before::NoTable(name) => Some(name),
            Before::Anything | Before::MayBeInEffect => None,
        }
    }

    /// With tables whose copies are not to be trusted: once their names are right, snapshots bring them.
    pub(crate) fn with_stale(self, tables: impl IntoIterator<Item = TableId>, why: &str) -> Self {
        let mut stale = self.stale.unwrap_or_else(|| Stale {
            tables: BTreeSet::new(),
            why: why.to_owned(),
        });
        stale.tables.extend(tables);
        Self {
            stale: Some(stale),
            ..self
        }
    }

    /// Tables of these that the event leaves without a name of the job.
    pub(crate) fn leaves(&self, tables: impl IntoIterator<Item = TableId>) -> Vec<TableId> {
        let is_left = |table: &TableId| self.bearers.iter().all(|bearer| bearer.table != *table);
        tables.into_iter().filter(is_left).collect()
    }

    /// Nothing to run.
    pub(crate) fn nothing(what: &str) -> Self {
        Self {
            what: what.to_owned(),
            statements: Vec::new(),
            before: Before::Anything,
            effect: Effect::Repeatable,
            needs: None,
            bearers: Vec::new(),
            stale: None,
        }
    }

    /// Nothing to run: a question whether a name is free.
    pub(crate) fn needs_free_name(name: &str) -> Self {
        Self {
            before: Before::Absent(name.to_owned()),
            ..Self::nothing(&format!("bring {name}"))
        }
    }

    /// A statement on a table that keeps its name.
    fn on(self, table: &TableRef, settings: &Settings) -> Self {
        Self {
            needs: Some(settings.dest_name(&table.name).to_owned()),
            bearers: vec![Bearer::new(table.id, &table.name, settings)],
            ..self
        }
    }
}

/// A quoted identifier.
pub fn quoted(name: &str) -> String {
    sql::ident(name)
}
