//! Which cluster a backend belongs to, as its heartbeats told. Pure: deciding only.

use std::fmt;

use dorisim_wire::TMasterInfo;

/// Thrift address of the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// Host.
    pub host: String,
    /// `rpc_port`.
    pub port: u16,
}

impl fmt::Display for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What sticks after a heartbeat.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Membership {
    cluster_id: Option<i32>,
    master: Option<Master>,
    epoch: i64,
    token: Option<String>,
    backend_id: Option<i64>,
    host: Option<String>,
    master_http_port: Option<u16>,
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership")
            .field("cluster_id", &self.cluster_id)
            .field("master", &self.master)
            .field("epoch", &self.epoch)
            .field("backend_id", &self.backend_id)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// Why a heartbeat was refused; the texts are those of Doris.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The backend belongs to another cluster.
    #[error("invalid cluster id. ignore. Record cluster id ={recorded}, Invalid cluster_id={told}")]
    ClusterId {
        /// The one that sticks.
        recorded: i32,
        /// The one of the heartbeat.
        told: i32,
    },
    /// Another master, which is not newer.
    #[error(
        "epoch is not greater than local. ignore heartbeat. host: {master}, local epoch: {local}, received epoch: {told}"
    )]
    Epoch {
        /// The master that stays.
        master: Master,
        /// Its epoch.
        local: i64,
        /// Epoch of the heartbeat.
        told: i64,
    },
    /// Another token than the one that sticks. The text names neither.
    #[error("invalid token")]
    Token,
    /// An address that can not be one.
    #[error("{port} is no port of a master")]
    Port {
        /// The port of the heartbeat.
        port: i32,
    },
}

/// What a heartbeat changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Another master, or the same one after a restart: all reports are due at once.
    pub new_master: bool,
}

impl Membership {
    /// A backend that was in a cluster before its process started.
    pub fn restored(
        cluster_id: Option<i32>,
        token: Option<String>,
        backend_id: Option<i64>,
    ) -> Self {
        Membership {
            cluster_id,
            token: token.filter(|token| !token.is_empty()),
            backend_id,
            ..Membership::default()
        }
    }

    /// Takes a heartbeat in. Like Doris, what was learned before a refusal stays learned.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn hear(&mut self, info: &TMasterInfo) -> Result<Heard, Refused> {
        let recorded = *self.cluster_id.get_or_insert(info.cluster_id);
        if recorded != info.cluster_id {
            return Err(Refused::ClusterId {
                recorded,
                told: info.cluster_id,
            });
        }
        if let Some(host) = info.backend_ip.as_ref().filter(|host| !host.is_empty()) {
            self.host = Some(host.clone());
        }
        let told = Master {
            host: info.network_address.hostname.clone(),
            port: u16::try_from(info.network_address.port)
                .ok()
                .filter(|port| *port > 0)
                .ok_or(Refused::Port {
                    port: info.network_address.port,
                })?,
        };
        let newer = info.epoch > self.epoch;
        match &self.master {
            Some(master) if *master != told && !newer => {
                return Err(Refused::Epoch {
                    master: master.clone(),
                    local: self.epoch,
                    told: info.epoch,
                });
            }
            Some(_) | None => {}
        }
        let new_master = newer || self.master.is_none();
        self.master = Some(told);
        self.epoch = self.epoch.max(info.epoch);
        if let Some(token) = info.token.as_ref().filter(|token| !token.is_empty()) {
            let sticking = self.token.get_or_insert_with(|| token.clone());
            if sticking != token {
                return Err(Refused::Token);
            }
        }
        self.backend_id = info.backend_id.or(self.backend_id);
        let http_port = info.http_port.and_then(|port| u16::try_from(port).ok());
        self.master_http_port = http_port.filter(|port| *port > 0);
        Ok(Heard { new_master })
    }

    /// Where tasks and reports are told, once a heartbeat came.
    pub fn master(&self) -> Option<&Master> {
        self.master.as_ref()
    }

    /// HTTP port of the master, if heartbeats tell it.
    pub fn master_http_port(&self) -> Option<u16> {
        self.master_http_port
    }

    /// `cluster_id` that sticks.
    pub fn cluster_id(&self) -> Option<i32> {
        self.cluster_id
    }

    /// Token that sticks.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Id that the frontend gave.
    pub fn backend_id(&self) -> Option<i64> {
        self.backend_id
    }

    /// Host under which the frontend registered the backend: reports must name it.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use dorisim_wire::TNetworkAddress;

    use super::*;

    fn info(port: i32, cluster_id: i32, epoch: i64, token: &str) -> TMasterInfo {
        let address = TNetworkAddress::new("fe".to_owned(), port);
        let mut info = TMasterInfo::new(
            address,
            cluster_id,
            epoch,
            token.to_owned(),
            "be".to_owned(),
            8030,
            None,
            7,
            None,
            None,
            None,
            None,
            None,
            None,
        );
        info.backend_ip = Some("be".to_owned());
        info
    }

    #[test]
    fn the_first_cluster_and_token_stick() {
        let mut membership = Membership::default();
        assert!(membership.hear(&info(9020, 5, 3, "t")).unwrap().new_master);
        assert!(!membership.hear(&info(9020, 5, 3, "t")).unwrap().new_master);
        let other = membership.hear(&info(9020, 6, 9, "t"));
        assert_eq!(
            other,
            Err(Refused::ClusterId {
                recorded: 5,
                told: 6
            })
        );
        assert_eq!(membership.hear(&info(9020, 5, 3, "u")), Err(Refused::Token));
        assert_eq!(membership.backend_id(), Some(7));
        assert_eq!(membership.host(), Some("be"));
    }

    #[test]
    fn another_master_needs_a_larger_epoch() {
        let mut membership = Membership::default();
        membership.hear(&info(9020, 5, 3, "t")).unwrap();
        for epoch in [2, 3] {
            let refused = membership.hear(&info(9021, 5, epoch, "t")).unwrap_err();
            assert!(
                matches!(refused, Refused::Epoch { local: 3, .. }),
                "{refused}"
            );
            assert_eq!(membership.master().unwrap().port, 9020);
        }
        assert!(membership.hear(&info(9021, 5, 4, "t")).unwrap().new_master);
        assert_eq!(membership.master().unwrap().port, 9021);
        assert!(
            membership.hear(&info(9021, 5, 5, "t")).unwrap().new_master,
            "a restart"
        );
        assert!(membership.hear(&info(0, 5, 9, "t")).is_err());
    }

    #[test]
    fn a_restarted_backend_knows_its_cluster() {
        let mut membership = Membership::restored(Some(5), Some("t".to_owned()), Some(1));
        assert!(membership.hear(&info(9020, 6, 1, "t")).is_err());
        assert!(membership.hear(&info(9020, 5, 1, "t")).is_ok());
    }
}
