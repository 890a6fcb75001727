//! What must hold, as pure predicates. Tests, simulation and production ask the same functions.

use std::cmp::Ordering;

use thiserror::Error;

use crate::envelope::Envelope;
use crate::event::Event;
use crate::id::{CommitSeq, DbId, Timeline};

/// A broken promise, by name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// The chain has a hole: the event names another predecessor than the last one read.
    #[error(
        "chain broken: event {commit_seq} follows {prev_commit_seq}, but the last event read is {last}; \
         the log lost events or belongs to another stream"
    )]
    ChainBroken {
        /// Position last read.
        last: CommitSeq,
        /// Position of the offending event.
        commit_seq: CommitSeq,
        /// Predecessor it names.
        prev_commit_seq: CommitSeq,
    },
    /// The event belongs to another database that once had, or now has, the same name.
    #[error(
        "event {commit_seq} belongs to database id {found}, this job follows database id {expected}"
    )]
    WrongDatabase {
        /// Database the job follows.
        expected: i64,
        /// Database of the event.
        found: i64,
        /// Position of the offending event.
        commit_seq: CommitSeq,
    },
    /// The event belongs to a later timeline, and the event that begins it was not read.
    #[error(
        "event {commit_seq} belongs to timeline {found}, but the last event read to timeline {known}; \
         the log lost the event that begins the timeline"
    )]
    TimelineSkipped {
        /// Timeline of the reader.
        known: Timeline,
        /// Timeline of the event.
        found: Timeline,
        /// Position of the offending event.
        commit_seq: CommitSeq,
    },
}

/// Whether an event belongs to the history that a reader follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// The history the reader follows, or the first event it reads.
    Same,
    /// Left over from a history that has ended: to be dropped.
    Ended,
    /// The history the reader follows ended here: only a snapshot taken after this event leads on.
    Replaced,
}

/// `OneTimeline`: positions of two timelines are never compared. `known` is the timeline of the events read so far.
///
/// # Errors
/// [`Violation::TimelineSkipped`] when the event that begins the envelope's timeline was not read.
pub fn history(known: Option<Timeline>, envelope: &Envelope) -> Result<History, Violation> {
    let begins = matches!(envelope.event, Event::TimelineChanged(_));
    let Some(known) = known else {
        return Ok(if begins {
            History::Replaced
        } else {
            History::Same
        });
    };
    match (envelope.timeline.cmp(&known), begins) {
        (Ordering::Less, _) | (Ordering::Equal, true) => Ok(History::Ended),
        (Ordering::Equal, false) => Ok(History::Same),
        (Ordering::Greater, true) => Ok(History::Replaced),
        (Ordering::Greater, false) => Err(Violation::TimelineSkipped {
            known,
            found: envelope.timeline,
            commit_seq: envelope.commit_seq,
        }),
    }
}

/// What a reader must do with the next chained event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It follows the last one read.
    Next,
    /// It was read before (a producer wrote it twice).
    Repeat,
    /// It is outside the chain.
    Outside,
}

/// `LogChained`: each envelope names the commit seq before its own; what is not above the last position is a repeat. Holds
/// within a timeline: ask [`history`] first.
///
/// # Errors
/// [`Violation::ChainBroken`] when events are missing between `last` and the envelope.
pub fn link(last: CommitSeq, envelope: &Envelope) -> Result<Link, Violation> {
    if !envelope.event.is_chained() {
        return Ok(Link::Outside);
    }
    if envelope.commit_seq <= last {
        return Ok(Link::Repeat);
    }
    if envelope.prev_commit_seq > last {
        return Err(Violation::ChainBroken {
            last,
            commit_seq: envelope.commit_seq,
            prev_commit_seq: envelope.prev_commit_seq,
        });
    }
    Ok(Link::Next)
}

