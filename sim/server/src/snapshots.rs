//! getSnapshot and restoreSnapshot of a frontend, with their optional compression.

use std::io::{Read, Write};
use std::net::IpAddr;

use dorisim_wire as wire;

use super::auth::{Account, Need, authorize, need, peer_ip};
use super::convert;
use super::frontend::{Calls, Refused};
use super::level::Level;
use dorisim_fe as fe;
use dorisim_fe::{RpcError, StatusCode};

impl Calls {
    pub(super) fn get_snapshot(
        &self,
        request: wire::TGetSnapshotRequest,
        peer: IpAddr,
    ) -> wire::TGetSnapshotResult {
        let request = self.level().snapshot_request(request);
        let compress = request.enable_compress == Some(true);
        match self.try_get_snapshot(&request, peer) {
            Ok(snapshot) => {
                let pack = |bytes: Vec<u8>| if compress { gzip(&bytes) } else { bytes };
                self.level().snapshot_result(wire::TGetSnapshotResult {
                    status: Some(convert::ok()),
                    meta: Some(pack(snapshot.meta)),
                    job_info: Some(pack(snapshot.job_info)),
                    master_address: None,
                    compressed: compress.then_some(true),
                    expired_at: Some(snapshot.expired_at),
                    commit_seq: Some(snapshot.commit_seq),
                })
            }
            Err(refused) => wire::TGetSnapshotResult::new(
                refused.status,
                None,
                None,
                refused.master,
                None,
                None,
                None,
            ),
        }
    }

    fn try_get_snapshot(
        &self,
        request: &wire::TGetSnapshotRequest,
        peer: IpAddr,
    ) -> Result<fe::Snapshot, Refused> {
        self.master_only(false)?;
        need(request.user.as_ref(), "user")?;
        need(request.passwd.as_ref(), "passwd")?;
        let db = need(request.db.as_deref(), "db")?;
        let label = need(request.label_name.as_deref(), "label_name")?;
        need(request.snapshot_name.as_ref(), "snapshot_name")?;
        if need(request.snapshot_type, "snapshot_type")? != wire::TSnapshotType::LOCAL {
            return Err(RpcError::analysis("snapshot_type is not LOCAL").into());
        }
        let account = Account {
            user: request.user.as_ref(),
            passwd: request.passwd.as_ref(),
            ip: peer_ip(peer),
            token: request.token.as_ref(),
        };
        let table = request.table.as_deref().filter(|table| !table.is_empty());
        self.authorize_select(&account, db, table)?;
        Ok(self.frontend.get_snapshot(label)?)
    }

    pub(super) fn restore_snapshot(
        &self,
        request: wire::TRestoreSnapshotRequest,
        peer: IpAddr,
    ) -> wire::TRestoreSnapshotResult {
        let (status, master_address) = match self.try_restore_snapshot(request, peer) {
            Ok(()) => (convert::ok(), None),
            Err(refused) => (refused.status, refused.master),
        };
        wire::TRestoreSnapshotResult::new(status, master_address)
    }

    fn try_restore_snapshot(
        &self,
        mut request: wire::TRestoreSnapshotRequest,
        peer: IpAddr,
    ) -> Result<(), Refused> {
        self.master_only(false)?;
        need(request.user.as_ref(), "user")?;
        need(request.passwd.as_ref(), "passwd")?;
        let db = need(request.db.clone(), "db")?;
        need(request.label_name.as_ref(), "label_name")?;
        need(request.repo_name.as_ref(), "repo_name")?;
        let mut meta = need(request.meta.take(), "meta")?;
        let mut job_info = need(request.job_info.take(), "job_info")?;
        let account = Account {
            user: request.user.as_ref(),
            passwd: request.passwd.as_ref(),
            ip: peer_ip(peer),
            token: request.token.as_ref(),
        };
        let wanted = Need {
            privilege: "LOAD",
            db: &db,
            table: None,
        };
        authorize(&self.frontend, &account, wanted)?;
        if request.properties.is_none() {
            return Err(RpcError::plain(StatusCode::InternalError, "").into());
        }
        let settings = self.frontend.settings();
        // An older frontend neither knows the member nor looks whether the bytes are compressed.
        let old = self.level() == Level::Autumn2024;
        let may_compress = settings
            .get("enable_restore_snapshot_rpc_compression")
            .is_none_or(|v| v == "true");
        if !old && may_compress && request.compressed == Some(true) {
            let failed = || RpcError::analysis("decompress meta and job info failed");
            meta = gunzip(&meta).ok_or_else(failed)?;
            job_info = gunzip(&job_info).ok_or_else(failed)?;
        } else if !old && (is_gzip(&meta) || is_gzip(&job_info)) {
            return Err(RpcError::analysis(
                "The request is compressed, but the config `enable_restore_snapshot_rpc_compressed` is not enabled.",
            )
            .into());
        }
        let request = self.level().restore_request(request);
        let request = convert::restore_request(request, meta, job_info);
        let command = format!(
            "RESTORE SNAPSHOT `{}`.`{}` FROM `{}`",
            request.db, request.label, request.repo
        );
        self.frontend
            .restore_snapshot(request)
            .map_err(|error| RpcError {
                text: format!("{}, command: {command}", error.text),
                ..error
            })?;
        Ok(())
    }
}

fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("invariant: writing to memory does not fail")
}

fn gunzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    // As the FE, whose heap bounds it: 2 GiB.
    let mut limited = flate2::read::GzDecoder::new(bytes).take(2 << 30);
    limited.read_to_end(&mut plain).ok()?;
    Some(plain)
}
