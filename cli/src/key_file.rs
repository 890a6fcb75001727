//! The log key in a file.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ccr_control::process::read_log_key;
use ccr_ops::{Sealer, Secret};

/// A log key that is in no file yet. It is written only when the log holds nothing that another key has sealed.
#[derive(Clone, Debug)]
pub struct FreshKey {
    path: PathBuf,
    text: Secret,
}

/// Returns what seals with the key in the file; when there is no such file, with a fresh key, which is returned as well.
///
/// # Errors
/// The file cannot be read, or holds no key.
pub fn load_or_make(path: &Path) -> Result<(Sealer, Option<FreshKey>)> {
    // A file that cannot be looked at is not a missing file.
    let exists = path
        .try_exists()
        .with_context(|| format!("looking for the log key {}", path.display()))?;
    if exists {
        return Ok((read_log_key(path)?, None));
    }
    let text = Sealer::generate_key();
    let sealer = Sealer::from_base64(text.expose())?;
    let path = path.to_owned();
    Ok((sealer, Some(FreshKey { path, text })))
}

impl FreshKey {
    /// Writes the key, unless the log has jobs: their passwords are sealed with the key that is missing.
    ///
    /// # Errors
    /// Names the file and the jobs, with the way out.
    pub fn save<'a>(&self, jobs: impl Iterator<Item = &'a str>) -> Result<()> {
        let path = self.path.display();
        let jobs: Vec<&str> = jobs.collect();
        if !jobs.is_empty() {
            bail!(
                "the log key {path} is missing, and the passwords of the jobs in the log ({}) are sealed with it: put the file back from a \
                 copy, or name the key of the other processes with --log-key-file. If the key is lost: `umask 077 && ccr keygen > {path}`, \
                 start again, then delete each job and create it again, which begins with a full sync",
                jobs.join(", ")
            );
        }
        self.write()
            .with_context(|| format!("writing the log key {path}"))
    }

    /// Whole or not at all, readable by its owner alone.
    fn write(&self) -> std::io::Result<()> {
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        };
        let mut file = tempfile::Builder::new()
            .prefix(".log.key.")
            .tempfile_in(folder)?;
        writeln!(file, "{}", self.text.expose())?;
        file.as_file().sync_all()?;
        file.persist_noclobber(&self.path)
            .map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_fresh_key_is_written_whole_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.key");
        let (sealer, fresh) = load_or_make(&path).unwrap();
        let fresh = fresh.unwrap();
        assert!(!path.exists(), "written before the log was looked at");
        fresh.save(std::iter::empty()).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let names: Vec<_> = folder.path().read_dir().unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");

        let (again, none) = load_or_make(&path).unwrap();
        assert!(none.is_none());
        let sealed = sealer.seal(&Secret::new("pw".to_owned())).unwrap();
        assert_eq!(again.open(&sealed).unwrap().expose(), "pw");
        // A key that is there is never replaced.
        let before = std::fs::read(&path).unwrap();
        assert!(fresh.save(std::iter::empty()).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_missing_key_is_not_replaced_while_the_log_has_jobs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.key");
        let (_, fresh) = load_or_make(&path).unwrap();
        let refused = fresh.unwrap().save(["a", "b"].into_iter()).unwrap_err();
        let text = refused.to_string();
        for part in [
            &path.display().to_string(),
            "(a, b)",
            "put the file back",
            "ccr keygen",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!path.exists());
    }

    #[test]
    fn an_empty_key_is_refused_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.key");
        std::fs::write(&path, "").unwrap();
        let text = format!("{:#}", load_or_make(&path).unwrap_err());
        assert!(
            text.contains("log.key") && text.contains("base64"),
            "{text}"
        );
    }
}
