//! The log key in a file.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use ccr_control::process::read_log_key;
use ccr_ops::Sealer;

/// Reads the key; with `make` a missing file is made with a fresh key, readable by its owner only.
pub fn load(path: &Path, make: bool) -> Result<Sealer> {
    if make && !path.exists() {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("making the log key {}", path.display()))?;
        writeln!(file, "{}", Sealer::generate_key().expose())
            .and_then(|()| file.sync_all())
            .with_context(|| format!("writing the log key {}", path.display()))?;
    }
    Ok(read_log_key(path)?)
}
