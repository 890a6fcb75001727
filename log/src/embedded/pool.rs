//! Connections for reading: few, so that their page caches are bounded, and kept open.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::failure::Failure;
use super::store;

/// Reading connections at a time. With the writer's, their page caches take at most
/// `WRITER_CACHE_KIB + READERS * READER_CACHE_KIB` = 8 MiB, however large the log is.
pub(super) const READERS: usize = 4;

/// See the module doc.
pub(super) struct Pool {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    /// Of the log at a path; connections are opened when they are needed.
    pub(super) fn of(path: &Path) -> Arc<Self> {
        Arc::new(Self {
            path: path.to_owned(),
            permits: Arc::new(Semaphore::new(READERS)),
            idle: Mutex::new(Vec::new()),
        })
    }

    /// Runs a query when a connection is free. Dropping the future gives the answer up; a query that has begun ends by itself
    /// and holds its connection until then.
    pub(super) fn query<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Failure>> {
        let pool = Arc::clone(self);
        Box::pin(async move {
            let failed = |error| Failure::Failed(Arc::new(error));
            let permit = Arc::clone(&pool.permits)
                .acquire_owned()
                .await
                .map_err(failed)?;
            let work = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                let kept = pool.lock().pop();
                let db = match kept {
                    Some(db) => db,
                    None => store::open_reader(&pool.path)?,
                };
                let answer = query(&db);
                if answer.is_ok() {
                    pool.lock().push(db);
                }
                answer
            });
            work.await
                .unwrap_or_else(|error| Err(Failure::Failed(Arc::new(error))))
        })
    }

    /// Cache sizes of the idle connections, as SQLite tells them.
    #[cfg(test)]
    pub(super) fn cache_sizes(&self) -> Vec<i64> {
        let size = |db: &Connection| {
            db.pragma_query_value(None, "cache_size", |row| row.get(0))
                .expect("cache size")
        };
        self.lock().iter().map(size).collect()
    }

    /// Closes what is idle.
    pub(super) fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
