//! Partition items in an order that answers "what does this one meet" without comparing it with each of the others: tables
//! have partitions by the ten thousands.

use std::collections::BTreeSet;

use dorisim_model::partition::compare_bounds;
use dorisim_model::{Bound, Cell, DataType, PartitionItem};

/// Upper bounds of ranges, ordered.
pub struct UpperBounds<'a> {
    types: &'a [DataType],
    sorted: Vec<Vec<Bound>>,
}

impl<'a> UpperBounds<'a> {
    pub fn new(types: &'a [DataType], items: &[PartitionItem]) -> Self {
        let mut sorted: Vec<Vec<Bound>> = items.iter().filter_map(upper).cloned().collect();
        sorted.sort_by(|a, b| compare_bounds(a, b, types));
        Self { types, sorted }
    }

    /// The greatest one below `bound`.
    pub fn below(&self, bound: &[Bound]) -> Option<&Vec<Bound>> {
        self.sorted[..self.position(bound)].last()
    }

    pub fn add(&mut self, item: &PartitionItem) {
        if let Some(bound) = upper(item) {
            let at = self.position(bound);
            self.sorted.insert(at, bound.clone());
        }
    }

    fn position(&self, bound: &[Bound]) -> usize {
        self.sorted
            .partition_point(|known| compare_bounds(known, bound, self.types).is_lt())
    }
}

fn upper(item: &PartitionItem) -> Option<&Vec<Bound>> {
    match item {
        PartitionItem::Range { upper, .. } => Some(upper),
        PartitionItem::All | PartitionItem::List(_) | PartitionItem::ListDefault => None,
    }
}

/// Items that share no value with each other.
pub struct DisjointItems<'a> {
    types: &'a [DataType],
    /// Ordered by lower bound; as they are disjoint, by upper bound too.
    ranges: Vec<PartitionItem>,
    values: BTreeSet<Vec<Cell>>,
    /// [`PartitionItem::All`] and [`PartitionItem::ListDefault`], at most one each.
    whole: Vec<PartitionItem>,
}

impl<'a> DisjointItems<'a> {
    /// `items` belong to one table and are disjoint.
    pub fn new(types: &'a [DataType], items: &[PartitionItem]) -> Self {
        let mut known = Self {
            types,
            ranges: Vec::new(),
            values: BTreeSet::new(),
            whole: Vec::new(),
        };
        for item in items {
            known.add(item);
        }
        known
    }

    /// Adds an item; false, and nothing is added, when it shares a value with one that is here.
    pub fn add(&mut self, item: &PartitionItem) -> bool {
        match item {
            PartitionItem::Range { lower, .. } => {
                let at = self.ranges.partition_point(|known| match known {
                    PartitionItem::Range { lower: other, .. } => {
                        compare_bounds(other, lower, self.types).is_lt()
                    }
                    PartitionItem::All | PartitionItem::List(_) | PartitionItem::ListDefault => {
                        false
                    }
                });
                // Of disjoint ranges only the two beside the place can reach into a new one.
                let meets = |known: Option<&PartitionItem>| {
                    known.is_some_and(|known| known.overlaps(item, self.types))
                };
                let before = at.checked_sub(1).and_then(|before| self.ranges.get(before));
                if meets(before) || meets(self.ranges.get(at)) {
                    return false;
                }
                self.ranges.insert(at, item.clone());
            }
            PartitionItem::List(tuples) => {
                if tuples.iter().any(|tuple| self.values.contains(tuple)) {
                    return false;
                }
                self.values.extend(tuples.iter().cloned());
            }
            PartitionItem::All | PartitionItem::ListDefault => {
                if self.whole.contains(item) {
                    return false;
                }
                self.whole.push(item.clone());
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(lower: i64, upper: i64) -> PartitionItem {
        let bound = |n: i64| vec![Bound::Value(n.to_string())];
        PartitionItem::Range {
            lower: bound(lower),
            upper: bound(upper),
        }
    }

    #[test]
    fn an_item_is_added_only_where_no_other_is() {
        let types = [DataType::Int];
        let mut known = DisjointItems::new(&types, &[range(100, 200), range(-5, 3)]);
        assert!(known.add(&range(3, 9)), "numbers, not texts, are compared");
        assert!(known.add(&range(200, 201)));
        for taken in [
            range(2, 3),
            range(-9, -4),
            range(150, 160),
            range(90, 300),
            range(100, 200),
        ] {
            assert!(!known.add(&taken), "{taken:?}");
        }
        assert!(known.add(&range(9, 100)));

        let list = |words: &[&str]| {
            PartitionItem::List(words.iter().map(|w| vec![Some((*w).to_owned())]).collect())
        };
        assert!(known.add(&list(&["a", "b"])));
        assert!(!known.add(&list(&["c", "b"])));
        assert!(known.add(&list(&["c"])), "a refused item leaves nothing");
        assert!(known.add(&PartitionItem::ListDefault));
        assert!(!known.add(&PartitionItem::ListDefault));
    }

    #[test]
    fn the_nearest_lower_bound_is_found() {
        let types = [DataType::Int];
        let bound = |n: i64| vec![Bound::Value(n.to_string())];
        let mut uppers = UpperBounds::new(&types, &[range(20, 100), range(1, 9)]);
        uppers.add(&range(9, 20));
        assert_eq!(uppers.below(&bound(50)), Some(&bound(20)));
        assert_eq!(uppers.below(&bound(20)), Some(&bound(9)));
        assert_eq!(uppers.below(&bound(9)), None);
    }
}
