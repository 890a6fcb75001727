//! `BackendService` of one backend: replication, agent tasks, and what a frontend asks in passing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use dorisim_wire::{
    TAgentResult, TDiskTrashInfo, TPublishTopicResult, TSnapshotRequest, TStatus, TStatusCode,
    TTabletStat, TTabletStatResult,
};
use thrift::protocol::{
    TFieldIdentifier, TInputProtocol, TListIdentifier, TMapIdentifier, TOutputProtocol,
    TSerializable, TStructIdentifier, TType,
};

use crate::agent::Agent;
use crate::{Backend, BackendApi};
use dorisim_net::agent::{MakeSnapshot, status};
use dorisim_net::server::{
    Dispatch, OnlyStatus, Reply, Service, encode, encode_as, read_argument, read_first,
    read_list_argument, skip_arguments,
};

/// The methods of `be_port`. Without an agent only those of replication are known.
#[derive(Debug)]
pub struct BackendService {
    backend: Arc<Backend>,
    agent: Option<Arc<Agent>>,
}

impl BackendService {
    /// Replication alone: for backends that are driven by calls in the process.
    pub fn of_replication(backend: Arc<Backend>) -> Self {
        BackendService {
            backend,
            agent: None,
        }
    }

    /// All methods.
    pub fn new(agent: Arc<Agent>) -> Self {
        BackendService {
            backend: Arc::clone(agent.backend()),
            agent: Some(agent),
        }
    }
}

impl Service for BackendService {
    fn dispatch(
        &self,
        method: &str,
        _peer: IpAddr,
        input: &mut dyn TInputProtocol,
    ) -> thrift::Result<Dispatch> {
        let backend = Arc::clone(&self.backend);
        match method {
            "ingest_binlog" => {
                let request = read_argument(input)?;
                Ok(Dispatch::Call(Box::pin(async move {
                    encode(&backend.ingest_binlog(request).await)
                })))
            }
            "query_ingest_binlog" => {
                let request = read_argument(input)?;
                Ok(Dispatch::Call(Box::pin(async move {
                    encode(&backend.query_ingest_binlog(&request))
                })))
            }
            _ => match &self.agent {
                Some(agent) => dispatch_agent(agent, method, input),
                None => Ok(Dispatch::Unknown),
            },
        }
    }

    fn backend_id(&self) -> Option<i64> {
        Some(self.backend.id())
    }
}

fn dispatch_agent(
    agent: &Arc<Agent>,
    method: &str,
    input: &mut dyn TInputProtocol,
) -> thrift::Result<Dispatch> {
    let agent = Arc::clone(agent);
    Ok(match method {
        "submit_tasks" => {
            let mut jobs = Vec::new();
            read_list_argument(input, |request| jobs.push(agent.job(request)))?;
            Dispatch::Call(Box::pin(async move { encode(&agent.submit(jobs)) }))
        }
        "make_snapshot" => {
            let request: TSnapshotRequest = read_argument(input)?;
            Dispatch::Call(Box::pin(async move {
                encode(&make_snapshot(agent.backend(), &request).await)
            }))
        }
        "release_snapshot" => {
            let path = read_first(input, TType::String, |input| input.read_string())?;
            Dispatch::Call(Box::pin(async move {
                let released = agent.backend().release_snapshot(&path).await;
                let status =
                    released.map_or_else(|error| status::status_of(&error), |()| status::ok());
                encode(&TAgentResult::new(status, None, None, None))
            }))
        }
        _ => {
            let Some(pull) = Pull::of(method) else {
                return Ok(Dispatch::Unknown);
            };
            skip_arguments(input)?;
            Dispatch::Call(Box::pin(async move { pull.answer(agent.backend()) }))
        }
    })
}

async fn make_snapshot(backend: &Backend, request: &TSnapshotRequest) -> TAgentResult {
    let made = backend.snapshot(&MakeSnapshot::from_wire(request)).await;
    match made {
        Ok(made) => TAgentResult::new(status::ok(), made.info.path, made.is_incremental, 2),
        Err(error) => TAgentResult::new(status::status_of(&error), None, None, None),
    }
}

/// A call whose arguments do not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pull {
    TabletStat,
    TrashUsed,
    DiskTrashUsed,
    TopicInfo,
    /// A result with an OK status in field 1, or one that is empty.
    Fine,
    /// Ids of tablets by their format: none has the first.
    StorageFormat,
    /// A result without members that are set.
    Empty,
    /// A result with an empty map in field 1.
    NoRecords,
    /// A result with a zero in field 1.
    Zero,
    /// A result with a status in field 1 that says no: OK would promise work.
    Refused,
    /// The result is the status itself, and it says no.
    RefusedPlainly,
}

