//! CLONE: a replica from a replica of another backend.

use dorisim_wire::{TBackend, TCloneReq, TStorageMedium};

/// Where a replica can be copied from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloneSource {
    /// Host of the backend.
    pub host: String,
    /// Its `be_port`: the snapshot is asked for there.
    pub be_port: u16,
    /// Its HTTP port: the files are fetched there.
    pub http_port: u16,
}

/// CLONE: makes a replica, or brings it the versions that it lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloneTablet {
    /// Which tablet.
    pub tablet_id: i64,
    /// Its schema hash.
    pub schema_hash: i32,
    /// Tried in this order.
    pub sources: Vec<CloneSource>,
    /// Visible version, which the replica must have afterwards.
    pub version: i64,
    /// Replica id of a new replica.
    pub replica_id: i64,
    /// Its partition.
    pub partition_id: i64,
    /// Its table.
    pub table_id: i64,
    /// Seconds until the source may delete the snapshot; `None` is the source's default.
    pub timeout_s: Option<i64>,
}

impl CloneTablet {
    /// The request of a CLONE task.
    pub fn to_wire(&self) -> TCloneReq {
        let sources = self.sources.iter().map(|source| {
            let (be_port, http_port) = (i32::from(source.be_port), i32::from(source.http_port));
            TBackend::new(source.host.clone(), be_port, http_port, None, None, None)
        });
        TCloneReq {
            tablet_id: self.tablet_id,
            schema_hash: self.schema_hash,
            src_backends: sources.collect(),
            storage_medium: Some(TStorageMedium::HDD),
            version: Some(self.version),
            task_version: Some(TASK_VERSION),
            timeout_s: self.timeout_s.and_then(|s| i32::try_from(s).ok()),
            replica_id: Some(self.replica_id),
            partition_id: Some(self.partition_id),
            table_id: Some(self.table_id),
        }
    }

    /// Reads the request. Sources with impossible ports are left out.
    pub fn from_wire(request: &TCloneReq) -> Self {
        let source = |backend: &TBackend| {
            Some(CloneSource {
                host: backend.host.clone(),
                be_port: u16::try_from(backend.be_port).ok()?,
                http_port: u16::try_from(backend.http_port).ok()?,
            })
        };
        CloneTablet {
            tablet_id: request.tablet_id,
            schema_hash: request.schema_hash,
            sources: request.src_backends.iter().filter_map(source).collect(),
            version: request.version.unwrap_or(1),
            replica_id: request.replica_id.unwrap_or(0),
            partition_id: request.partition_id.unwrap_or(-1),
            table_id: request.table_id.unwrap_or(-1),
            timeout_s: request.timeout_s.filter(|s| *s > 0).map(i64::from),
        }
    }
}

/// Form of the request: the one that names paths and a timeout.
const TASK_VERSION: i32 = 2;
