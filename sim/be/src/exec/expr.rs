//! Expressions: from the flattened trees of a plan to something that computes columns of cells.

use std::cmp::Ordering;

use dorisim_wire::plan::{TExprOpcode, TPlanExpr, TPlanExprKind, TPlanExprNode};

use super::error::{ExecError, plan};
use super::number::{self, Operation};
use super::types::{Layout, data_type};
use super::{cast, function};
use dorisim_model::{Cell, DataType, Row};

/// Levels of one expression.
const MAX_DEPTH: u32 = 256;

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `<=>`
    EqForNull,
}

/// A value of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nesting {
    Array,
    Map,
    Struct,
}

/// What a node of an expression does with its children.
#[derive(Clone, Debug)]
enum Kind {
    Literal(Cell),
    Slot(usize),
    Cast,
    Compare(Comparison),
    And,
    Or,
    Not,
    In { negated: bool },
    IsNull { negated: bool },
    Arithmetic(Operation),
    Case { operand: bool, otherwise: bool },
    Nested(Nesting),
    Call(String),
}

/// An expression over rows of one layout.
#[derive(Clone, Debug)]
pub struct Expr {
    kind: Kind,
    /// Type of its values.
    pub data_type: DataType,
    children: Vec<Expr>,
}

impl Expr {
    /// Reads an expression.
    ///
    /// # Errors
    /// Nodes, functions and types that are not known; slots that the layout lacks; trees that are none.
    pub fn compile(tree: &TPlanExpr, layout: &Layout) -> Result<Self, ExecError> {
        let mut nodes = tree.nodes.iter();
        let expr = next(&mut nodes, layout, 0)?;
        match nodes.next() {
            None => Ok(expr),
            Some(_) => Err(plan("an expression has nodes behind its end")),
        }
    }

    /// Reads many.
    ///
    /// # Errors
    /// As [`Expr::compile`].
    pub fn compile_all(trees: &[TPlanExpr], layout: &Layout) -> Result<Vec<Self>, ExecError> {
        trees
            .iter()
            .map(|tree| Self::compile(tree, layout))
            .collect()
    }

    /// One cell per row.
    ///
    /// # Errors
    /// Values that can not be computed.
    pub fn eval(&self, rows: &[Row]) -> Result<Vec<Cell>, ExecError> {
        match &self.kind {
            Kind::Literal(cell) => return Ok(vec![cell.clone(); rows.len()]),
            Kind::Slot(place) => {
                let cells = rows.iter().map(|row| row.get(*place).cloned().flatten());
                return Ok(cells.collect());
            }
            Kind::Cast
            | Kind::Compare(_)
            | Kind::And
            | Kind::Or
            | Kind::Not
            | Kind::In { .. }
            | Kind::IsNull { .. }
            | Kind::Arithmetic(_)
            | Kind::Case { .. }
            | Kind::Nested(_)
            | Kind::Call(_) => {}
        }
        let columns: Vec<Vec<Cell>> = self
            .children
            .iter()
            .map(|child| child.eval(rows))
            .collect::<Result<_, _>>()?;
        if let Kind::Call(name) = &self.kind {
            let types: Vec<&DataType> = self.children.iter().map(|c| &c.data_type).collect();
            return function::call(name, &types, &columns, rows.len(), &self.data_type);
        }
        let mut of_row: Vec<&Cell> = Vec::with_capacity(columns.len());
        (0..rows.len())
            .map(|row| {
                of_row.clear();
                of_row.extend(columns.iter().map(|column| &column[row]));
                self.combine(&of_row)
            })
            .collect()
    }

    /// The place of the slot, if it is nothing but one.
    #[must_use]
    pub fn slot(&self) -> Option<usize> {
        match self.kind {
            Kind::Slot(place) => Some(place),
            _ => None,
        }
    }

    fn child_type(&self, at: usize) -> &DataType {
        self.children
            .get(at)
            .map_or(&self.data_type, |child| &child.data_type)
    }

