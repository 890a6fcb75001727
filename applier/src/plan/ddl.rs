//! Events -> statements for the destination, each with what must hold before it is first run and how to see that it is in
//! effect, so that a change whose outcome is unknown is judged by the object's shape.

use ccr_doris::ddl::{self as sql, CreateRewrite, NotUnderstood, ObjectName};
use ccr_schemas::event::{
    BucketCountModified, ColumnsChanged, CommentModified, IndexesChanged, PartitionAdded,
    PartitionDropped, PropertiesChanged, Renamed, RollupDropped, TableCreated, TableDropped,
    TableReplaced, TableTruncated, TruncateScope, ViewRedefined,
};

use crate::plan::state::Settings;

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
    sql::ident(name)
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
///
/// # Errors
/// [`NotUnderstood`] when the source's statement is neither.
pub fn table_created(event: &TableCreated, settings: &Settings) -> Result<Ddl, NotUnderstood> {
    let name = settings.dest_name(&event.table.name);
    let is_view = event.table_type == "VIEW";
    let statement = sql::create_for_destination(
        &event.sql,
        &CreateRewrite {
            source_database: &settings.source_database,
            target: ObjectName::new(&settings.database, name),
            replication_num: settings.options.replication_num,
            if_not_exists: false,
        },
    )?;
    Ok(Ddl {
        what: format!("create {} {name}", if is_view { "view" } else { "table" }),
        statements: vec![statement],
        before: Before::Absent(name.to_owned()),
        effect: Effect::ObjectThere(name.to_owned()),
    })
}

/// DROP TABLE or DROP VIEW, with FORCE only where the source used it: else the table can be recovered here too.
pub fn table_dropped(event: &TableDropped, settings: &Settings) -> Ddl {
    let name = settings.dest_name(&event.table.name);
    let statement = if event.is_view {
        sql::drop_view(ObjectName::bare(name))
    } else {
        sql::drop_table(ObjectName::bare(name), event.force)
    };
    one(
        format!("drop {name}"),
        statement,
        Effect::ObjectGone(name.to_owned()),
    )
}

/// TRUNCATE TABLE. `None` when partitions were truncated whose names the event does not have.
pub fn table_truncated(event: &TableTruncated, settings: &Settings) -> Option<Ddl> {
    let name = settings.dest_name(&event.table.name);
    let scope = match &event.scope {
        TruncateScope::EntireTable => sql::TruncateScope::EntireTable,
        TruncateScope::TruncatedPartitions(partitions) => {
            sql::TruncateScope::partitions(partitions.iter().map(|p| p.name.as_str()))?
        }
    };
    Some(one(
        format!("truncate {name}"),
        sql::truncate(ObjectName::bare(name), &scope, event.force),
        Effect::Repeatable,
    ))
}

/// ALTER TABLE RENAME.
pub fn table_renamed(event: &Renamed, settings: &Settings) -> Ddl {
    let old = if event.old.is_empty() {
        &event.table.name
    } else {
        &event.old
    };
    let (old, new) = (settings.dest_name(old), settings.dest_name(&event.new));
    one(
        format!("rename table {old} to {new}"),
        sql::rename_table(ObjectName::bare(old), new),
        Effect::ObjectRenamed {
            old: old.to_owned(),
            new: new.to_owned(),
        },
    )
}

/// ALTER TABLE ADD PARTITION.
///
/// # Errors
/// [`NotUnderstood`] when the source's clause is another.
pub fn partition_added(event: &PartitionAdded, settings: &Settings) -> Result<Ddl, NotUnderstood> {
    let table = settings.dest_name(&event.table.name);
    Ok(one(
        format!("add partition {} to {table}", event.name),
        sql::add_partition(ObjectName::bare(table), &event.sql, &event.distribution)?,
        Effect::PartitionThere {
            table: table.to_owned(),
            partition: event.name.clone(),
        },
    ))
}

/// ALTER TABLE DROP PARTITION.
pub fn partition_dropped(event: &PartitionDropped, settings: &Settings) -> Ddl {
    let table = settings.dest_name(&event.table.name);
    one(
        format!("drop partition {} of {table}", event.name),
        sql::drop_partition(ObjectName::bare(table), &event.name, event.force),
        Effect::PartitionGone {
            table: table.to_owned(),
            partition: event.name.clone(),
        },
    )
}

/// ALTER TABLE RENAME PARTITION.
pub fn partition_renamed(event: &Renamed, settings: &Settings) -> Ddl {
    let table = settings.dest_name(&event.table.name).to_owned();
    one(
        format!("rename partition {} of {table} to {}", event.old, event.new),
        sql::rename_partition(ObjectName::bare(&table), &event.old, &event.new),
        Effect::PartitionRenamed {
            table,
            old: event.old.clone(),
            new: event.new.clone(),
        },
    )
}

