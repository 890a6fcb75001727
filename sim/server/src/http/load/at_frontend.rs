//! Stream loads of a backend whose frontend is no simulated one: as in Doris the backend begins a transaction there, asks for a plan, reads the
//! body, writes the rowsets and commits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::HeaderMap;
use dorisim_wire::load::{
    TLoadTxn2PCRequest, TLoadTxn2PCResult, TLoadTxnBeginRequest, TLoadTxnBeginResult,
    TLoadTxnCommitRequest, TLoadTxnCommitResult, TLoadTxnRollbackRequest, TLoadTxnRollbackResult,
    TMergeType, TStreamLoadPutRequest, TStreamLoadPutResult,
};
use dorisim_wire::plan::TUniqueKeyUpdateMode;
use dorisim_wire::{TStatus, TStatusCode, TTabletCommitInfo, TUniqueId};
use md5::{Digest, Md5};
use thrift::protocol::TSerializable;
use tokio::sync::Semaphore;

use super::answer::{LoadAnswer, Status};
use super::auth::Login;
use super::errors::ErrorLogs;
use super::receive;
use super::refusal::Refusal;
use super::settings::{self, Head, Merge, Settings};
use dorisim_be::agent::Agent;
use dorisim_be::exec::{BodyLoad, ExecError, Executor, Loaded};
use dorisim_model::backend::BackendApi;
use dorisim_net::client::{CallError, Pool};
use dorisim_sql::load::{Rejections, parse_csv, parse_json};

/// Bodies that all loads of the backend may hold at a time, in MiB.
const MEMORY_MIB: usize = 1_024;
/// Limit of one call; a commit waits for its publish.
const CALL: Duration = Duration::from_secs(60);
/// `FILE_STREAM` of `TFileType`.
const FILE_STREAM: i32 = 2;
/// `FORMAT_CSV_PLAIN` and `FORMAT_JSON` of `TFileFormatType`.
const FORMATS: [i32; 2] = [0, 9];

/// The loads of one backend.
#[derive(Clone)]
pub(super) struct Loads {
    agent: Arc<Agent>,
    executor: Arc<Executor>,
    memory: Arc<Semaphore>,
    pub(super) errors: Arc<ErrorLogs>,
}

/// What of a load every call tells.
struct Begun<'a> {
    login: &'a Login,
    /// Token of the cluster, which the frontend's own loads bring instead of a password.
    token: Option<String>,
    db: &'a str,
    table: &'a str,
    txn_id: i64,
}

impl Loads {
    pub(super) fn new(agent: Arc<Agent>, executor: Arc<Executor>) -> Self {
        Loads {
            agent,
            executor,
            memory: Arc::new(Semaphore::new(MEMORY_MIB)),
            errors: Arc::default(),
        }
    }

    fn now(&self) -> Instant {
        self.agent.backend().clock().monotonic()
    }

