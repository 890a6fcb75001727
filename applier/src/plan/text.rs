//! Statements as the source printed them -> statements for the destination.

/// A quoted identifier.
pub(crate) fn ident(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A quoted string.
pub(crate) fn text(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// How a CREATE statement is rewritten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CreateRewrite<'a> {
    pub(crate) source_database: &'a str,
    pub(crate) database: &'a str,
    pub(crate) name: &'a str,
    pub(crate) is_view: bool,
    pub(crate) replication_num: Option<u16>,
}

/// The source prints a bare name: it gets the destination's database and name. Properties that name the source's disks or
/// policies are left out.
pub(crate) fn create_for_destination(sql: &str, how: &CreateRewrite<'_>) -> String {
    let target = format!("{}.{}", ident(how.database), ident(how.name));
    let sql = match quoted(sql, 0) {
        Some((start, end)) => format!("{}{target}{}", &sql[..start], &sql[end..]),
        None => sql.to_owned(),
    };
    if how.is_view {
        return requalify(&sql, how.source_database, how.database);
    }
    let mut sql = sql.replace("MAXVALUEMAXVALUE", "MAXVALUE, MAXVALUE");
    for property in ["storage_medium", "dynamic_partition.storage_policy"] {
        sql = without_property(&sql, property);
    }
    match how.replication_num {
        Some(number) => with_replicas(&sql, number),
        None => sql,
    }
}

/// First back-quoted identifier from `from` on, as byte range with its quotes.
fn quoted(sql: &str, from: usize) -> Option<(usize, usize)> {
    let start = from + sql.get(from..)?.find('`')?;
    let mut at = start + 1;
    loop {
        let close = at + sql.get(at..)?.find('`')?;
        if sql.as_bytes().get(close + 1) == Some(&b'`') {
            at = close + 2;
        } else {
            return Some((start, close + 1));
        }
    }
}

fn without_property(sql: &str, key: &str) -> String {
    let needle = format!("\"{key}\"");
    let Some(start) = sql.find(&needle) else {
        return sql.to_owned();
    };
    let after = start + needle.len();
    // `"key" = "value"`: the value ends at the next quote but one.
    let Some(open) = sql[after..].find('"').map(|at| after + at) else {
        return sql.to_owned();
    };
    let Some(close) = sql[open + 1..].find('"').map(|at| open + 1 + at) else {
        return sql.to_owned();
    };
    let (head, tail) = (sql[..start].trim_end(), sql[close + 1..].trim_start());
    if let Some(tail) = tail.strip_prefix(',') {
        format!("{}{}", &sql[..start], tail.trim_start())
    } else {
        let head = head.strip_suffix(',').unwrap_or(head);
        format!("{head}\n{tail}")
    }
}

fn with_replicas(sql: &str, number: u16) -> String {
    let needle = "\"replication_allocation\" = \"";
    let Some(start) = sql.find(needle).map(|at| at + needle.len()) else {
        return sql.to_owned();
    };
    let Some(end) = sql[start..].find('"').map(|at| start + at) else {
        return sql.to_owned();
    };
    format!(
        "{}tag.location.default: {number}{}",
        &sql[..start],
        &sql[end..]
    )
}

/// Names of the source database in a view's text become the destination's. The three spellings of Doris are known:
/// `` `internal`.`db`. ``, `` `default_cluster:db`. `` and `` `db`. ``.
pub(crate) fn requalify(sql: &str, source: &str, dest: &str) -> String {
    let dest = format!("`internal`.{}.", ident(dest));
    let plain = format!("{}.", ident(source));
    sql.replace(&format!("`internal`.{plain}"), "\u{0}")
        .replace(&format!("`default_cluster:{source}`."), "\u{0}")
        .replace(&plain, "\u{0}")
        .replace('\u{0}', &dest)
}

/// ``ALTER TABLE `db`.`t` rest`` of the source -> ``ALTER TABLE `t2` rest``.
pub(crate) fn retarget_alter(sql: &str, table: &str) -> String {
    let Some((start, mut end)) = quoted(sql, 0) else {
        return sql.to_owned();
    };
    while sql.as_bytes().get(end) == Some(&b'.') {
        match quoted(sql, end) {
            Some((next, close)) if next == end + 1 => end = close,
            Some(_) | None => break,
        }
    }
    format!("{}{}{}", &sql[..start], ident(table), &sql[end..])
}

/// `ADD PARTITION ...` of the source with IF NOT EXISTS and the distribution that the source leaves out.
pub(crate) fn add_partition_clause(sql: &str, distribution: &str) -> String {
    let sql = sql.trim().trim_end_matches(';').trim_end();
    let sql = if sql.contains("IF NOT EXISTS") {
        sql.to_owned()
    } else {
        sql.replacen("ADD PARTITION ", "ADD PARTITION IF NOT EXISTS ", 1)
    };
    if sql.to_uppercase().contains("DISTRIBUTED BY") {
        sql
    } else {
        format!("{sql} {distribution}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_table_gets_the_destinations_name_and_leaves_the_sources_disks_behind() {
        let how = CreateRewrite {
            source_database: "shop",
            database: "copy",
            name: "o2",
            is_view: false,
            replication_num: Some(1),
        };
        let sql = "CREATE TABLE `orders` (`id` bigint) ENGINE=OLAP PROPERTIES (\n\"replication_allocation\" = \"tag.location.default: 3\",\n\"storage_medium\" = \"HDD\",\n\"binlog.enable\" = \"true\"\n);";
        assert_eq!(
            create_for_destination(sql, &how),
            "CREATE TABLE `copy`.`o2` (`id` bigint) ENGINE=OLAP PROPERTIES (\n\"replication_allocation\" = \"tag.location.default: 1\",\n\"binlog.enable\" = \"true\"\n);"
        );
        let last = "CREATE TABLE `a` () PROPERTIES (\"x\" = \"1\",\n\"storage_medium\" = \"HDD\"\n);";
        assert_eq!(
            create_for_destination(last, &CreateRewrite { replication_num: None, ..how }),
            "CREATE TABLE `copy`.`o2` () PROPERTIES (\"x\" = \"1\"\n);"
        );
    }

    #[test]
    fn views_look_at_the_destinations_tables() {
        let how = CreateRewrite {
            source_database: "shop",
            database: "copy",
            name: "v",
            is_view: true,
            replication_num: None,
        };
        assert_eq!(
            create_for_destination("CREATE VIEW `v` AS SELECT `a` FROM `internal`.`shop`.`t`;", &how),
            "CREATE VIEW `copy`.`v` AS SELECT `a` FROM `internal`.`copy`.`t`;"
        );
        assert_eq!(
            requalify("SELECT * FROM `default_cluster:shop`.`t`", "shop", "copy"),
            "SELECT * FROM `internal`.`copy`.`t`"
        );
        assert_eq!(
            requalify("SELECT * FROM `shop`.`t`", "shop", "shop"),
            "SELECT * FROM `internal`.`shop`.`t`"
        );
    }

    #[test]
    fn alter_statements_are_sent_to_the_destinations_table() {
        for source in [
            "ALTER TABLE `shop`.`t` ADD COLUMN `a.b` int",
            "ALTER TABLE `internal`.`shop`.`t` ADD COLUMN `a.b` int",
            "ALTER TABLE `t` ADD COLUMN `a.b` int",
        ] {
            assert_eq!(
                retarget_alter(source, "t`2"),
                "ALTER TABLE `t``2` ADD COLUMN `a.b` int",
                "{source}"
            );
        }
    }

    #[test]
    fn an_added_partition_gets_its_distribution() {
        assert_eq!(
            add_partition_clause(
                "ADD PARTITION `p` VALUES [('1'), ('2')) (\"version_info\" = \"1\");",
                "DISTRIBUTED BY HASH(`id`) BUCKETS 8"
            ),
            "ADD PARTITION IF NOT EXISTS `p` VALUES [('1'), ('2')) (\"version_info\" = \"1\") DISTRIBUTED BY HASH(`id`) BUCKETS 8"
        );
    }
}
