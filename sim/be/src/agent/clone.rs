//! CLONE: a replica from the snapshot that another backend makes of its own. Missing versions alone when the source has
//! each of them by itself, else everything.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dorisim_wire::{TAgentResult, TStatusCode};

use super::Agent;
use super::execute::Done;
use crate::rowset::remove_dir;
use crate::rowset::{link_file, make_dir};
use crate::snapshot::{self, Header, header_name};
use crate::sync::lock;
use crate::tablet::{Tablet, tablet_dir};
use dorisim_model::backend::{BackendApi, BeError, TabletSpec};
use dorisim_net::agent::{CloneSource, CloneTablet, FinishDetail, MakeSnapshot, status};
use dorisim_net::client::Pool;

/// Limit of a call to the source.
const CALL: Duration = Duration::from_secs(30);

/// A snapshot that was fetched.
struct Fetched {
    incremental: bool,
    bytes: u64,
}

impl Agent {
    /// Brings the replica to the visible version of the request.
    pub(super) async fn clone_tablet(&self, clone: &CloneTablet) -> Result<Done, BeError> {
        let guard = self.backend.task("task.clone").await?;
        let done = self.cloned(clone).await;
        // The versions of partitions are learned whatever became of the task.
        let mut known = lock(&self.visible_versions);
        let held = known.entry(clone.partition_id).or_default();
        *held = (*held).max(clone.version);
        drop(known);
        guard.answer(done)
    }

    async fn cloned(&self, clone: &CloneTablet) -> Result<Done, BeError> {
        let backend = &self.backend;
        let begun = backend.clock().monotonic();
        let mut held = backend.tablet(clone.tablet_id).ok();
        let is_remnant = held
            .as_ref()
            .is_some_and(|tablet| lock(tablet).awaits_fill());
        if is_remnant {
            backend.drop_tablets(&[clone.tablet_id]).await?;
            held = None;
        }
        let is_new = held.is_none();
        let missing: Vec<i64> = held.as_ref().map_or_else(Vec::new, |tablet| {
            let mut tablet = lock(tablet);
            tablet.spec.replica_id = tablet.spec.replica_id.max(clone.replica_id);
            (tablet.version + 1..=clone.version).collect()
        });
        let mut bytes = 0;
        if is_new || !missing.is_empty() {
            let home = held.as_ref().map_or_else(
                || tablet_dir(backend.store(), clone.tablet_id, clone.schema_hash),
                |tablet| lock(tablet).dir.clone(),
            );
            let dir = home.join("clone");
            let fetched = self.fetch_from_any(clone, &missing, &dir).await;
            let placed = fetched.and_then(|fetched| {
                bytes = fetched.bytes;
                if is_new {
                    self.place_new(clone, &dir)
                } else {
                    self.place_missing(clone, &dir, fetched.incremental)
                }
            });
            remove_dir(&dir);
            if is_new && placed.is_err() && backend.tablet(clone.tablet_id).is_err() {
                remove_dir(home.parent().unwrap_or(&home));
            }
            placed?;
        }
        let Some(info) = self.tablet_info(clone.tablet_id) else {
            return Err(BeError::TabletMissing {
                tablet_id: clone.tablet_id,
                backend_id: backend.id(),
            });
        };
        if info.version < clone.version {
            let text = format!(
                "unexpected version. tablet version: {}, expected version: {}",
                info.version, clone.version
            );
            if is_new {
                backend.drop_tablets(&[clone.tablet_id]).await?;
            }
            return Ok(Done::failed(TStatusCode::INTERNAL_ERROR, text));
        }
        let took = backend.clock().monotonic().saturating_duration_since(begun);
        let done = Done::with(FinishDetail::Cloned {
            info: Box::new(info),
            bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
            millis: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
        });
        Ok(if is_new {
            done.at(self.grow_report_version())
        } else {
            done
        })
    }

