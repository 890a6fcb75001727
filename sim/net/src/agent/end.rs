//! What a backend tells about a finished task: `TFinishTaskRequest`.

use std::collections::BTreeMap;

use dorisim_wire::{TBackend, TFinishTaskRequest, TStatus, TStatusCode, TTabletInfo, TTaskType};

use dorisim_model::backend::{BackendAddress, BeError};

/// A task failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFailure {
    /// Number of a `TStatusCode`, never OK.
    pub code: i32,
    /// Why.
    pub message: String,
}

impl From<&BeError> for TaskFailure {
    fn from(error: &BeError) -> Self {
        TaskFailure {
            code: super::status::code_of(error).0,
            message: error.to_string(),
        }
    }
}

/// What only some types tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum FinishDetail {
    /// Nothing.
    #[default]
    None,
    /// CREATE: the state of the tablet; absent when it failed.
    Created(Option<Box<TTabletInfo>>),
    /// PUBLISH_VERSION.
    Published {
        /// Tablet to its version, of all tablets that have the version now.
        succeeded: BTreeMap<i64, i64>,
        /// Tablets that could not be published.
        failed: Vec<i64>,
        /// Table to tablet to rows that were added.
        delta_rows: BTreeMap<i64, BTreeMap<i64, i64>>,
    },
    /// MAKE_SNAPSHOT.
    Snapshot {
        /// `<store>/snapshot/<time>.<seq>.<timeout>`
        path: String,
        /// File names, when they were asked for.
        files: Option<Vec<String>>,
    },
    /// DOWNLOAD.
    Downloaded(Vec<i64>),
    /// CLONE.
    Cloned {
        /// State of the replica.
        info: Box<TTabletInfo>,
        /// Bytes that were fetched.
        bytes: i64,
        /// Milliseconds that fetching took.
        millis: i64,
    },
    /// CHECK_CONSISTENCY.
    Checksum {
        /// Checksum of the rows.
        checksum: i64,
        /// Version that was asked for.
        version: i64,
    },
    /// STORAGE_MEDIUM_MIGRATE, ALTER, ...: the state of tablets.
    Tablets(Vec<TTabletInfo>),
}

/// The end of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedTask {
    /// Type of the task.
    pub task_type: TTaskType,
    /// Signature of the task.
    pub signature: i64,
    /// How it ended.
    pub outcome: Result<(), TaskFailure>,
    /// Set after tasks that change what a tablet report says (CREATE, ALTER, PUBLISH_VERSION, ...).
    pub report_version: Option<i64>,
    /// What only some types tell.
    pub detail: FinishDetail,
}

/// How a backend names itself in reports.
pub fn reporter(address: &BackendAddress) -> TBackend {
    TBackend::new(
        address.host.clone(),
        i32::from(address.be_port),
        i32::from(address.http_port),
        i32::from(address.brpc_port),
        None,
        None,
    )
}

