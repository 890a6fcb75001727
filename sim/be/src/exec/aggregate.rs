//! AGGREGATION_NODE: groups and their functions, in one phase or in two. A partial result is a text of our own: both phases run on
//! backends of this kind.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use dorisim_wire::plan::{TAggregationNode, TPlanExpr};

use super::cast;
use super::error::{ExecError, plan};
use super::expr::{Expr, project};
use super::number::{Operation, compute};
use super::types::{Layout, data_type};
use dorisim_model::{Cell, DataType, Row};

/// Between the parts of a partial average.
const SEPARATOR: char = '\u{1f}';

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Count,
    Sum,
    Min,
    Max,
    Avg,
    AnyValue,
    CountDistinct,
    SumDistinct,
}

impl Function {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "count" => Self::Count,
            "sum" | "sum0" => Self::Sum,
            "min" => Self::Min,
            "max" => Self::Max,
            "avg" => Self::Avg,
            "any_value" | "any" => Self::AnyValue,
            "multi_distinct_count" => Self::CountDistinct,
            "multi_distinct_sum" => Self::SumDistinct,
            _ => return None,
        })
    }
}

/// One aggregate function of the node.
#[derive(Debug)]
struct Aggregate {
    function: Function,
    /// NULL of an empty group is zero.
    zero: bool,
    merges: bool,
    data_type: DataType,
    arguments: Vec<Expr>,
}

#[derive(Clone, Debug)]
enum State {
    Count(i64),
    Value(Cell),
    Average { sum: Cell, count: i64 },
    Set(BTreeSet<String>),
}

impl Aggregate {
    fn compile(tree: &TPlanExpr, layout: &Layout) -> Result<Self, ExecError> {
        let node = tree
            .nodes
            .first()
            .ok_or_else(|| plan("an aggregate function without nodes"))?;
        let name = node.fn_.as_ref().map(|f| f.name.function_name.as_str());
        let name = name.unwrap_or_default().to_ascii_lowercase();
        let function = Function::named(&name)
            .ok_or_else(|| ExecError::NotSupported(format!("aggregate function {name}")))?;
        // The children are a list of trees; a root above them makes one tree of it.
        let mut arguments = Vec::new();
        let mut rest = &tree.nodes[1..];
        while !rest.is_empty() {
            let length = length_of_first(rest)?;
            let (first, behind) = rest.split_at(length);
            let tree = TPlanExpr::new(first.to_vec());
            arguments.push(Expr::compile(&tree, layout)?);
            rest = behind;
        }
        Ok(Aggregate {
            function,
            zero: name == "sum0",
            merges: node.agg_expr.as_ref().is_some_and(|agg| agg.is_merge_agg),
            data_type: data_type(&node.type_)?,
            arguments,
        })
    }

    fn empty(&self) -> State {
        match self.function {
            Function::Count => State::Count(0),
            Function::Sum if self.zero => State::Value(Some("0".to_owned())),
            Function::Sum | Function::Min | Function::Max | Function::AnyValue => {
                State::Value(None)
            }
            Function::Avg => State::Average {
                sum: None,
                count: 0,
            },
            Function::CountDistinct | Function::SumDistinct => State::Set(BTreeSet::new()),
        }
    }

    /// Type in which sums are kept.
    fn sum_type(&self) -> DataType {
        let argument = self.arguments.first().map(|a| &a.data_type);
        match (argument, &self.data_type) {
            (Some(DataType::Decimal(_, scale)), _) => DataType::Decimal(38, *scale),
            (_, DataType::Decimal(_, scale)) => DataType::Decimal(38, *scale),
            (Some(DataType::Float | DataType::Double), _) => DataType::Double,
            (_, _) => DataType::LargeInt,
        }
    }

    fn add(&self, state: &mut State, cells: &[&Cell]) -> Result<(), ExecError> {
        let none = None;
        let cell = cells.first().copied().unwrap_or(&none);
        match state {
            State::Count(count) if self.merges => *count += number(cell),
            State::Count(count) => *count += i64::from(cells.iter().all(|c| c.is_some())),
            State::Value(value) => self.fold(value, cell)?,
            State::Average { sum, count } => {
                let Some(text) = cell else { return Ok(()) };
                let (part, times) = match text.split_once(SEPARATOR) {
                    Some((part, times)) if self.merges => (part, times.parse().unwrap_or(0)),
                    Some(_) | None => (text.as_str(), 1),
                };
                *sum = plus(sum, part, &self.average_type())?;
                *count += times;
            }
            State::Set(set) => match cell {
                Some(text) if self.merges => {
                    let members: Vec<String> = serde_json::from_str(text)
                        .map_err(|_| plan("a partial DISTINCT of another kind of backend"))?;
                    set.extend(members);
                }
                Some(text) => {
                    set.insert(text.clone());
                }
                None => {}
            },
        }
        Ok(())
    }

