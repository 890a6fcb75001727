//! FILE_SCAN_NODE of a stream load: fields of a body, read already, become the columns of the table.

use dorisim_wire::plan::{TFileScanRangeParams, TPlanExpr};

use super::error::{ExecError, plan};
use super::expr::{Expr, filter};
use super::types::Descriptors;
use dorisim_model::{Cell, Row};

/// Reasons of refused rows that are kept.
const KEPT_ERRORS: usize = 20;

/// Rows that were refused on the way.
#[derive(Debug, Default)]
pub struct Refused {
    /// All of them.
    pub count: i64,
    /// Why, of the first ones.
    pub errors: Vec<String>,
}

/// Names of the fields, in the order of the body.
pub(super) fn fields(
    params: &TFileScanRangeParams,
    descriptors: &Descriptors,
) -> Result<Vec<String>, ExecError> {
    let tuple = params
        .src_tuple_id
        .ok_or_else(|| plan("a scan of a body without its fields"))?;
    let slots = descriptors.tuple(tuple)?.iter();
    Ok(slots.map(|slot| slot.name.clone()).collect())
}

/// Rows of the table's columns.
pub(super) fn run(
    params: &TFileScanRangeParams,
    descriptors: &Descriptors,
    rows: Vec<Row>,
    refused: &mut Refused,
) -> Result<Vec<Row>, ExecError> {
    let lacks = |what: &str| plan(format!("a scan of a body lacks {what}"));
    let source = params.src_tuple_id.ok_or_else(|| lacks("its fields"))?;
    let layout = descriptors.layout(&[source])?;
    let before: Vec<TPlanExpr> = match (&params.pre_filter_exprs_list, &params.pre_filter_exprs) {
        (Some(all), _) => all.clone(),
        (None, Some(one)) => vec![one.clone()],
        (None, None) => Vec::new(),
    };
    let rows = filter(&Expr::compile_all(&before, &layout)?, rows)?;
    let target = params.dest_tuple_id.ok_or_else(|| lacks("its columns"))?;
    let slots = descriptors.tuple(target)?;
    let exprs = params.expr_of_dest_slot.as_ref();
    let exprs: Vec<Expr> = slots
        .iter()
        .map(|slot| {
            let tree = exprs.and_then(|exprs| exprs.get(&slot.id));
            let tree = tree.ok_or_else(|| lacks(&format!("the expression of {}", slot.name)))?;
            Expr::compile(tree, &layout)
        })
        .collect::<Result<_, _>>()?;
    // Columns that are nothing but a field, cast.
    let direct: Vec<Option<usize>> = slots
        .iter()
        .map(|slot| {
            let fields = params.dest_sid_to_src_sid_without_trans.as_ref()?;
            layout.place(*fields.get(&slot.id)?)
        })
        .collect();
    let strict = params.strict_mode == Some(true);
    let mut columns: Vec<_> = exprs
        .iter()
        .map(|expr| expr.eval(&rows).map(Vec::into_iter))
        .collect::<Result<_, _>>()?;
    let mut done = Vec::with_capacity(rows.len());
    for given in &rows {
        let row: Row = columns.iter_mut().map(|c| c.next().flatten()).collect();
        let lost = direct.iter().zip(&row).position(|(field, cell)| {
            let given: Option<&Cell> = field.and_then(|at| given.get(at));
            strict && cell.is_none() && given.is_some_and(Option::is_some)
        });
        match lost.and_then(|at| slots.get(at)) {
            Some(slot) => {
                refused.count += 1;
                if refused.errors.len() < KEPT_ERRORS {
                    refused.errors.push(format!(
                        "column({}) value is incorrect while strict mode is true",
                        slot.name
                    ));
                }
            }
            None => done.push(row),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use dorisim_wire::TPrimitiveType;
    use dorisim_wire::plan::{
        TDescriptorTable, TPlanExprKind, TPlanExprNode, TPlanSlotRef, TScalarType, TSlotDescriptor,
        TTupleDescriptor, TTypeDesc, TTypeNode, TTypeNodeType,
    };

    use super::*;

    fn desc(kind: TPrimitiveType) -> TTypeDesc {
        let scalar = TScalarType::new(kind, None, None, None);
        TTypeDesc {
            types: Some(vec![TTypeNode::new(TTypeNodeType::SCALAR, scalar, None)]),
        }
    }

    fn node(kind: TPlanExprKind, ty: TPrimitiveType, children: i32) -> TPlanExprNode {
        let slot = TPlanSlotRef::new(1, 0, None);
        let slot = (kind == TPlanExprKind::SLOT_REF).then_some(slot);
        TPlanExprNode::new(
            kind,
            desc(ty),
            None,
            children,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            slot,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
        )
    }

    #[test]
    fn a_value_that_is_lost_refuses_its_row_in_strict_mode_alone() {
        let slot = |id, parent, kind, name: &str| {
            let ty = desc(kind);
            TSlotDescriptor::new(
                id,
                parent,
                ty,
                0,
                name.to_owned(),
                0,
                None,
                None,
                None,
                None,
            )
        };
        let descriptors = Descriptors::new(&TDescriptorTable {
            slot_descriptors: Some(vec![
                slot(1, 0, TPrimitiveType::VARCHAR, "k"),
                slot(2, 1, TPrimitiveType::INT, "k"),
            ]),
            tuple_descriptors: vec![TTupleDescriptor::new(0), TTupleDescriptor::new(1)],
        });
        let tree = TPlanExpr::new(vec![
            node(TPlanExprKind::CAST_EXPR, TPrimitiveType::INT, 1),
            node(TPlanExprKind::SLOT_REF, TPrimitiveType::VARCHAR, 0),
        ]);
        let params = |strict| TFileScanRangeParams {
            src_tuple_id: Some(0),
            dest_tuple_id: Some(1),
            expr_of_dest_slot: Some([(2, tree.clone())].into()),
            default_value_of_src_slot: None,
            dest_sid_to_src_sid_without_trans: Some([(2, 1)].into()),
            strict_mode: Some(strict),
            pre_filter_exprs: None,
            pre_filter_exprs_list: None,
        };
        assert_eq!(fields(&params(true), &descriptors).unwrap(), ["k"]);
        let given = || ["5", "x"].map(|text| vec![Some(text.to_owned())]).to_vec();
        let five = vec![Some("5".to_owned())];
        let mut refused = Refused::default();
        let strict = run(&params(true), &descriptors, given(), &mut refused).unwrap();
        assert_eq!((strict, refused.count), (vec![five.clone()], 1));
        assert!(refused.errors[0].starts_with("column(k) value is incorrect"));
        let mut refused = Refused::default();
        let loose = run(&params(false), &descriptors, given(), &mut refused).unwrap();
        assert_eq!((loose, refused.count), (vec![five, vec![None]], 0));
    }
}