    fn combine(&self, cells: &[&Cell]) -> Result<Cell, ExecError> {
        let first = cells.first().copied().unwrap_or(&None);
        let second = cells.get(1).copied().unwrap_or(&None);
        Ok(match &self.kind {
            Kind::Literal(cell) => cell.clone(),
            Kind::Slot(_) | Kind::Call(_) => None,
            Kind::Cast => cast::cast(first, self.child_type(0), &self.data_type),
            Kind::Compare(how) => compare(*how, self.child_type(0), first, second),
            Kind::And => {
                let mut cells = cells.iter();
                connect(&mut cells, false)
            }
            Kind::Or => {
                let mut cells = cells.iter();
                connect(&mut cells, true)
            }
            Kind::Not => truth(first).and_then(|value| bool_cell(!value)),
            Kind::In { negated } => {
                is_in(self.child_type(0), cells).and_then(|found| bool_cell(found != *negated))
            }
            Kind::IsNull { negated } => bool_cell(first.is_none() != *negated),
            Kind::Arithmetic(how) => {
                number::compute(*how, first.as_deref(), second.as_deref(), &self.data_type)?
            }
            Kind::Case { operand, otherwise } => self.case(cells, *operand, *otherwise),
            Kind::Nested(how) => Some(self.nested(*how, cells)),
        })
    }

    fn nested(&self, how: Nesting, cells: &[&Cell]) -> String {
        let parts = self.children.iter().zip(cells);
        let mut parts = parts.map(|(child, cell)| quoted(&child.data_type, cell));
        let mut list = Vec::new();
        match (how, &self.data_type) {
            (Nesting::Map, _) => {
                while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
                    list.push(format!("{key}:{value}"));
                }
            }
            (Nesting::Struct, DataType::Struct(fields)) => {
                let named = fields.iter().zip(parts);
                list.extend(named.map(|((name, _), value)| format!("\"{name}\":{value}")));
            }
            (Nesting::Array | Nesting::Struct, _) => list.extend(parts),
        }
        match how {
            Nesting::Array => format!("[{}]", list.join(", ")),
            Nesting::Map => format!("{{{}}}", list.join(", ")),
            Nesting::Struct => format!("{{{}}}", list.join(", ")),
        }
    }

    fn case(&self, cells: &[&Cell], operand: bool, otherwise: bool) -> Cell {
        let (compared, rest) = match cells.split_first() {
            Some((first, rest)) if operand => (Some(*first), rest),
            Some(_) | None => (None, cells),
        };
        let (rest, default) = match rest.split_last() {
            Some((last, rest)) if otherwise => (rest, (*last).clone()),
            Some(_) | None => (rest, None),
        };
        for pair in rest.chunks_exact(2) {
            let met = match compared {
                Some(value) => truth(&compare(Comparison::Eq, self.child_type(0), value, pair[0])),
                None => truth(pair[0]),
            };
            if met == Some(true) {
                return pair[1].clone();
            }
        }
        default
    }
}

fn next<'a>(
    nodes: &mut impl Iterator<Item = &'a TPlanExprNode>,
    layout: &Layout,
    depth: u32,
) -> Result<Expr, ExecError> {
    let node = nodes
        .next()
        .ok_or_else(|| plan("an expression lacks a node"))?;
    if depth > MAX_DEPTH {
        return Err(plan("an expression has too many levels"));
    }
    let count = usize::try_from(node.num_children).unwrap_or(0);
    let mut children = Vec::new();
    for _ in 0..count {
        children.push(next(nodes, layout, depth + 1)?);
    }
    let data_type = data_type(&node.type_)?;
    let kind = kind(node, layout, &data_type)?;
    Ok(Expr {
        kind,
        data_type,
        children,
    })
}

