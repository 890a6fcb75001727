//! ALTER SYSTEM: which backends belong to the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::node::{Disabled, RegisteredBackend};
use crate::api::SqlError;
use crate::frontend::Frontend;
use crate::state::FeState;
use dorisim_model::backend::BackendApi;
use dorisim_sql::ast::{AlterSystem, Properties};

/// How a statement names a backend.
enum Name {
    Id(i64),
    Address(String, u16),
}

impl Frontend {
    /// ALTER SYSTEM ADD / DROP / DECOMMISSION / MODIFY BACKEND.
    pub(crate) fn alter_system(&self, change: AlterSystem) -> Result<(), SqlError> {
        match change {
            AlterSystem::Add {
                backends,
                properties,
            } => self.add_backends(&backends, properties),
            AlterSystem::Drop {
                backends: _,
                force: false,
            } => Err(SqlError::analysis(
                "It is highly NOT RECOMMENDED to use DROP BACKEND stmt.It is not safe to directly drop a backend. All data on \
                 this backend will be discarded permanently. If you insist, use DROPP instead of DROP",
            )),
            AlterSystem::Drop {
                backends,
                force: true,
            } => {
                for id in self.find(&backends)? {
                    self.drop_backend(id);
                }
                Ok(())
            }
            AlterSystem::Decommission { backends, on } => {
                let ids = self.find(&backends)?;
                self.change(&ids, |backend| backend.decommissioned = on);
                for node in ids.iter().filter_map(|id| self.nodes().get(*id)) {
                    node.set_decommissioned(on);
                }
                Ok(())
            }
            AlterSystem::Modify {
                backends,
                properties,
            } => {
                let ids = self.find(&backends)?;
                let wanted = modification(properties)?;
                self.change(&ids, |backend| wanted.apply(backend));
                Ok(())
            }
        }
    }

    /// Registers a backend under an id that the caller knows. `local` is the backend itself when it runs in this process.
    pub fn register_backend(
        &self,
        id: i64,
        host: &str,
        heartbeat_port: u16,
        local: Option<Arc<dyn BackendApi>>,
    ) {
        let registered = {
            let mut state = self.lock();
            let known = state.backends.get(&id).cloned();
            let registered = RegisteredBackend {
                host: host.to_owned(),
                heartbeat_port,
                ..known.unwrap_or_else(|| RegisteredBackend::new(id, host, heartbeat_port))
            };
            state.backends.insert(id, registered.clone());
            registered
        };
        self.nodes().add(&registered, local);
    }

    /// After the state was read back: heartbeats to every registered backend that is not driven yet.
    pub fn resume_backends(&self) {
        let registered: Vec<RegisteredBackend> = self.lock().backends.values().cloned().collect();
        for backend in registered {
            if self.nodes().get(backend.id).is_none() {
                self.nodes().add(&backend, None);
            }
        }
    }

    /// Registered backends, by id.
    #[must_use]
    pub fn registered_backends(&self) -> Vec<RegisteredBackend> {
        self.lock().backends.values().cloned().collect()
    }

    fn add_backends(&self, names: &[String], properties: Properties) -> Result<(), SqlError> {
        let mut addresses = Vec::new();
        for name in names {
            match parse(name)? {
                Name::Address(host, port) => addresses.push((host, port)),
                Name::Id(_) => {
                    return Err(SqlError::analysis(format!(
                        "Invalid host port: {name}, expected \"host:heartbeat_port\""
                    )));
                }
            }
        }
        let wanted = modification(properties)?;
        let added = {
            let mut state = self.lock();
            for (host, port) in &addresses {
                if by_address(&state, host, *port).is_some() {
                    return Err(SqlError::analysis(format!(
                        "Same backend already exists[{host}:{port}]"
                    )));
                }
            }
            let mut added = Vec::new();
            for (host, port) in &addresses {
                let mut id = state.new_id();
                while state.backends.contains_key(&id) {
                    id = state.new_id();
                }
                let mut backend = RegisteredBackend::new(id, host, *port);
                wanted.apply(&mut backend);
                state.backends.insert(id, backend.clone());
                added.push(backend);
            }
            state.journal();
            added
        };
        for backend in added {
            self.nodes().add(&backend, None);
        }
        Ok(())
    }

    fn drop_backend(&self, id: i64) {
        {
            let mut state = self.lock();
            state.backends.remove(&id);
            state.journal();
        }
        self.nodes().remove(id);
        self.forget_handle(id);
    }

    /// A decommissioned backend without tablets leaves.
    pub(crate) fn drop_decommissioned(&self) {
        let leaving: Vec<i64> = {
            let state = self.lock();
            let decommissioned = state.backends.values().filter(|b| b.decommissioned);
            decommissioned
                .map(|b| b.id)
                .filter(|id| !holds_tablets(&state, *id))
                .collect()
        };
        for id in leaving {
            tracing::info!(
                backend = id,
                "the decommissioned backend is empty and leaves"
            );
            self.drop_backend(id);
        }
    }

