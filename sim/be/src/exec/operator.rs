//! Plan nodes: a tree of them, run bottom-up, whole results in memory.

use std::collections::{BTreeMap, HashMap};

use dorisim_wire::plan::{
    TAssertion, TExchangeNode, TFileScanRangeParams, TPlan, TPlanNode, TPlanNodeType,
};

use super::batch::Batch;
use super::error::{ExecError, plan};
use super::expr::{Expr, filter, project};
use super::file_scan::{self, Refused};
use super::scan::scan;
use super::types::{Descriptors, Layout};
use super::{aggregate, sort};
use crate::Backend;
use dorisim_model::Row;

/// Plan nodes inside each other.
const MAX_DEPTH: u32 = 200;

/// A plan node with its inputs.
#[derive(Debug)]
pub struct Node {
    node: TPlanNode,
    children: Vec<Node>,
}

/// What the nodes of a fragment work on.
#[derive(Debug)]
pub struct Context<'a> {
    /// Tablets.
    pub backend: &'a Backend,
    /// Tuples of the query.
    pub descriptors: &'a Descriptors,
    /// Tablets and versions to read, by scan node.
    pub ranges: &'a BTreeMap<i32, Vec<(i64, i64)>>,
    /// How bodies are read, by scan node.
    pub files: &'a BTreeMap<i32, TFileScanRangeParams>,
    /// Rows that were refused on the way.
    pub refused: Refused,
    /// What came in, by exchange node, and fields of a body, by scan node.
    pub inputs: HashMap<i32, Vec<Row>>,
}

impl Node {
    /// The tree of a plan; `None` for a plan without nodes.
    ///
    /// # Errors
    /// Nodes that this backend does not know, by name; lists that are no tree.
    pub fn tree(plan_nodes: TPlan) -> Result<Option<Self>, ExecError> {
        if plan_nodes.nodes.is_empty() {
            return Ok(None);
        }
        let mut nodes = plan_nodes.nodes.into_iter();
        let root = Self::next(&mut nodes, 0)?;
        match nodes.next() {
            None => Ok(Some(root)),
            Some(_) => Err(plan("a plan has nodes behind its end")),
        }
    }

    fn next(nodes: &mut impl Iterator<Item = TPlanNode>, depth: u32) -> Result<Self, ExecError> {
        let node = nodes.next().ok_or_else(|| plan("a plan lacks a node"))?;
        if depth > MAX_DEPTH {
            return Err(plan("a plan has too many levels"));
        }
        if !is_known(node.node_type) {
            let name = name(node.node_type);
            return Err(ExecError::NotSupported(format!("plan node {name}")));
        }
        let mut children = Vec::new();
        for _ in 0..node.num_children {
            children.push(Self::next(nodes, depth + 1)?);
        }
        Ok(Node { node, children })
    }

    /// Ids of the exchange nodes of this tree.
    #[must_use]
    pub fn exchanges(&self) -> Vec<i32> {
        let mut found: Vec<i32> = self.children.iter().flat_map(Node::exchanges).collect();
        if self.node.node_type == TPlanNodeType::EXCHANGE_NODE {
            found.push(self.node.node_id);
        }
        found
    }

    /// Runs the tree.
    ///
    /// # Errors
    /// Whatever stops a query.
    pub fn run(&self, context: &mut Context<'_>) -> Result<Batch, ExecError> {
        let mut inputs = Vec::new();
        for child in &self.children {
            inputs.push(child.run(context)?);
        }
        let batch = self.work(context, inputs)?;
        self.finish(context, batch)
    }

    fn lacks(&self, what: &str) -> ExecError {
        let name = name(self.node.node_type);
        plan(format!("{name} {} lacks {what}", self.node.node_id))
    }

