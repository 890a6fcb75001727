//! TRUNCATE TABLE.

use super::{ObjectName, force_word, idents};

/// What TRUNCATE empties. A list without partitions cannot be made: the server would read it as the entire table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TruncateScope<'a> {
    /// All partitions.
    EntireTable,
    /// These partitions alone.
    Partitions(PartitionNames<'a>),
}

/// At least one name of a partition, none of them empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionNames<'a>(Vec<&'a str>);

impl<'a> TruncateScope<'a> {
    /// Returns the scope of these partitions; `None` without a partition, or when a name is empty.
    pub fn partitions(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let names: Vec<&str> = names.into_iter().collect();
        let is_known = !names.is_empty() && names.iter().all(|name| !name.is_empty());
        is_known.then_some(Self::Partitions(PartitionNames(names)))
    }
}

/// TRUNCATE TABLE, of the table or of partitions.
pub fn truncate(table: ObjectName<'_>, scope: &TruncateScope<'_>, force: bool) -> String {
    let only = match scope {
        TruncateScope::EntireTable => String::new(),
        TruncateScope::Partitions(PartitionNames(names)) => {
            format!(" PARTITION ({})", idents(names))
        }
    };
    format!("TRUNCATE TABLE {table}{only}{}", force_word(force))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_without_partitions_never_means_the_entire_table() {
        assert_eq!(TruncateScope::partitions([]), None);
        assert_eq!(TruncateScope::partitions(["p1", ""]), None);
        let table = ObjectName::new("d", "t");
        assert_eq!(
            truncate(table, &TruncateScope::EntireTable, false),
            "TRUNCATE TABLE `d`.`t`"
        );
        let two = TruncateScope::partitions(["p1", "p 2"]).expect("two names");
        assert_eq!(
            truncate(table, &two, true),
            "TRUNCATE TABLE `d`.`t` PARTITION (`p1`, `p 2`) FORCE"
        );
    }
}
