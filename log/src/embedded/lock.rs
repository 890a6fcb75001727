//! One process at a time: an advisory lock on a file next to the log. The kernel lets go of it when the process ends,
//! however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Held for as long as the log is open.
#[derive(Debug)]
pub(super) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes `<log>.lock` or answers at once.
    pub(super) fn take(log: &Path) -> Result<Self, Error> {
        let path = lock_path(log);
        let unavailable = |source: std::io::Error| Error::Unavailable {
            action: format!("lock {}", path.display()),
            source: Box::new(source),
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(unavailable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::Config(format!(
                "another process has the embedded log {} open (lock file {}); stop it, or give this one another path or --kafka",
                log.display(),
                path.display()
            ))),
            Err(TryLockError::Error(source)) => Err(unavailable(source)),
        }
    }
}

fn lock_path(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}