    fn work(&self, context: &mut Context<'_>, inputs: Vec<Batch>) -> Result<Batch, ExecError> {
        let own = || context.descriptors.layout(&self.node.row_tuples);
        let mut inputs = inputs.into_iter();
        let mut input = || inputs.next().ok_or_else(|| self.lacks("its input"));
        match self.node.node_type {
            TPlanNodeType::OLAP_SCAN_NODE => {
                let scanned = self.node.olap_scan_node.as_ref();
                let scanned = scanned.ok_or_else(|| self.lacks("its table"))?;
                let slots = context.descriptors.tuple(scanned.tuple_id)?;
                let ranges = context.ranges.get(&self.node.node_id);
                let ranges = ranges.map(Vec::as_slice).unwrap_or_default();
                let rows = scan(context.backend, scanned, slots, ranges)?;
                let layout = context.descriptors.layout(&[scanned.tuple_id])?;
                Ok(Batch { rows, layout })
            }
            TPlanNodeType::FILE_SCAN_NODE => {
                let id = self.node.node_id;
                let (params, rows) = (context.files.get(&id), context.inputs.remove(&id));
                let (Some(params), Some(rows)) = (params, rows) else {
                    return Err(ExecError::NotSupported(
                        "a scan of files that no load brought along".to_owned(),
                    ));
                };
                let refused = &mut context.refused;
                let rows = file_scan::run(params, context.descriptors, rows, refused)?;
                let tuple = params.dest_tuple_id.unwrap_or(-1);
                let layout = context.descriptors.layout(&[tuple])?;
                Ok(Batch { rows, layout })
            }
            TPlanNodeType::EXCHANGE_NODE => {
                let rows = context.inputs.remove(&self.node.node_id);
                let rows = rows.ok_or_else(|| self.lacks("its senders"))?;
                let exchange = self.node.exchange_node.as_ref();
                let exchange = exchange.ok_or_else(|| self.lacks("its description"))?;
                exchanged(context, exchange, rows, self.node.limit, &own()?)
            }
            TPlanNodeType::UNION_NODE => self.union(context, inputs.collect()),
            TPlanNodeType::EMPTY_SET_NODE => Ok(Batch {
                rows: Vec::new(),
                layout: own()?,
            }),
            TPlanNodeType::SELECT_NODE => input(),
            TPlanNodeType::ASSERT_NUM_ROWS_NODE => {
                let batch = input()?;
                self.assert_rows(batch.rows.len())?;
                Ok(Batch {
                    layout: batch.layout.also(&own()?),
                    rows: batch.rows,
                })
            }
            TPlanNodeType::SORT_NODE => {
                let sorted = self.node.sort_node.as_ref();
                let sorted = sorted.ok_or_else(|| self.lacks("its order"))?;
                let batch = input()?;
                let layout = batch.layout.also(&own()?);
                let rows = sort::run(&sorted.sort_info, batch.rows, &layout)?;
                let rows = sort::window(rows, sorted.offset.unwrap_or(0), self.node.limit);
                Ok(Batch { rows, layout })
            }
            TPlanNodeType::AGGREGATION_NODE => {
                let agg = self.node.agg_node.as_ref();
                let agg = agg.ok_or_else(|| self.lacks("its functions"))?;
                let batch = input()?;
                let rows = aggregate::run(agg, &batch.rows, &batch.layout)?;
                let tuple = if agg.need_finalize {
                    agg.output_tuple_id
                } else {
                    agg.intermediate_tuple_id
                };
                let layout = context.descriptors.layout(&[tuple])?;
                Ok(Batch { rows, layout })
            }
            other => Err(ExecError::NotSupported(format!(
                "plan node {}",
                name(other)
            ))),
        }
    }

    fn union(&self, context: &Context<'_>, inputs: Vec<Batch>) -> Result<Batch, ExecError> {
        let union = self.node.union_node.as_ref();
        let union = union.ok_or_else(|| self.lacks("its expressions"))?;
        let layout = context.descriptors.layout(&[union.tuple_id])?;
        let mut rows = Vec::new();
        let nothing = Layout::default();
        for constants in &union.const_expr_lists {
            let exprs = Expr::compile_all(constants, &nothing)?;
            rows.extend(project(&exprs, &[Row::new()])?);
        }
        for (at, input) in inputs.into_iter().enumerate() {
            match union.result_expr_lists.get(at) {
                Some(exprs) if !exprs.is_empty() => {
                    let exprs = Expr::compile_all(exprs, &input.layout)?;
                    rows.extend(project(&exprs, &input.rows)?);
                }
                Some(_) | None => rows.extend(input.rows),
            }
        }
        Ok(Batch { rows, layout })
    }

    fn assert_rows(&self, found: usize) -> Result<(), ExecError> {
        let assert = self.node.assert_num_rows_node.as_ref();
        let assert = assert.ok_or_else(|| self.lacks("its number"))?;
        let wanted = assert.desired_num_rows.unwrap_or(0);
        let found = i64::try_from(found).unwrap_or(i64::MAX);
        let (holds, sign) = match assert.assertion {
            Some(TAssertion::EQ) => (found == wanted, "EQ"),
            Some(TAssertion::NE) => (found != wanted, "NE"),
            Some(TAssertion::LT) => (found < wanted, "LT"),
            Some(TAssertion::GT) => (found > wanted, "GT"),
            Some(TAssertion::GE) => (found >= wanted, "GE"),
            Some(_) | None => (found <= wanted, "LE"),
        };
        if holds {
            return Ok(());
        }
        Err(ExecError::Cancelled(format!(
            "Expected {sign} {wanted} to be returned by expression"
        )))
    }

