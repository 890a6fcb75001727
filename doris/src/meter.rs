//! How far a BACKUP or RESTORE job is.
//!
//! The rows of SHOW BACKUP and SHOW RESTORE name a state and the tasks of that state that are left, not how many there were. So
//! the states have shares of the whole, and within a state the tasks that are left are compared with the largest number that was
//! seen. States and columns as in `BackupJob.getInfo` and `RestoreJob.getInfo` of Doris (January 2026).

use crate::inspect::{JobProgress, JobState};

/// The whole, in the unit of [`JobMeter::read`].
pub const WHOLE: u64 = 100;

/// Percent done before a state begins. Copying files takes nearly all of the time.
const STATES: [(&str, u64); 11] = [
    ("PENDING", 0),
    ("CREATING", 2),
    ("SNAPSHOTING", 5),
    ("DOWNLOAD", 10),
    ("DOWNLOADING", 10),
    ("COMMIT", 90),
    ("COMMITTING", 90),
    ("UPLOAD_SNAPSHOT", 80),
    ("UPLOADING", 80),
    ("SAVE_META", 95),
    ("UPLOAD_INFO", 97),
];
/// Percent done when a state ends, for those in which tasks are counted.
const ENDS: [(&str, u64); 4] = [
    ("CREATING", 5),
    ("SNAPSHOTING", 10),
    ("DOWNLOADING", 90),
    ("COMMITTING", 100),
];

/// Reads the progress of one job, look by look.
#[derive(Clone, Debug, Default)]
pub struct JobMeter {
    state: String,
    /// Largest number of unfinished tasks seen in this state.
    largest: u64,
    last: u64,
}

impl JobMeter {
    /// Returns how much of the job is done, of [`WHOLE`]. It never falls.
    pub fn read(&mut self, job: &JobProgress) -> u64 {
        if job.state == JobState::Finished {
            self.last = WHOLE;
            return WHOLE;
        }
        if self.state != job.state_text {
            self.state.clone_from(&job.state_text);
            self.largest = 0;
        }
        let left = tasks(&job.unfinished_tasks);
        self.largest = self.largest.max(left);
        let of = |table: &[(&str, u64)]| {
            table
                .iter()
                .find(|(state, _)| *state == self.state)
                .map(|(_, share)| *share)
        };
        let begin = of(&STATES).unwrap_or(self.last);
        let share = of(&ENDS).unwrap_or(begin).saturating_sub(begin);
        let done = (share * (self.largest - left))
            .checked_div(self.largest)
            .unwrap_or(0);
        self.last = self.last.max(begin + done);
        self.last
    }
}

/// Number of entries `task=tablet`, which are separated by commas.
fn tasks(text: &str) -> u64 {
    text.split(',').filter(|entry| entry.contains('=')).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: &str, unfinished: &str) -> JobProgress {
        JobProgress {
            job_id: "1".to_owned(),
            state: match state {
                "FINISHED" => JobState::Finished,
                _ => JobState::Running,
            },
            state_text: state.to_owned(),
            progress: String::new(),
            unfinished_tasks: unfinished.to_owned(),
            status: String::new(),
        }
    }

    #[test]
    fn the_tasks_that_are_left_move_a_state_on_and_nothing_moves_it_back() {
        let mut meter = JobMeter::default();
        for (state, unfinished, expected) in [
            ("PENDING", "", 0),
            ("SNAPSHOTING", "11=1, 12=2", 5),
            ("DOWNLOADING", "", 10),
            ("DOWNLOADING", "21=1, 22=2, 23=3, 24=4", 10),
            ("DOWNLOADING", "[22=2], [24=4]", 50),
            ("DOWNLOADING", "24=4", 70),
            ("SOMETHING_NEW", "", 70),
            ("COMMITTING", "31=1, 32=2", 90),
            ("COMMITTING", "32=2", 95),
            ("FINISHED", "", 100),
        ] {
            assert_eq!(meter.read(&job(state, unfinished)), expected, "{state}");
        }
    }
}