    fn since(&self, start: Instant) -> u64 {
        let elapsed = self.now().saturating_duration_since(start);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    async fn call<Q: TSerializable, A: TSerializable>(
        &self,
        method: &'static str,
        request: &Q,
    ) -> Result<A, Refusal> {
        let membership = self.agent.membership();
        let Some(master) = membership.master() else {
            let text = "Have not get FE Master heartbeat yet";
            return Err(Refusal::new("SERVICE_UNAVAILABLE", text));
        };
        let called: Result<A, CallError> = Pool::new(&master.host, master.port)
            .call(method, request, CALL)
            .await;
        called.map_err(|error| Refusal::new("THRIFT_RPC_ERROR", error.text()))
    }

    /// A load from its first header to its answer.
    pub(super) async fn load(
        &self,
        db: &str,
        table: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> LoadAnswer {
        let started = self.now();
        let label = settings::text(headers, "label").unwrap_or_else(|| self.unique().0);
        let mut answer = LoadAnswer::new(label);
        answer.two_phase = settings::text(headers, "two_phase_commit").as_deref() == Some("true");
        if let Err(refusal) = self.attempt(db, table, headers, body, &mut answer).await {
            answer.status = Status::Fail(refusal.to_string());
        }
        answer.times.total = self.since(started);
        answer
    }

    /// A label of the form of a UUID, and the same as an id.
    fn unique(&self) -> (String, TUniqueId) {
        let backend = self.agent.backend();
        let number = backend.new_rowset_id();
        let digest = Md5::digest(format!("{number}/{}", backend.clock().now_ms()));
        let hex = hex::encode(digest);
        let half = |range: std::ops::Range<usize>| {
            u64::from_str_radix(&hex[range], 16).map_or(0, u64::cast_signed)
        };
        let id = TUniqueId::new(half(0..16), half(16..32));
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
        (parts.map(|part| &hex[part]).join("-"), id)
    }

    async fn attempt(
        &self,
        db: &str,
        table: &str,
        headers: &HeaderMap,
        body: Body,
        answer: &mut LoadAnswer,
    ) -> Result<(), Refusal> {
        let token = token(headers);
        let login = Login::of(headers).or_else(|| token.is_some().then(nobody));
        let login =
            login.ok_or_else(|| Refusal::new("NOT_AUTHORIZED", "no valid Basic authorization"))?;
        let head = Head::of(headers)?;
        answer.comment.clone_from(&head.comment);
        if head.group_commit {
            let text = "group commit at a genuine frontend is not simulated";
            return Err(Refusal::new("NOT_IMPLEMENTED_ERROR", text));
        }
        let settings = Settings::of(headers, &head)?;
        let start = self.now();
        let id = self.unique().1;
        let begin = TLoadTxnBeginRequest {
            user: login.user.clone(),
            passwd: login.password.clone(),
            db: db.to_owned(),
            tbl: table.to_owned(),
            user_ip: Some("127.0.0.1".to_owned()),
            label: answer.label.clone(),
            timeout: head.timeout_s,
            request_id: Some(id.clone()),
            token: token.clone(),
            backend_id: Some(self.agent.backend().id()),
        };
        let begun: TLoadTxnBeginResult = self.call("loadTxnBegin", &begin).await?;
        answer.times.begin = self.since(start);
        if begun.status.status_code == TStatusCode::LABEL_ALREADY_EXISTS {
            let job = match begun.job_status.as_deref() {
                Some("RUNNING") => "RUNNING",
                Some("PRECOMMITTED") => "PRECOMMITTED",
                Some(_) | None => "FINISHED",
            };
            answer.status = Status::LabelExists(job, refusal(&begun.status).to_string());
            return Ok(());
        }
        check(&begun.status)?;
        let begun = Begun {
            login: &login,
            token,
            db,
            table,
            txn_id: begun.txn_id.unwrap_or(-1),
        };
        answer.txn_id = begun.txn_id;
        let done = self
            .transact(&begun, id, headers, (&head, &settings), body, answer)
            .await;
        if let Err(reason) = &done {
            self.roll_back(&begun, &reason.to_string()).await;
        }
        done
    }

    async fn transact(
        &self,
        begun: &Begun<'_>,
        id: TUniqueId,
        headers: &HeaderMap,
        (head, settings): (&Head, &Settings),
        body: Body,
        answer: &mut LoadAnswer,
    ) -> Result<(), Refusal> {
        let start = self.now();
        let put = put(begun, id, headers, (head, settings), &answer.label);
        let put = TStreamLoadPutRequest {
            backend_id: Some(self.agent.backend().id()),
            ..put
        };
        let planned: TStreamLoadPutResult = self.call("streamLoadPut", &put).await?;
        check(&planned.status)?;
        let no_plan = || Refusal::new("INTERNAL_ERROR", "the frontend gave no plan");
        let params = planned.pipeline_params.ok_or_else(no_plan)?;
        let load = BodyLoad::new(params).map_err(|error| of_exec(&error))?;
        answer.times.plan = self.since(start);
        let start = self.now();
        let (bytes, received, memory) = receive::receive(&self.memory, head, body).await?;
        answer.bytes = received;
        answer.times.receive = self.since(start);
        let start = self.now();
        let (options, fields, json) = (settings.options.clone(), load.fields.clone(), head.json);
        let parsing = tokio::task::spawn_blocking(move || {
            if json {
                parse_json(&bytes, &options, &fields)
            } else {
                parse_csv(&bytes, &options, &fields)
            }
        });
        let parsed = parsing.await.map_err(|error| {
            Refusal::new("INTERNAL_ERROR", format!("reading the body: {error}"))
        })?;
        let given = parsed.rows.len() as u64;
        let loaded = self.executor.load_body(load, parsed.rows).await;
        drop(memory);
        let loaded = loaded.map_err(|error| of_exec(&error))?;
        answer.times.write = self.since(start);
        self.judge(begun, settings, given, &loaded, parsed.rejected, answer)?;
        let start = self.now();
        let committed = self.commit(begun, loaded, answer.two_phase).await;
        answer.times.commit = self.since(start);
        match committed {
            Err(late) if late.name == "PUBLISH_TIMEOUT" => {
                answer.status = Status::PublishTimeout(late.to_string());
                Ok(())
            }
            other => other,
        }
    }

    /// Counts, and refuses too many filtered rows.
    fn judge(
        &self,
        begun: &Begun<'_>,
        settings: &Settings,
        given: u64,
        loaded: &Loaded,
        mut rejected: Rejections,
        answer: &mut LoadAnswer,
    ) -> Result<(), Refusal> {
        let count = |rows: i64| u64::try_from(rows).unwrap_or(0);
        let (taken, refused) = (count(loaded.rows), count(loaded.filtered));
        for error in &loaded.errors {
            rejected.add(|| error.clone(), String::new);
        }
        let unnamed = refused.saturating_sub(loaded.errors.len() as u64);
        rejected.count += unnamed;
        answer.loaded = taken;
        answer.filtered = rejected.count;
        answer.unselected = given.saturating_sub(taken + refused);
        answer.total = answer.loaded + answer.filtered + answer.unselected;
        answer.first_error = rejected.first();
        if let Some(text) = rejected.log() {
            let name = self
                .errors
                .keep(begun.db, &answer.label, begun.txn_id, text);
            let address = self.agent.backend().address();
            let membership = self.agent.membership();
            let host = membership.host().unwrap_or(&address.host);
            answer.error_url = Some(format!(
                "http://{host}:{}/api/_load_error_log?file={name}",
                address.http_port
            ));
        }
        let counted = answer.total.saturating_sub(answer.unselected);
        if answer.filtered as f64 > counted as f64 * settings.max_filter_ratio {
            answer.loaded = 0;
            return Err(Refusal::new("DATA_QUALITY_ERROR", "too many filtered rows"));
        }
        Ok(())
    }

    async fn commit(
        &self,
        begun: &Begun<'_>,
        loaded: Loaded,
        two_phase: bool,
    ) -> Result<(), Refusal> {
        let infos = loaded.tablets.into_iter();
        let infos = infos.map(|(tablet, backend)| TTabletCommitInfo::new(tablet, backend, None));
        let request = TLoadTxnCommitRequest {
            user: begun.login.user.clone(),
            passwd: begun.login.password.clone(),
            db: begun.db.to_owned(),
            tbl: begun.table.to_owned(),
            user_ip: Some("127.0.0.1".to_owned()),
            txn_id: begun.txn_id,
            sync: true,
            commit_infos: Some(infos.collect()),
            thrift_rpc_timeout_ms: i64::try_from(CALL.as_millis() / 2).ok(),
            token: begun.token.clone(),
            db_id: None,
            backend_id: Some(self.agent.backend().id()),
        };
        let method = if two_phase {
            "loadTxnPreCommit"
        } else {
            "loadTxnCommit"
        };
        let done: TLoadTxnCommitResult = self.call(method, &request).await?;
        check(&done.status)
    }

    async fn roll_back(&self, begun: &Begun<'_>, reason: &str) {
        let request = TLoadTxnRollbackRequest {
            user: begun.login.user.clone(),
            passwd: begun.login.password.clone(),
            db: begun.db.to_owned(),
            tbl: begun.table.to_owned(),
            user_ip: Some("127.0.0.1".to_owned()),
            txn_id: begun.txn_id,
            reason: Some(reason.to_owned()),
            token: begun.token.clone(),
            db_id: None,
        };
        let done: Result<TLoadTxnRollbackResult, _> = self.call("loadTxnRollback", &request).await;
        if let Err(error) = done.and_then(|done| check(&done.status)) {
            let txn_id = begun.txn_id;
            tracing::info!(txn_id, %error, "load not rolled back; its timeout does it");
        }
    }

    /// `_stream_load_2pc`
    pub(super) async fn finish(&self, db: &str, headers: &HeaderMap) -> Result<String, Refusal> {
        let login = Login::of(headers)
            .ok_or_else(|| Refusal::new("INTERNAL_ERROR", "no valid Basic authorization"))?;
        let (label, id) = (
            settings::text(headers, "label"),
            settings::text(headers, "txn_id"),
        );
        let operation = settings::text(headers, "txn_operation").unwrap_or_default();
        let request = TLoadTxn2PCRequest {
            user: login.user.clone(),
            passwd: login.password,
            db: Some(db.to_owned()),
            user_ip: Some("127.0.0.1".to_owned()),
            txn_id: id.as_ref().and_then(|id| id.parse().ok()),
            operation: Some(operation.clone()),
            token: None,
            thrift_rpc_timeout_ms: i64::try_from(CALL.as_millis() / 2).ok(),
            label: label.clone(),
        };
        let done: TLoadTxn2PCResult = self.call("loadTxn2PC", &request).await?;
        check(&done.status)?;
        let label = label.map_or_else(String::new, |label| format!("label [{label}] "));
        let id = id.map_or_else(String::new, |id| format!("transaction [{id}] "));
        Ok(format!("{label}{id}{operation} successfully."))
    }
}

fn token(headers: &HeaderMap) -> Option<String> {
    settings::text(headers, "token").or_else(|| settings::text(headers, "auth-token"))
}

/// Who has a token needs no account.
fn nobody() -> Login {
    Login {
        user: String::new(),
        password: String::new(),
    }
}

fn put(
    begun: &Begun<'_>,
    id: TUniqueId,
    headers: &HeaderMap,
    (head, settings): (&Head, &Settings),
    label: &str,
) -> TStreamLoadPutRequest {
    let text = |name: &str| settings::text(headers, name);
    let (merge_type, delete_condition) = match &settings.merge {
        Merge::Append => (TMergeType::APPEND, None),
        Merge::Delete => (TMergeType::DELETE, None),
        Merge::Where(condition) => (TMergeType::MERGE, Some(condition.clone())),
    };
    TStreamLoadPutRequest {
        user: begun.login.user.clone(),
        passwd: begun.login.password.clone(),
        db: begun.db.to_owned(),
        tbl: begun.table.to_owned(),
        user_ip: Some("127.0.0.1".to_owned()),
        load_id: id,
        txn_id: begun.txn_id,
        file_type: FILE_STREAM,
        format_type: FORMATS[usize::from(head.json)],
        columns: text("columns"),
        where_: text("where"),
        column_separator: text("column_separator"),
        partitions: text("partitions").or_else(|| text("temporary_partitions")),
        negative: Some(settings.negative),
        timeout: head.timeout_s.and_then(|s| i32::try_from(s).ok()),
        strict_mode: Some(settings.strict),
        timezone: text("timezone"),
        is_temp_partition: Some(settings.temp_partitions),
        strip_outer_array: Some(settings.options.strip_outer_array),
        jsonpaths: text("jsonpaths"),
        json_root: text("json_root"),
        merge_type: Some(merge_type),
        delete_condition,
        sequence_col: settings.sequence.clone(),
        num_as_string: Some(false),
        fuzzy_parse: Some(false),
        line_delimiter: text("line_delimiter"),
        read_json_by_line: Some(settings.options.read_json_by_line),
        token: begun.token.clone(),
        max_filter_ratio: Some(settings.max_filter_ratio.into()),
        load_to_single_tablet: Some(text("load_to_single_tablet").as_deref() == Some("true")),
        hidden_columns: text("hidden_columns"),
        partial_update: Some(settings.partial),
        backend_id: None,
        label: Some(label.to_owned()),
        unique_key_update_mode: settings
            .partial
            .then_some(TUniqueKeyUpdateMode::UPDATE_FIXED_COLUMNS),
    }
}

fn refusal(status: &TStatus) -> Refusal {
    let name = match status.status_code {
        TStatusCode::ANALYSIS_ERROR => "ANALYSIS_ERROR",
        TStatusCode::NOT_FOUND => "NOT_FOUND",
        TStatusCode::NOT_AUTHORIZED => "NOT_AUTHORIZED",
        TStatusCode::LABEL_ALREADY_EXISTS => "LABEL_ALREADY_EXISTS",
        TStatusCode::PUBLISH_TIMEOUT => "PUBLISH_TIMEOUT",
        TStatusCode::INVALID_ARGUMENT => "INVALID_ARGUMENT",
        TStatusCode::TIMEOUT => "TIMEOUT",
        _ => "INTERNAL_ERROR",
    };
    let texts = status.error_msgs.clone().unwrap_or_default();
    Refusal::new(name, format!("TStatus: {}", texts.join("; ")))
}

fn check(status: &TStatus) -> Result<(), Refusal> {
    if status.status_code == TStatusCode::OK {
        return Ok(());
    }
    Err(refusal(status))
}

fn of_exec(error: &ExecError) -> Refusal {
    let name = match error {
        ExecError::NotSupported(_) => "NOT_IMPLEMENTED_ERROR",
        ExecError::Value(_) => "INVALID_ARGUMENT",
        ExecError::TooMuch { .. } => "MEM_LIMIT_EXCEEDED",
        ExecError::Cancelled(_) => "CANCELLED",
        ExecError::Late(_) => "TIMEOUT",
        ExecError::Plan(_) | ExecError::Backend(_) | ExecError::Peer { .. } => "INTERNAL_ERROR",
    };
    Refusal::new(name, error.to_string())
}