impl FinishedTask {
    /// The request of `finishTask`.
    pub fn to_wire(&self, backend: TBackend) -> TFinishTaskRequest {
        let status = match &self.outcome {
            Ok(()) => super::status::ok(),
            Err(failure) => TStatus::new(TStatusCode(failure.code), vec![failure.message.clone()]),
        };
        let mut request = TFinishTaskRequest {
            backend,
            task_type: self.task_type,
            signature: self.signature,
            task_status: status,
            report_version: self.report_version,
            finish_tablet_infos: None,
            tablet_checksum: None,
            request_version: None,
            request_version_hash: None,
            snapshot_path: None,
            error_tablet_ids: None,
            snapshot_files: None,
            tablet_files: None,
            downloaded_tablet_ids: None,
            copy_size: None,
            copy_time_ms: None,
            succ_tablets: None,
            table_id_to_delta_num_rows: None,
            table_id_to_tablet_id_to_delta_num_rows: None,
        };
        match &self.detail {
            FinishDetail::None | FinishDetail::Created(None) => {}
            FinishDetail::Created(Some(info)) => {
                request.finish_tablet_infos = Some(vec![info.as_ref().clone()]);
            }
            FinishDetail::Published {
                succeeded,
                failed,
                delta_rows,
            } => {
                let of_table = |tablets: &BTreeMap<i64, i64>| tablets.values().sum();
                request.succ_tablets = Some(succeeded.clone());
                request.error_tablet_ids = Some(failed.clone());
                request.table_id_to_delta_num_rows = Some(
                    delta_rows
                        .iter()
                        .map(|(table, tablets)| (*table, of_table(tablets)))
                        .collect(),
                );
                request.table_id_to_tablet_id_to_delta_num_rows = Some(delta_rows.clone());
            }
            FinishDetail::Snapshot { path, files } => {
                request.snapshot_path = Some(path.clone());
                request.snapshot_files = files.clone();
            }
            FinishDetail::Downloaded(tablets) => {
                request.downloaded_tablet_ids = Some(tablets.clone());
            }
            FinishDetail::Checksum { checksum, version } => {
                request.tablet_checksum = Some(*checksum);
                request.request_version = Some(*version);
                request.request_version_hash = Some(0);
            }
            FinishDetail::Cloned {
                info,
                bytes,
                millis,
            } => {
                request.finish_tablet_infos = Some(vec![info.as_ref().clone()]);
                request.copy_size = Some(*bytes);
                request.copy_time_ms = Some(*millis);
            }
            FinishDetail::Tablets(infos) => request.finish_tablet_infos = Some(infos.clone()),
        }
        request
    }

    /// Reads the request of `finishTask`; the backend is in its field of that name.
    pub fn from_wire(request: TFinishTaskRequest) -> Self {
        let status = &request.task_status;
        let outcome = if status.status_code == TStatusCode::OK {
            Ok(())
        } else {
            Err(TaskFailure {
                code: status.status_code.0,
                message: status.error_msgs.clone().unwrap_or_default().join("; "),
            })
        };
        FinishedTask {
            task_type: request.task_type,
            signature: request.signature,
            outcome,
            report_version: request.report_version,
            detail: detail(request),
        }
    }
}

fn detail(request: TFinishTaskRequest) -> FinishDetail {
    match request.task_type {
        TTaskType::CREATE => FinishDetail::Created(
            request
                .finish_tablet_infos
                .and_then(|infos| infos.into_iter().next())
                .map(Box::new),
        ),
        TTaskType::PUBLISH_VERSION => FinishDetail::Published {
            succeeded: request.succ_tablets.unwrap_or_default(),
            failed: request.error_tablet_ids.unwrap_or_default(),
            delta_rows: request
                .table_id_to_tablet_id_to_delta_num_rows
                .unwrap_or_default(),
        },
        TTaskType::MAKE_SNAPSHOT => match request.snapshot_path {
            Some(path) => FinishDetail::Snapshot {
                path,
                files: request.snapshot_files,
            },
            None => FinishDetail::None,
        },
        TTaskType::DOWNLOAD => {
            FinishDetail::Downloaded(request.downloaded_tablet_ids.unwrap_or_default())
        }
        TTaskType::CLONE => {
            let infos = request.finish_tablet_infos.unwrap_or_default();
            match infos.into_iter().next() {
                Some(info) => FinishDetail::Cloned {
                    info: Box::new(info),
                    bytes: request.copy_size.unwrap_or(0),
                    millis: request.copy_time_ms.unwrap_or(0),
                },
                None => FinishDetail::None,
            }
        }
        TTaskType::CHECK_CONSISTENCY => FinishDetail::Checksum {
            checksum: request.tablet_checksum.unwrap_or(0),
            version: request.request_version.unwrap_or(0),
        },
        _ => match request.finish_tablet_infos {
            Some(infos) => FinishDetail::Tablets(infos),
            None => FinishDetail::None,
        },
    }
}
