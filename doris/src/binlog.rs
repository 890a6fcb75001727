//! Raw binlog records -> typed records, one variant per type.
