//! What a data directory may look like, who may use it, and the words for everything else.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, params};

use super::Wanted;

/// The state, below the data directory.
pub const STATE_FILE: &str = "fe/state.db";
/// Held while a process uses the directory; it contains the process id.
const LOCK_FILE: &str = "dorisim.lock";
/// Attempts to take hold of a directory, and the pause between two.
const LOCK_ATTEMPTS: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// Format of the rows; another number is refused.
const FORMAT: i64 = 1;
/// `application_id` of the SQLite file: "dsim".
const APPLICATION: i64 = 0x6473_696d;

/// Why a data directory can not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else has it.
    #[error(
        "the data directory {dir} is in use by process {holder}: end that process, or choose another directory"
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// Process id, or `?`.
        holder: String,
    },
    /// Something else lives there.
    #[error(
        "{dir} is no data directory of dorisim: it holds {found} but no {STATE_FILE}. Choose an empty or a new directory"
    )]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// One of its files.
        found: String,
    },
    /// Written by another version.
    #[error(
        "{path} has format {found}, this dorisim reads format {FORMAT}: start the dorisim that wrote it, or choose a new directory"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Its number.
        found: i64,
    },
    /// Not what was written.
    #[error(
        "{path} is damaged ({what}): put back a copy of the whole data directory, or choose a new one"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        what: String,
        /// Cause.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The directory belongs to a cluster that differs from what was asked for.
    #[error(
        "{path} belongs to a cluster with {what}: start it with that, leave the option out, or choose a new directory"
    )]
    OtherCluster {
        /// The file.
        path: PathBuf,
        /// The difference.
        what: String,
    },
    /// The operating system refused.
    #[error("{path} can not be {action}: check its rights and the free space")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// `read`, `written`, ...
        action: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// SQLite refused to write.
    #[error("{path} can not be written: check its rights and the free space")]
    Write {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// A file that does not hold what it should.
    pub fn damaged(
        path: &Path,
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            what: what.into(),
            source: Some(source.into()),
        }
    }
}

fn io_error(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io {
        path,
        action,
        source,
    }
}

/// Makes the directory and takes hold of it. A process that ends in any way lets go.
pub fn lock(dir: &Path) -> Result<File, StoreError> {
    std::fs::create_dir_all(dir).map_err(io_error(dir, "made"))?;
    let path = dir.join(LOCK_FILE);
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io_error(&path, "opened"))?;
    let mut left = LOCK_ATTEMPTS;
    loop {
        left -= 1;
        match file.try_lock() {
            Ok(()) => break,
            // A process that was killed a moment ago lets go when the kernel has cleared it away.
            Err(TryLockError::WouldBlock) if left > 0 => std::thread::park_timeout(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let read = (&file).take(32).read_to_string(&mut holder);
                let known = read.is_ok() && !holder.trim().is_empty();
                return Err(StoreError::InUse {
                    dir: dir.to_owned(),
                    holder: if known { holder.trim() } else { "?" }.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(io_error(&path, "locked")(source)),
        }
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(io_error(&path, "written"))?;
    Ok(file)
}

/// True when the directory holds a state, false when it is new; anything else is an error.
pub fn is_known(dir: &Path, path: &Path) -> Result<bool, StoreError> {
    if path.exists() {
        return Ok(true);
    }
    for entry in std::fs::read_dir(dir).map_err(io_error(dir, "read"))? {
        let name = entry.map_err(io_error(dir, "read"))?.file_name();
        // A start that was killed before the state's file had its name leaves these two.
        if name != LOCK_FILE && name != "fe" {
            return Err(StoreError::Foreign {
                dir: dir.to_owned(),
                found: name.to_string_lossy().into_owned(),
            });
        }
    }
    Ok(false)
}

/// Makes the state's file under another name first: it is whole or not there.
pub fn create(path: &Path, wanted: &Wanted) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(io_error(parent, "made"))?;
    }
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error(&new, "removed")(error));
        }
        Ok(()) | Err(_) => {}
    }
    let fill = || -> rusqlite::Result<()> {
        let connection = Connection::open(&new)?;
        connection.execute_batch(
            "PRAGMA journal_mode = OFF;
             PRAGMA synchronous = OFF;
             CREATE TABLE cluster (name TEXT PRIMARY KEY, value NOT NULL);
             CREATE TABLE entity (kind INTEGER NOT NULL, owner INTEGER NOT NULL, key NOT NULL, body BLOB NOT NULL,
                                  PRIMARY KEY (kind, owner, key)) WITHOUT ROWID;",
        )?;
        connection.pragma_update(None, "application_id", APPLICATION)?;
        connection.pragma_update(None, "user_version", FORMAT)?;
        let cluster_id = wanted.cluster_id.unwrap_or(wanted.default_cluster_id);
        let token = wanted.token.as_ref().unwrap_or(&wanted.default_token);
        connection.execute(
            "INSERT INTO cluster VALUES ('cluster_id', ?1), ('token', ?2), ('backends', ?3)",
            params![
                cluster_id,
                token,
                i64::try_from(wanted.backends).unwrap_or(i64::MAX)
            ],
        )?;
        connection.close().map_err(|(_, error)| error)
    };
    fill().map_err(|source| StoreError::Write {
        path: new.clone(),
        source,
    })?;
    std::fs::rename(&new, path).map_err(io_error(path, "made"))
}

