//! Properties of tables that are not replicated.

/// Properties that each cluster decides for itself, or that are switched off on replicas.
const OWN_PROPERTIES: [&str; 11] = [
    "binlog.enable",
    "light_schema_change",
    "dynamic_partition.enable",
    "dynamic_partition.replication_allocation",
    "dynamic_partition.replication_num",
    "dynamic_partition.storage_policy",
    "colocate_with",
    "storage_policy",
    "replication_num",
    "replication_allocation",
    "is_being_synced",
];

/// True for a property that belongs to each cluster alone and is not repeated at destinations. With `default.` in front a
/// name says the same for future partitions.
pub fn is_own_property(key: &str) -> bool {
    OWN_PROPERTIES.contains(&key.strip_prefix("default.").unwrap_or(key))
}

#[cfg(test)]
mod tests {
    use super::is_own_property;

    #[test]
    fn names_of_future_partitions_are_own_where_those_of_the_table_are() {
        for key in [
            "replication_num",
            "default.replication_num",
            "default.replication_allocation",
            "default.storage_policy",
            "dynamic_partition.replication_num",
        ] {
            assert!(is_own_property(key), "{key}");
        }
        for key in ["default.", "dynamic_partition.end", "bloom_filter_columns"] {
            assert!(!is_own_property(key), "{key}");
        }
    }
}
