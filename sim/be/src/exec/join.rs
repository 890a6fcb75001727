//! HASH_JOIN_NODE and CROSS_JOIN_NODE: pairs of rows, found by their keys, then tested.

use std::collections::HashMap;

use dorisim_wire::plan::TExprOpcode;
use dorisim_wire::plan::{THashJoinNode, TJoinOp, TNestedLoopJoinNode, TPlanExpr};

use super::batch::Batch;
use super::error::{ExecError, plan};
use super::expr::{Expr, project, truth};
use super::types::{Descriptors, Layout};
use dorisim_model::{Cell, Row};

/// Pairs that one join may look at.
const MAX_PAIRS: usize = 20_000_000;

/// A join of either kind.
struct Join<'a> {
    how: TJoinOp,
    /// Left key, right key, whether NULL equals NULL.
    keys: Vec<(Expr, Expr, bool)>,
    others: Vec<&'a TPlanExpr>,
    intermediate: &'a [i32],
}

/// HASH_JOIN_NODE
pub(super) fn hash(
    node: &THashJoinNode,
    left: Batch,
    right: Batch,
    descriptors: &Descriptors,
) -> Result<Batch, ExecError> {
    if node.is_mark == Some(true) {
        return Err(ExecError::NotSupported("a mark join".to_owned()));
    }
    let keys = node.eq_join_conjuncts.iter().map(|equal| {
        let null_safe = equal.opcode == Some(TExprOpcode::EQ_FOR_NULL);
        let left = Expr::compile(&equal.left, &left.layout)?;
        Ok((left, Expr::compile(&equal.right, &right.layout)?, null_safe))
    });
    let join = Join {
        how: node.join_op,
        keys: keys.collect::<Result<_, ExecError>>()?,
        others: node
            .other_join_conjuncts
            .iter()
            .flatten()
            .chain(&node.vother_join_conjunct)
            .collect(),
        intermediate: node
            .vintermediate_tuple_id_list
            .as_deref()
            .unwrap_or_default(),
    };
    join.run(left, right, descriptors)
}

/// CROSS_JOIN_NODE
pub(super) fn nested_loop(
    node: &TNestedLoopJoinNode,
    left: Batch,
    right: Batch,
    descriptors: &Descriptors,
) -> Result<Batch, ExecError> {
    if node.is_mark == Some(true) {
        return Err(ExecError::NotSupported("a mark join".to_owned()));
    }
    let join = Join {
        how: node.join_op,
        keys: Vec::new(),
        others: node.join_conjuncts.iter().flatten().collect(),
        intermediate: node
            .vintermediate_tuple_id_list
            .as_deref()
            .unwrap_or_default(),
    };
    join.run(left, right, descriptors)
}

