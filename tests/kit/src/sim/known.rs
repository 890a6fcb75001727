//! Defects of the product that seeds have found and that are not mended yet. Ordinary runs stay clear of them, so that they
//! show what is new; `--known` lets them happen. Whoever mends one takes its line away here.

/// What ordinary runs stay clear of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Rowsets that the source has collected before they were applied: the load asks for them for ever, and says nothing.
    pub rowsets_collected: bool,
    /// A staging table stays where an applier was killed or evicted while it restored it.
    pub staging_left_over: bool,
    /// Labels are forgotten between the start of an applier and its judgement of an event: the event is applied twice.
    pub labels_forgotten: bool,
    /// An event that needed nothing leaves a hole in the versions, and the next ones can not be judged after a restart.
    pub versions_left_out: bool,
    /// A job of a database that is synced again leaves tables that the source does not have where another job, of any cluster,
    /// writes to a database of the same name.
    pub left_by_earlier_sync: bool,
}

impl Known {
    /// Nothing is avoided.
    pub fn none_avoided() -> Self {
        Self::default()
    }

    /// Everything is avoided.
    pub fn all_avoided() -> Self {
        Self {
            rowsets_collected: true,
            staging_left_over: true,
            labels_forgotten: true,
            versions_left_out: true,
            left_by_earlier_sync: true,
        }
    }
}
