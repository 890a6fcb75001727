//! Order of rows by the expressions of a SORT_NODE or a merging EXCHANGE_NODE.

use std::cmp::Ordering;

use dorisim_wire::plan::TSortInfo;

use super::error::ExecError;
use super::expr::Expr;
use super::types::Layout;
use dorisim_model::{Cell, Row};

/// Sorts; rows of equal keys keep their order.
///
/// # Errors
/// Expressions that can not be computed.
pub(super) fn run(
    info: &TSortInfo,
    rows: Vec<Row>,
    layout: &Layout,
) -> Result<Vec<Row>, ExecError> {
    let exprs = Expr::compile_all(&info.ordering_exprs, layout)?;
    let columns: Vec<Vec<Cell>> = exprs
        .iter()
        .map(|expr| expr.eval(&rows))
        .collect::<Result<_, _>>()?;
    let flag = |flags: &[bool], at: usize| flags.get(at).copied().unwrap_or(true);
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|a, b| {
        for (at, (expr, column)) in exprs.iter().zip(&columns).enumerate() {
            let (left, right) = (&column[*a], &column[*b]);
            let ordering = match (left, right) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) if flag(&info.nulls_first, at) => Ordering::Less,
                (Some(_), None) if flag(&info.nulls_first, at) => Ordering::Greater,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(_), Some(_)) => {
                    let ordering = expr.data_type.compare(left, right);
                    if flag(&info.is_asc_order, at) {
                        ordering
                    } else {
                        ordering.reverse()
                    }
                }
            };
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        Ordering::Equal
    });
    let mut rows: Vec<Option<Row>> = rows.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|at| rows[at].take()).collect())
}

/// What an offset and a limit leave; a negative limit is none.
#[must_use]
pub(super) fn window(mut rows: Vec<Row>, offset: i64, limit: i64) -> Vec<Row> {
    if let Ok(offset) = usize::try_from(offset) {
        rows.drain(..offset.min(rows.len()));
    }
    if let Ok(limit) = usize::try_from(limit) {
        rows.truncate(limit);
    }
    rows
}
