//! ALTER: a new tablet from an old one.

use ccr_doris_wire::{
    TAlterMaterializedViewParam, TAlterTabletReqV2, TAlterTabletType, TExpr, TExprNode,
    TExprNodeType, TSlotRef,
};

use super::WireError;
use super::schema::{column_from_wire, column_to_wire};
use crate::model::Column;

/// Where a column of a rollup or materialized view comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupColumn {
    /// Column of the new tablet.
    pub name: String,
    /// Column of the base tablet.
    pub origin: String,
    /// It counts values: 1 for a value, 0 for NULL.
    pub counts: bool,
}

/// ALTER: fills a new tablet from an old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterTablet {
    /// Tablet that is read.
    pub base_tablet: i64,
    /// Tablet that CREATE made before.
    pub new_tablet: i64,
    /// Schema hash of the old one.
    pub base_schema_hash: i32,
    /// Schema hash of the new one.
    pub new_schema_hash: i32,
    /// Data up to this version is converted.
    pub version: i64,
    /// Makes a rollup, else another form of the same index.
    pub rollup: bool,
    /// Columns of the base index as they are now (light changes do not reach tablets by themselves).
    pub base_columns: Vec<Column>,
    /// Columns of materialized views.
    pub rollup_columns: Vec<RollupColumn>,
}

impl AlterTablet {
    /// The request of an ALTER task.
    pub fn to_wire(&self) -> TAlterTabletReqV2 {
        let kind = if self.rollup {
            TAlterTabletType::ROLLUP
        } else {
            TAlterTabletType::SCHEMA_CHANGE
        };
        let parameters = self.rollup_columns.iter().map(rollup_column_to_wire);
        TAlterTabletReqV2 {
            base_tablet_id: self.base_tablet,
            new_tablet_id: self.new_tablet,
            base_schema_hash: self.base_schema_hash,
            new_schema_hash: self.new_schema_hash,
            alter_version: Some(self.version),
            materialized_view_params: Some(parameters.collect()),
            alter_tablet_type: Some(kind),
            columns: Some(self.base_columns.iter().map(column_to_wire).collect()),
        }
    }

    /// Reads the request.
    ///
    /// # Errors
    /// Columns that can not be read.
    pub fn from_wire(request: &TAlterTabletReqV2) -> Result<Self, WireError> {
        let columns = request.columns.as_deref().unwrap_or_default();
        let base_columns: Vec<Column> = columns
            .iter()
            .map(column_from_wire)
            .collect::<Result<_, _>>()?;
        let parameters = request.materialized_view_params.as_deref();
        let rollup_columns = parameters
            .unwrap_or_default()
            .iter()
            .filter_map(|parameter| rollup_column(parameter, &base_columns))
            .collect();
        Ok(AlterTablet {
            base_tablet: request.base_tablet_id,
            new_tablet: request.new_tablet_id,
            base_schema_hash: request.base_schema_hash,
            new_schema_hash: request.new_schema_hash,
            version: request.alter_version.unwrap_or(1),
            rollup: request.alter_tablet_type == Some(TAlterTabletType::ROLLUP),
            base_columns,
            rollup_columns,
        })
    }
}

fn rollup_column_to_wire(column: &RollupColumn) -> TAlterMaterializedViewParam {
    let counted = column
        .counts
        .then(|| TExpr::new(vec![TExprNode::new(TExprNodeType::CASE_EXPR, None)]));
    TAlterMaterializedViewParam::new(column.name.clone(), column.origin.clone(), counted)
}

/// By the name of the origin, else by the column of the expression; what can not be found is left to names.
fn rollup_column(
    parameter: &TAlterMaterializedViewParam,
    base_columns: &[Column],
) -> Option<RollupColumn> {
    let nodes = parameter.mv_expr.as_ref().map(|expr| expr.nodes.as_slice());
    let nodes = nodes.unwrap_or_default();
    let by_slot = || {
        let slot = |node: &TExprNode| node.slot_ref.as_ref().and_then(slot_column);
        let unique_id = nodes.iter().find_map(slot)?;
        let column = base_columns
            .iter()
            .find(|column| column.unique_id == unique_id)?;
        Some(column.name.clone())
    };
    Some(RollupColumn {
        name: parameter.column_name.clone(),
        origin: parameter.origin_column_name.clone().or_else(by_slot)?,
        counts: nodes
            .first()
            .is_some_and(|node| node.node_type == TExprNodeType::CASE_EXPR),
    })
}

fn slot_column(slot: &TSlotRef) -> Option<i32> {
    slot.col_unique_id.filter(|id| *id >= 0)
}
