//! Events -> statements for the destination, each with what must hold before it is first run and how to see that it is in
//! effect, so that a change whose outcome is unknown is judged by the object's shape.

use ccr_schemas::event::{
    BucketCountModified, ColumnsChanged, CommentModified, Distribution, IndexesChanged,
    PartitionAdded, PartitionDropped, PropertiesChanged, Renamed, RollupDropped, TableCreated,
    TableDropped, TableReplaced, TableTruncated, ViewRedefined,
};

use crate::plan::state::Settings;
use crate::plan::text::{self, ident, text};

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
}

/// What must hold before the first run; a repetition does not ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Anything,
    /// No table or view of this name: an existing one has unknown content.
    Absent(String),
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
    /// The name belongs to another table id than the evidence.
    Swapped {
        /// Name that was exchanged.
        name: String,
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
    /// Its shape afterwards does not tell without a look before.
    pub fn needs_evidence(&self) -> bool {
        matches!(self.effect, Effect::Swapped { .. })
    }
}

/// A quoted identifier.
pub fn quoted(name: &str) -> String {
    ident(name)
}

fn one(what: String, statement: String, effect: Effect) -> Ddl {
    Ddl {
        what,
        statements: vec![statement],
        before: Before::Anything,
        effect,
    }
}

/// CREATE TABLE or CREATE VIEW.
pub fn table_created(event: &TableCreated, settings: &Settings) -> Ddl {
    let name = settings.dest_name(&event.table.name);
    let is_view = event.table_type == "VIEW";
    let sql = text::create_for_destination(
        &event.sql,
        &text::CreateRewrite {
            source_database: &settings.source_database,
            database: &settings.database,
            name,
            is_view,
            replication_num: settings.options.replication_num,
        },
    );
    Ddl {
        what: format!("create {} {name}", if is_view { "view" } else { "table" }),
        statements: vec![sql],
        before: Before::Absent(name.to_owned()),
        effect: Effect::ObjectThere(name.to_owned()),
    }
}

/// DROP TABLE or DROP VIEW.
pub fn table_dropped(event: &TableDropped, settings: &Settings) -> Ddl {
    let name = settings.dest_name(&event.table.name);
    let statement = if event.is_view {
        format!("DROP VIEW IF EXISTS {}", ident(name))
    } else {
        format!("DROP TABLE IF EXISTS {} FORCE", ident(name))
    };
    one(
        format!("drop {name}"),
        statement,
        Effect::ObjectGone(name.to_owned()),
    )
}

/// TRUNCATE TABLE.
pub fn table_truncated(event: &TableTruncated, settings: &Settings) -> Ddl {
    let name = settings.dest_name(&event.table.name);
    let partitions = if event.entire || event.partitions.is_empty() {
        String::new()
    } else {
        let names: Vec<_> = event.partitions.iter().map(|p| ident(&p.name)).collect();
        format!(" PARTITION ({})", names.join(", "))
    };
    one(
        format!("truncate {name}"),
        format!("TRUNCATE TABLE {}{partitions}", ident(name)),
        Effect::Repeatable,
    )
}

/// ALTER TABLE RENAME.
pub fn table_renamed(event: &Renamed, settings: &Settings) -> Ddl {
    let old = if event.old.is_empty() { &event.table.name } else { &event.old };
    let (old, new) = (settings.dest_name(old), settings.dest_name(&event.new));
    one(
        format!("rename table {old} to {new}"),
        format!("ALTER TABLE {} RENAME {}", ident(old), ident(new)),
        Effect::ObjectRenamed {
            old: old.to_owned(),
            new: new.to_owned(),
        },
    )
}

/// ALTER TABLE ADD PARTITION.
pub fn partition_added(event: &PartitionAdded, settings: &Settings) -> Ddl {
    let table = settings.dest_name(&event.table.name);
    let clause = text::add_partition_clause(&event.sql, &distribution(&event.distribution));
    one(
        format!("add partition {} to {table}", event.name),
        format!("ALTER TABLE {} {clause}", ident(table)),
        Effect::PartitionThere {
            table: table.to_owned(),
            partition: event.name.clone(),
        },
    )
}

