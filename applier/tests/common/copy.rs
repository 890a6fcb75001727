//! A destination that is put back to an older state.

use super::{Fake, FakeTable, World, by_name};

/// A destination's state at some time.
pub struct Copy(World);

#[allow(dead_code, reason = "each test file uses a part")]
impl Copy {
    pub fn tables(&self) -> Vec<FakeTable> {
        let mut tables: Vec<_> = self.0.tables.values().cloned().collect();
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        tables
    }
}

#[allow(dead_code, reason = "each test file uses a part")]
impl Fake {
    /// All that it has and remembers.
    pub fn copy(&self) -> Copy {
        Copy(self.world().clone())
    }

    /// It is started on an older state; ids that it gives go on as if they had been reserved.
    pub fn put_back(&self, copy: &Copy) {
        let mut world = self.world();
        let (calls, seconds, interruptions) = (world.calls, world.seconds, world.interruptions);
        *world = copy.0.clone();
        world.next_id += 10_000;
        (world.calls, world.seconds) = (calls, seconds);
        world.interruptions = interruptions + 1;
    }

    /// As [`Self::put_back`], and ids are given again.
    pub fn put_back_with_ids(&self, copy: &Copy) {
        self.put_back(copy);
        self.world().next_id -= 10_000;
    }

    /// A restore of one table, for instance: no connection breaks.
    pub fn put_table_back(&self, copy: &Copy, name: &str) {
        let id = by_name(&copy.0, name).unwrap();
        let mut world = self.world();
        world.tables.insert(id, copy.0.tables[&id].clone());
    }
}
