//! A small file beside the log, `<log>.mark`, that says how far the log was: shows at the next start that an older copy of the
//! log was put in its place, or that its `-wal` file was lost. A copy of the whole folder carries its mark with it and is not
//! noticed here; there the positions, labels and versions at the destination decide.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ccr_schemas::TopicName;
use serde::{Deserialize, Serialize};

use super::store::{Opening, TopicRow};
use crate::error::Error;

/// What was durable in the log at some moment. Never ahead of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    log: String,
    openings: i64,
    /// Next offset of each topic.
    ends: BTreeMap<String, i64>,
}

/// Says what the log lacks of what was seen, if anything.
fn difference<'a>(
    seen: &Seen,
    now: &Opening,
    topics: impl Iterator<Item = &'a TopicRow>,
) -> Option<String> {
    if seen.log != now.log {
        return Some(format!("it was log {} and is log {}", seen.log, now.log));
    }
    let ends: BTreeMap<&TopicName, i64> = topics.map(|topic| (&topic.name, topic.next)).collect();
    for (name, &then) in &seen.ends {
        let end = *ends.get(&TopicName(name.clone())).unwrap_or(&0);
        if end < then {
            return Some(format!(
                "topic {name} ended at offset {then} and now ends at {end}"
            ));
        }
    }
    (now.number < seen.openings).then(|| {
        format!(
            "it was opened {} times and now counts {}",
            seen.openings, now.number
        )
    })
}

/// Keeps the file up to date.
#[derive(Debug)]
pub(super) struct Mark {
    log: PathBuf,
    path: PathBuf,
    written: Option<Seen>,
}

impl Mark {
    /// Of the log at a path.
    pub(super) fn of(log: &Path) -> Self {
        let mut path = log.as_os_str().to_owned();
        path.push(".mark");
        Self {
            log: log.to_owned(),
            path: path.into(),
            written: None,
        }
    }

    /// Compares what the log holds now, before this opening is counted, with what was seen.
    ///
    /// # Errors
    /// [`Error::Config`] when the log holds less: a person decides.
    pub(super) fn check<'a>(
        &self,
        now: &Opening,
        topics: impl Iterator<Item = &'a TopicRow>,
    ) -> Result<(), Error> {
        let seen = match std::fs::read(&self.path) {
            Ok(bytes) => match serde_json::from_slice::<Seen>(&bytes) {
                Ok(seen) => seen,
                Err(error) => {
                    tracing::warn!(path = %self.path.display(), %error, "cannot read the mark file of the embedded log; writing a new one");
                    return Ok(());
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(source) => {
                return Err(Error::Unavailable {
                    action: format!("read {}", self.path.display()),
                    source: Box::new(source),
                });
            }
        };
        let Some(what) = difference(&seen, now, topics) else {
            return Ok(());
        };
        Err(Error::Config(format!(
            "{log} has gone back in time: {what}. An older copy or another log was put in its place, or {log}-wal is missing. Put the newest \
             copy back together with its -wal file; or, to go on with this one, delete {mark}, start ccr and run `ccr job resync` for \
             every job",
            log = self.log.display(),
            mark = self.path.display()
        )))
    }

    /// Writes what is durable now, when that has changed. Not forced to the disk: an older mark is a right one too.
    pub(super) fn write<'a>(
        &mut self,
        opening: &Opening,
        topics: impl Iterator<Item = &'a TopicRow>,
    ) {
        let seen = Seen {
            log: opening.log.clone(),
            openings: opening.number,
            ends: topics
                .map(|topic| (topic.name.0.clone(), topic.next))
                .collect(),
        };
        if self.written.as_ref() == Some(&seen) {
            return;
        }
        match self.replace(&seen) {
            Ok(()) => self.written = Some(seen),
            Err(error) => {
                tracing::debug!(path = %self.path.display(), %error, "cannot write the mark file of the embedded log");
            }
        }
    }

    fn replace(&self, seen: &Seen) -> std::io::Result<()> {
        let mut fresh = self.path.clone().into_os_string();
        fresh.push(".new");
        let fresh = PathBuf::from(fresh);
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(&serde_json::to_vec(seen)?)?;
        drop(file);
        std::fs::rename(&fresh, &self.path)
    }
}