/// `DISTRIBUTED BY ... BUCKETS n`.
fn distribution(distribution: &Distribution) -> String {
    let buckets = distribution.buckets;
    if distribution.hash {
        let columns: Vec<_> = distribution.columns.iter().map(|c| ident(c)).collect();
        format!("DISTRIBUTED BY HASH({}) BUCKETS {buckets}", columns.join(", "))
    } else {
        format!("DISTRIBUTED BY RANDOM BUCKETS {buckets}")
    }
}

/// ALTER TABLE DROP PARTITION.
pub fn partition_dropped(event: &PartitionDropped, settings: &Settings) -> Ddl {
    let table = settings.dest_name(&event.table.name);
    let force = if event.force { " FORCE" } else { "" };
    one(
        format!("drop partition {} of {table}", event.name),
        format!(
            "ALTER TABLE {} DROP PARTITION IF EXISTS {}{force}",
            ident(table),
            ident(&event.name)
        ),
        Effect::PartitionGone {
            table: table.to_owned(),
            partition: event.name.clone(),
        },
    )
}

/// ALTER TABLE RENAME PARTITION.
pub fn partition_renamed(event: &Renamed, settings: &Settings) -> Ddl {
    let table = settings.dest_name(&event.table.name).to_owned();
    let statement = format!(
        "ALTER TABLE {} RENAME PARTITION {} {}",
        ident(&table),
        ident(&event.old),
        ident(&event.new)
    );
    one(
        format!("rename partition {} of {table} to {}", event.old, event.new),
        statement,
        Effect::PartitionRenamed {
            table,
            old: event.old.clone(),
            new: event.new.clone(),
        },
    )
}

/// Light ADD and DROP COLUMN.
pub fn columns_changed(event: &ColumnsChanged, settings: &Settings) -> Ddl {
    let table = settings.dest_name(&event.table.name).to_owned();
    let statement = text::retarget_alter(&event.sql, &table);
    one(
        format!("change columns of {table}"),
        statement,
        if event.columns.is_empty() {
            Effect::Repeatable
        } else {
            Effect::ColumnsAre {
                table,
                columns: event.columns.clone(),
            }
        },
    )
}

/// ALTER TABLE RENAME COLUMN.
pub fn column_renamed(event: &Renamed, settings: &Settings) -> Ddl {
    let table = settings.dest_name(&event.table.name).to_owned();
    let statement = format!(
        "ALTER TABLE {} RENAME COLUMN {} {}",
        ident(&table),
        ident(&event.old),
        ident(&event.new)
    );
    one(
        format!("rename column {} of {table} to {}", event.old, event.new),
        statement,
        Effect::ColumnRenamed {
            table,
            old: event.old.clone(),
            new: event.new.clone(),
        },
    )
}

/// MODIFY COMMENT of a table or of columns.
pub fn comment_modified(event: &CommentModified, settings: &Settings) -> Ddl {
    let table = settings.dest_name(&event.table.name);
    let mut statements = Vec::new();
    if let Some(comment) = &event.table_comment {
        statements.push(format!("ALTER TABLE {} MODIFY COMMENT {}", ident(table), text(comment)));
    }
    if !event.columns.is_empty() {
        let columns: Vec<_> = event
            .columns
            .iter()
            .map(|c| format!("MODIFY COLUMN {} COMMENT {}", ident(&c.key), text(&c.value)))
            .collect();
        statements.push(format!("ALTER TABLE {} {}", ident(table), columns.join(", ")));
    }
    Ddl {
        what: format!("change comments of {table}"),
        statements,
        before: Before::Anything,
        effect: Effect::Repeatable,
    }
}

/// Properties that belong to each cluster alone.
const OWN_PROPERTIES: [&str; 9] = [
    "binlog.enable",
    "light_schema_change",
    "dynamic_partition.enable",
    "dynamic_partition.storage_policy",
    "colocate_with",
    "storage_policy",
    "replication_num",
    "replication_allocation",
    "is_being_synced",
];

/// ALTER TABLE SET. `None` when only properties changed that belong to each cluster alone.
pub fn table_properties(event: &PropertiesChanged, settings: &Settings) -> Option<Ddl> {
    let table = settings.dest_name(&event.table.name);
    let pairs: Vec<_> = event
        .properties
        .iter()
        .filter(|p| !OWN_PROPERTIES.contains(&p.key.as_str()))
        .map(|p| format!("{} = {}", text(&p.key), text(&p.value)))
        .collect();
    (!pairs.is_empty()).then(|| {
        one(
            format!("set properties of {table}"),
            format!("ALTER TABLE {} SET ({})", ident(table), pairs.join(", ")),
            Effect::Repeatable,
        )
    })
}

