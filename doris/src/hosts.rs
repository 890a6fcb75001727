//! Where servers are: as the cluster names them, and as they are reached from here.

use std::collections::BTreeMap;
use std::fmt;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Host name or address, IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Endpoint {
    /// An endpoint.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// Returns the endpoint that a server reported. `None` when it is no address: an FE without a master reports an empty host, or port 0.
    pub fn reported(host: &str, port: i32) -> Option<Self> {
        let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
        let host = host.trim();
        (!host.is_empty()).then(|| Self::new(host, port))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Returns where a server is reached: a rule for `host:port` wins over one for `host`, a target without a port keeps the
/// server's port, and a server without a rule is reached as the cluster names it.
pub fn map(mapping: &BTreeMap<String, String>, reported: &Endpoint) -> Endpoint {
    let target = mapping
        .get(&reported.to_string())
        .or_else(|| mapping.get(&format!("{}:{}", reported.host, reported.port)))
        .or_else(|| mapping.get(&reported.host));
    let Some(target) = target else {
        return reported.clone();
    };
    let target = target.trim();
    if let Some((host, port)) = target.rsplit_once(':')
        && let Ok(port) = port.parse()
        && (!host.contains(':') || host.starts_with('['))
    {
        return Endpoint::new(host.trim_matches(['[', ']']), port);
    }
    Endpoint::new(target.trim_matches(['[', ']']), reported.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let mapping: BTreeMap<_, _> = [
            ("fe1", "10.0.0.1"),
            ("fe1:9020", "gate:19020"),
            ("fe2", "[::1]:7"),
            ("fe3", "::1"),
            ("::2", "10.0.0.2"),
            ("[::2]:9", "10.0.0.3:1"),
        ]
        .map(|(from, to)| (from.to_owned(), to.to_owned()))
        .into();
        for (host, port, expected) in [
            ("fe1", 9020, "gate:19020"),
            ("fe1", 9030, "10.0.0.1:9030"),
            ("fe2", 1, "[::1]:7"),
            ("fe3", 1, "[::1]:1"),
            ("fe4", 1, "fe4:1"),
            ("::2", 8, "10.0.0.2:8"),
            ("::2", 9, "10.0.0.3:1"),
        ] {
            assert_eq!(
                map(&mapping, &Endpoint::new(host, port)).to_string(),
                expected
            );
        }
    }

    #[test]
    fn an_fe_without_a_master_tells_no_address() {
        for (host, port) in [
            ("", 9020),
            (" ", 9020),
            ("fe", 0),
            ("fe", -1),
            ("fe", 70_000),
        ] {
            assert_eq!(Endpoint::reported(host, port), None);
        }
        assert_eq!(
            Endpoint::reported("fe", 9020),
            Some(Endpoint::new("fe", 9020))
        );
    }
}
