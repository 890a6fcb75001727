//! What is on disk is what is in memory, after every kind of statement and after random ones; and what a damaged directory is told.

use std::path::Path;

use serde_json::{Value, json};

use super::{Opened, Store, StoreError, Wanted};
use crate::fe::api::{FrontendConfig, TxnStatus};
use crate::fe::frontend::Frontend;
use crate::fe::state::FeState;

/// A store for tests of the frontend.
pub(in crate::fe) fn open(dir: &Path, config: &FrontendConfig) -> Result<Opened, StoreError> {
    Store::open(dir, &wanted(config), config)
}

fn wanted(config: &FrontendConfig) -> Wanted {
    Wanted {
        cluster_id: None,
        token: None,
        default_cluster_id: config.cluster_id,
        default_token: config.token.clone(),
        backends: 1,
    }
}

/// Everything of a state that has to survive.
fn image(state: &FeState) -> Value {
    let of_txns = |id: &i64| state.txns.txns[id].status != TxnStatus::Prepare;
    let txns = state.txns.txns.iter().filter(|(id, _)| of_txns(id));
    let mut labels: Vec<_> = state
        .txns
        .labels
        .iter()
        .map(|(key, ids)| (key, ids.iter().filter(|id| of_txns(id)).collect::<Vec<_>>()))
        .filter(|(_, ids)| !ids.is_empty())
        .collect();
    labels.sort();
    json!({
        "counters": state.counters(), "catalog": state.catalog, "streams": state.streams, "labels": labels,
        "txns": txns.collect::<Vec<_>>(), "jobs": state.jobs, "alters": state.alters, "index_jobs": state.index_jobs,
        "bin": state.bin, "accounts": state.accounts, "settings": state.settings, "backends": state.backends,
    })
}

/// Panics with the differing parts unless a new process would read what this one knows.
pub(in crate::fe) fn assert_durable(fe: &Frontend) {
    let mut held = fe.held();
    let (memory, disk) = held.reread(fe.config());
    let (memory, disk) = (image(memory), image(&disk));
    if memory != disk {
        let parts = memory.as_object().unwrap().keys();
        let differing: Vec<String> = parts
            .filter(|part| memory[*part] != disk[*part])
            .map(|part| format!("{part}:\n memory {}\n disk   {}", memory[part], disk[part]))
            .collect();
        panic!("the disk differs from memory: {}", differing.join("\n"));
    }
}