/// Opens the state's file for this process alone, after a look at every page of it.
pub fn connect(path: &Path) -> Result<Connection, StoreError> {
    let damaged =
        |what: &'static str| move |source: rusqlite::Error| StoreError::damaged(path, what, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(damaged("not readable"))?;
    let number = |name: &str| -> rusqlite::Result<i64> {
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
    };
    let application = number("application_id").map_err(damaged("not an SQLite file"))?;
    if application != APPLICATION {
        return Err(StoreError::Damaged {
            path: path.to_owned(),
            what: "not written by dorisim".to_owned(),
            source: None,
        });
    }
    let format = number("user_version").map_err(damaged("no format number"))?;
    if format != FORMAT {
        return Err(StoreError::Format {
            path: path.to_owned(),
            found: format,
        });
    }
    connection
        .execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = OFF;
             PRAGMA wal_autocheckpoint = 4000;",
        )
        .map_err(damaged("its journal can not be read"))?;
    let check: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(damaged("not whole"))?;
    if check != "ok" {
        return Err(StoreError::Damaged {
            path: path.to_owned(),
            what: check,
            source: None,
        });
    }
    Ok(connection)
}

/// Cluster id and token of the file, compared with what was asked for; notes the number of backends.
pub fn identify(
    connection: &Connection,
    path: &Path,
    wanted: &Wanted,
) -> Result<(i32, String), StoreError> {
    let damaged = |source: rusqlite::Error| StoreError::damaged(path, "table cluster", source);
    let of = "SELECT value FROM cluster WHERE name = ?1";
    let cluster_id: i32 = connection
        .query_row(of, ["cluster_id"], |row| row.get(0))
        .map_err(damaged)?;
    let token: String = connection
        .query_row(of, ["token"], |row| row.get(0))
        .map_err(damaged)?;
    let backends: i64 = connection
        .query_row(of, ["backends"], |row| row.get(0))
        .map_err(damaged)?;
    let other = |what: String| {
        Err(StoreError::OtherCluster {
            path: path.to_owned(),
            what,
        })
    };
    if wanted.cluster_id.is_some_and(|id| id != cluster_id) {
        return other(format!("cluster id {cluster_id}"));
    }
    if wanted.token.as_ref().is_some_and(|t| *t != token) {
        return other("another token".to_owned());
    }
    let now = i64::try_from(wanted.backends).unwrap_or(i64::MAX);
    if now < backends {
        return other(format!("{backends} backends, not {now}"));
    }
    connection
        .execute(
            "UPDATE cluster SET value = ?1 WHERE name = 'backends'",
            [now],
        )
        .map_err(|source| StoreError::Write {
            path: path.to_owned(),
            source,
        })?;
    Ok((cluster_id, token))
}

/// True when [`set_ready`] was called once.
pub fn is_ready(connection: &Connection, path: &Path) -> Result<bool, StoreError> {
    connection
        .prepare("SELECT 1 FROM cluster WHERE name = 'ready'")
        .and_then(|mut found| found.exists([]))
        .map_err(|source| StoreError::damaged(path, "table cluster", source))
}

/// Notes that the first start came to its end.
pub fn set_ready(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    connection
        .execute("INSERT OR REPLACE INTO cluster VALUES ('ready', 1)", [])
        .map(|_| ())
        .map_err(|source| StoreError::Write {
            path: path.to_owned(),
            source,
        })
}
