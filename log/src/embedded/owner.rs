//! One process writes at a time.
//!
//! Three guards, each for what the one before cannot see: an advisory lock on the *folder* of the log, which nobody deletes by
//! hand as a lock file is deleted, and which the kernel releases when the process ends, however it ends; the identity of the
//! file, looked at before every write, for a file that was moved or exchanged under the running process; and the number of
//! openings in the file itself (`store::check_opening`), for file systems whose locks do not hold.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::error::Error;

/// Held for as long as the log is open.
#[derive(Debug)]
pub(super) struct Owner {
    path: PathBuf,
    identity: Identity,
    /// Open, and therefore locked.
    _folder: File,
}

/// Device and inode: what a path names at a moment.
type Identity = (u64, u64);

impl Owner {
    /// Locks the folder of the log and makes the file when it is missing, readable by its owner alone. Answers at once.
    ///
    /// # Errors
    /// [`Error::Config`] when another process (or another part of this one) has the folder; [`Error::Unavailable`].
    pub(super) fn take(path: &Path) -> Result<Self, Error> {
        let unavailable = |source: io::Error| Error::Unavailable {
            action: format!("open the embedded log {}", path.display()),
            source: Box::new(source),
        };
        let folder = folder_of(path);
        std::fs::create_dir_all(folder).map_err(unavailable)?;
        let handle = File::open(folder).map_err(unavailable)?;
        match handle.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Config(format!(
                    "another process uses the folder {} of the embedded log {}; stop that process, or give this one another folder \
                     or --kafka",
                    folder.display(),
                    path.display()
                )));
            }
            Err(TryLockError::Error(source)) => {
                return Err(Error::Unavailable {
                    action: format!(
                        "lock the folder {} (the embedded log needs a local file system)",
                        folder.display()
                    ),
                    source: Box::new(source),
                });
            }
        }
        // SQLite gives its other files the mode of this one. The handle is closed before SQLite opens the file: closing any
        // handle later would drop SQLite's own locks.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(unavailable)?;
        Ok(Self {
            path: path.to_owned(),
            identity: identity(path).map_err(unavailable)?,
            _folder: handle,
        })
    }

    /// Verifies that the path still names the file that was opened.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match identity(&self.path) {
            Ok(found) if found == self.identity => Ok(()),
            Ok(_) => Err(Failure::Lost(
                "another file was put in its place".to_owned(),
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Failure::Lost("the file was deleted or moved".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let found = std::fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    }
}