impl Pull {
    fn of(method: &str) -> Option<Self> {
        Some(match method {
            "get_tablet_stat" => Pull::TabletStat,
            "get_trash_used_capacity" => Pull::TrashUsed,
            "get_disk_trash_used_capacity" => Pull::DiskTrashUsed,
            "publish_topic_info" => Pull::TopicInfo,
            "publish_cluster_state"
            | "warm_up_cache_async"
            | "check_warm_up_cache_async"
            | "warm_up_tablets"
            | "get_realtime_exec_status" => Pull::Fine,
            "check_storage_format" => Pull::StorageFormat,
            "sync_load_for_tablets" | "get_dictionary_status" => Pull::Empty,
            "get_stream_load_record" => Pull::NoRecords,
            "get_top_n_hot_partitions" => Pull::Zero,
            "open_scanner" | "get_next" | "close_scanner" | "test_storage_connectivity" => {
                Pull::Refused
            }
            "submit_routine_load_task" => Pull::RefusedPlainly,
            _ => return None,
        })
    }

    fn answer(self, backend: &Backend) -> Reply {
        let no = || {
            let text = "not done by dorisim".to_owned();
            TStatus::new(TStatusCode::NOT_IMPLEMENTED_ERROR, vec![text])
        };
        match self {
            Pull::TabletStat => encode(&tablet_stat(backend)),
            Pull::TrashUsed => encode_as(TType::I64, |output| output.write_i64(0)),
            Pull::DiskTrashUsed => disk_trash(backend),
            Pull::TopicInfo => encode(&TPublishTopicResult::new(status::ok())),
            Pull::Fine => encode(&OnlyStatus(status::ok())),
            Pull::StorageFormat => storage_format(backend),
            Pull::Empty => result_of(|_| Ok(())),
            Pull::NoRecords => result_of(|output| {
                output.write_field_begin(&TFieldIdentifier::new("records", TType::Map, 1))?;
                output.write_map_begin(&TMapIdentifier::new(TType::String, TType::Struct, 0))?;
                output.write_map_end()?;
                output.write_field_end()
            }),
            Pull::Zero => result_of(|output| {
                output.write_field_begin(&TFieldIdentifier::new("size", TType::I64, 1))?;
                output.write_i64(0)?;
                output.write_field_end()
            }),
            Pull::Refused => encode(&OnlyStatus(no())),
            Pull::RefusedPlainly => encode(&no()),
        }
    }
}

fn result_of(members: impl FnOnce(&mut dyn TOutputProtocol) -> thrift::Result<()>) -> Reply {
    encode_as(TType::Struct, |output| {
        output.write_struct_begin(&TStructIdentifier::new("TResult"))?;
        members(output)?;
        output.write_field_stop()?;
        output.write_struct_end()
    })
}

fn tablet_stat(backend: &Backend) -> TTabletStatResult {
    let stat = |tablet_id: i64| {
        let stat = backend.tablet_stat(tablet_id).ok()?;
        let versions = backend.version_count(tablet_id).unwrap_or(0);
        Some(TTabletStat {
            tablet_id,
            data_size: Some(stat.bytes),
            row_count: Some(stat.rows),
            total_version_count: Some(versions),
            remote_data_size: Some(0),
            visible_version_count: Some(versions),
            visible_version: Some(stat.version),
            local_index_size: Some(0),
            local_segment_size: Some(stat.bytes),
            remote_index_size: Some(0),
            remote_segment_size: Some(0),
        })
    };
    let stats: Vec<TTabletStat> = backend.tablet_ids().into_iter().filter_map(stat).collect();
    let by_id: BTreeMap<i64, TTabletStat> = stats
        .iter()
        .map(|stat| (stat.tablet_id, stat.clone()))
        .collect();
    TTabletStatResult::new(by_id, stats)
}

/// `v1_tablets` and `v2_tablets`.
fn storage_format(backend: &Backend) -> Reply {
    let lists = [(1, Vec::new()), (2, backend.tablet_ids())];
    result_of(|output| {
        for (field, tablets) in &lists {
            output.write_field_begin(&TFieldIdentifier::new("tablets", TType::List, *field))?;
            let count = i32::try_from(tablets.len()).unwrap_or(i32::MAX);
            output.write_list_begin(&TListIdentifier::new(TType::I64, count))?;
            for tablet in tablets {
                output.write_i64(*tablet)?;
            }
            output.write_list_end()?;
            output.write_field_end()?;
        }
        Ok(())
    })
}

fn disk_trash(backend: &Backend) -> Reply {
    let root = backend.store().display().to_string();
    let info = TDiskTrashInfo::new(root, "ONLINE".to_owned(), 0);
    encode_as(TType::List, |output| {
        output.write_list_begin(&TListIdentifier::new(TType::Struct, 1))?;
        info.write_to_out_protocol(output)?;
        output.write_list_end()
    })
}
