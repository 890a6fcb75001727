//! Where the data of transactions lies: asks the source for layouts and backends that are not known.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ccr_doris::binlog::{Binlog, Record};
use ccr_schemas::TableId;

use crate::context::Context;
use crate::error::Error;
use crate::plan::catalog::Catalog;
use crate::plan::layout::Layouts;

/// Layouts of tables and addresses of backends, with their age.
pub(crate) struct Places<'a> {
    ctx: &'a Context,
    layouts: Layouts,
    fetched: BTreeMap<TableId, Duration>,
    backends_fetched: Option<Duration>,
    /// [`ccr_doris::Frontend::interruptions`] when something was asked last.
    interruptions: u64,
}

impl<'a> Places<'a> {
    /// Knows nothing yet.
    pub(crate) fn new(ctx: &'a Context) -> Self {
        Self {
            ctx,
            layouts: Layouts::default(),
            fetched: BTreeMap::new(),
            backends_fetched: None,
            interruptions: ctx.source.interruptions(),
        }
    }

    /// What is known.
    pub(crate) fn layouts(&self) -> &Layouts {
        &self.layouts
    }

    /// Forgets a table's layout: an event changed it.
    pub(crate) fn forget(&mut self, table: TableId) {
        self.layouts.forget(table);
    }

    /// Forgets every layout: history is missing.
    pub(crate) fn forget_all(&mut self) {
        self.layouts.forget_all();
    }

    /// Asks the source for what the record needs and is not known, or known for too long.
    ///
    /// # Errors
    /// A source that does not answer.
    pub(crate) async fn look_up(
        &mut self,
        decoded: &Binlog,
        catalog: &Catalog,
    ) -> Result<(), Error> {
        self.notice_interruptions();
        match &decoded.record {
            Record::Upsert(upsert) => {
                let mut wanted = self.layouts.missing(upsert, catalog);
                let now = self.ctx.clock.monotonic();
                wanted.extend(upsert.table_records.keys().filter(|id| {
                    self.fetched
                        .get(id)
                        .is_some_and(|at| *at + self.ctx.config.layout_max_age < now)
                }));
                self.fetch(wanted).await?;
                let old = self
                    .backends_fetched
                    .is_none_or(|at| at + self.ctx.config.backends_max_age < now);
                if old || self.layouts.backends_missing(upsert) {
                    self.fetch_backends().await?;
                }
            }
            Record::AddPartition(r) if !r.is_temp() => {
                if self.layouts.partition(r.table_id, r.partition.id).is_none() {
                    self.fetch(BTreeSet::from([r.table_id])).await?;
                }
            }
            Record::AddPartition(_)
            | Record::CreateTable(_)
            | Record::DropPartition(_)
            | Record::DropTable(_)
            | Record::AlterJob(_)
            | Record::ModifyColumns(_)
            | Record::Dummy
            | Record::AlterDatabaseProperty(_)
            | Record::ModifyTableProperty(_)
            | Record::Barrier(_)
            | Record::ModifyPartitions(_)
            | Record::ReplacePartitions(_)
            | Record::TruncateTable(_)
            | Record::RenameTable(_)
            | Record::RenameColumn(_)
            | Record::ModifyComment(_)
            | Record::ModifyViewDef(_)
            | Record::ReplaceTable(_)
            | Record::ModifyIndexes(_)
            | Record::IndexChangeJob(_)
            | Record::RenameRollup(_)
            | Record::RenamePartition(_)
            | Record::DropRollup(_)
            | Record::RecoverInfo(_)
            | Record::ModifyBucketNum(_)
            | Record::ModifyDistributionType(_)
            | Record::Unknown { .. } => {}
        }
        Ok(())
    }

    /// Asks the source for tables of which nothing is known.
    ///
    /// # Errors
    /// A source that does not answer.
    pub(crate) async fn look_up_tables(&mut self, tables: &BTreeSet<TableId>) -> Result<(), Error> {
        let missing = tables
            .iter()
            .filter(|id| self.layouts.table(**id).is_none());
        let missing = missing.copied().collect();
        self.fetch(missing).await
    }

    /// A cluster that was started again may have its backends at other addresses.
    fn notice_interruptions(&mut self) {
        let now = self.ctx.source.interruptions();
        if now != self.interruptions {
            self.interruptions = now;
            self.layouts.forget_all();
            self.backends_fetched = None;
        }
    }

    async fn fetch(&mut self, tables: BTreeSet<TableId>) -> Result<(), Error> {
        if tables.is_empty() {
            return Ok(());
        }
        let ctx = self.ctx;
        let ids: Vec<TableId> = tables.iter().copied().collect();
        let meta = ctx
            .ask("get_meta", || {
                ctx.source.get_meta(&ctx.key.database, Some(&ids))
            })
            .await?;
        let now = ctx.clock.monotonic();
        self.fetched.extend(ids.iter().map(|id| (*id, now)));
        // A database that is gone has no tables; the reader finds out about the database itself.
        self.layouts.learn(&tables, meta.unwrap_or_default());
        Ok(())
    }

    async fn fetch_backends(&mut self) -> Result<(), Error> {
        let ctx = self.ctx;
        let backends = ctx
            .ask("get_backends", || ctx.source.get_backends())
            .await?;
        self.layouts.learn_backends(backends);
        self.backends_fetched = Some(ctx.clock.monotonic());
        Ok(())
    }
}
