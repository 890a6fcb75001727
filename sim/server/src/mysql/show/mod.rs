//! SHOW, DESC and their relatives: `cluster` (variables, configuration), `objects` (databases to partitions), `tablets`, `ids`
//! (names of ids), `table` (columns of one table), `views`, `jobs` (backup, restore, transactions), `functions` of users,
//! `load_warnings`. Other forms are refused.

mod cluster;
mod functions;
mod ids;
mod jobs;
mod load_warnings;
mod objects;
mod proc;
mod proc_table;
mod table;
mod tablets;
mod views;

use super::nodes;
use super::session::SqlSession;
use dorisim_model::SqlError;
use dorisim_query::ResultSet;
use dorisim_sql::ast::Show;

pub(super) use cluster::frontend_config;
pub(super) use table::describe;
pub(super) use views::{describe_view, view_of};

/// Answers a SHOW statement.
pub(super) async fn show(session: &SqlSession, form: Show) -> Result<ResultSet, SqlError> {
    match form {
        Show::Narrowed { form, rest } => {
            let answer = Box::pin(show(session, *form)).await?;
            session.narrow(answer, rest).await
        }
        Show::Frontends => Ok(nodes::frontends(session.server())),
        Show::Backends => Ok(nodes::backends(session.server())),
        Show::Databases { like } => Ok(objects::databases(session, like.as_deref())),
        Show::Tables { full, db, like } => {
            objects::tables(session, full, db.as_deref(), like.as_deref())
        }
        Show::Views { db, like } => objects::views(session, db.as_deref(), like.as_deref()),
        Show::ViewsOf { table } => views::of_table(session, &table),
        Show::TableStatus { db, like } => {
            objects::table_status(session, db.as_deref(), like.as_deref())
        }
        Show::CreateTable { table, .. } => objects::create_table(session, &table),
        Show::CreateView { view } => objects::create_view(session, &view),
        Show::CreateDatabase { db } => objects::create_database(session, &db),
        Show::Columns { full, table, like } => {
            table::columns(session, full, &table, like.as_deref())
        }
        Show::Partitions { temp, table } => objects::partitions(session, temp, &table),
        Show::Index { table } => table::index(session, &table),
        Show::Tablets { table, partitions } => tablets::tablets(session, &table, &partitions),
        Show::ById { kind, id } => Ok(ids::by_id(session, kind, id)),
        Show::Proc { path } => proc::proc(session, &path),
        Show::Transaction { db, id, label } => jobs::transaction(session, db.as_deref(), id, label),
        Show::Backup { db, rest } => {
            let answer = jobs::backups(session, db.as_deref())?;
            session
                .narrow(answer, jobs::like_tail(rest, "SnapshotName"))
                .await
        }
        Show::Restore { brief, db, rest } => {
            let answer = jobs::restores(session, db.as_deref(), brief)?;
            session.narrow(answer, jobs::like_tail(rest, "Label")).await
        }
        Show::Functions { full, db, like } => {
            functions::functions(session, full, db.as_deref(), like.as_deref())
        }
        Show::CreateFunction { db, signature } => {
            functions::create(session, db.as_deref(), &signature)
        }
        Show::Variables { global, like } => {
            Ok(cluster::variables(session, global, like.as_deref()))
        }
        Show::Alter { kind, db, rest } => {
            let answer = jobs::alter(session, &kind, db.as_deref())?;
            session.narrow(answer, rest).await
        }
        Show::BuildIndex { db, rest } => {
            let answer = jobs::build_index(session, db.as_deref())?;
            session.narrow(answer, rest).await
        }
        Show::RecycleBin { rest } => session.narrow(jobs::recycle_bin(session), rest).await,
        Show::Warnings => Ok(ResultSet::of_text(&["Level", "Code", "Message"])),
        Show::LoadWarnings { url } => load_warnings::load_warnings(session, url.as_deref()).await,
        Show::Other { text } => Err(SqlError::analysis(format!(
            "mismatched input '{text}' expecting a form of SHOW"
        ))),
    }
}
