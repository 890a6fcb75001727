//! Records read and not yet passed by the committed offset.

use std::collections::VecDeque;

use ccr_schemas::CommitSeq;

/// The uncommitted window: the committed offset stands at its first unfinished entry.
#[derive(Clone, Debug)]
pub struct Window {
    entries: VecDeque<Entry>,
    /// Where the offset stands when nothing is unfinished.
    next: (i64, CommitSeq),
    /// Entries that are safe.
    safe: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    seq: CommitSeq,
    /// Offset of the record and position before it.
    before: (i64, CommitSeq),
    done: bool,
    /// Done, and known to be done after a crash.
    safe: bool,
}

impl Window {
    /// Starts at an offset; `seq` is the position of the last chained event before it.
    pub fn new(offset: i64, seq: CommitSeq) -> Self {
        Self {
            entries: VecDeque::new(),
            next: (offset, seq),
            safe: 0,
        }
    }

    /// A record without work was read: the offset may pass it as soon as everything before it is done.
    pub fn pass(&mut self, offset: i64, seq: CommitSeq) {
        self.next = (offset + 1, self.next.1.max(seq));
    }

    /// A record with work was read.
    pub fn open(&mut self, offset: i64, seq: CommitSeq) {
        self.entries.push_back(Entry {
            seq,
            before: (offset, self.next.1),
            done: false,
            safe: false,
        });
        self.pass(offset, seq);
    }

    /// The work of a record is done.
    pub fn finish(&mut self, seq: CommitSeq) {
        if let Ok(at) = self.entries.binary_search_by_key(&seq, |entry| entry.seq) {
            self.entries[at].done = true;
        }
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.done) {
            self.safe -= usize::from(entry.safe);
        }
    }

    /// Offset behind an event that is not passed.
    pub fn offset_behind(&self, seq: CommitSeq) -> i64 {
        match self.entries.binary_search_by_key(&seq, |entry| entry.seq) {
            Ok(at) => self.entries[at].before.0 + 1,
            Err(_) => self.next.0,
        }
    }

    /// What is done is recorded as such behind the committed offset.
    pub fn secure(&mut self) {
        for entry in self.entries.iter_mut().filter(|entry| entry.done) {
            self.safe += usize::from(!entry.safe);
            entry.safe = true;
        }
    }

    /// First unfinished event.
    pub fn first(&self) -> Option<CommitSeq> {
        self.entries.front().map(|entry| entry.seq)
    }

    /// Entries of which a crash would leave open whether they are done.
    pub fn open_len(&self) -> usize {
        self.entries.len() - self.safe
    }

    /// Offset to commit and position of the last chained event before it. `OffsetsBehindDurable`: nothing before it is
    /// unfinished.
    pub fn committable(&self) -> (i64, CommitSeq) {
        self.entries.front().map_or(self.next, |entry| entry.before)
    }

    /// Next offset to read.
    pub fn next_offset(&self) -> i64 {
        self.next.0
    }

    /// Entries not yet passed.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Nothing is unfinished.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_waits_for_the_slowest_and_passes_what_needs_no_work() {
        let mut window = Window::new(10, CommitSeq(100));
        window.pass(10, CommitSeq(101));
        assert_eq!(window.committable(), (11, CommitSeq(101)));
        window.open(11, CommitSeq(102));
        window.open(12, CommitSeq(103));
        window.pass(13, CommitSeq(104));
        window.finish(CommitSeq(103));
        assert_eq!(window.committable(), (11, CommitSeq(101)));
        window.finish(CommitSeq(102));
        assert_eq!(window.committable(), (14, CommitSeq(104)));
    }
}
