//! A value that is replaced now and then, and who is notified of that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The last value, shared by watchers.
///
/// Each watcher has a channel of its own and they are notified in the order in which they came: one channel with several
/// receivers notifies them in random order, and then a run of the simulation could not be repeated.
#[derive(Debug)]
pub(crate) struct Latest<T> {
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    value: Arc<T>,
    watchers: Vec<watch::Sender<Arc<T>>>,
}

impl<T: Clone> Latest<T> {
    /// Starts with a value.
    pub(crate) fn new(value: T) -> Self {
        Self {
            inner: Mutex::new(Inner {
                value: Arc::new(value),
                watchers: Vec::new(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the value.
    pub(crate) fn get(&self) -> Arc<T> {
        self.lock().value.clone()
    }

    /// Returns a receiver of the value and of all later ones.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<T>> {
        let mut inner = self.lock();
        inner.watchers.retain(|watcher| !watcher.is_closed());
        let (sender, receiver) = watch::channel(inner.value.clone());
        inner.watchers.push(sender);
        receiver
    }

    /// Changes the value and notifies the watchers.
    pub(crate) fn change(&self, edit: impl FnOnce(&mut T)) {
        let mut inner = self.lock();
        edit(Arc::make_mut(&mut inner.value));
        let Inner { value, watchers } = &mut *inner;
        // A watcher that is gone takes no value.
        watchers.retain(|watcher| watcher.send(value.clone()).is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn watchers_are_notified_in_the_order_in_which_they_came() {
        let latest = Arc::new(Latest::new(0));
        let order: Arc<Mutex<Vec<usize>>> = Arc::default();
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..16 {
            let (mut values, order) = (latest.watch(), order.clone());
            tasks.spawn(async move {
                values.changed().await.unwrap();
                order.lock().unwrap().push(number);
            });
        }
        tokio::task::yield_now().await;
        latest.change(|value| *value = 1);
        tasks.join_all().await;
        assert_eq!(*order.lock().unwrap(), (0..16).collect::<Vec<_>>());
        assert_eq!(*latest.get(), 1);
    }

    #[tokio::test]
    async fn a_watcher_that_is_gone_is_forgotten() {
        let latest = Latest::new(0);
        drop(latest.watch());
        let values = latest.watch();
        assert_eq!(latest.lock().watchers.len(), 1);
        drop(values);
        latest.change(|value| *value = 1);
        assert_eq!(latest.lock().watchers.len(), 0);
    }
}