    /// Conditions, limit and projections, which every node may have.
    fn finish(&self, context: &Context<'_>, batch: Batch) -> Result<Batch, ExecError> {
        let Batch { rows, mut layout } = batch;
        let node = &self.node;
        let conditions = match (&node.conjuncts, &node.vconjunct) {
            (Some(all), _) => Expr::compile_all(all, &layout)?,
            (None, Some(one)) => vec![Expr::compile(one, &layout)?],
            (None, None) => Vec::new(),
        };
        let mut rows = filter(&conditions, rows)?;
        let groups_in_order = node
            .agg_node
            .as_ref()
            .is_some_and(|agg| agg.agg_sort_info_by_group_key.is_some());
        if !groups_in_order {
            rows = sort::window(rows, 0, node.limit);
        }
        let between = node.intermediate_projections_list.iter().flatten();
        let tuples = node.intermediate_output_tuple_id_list.iter().flatten();
        for (exprs, tuple) in between.zip(tuples) {
            rows = project(&Expr::compile_all(exprs, &layout)?, &rows)?;
            layout = context.descriptors.layout(&[*tuple])?;
        }
        if let (Some(exprs), Some(tuple)) = (&node.projections, node.output_tuple_id)
            && !exprs.is_empty()
        {
            rows = project(&Expr::compile_all(exprs, &layout)?, &rows)?;
            layout = context.descriptors.layout(&[tuple])?;
        }
        Ok(Batch { rows, layout })
    }
}

fn exchanged(
    context: &Context<'_>,
    exchange: &TExchangeNode,
    rows: Vec<Row>,
    limit: i64,
    own: &Layout,
) -> Result<Batch, ExecError> {
    let layout = context.descriptors.layout(&exchange.input_row_tuples)?;
    let layout = layout.also(own);
    let rows = match &exchange.sort_info {
        Some(info) => sort::run(info, rows, &layout)?,
        None => rows,
    };
    let rows = sort::window(rows, exchange.offset.unwrap_or(0), limit);
    Ok(Batch { rows, layout })
}

fn is_known(kind: TPlanNodeType) -> bool {
    matches!(
        kind,
        TPlanNodeType::OLAP_SCAN_NODE
            | TPlanNodeType::EXCHANGE_NODE
            | TPlanNodeType::UNION_NODE
            | TPlanNodeType::EMPTY_SET_NODE
            | TPlanNodeType::SELECT_NODE
            | TPlanNodeType::ASSERT_NUM_ROWS_NODE
            | TPlanNodeType::SORT_NODE
            | TPlanNodeType::AGGREGATION_NODE
            | TPlanNodeType::FILE_SCAN_NODE
    )
}

/// The name of a node as EXPLAIN shows it, nearly.
fn name(kind: TPlanNodeType) -> String {
    let known = match kind {
        TPlanNodeType::OLAP_SCAN_NODE => "OLAP_SCAN_NODE",
        TPlanNodeType::SCHEMA_SCAN_NODE => "SCHEMA_SCAN_NODE",
        TPlanNodeType::HASH_JOIN_NODE => "HASH_JOIN_NODE",
        TPlanNodeType::AGGREGATION_NODE => "AGGREGATION_NODE",
        TPlanNodeType::SORT_NODE => "SORT_NODE",
        TPlanNodeType::EXCHANGE_NODE => "EXCHANGE_NODE",
        TPlanNodeType::SELECT_NODE => "SELECT_NODE",
        TPlanNodeType::CROSS_JOIN_NODE => "CROSS_JOIN_NODE",
        TPlanNodeType::META_SCAN_NODE => "META_SCAN_NODE",
        TPlanNodeType::ANALYTIC_EVAL_NODE => "ANALYTIC_EVAL_NODE",
        TPlanNodeType::EMPTY_SET_NODE => "EMPTY_SET_NODE",
        TPlanNodeType::UNION_NODE => "UNION_NODE",
        TPlanNodeType::REPEAT_NODE => "REPEAT_NODE",
        TPlanNodeType::ASSERT_NUM_ROWS_NODE => "ASSERT_NUM_ROWS_NODE",
        TPlanNodeType::INTERSECT_NODE => "INTERSECT_NODE",
        TPlanNodeType::EXCEPT_NODE => "EXCEPT_NODE",
        TPlanNodeType::TABLE_FUNCTION_NODE => "TABLE_FUNCTION_NODE",
        TPlanNodeType::DATA_GEN_SCAN_NODE => "DATA_GEN_SCAN_NODE",
        TPlanNodeType::FILE_SCAN_NODE => "FILE_SCAN_NODE",
        TPlanNodeType::JDBC_SCAN_NODE => "JDBC_SCAN_NODE",
        TPlanNodeType::PARTITION_SORT_NODE => "PARTITION_SORT_NODE",
        TPlanNodeType::GROUP_COMMIT_SCAN_NODE => "GROUP_COMMIT_SCAN_NODE",
        TPlanNodeType::MATERIALIZATION_NODE => "MATERIALIZATION_NODE",
        TPlanNodeType::REC_CTE_NODE => "REC_CTE_NODE",
        other => return format!("number {}", other.0),
    };
    known.to_owned()
}