/// ALTER VIEW.
pub fn view_redefined(event: &ViewRedefined, settings: &Settings) -> Ddl {
    let view = settings.dest_name(&event.view.name);
    let definition = text::requalify(
        &event.definition,
        &settings.source_database,
        &settings.database,
    );
    let statement = if definition.trim().is_empty() {
        let comment = event.comment.as_deref().unwrap_or_default();
        format!("ALTER VIEW {} MODIFY COMMENT {}", ident(view), text(comment))
    } else {
        format!("ALTER VIEW {} AS {definition}", ident(view))
    };
    one(format!("redefine view {view}"), statement, Effect::Repeatable)
}

/// ALTER TABLE REPLACE WITH TABLE.
pub fn table_replaced(event: &TableReplaced, settings: &Settings) -> Ddl {
    let original = settings.dest_name(&event.original.name);
    let replacement = settings.dest_name(&event.replacement.name);
    one(
        format!("replace table {original} with {replacement}"),
        format!(
            "ALTER TABLE {} REPLACE WITH TABLE {} PROPERTIES (\"swap\" = \"{}\")",
            ident(original),
            ident(replacement),
            event.swap
        ),
        if event.swap {
            Effect::Swapped {
                name: original.to_owned(),
            }
        } else {
            Effect::ObjectGone(replacement.to_owned())
        },
    )
}

/// DROP INDEX.
pub fn indexes_dropped(event: &IndexesChanged, settings: &Settings) -> Ddl {
    let table = settings.dest_name(&event.table.name).to_owned();
    let drops: Vec<_> = event.names.iter().map(|n| format!("DROP INDEX {}", ident(n))).collect();
    one(
        format!("drop indexes of {table}"),
        format!("ALTER TABLE {} {}", ident(&table), drops.join(", ")),
        Effect::IndexesGone {
            table,
            names: event.names.clone(),
        },
    )
}

/// DROP ROLLUP.
pub fn rollup_dropped(event: &RollupDropped, settings: &Settings) -> Ddl {
    let table = settings.dest_name(&event.table.name).to_owned();
    one(
        format!("drop rollup {} of {table}", event.name),
        format!("ALTER TABLE {} DROP ROLLUP {}", ident(&table), ident(&event.name)),
        Effect::RollupGone {
            table,
            name: event.name.clone(),
        },
    )
}

/// RENAME ROLLUP.
pub fn rollup_renamed(event: &Renamed, settings: &Settings) -> Ddl {
    let table = settings.dest_name(&event.table.name).to_owned();
    let statement = format!(
        "ALTER TABLE {} RENAME ROLLUP {} {}",
        ident(&table),
        ident(&event.old),
        ident(&event.new)
    );
    one(
        format!("rename rollup {} of {table} to {}", event.old, event.new),
        statement,
        Effect::RollupRenamed {
            table,
            old: event.old.clone(),
            new: event.new.clone(),
        },
    )
}

/// MODIFY DISTRIBUTION: buckets of future partitions.
pub fn bucket_count(event: &BucketCountModified, settings: &Settings) -> Ddl {
    let table = settings.dest_name(&event.table.name);
    let wanted = &event.distribution;
    let by = distribution(wanted);
    let by = if wanted.auto {
        match by.rsplit_once(' ') {
            Some((head, _)) => format!("{head} AUTO"),
            None => by,
        }
    } else {
        by
    };
    one(
        format!("change the bucket count of {table}"),
        format!("ALTER TABLE {} MODIFY DISTRIBUTION {by}", ident(table)),
        Effect::Repeatable,
    )
}

/// HASH to RANDOM.
pub fn distribution_random(table: &str, settings: &Settings) -> Ddl {
    let table = settings.dest_name(table);
    one(
        format!("distribute {table} at random"),
        format!("ALTER TABLE {} SET (\"distribution_type\" = \"random\")", ident(table)),
        Effect::Repeatable,
    )
}