fn kind(node: &TPlanExprNode, layout: &Layout, data_type: &DataType) -> Result<Kind, ExecError> {
    if let Some(cell) = literal(node, data_type)? {
        return Ok(Kind::Literal(cell));
    }
    let name = node
        .fn_
        .as_ref()
        .map(|function| function.name.function_name.to_ascii_lowercase());
    Ok(match node.node_type {
        TPlanExprKind::SLOT_REF => {
            let slot = node.slot_ref.as_ref().map(|slot| slot.slot_id);
            let slot = slot.ok_or_else(|| plan("a slot reference without its slot"))?;
            let place = layout.place(slot);
            Kind::Slot(place.ok_or_else(|| plan(format!("no row here has slot {slot}")))?)
        }
        TPlanExprKind::CAST_EXPR | TPlanExprKind::TRY_CAST_EXPR => Kind::Cast,
        TPlanExprKind::BINARY_PRED | TPlanExprKind::NULL_AWARE_BINARY_PRED => {
            Kind::Compare(comparison(node, name.as_deref())?)
        }
        TPlanExprKind::COMPOUND_PRED => match node.opcode {
            Some(TExprOpcode::COMPOUND_AND) => Kind::And,
            Some(TExprOpcode::COMPOUND_OR) => Kind::Or,
            Some(TExprOpcode::COMPOUND_NOT) => Kind::Not,
            Some(_) | None => return Err(plan("a compound predicate of no known kind")),
        },
        TPlanExprKind::IN_PRED => Kind::In {
            negated: node.in_predicate.as_ref().is_some_and(|p| p.is_not_in),
        },
        TPlanExprKind::IS_NULL_PRED => Kind::IsNull {
            negated: node.is_null_pred.as_ref().is_some_and(|p| p.is_not_null),
        },
        TPlanExprKind::ARRAY_LITERAL => Kind::Nested(Nesting::Array),
        TPlanExprKind::MAP_LITERAL => Kind::Nested(Nesting::Map),
        TPlanExprKind::STRUCT_LITERAL => Kind::Nested(Nesting::Struct),
        TPlanExprKind::CASE_EXPR => {
            let case = node.case_expr.as_ref();
            Kind::Case {
                operand: case.is_some_and(|case| case.has_case_expr),
                otherwise: case.is_some_and(|case| case.has_else_expr),
            }
        }
        _ => match name {
            Some(name) => named(name),
            None => {
                return Err(ExecError::NotSupported(format!(
                    "expression node {}",
                    node.node_type.0
                )));
            }
        },
    })
}

fn named(name: String) -> Kind {
    match name.as_str() {
        "is_null_pred" => Kind::IsNull { negated: false },
        "is_not_null_pred" => Kind::IsNull { negated: true },
        "not" => Kind::Not,
        "and" => Kind::And,
        "or" => Kind::Or,
        other => match Operation::named(other) {
            Some(operation) => Kind::Arithmetic(operation),
            None => Kind::Call(name),
        },
    }
}

fn comparison(node: &TPlanExprNode, name: Option<&str>) -> Result<Comparison, ExecError> {
    Ok(match (node.opcode, name) {
        (Some(TExprOpcode::EQ), _) | (_, Some("eq")) => Comparison::Eq,
        (Some(TExprOpcode::NE), _) | (_, Some("ne")) => Comparison::Ne,
        (Some(TExprOpcode::LT), _) | (_, Some("lt")) => Comparison::Lt,
        (Some(TExprOpcode::LE), _) | (_, Some("le")) => Comparison::Le,
        (Some(TExprOpcode::GT), _) | (_, Some("gt")) => Comparison::Gt,
        (Some(TExprOpcode::GE), _) | (_, Some("ge")) => Comparison::Ge,
        (Some(TExprOpcode::EQ_FOR_NULL), _) | (_, Some("eq_for_null")) => Comparison::EqForNull,
        (other, _) => {
            let number = other.map_or(0, |code| code.0);
            return Err(ExecError::NotSupported(format!("comparison {number}")));
        }
    })
}

/// The value of a literal node; outer `None` for other nodes.
pub(super) fn literal(
    node: &TPlanExprNode,
    data_type: &DataType,
) -> Result<Option<Cell>, ExecError> {
    let text = match node.node_type {
        TPlanExprKind::NULL_LITERAL => return Ok(Some(None)),
        TPlanExprKind::BOOL_LITERAL => node
            .bool_literal
            .as_ref()
            .map(|l| u8::from(l.value).to_string()),
        TPlanExprKind::INT_LITERAL => node.int_literal.as_ref().map(|l| l.value.to_string()),
        TPlanExprKind::LARGE_INT_LITERAL => {
            node.large_int_literal.as_ref().map(|l| l.value.clone())
        }
        TPlanExprKind::FLOAT_LITERAL => node
            .float_literal
            .as_ref()
            .map(|l| l.value.into_inner().to_string()),
        TPlanExprKind::DECIMAL_LITERAL => node.decimal_literal.as_ref().map(|l| l.value.clone()),
        TPlanExprKind::DATE_LITERAL => node.date_literal.as_ref().map(|l| l.value.clone()),
        TPlanExprKind::JSON_LITERAL => node.json_literal.as_ref().map(|l| l.value.clone()),
        TPlanExprKind::IPV6_LITERAL => node.ipv6_literal.as_ref().map(|l| l.value.clone()),
        TPlanExprKind::IPV4_LITERAL => node.ipv4_literal.as_ref().map(|l| {
            let bits = u32::try_from(l.value).unwrap_or(0);
            std::net::Ipv4Addr::from_bits(bits).to_string()
        }),
        TPlanExprKind::STRING_LITERAL => {
            let bytes = node.string_literal.as_ref().map(|l| l.value.clone());
            let text = bytes.map(String::from_utf8).transpose();
            return match text {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(ExecError::NotSupported("a text that is not UTF-8".into())),
            };
        }
        _ => return Ok(None),
    };
    let text = text.ok_or_else(|| plan("a literal without its value"))?;
    // A literal of a type that its text does not fit keeps the text.
    let cell = data_type.canonicalize(&text).unwrap_or(Some(text));
    Ok(Some(cell))
}

