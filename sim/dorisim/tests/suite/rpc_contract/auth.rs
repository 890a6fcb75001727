//! Passwords, privileges, tokens, masters, unknown methods.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use dorisim::{SimConfig, SimUser};
use dorisim_wire::{TFrontendServiceSyncClient, TGetMasterTokenRequest, TStatusCode};
use serde_json::json;

use super::{As, RPCS, call};
use crate::common::frontend_client;
use crate::common::peer::{
    Peer, binlog_request, code, commit_request, message, meta_request, rollback_request, text,
};

async fn cluster(name: &str) -> Peer {
    let user = |name: &str, privileges: &[&str]| SimUser {
        name: name.to_owned(),
        password: "pw".to_owned(),
        privileges: privileges.iter().map(|p| (*p).to_owned()).collect(),
    };
    let mut peer = Peer::bare(SimConfig {
        name: name.to_owned(),
        backends: 1,
        frontends: 2,
        password: "secret".to_owned(),
        users: vec![
            user("reader", &["SELECT_PRIV"]),
            user("loader", &["LOAD_PRIV"]),
            user("nobody", &[]),
        ],
        ..SimConfig::default()
    })
    .await;
    peer.sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")
        .await;
    peer.sql(crate::checklist_d1::T).await;
    peer
}

fn table_id(peer: &mut Peer) -> i64 {
    let mut request = meta_request("d");
    request.passwd = text("secret");
    let meta = peer.fe.get_meta(request).unwrap().db_meta.unwrap();
    meta.tables.unwrap()[0].id.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_everywhere() {
    let mut fe = cluster("passwords").await;
    let table = [table_id(&mut fe)];
    for rpc in RPCS {
        let refused = if rpc == "getMasterToken" {
            TStatusCode::NOT_AUTHORIZED
        } else {
            TStatusCode::ANALYSIS_ERROR
        };
        for (who, wanted) in [
            (As::user("root", "guess"), "(using password: YES)"),
            (As::user("root", ""), "(using password: YES)"),
            (As::user("stranger", "secret"), "(using password: YES)"),
        ] {
            let who = As {
                tables: &table,
                ..who
            };
            let (code, text) = call(&mut fe.fe, rpc, who);
            assert_eq!(code, refused, "{rpc}: {text}");
            let user = who.user.unwrap();
            assert!(
                text.contains(&format!(
                    "Access denied for user '{user}@127.0.0.1' {wanted}"
                )),
                "{rpc}: {text}"
            );
        }
    }
    for rpc in RPCS {
        let good = As {
            tables: &table,
            ..As::user("root", "secret")
        };
        let (_, text) = call(&mut fe.fe, rpc, good);
        assert!(!text.contains("Access denied"), "{rpc}: {text}");
    }
    // Without user_ip the host is null.
    let mut request = binlog_request(-1, None);
    request.user_ip = None;
    let answer = fe.fe.get_binlog(request).unwrap();
    assert!(message(&answer.status).contains("'root@null' (using password: YES)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rpc_wants_its_privilege() {
    let mut fe = cluster("privileges").await;
    let table = [table_id(&mut fe)];
    let needs = [
        ("beginTxn", "LOAD", "loader", "reader"),
        ("getBinlog", "SELECT", "reader", "loader"),
        ("getBinlogLag", "SELECT", "reader", "loader"),
        ("lockBinlog", "SELECT", "reader", "loader"),
        ("getSnapshot", "SELECT", "reader", "loader"),
        ("restoreSnapshot", "LOAD", "loader", "reader"),
        ("getMeta", "SELECT", "reader", "loader"),
    ];
    for (rpc, privilege, may, may_not) in needs {
        for user in [may_not, "nobody"] {
            let who = As {
                tables: &table,
                ..As::user(user, "pw")
            };
            let (code, text) = call(&mut fe.fe, rpc, who);
            assert_eq!(code, TStatusCode::ANALYSIS_ERROR, "{rpc}");
            assert!(
                text.contains(&format!(
                    "Access denied; you need (at least one of) the ({privilege}) privilege(s) for this operation"
                )),
                "{rpc} as {user}: {text}"
            );
        }
        let who = As {
            tables: &table,
            ..As::user(may, "pw")
        };
        let (_, text) = call(&mut fe.fe, rpc, who);
        assert!(!text.contains("Access denied"), "{rpc} as {may}: {text}");
    }
    for rpc in ["getBackendMeta", "getMasterToken"] {
        let (code, text) = call(&mut fe.fe, rpc, As::user("nobody", "pw"));
        assert_eq!(code, TStatusCode::OK, "a password is enough: {text}");
    }
    // commitTxn and rollbackTxn: LOAD on the tables of the transaction.
    let mut begin = crate::common::peer::begin_request(table.to_vec(), "owned");
    begin.passwd = text("secret");
    let txn = fe.fe.begin_txn(begin).unwrap().txn_id.unwrap();
    let mut rollback = rollback_request(txn);
    (rollback.user, rollback.passwd) = (text("reader"), text("pw"));
    let answer = fe.fe.rollback_txn(rollback.clone()).unwrap();
    assert!(message(&answer.status).contains("the (LOAD) privilege(s)"));
    let mut commit = commit_request(txn, Vec::new());
    (commit.user, commit.passwd) = (text("reader"), text("pw"));
    let answer = fe.fe.commit_txn(commit).unwrap();
    assert!(message(&answer.status).contains("the (LOAD) privilege(s)"));
    rollback.user = text("loader");
    let answer = fe.fe.rollback_txn(rollback).unwrap();
    assert_eq!(code(&answer.status), TStatusCode::OK);
    // waitingTxnStatus asks nobody.
    let db = {
        let mut request = meta_request("d");
        request.passwd = text("secret");
        fe.fe
            .get_meta(request)
            .unwrap()
            .db_meta
            .unwrap()
            .id
            .unwrap()
    };
    let waited = fe
        .fe
        .waiting_txn_status(dorisim_wire::TWaitingTxnStatusRequest::new(db, txn, None))
        .unwrap();
    assert_eq!(code(&waited.status), TStatusCode::OK);
    // A privilege on one table is enough for its stream, not for the database's.
    fe.sql("GRANT SELECT_PRIV ON d.t TO nobody").await;
    for rpc in ["getBinlog", "getBinlogLag", "lockBinlog", "getSnapshot"] {
        let one = As {
            table: Some("t"),
            ..As::user("nobody", "pw")
        };
        let (_, text) = call(&mut fe.fe, rpc, one);
        assert!(!text.contains("Access denied"), "{rpc}: {text}");
        let (_, text) = call(&mut fe.fe, rpc, As::user("nobody", "pw"));
        assert!(text.contains("Access denied"), "{rpc}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_skips_the_checks_where_doris_does_and_breaks_get_meta() {
    let mut fe = cluster("tokens").await;
    let table = [table_id(&mut fe)];
    let token = |token| As {
        token: Some(token),
        tables: &table,
        ..As::user("root", "guess")
    };
    for rpc in [
        "beginTxn",
        "getBinlog",
        "getBinlogLag",
        "lockBinlog",
        "getSnapshot",
        "restoreSnapshot",
    ] {
        let (_, text) = call(&mut fe.fe, rpc, token("anything"));
        assert!(!text.contains("Access denied"), "{rpc}: {text}");
        let (_, text) = call(&mut fe.fe, rpc, token(""));
        assert!(
            text.contains("Access denied"),
            "{rpc}: an empty one counts for nothing"
        );
    }
    for rpc in ["commitTxn", "rollbackTxn"] {
        let (_, text) = call(&mut fe.fe, rpc, token(""));
        assert!(
            text.contains("transaction [4711] not found"),
            "{rpc}: even an empty one counts: {text}"
        );
    }
    let broken = As {
        token: Some("x"),
        ..As::user("root", "secret")
    };
    let (code, text) = call(&mut fe.fe, "getMeta", broken);
    assert_eq!((code, text.as_str()), (TStatusCode::INTERNAL_ERROR, ""));
    let (_, text) = call(&mut fe.fe, "getBackendMeta", token("x"));
    assert!(text.contains("Access denied"), "ignored");
    // With a token the tables are not looked at, but the database has to be there.
    let unknown = As {
        db: Some("nodb"),
        ..token("x")
    };
    let (_, text) = call(&mut fe.fe, "beginTxn", unknown);
    assert!(text.contains("unknown database, database=nodb"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_answer_not_master_first_of_all() {
    let fe = cluster("followers-contract").await;
    let mut follower = frontend_client(fe.sim.frontends()[1].thrift);
    for rpc in RPCS {
        let (code, text) = call(&mut follower, rpc, As::user("root", "guess"));
        if rpc == "getBackendMeta" {
            assert!(text.contains("Access denied"), "any frontend answers");
            continue;
        }
        assert_eq!(code, TStatusCode::NOT_MASTER, "{rpc}, before anything else");
        assert!(text.contains("FE is not master"), "{rpc}: {text}");
    }
    let refused = follower.get_binlog(binlog_request(-1, None)).unwrap();
    let address = refused.master_address.unwrap();
    assert_eq!(address.port, i32::from(fe.sim.thrift_port()));
    let token = TGetMasterTokenRequest::new(None, text("root"), text("secret"));
    assert_eq!(
        follower
            .get_master_token(token.clone())
            .unwrap()
            .master_address,
        None
    );
    fe.sim("roles", &json!({"tell_master": true})).await;
    let told = follower
        .get_master_token(token)
        .unwrap()
        .master_address
        .unwrap();
    assert_eq!(told.port, i32::from(fe.sim.thrift_port()));
}

#[tokio::test(flavor = "multi_thread")]
async fn get_master_token_gives_one_token_per_cluster() {
    let mut fe = cluster("token").await;
    let request = TGetMasterTokenRequest::new(None, text("root"), text("secret"));
    let first = fe.fe.get_master_token(request.clone()).unwrap();
    assert_eq!(code(&first.status), TStatusCode::OK);
    assert!(!first.token.clone().unwrap().is_empty());
    fe.sim("restart", &json!({})).await;
    assert_eq!(
        fe.fe.get_master_token(request).unwrap().token,
        first.token,
        "stable"
    );
    let wrong = TGetMasterTokenRequest::new(None, text("root"), text("guess"));
    let refused = fe.fe.get_master_token(wrong).unwrap();
    assert_eq!(code(&refused.status), TStatusCode::NOT_AUTHORIZED);
    assert_eq!(refused.token, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_method_is_an_application_exception() {
    let fe = cluster("methods").await;
    let mut stream = TcpStream::connect(("127.0.0.1", fe.sim.thrift_port())).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    for method in ["unlockBinlog", "getbinlog"] {
        let mut call = vec![0x80, 1, 0, 1];
        call.extend(u32::try_from(method.len()).unwrap().to_be_bytes());
        call.extend(method.as_bytes());
        call.extend(77_i32.to_be_bytes());
        call.push(0);
        stream.write_all(&call).unwrap();
        let text = format!("Invalid method name: '{method}'");
        let mut answer = vec![0; 12 + method.len() + 7 + text.len() + 7 + 1];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..4], [0x80, 1, 0, 3], "EXCEPTION");
        assert_eq!(
            answer[8 + method.len()..12 + method.len()],
            77_i32.to_be_bytes()
        );
        assert!(answer.windows(text.len()).any(|w| w == text.as_bytes()));
        assert_eq!(
            answer[answer.len() - 8..],
            [8, 0, 2, 0, 0, 0, 1, 0],
            "UNKNOWN_METHOD"
        );
    }
}