    fn average_type(&self) -> DataType {
        match self.data_type {
            DataType::Decimal(..) => self.sum_type(),
            _ => DataType::Double,
        }
    }

    fn fold(&self, value: &mut Cell, cell: &Cell) -> Result<(), ExecError> {
        let Some(text) = cell else { return Ok(()) };
        let data_type = self
            .arguments
            .first()
            .map_or(&self.data_type, |argument| &argument.data_type);
        let replaces = match self.function {
            Function::Min => data_type.compare(cell, value) == Ordering::Less,
            Function::Max => data_type.compare(cell, value) == Ordering::Greater,
            Function::AnyValue => false,
            Function::Sum
            | Function::Count
            | Function::Avg
            | Function::CountDistinct
            | Function::SumDistinct => {
                *value = plus(value, text, &self.sum_type())?;
                return Ok(());
            }
        };
        if value.is_none() || replaces {
            value.clone_from(cell);
        }
        Ok(())
    }

    fn partial(&self, state: State) -> Cell {
        match state {
            State::Count(count) => Some(count.to_string()),
            State::Value(value) => value,
            State::Average { sum, count } => sum.map(|sum| format!("{sum}{SEPARATOR}{count}")),
            State::Set(set) => serde_json::to_string(&set).ok(),
        }
    }

    fn result(&self, state: State) -> Result<Cell, ExecError> {
        let value = match state {
            State::Count(count) => Some(count.to_string()),
            State::Value(value) => value,
            State::Average { sum, count } => {
                let count = count.to_string();
                return compute(
                    Operation::Divide,
                    sum.as_deref(),
                    Some(&count),
                    &self.data_type,
                );
            }
            State::Set(set) if self.function == Function::CountDistinct => {
                Some(set.len().to_string())
            }
            State::Set(set) => {
                let mut sum = None;
                for member in set {
                    sum = plus(&sum, &member, &self.sum_type())?;
                }
                sum
            }
        };
        Ok(cast::cast(&value, &DataType::String, &self.data_type))
    }
}

fn number(cell: &Cell) -> i64 {
    cell.as_deref().and_then(|t| t.parse().ok()).unwrap_or(0)
}

fn plus(sum: &Cell, text: &str, data_type: &DataType) -> Result<Cell, ExecError> {
    match sum {
        None => Ok(data_type.canonicalize(text).ok().flatten()),
        Some(sum) => compute(Operation::Add, Some(sum), Some(text), data_type),
    }
}

/// Nodes of the tree that a list of nodes begins with.
fn length_of_first(nodes: &[dorisim_wire::plan::TPlanExprNode]) -> Result<usize, ExecError> {
    let mut open = 1_i64;
    for (at, node) in nodes.iter().enumerate() {
        open += i64::from(node.num_children) - 1;
        if open == 0 {
            return Ok(at + 1);
        }
    }
    Err(plan("an aggregate function lacks an argument"))
}

/// Groups of the rows, in the order in which they appear; keys first, then one cell per function.
///
/// # Errors
/// Functions that are not known; values that can not be computed.
pub(super) fn run(
    node: &TAggregationNode,
    rows: &[Row],
    layout: &Layout,
) -> Result<Vec<Row>, ExecError> {
    let keys = Expr::compile_all(node.grouping_exprs.as_deref().unwrap_or_default(), layout)?;
    let functions: Vec<Aggregate> = node
        .aggregate_functions
        .iter()
        .map(|tree| Aggregate::compile(tree, layout))
        .collect::<Result<_, _>>()?;
    let keyed = project(&keys, rows)?;
    let arguments: Vec<Vec<Vec<Cell>>> = functions
        .iter()
        .map(|function| function.arguments.iter().map(|a| a.eval(rows)).collect())
        .collect::<Result<_, _>>()?;
    let empty = || functions.iter().map(Aggregate::empty).collect::<Vec<_>>();
    let mut places: HashMap<Row, usize> = HashMap::new();
    let mut groups: Vec<(Row, Vec<State>)> = Vec::new();
    if keys.is_empty() {
        places.insert(Vec::new(), 0);
        groups.push((Vec::new(), empty()));
    }
    for (at, key) in keyed.into_iter().enumerate() {
        let place = match places.get(&key) {
            Some(place) => *place,
            None => {
                places.insert(key.clone(), groups.len());
                groups.push((key, empty()));
                groups.len() - 1
            }
        };
        let states = &mut groups[place].1;
        for ((function, columns), state) in functions.iter().zip(&arguments).zip(states) {
            let cells: Vec<&Cell> = columns.iter().map(|column| &column[at]).collect();
            function.add(state, &cells)?;
        }
    }
    groups
        .into_iter()
        .map(|(mut row, states)| {
            for (function, state) in functions.iter().zip(states) {
                row.push(if node.need_finalize {
                    function.result(state)?
                } else {
                    function.partial(state)
                });
            }
            Ok(row)
        })
        .collect()
}