    fn change(&self, ids: &[i64], change: impl Fn(&mut RegisteredBackend)) {
        let mut state = self.lock();
        for id in ids {
            if let Some(backend) = state.backends.get_mut(id) {
                change(backend);
            }
        }
        state.journal();
    }

    fn find(&self, names: &[String]) -> Result<Vec<i64>, SqlError> {
        let state = self.lock();
        names
            .iter()
            .map(|name| {
                let found = match parse(name)? {
                    Name::Id(id) => state.backends.get(&id).map(|b| b.id),
                    Name::Address(host, port) => by_address(&state, &host, port),
                };
                found.ok_or_else(|| {
                    SqlError::analysis(format!("backend does not exists[{}]", name.trim()))
                })
            })
            .collect()
    }
}

fn holds_tablets(state: &FeState, backend_id: i64) -> bool {
    let tables = state
        .catalog
        .databases
        .values()
        .flat_map(|db| db.tables.values());
    let mut tablets = tables
        .flat_map(|table| table.partitions.values())
        .flat_map(|partition| partition.tablets());
    tablets.any(|tablet| tablet.replicas.iter().any(|r| r.backend_id == backend_id))
        || !state.bin.entries.is_empty()
}

fn by_address(state: &FeState, host: &str, heartbeat_port: u16) -> Option<i64> {
    let mut backends = state.backends.values();
    backends
        .find(|b| b.host == host && b.heartbeat_port == heartbeat_port)
        .map(|b| b.id)
}

fn parse(name: &str) -> Result<Name, SqlError> {
    let name: String = name.chars().filter(|c| !c.is_whitespace()).collect();
    let Some((host, port)) = name.rsplit_once(':') else {
        let id = name.parse();
        return id
            .map(Name::Id)
            .map_err(|_no_number| SqlError::analysis(format!("Invalid host port: {name}")));
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(SqlError::analysis("Host is null"));
    }
    match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok(Name::Address(host.to_owned(), port)),
        Ok(_) | Err(_) => Err(SqlError::analysis(format!(
            "Encounter unknown exception: Port is out of range: {port}"
        ))),
    }
}

/// What the properties of ADD and MODIFY BACKEND set.
#[derive(Debug, Default, PartialEq, Eq)]
struct Modification {
    tags: BTreeMap<String, String>,
    query: Option<bool>,
    load: Option<bool>,
}

impl Modification {
    fn apply(&self, backend: &mut RegisteredBackend) {
        if !self.tags.is_empty() {
            backend.tags.clone_from(&self.tags);
        }
        let Disabled { query, load } = backend.disabled;
        backend.disabled = Disabled {
            query: self.query.unwrap_or(query),
            load: self.load.unwrap_or(load),
        };
    }
}

fn modification(properties: Properties) -> Result<Modification, SqlError> {
    let mut out = Modification::default();
    for (key, value) in properties {
        let flag = || match value.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(SqlError::analysis(format!("{key} must be true or false"))),
        };
        match (key.as_str(), key.strip_prefix("tag.")) {
            (_, Some(tag)) => {
                out.tags.insert(tag.to_owned(), value);
            }
            ("disable_query", None) => out.query = flag()?,
            ("disable_load", None) => out.load = flag()?,
            (other, None) => {
                return Err(SqlError::analysis(format!(
                    "unknown properties setting for key ({other})"
                )));
            }
        }
    }
    if !out.tags.is_empty() && !out.tags.contains_key("location") {
        return Err(SqlError::analysis(
            "Backend must have location type tag. Eg: 'tag.location' = 'xxx'.",
        ));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_named_by_address_or_id() {
        assert!(
            matches!(parse(" 127.0.0.1 : 9050 "), Ok(Name::Address(host, 9050)) if host == "127.0.0.1")
        );
        assert!(matches!(parse("[::1]:9050"), Ok(Name::Address(host, 9050)) if host == "::1"));
        assert!(matches!(parse("10002"), Ok(Name::Id(10_002))));
        for wrong in ["", ":9050", "h:0", "h:65536", "h"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn properties_are_tags_and_switches() {
        let set = |pairs: &[(&str, &str)]| {
            modification(
                pairs
                    .iter()
                    .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                    .collect(),
            )
        };
        let mut backend = RegisteredBackend::new(1, "h", 2);
        set(&[("tag.location", "east"), ("disable_load", "true")])
            .unwrap()
            .apply(&mut backend);
        assert_eq!(backend.tags["location"], "east");
        assert_eq!(
            (backend.disabled.query, backend.disabled.load),
            (false, true)
        );
        assert!(set(&[("tag.rack", "1")]).is_err());
        assert!(set(&[("disable_load", "maybe")]).is_err());
        assert!(set(&[("nonsense", "1")]).is_err());
    }
}
