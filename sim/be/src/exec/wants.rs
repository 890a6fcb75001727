//! What a load asks its frontend for before its rows can be spread: AUTO_INCREMENT values, automatic partitions.

use std::collections::BTreeSet;
use std::time::Duration;

use dorisim_wire::plan::{
    TAutoIncrementRangeRequest, TAutoIncrementRangeResult, TCreatePartitionRequest,
    TCreatePartitionResult, TNullableStringLiteral, TOlapTableSink,
};
use dorisim_wire::{TStatus, TStatusCode, TUniqueId};

use super::error::{ExecError, plan};
use super::executor::Executor;
use super::expr::{Expr, project};
use super::routing::Routing;
use super::types::{Layout, data_type};
use crate::brpc::pb::UniqueIdPb;
use dorisim_model::{Cell, DataType, Row};
use dorisim_net::client::Pool;

/// Limit of one call; partitions are made in it.
const CALL: Duration = Duration::from_secs(60);
/// Partitions that one load may make.
const MAX_PARTITIONS: usize = 10_000;

impl Executor {
    fn master(&self) -> Result<Pool, ExecError> {
        let membership = self.agent.membership();
        let master = membership.master();
        let master = master.ok_or_else(|| plan("this backend knows no master"))?;
        Ok(Pool::new(&master.host, master.port))
    }

    /// Gives rows without one a value of the AUTO_INCREMENT column.
    pub(super) async fn number(
        &self,
        sink: &TOlapTableSink,
        rows: &mut [Row],
    ) -> Result<(), ExecError> {
        let slots = &sink.schema.slot_descs;
        let place = slots
            .iter()
            .position(|slot| slot.is_auto_increment == Some(true));
        let Some(place) = place else { return Ok(()) };
        let without = |row: &&mut Row| row.get(place).is_some_and(Option::is_none);
        let wanted = rows.iter_mut().filter(without).count();
        if wanted == 0 {
            return Ok(());
        }
        let length = i64::try_from(wanted).unwrap_or(i64::MAX);
        let request = TAutoIncrementRangeRequest {
            db_id: Some(sink.db_id),
            table_id: Some(sink.table_id),
            column_id: slots[place].col_unique_id.map(i64::from),
            length: Some(length),
            lower_bound: None,
        };
        let master = self.master()?;
        let given: TAutoIncrementRangeResult = master
            .call("getAutoIncrementRange", &request, CALL)
            .await
            .map_err(|error| plan(error.text()))?;
        check(given.status.as_ref())?;
        let (Some(start), true) = (given.start, given.length.unwrap_or(0) >= length) else {
            return Err(plan("the frontend gave too few AUTO_INCREMENT values"));
        };
        let numbers = (start..).map(|number| Some(number.to_string()));
        for (row, number) in rows.iter_mut().filter(without).zip(numbers) {
            row[place] = number;
        }
        Ok(())
    }

    /// Lets the frontend make the partitions that rows lack, and adds them to the sink.
    pub(super) async fn make_partitions(
        &self,
        query: UniqueIdPb,
        sink: &mut TOlapTableSink,
        rows: &[Row],
    ) -> Result<(), ExecError> {
        if sink.partition.enable_automatic_partition != Some(true) {
            return Ok(());
        }
        if sink.partition.partitions_is_fake.take() == Some(true) {
            // A table without partitions yet: what is listed only gives the plan a shape.
            sink.partition.partitions.clear();
        }
        let missing = missing(sink, rows)?;
        if missing.is_empty() {
            return Ok(());
        }
        if missing.len() > MAX_PARTITIONS {
            return Err(ExecError::TooMuch {
                what: "partitions of one load",
                limit: MAX_PARTITIONS,
            });
        }
        let literal = |cell: Cell| TNullableStringLiteral {
            is_null: Some(cell.is_none()),
            value: cell,
        };
        let values = missing
            .into_iter()
            .map(|key| key.into_iter().map(literal).collect());
        let address = self.agent.backend().listens_at();
        let host = self.agent.membership().host().map(str::to_owned);
        let host = host.unwrap_or_else(|| address.host.clone());
        let request = TCreatePartitionRequest {
            txn_id: Some(sink.txn_id),
            db_id: Some(sink.db_id),
            table_id: Some(sink.table_id),
            partition_values: Some(values.collect()),
            be_endpoint: Some(format!("{host}:{}", address.heartbeat_port)),
            query_id: Some(TUniqueId::new(query.hi, query.lo)),
        };
        let master = self.master()?;
        let made: TCreatePartitionResult = master
            .call("createPartition", &request, CALL)
            .await
            .map_err(|error| plan(error.text()))?;
        check(made.status.as_ref())?;
        sink.partition
            .partitions
            .extend(made.partitions.into_iter().flatten());
        sink.location
            .tablets
            .extend(made.tablets.into_iter().flatten());
        sink.nodes_info
            .nodes
            .extend(made.nodes.into_iter().flatten());
        Ok(())
    }
}

fn check(status: Option<&TStatus>) -> Result<(), ExecError> {
    match status {
        Some(status) if status.status_code != TStatusCode::OK => {
            let texts = status.error_msgs.clone().unwrap_or_default();
            Err(ExecError::Value(texts.join("; ")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Values of the partition expressions that no partition takes.
fn missing(sink: &TOlapTableSink, rows: &[Row]) -> Result<BTreeSet<Row>, ExecError> {
    let slots = &sink.schema.slot_descs;
    let names: Vec<String> = slots.iter().map(|slot| slot.col_name.clone()).collect();
    let types: Vec<DataType> = slots
        .iter()
        .map(|slot| data_type(&slot.slot_type))
        .collect::<Result<_, _>>()?;
    let mut layout = Layout::default();
    slots.iter().for_each(|slot| layout.push(slot.id));
    let routing = Routing::new(sink, &names, &types)?;
    let homeless: Vec<Row> = rows
        .iter()
        .filter(|row| routing.partition(row).is_none())
        .cloned()
        .collect();
    let exprs = sink.partition.partition_function_exprs.as_deref();
    let exprs = Expr::compile_all(exprs.unwrap_or_default(), &layout)?;
    if exprs.is_empty() {
        return Err(plan("automatic partitions without their expressions"));
    }
    Ok(project(&exprs, &homeless)?.into_iter().collect())
}
