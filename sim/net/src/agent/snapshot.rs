//! MAKE_SNAPSHOT, RELEASE_SNAPSHOT and DOWNLOAD.

use std::collections::BTreeMap;

use dorisim_wire::{TDownloadReq, TNetworkAddress, TRemoteTabletSnapshot, TSnapshotRequest};

use super::WireError;
use dorisim_model::backend::RemoteTabletSnapshot;

/// MAKE_SNAPSHOT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MakeSnapshot {
    /// Which tablet.
    pub tablet_id: i64,
    /// Its schema hash.
    pub schema_hash: i32,
    /// At which version; none: the newest.
    pub version: Option<i64>,
    /// Seconds until the backend may delete it.
    pub timeout_s: i64,
    /// The end lists the files.
    pub list_files: bool,
    /// Tablet whose files may be linked, for atomic restores.
    pub ref_tablet: Option<i64>,
    /// Versions that the replica lacks which the snapshot is for; none: nobody asks for parts. When all of them are single rowsets,
    /// they are the snapshot, else everything is.
    pub missing_versions: Option<Vec<i64>>,
    /// The kept binlogs of those rowsets go along.
    pub copy_binlogs: bool,
}

/// RELEASE_SNAPSHOT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseSnapshot {
    /// Path as MAKE_SNAPSHOT told it.
    pub path: String,
    /// Tablet of the snapshot.
    pub tablet_id: i64,
    /// The job ended well.
    pub job_completed: bool,
}

/// DOWNLOAD of snapshots that other backends keep.
#[derive(Clone, Debug)]
pub struct Download {
    /// Restore job.
    pub job_id: i64,
    /// What to pull, and the id of the backend that has it.
    pub snapshots: Vec<(RemoteTabletSnapshot, i64)>,
}

impl MakeSnapshot {
    /// The request of a MAKE_SNAPSHOT task.
    pub fn to_wire(&self) -> TSnapshotRequest {
        TSnapshotRequest {
            tablet_id: self.tablet_id,
            schema_hash: self.schema_hash,
            version: self.version,
            version_hash: None,
            timeout: (self.timeout_s > 0).then_some(self.timeout_s),
            missing_version: self.missing_versions.clone(),
            list_files: Some(self.list_files),
            preferred_snapshot_version: Some(2),
            is_copy_tablet_task: None,
            start_version: None,
            end_version: None,
            is_copy_binlog: self.copy_binlogs.then_some(true),
            ref_tablet_id: self.ref_tablet,
        }
    }

    /// Reads the request, also that of the RPC `make_snapshot`.
    pub fn from_wire(request: &TSnapshotRequest) -> Self {
        MakeSnapshot {
            tablet_id: request.tablet_id,
            schema_hash: request.schema_hash,
            version: request.version.filter(|version| *version > 0),
            timeout_s: request.timeout.filter(|s| *s > 0).unwrap_or(172_800),
            list_files: request.list_files.unwrap_or(false),
            ref_tablet: request.ref_tablet_id.filter(|id| *id > 0),
            missing_versions: request.missing_version.clone(),
            copy_binlogs: request.is_copy_binlog.unwrap_or(false),
        }
    }
}

impl Download {
    /// The request of a DOWNLOAD task.
    pub fn to_wire(&self) -> TDownloadReq {
        let snapshots: Vec<_> = self
            .snapshots
            .iter()
            .map(|(snapshot, backend_id)| {
                TRemoteTabletSnapshot::new(
                    snapshot.local_tablet_id,
                    snapshot.local_snapshot_path.clone(),
                    snapshot.remote_tablet_id,
                    *backend_id,
                    TNetworkAddress::new(
                        snapshot.remote_host.clone(),
                        i32::from(snapshot.remote_http_port),
                    ),
                    snapshot.remote_snapshot_path.clone(),
                    snapshot.remote_token.clone(),
                )
            })
            .collect();
        TDownloadReq {
            job_id: self.job_id,
            src_dest_map: BTreeMap::new(),
            broker_addr: TNetworkAddress::new(String::new(), 0),
            broker_prop: None,
            location: None,
            remote_tablet_snapshots: Some(snapshots),
        }
    }

    /// Reads the request.
    ///
    /// # Errors
    /// Downloads from repositories, and snapshots without place.
    pub fn from_wire(request: TDownloadReq) -> Result<Self, WireError> {
        let snapshots = request.remote_tablet_snapshots.ok_or_else(|| {
            WireError::new(format!(
                "download of job {} is not from backends; repositories are not served",
                request.job_id
            ))
        })?;
        Ok(Download {
            job_id: request.job_id,
            snapshots: snapshots
                .into_iter()
                .map(remote_snapshot)
                .collect::<Result<_, _>>()?,
        })
    }
}

fn remote_snapshot(
    snapshot: TRemoteTabletSnapshot,
) -> Result<(RemoteTabletSnapshot, i64), WireError> {
    let missing = |name: &str| WireError::new(format!("remote tablet snapshot lacks {name}"));
    let address = snapshot
        .remote_be_addr
        .ok_or_else(|| missing("remote_be_addr"))?;
    let port = address.port;
    let remote = RemoteTabletSnapshot {
        local_tablet_id: snapshot
            .local_tablet_id
            .ok_or_else(|| missing("local_tablet_id"))?,
        local_snapshot_path: snapshot
            .local_snapshot_path
            .ok_or_else(|| missing("local_snapshot_path"))?,
        remote_tablet_id: snapshot
            .remote_tablet_id
            .ok_or_else(|| missing("remote_tablet_id"))?,
        remote_host: address.hostname,
        remote_http_port: u16::try_from(port)
            .map_err(|_| WireError::new(format!("{port} is no port of a backend")))?,
        remote_snapshot_path: snapshot
            .remote_snapshot_path
            .ok_or_else(|| missing("remote_snapshot_path"))?,
        remote_token: snapshot.remote_token.unwrap_or_default(),
    };
    Ok((remote, snapshot.remote_be_id.unwrap_or(-1)))
}