    async fn fetch_from_any(
        &self,
        clone: &CloneTablet,
        missing: &[i64],
        dir: &Path,
    ) -> Result<Fetched, BeError> {
        let mut last = BeError::Injected(format!(
            "tablet {} has no backend to be cloned from",
            clone.tablet_id
        ));
        for source in &clone.sources {
            match self.fetch_from(source, clone, missing, dir).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => {
                    tracing::info!(tablet_id = clone.tablet_id, host = source.host, %error, "source of a clone failed");
                    last = error;
                }
            }
        }
        Err(last)
    }

    async fn fetch_from(
        &self,
        source: &CloneSource,
        clone: &CloneTablet,
        missing: &[i64],
        dir: &Path,
    ) -> Result<Fetched, BeError> {
        let pool = Pool::new(&source.host, source.be_port);
        let wish = MakeSnapshot {
            tablet_id: clone.tablet_id,
            schema_hash: clone.schema_hash,
            version: Some(clone.version),
            timeout_s: clone.timeout_s.unwrap_or(0),
            list_files: false,
            ref_tablet: None,
            missing_versions: Some(missing.to_vec()),
            copy_binlogs: true,
        };
        let unreachable = |error: dorisim_net::client::CallError| {
            BeError::Injected(format!("clone source: {}", error.text()))
        };
        let made: TAgentResult = pool
            .call("make_snapshot", &wish.to_wire(), CALL)
            .await
            .map_err(unreachable)?;
        if let Some(refused) = status::refusal(&made.status, clone.tablet_id, -1) {
            return Err(refused);
        }
        let path = made.snapshot_path.ok_or_else(|| {
            BeError::Injected("success snapshot request without snapshot path".to_owned())
        })?;
        let fetched = self.fetch_files(source, clone, &path, dir).await;
        let released: Result<TAgentResult, _> =
            pool.call_with_text("release_snapshot", &path, CALL).await;
        if let Err(error) = released {
            // It expires by itself.
            tracing::info!(
                path,
                error = error.text(),
                "snapshot of a clone not released"
            );
        }
        Ok(Fetched {
            incremental: made.allow_incremental_clone == Some(true),
            bytes: fetched?,
        })
    }

    /// All files of the snapshot, its header last. Answers their bytes.
    async fn fetch_files(
        &self,
        source: &CloneSource,
        clone: &CloneTablet,
        path: &str,
        dir: &Path,
    ) -> Result<u64, BeError> {
        remove_dir(dir);
        make_dir(dir)?;
        let token = self.membership().token().unwrap_or_default().to_owned();
        let remote = format!(
            "{}/{}/{}/",
            path.trim_end_matches('/'),
            clone.tablet_id,
            clone.schema_hash
        );
        let url = format!(
            "http://{}:{}/api/_tablet/_download",
            source.host, source.http_port
        );
        let query = |file: String| vec![("token", token.clone()), ("file", file)];
        let fetcher = &self.backend.fetcher;
        let listing = fetcher.text(&url, &query(remote.clone())).await?;
        let plain = |name: &&str| !name.is_empty() && !name.contains('/') && *name != "..";
        let mut names: Vec<&str> = listing.lines().filter(plain).collect();
        names.sort_by_key(|name| name.ends_with(".hdr"));
        let mut bytes = 0;
        for name in names {
            let file = query(format!("{remote}{name}"));
            bytes += fetcher.file(&url, &file, &dir.join(name), false).await?;
        }
        Ok(bytes)
    }

    fn place_new(&self, clone: &CloneTablet, dir: &Path) -> Result<(), BeError> {
        let header = snapshot::read_header(&dir.join(header_name(clone.tablet_id)))?;
        let schema = header
            .schema
            .clone()
            .ok_or_else(|| BeError::Corrupt("the header of a clone has no schema".to_owned()))?;
        let known = |told: i64, own: Option<i64>| if told > 0 { told } else { own.unwrap_or(-1) };
        let binlog = header.meta.binlog_config.as_ref();
        let spec = TabletSpec {
            tablet_id: clone.tablet_id,
            replica_id: clone.replica_id,
            table_id: known(clone.table_id, header.meta.table_id),
            partition_id: known(clone.partition_id, header.meta.partition_id),
            index_id: header.meta.sim_index_id.unwrap_or(0),
            schema: self.schemas.shared(schema),
            binlog_enabled: binlog.is_some_and(|binlog| binlog.enable == Some(true)),
            initial_version: header.version,
            in_restore_mode: false,
            base_tablet: None,
        };
        let mut tablet = Tablet::new(spec, self.backend.new_tablet_uid(), self.backend.store());
        tablet.dir = home_of(dir);
        self.place(&mut tablet, &header, dir, false)?;
        self.backend.adopt_tablet(tablet)
    }

    fn place_missing(
        &self,
        clone: &CloneTablet,
        dir: &Path,
        incremental: bool,
    ) -> Result<(), BeError> {
        let header = snapshot::read_header(&dir.join(header_name(clone.tablet_id)))?;
        let tablet = self.backend.tablet(clone.tablet_id)?;
        let mut tablet = lock(&tablet);
        if tablet.version >= clone.version {
            return Ok(());
        }
        self.place(&mut tablet, &header, dir, incremental)
    }

    fn place(
        &self,
        tablet: &mut Tablet,
        header: &Header,
        dir: &Path,
        incremental: bool,
    ) -> Result<(), BeError> {
        let mut sources = header.rowsets.clone();
        let mut version = header.version;
        if incremental {
            // Versions that were published while the snapshot was fetched are here already.
            sources.retain(|source| source.start_version > tablet.version);
            version = tablet.version;
            for source in &sources {
                if source.start_version != version + 1 {
                    return Err(BeError::VersionMissing {
                        tablet_id: tablet.spec.tablet_id,
                        has: version,
                        asked: source.start_version,
                    });
                }
                version = source.end_version;
            }
        }
        let mut new_id = || self.backend.new_rowset_id();
        let rowsets = snapshot::take_over(tablet, dir, &sources, &mut new_id)?;
        let mut binlogs = snapshot::read_binlogs(dir)?;
        binlogs.retain(|binlog| tablet.binlog(binlog.end_version).is_none());
        for binlog in &mut binlogs {
            binlog.tablet_uid = tablet.uid;
            make_dir(&tablet.binlog_dir())?;
            for name in binlog.file_names() {
                let from = dir.join(snapshot::binlog_name(&name));
                link_file(&from, &tablet.binlog_dir().join(name))?;
            }
        }
        let store = &self.backend.meta;
        tablet.take_clone(version, rowsets, binlogs, incremental, store)
    }
}

/// The tablet's directory, whose part the clone directory is.
fn home_of(dir: &Path) -> PathBuf {
    dir.parent().map_or_else(|| dir.to_owned(), Path::to_owned)
}
