//! The real binaries as child processes that can be killed.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// A binary of the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `ccr`.
    Ccr,
    /// `ccr-producer`.
    Producer,
    /// `ccr-applier`.
    Applier,
    /// `ccr-lab`.
    Lab,
}

impl Binary {
    fn name(self) -> &'static str {
        match self {
            Self::Ccr => "ccr",
            Self::Producer => "ccr-producer",
            Self::Applier => "ccr-applier",
            Self::Lab => "ccr-lab",
        }
    }

    /// Where cargo put it: beside the folder of the test binary.
    ///
    /// # Errors
    /// It was not built.
    pub fn path(self) -> Result<PathBuf> {
        let test = std::env::current_exe().context("finding the test binary")?;
        let folder = test
            .parent()
            .and_then(Path::parent)
            .context("the test binary lies in no target folder")?;
        let path = folder.join(self.name());
        if !path.exists() {
            bail!(
                "{} does not exist; build it first (`cargo xtask test` does)",
                path.display()
            );
        }
        Ok(path)
    }
}

/// A child process. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a binary; what it prints goes to `log`, after what is there already.
    pub fn start(binary: Binary, args: &[String], log: &Path) -> Result<Self> {
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("opening {}", log.display()))?;
        let child = Command::new(binary.path()?)
            .args(args)
            .env("CCR_LOG", "info")
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("starting {}", binary.name()))?;
        Ok(Self {
            child,
            log: log.to_owned(),
        })
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub fn kill9(&mut self) -> Result<()> {
        if let Some(status) = self.exited()? {
            bail!(
                "the process had ended by itself ({status}) before it was killed:\n{}",
                self.tail()
            );
        }
        self.child.kill().context("killing")?;
        self.child
            .wait()
            .context("waiting for the killed process")?;
        Ok(())
    }

    /// Stops the process where it is (SIGSTOP), or lets it go on (SIGCONT).
    pub fn freeze(&mut self, frozen: bool) -> Result<()> {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let status = Command::new("kill")
            .args([signal, &self.id().to_string()])
            .status()
            .context("sending a signal")?;
        if !status.success() {
            bail!("kill {signal} failed: {status}");
        }
        Ok(())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("looking at the process")
    }

    /// The end of what it printed.
    pub fn tail(&self) -> String {
        tail(&self.log)
    }
}

/// The last 6000 characters of a file.
pub fn tail(log: &Path) -> String {
    let mut text = String::new();
    if fs::File::open(log)
        .and_then(|mut file| file.read_to_string(&mut text))
        .is_err()
    {
        return format!("({} can not be read)", log.display());
    }
    let from = text.char_indices().rev().nth(6000).map_or(0, |(at, _)| at);
    text.split_off(from)
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
