//! Which clauses one ALTER TABLE may have together: only lists of the same kind, and not every kind can be a list.

use crate::api::SqlError;
use dorisim_sql::ast::AlterClause;

/// Doris' name of what a clause does.
fn operation(clause: &AlterClause) -> &'static str {
    match clause {
        AlterClause::AddColumn { .. }
        | AlterClause::AddColumns { .. }
        | AlterClause::DropColumn { .. }
        | AlterClause::ModifyColumn { .. }
        | AlterClause::OrderBy { .. }
        | AlterClause::AddIndex { .. }
        | AlterClause::DropIndex { .. } => "SCHEMA_CHANGE",
        AlterClause::RenameTable { .. }
        | AlterClause::RenameColumn { .. }
        | AlterClause::RenamePartition { .. }
        | AlterClause::RenameRollup { .. } => "RENAME",
        AlterClause::ModifyComment { .. } => "MODIFY_TABLE_COMMENT",
        AlterClause::ModifyColumnComment { .. } => "MODIFY_COLUMN_COMMENT",
        AlterClause::AddPartition { .. } | AlterClause::AddPartitions { .. } => "ADD_PARTITION",
        AlterClause::DropPartition { .. } => "DROP_PARTITION",
        AlterClause::ReplacePartition { .. } => "REPLACE_PARTITION",
        AlterClause::ModifyPartition { .. } => "MODIFY_PARTITION",
        AlterClause::ReplaceWithTable { .. } => "REPLACE_TABLE",
        AlterClause::SetProperties { .. } => "MODIFY_TABLE_PROPERTY",
        AlterClause::AddRollup { .. } => "ADD_ROLLUP",
        AlterClause::DropRollup { .. } => "DROP_ROLLUP",
        AlterClause::ModifyDistribution { .. } => "MODIFY_DISTRIBUTION",
        AlterClause::EnableFeature { .. } => "ENABLE_FEATURE",
    }
}

/// What several clauses of one statement may do.
const LISTS: [&str; 5] = [
    "SCHEMA_CHANGE",
    "ADD_ROLLUP",
    "DROP_ROLLUP",
    "MODIFY_COLUMN_COMMENT",
    "DROP_PARTITION",
];

/// Refuses clauses that can not stand in one statement.
///
/// # Errors
/// Doris' text, with the names of both.
pub fn check(clauses: &[AlterClause]) -> Result<(), SqlError> {
    let Some(first) = clauses.first().map(operation) else {
        return Ok(());
    };
    for next in clauses.iter().skip(1).map(operation) {
        if next != first || !LISTS.contains(&next) {
            return Err(SqlError::analysis(format!(
                "Alter operation {next} conflicts with operation {first}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dorisim_sql::ast::Statement;
    use dorisim_sql::parse_statements;

    fn checked(text: &str) -> Result<(), String> {
        let statement = parse_statements(text).unwrap().remove(0);
        let Statement::AlterTable { clauses, .. } = statement else {
            panic!("{text} is no ALTER TABLE");
        };
        check(&clauses).map_err(|error| error.text)
    }

    #[test]
    fn only_lists_of_one_kind_stand_together() {
        for fine in [
            "ALTER TABLE t ADD COLUMN a INT, DROP COLUMN b, MODIFY COLUMN c INT, ADD INDEX i (c)",
            "ALTER TABLE t ADD ROLLUP a (k), b (k)",
            "ALTER TABLE t DROP ROLLUP a, b",
            "ALTER TABLE t MODIFY COLUMN a COMMENT 'x', MODIFY COLUMN b COMMENT 'y'",
            "ALTER TABLE t DROP PARTITION p1, DROP PARTITION p2 FORCE",
        ] {
            assert_eq!(checked(fine), Ok(()));
        }
        for (text, refusal) in [
            (
                "ALTER TABLE t RENAME COLUMN a b, RENAME COLUMN c d",
                "Alter operation RENAME conflicts with operation RENAME",
            ),
            (
                "ALTER TABLE t ADD PARTITION p1 VALUES LESS THAN (1), DROP PARTITION p2",
                "Alter operation DROP_PARTITION conflicts with operation ADD_PARTITION",
            ),
            (
                "ALTER TABLE t ADD COLUMN a INT, MODIFY COMMENT 'x'",
                "Alter operation MODIFY_TABLE_COMMENT conflicts with operation SCHEMA_CHANGE",
            ),
        ] {
            assert_eq!(checked(text), Err(refusal.to_owned()));
        }
    }
}
