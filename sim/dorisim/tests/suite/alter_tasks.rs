//! ALTER of materialized views as a genuine frontend sends it: expressions over the slots of a descriptor table, the WHERE under a name
//! of its own. The forms were compared with an FE built from Doris master of January 2026.

use dorisim::be::BackendApi;
use dorisim_wire::plan::{
    TDescriptorTable, TExprOpcode, TFunction, TFunctionName, TIntLiteral, TPlanExpr, TPlanExprKind,
    TPlanExprNode, TPlanSlotRef, TScalarType, TSlotDescriptor, TTupleDescriptor, TTypeDesc,
    TTypeNode, TTypeNodeType,
};
use dorisim_wire::{
    TAgentTaskRequest, TAlterMaterializedViewParam, TAlterTabletReqV2, TAlterTabletType,
    TPrimitiveType, TStatusCode, TTaskType,
};

use crate::fe_double::{FeDouble, Rig, bare};
use crate::fe_requests::{
    HASH, TABLET, TOKEN, code, column, create_as, create_request, tablet_schema, with_rows,
};

const BIGINT: TPrimitiveType = TPrimitiveType::BIGINT;

fn scalar(primitive: TPrimitiveType) -> TTypeDesc {
    let scalar = TScalarType::new(primitive, None, None, None);
    TTypeDesc::new(vec![TTypeNode::new(TTypeNodeType::SCALAR, scalar, None)])
}

fn node(kind: TPlanExprKind, primitive: TPrimitiveType, children: i32) -> TPlanExprNode {
    TPlanExprNode {
        node_type: kind,
        type_: scalar(primitive),
        opcode: None,
        num_children: children,
        agg_expr: None,
        bool_literal: None,
        case_expr: None,
        date_literal: None,
        float_literal: None,
        int_literal: None,
        in_predicate: None,
        is_null_pred: None,
        slot_ref: None,
        string_literal: None,
        decimal_literal: None,
        large_int_literal: None,
        fn_: None,
        is_nullable: None,
        json_literal: None,
        ipv4_literal: None,
        ipv6_literal: None,
        label: None,
    }
}

fn slot(id: i32) -> TPlanExprNode {
    TPlanExprNode {
        slot_ref: Some(TPlanSlotRef::new(id, 0, None)),
        ..node(TPlanExprKind::SLOT_REF, BIGINT, 0)
    }
}

fn number(value: i64) -> TPlanExprNode {
    TPlanExprNode {
        int_literal: Some(TIntLiteral::new(value)),
        ..node(TPlanExprKind::INT_LITERAL, BIGINT, 0)
    }
}

fn call(kind: TPlanExprKind, name: &str, children: i32) -> TPlanExprNode {
    let name = TFunctionName::new(None, name.to_owned());
    TPlanExprNode {
        fn_: Some(TFunction::new(name, Vec::new(), scalar(BIGINT))),
        ..node(kind, BIGINT, children)
    }
}

fn parameter(name: &str, nodes: Vec<TPlanExprNode>) -> TAlterMaterializedViewParam {
    TAlterMaterializedViewParam::new(name.to_owned(), None, TPlanExpr::new(nodes))
}

/// Slots as the frontend describes them: the columns of the base, then those of the view.
fn slots(names: &[&str]) -> TDescriptorTable {
    let slot = |(id, name): (i32, &&str)| TSlotDescriptor {
        id,
        parent: 0,
        slot_type: scalar(BIGINT),
        column_pos: -1,
        col_name: (*name).to_owned(),
        slot_idx: id,
        col_unique_id: None,
        is_key: None,
        is_auto_increment: None,
        col_default_value: None,
    };
    let slots: Vec<_> = (0..).zip(names).map(slot).collect();
    TDescriptorTable::new(slots, vec![TTupleDescriptor::new(0)])
}

fn alter(signature: i64, parameters: Vec<TAlterMaterializedViewParam>) -> TAgentTaskRequest {
    let mut task = bare(TTaskType::ALTER, signature);
    task.alter_tablet_req_v2 = Some(TAlterTabletReqV2::new(
        TABLET,
        TABLET + 1,
        HASH,
        HASH,
        2,
        parameters,
        TAlterTabletType::ROLLUP,
        slots(&["id", "v", "mv_sum", "mv_id"]),
        vec![
            column("id", TPrimitiveType::BIGINT, true, 0),
            column("v", TPrimitiveType::STRING, false, 1),
        ],
    ));
    task
}

/// A backend with rows 1, 2, 3 and the empty tablet of a view (`mv_sum` BIGINT, `mv_id` BIGINT).
fn with_view(double: &FeDouble) -> Rig {
    let rig = with_rows(double);
    let mut view = create_request(TABLET + 1, 1, false);
    view.base_tablet_id = Some(TABLET);
    // Unique ids of a view begin at 0 again and mean nothing in the base.
    view.tablet_schema = tablet_schema(vec![
        column("mv_sum", TPrimitiveType::BIGINT, true, 1),
        column("mv_id", TPrimitiveType::BIGINT, false, 0),
    ]);
    rig.done(double, create_as(view));
    rig
}

#[test]
fn expressions_are_computed_and_the_where_leaves_rows_out() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_view(&double);
    let more_than_one = TPlanExprNode {
        opcode: Some(TExprOpcode::GT),
        ..node(TPlanExprKind::BINARY_PRED, TPrimitiveType::BOOLEAN, 2)
    };
    let parameters = vec![
        parameter("mv_id", vec![slot(0)]),
        parameter(
            "mv_sum",
            vec![
                call(TPlanExprKind::ARITHMETIC_EXPR, "add", 2),
                slot(0),
                number(40),
            ],
        ),
        parameter(
            "__DORIS_WHERE_SIGN__",
            vec![more_than_one, slot(0), number(1)],
        ),
    ];
    let end = rig.done(&double, alter(41, parameters));
    assert_eq!(end.finish_tablet_infos.unwrap()[0].version, 2);
    let views = rig.node.backend().rowsets(TABLET + 1, 2).unwrap();
    let rows: Vec<Vec<_>> = views[0]
        .rows
        .iter()
        .map(|row| row.iter().map(Option::as_deref).collect())
        .collect();
    assert_eq!(
        rows,
        [[Some("42"), Some("2")], [Some("43"), Some("3")]],
        "by name, not by the unique id that the base has by chance"
    );
}

#[test]
fn what_can_not_be_computed_fails_the_task_and_the_view_stays_empty() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_view(&double);
    let unknown = call(TPlanExprKind::FUNCTION_CALL, "no_such_function", 1);
    let parameters = vec![parameter("mv_sum", vec![unknown, slot(0)])];
    let end = rig.run(&double, alter(42, parameters));
    assert_eq!(code(&end), TStatusCode::NOT_IMPLEMENTED_ERROR);
    let text = end.task_status.error_msgs.unwrap().join("");
    assert!(text.contains("no_such_function"), "{text}");
    assert_eq!(rig.node.backend().tablet_stat(TABLET + 1).unwrap().rows, 0);
}
