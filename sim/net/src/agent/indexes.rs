//! Secondary indexes between the model and the wire.

use dorisim_wire::{TIndexType, TInvertedIndexFileStorageFormat, TOlapTableIndex};

use super::WireError;
use dorisim_model::{Column, IndexFormat, IndexKind, TabletIndex, TabletIndexes};

/// The indexes of a schema with these columns; absent when there are none.
pub fn indexes_to_wire(
    indexes: &TabletIndexes,
    columns: &[Column],
) -> Option<Vec<TOlapTableIndex>> {
    let name_of = |unique_id: &i32| {
        let found = columns.iter().find(|c| c.unique_id == *unique_id);
        found.map(|column| column.name.clone())
    };
    let index = |index: &TabletIndex| TOlapTableIndex {
        index_name: Some(index.name.clone()),
        columns: Some(index.columns.iter().filter_map(name_of).collect()),
        index_type: Some(match index.kind {
            IndexKind::Bitmap => TIndexType::BITMAP,
            IndexKind::Inverted => TIndexType::INVERTED,
            IndexKind::BloomFilter => TIndexType::BLOOMFILTER,
            IndexKind::NgramBf => TIndexType::NGRAM_BF,
            IndexKind::Ann => TIndexType::ANN,
        }),
        comment: None,
        index_id: Some(index.id),
        properties: Some(index.properties.clone()),
        column_unique_ids: Some(index.columns.clone()),
    };
    (!indexes.list.is_empty()).then(|| indexes.list.iter().map(index).collect())
}

/// Reads the indexes of a schema with these columns. The format is told beside them, in the task.
///
/// # Errors
/// Unknown kinds.
pub fn indexes_from_wire(
    wire: Option<&Vec<TOlapTableIndex>>,
    columns: &[Column],
    format: IndexFormat,
) -> Result<TabletIndexes, WireError> {
    let list = wire.into_iter().flatten().map(|index| {
        let kind = match index.index_type {
            Some(TIndexType::BITMAP) => IndexKind::Bitmap,
            Some(TIndexType::INVERTED) => IndexKind::Inverted,
            Some(TIndexType::BLOOMFILTER) => IndexKind::BloomFilter,
            Some(TIndexType::NGRAM_BF) => IndexKind::NgramBf,
            Some(TIndexType::ANN) => IndexKind::Ann,
            other => {
                return Err(WireError::new(format!(
                    "index {}: no kind has number {:?}",
                    index.index_name.as_deref().unwrap_or("?"),
                    other.map(|kind| kind.0)
                )));
            }
        };
        let named = |name: &String| {
            let found = columns.iter().find(|c| c.is_named(name));
            found.map(|column| column.unique_id)
        };
        let by_name = || index.columns.iter().flatten().filter_map(named).collect();
        Ok(TabletIndex {
            id: index.index_id.unwrap_or(-1),
            name: index.index_name.clone().unwrap_or_default(),
            kind,
            columns: index.column_unique_ids.clone().unwrap_or_else(by_name),
            properties: index.properties.clone().unwrap_or_default(),
        })
    });
    Ok(TabletIndexes {
        format,
        list: list.collect::<Result<_, _>>()?,
    })
}

/// The member of a CREATE task.
pub fn format_to_wire(format: IndexFormat) -> TInvertedIndexFileStorageFormat {
    match format {
        IndexFormat::V1 => TInvertedIndexFileStorageFormat::V1,
        IndexFormat::V2 => TInvertedIndexFileStorageFormat::V2,
        IndexFormat::V3 => TInvertedIndexFileStorageFormat::V3,
    }
}

/// Reads the member of a CREATE task; absent and unknown ones are the default.
pub fn format_from_wire(format: Option<TInvertedIndexFileStorageFormat>) -> IndexFormat {
    match format {
        Some(TInvertedIndexFileStorageFormat::V1) => IndexFormat::V1,
        Some(TInvertedIndexFileStorageFormat::V3) => IndexFormat::V3,
        Some(_) | None => IndexFormat::V2,
    }
}
