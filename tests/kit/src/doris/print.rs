//! Objects as statements.

use super::catalog::Table;
use super::stmt::TableDef;

/// CREATE TABLE as a record carries it: the bare name, and the property that marks a copy.
pub fn create_table(table: &Table) -> String {
    let mut lines: Vec<String> = table
        .columns
        .iter()
        .map(|column| {
            let null = if column.key { "NOT NULL" } else { "NULL" };
            format!("  `{}` {} {null}", column.name, column.kind)
        })
        .collect();
    for index in &table.secondary {
        lines.push(format!(
            "  INDEX {} (`{}`) USING INVERTED",
            index.name, index.column
        ));
    }
    let keys: Vec<String> = table
        .columns
        .iter()
        .filter(|column| column.key)
        .map(|column| format!("`{}`", column.name))
        .collect();
    let keys = keys.join(", ");
    let partitions = if table.partitioned {
        let listed: Vec<String> = table
            .ordinary_partitions()
            .into_iter()
            .filter_map(|partition| {
                let (low, high) = partition.range?;
                Some(format!(
                    "PARTITION {} VALUES [(\"{low}\"), (\"{high}\"))",
                    partition.name
                ))
            })
            .collect();
        format!("PARTITION BY RANGE({keys})\n({})\n", listed.join(",\n"))
    } else {
        String::new()
    };
    format!(
        "CREATE TABLE `{}` (\n{}\n) ENGINE=OLAP\nDUPLICATE KEY({keys})\nCOMMENT '{}'\n{partitions}DISTRIBUTED BY HASH({keys}) BUCKETS {}\n\
         PROPERTIES (\n\"replication_allocation\" = \"tag.location.default: {}\",\n\"is_being_synced\" = \"true\",\n\
         \"light_schema_change\" = \"true\",\n\"binlog.enable\" = \"true\"\n);",
        table.name,
        lines.join(",\n"),
        table.comment,
        table.buckets,
        table.replicas,
    )
}

/// What CREATE TABLE LIKE copies.
pub fn definition(table: &Table) -> TableDef {
    TableDef {
        name: table.name.clone(),
        columns: table
            .columns
            .iter()
            .map(|column| (column.name.clone(), column.kind.clone(), column.key))
            .collect(),
        secondary: table
            .secondary
            .iter()
            .map(|index| (index.name.clone(), index.column.clone()))
            .collect(),
        partitions: table.partitioned.then(|| {
            table
                .ordinary_partitions()
                .into_iter()
                .filter_map(|partition| {
                    let (low, high) = partition.range?;
                    Some((partition.name.clone(), low, high))
                })
                .collect()
        }),
        buckets: table.buckets,
        replicas: table.replicas,
        comment: table.comment.clone(),
    }
}

/// The query of a view with another database in its names, as a frontend rewrites it when it restores the view.
pub fn requalified(select: &str, database: &str) -> String {
    const CATALOG: &str = "`internal`.`";
    let mut out = String::new();
    let mut rest = select;
    while let Some(at) = rest.find(CATALOG) {
        let after = at + CATALOG.len();
        out.push_str(&rest[..after]);
        out.push_str(database);
        let end = rest[after..].find('`').map_or(rest.len(), |n| after + n);
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}