/// The event belongs to the database that the reader follows.
///
/// # Errors
/// [`Violation::WrongDatabase`].
pub fn same_database(expected: DbId, envelope: &Envelope) -> Result<(), Violation> {
    if envelope.db_id == expected {
        return Ok(());
    }
    Err(Violation::WrongDatabase {
        expected: expected.0,
        found: envelope.db_id.0,
        commit_seq: envelope.commit_seq,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Gap, Heartbeat, TimelineChanged};
    use crate::id::TimestampMs;
    use crate::sample::upsert;

    fn seq(value: i64) -> CommitSeq {
        CommitSeq(value)
    }

    #[test]
    fn sparse_numbers_are_a_chain_as_long_as_each_names_the_one_before() {
        let mut last = CommitSeq::BEFORE_FIRST;
        for (prev, commit) in [(-1, 3), (3, 10), (10, 11), (11, 5_000)] {
            let envelope = upsert(seq(commit), seq(prev), 1);
            assert_eq!(link(last, &envelope), Ok(Link::Next));
            last = envelope.commit_seq;
        }
    }

    #[test]
    fn a_missing_event_breaks_the_chain_and_both_positions_are_named() {
        let broken = link(seq(10), &upsert(seq(30), seq(20), 1)).expect_err("20 was not read");
        assert_eq!(
            broken,
            Violation::ChainBroken {
                last: seq(10),
                commit_seq: seq(30),
                prev_commit_seq: seq(20),
            }
        );
        let text = broken.to_string();
        assert!(
            text.contains("30") && text.contains("20") && text.contains("10"),
            "{text}"
        );
    }

    #[test]
    fn what_was_read_before_is_a_repeat_even_when_its_predecessor_differs() {
        assert_eq!(
            link(seq(30), &upsert(seq(30), seq(20), 1)),
            Ok(Link::Repeat)
        );
        assert_eq!(
            link(seq(30), &upsert(seq(20), seq(10), 1)),
            Ok(Link::Repeat)
        );
        assert_eq!(
            link(seq(30), &upsert(seq(20), seq(19), 1)),
            Ok(Link::Repeat)
        );
    }

    /// A producer that started again with an older predecessor: everything up to the last position was read.
    #[test]
    fn an_older_predecessor_leaves_no_hole() {
        assert_eq!(link(seq(30), &upsert(seq(40), seq(20), 1)), Ok(Link::Next));
    }

    #[test]
    fn own_events_are_outside_the_chain_wherever_they_are() {
        let mut envelope = upsert(seq(99), seq(99), 1);
        envelope.event = Event::Heartbeat(Heartbeat {
            at: TimestampMs(1),
            source_end: seq(120),
        });
        assert_eq!(link(seq(10), &envelope), Ok(Link::Outside));
        envelope.event = Event::Gap(Gap {
            after: seq(10),
            up_to: seq(99),
        });
        assert_eq!(link(seq(10), &envelope), Ok(Link::Outside));
    }

    /// A position says nothing on another timeline: what is smaller there is new, and what is left over is old.
    #[test]
    fn a_reader_stops_where_its_timeline_ends_and_drops_what_is_left_of_it() {
        let event = |timeline: i64| Envelope {
            timeline: Timeline(timeline),
            ..upsert(seq(30), seq(20), 1)
        };
        let change = |timeline: i64| Envelope {
            event: Event::TimelineChanged(TimelineChanged {
                previous: Timeline(timeline - 1),
                published: seq(90),
                reason: String::new(),
            }),
            ..event(timeline)
        };
        let skipped = Err(Violation::TimelineSkipped {
            known: Timeline(1),
            found: Timeline(2),
            commit_seq: seq(30),
        });
        let one = Some(Timeline(1));
        let cases = [
            (None, event(0), Ok(History::Same)),
            (None, event(7), Ok(History::Same)),
            (None, change(1), Ok(History::Replaced)),
            (one, event(1), Ok(History::Same)),
            (one, event(0), Ok(History::Ended)),
            (one, change(0), Ok(History::Ended)),
            (one, change(1), Ok(History::Ended)),
            (one, change(2), Ok(History::Replaced)),
            (one, event(2), skipped),
        ];
        for (known, envelope, expected) in cases {
            let text = format!("{known:?} {:?}", envelope.event.kind());
            assert_eq!(history(known, &envelope), expected, "{text}");
        }
    }

    #[test]
    fn a_recreated_database_is_another_database() {
        let envelope = upsert(seq(3), seq(2), 1);
        assert_eq!(same_database(envelope.db_id, &envelope), Ok(()));
        assert_eq!(
            same_database(DbId(5), &envelope),
            Err(Violation::WrongDatabase {
                expected: 5,
                found: envelope.db_id.0,
                commit_seq: seq(3),
            })
        );
    }
}
