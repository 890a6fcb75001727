//! REALTIME_PUSH: a DELETE with conditions, held as a rowset of its transaction.

use dorisim_wire::{TCondition, TPushReq, TPushType};

use super::WireError;
use super::schema::{column_from_wire, column_to_wire};
use dorisim_model::Column;
use dorisim_model::backend::{DeleteCondition, DeleteOp, DeletePredicate};

/// A DELETE on one tablet.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// Which tablet.
    pub tablet_id: i64,
    /// Its schema hash.
    pub schema_hash: i32,
    /// Version at the time of the statement; -1 for REALTIME_PUSH.
    pub version: i64,
    /// Transaction that is published later.
    pub txn_id: i64,
    /// Partition of the tablet.
    pub partition_id: i64,
    /// Which rows.
    pub predicate: DeletePredicate,
    /// Columns of the table, for names of conditions.
    pub columns: Vec<Column>,
}

const NULL: &str = "NULL";
const NOT_NULL: &str = "NOT NULL";

impl Push {
    /// The request. Conditions on columns that `columns` does not have are named by their unique id.
    pub fn to_wire(&self) -> TPushReq {
        let condition = |condition: &DeleteCondition| {
            let column = self
                .columns
                .iter()
                .find(|column| column.unique_id == condition.column);
            let name = column.map_or_else(
                || condition.column.to_string(),
                |column| column.name.clone(),
            );
            let (op, values) = condition_to_wire(condition);
            TCondition::new(name, op.to_owned(), values, condition.column)
        };
        TPushReq {
            tablet_id: self.tablet_id,
            schema_hash: self.schema_hash,
            version: self.version,
            version_hash: 0,
            timeout: 3600,
            push_type: TPushType::DELETE,
            delete_conditions: Some(self.predicate.conditions.iter().map(condition).collect()),
            transaction_id: Some(self.txn_id),
            partition_id: Some(self.partition_id),
            is_schema_changing: Some(false),
            columns_desc: Some(self.columns.iter().map(column_to_wire).collect()),
            schema_version: Some(0),
        }
    }

    /// Reads the request.
    ///
    /// # Errors
    /// Pushes that are no DELETE, unknown comparisons and columns.
    pub fn from_wire(request: TPushReq) -> Result<Self, WireError> {
        if request.push_type != TPushType::DELETE {
            return Err(WireError::new(format!(
                "push type {} is not served, DELETE is",
                request.push_type.0
            )));
        }
        let columns: Vec<Column> = request
            .columns_desc
            .unwrap_or_default()
            .iter()
            .map(column_from_wire)
            .collect::<Result<_, _>>()?;
        let conditions = request.delete_conditions.unwrap_or_default();
        let conditions = conditions
            .into_iter()
            .map(|condition| condition_from_wire(condition, &columns))
            .collect::<Result<_, _>>()?;
        Ok(Push {
            tablet_id: request.tablet_id,
            schema_hash: request.schema_hash,
            version: request.version,
            txn_id: request.transaction_id.unwrap_or(-1),
            partition_id: request.partition_id.unwrap_or(-1),
            predicate: DeletePredicate { conditions },
            columns,
        })
    }
}

fn condition_to_wire(condition: &DeleteCondition) -> (&'static str, Vec<String>) {
    let op = match condition.op {
        DeleteOp::Eq => "=",
        DeleteOp::Ne => "!=",
        DeleteOp::Lt => "<",
        DeleteOp::Le => "<=",
        DeleteOp::Gt => ">",
        DeleteOp::Ge => ">=",
        DeleteOp::In => "*=",
        DeleteOp::NotIn => "!*=",
        DeleteOp::IsNull => return ("IS", vec![NULL.to_owned()]),
        DeleteOp::IsNotNull => return ("IS", vec![NOT_NULL.to_owned()]),
    };
    let text = |cell: &Option<String>| cell.clone().unwrap_or_else(|| NULL.to_owned());
    (op, condition.values.iter().map(text).collect())
}

fn condition_from_wire(
    condition: TCondition,
    columns: &[Column],
) -> Result<DeleteCondition, WireError> {
    let name = &condition.column_name;
    let by_name = || {
        columns
            .iter()
            .find(|column| column.is_named(name))
            .map(|column| column.unique_id)
    };
    let unique_id = condition.column_unique_id.filter(|id| *id >= 0);
    let column = unique_id
        .or_else(by_name)
        .ok_or_else(|| WireError::new(format!("condition on {name}, which is no column")))?;
    let first = condition.condition_values.first().map(String::as_str);
    let op = match (condition.condition_op.as_str(), first) {
        ("=", _) => DeleteOp::Eq,
        ("!=", _) => DeleteOp::Ne,
        ("<" | "<<", _) => DeleteOp::Lt,
        ("<=", _) => DeleteOp::Le,
        (">" | ">>", _) => DeleteOp::Gt,
        (">=", _) => DeleteOp::Ge,
        ("*=", _) => DeleteOp::In,
        ("!*=", _) => DeleteOp::NotIn,
        ("IS", Some(NOT_NULL)) => DeleteOp::IsNotNull,
        ("IS", _) => DeleteOp::IsNull,
        (other, _) => {
            return Err(WireError::new(format!(
                "condition on {name}: unknown comparison {other}"
            )));
        }
    };
    let values = match op {
        DeleteOp::IsNull | DeleteOp::IsNotNull => Vec::new(),
        DeleteOp::Eq
        | DeleteOp::Ne
        | DeleteOp::Lt
        | DeleteOp::Le
        | DeleteOp::Gt
        | DeleteOp::Ge
        | DeleteOp::In
        | DeleteOp::NotIn => condition.condition_values.into_iter().map(Some).collect(),
    };
    Ok(DeleteCondition { column, op, values })
}
