use super::*;

fn table() -> TxnTable {
    TxnTable::new(&FrontendConfig {
        label_keep_num: 2,
        ..FrontendConfig::default()
    })
}

fn new(label: &str) -> NewTxn {
    NewTxn {
        db_id: 1,
        label: label.to_owned(),
        table_ids: vec![5],
        source: LoadSource::Rpc,
        timeout_s: None,
        request_id: None,
    }
}

fn begun(table: &mut TxnTable, label: &str) -> i64 {
    match table.begin(new(label), 0).unwrap() {
        Begun::New(id) | Begun::Repeated(id) => id,
    }
}

#[test]
fn a_label_is_taken_until_aborted() {
    let mut txns = table();
    let id = begun(&mut txns, "a");
    let refused = txns.begin(new("a"), 0).unwrap_err();
    assert_eq!(refused.error.code, StatusCode::LabelAlreadyExists);
    assert_eq!(refused.job_status, Some("RUNNING"));
    assert_eq!(
        refused.error.message().unwrap(),
        format!(
            "errCode = 2, detailMessage = Label [a] has already been used, relate to txn [{id}], status [PREPARE]."
        )
    );
    txns.get_mut(id).unwrap().status = TxnStatus::Visible;
    assert_eq!(
        txns.begin(new("a"), 0).unwrap_err().job_status,
        Some("FINISHED")
    );
    assert!(
        matches!(
            txns.begin(
                NewTxn {
                    db_id: 2,
                    ..new("a")
                },
                0
            ),
            Ok(Begun::New(_))
        ),
        "labels are per database"
    );
    let b = begun(&mut txns, "b");
    txns.abort(b, "x", 1).unwrap();
    assert!(begun(&mut txns, "b") > b);
}

#[test]
fn the_same_request_gets_the_same_transaction() {
    let mut txns = table();
    let request = || NewTxn {
        request_id: Some((1, 2)),
        ..new("a")
    };
    let Ok(Begun::New(id)) = txns.begin(request(), 0) else {
        panic!("not begun")
    };
    assert_eq!(txns.begin(request(), 0).unwrap(), Begun::Repeated(id));
    assert!(
        txns.begin(
            NewTxn {
                request_id: Some((9, 9)),
                ..new("a")
            },
            0
        )
        .is_err()
    );
}

#[test]
fn bad_labels_and_timeouts_are_refused() {
    let mut txns = table();
    for label in ["", "a b", "a/b", &"ü".repeat(129)] {
        assert_eq!(
            txns.begin(new(label), 0).unwrap_err().error.code,
            StatusCode::AnalysisError
        );
    }
    for (timeout, bound) in [
        (0, "higher than Config.min_load_timeout_second: 1"),
        (-1, "higher than Config.min_load_timeout_second: 1"),
        (
            259_201,
            "lower than Config.max_stream_load_timeout_second: 259200",
        ),
    ] {
        let request = NewTxn {
            timeout_s: Some(timeout),
            ..new("a")
        };
        let refused = txns.begin(request, 0).unwrap_err();
        let text = format!("Invalid timeout: {timeout}. Timeout should be {bound}");
        assert_eq!(refused.error.text, text);
    }
    // Letters of any script are fine.
    assert!(txns.begin(new("ü"), 0).is_ok());
}

#[test]
fn rollback_texts_follow_the_state() {
    let mut txns = table();
    let id = begun(&mut txns, "a");
    let text = |r: Result<(), RpcError>| r.unwrap_err().text;
    assert_eq!(text(txns.abort(99, "", 0)), "transaction [99] not found");
    txns.get_mut(id).unwrap().status = TxnStatus::Committed;
    assert_eq!(
        text(txns.abort(id, "", 0)),
        format!("transaction [{id}] is already COMMITTED, could not abort.")
    );
    txns.get_mut(id).unwrap().status = TxnStatus::Visible;
    assert_eq!(text(txns.abort(id, "", 0)), "transaction not found");
    let b = begun(&mut txns, "b");
    assert!(txns.abort(b, "why", 0).is_ok());
    assert_eq!(text(txns.abort(b, "", 0)), "transaction not found");
    assert_eq!(txns.get(b).unwrap().reason, "why");
}

#[test]
fn finished_ones_are_forgotten_by_number_and_age() {
    let mut txns = table();
    let ids: Vec<i64> = ["a", "b", "c"]
        .iter()
        .map(|l| begun(&mut txns, l))
        .collect();
    for id in &ids {
        txns.abort(*id, "", 10).unwrap();
    }
    assert!(txns.get(ids[0]).is_none() && txns.get(ids[1]).is_some());
    let d = begun(&mut txns, "d");
    txns.abort(d, "", 10 + 43_200_001).unwrap();
    assert!(txns.get(ids[2]).is_none() && txns.get(d).is_some());
}

#[test]
fn a_restart_forgets_what_was_only_prepared() {
    let mut txns = table();
    let a = begun(&mut txns, "a");
    let b = begun(&mut txns, "b");
    txns.get_mut(b).unwrap().status = TxnStatus::Committed;
    assert_eq!(txns.forget_prepared(), [a]);
    assert!(txns.get(a).is_none() && txns.get(b).is_some());
    assert!(txns.begin(new("a"), 0).is_ok(), "the label is free again");
}
