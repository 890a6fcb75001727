//! Which tables and views the source has, as of a position.

use ccr_doris::binlog::{self, Record};
use ccr_doris::{BinlogPage, DatabaseMeta, Row};
use ccr_schemas::event::TableRef;
use ccr_schemas::{CommitSeq, DbId, TableId};
use tracing::{debug, info};

use crate::context::Context;
use crate::error::Error;
use crate::plan::catalog::{Catalog, VIEW};
use crate::plan::undo::{changes_names, undo};
use crate::tail;

/// Records per question while names are looked up.
const PAGE: usize = 255;

/// The database's id and its catalogue as the source has it now.
pub(crate) async fn survey(ctx: &Context) -> Result<(DbId, Catalog), Error> {
    let meta = ctx
        .ask("get_meta", || ctx.source.get_meta(&ctx.key.database, None))
        .await?;
    let DatabaseMeta { id, tables, .. } =
        meta.ok_or_else(|| Error::UnknownDatabase(ctx.key.database.clone()))?;
    let id = id.ok_or_else(|| Error::UnknownDatabase(ctx.key.database.clone()))?;
    let views = views(ctx, id).await;
    Ok((id, Catalog::of(&tables, &views)))
}

/// The catalogue as of a position: that of now, with every change of a name since then taken back. See [`crate::plan::undo`].
///
/// # Errors
/// A source that does not answer, or does not have the database.
pub(crate) async fn survey_at(ctx: &Context, position: CommitSeq) -> Result<Catalog, Error> {
    let (_, mut catalog) = survey(ctx).await?;
    let changes = changes_since(ctx, position).await?;
    info!(stream = %ctx.key, position = position.0, changes = changes.len(),
          "names looked up at the source");
    for record in changes.iter().rev() {
        undo(&mut catalog, record);
    }
    Ok(catalog)
}

/// Every record behind a position that changes names, up to the source's present end.
async fn changes_since(ctx: &Context, position: CommitSeq) -> Result<Vec<Record>, Error> {
    let end = tail::source_end(ctx, position).await?;
    let up_to = end.and_then(|lag| lag.last);
    let mut changes = Vec::new();
    let mut after = position;
    while up_to.is_none_or(|up_to| after < up_to) {
        let at = tail::position(ctx, after);
        let page = ctx
            .ask("get_binlog", || ctx.source.get_binlog(&at, PAGE))
            .await?;
        let records = match page {
            BinlogPage::Records(records) => records,
            BinlogPage::CaughtUp | BinlogPage::NoStream => break,
            // What is forgotten is not published either: the stream meets the same gap, and looks names up again.
            BinlogPage::TooOld { forgotten } if forgotten > after => {
                after = forgotten;
                continue;
            }
            BinlogPage::TooOld { .. } => break,
        };
        let Some(last) = records.last() else {
            break;
        };
        after = last.commit_seq;
        // A record that cannot be read says nothing; it stops its tables when it is published.
        let decoded = records.iter().filter_map(|raw| binlog::decode(raw).ok());
        changes.extend(decoded.map(|binlog| binlog.record).filter(changes_names));
    }
    Ok(changes)
}

/// Views, which getMeta leaves out. The statement needs a privilege that the account may lack; then views become known with
/// the first snapshot, or when they are created.
async fn views(ctx: &Context, db_id: DbId) -> Vec<TableRef> {
    let statement = format!("SHOW PROC '/dbs/{db_id}'");
    let rows = match ctx.source.query(None, &statement).await {
        Ok(rows) => rows,
        Err(error) => {
            debug!(stream = %ctx.key, error = %error, "ids of views are not known yet");
            return Vec::new();
        }
    };
    let text = |row: &Row, column: &str| row.get(column).cloned().flatten();
    rows.iter()
        .filter(|row| text(row, "Type").as_deref() == Some(VIEW))
        .filter_map(|row| {
            Some(TableRef {
                id: TableId(text(row, "TableId")?.trim().parse().ok()?),
                name: text(row, "TableName")?,
            })
        })
        .collect()
}
