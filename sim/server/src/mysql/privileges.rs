//! Which privilege a statement of the frontend needs, and on what.

use super::session::SqlSession;
use dorisim_model::SqlError;
use dorisim_sql::ast::{AlterClause, ObjectName, Show, Statement};

/// Refuses a statement that the session's user may not run.
pub(super) fn check(session: &SqlSession, statement: &Statement) -> Result<(), SqlError> {
    if let Statement::Show(Show::Narrowed { form, .. }) = statement {
        return check(session, &Statement::Show((**form).clone()));
    }
    let Some((privilege, db, table)) = needed(session, statement) else {
        return Ok(());
    };
    let frontend = session.frontend();
    if frontend.has_privilege(session.user(), privilege, db.as_deref(), table.as_deref()) {
        return Ok(());
    }
    let text = refusal(
        statement,
        privilege,
        session.user(),
        db.as_deref(),
        table.as_deref(),
    );
    Err(SqlError::new(1227, text))
}

/// What Doris says; every kind of object has a way of its own.
fn refusal(
    statement: &Statement,
    privilege: &str,
    user: &str,
    db: Option<&str>,
    table: Option<&str>,
) -> String {
    let (db, table) = (db.unwrap_or_default(), table.unwrap_or_default());
    let denied = |command: &str, separator: &str| {
        format!(
            "{command} command denied to user '{user}'@'127.0.0.1' for table '{db}{separator}{table}'"
        )
    };
    let needed = |privilege: &str| {
        format!(
            "Access denied; you need (at least one of) the ({privilege}) privilege(s) for this operation"
        )
    };
    match statement {
        Statement::CreateDatabase { .. }
        | Statement::DropDatabase { .. }
        | Statement::AlterDatabaseProperties { .. }
        | Statement::RenameDatabase { .. }
        | Statement::Show(Show::Backup { .. } | Show::Restore { .. }) => {
            format!("Access denied for user '{user}' to database '{db}'")
        }
        Statement::AlterTable { .. } if privilege == "ALTER" => denied("ALTER TABLE", ": "),
        Statement::CreateIndex { .. }
        | Statement::DropIndex { .. }
        | Statement::BuildIndex { .. } => denied("ALTER TABLE", ": "),
        Statement::RecoverTable { .. } | Statement::RecoverPartition { .. } => {
            denied("RECOVERY", ": ")
        }
        Statement::Insert(_) => denied("LOAD", "."),
        Statement::CreateView { .. } => format!(
            "Access denied; you need (at least one of) the (Admin_priv,Create_priv) privilege(s) on table {table} for this operation"
        ),
        Statement::Show(Show::Transaction { .. }) => format!(
            "Access denied; you need (at least one of) the (Admin_priv,Load_priv) privilege(s) on database {db} for this operation"
        ),
        Statement::Show(Show::RecycleBin { .. }) => needed("Admin_priv"),
        Statement::Show(Show::Tablets { .. }) => needed("SHOW TABLETS"),
        Statement::CreateUser { .. } | Statement::DropUser { .. } => needed("GRANT"),
        Statement::Set { .. } => needed("ADMIN"),
        Statement::AlterSystem(_) => needed("NODE"),
        Statement::Grant { privileges, .. } => format!(
            "Access denied; you need all  [Grant_priv, {}] privilege(s) for this operation",
            privileges
                .iter()
                .map(|name| printed(name))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        _ => needed(privilege),
    }
}

/// `SELECT_PRIV` as `Select_priv`.
fn printed(privilege: &str) -> String {
    let lower = privilege.to_ascii_lowercase();
    let mut letters = lower.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + letters.as_str()
    })
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
        Statement::Set { assignments } => assignments
            .iter()
            .any(|assignment| assignment.global)
            .then_some(("ADMIN", None, None)),
        Statement::CreateUser { .. }
        | Statement::DropUser { .. }
        | Statement::Grant { .. }
        | Statement::Revoke { .. }
        | Statement::AdminSetConfig { .. }
        | Statement::AdminShowConfig { .. }
        | Statement::AlterSystem(_)
        | Statement::Show(
            Show::ById { .. } | Show::Proc { .. } | Show::RecycleBin { .. } | Show::Tablets { .. },
        )
        | Statement::CreateFunction { .. }
        | Statement::DropFunction { .. } => Some(("ADMIN", None, None)),
        Statement::NoEffect { kind } => kind.starts_with("ADMIN").then_some(("ADMIN", None, None)),
        Statement::Show(Show::Backup { db, .. } | Show::Restore { db, .. }) => {
            on_db("LOAD", db.as_deref())
        }
        Statement::Show(Show::Transaction { db, .. }) => on_db("LOAD", db.as_deref()),
        Statement::Begin { .. }
        | Statement::Commit
        | Statement::Rollback
        | Statement::Use { .. }
        | Statement::Show(_)
        | Statement::Describe { .. }
        | Statement::Explain { .. }
        | Statement::Select { .. } => None,
    }
}