impl Join<'_> {
    fn run(
        &self,
        left: Batch,
        right: Batch,
        descriptors: &Descriptors,
    ) -> Result<Batch, ExecError> {
        let (wide, narrow) = (left.layout.width(), right.layout.width());
        let named = descriptors.layout(self.intermediate)?;
        let offset = match self.how {
            TJoinOp::RIGHT_SEMI_JOIN | TJoinOp::RIGHT_ANTI_JOIN if named.width() == narrow => wide,
            _ => 0,
        };
        let layout = left.layout.clone().beside(&right.layout);
        let layout = layout.named_at(&named, offset);
        let pairs = self.pairs(&left.rows, &right.rows)?;
        let joined = |(l, r): &(usize, usize)| -> Row {
            left.rows[*l]
                .iter()
                .chain(&right.rows[*r])
                .cloned()
                .collect()
        };
        let pairs = self.tested(pairs, joined, &layout)?;
        let rows = self.rows(&pairs, &left.rows, &right.rows, (wide, narrow))?;
        Ok(Batch { rows, layout })
    }

    /// Pairs of equal keys.
    fn pairs(&self, left: &[Row], right: &[Row]) -> Result<Vec<(usize, usize)>, ExecError> {
        let of = |rows: &[Row], side: fn(&(Expr, Expr, bool)) -> &Expr| {
            let exprs: Vec<Expr> = self.keys.iter().map(|key| side(key).clone()).collect();
            project(&exprs, rows)
        };
        let (left, right) = (of(left, |key| &key.0)?, of(right, |key| &key.1)?);
        // A NULL is equal to nothing, unless the comparison says so.
        let usable = |key: &[Cell]| {
            let mut cells = key.iter().zip(&self.keys);
            cells.all(|(cell, (_, _, null_safe))| cell.is_some() || *null_safe)
        };
        let mut by_key: HashMap<&[Cell], Vec<usize>> = HashMap::new();
        for (at, key) in right.iter().enumerate() {
            if usable(key) {
                by_key.entry(key).or_default().push(at);
            }
        }
        let mut pairs = Vec::new();
        for (at, key) in left.iter().enumerate() {
            let found = by_key.get(key.as_slice()).filter(|_| usable(key));
            pairs.extend(found.into_iter().flatten().map(|other| (at, *other)));
            if pairs.len() > MAX_PAIRS {
                return Err(ExecError::TooMuch {
                    what: "pairs of a join",
                    limit: MAX_PAIRS,
                });
            }
        }
        Ok(pairs)
    }

    /// Those for which the other conditions are true.
    fn tested(
        &self,
        pairs: Vec<(usize, usize)>,
        joined: impl Fn(&(usize, usize)) -> Row,
        layout: &Layout,
    ) -> Result<Vec<(usize, usize)>, ExecError> {
        if self.others.is_empty() {
            return Ok(pairs);
        }
        let rows: Vec<Row> = pairs.iter().map(joined).collect();
        let mut met = vec![true; rows.len()];
        for other in &self.others {
            let cells = Expr::compile(other, layout)?.eval(&rows)?;
            for (met, cell) in met.iter_mut().zip(&cells) {
                *met &= truth(cell) == Some(true);
            }
        }
        let mut met = met.into_iter();
        Ok(pairs
            .into_iter()
            .filter(|_| met.next() == Some(true))
            .collect())
    }

    fn rows(
        &self,
        pairs: &[(usize, usize)],
        left: &[Row],
        right: &[Row],
        (wide, narrow): (usize, usize),
    ) -> Result<Vec<Row>, ExecError> {
        let mut matched = (vec![false; left.len()], vec![false; right.len()]);
        for (l, r) in pairs {
            matched.0[*l] = true;
            matched.1[*r] = true;
        }
        let both = || {
            let joined = |(l, r): &(usize, usize)| -> Row {
                left[*l].iter().chain(&right[*r]).cloned().collect()
            };
            pairs.iter().map(joined).collect::<Vec<Row>>()
        };
        let of_left = |wanted: bool| {
            let kept = left
                .iter()
                .zip(&matched.0)
                .filter(move |(_, m)| **m == wanted);
            kept.map(move |(row, _)| -> Row {
                let nulls = std::iter::repeat_n(None, narrow);
                row.iter().cloned().chain(nulls).collect()
            })
        };
        let of_right = |wanted: bool| {
            let kept = right
                .iter()
                .zip(&matched.1)
                .filter(move |(_, m)| **m == wanted);
            kept.map(move |(row, _)| -> Row {
                let nulls = std::iter::repeat_n(None, wide);
                nulls.chain(row.iter().cloned()).collect()
            })
        };
        Ok(match self.how {
            TJoinOp::INNER_JOIN | TJoinOp::CROSS_JOIN => both(),
            TJoinOp::LEFT_OUTER_JOIN => both().into_iter().chain(of_left(false)).collect(),
            TJoinOp::RIGHT_OUTER_JOIN => both().into_iter().chain(of_right(false)).collect(),
            TJoinOp::FULL_OUTER_JOIN => both()
                .into_iter()
                .chain(of_left(false))
                .chain(of_right(false))
                .collect(),
            TJoinOp::LEFT_SEMI_JOIN => of_left(true).collect(),
            TJoinOp::LEFT_ANTI_JOIN => of_left(false).collect(),
            TJoinOp::RIGHT_SEMI_JOIN => of_right(true).collect(),
            TJoinOp::RIGHT_ANTI_JOIN => of_right(false).collect(),
            TJoinOp::NULL_AWARE_LEFT_ANTI_JOIN => self.null_aware(left, right, of_left(false))?,
            other => {
                return Err(ExecError::NotSupported(format!(
                    "join operation {}",
                    other.0
                )));
            }
        })
    }

    /// NOT IN: a NULL on the right leaves nothing, a NULL on the left is kept only if the right is empty.
    fn null_aware(
        &self,
        left: &[Row],
        right: &[Row],
        unmatched: impl Iterator<Item = Row>,
    ) -> Result<Vec<Row>, ExecError> {
        let [(left_key, right_key, _)] = self.keys.as_slice() else {
            return Err(plan("NOT IN compares one value"));
        };
        if right.is_empty() {
            return Ok(unmatched.collect());
        }
        if right_key.eval(right)?.iter().any(Option::is_none) {
            return Ok(Vec::new());
        }
        let width = left.first().map_or(0, Vec::len);
        let rows: Vec<Row> = unmatched.collect();
        let own: Vec<Row> = rows.iter().map(|row| row[..width].to_vec()).collect();
        let keys = left_key.eval(&own)?;
        let kept = rows.into_iter().zip(keys).filter(|(_, key)| key.is_some());
        Ok(kept.map(|(row, _)| row).collect())
    }
}
