//! ALTER: a new tablet from an old one.

use dorisim_wire::plan::{TDescriptorTable, TPlanExpr};
use dorisim_wire::{TAlterMaterializedViewParam, TAlterTabletReqV2, TAlterTabletType};

use super::WireError;
use super::schema::{column_from_wire, column_to_wire};
use dorisim_model::Column;

/// Name under which the WHERE of a materialized view travels.
pub const WHERE_SIGN: &str = "__DORIS_WHERE_SIGN__";

/// What a column of a rollup or materialized view is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct DefinedColumn {
    /// Column of the new tablet, or [`WHERE_SIGN`].
    pub name: String,
    /// Column of the base tablet that is taken as it is; older frontends tell it.
    pub origin: Option<String>,
    /// Over the slots of the request.
    pub expression: Option<TPlanExpr>,
}

/// ALTER: fills a new tablet from an old one.
#[derive(Clone, Debug, PartialEq)]
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
    pub defined: Vec<DefinedColumn>,
    /// Columns of the base as the expressions name them.
    pub slots: Option<TDescriptorTable>,
}

impl AlterTablet {
    /// The request of an ALTER task.
    pub fn to_wire(&self) -> TAlterTabletReqV2 {
        let kind = if self.rollup {
            TAlterTabletType::ROLLUP
        } else {
            TAlterTabletType::SCHEMA_CHANGE
        };
        let parameter = |column: &DefinedColumn| TAlterMaterializedViewParam {
            column_name: column.name.clone(),
            origin_column_name: column.origin.clone(),
            mv_expr: column.expression.clone(),
        };
        TAlterTabletReqV2 {
            base_tablet_id: self.base_tablet,
            new_tablet_id: self.new_tablet,
            base_schema_hash: self.base_schema_hash,
            new_schema_hash: self.new_schema_hash,
            alter_version: Some(self.version),
            materialized_view_params: Some(self.defined.iter().map(parameter).collect()),
            alter_tablet_type: Some(kind),
            desc_tbl: self.slots.clone(),
            columns: Some(self.base_columns.iter().map(column_to_wire).collect()),
        }
    }

    /// Reads the request.
    ///
    /// # Errors
    /// Columns that can not be read.
    pub fn from_wire(request: TAlterTabletReqV2) -> Result<Self, WireError> {
        let columns = request.columns.as_deref().unwrap_or_default();
        let base_columns: Vec<Column> = columns
            .iter()
            .map(column_from_wire)
            .collect::<Result<_, _>>()?;
        let defined = |parameter: TAlterMaterializedViewParam| DefinedColumn {
            name: parameter.column_name,
            origin: parameter.origin_column_name,
            expression: parameter.mv_expr,
        };
        let parameters = request.materialized_view_params.unwrap_or_default();
        Ok(AlterTablet {
            base_tablet: request.base_tablet_id,
            new_tablet: request.new_tablet_id,
            base_schema_hash: request.base_schema_hash,
            new_schema_hash: request.new_schema_hash,
            version: request.alter_version.unwrap_or(1),
            rollup: request.alter_tablet_type == Some(TAlterTabletType::ROLLUP),
            base_columns,
            defined: parameters.into_iter().map(defined).collect(),
            slots: request.desc_tbl,
        })
    }
}