/// Light ADD and DROP COLUMN.
///
/// # Errors
/// [`NotUnderstood`] when the source's statement is not ALTER TABLE.
pub fn columns_changed(event: &ColumnsChanged, settings: &Settings) -> Result<Ddl, NotUnderstood> {
    let table = settings.dest_name(&event.table.name).to_owned();
    Ok(one(
        format!("change columns of {table}"),
        sql::retarget_alter(&event.sql, ObjectName::bare(&table))?,
        if event.columns.is_empty() {
            Effect::Repeatable
        } else {
            Effect::ColumnsAre {
                table,
                columns: event.columns.clone(),
            }
        },
    ))
}

/// ALTER TABLE RENAME COLUMN.
pub fn column_renamed(event: &Renamed, settings: &Settings) -> Ddl {
    let table = settings.dest_name(&event.table.name).to_owned();
    one(
        format!("rename column {} of {table} to {}", event.old, event.new),
        sql::rename_column(ObjectName::bare(&table), &event.old, &event.new),
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
        statements.push(sql::table_comment(ObjectName::bare(table), comment));
    }
    if !event.columns.is_empty() {
        let comments: Vec<_> = event
            .columns
            .iter()
            .map(|c| (c.key.as_str(), c.value.as_str()))
            .collect();
        statements.push(sql::column_comments(ObjectName::bare(table), &comments));
    }
    Ddl {
        what: format!("change comments of {table}"),
        statements,
        before: Before::Anything,
        effect: Effect::Repeatable,
    }
}

/// ALTER TABLE SET. `None` without a property.
pub fn table_properties(event: &PropertiesChanged, settings: &Settings) -> Option<Ddl> {
    let table = settings.dest_name(&event.table.name);
    let properties: Vec<_> = event
        .properties
        .iter()
        .map(|p| (p.key.as_str(), p.value.as_str()))
        .collect();
    (!properties.is_empty()).then(|| {
        one(
            format!("set properties of {table}"),
            sql::set_properties(ObjectName::bare(table), &properties),
            Effect::Repeatable,
        )
    })
}

/// ALTER VIEW: the definition with the columns, the comment, or both. `None` when the event has neither.
pub fn view_redefined(event: &ViewRedefined, settings: &Settings) -> Option<Ddl> {
    let name = settings.dest_name(&event.view.name);
    let view = ObjectName::bare(name);
    let definition = sql::requalify(
        &event.definition,
        &settings.source_database,
        &settings.database,
    );
    let mut statements = Vec::new();
    if !definition.trim().is_empty() {
        let columns: Vec<_> = event
            .columns
            .iter()
            .map(|c| (c.key.as_str(), c.value.as_str()))
            .collect();
        statements.push(sql::alter_view(view, &columns, &definition));
    }
    if let Some(comment) = &event.comment {
        statements.push(sql::view_comment(view, comment));
    }
    (!statements.is_empty()).then(|| Ddl {
        what: format!("redefine view {name}"),
        statements,
        before: Before::Anything,
        effect: Effect::Repeatable,
    })
}

/// ALTER TABLE REPLACE WITH TABLE.
pub fn table_replaced(event: &TableReplaced, settings: &Settings) -> Ddl {
    let original = settings.dest_name(&event.original.name);
    let replacement = settings.dest_name(&event.replacement.name);
    one(
        format!("replace table {original} with {replacement}"),
        sql::replace_table(ObjectName::bare(original), replacement, event.swap),
        // Also without a swap: that the replacement is gone proves nothing where it never was, as when it came to the source by a
        // restore, which makes no record.
        Effect::Swapped {
            name: original.to_owned(),
        },
    )
}

/// DROP INDEX.
pub fn indexes_dropped(event: &IndexesChanged, settings: &Settings) -> Ddl {
    let table = settings.dest_name(&event.table.name).to_owned();
    one(
        format!("drop indexes of {table}"),
        sql::drop_indexes(ObjectName::bare(&table), &event.names),
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
        sql::drop_rollup(ObjectName::bare(&table), &event.name),
        Effect::RollupGone {
            table,
            name: event.name.clone(),
        },
    )
}

/// RENAME ROLLUP.
pub fn rollup_renamed(event: &Renamed, settings: &Settings) -> Ddl {
    let table = settings.dest_name(&event.table.name).to_owned();
    one(
        format!("rename rollup {} of {table} to {}", event.old, event.new),
        sql::rename_rollup(ObjectName::bare(&table), &event.old, &event.new),
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
    one(
        format!("change the bucket count of {table}"),
        sql::modify_distribution(ObjectName::bare(table), &event.distribution),
        Effect::Repeatable,
    )
}

/// HASH to RANDOM.
pub fn distribution_random(table: &str, settings: &Settings) -> Ddl {
    let table = settings.dest_name(table);
    one(
        format!("distribute {table} at random"),
        sql::distribute_randomly(ObjectName::bare(table)),
        Effect::Repeatable,
    )
}
