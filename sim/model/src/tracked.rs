//! A map that knows which of its keys were touched since somebody last asked: what was changed is written to disk, not everything.
//!
//! Reading goes through `BTreeMap`; every way to change a value is a method here. Until [`Tracked::take_changes`] is called for the
//! first time nothing is noted, so a cluster without a data directory pays nothing and holds nothing.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::collections::btree_map::{self, BTreeMap, Entry};
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What happened to a map since it was last asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes<K> {
    /// Only these keys; a key that the map does not have any more was removed.
    Keys(BTreeSet<K>),
    /// Unknown: the map is new at this place.
    Everything,
}

/// Notes of one map, valid for the place whose number it carries.
struct Notes<K> {
    place: u64,
    keys: BTreeSet<K>,
}

/// A map with notes of its changes.
pub struct Tracked<K, V> {
    map: BTreeMap<K, V>,
    notes: Option<Notes<K>>,
}

impl<K: Ord + Clone, V> Tracked<K, V> {
    /// Empty.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            map: BTreeMap::new(),
            notes: None,
        }
    }

    /// What changed since this was last called with the same `place`, a number that names one home of one map and is never used for
    /// another: a map that was moved, cloned or put in the place of another answers [`Changes::Everything`].
    pub fn take_changes(&mut self, place: u64) -> Changes<K> {
        match &mut self.notes {
            Some(notes) if notes.place == place => Changes::Keys(std::mem::take(&mut notes.keys)),
            notes => {
                *notes = Some(Notes {
                    place,
                    keys: BTreeSet::new(),
                });
                Changes::Everything
            }
        }
    }

    /// True when [`Self::take_changes`] for this place would have something to say.
    #[must_use]
    pub fn has_changes(&self, place: u64) -> bool {
        self.notes
            .as_ref()
            .is_none_or(|notes| notes.place != place || !notes.keys.is_empty())
    }

    fn note<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(notes) = &mut self.notes
            && !notes.keys.contains(key)
        {
            notes.keys.insert(key.to_owned());
        }
    }

    fn note_all(&mut self) {
        if let Some(notes) = &mut self.notes {
            notes.keys.extend(self.map.keys().cloned());
        }
    }

    /// As of `BTreeMap`; the value counts as changed. Untouched values are not: no note for unknown keys.
    pub fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        if !self.map.contains_key(key) {
            return None;
        }
        self.note(key);
        self.map.get_mut(key)
    }

    /// A value that is looked at for changes of its own and does not count as changed itself.
    pub fn get_unnoted<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.map.get_mut(key)
    }

    /// The first value that fits, which counts as changed.
    pub fn find_mut(&mut self, fits: impl Fn(&V) -> bool) -> Option<&mut V> {
        let key = self.map.iter().find(|(_, v)| fits(v))?.0.clone();
        if let Some(notes) = &mut self.notes {
            notes.keys.insert(key.clone());
        }
        self.map.get_mut(&key)
    }

    /// As of `BTreeMap`.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Some(notes) = &mut self.notes {
            notes.keys.insert(key.clone());
        }
        self.map.insert(key, value)
    }

    /// As of `BTreeMap`.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        let removed = self.map.remove(key);
        if removed.is_some() {
            self.note(key);
        }
        removed
    }

    /// As of `BTreeMap`; the value counts as changed.
    pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        if let Some(notes) = &mut self.notes {
            notes.keys.insert(key.clone());
        }
        self.map.entry(key)
    }

    /// As of `BTreeMap`, but values can not be changed by the way.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        let notes = &mut self.notes;
        self.map.retain(|key, value| {
            let kept = keep(key, value);
            if !kept && let Some(notes) = notes {
                notes.keys.insert(key.clone());
            }
            kept
        });
    }

    /// Takes out everything below `key`, in order.
    pub fn take_below(&mut self, key: &K) -> Vec<(K, V)> {
        let kept = self.map.split_off(key);
        let removed = std::mem::replace(&mut self.map, kept);
        if let Some(notes) = &mut self.notes {
            notes.keys.extend(removed.keys().cloned());
        }
        removed.into_iter().collect()
    }

    /// As of `BTreeMap`; all values count as changed.
    pub fn values_mut(&mut self) -> btree_map::ValuesMut<'_, K, V> {
        self.note_all();
        self.map.values_mut()
    }

    /// As of `BTreeMap`; all values count as changed.
    pub fn iter_mut(&mut self) -> btree_map::IterMut<'_, K, V> {
        self.note_all();
        self.map.iter_mut()
    }

    /// As of `BTreeMap`.
    pub fn clear(&mut self) {
        self.note_all();
        self.map.clear();
    }

    /// As of `BTreeMap`.
    pub fn into_values(self) -> btree_map::IntoValues<K, V> {
        self.map.into_values()
    }

    /// As of `BTreeMap`.
    pub fn into_keys(self) -> btree_map::IntoKeys<K, V> {
        self.map.into_keys()
    }
}

