//! One copy of each schema: the CREATE tasks of a table bring theirs once per tablet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use dorisim_model::TableSchema;

/// Schemas in use, by their hash.
#[derive(Debug, Default)]
pub struct SchemaPool(Mutex<HashMap<i32, Vec<Weak<TableSchema>>>>);

impl SchemaPool {
    /// The copy that all tablets of this schema share.
    pub fn shared(&self, schema: Arc<TableSchema>) -> Arc<TableSchema> {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let alike = pool.entry(schema.schema_hash).or_default();
        alike.retain(|known| known.strong_count() > 0);
        let known = alike
            .iter()
            .filter_map(Weak::upgrade)
            .find(|known| *known == schema);
        known.unwrap_or_else(|| {
            alike.push(Arc::downgrade(&schema));
            schema
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dorisim_model::{Column, DataType, KeysModel};

    #[test]
    fn equal_schemas_are_one() {
        let schema = |name: &str| {
            Arc::new(TableSchema {
                columns: vec![Column::new(name, DataType::Int)],
                keys: KeysModel::Duplicate,
                schema_hash: 4,
                schema_version: 0,
                indexes: Default::default(),
            })
        };
        let pool = SchemaPool::default();
        let first = pool.shared(schema("a"));
        assert!(Arc::ptr_eq(&first, &pool.shared(schema("a"))));
        assert!(!Arc::ptr_eq(&first, &pool.shared(schema("b"))));
    }
}
