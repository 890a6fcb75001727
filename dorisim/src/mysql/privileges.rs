//! Which privilege a statement of the frontend needs, and on what.

use super::session::SqlSession;
use crate::fe::SqlError;
use crate::sql::ast::{AlterClause, ObjectName, Show, Statement};

/// Refuses a statement that the session's user may not run.
pub(super) fn check(session: &SqlSession, statement: &Statement) -> Result<(), SqlError> {
    let Some((privilege, db, table)) = needed(session, statement) else {
        return Ok(());
    };
    let frontend = session.frontend();
    if frontend.has_privilege(session.user(), privilege, db.as_deref(), table.as_deref()) {
        return Ok(());
    }
    Err(SqlError::new(
        1227,
        format!(
            "Access denied; you need (at least one of) the ({privilege}) privilege(s) for this operation"
        ),
    ))
}

type Needed = (&'static str, Option<String>, Option<String>);

/// Privilege, database, table; `None` when everybody may.
fn needed(session: &SqlSession, statement: &Statement) -> Option<Needed> {
    let on = |privilege, name: &ObjectName| {
        let db = session.db_of(name.db.as_deref()).ok();
        Some((privilege, db, Some(name.name.clone())))
    };
    let on_db = |privilege, db: Option<&str>| Some((privilege, session.db_of(db).ok(), None));
    match statement {
        Statement::CreateDatabase { name, .. } => Some(("CREATE", Some(name.clone()), None)),
        Statement::DropDatabase { name, .. } => Some(("DROP", Some(name.clone()), None)),
        Statement::AlterDatabaseProperties { name, .. }
        | Statement::RenameDatabase { name, .. }
        | Statement::RecoverDatabase { name, .. } => Some(("ALTER", Some(name.clone()), None)),
        Statement::CreateTable(table) => on("CREATE", &table.name),
        Statement::CreateTableAsSelect { table, .. } => on("CREATE", &table.name),
        Statement::CreateTableLike { name, .. } | Statement::CreateView { name, .. } => {
            on("CREATE", name)
        }
        Statement::DropTable { name, .. } | Statement::DropView { name, .. } => on("DROP", name),
        Statement::TruncateTable { name, .. } => on("LOAD", name),
        Statement::AlterTable { name, clauses } => {
            // Dropping a partition is a matter of altering the table, as in Doris.
            let swaps = clauses
                .iter()
                .any(|clause| matches!(clause, AlterClause::ReplaceWithTable { .. }));
            on(if swaps { "DROP" } else { "ALTER" }, name)
        }
        Statement::AlterView { name, .. } | Statement::RecoverTable { name, .. } => {
            on("ALTER", name)
        }
        Statement::CreateIndex { table, .. }
        | Statement::DropIndex { table, .. }
        | Statement::BuildIndex { table, .. }
        | Statement::CancelAlter { table, .. }
        | Statement::CancelBuildIndex { table, .. }
        | Statement::DropMaterializedView { table, .. }
        | Statement::RecoverPartition { table, .. } => on("ALTER", table),
        Statement::Insert(insert) => on("LOAD", &insert.table),
        Statement::Delete { table, .. } | Statement::Update { table, .. } => on("LOAD", table),
        Statement::Backup(backup) | Statement::Restore(backup) => {
            on_db("LOAD", backup.db.as_deref())
        }
        Statement::CancelBackup { db } | Statement::CancelRestore { db } => {
            on_db("LOAD", db.as_deref())
        }
        Statement::CreateMaterializedView { .. } => on_db("ALTER", None),
        Statement::SetPassword { user, .. } => {
            let own = user.as_deref().is_none_or(|user| user == session.user());
            (!own).then_some(("ADMIN", None, None))
        }
        Statement::CreateUser { .. }
        | Statement::DropUser { .. }
        | Statement::Grant { .. }
        | Statement::Revoke { .. }
        | Statement::AdminSetConfig { .. }
        | Statement::AdminShowConfig { .. }
        | Statement::Admin { .. }
        | Statement::AlterSystem(_)
        | Statement::Show(Show::ById { .. })
        | Statement::CreateRepository { .. }
        | Statement::DropRepository { .. } => Some(("ADMIN", None, None)),
        Statement::Begin { .. }
        | Statement::Commit
        | Statement::Rollback
        | Statement::Use { .. }
        | Statement::Set { .. }
        | Statement::NoEffect { .. }
        | Statement::Show(_)
        | Statement::Describe { .. }
        | Statement::Explain { .. }
        | Statement::Select { .. } => None,
    }
}
