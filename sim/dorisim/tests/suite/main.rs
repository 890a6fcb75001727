//! The cluster as its clients see it: real sockets, public drivers, raw Thrift. One binary, one module per subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test that can not go on has failed"
)]

mod agent_fe;
mod alter_tasks;
mod answers;
mod backend_alone;
mod backend_data_plane;
mod backend_restart;
mod backend_snapshots;
mod backup_restore;
mod be_double;
mod binlog_life;
mod catalogue;
mod checklist_b38;
mod checklist_b38_data;
mod checklist_b38_publish;
mod checklist_b38_tasks;
mod checklist_d1;
mod checklist_d2;
mod clone_tasks;
mod common;
mod durability;
mod end_to_end;
mod explain;
mod fault_injection;
mod fe_double;
mod fe_requests;
mod mysql;
mod mysql_columns;
mod mysql_ids;
mod plan_fragments;
mod properties_columns;
mod properties_layout;
mod properties_storage;
mod recycle_and_jobs;
mod replica_repair;
mod rollup_loads;
mod rpc_contract;
mod statement_faults;
mod statements;
mod stream_load;
mod stream_load_forms;
mod thrift_dispatch;
mod unknown_statements;
