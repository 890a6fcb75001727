//! Reports to the master: tasks, disks, tablets. One kind per call.

use std::collections::BTreeMap;

use dorisim_wire::{TDisk, TReportRequest, TStorageMedium, TTablet};
use std::time::Duration;
use tokio::sync::Notify;

use tokio::time::timeout;

use super::Agent;
use super::Versions;
use crate::sync::lock;
use dorisim_model::backend::BackendApi;

/// A kind of report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Data directories. Without one no tablet is placed here, so it goes first.
    Disks,
    /// Signatures of waiting and running tasks.
    Tasks,
    /// All tablets.
    Tablets,
}

impl Kind {
    /// In the order of their first sending.
    pub const ALL: [Kind; 3] = [Kind::Disks, Kind::Tasks, Kind::Tablets];

    fn name(self) -> &'static str {
        match self {
            Kind::Disks => "disk",
            Kind::Tasks => "task",
            Kind::Tablets => "tablet",
        }
    }
}

/// Which reports are due before their time.
#[derive(Debug, Default)]
pub struct Reports {
    disks: Notify,
    tasks: Notify,
    tablets: Notify,
}

impl Reports {
    /// All of them are. That of the disks goes first and makes the others due.
    pub fn all_due(&self) {
        self.disks.notify_one();
    }

    fn of(&self, kind: Kind) -> &Notify {
        match kind {
            Kind::Disks => &self.disks,
            Kind::Tasks => &self.tasks,
            Kind::Tablets => &self.tablets,
        }
    }
}

/// A tablet report is built again when tablets were created meanwhile, at most so often.
const BUILDS: u32 = 5;
/// A frontend answers a new backend's first reports with "does not exist" until its own thread has noted the heartbeat.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);
/// What a disk of no given size has.
const DISK_BYTES: i64 = 1 << 40;

impl Agent {
    pub(super) async fn report_forever(&self, kind: Kind) {
        let mut joined = self.joined();
        // Ends only with the agent itself, which outlives its tasks.
        if joined.wait_for(|joined| *joined).await.is_err() {
            return;
        }
        let interval = match kind {
            Kind::Disks => self.config.disk_report,
            Kind::Tasks => self.config.task_report,
            Kind::Tablets => self.config.tablet_report,
        };
        let due = self.reports.of(kind);
        let mut refused = false;
        loop {
            let wait = if refused {
                AFTER_REFUSAL.min(interval)
            } else {
                interval
            };
            let before_time = timeout(wait, due.notified()).await.is_ok();
            refused = false;
            if self.backend.alive() {
                refused = !self.report(kind).await;
            }
            if before_time && kind == Kind::Disks {
                self.reports.tasks.notify_one();
                self.reports.tablets.notify_one();
            }
        }
    }

    /// Builds and sends one report now. False: the master does not want it.
    pub async fn report(&self, kind: Kind) -> bool {
        let request = match kind {
            Kind::Disks => Some(self.disk_report()),
            Kind::Tasks => Some(self.task_report()),
            Kind::Tablets => self.tablet_report(),
        };
        match request {
            Some(request) => self.messenger.report(&request, kind.name()).await,
            None => {
                tracing::info!("tablet report skipped: tablets are being created");
                true
            }
        }
    }

    fn bare(&self) -> TReportRequest {
        TReportRequest {
            backend: self.reporter(),
            report_version: None,
            tasks: None,
            tablets: None,
            disks: None,
            force_recovery: None,
            tablet_list: None,
            tablet_max_compaction_score: None,
            num_cores: None,
            pipeline_executor_size: None,
            partitions_version: None,
            num_tablets: None,
            running_tasks: None,
        }
    }

    fn task_report(&self) -> TReportRequest {
        TReportRequest {
            tasks: Some(self.board.listed()),
            running_tasks: Some(0),
            ..self.bare()
        }
    }

    fn disk_report(&self) -> TReportRequest {
        let root = self.backend.store().display().to_string();
        let used = self.used_bytes();
        let free = self.free_bytes();
        let disk = TDisk {
            root_path: root.clone(),
            disk_total_capacity: used.saturating_add(free),
            data_used_capacity: used,
            used: true,
            disk_available_capacity: Some(free),
            path_hash: Some(self.path_hash()),
            storage_medium: Some(TStorageMedium::HDD),
            remote_used_capacity: Some(0),
            trash_used_capacity: Some(0),
        };
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let cores = i32::try_from(cores).unwrap_or(1);
        TReportRequest {
            disks: Some(BTreeMap::from([(root, disk)])),
            num_cores: Some(cores),
            pipeline_executor_size: Some(cores),
            ..self.bare()
        }
    }

    /// None when tablets were created all the time while it was built: a report without them would get them dropped.
    fn tablet_report(&self) -> Option<TReportRequest> {
        let mut version = self.grow_report_version();
        for _ in 0..BUILDS {
            let tablets = self.all_tablets();
            let now = self.report_version();
            if now == version {
                return Some(TReportRequest {
                    report_version: Some(version),
                    num_tablets: i64::try_from(tablets.len()).ok(),
                    partitions_version: Some(self.visible_versions_of(&tablets)),
                    tablet_max_compaction_score: Some(0),
                    tablets: Some(tablets),
                    ..self.bare()
                });
            }
            version = now;
        }
        None
    }

    fn all_tablets(&self) -> BTreeMap<i64, TTablet> {
        let open = self.backend.txns().open();
        let now = self.backend.clock().now_ms();
        let mut expired = self.expiry.expired(&open, now, self.config.txn_expire);
        let tablet = |id: i64| {
            let mut info = self.tablet_info(id)?;
            info.transaction_ids = expired.remove(&id);
            Some((id, TTablet::new(vec![info])))
        };
        let ids = self.backend.tablet_ids();
        ids.into_iter().filter_map(tablet).collect()
    }

    /// Partitions without tablets are forgotten.
    fn visible_versions_of(&self, tablets: &BTreeMap<i64, TTablet>) -> Versions {
        let partitions: std::collections::BTreeSet<i64> = tablets
            .values()
            .flat_map(|tablet| &tablet.tablet_infos)
            .filter_map(|info| info.partition_id)
            .collect();
        let mut known = lock(&self.visible_versions);
        known.retain(|partition, _| partitions.contains(partition));
        known.clone()
    }

    pub(super) fn path_hash(&self) -> i64 {
        let path = self.backend.store().as_os_str().as_encoded_bytes();
        i64::from(crc32fast::hash(path))
    }

    fn used_bytes(&self) -> i64 {
        let ids = self.backend.tablet_ids();
        let bytes = ids
            .into_iter()
            .filter_map(|id| self.backend.tablet_stat(id).ok());
        bytes.map(|stat| stat.bytes).sum()
    }

    fn free_bytes(&self) -> i64 {
        let limit = &self.backend.config.disk_free_bytes;
        let limit = limit.load(std::sync::atomic::Ordering::Relaxed);
        i64::try_from(limit).unwrap_or(DISK_BYTES)
    }
}
