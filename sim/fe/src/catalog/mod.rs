//! What a table is made of: columns, keys, properties, partitions, indexes, views, and their text.

pub(crate) mod build;
pub(crate) mod build_properties;
pub(crate) mod dates;
pub(crate) mod generated_text;
pub(crate) mod key_columns;
pub(crate) mod partition_index;
pub(crate) mod partitions;
pub(crate) mod properties;
pub(crate) mod property_values;
pub(crate) mod replicas;
pub(crate) mod rollup_schema;
pub(crate) mod show_create;
pub(crate) mod view_columns;
pub(crate) mod view_query;
pub(crate) mod view_text;
