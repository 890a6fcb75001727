//! One function per kind of event.

use ccr_doris::ddl::{self as sql, CreateRewrite, NotUnderstood, ObjectName};
use ccr_schemas::event::{
    BucketCountModified, ColumnsChanged, CommentModified, IndexesChanged, PartitionAdded,
    PartitionDropped, PropertiesChanged, Renamed, RollupDropped, TableCreated, TableDropped,
    TableFact, TableReplaced, TableTruncated, TruncateScope, ViewRedefined,
};

use super::{Bearer, Before, Ddl, Effect};
use crate::plan::state::Settings;

fn one(what: String, statement: String, effect: Effect) -> Ddl {
    Ddl {
        what,
        statements: vec![statement],
        before: Before::Anything,
        effect,
        needs: None,
        bearers: Vec::new(),
        stale: None,
    }
}

/// CREATE TABLE or CREATE VIEW. A view takes the place of an existing one.
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
    if is_view {
        let drop = sql::drop_view(ObjectName::bare(name));
        return Ok(Ddl {
            what: format!("create view {name}"),
            statements: vec![drop, statement],
            before: Before::NoTable(name.to_owned()),
            // That a view is there does not tell which.
            effect: Effect::Repeatable,
            needs: None,
            bearers: Vec::new(),
            stale: None,
        });
    }
    Ok(Ddl {
        what: format!("create table {name}"),
        statements: vec![statement],
        before: Before::Absent(name.to_owned()),
        effect: Effect::ObjectThere(name.to_owned()),
        needs: None,
        bearers: vec![Bearer::new(event.table.id, &event.table.name, settings)],
        stale: None,
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
    let truncate = one(
        format!("truncate {name}"),
        sql::truncate(ObjectName::bare(name), &scope, event.force),
        Effect::Repeatable,
    );
    Some(truncate.on(&event.table, settings))
}

/// ALTER TABLE RENAME.
pub fn table_renamed(event: &Renamed, settings: &Settings) -> Ddl {
    let old = if event.old.is_empty() {
        &event.table.name
    } else {
        &event.old
    };
    Ddl {
        bearers: vec![Bearer::new(event.table.id, &event.new, settings)],
        ..renamed(settings.dest_name(old), settings.dest_name(&event.new))
    }
}

/// A table of the destination gets another name.
pub(crate) fn renamed(old: &str, new: &str) -> Ddl {
    Ddl {
        needs: Some(old.to_owned()),
        ..one(
            format!("rename table {old} to {new}"),
            sql::rename_table(ObjectName::bare(old), new),
            Effect::ObjectRenamed {
                old: old.to_owned(),
                new: new.to_owned(),
            },
        )
    }
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
    )
    .on(&event.table, settings))
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
    .on(&event.table, settings)
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
    .on(&event.table, settings)
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
    )
    .on(&event.table, settings))
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
    .on(&event.table, settings)
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
    let change = Ddl {
        what: format!("change comments of {table}"),
        statements,
        before: Before::Anything,
        effect: Effect::Repeatable,
        needs: None,
        bearers: Vec::new(),
        stale: None,
    };
    change.on(&event.table, settings)
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
        .on(&event.table, settings)
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
        needs: None,
        bearers: Vec::new(),
        stale: None,
    })
}

/// ALTER TABLE REPLACE WITH TABLE.
pub fn table_replaced(event: &TableReplaced, settings: &Settings) -> Ddl {
    let original = settings.dest_name(&event.original.name);
    let replacement = settings.dest_name(&event.replacement.name);
    let replace = one(
        format!("replace table {original} with {replacement}"),
        sql::replace_table(ObjectName::bare(original), replacement, event.swap),
        Effect::Exchanged {
            original: original.to_owned(),
            replacement: replacement.to_owned(),
            swap: event.swap,
        },
    );
    Ddl {
        bearers: replaced_bearers(event, settings),
        ..replace
    }
}

/// The tables of an exchange under the names they bear after it: first the one that took the name over.
pub fn replaced_bearers(event: &TableReplaced, settings: &Settings) -> Vec<Bearer> {
    let (original, replacement) = (&event.original, &event.replacement);
    let mut bearers = vec![Bearer::new(replacement.id, &original.name, settings)];
    if event.swap {
        bearers.push(Bearer::new(original.id, &replacement.name, settings));
    }
    bearers
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
    .on(&event.table, settings)
}

/// DROP ROLLUP.
pub fn rollup_dropped(event: &RollupDropped, settings: &Settings) -> Ddl {
    let table = settings.dest_name(&event.table.name).to_owned();
    let drop = one(
        format!("drop rollup {} of {table}", event.name),
        sql::drop_rollup(ObjectName::bare(&table), &event.name),
        Effect::RollupGone {
            table,
            name: event.name.clone(),
        },
    );
    Ddl {
        before: Before::MayBeInEffect,
        ..drop.on(&event.table, settings)
    }
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
    .on(&event.table, settings)
}

/// MODIFY DISTRIBUTION: buckets of future partitions.
pub fn bucket_count(event: &BucketCountModified, settings: &Settings) -> Ddl {
    let table = settings.dest_name(&event.table.name);
    one(
        format!("change the bucket count of {table}"),
        sql::modify_distribution(ObjectName::bare(table), &event.distribution),
        Effect::Repeatable,
    )
    .on(&event.table, settings)
}

/// HASH to RANDOM.
pub fn distribution_random(event: &TableFact, settings: &Settings) -> Ddl {
    let table = settings.dest_name(&event.table.name);
    one(
        format!("distribute {table} at random"),
        sql::distribute_randomly(ObjectName::bare(table)),
        Effect::Repeatable,
    )
    .on(&event.table, settings)
}
