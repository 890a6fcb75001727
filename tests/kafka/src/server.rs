//! One broker that is its own controller, without protection.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::node::{Node, common_properties, fresh_dir};
use crate::{KafkaError, install, ports};

/// Most megabytes of its heap: all tests share it.
const HEAP: u32 = 512;

/// A running broker. Dropping it kills the process and removes its data.
#[derive(Debug)]
pub struct KafkaServer {
    dir: PathBuf,
    bootstrap: String,
    node: Node,
}

impl KafkaServer {
    /// Starts a broker on free ports with empty storage and waits until it answers, at most two minutes.
    ///
    /// # Errors
    /// No Java, no jars, or the broker did not come up; the end of its log is in the error.
    pub fn start() -> Result<Self, KafkaError> {
        let mut last = Self::start_on_free();
        // A free port can be taken by somebody else before the broker binds it.
        for _ in 0..2 {
            if last.is_ok() {
                break;
            }
            last = Self::start_on_free();
        }
        last
    }

    fn start_on_free() -> Result<Self, KafkaError> {
        match ports::free(2)?.as_slice() {
            [port, controller] => Self::start_on(*port, *controller),
            _ => Err(KafkaError("two ports were asked for".to_owned())),
        }
    }

    /// Like [`KafkaServer::start`], on given ports.
    ///
    /// # Errors
    /// As [`KafkaServer::start`].
    pub fn start_on(port: u16, controller_port: u16) -> Result<Self, KafkaError> {
        install::available().map_err(KafkaError)?;
        let libs = install::install()?;
        let dir = fresh_dir();
        let mut properties = common_properties(&dir);
        properties.push_str(&format!(
            "node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
offsets.topic.replication.factor=1
"
        ));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let folders = (dir.clone(), dir.clone());
        let node = Node::format(folders, libs, HEAP, (address, &properties), &[]);
        let mut server = Self {
            bootstrap: format!("127.0.0.1:{port}"),
            node: node.inspect_err(|_| drop(std::fs::remove_dir_all(&dir)))?,
            dir,
        };
        server.start_again()?;
        Ok(server)
    }

    /// `host:port` for clients.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Stops in order and starts again with the same data and ports.
    ///
    /// # Errors
    /// The broker did not come up again.
    pub fn restart(&mut self) -> Result<(), KafkaError> {
        self.stop();
        self.start_again()
    }

    /// Stops in order (killed when that takes longer than 20 s). Data stay for [`KafkaServer::start_again`].
    pub fn stop(&mut self) {
        self.node.stop();
    }

    /// Kills the process at once. Data stay for [`KafkaServer::start_again`].
    pub fn crash(&mut self) {
        self.node.crash();
    }

    /// Starts after [`KafkaServer::stop`] or [`KafkaServer::crash`].
    ///
    /// # Errors
    /// The broker did not come up.
    pub fn start_again(&mut self) -> Result<(), KafkaError> {
        self.node.launch()?;
        self.node.up(1)
    }

    /// What the broker had to complain about, the last lines.
    pub fn log_tail(&self) -> String {
        self.node.log_tail()
    }
}

impl Drop for KafkaServer {
    fn drop(&mut self) {
        self.node.crash();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
