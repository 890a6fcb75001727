//! Tables of which a person accepted a loss: their versions differ from the source's from there on.

use std::collections::BTreeSet;

use ccr_schemas::{CommitSeq, Event};

use crate::plan::checkpoint::EVERY_TABLE;
use crate::plan::route::NOT_SUPPORTED;
use crate::plan::state::Apply;

/// Tables whose differences are remembered one by one; beyond, all tables count as different.
const MAX_ADRIFT: usize = 16;

impl Apply {
    /// An event is left out. Notes its tables when a person wanted that, by `skip` or by the policy `on_unsupported`.
    pub(super) fn note_left_out(&mut self, seq: CommitSeq, event: &Event, reason: &str) {
        if self.settings.options.skip.contains(&seq) || reason.starts_with(NOT_SUPPORTED) {
            self.set_adrift(event);
        }
    }

    /// The tables of an event lack something; all tables when the event names none.
    fn set_adrift(&mut self, event: &Event) {
        let tables = event.tables();
        let taken = tables
            .iter()
            .filter(|table| self.settings.filter.takes(&table.name));
        self.adrift.extend(taken.map(|table| table.id));
        if tables.is_empty() || self.adrift.len() > MAX_ADRIFT {
            self.set_all_adrift();
        }
    }

    /// Every table may lack something.
    pub(super) fn set_all_adrift(&mut self) {
        self.adrift = BTreeSet::from([EVERY_TABLE]);
    }
}