impl<K, V> Deref for Tracked<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &BTreeMap<K, V> {
        &self.map
    }
}

impl<K: Ord + Clone, V> Default for Tracked<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

/// A clone starts without notes: it is at home nowhere.
impl<K: Ord + Clone, V: Clone> Clone for Tracked<K, V> {
    fn clone(&self) -> Self {
        Self::from(self.map.clone())
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Tracked<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map.fmt(f)
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for Tracked<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.map == other.map
    }
}

impl<K: Eq, V: Eq> Eq for Tracked<K, V> {}

impl<K: Ord + Clone, V> From<BTreeMap<K, V>> for Tracked<K, V> {
    fn from(map: BTreeMap<K, V>) -> Self {
        Self { map, notes: None }
    }
}

impl<K: Ord + Clone, V, const N: usize> From<[(K, V); N]> for Tracked<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        Self::from(BTreeMap::from(entries))
    }
}

impl<K: Ord + Clone, V> FromIterator<(K, V)> for Tracked<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self::from(entries.into_iter().collect::<BTreeMap<_, _>>())
    }
}

impl<K: Ord + Clone, V> Extend<(K, V)> for Tracked<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K, V> IntoIterator for Tracked<K, V> {
    type Item = (K, V);
    type IntoIter = btree_map::IntoIter<K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.map.into_iter()
    }
}

impl<'a, K, V> IntoIterator for &'a Tracked<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = btree_map::Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.map.iter()
    }
}

impl<'a, K: Ord + Clone, V> IntoIterator for &'a mut Tracked<K, V> {
    type Item = (&'a K, &'a mut V);
    type IntoIter = btree_map::IterMut<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<K: Serialize, V: Serialize> Serialize for Tracked<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.map.serialize(serializer)
    }
}

impl<'de, K: Ord + Clone + Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de>
    for Tracked<K, V>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from)
    }
}

/// Maps whose keys are no texts or numbers, as lists of pairs: JSON has no other form for them.
pub mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Ord + Deserialize<'de>,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        let pairs: Vec<(K, V)> = Vec::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(changes: Changes<i64>) -> Vec<i64> {
        match changes {
            Changes::Keys(keys) => keys.into_iter().collect(),
            Changes::Everything => panic!("expected single keys"),
        }
    }

    fn settled() -> Tracked<i64, i64> {
        let mut map: Tracked<i64, i64> = (1..=5).map(|n| (n, n)).collect();
        assert_eq!(map.take_changes(7), Changes::Everything);
        map
    }

    #[test]
    fn every_way_to_change_is_noted() {
        let mut map = settled();
        assert!(!map.has_changes(7));
        *map.get_mut(&1).unwrap() = 9;
        map.insert(6, 6);
        map.remove(&2);
        assert!(map.has_changes(7));
        assert_eq!(keys(map.take_changes(7)), [1, 2, 6]);
        *map.entry(3).or_default() += 1;
        map.retain(|k, _| *k != 4);
        assert_eq!(map.find_mut(|v| *v == 5).copied(), Some(5));
        assert_eq!(keys(map.take_changes(7)), [3, 4, 5]);
        assert_eq!(map.take_below(&4), [(1, 9), (3, 4)]);
        assert_eq!(keys(map.take_changes(7)), [1, 3]);
        map.values_mut().for_each(|v| *v += 1);
        assert_eq!(keys(map.take_changes(7)), [5, 6]);
        for (_, v) in &mut map {
            *v += 1;
        }
        assert_eq!(keys(map.take_changes(7)), [5, 6]);
        map.extend([(8, 8)]);
        map.clear();
        assert_eq!(keys(map.take_changes(7)), [5, 6, 8]);
    }

    #[test]
    fn what_changes_nothing_is_not_noted() {
        let mut map = settled();
        assert!(map.get_mut(&99).is_none() && map.remove(&99).is_none());
        assert!(map.find_mut(|v| *v == 99).is_none());
        assert!(map.get(&1).is_some() && map.values().count() == 5);
        assert!(keys(map.take_changes(7)).is_empty());
    }

    #[test]
    fn a_map_in_another_place_is_new_there() {
        let mut map = settled();
        let mut copy = map.clone();
        assert_eq!(copy.take_changes(7), Changes::Everything);
        assert_eq!(map.take_changes(8), Changes::Everything);
        assert_eq!(map.take_changes(7), Changes::Everything);
        let mut emptied = std::mem::take(&mut map);
        assert!(keys(emptied.take_changes(7)).is_empty());
        assert_eq!(map.take_changes(7), Changes::Everything);
    }
}
