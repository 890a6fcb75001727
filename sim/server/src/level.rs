//! What a frontend of autumn 2024 does not know of the RPCs, on demand: the setting [`SETTING`] = `2024`.
//!
//! Members that it does not know are passed over in requests and unset in answers, lockBinlog is an unknown method, and every NOT_MASTER names
//! the master.

use dorisim_wire as wire;

use super::frontend::Calls;

/// Name of the setting, for ADMIN SET FRONTEND CONFIG and `/sim/settings`.
pub const SETTING: &str = "dorisim_rpc_version";

/// Setting of which `true` lets answers carry members that no reader knows.
pub const UNKNOWN_MEMBERS: &str = "dorisim_unknown_reply_members";

/// The version whose RPCs a frontend speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Doris master of January 2026.
    Newest,
    /// Doris master of early November 2024.
    Autumn2024,
}

impl Level {
    /// The level that the setting names.
    #[must_use]
    pub fn of(setting: Option<&str>) -> Self {
        match setting {
            Some("2024") => Self::Autumn2024,
            Some(_) | None => Self::Newest,
        }
    }

    fn is_old(self) -> bool {
        self == Self::Autumn2024
    }

    /// False for methods that this version does not have.
    #[must_use]
    pub fn knows(self, method: &str) -> bool {
        !(self.is_old() && method == "lockBinlog")
    }

    /// True when every refusal of a follower names the master.
    #[must_use]
    pub fn tells_master(self) -> bool {
        self.is_old()
    }

    /// One record per call, masters only.
    #[must_use]
    pub fn binlog_request(self, mut request: wire::TGetBinlogRequest) -> wire::TGetBinlogRequest {
        if self.is_old() {
            request.num_acquired = None;
            request.allow_follower_read = None;
        }
        request
    }

    /// The lag alone.
    #[must_use]
    pub fn lag_result(self, result: wire::TGetBinlogLagResult) -> wire::TGetBinlogLagResult {
        if !self.is_old() {
            return result;
        }
        let (status, lag, master) = (result.status, result.lag, result.master_address);
        wire::TGetBinlogLagResult::new(status, lag, master, None, None, None, None, None, None)
    }

    /// No compression.
    #[must_use]
    pub fn snapshot_request(
        self,
        mut request: wire::TGetSnapshotRequest,
    ) -> wire::TGetSnapshotRequest {
        if self.is_old() {
            request.enable_compress = None;
        }
        request
    }

    /// Neither position nor expiry.
    #[must_use]
    pub fn snapshot_result(self, mut result: wire::TGetSnapshotResult) -> wire::TGetSnapshotResult {
        if self.is_old() {
            result.expired_at = None;
            result.commit_seq = None;
        }
        result
    }

    /// `force_replace` is not known.
    #[must_use]
    pub fn restore_request(
        self,
        mut request: wire::TRestoreSnapshotRequest,
    ) -> wire::TRestoreSnapshotRequest {
        if self.is_old() {
            request.force_replace = None;
        }
        request
    }

    /// `only_commit` is not known.
    #[must_use]
    pub fn commit_request(self, mut request: wire::TCommitTxnRequest) -> wire::TCommitTxnRequest {
        if self.is_old() {
            request.only_commit = None;
        }
        request
    }

    /// Tables without type, dropped ids without positions.
    #[must_use]
    pub fn meta_result(self, mut result: wire::TGetMetaResult) -> wire::TGetMetaResult {
        if let Some(meta) = result.db_meta.as_mut().filter(|_| self.is_old()) {
            meta.dropped_partition_map = None;
            meta.dropped_table_map = None;
            meta.dropped_index_map = None;
            for table in meta.tables.iter_mut().flatten() {
                table.type_ = None;
            }
        }
        result
    }
}

impl Calls {
    /// Answers shall carry members of a later version.
    pub(super) fn adds_members(&self) -> bool {
        self.frontend.setting(UNKNOWN_MEMBERS).as_deref() == Some("true")
    }

    /// The version whose RPCs are spoken now.
    pub(super) fn level(&self) -> Level {
        Level::of(self.frontend.setting(SETTING).as_deref())
    }
}
