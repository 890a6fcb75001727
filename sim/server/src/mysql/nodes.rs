//! SHOW FRONTENDS, SHOW BACKENDS.

use std::collections::HashMap;

use serde_json::json;

use super::shared::MysqlServer;
use dorisim_fe::backends::{Disk, Live, RegisteredBackend};
use dorisim_model::Catalog;
use dorisim_model::clock::datetime_text;
use dorisim_query::ResultSet;

/// Version the nodes report.
const VERSION: &str = "doris-3.1.0-dorisim";

/// SHOW FRONTENDS and `frontends()`.
pub(super) fn frontends(server: &MysqlServer) -> ResultSet {
    let mut answer = ResultSet::of_text(&[
        "Name",
        "Host",
        "EditLogPort",
        "HttpPort",
        "QueryPort",
        "RpcPort",
        "ArrowFlightSqlPort",
        "Role",
        "IsMaster",
        "ClusterId",
        "Join",
        "Alive",
        "ReplayedJournalId",
        "LastStartTime",
        "LastHeartbeat",
        "IsHelper",
        "ErrMsg",
        "Version",
        "CurrentConnected",
        "LiveSince",
    ]);
    let frontend = &server.frontend;
    let roles = &server.roles;
    let now = datetime_text(frontend.clock().now_ms());
    for (at, ports) in roles.frontends().iter().enumerate() {
        answer.push(vec![
            format!("fe_{}", at + 1),
            roles.host().to_owned(),
            (9010 + at).to_string(),
            ports.http.to_string(),
            ports.query.to_string(),
            ports.thrift.to_string(),
            "-1".to_owned(),
            "FOLLOWER".to_owned(),
            (at == roles.master()).to_string(),
            frontend.config().cluster_id.to_string(),
            "true".to_owned(),
            "true".to_owned(),
            frontend.journal_id().to_string(),
            now.clone(),
            now.clone(),
            "true".to_owned(),
            String::new(),
            VERSION.to_owned(),
            if at == roles.master() { "Yes" } else { "No" }.to_owned(),
            now.clone(),
        ]);
    }
    answer
}

/// SHOW BACKENDS and `backends()`.
pub(super) fn backends(server: &MysqlServer) -> ResultSet {
    let mut answer = ResultSet::of_text(&[
        "BackendId",
        "Host",
        "HeartbeatPort",
        "BePort",
        "HttpPort",
        "BrpcPort",
        "ArrowFlightSqlPort",
        "LastStartTime",
        "LastHeartbeat",
        "Alive",
        "SystemDecommissioned",
        "TabletNum",
        "DataUsedCapacity",
        "TrashUsedCapacity",
        "AvailCapacity",
        "TotalCapacity",
        "UsedPct",
        "MaxDiskUsedPct",
        "RemoteUsedCapacity",
        "Tag",
        "ErrMsg",
        "Version",
        "Status",
        "HeartbeatFailureCounter",
        "NodeRole",
        "CpuCores",
        "Memory",
        "LiveSince",
        "RunningTasks",
    ]);
    let frontend = &server.frontend;
    let tablets = frontend.with_catalog(tablets_by_backend);
    for backend in frontend.registered_backends() {
        let live = frontend.nodes().live(backend.id).unwrap_or_default();
        let tablets = tablets.get(&backend.id).copied().unwrap_or(0);
        answer.push(backend_row(&backend, &live, tablets));
    }
    answer
}

fn tablets_by_backend(catalog: &Catalog) -> HashMap<i64, usize> {
    let mut counts = HashMap::new();
    let tables = catalog.databases.values().flat_map(|db| db.tables.values());
    let tablets = tables
        .flat_map(|table| table.partitions.values())
        .flat_map(|partition| partition.tablets());
    for replica in tablets.flat_map(|tablet| &tablet.replicas) {
        *counts.entry(replica.backend_id).or_insert(0) += 1;
    }
    counts
}

fn backend_row(backend: &RegisteredBackend, live: &Live, tablets: usize) -> Vec<String> {
    let port = |port: Option<u16>| port.map_or_else(|| "-1".to_owned(), |port| port.to_string());
    let sum = |of: fn(&Disk) -> i64| live.disks.values().map(of).sum::<i64>();
    let (total, available) = (sum(|disk| disk.total), sum(|disk| disk.available));
    let fullest = live
        .disks
        .values()
        .map(|disk| percent(disk.total - disk.available, disk.total))
        .fold(0.0, f64::max);
    let tags: Vec<String> = backend
        .tags
        .iter()
        .map(|(key, value)| format!("\"{key}\" : \"{value}\""))
        .collect();
    let status = json!({
        "lastSuccessReportTabletsTime": time(live.tablet_report_ms),
        "isQueryDisabled": backend.disabled.query,
        "isLoadDisabled": backend.disabled.load,
    });
    vec![
        backend.id.to_string(),
        backend.host.clone(),
        backend.heartbeat_port.to_string(),
        port(live.be_port),
        port(live.http_port),
        port(live.brpc_port),
        live.arrow_flight_port.unwrap_or(-1).to_string(),
        time(live.start_ms),
        time(live.last_update_ms),
        live.alive.to_string(),
        backend.decommissioned.to_string(),
        tablets.to_string(),
        bytes(sum(|disk| disk.data_used)),
        bytes(sum(|disk| disk.trash)),
        bytes(available),
        bytes(total),
        format!("{:.2} %", percent(total - available, total)),
        format!("{fullest:.2} %"),
        bytes(0),
        format!("{{{}}}", tags.join(", ")),
        live.error.clone(),
        live.version.clone(),
        status.to_string(),
        live.failures.to_string(),
        if live.alive {
            live.role.clone()
        } else {
            String::new()
        },
        live.cores.to_string(),
        bytes(live.memory).to_uppercase().replace(".000", ".00"),
        time(live.live_since_ms),
        live.running_tasks.to_string(),
    ]
}

/// `N/A` for what never happened.
fn time(ms: i64) -> String {
    if ms > 0 {
        datetime_text(ms)
    } else {
        "N/A".to_owned()
    }
}

fn percent(part: i64, whole: i64) -> f64 {
    if whole > 0 {
        part as f64 * 100.0 / whole as f64
    } else {
        0.0
    }
}

/// `0.000 ` and `1.500 GB`, as Doris writes sizes.
fn bytes(size: i64) -> String {
    let units = ["", "KB", "MB", "GB", "TB", "PB"];
    let mut value = size as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.3} {}", units[unit])
}
