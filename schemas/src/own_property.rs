//! Properties of tables that are not replicated.

/// Properties that each cluster decides for itself, or that are switched off on replicas.
const OWN_PROPERTIES: [&str; 9] = [
    "binlog.enable",
    "light_schema_change",
    "dynamic_partition.enable",
    "dynamic_partition.storage_policy",
    "colocate_with",
    "storage_policy",
    "replication_num",
    "replication_allocation",
    "is_being_synced",
];

/// True for a property that belongs to each cluster alone and is not repeated at destinations.
pub fn is_own_property(key: &str) -> bool {
    OWN_PROPERTIES.contains(&key)
}
