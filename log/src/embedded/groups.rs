//! Statements on the positions of groups. A changed position would skip or repeat events, so each row has a checksum.

use rusqlite::{Connection, params};

use super::checksum::RowSum;
use super::failure::Failure;
use super::store::TopicId;
use crate::event_log::{Committed, Offset};

/// A group's row.
struct Group {
    generation: i64,
    committed: Option<Committed>,
}

impl Group {
    fn sum(&self, name: &str, topic: TopicId) -> i64 {
        let committed = self.committed.as_ref();
        RowSum::of("groups")
            .text(name)
            .int(topic.0)
            .int(self.generation)
            .maybe_int(committed.map(|committed| committed.offset.0))
            .bytes(committed.map(|committed| committed.metadata.as_bytes()))
            .finish()
    }

    fn put(&self, db: &Connection, name: &str, topic: TopicId) -> Result<(), Failure> {
        db.prepare_cached(
            "INSERT INTO groups (name, topic, generation, next_offset, metadata, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (name, topic) DO UPDATE SET generation = excluded.generation, next_offset = excluded.next_offset,
             metadata = excluded.metadata, sum = excluded.sum",
        )?
        .execute(params![
            name,
            topic.0,
            self.generation,
            self.committed.as_ref().map(|committed| committed.offset.0),
            self.committed.as_ref().map(|committed| &committed.metadata),
            self.sum(name, topic)
        ])?;
        Ok(())
    }
}

fn find(db: &Connection, name: &str, topic: TopicId) -> Result<Option<Group>, Failure> {
    let mut statement = db.prepare_cached(
        "SELECT generation, next_offset, metadata, sum FROM groups WHERE name = ?1 AND topic = ?2",
    )?;
    let mut rows = statement.query(params![name, topic.0])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let metadata: Option<String> = row.get(2)?;
    let group = Group {
        generation: row.get(0)?,
        committed: row.get::<_, Option<i64>>(1)?.map(|offset| Committed {
            offset: Offset(offset),
            metadata: metadata.unwrap_or_default(),
        }),
    };
    if row.get::<_, i64>(3)? != group.sum(name, topic) {
        return Err(Failure::Damaged(format!(
            "the position of consumer group {name} does not match its checksum"
        )));
    }
    Ok(Some(group))
}

/// Returns a group's durable position.
pub(super) fn committed(
    db: &Connection,
    name: &str,
    topic: TopicId,
) -> Result<Option<Committed>, Failure> {
    Ok(find(db, name, topic)?.and_then(|group| group.committed))
}

/// Starts a new generation of the group; returns its number and the group's position.
pub(super) fn claim(
    db: &Connection,
    name: &str,
    topic: TopicId,
) -> Result<(i64, Option<Committed>), Failure> {
    let (last, committed) = match find(db, name, topic)? {
        Some(group) => (group.generation, group.committed),
        None => (0, None),
    };
    let group = Group {
        generation: last + 1,
        committed,
    };
    group.put(db, name, topic)?;
    Ok((group.generation, group.committed))
}

/// Stores the position if `generation` is still the group's. Returns whether it was.
pub(super) fn commit(
    db: &Connection,
    name: &str,
    topic: TopicId,
    generation: i64,
    position: Committed,
) -> Result<bool, Failure> {
    match find(db, name, topic)? {
        Some(found) if found.generation == generation => {}
        Some(_) | None => return Ok(false),
    }
    let group = Group {
        generation,
        committed: Some(position),
    };
    group.put(db, name, topic)?;
    Ok(true)
}
