//! The cluster that a store belongs to, kept beside its data: a store must not be taken for one of another cluster.

use std::path::Path;

use anyhow::{Context, Result};

const NAME: &str = "cluster_id";

/// The cluster id of a store; none for a new one.
///
/// # Errors
/// A file that can not be read or holds no number.
pub fn read(store: &Path) -> Result<Option<i32>> {
    let path = store.join(NAME);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("reading {}", path.display()));
        }
    };
    let id = text.trim().parse();
    id.map(Some)
        .with_context(|| format!("{} holds no cluster id", path.display()))
}

/// Writes the cluster id. A failure is logged: the backend works on, and the next process takes the first cluster that calls.
pub fn write(store: &Path, cluster_id: i32) {
    let path = store.join(NAME);
    if let Err(error) = std::fs::write(&path, format!("{cluster_id}\n")) {
        tracing::warn!(path = %path.display(), %error, "cluster id not kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_remembers_its_cluster() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        write(dir.path(), 7);
        assert_eq!(read(dir.path()).unwrap(), Some(7));
        std::fs::write(dir.path().join(NAME), "x").unwrap();
        assert!(read(dir.path()).is_err());
    }
}