/// A value as part of another one.
fn quoted(data_type: &DataType, cell: &Cell) -> String {
    let bare = data_type.is_numeric()
        || matches!(
            data_type,
            DataType::Boolean | DataType::Array(_) | DataType::Map(..) | DataType::Struct(_)
        );
    match cell {
        None => "null".to_owned(),
        Some(text) if bare => text.clone(),
        Some(text) => format!("\"{text}\""),
    }
}

/// What a predicate says of a cell.
pub fn truth(cell: &Cell) -> Option<bool> {
    cell.as_deref()
        .map(|text| text != "0" && !text.is_empty() && text.parse::<f64>() != Ok(0.0))
}

/// A boolean as a cell.
#[expect(clippy::unnecessary_wraps, reason = "a cell is an option")]
pub(super) fn bool_cell(value: bool) -> Cell {
    Some(u8::from(value).to_string())
}

/// AND (`decides` false) and OR (`decides` true) in three values.
fn connect<'a>(cells: &mut impl Iterator<Item = &'a &'a Cell>, decides: bool) -> Cell {
    let mut unknown = false;
    for cell in cells {
        match truth(cell) {
            Some(value) if value == decides => return bool_cell(decides),
            Some(_) => {}
            None => unknown = true,
        }
    }
    if unknown { None } else { bool_cell(!decides) }
}

fn compare(how: Comparison, data_type: &DataType, a: &Cell, b: &Cell) -> Cell {
    if how == Comparison::EqForNull {
        return bool_cell(match (a, b) {
            (None, None) => true,
            (Some(_), Some(_)) => data_type.compare(a, b) == Ordering::Equal,
            (Some(_), None) | (None, Some(_)) => false,
        });
    }
    if a.is_none() || b.is_none() {
        return None;
    }
    let order = data_type.compare(a, b);
    bool_cell(match how {
        Comparison::Eq | Comparison::EqForNull => order == Ordering::Equal,
        Comparison::Ne => order != Ordering::Equal,
        Comparison::Lt => order == Ordering::Less,
        Comparison::Le => order != Ordering::Greater,
        Comparison::Gt => order == Ordering::Greater,
        Comparison::Ge => order != Ordering::Less,
    })
}

fn is_in(data_type: &DataType, cells: &[&Cell]) -> Option<bool> {
    let (value, list) = cells.split_first()?;
    value.as_ref()?;
    let found = list
        .iter()
        .any(|item| item.is_some() && data_type.compare(value, item) == Ordering::Equal);
    if found {
        return Some(true);
    }
    list.iter().all(|item| item.is_some()).then_some(false)
}

/// The rows for which all conditions are true.
///
/// # Errors
/// As [`Expr::eval`].
pub fn filter(conditions: &[Expr], mut rows: Vec<Row>) -> Result<Vec<Row>, ExecError> {
    for condition in conditions {
        let met = condition.eval(&rows)?;
        let mut met = met.iter();
        rows.retain(|_| met.next().and_then(truth) == Some(true));
    }
    Ok(rows)
}

/// New rows of the values of the expressions.
///
/// # Errors
/// As [`Expr::eval`].
pub fn project(exprs: &[Expr], rows: &[Row]) -> Result<Vec<Row>, ExecError> {
    let mut columns: Vec<_> = exprs
        .iter()
        .map(|expr| expr.eval(rows).map(Vec::into_iter))
        .collect::<Result<_, _>>()?;
    Ok((0..rows.len())
        .map(|_| columns.iter_mut().map(|c| c.next().flatten()).collect())
        .collect())
}
