//! Index files beside a segment: for each index the texts of its columns with the rows they are in.
//!
//! `DSIMIDX1`, per index its id, the number of terms, per term its length, its bytes, the number of rows and the rows, and a crc32
//! of all that; numbers are big-endian, the id 64 bit, all others 32 bit. Nothing reads them; they are carried, counted and checked as files.

use std::collections::BTreeMap;

use dorisim_model::backend::{Row, TableSchema};
use dorisim_model::{IndexFormat, TabletIndex};

const MAGIC: &[u8; 8] = b"DSIMIDX1";

/// Name and content of each index file of one segment.
pub fn encode(
    schema: &TableSchema,
    rowset_id: &str,
    segment: u32,
    rows: &[Row],
) -> Vec<(String, Vec<u8>)> {
    let names = schema.indexes.file_names(rowset_id, segment);
    let indexes: Vec<&TabletIndex> = schema.indexes.with_files().collect();
    match schema.indexes.format {
        IndexFormat::V1 => names
            .into_iter()
            .zip(&indexes)
            .map(|(name, index)| (name, content(schema, &[*index], rows)))
            .collect(),
        IndexFormat::V2 | IndexFormat::V3 => names
            .into_iter()
            .map(|name| (name, content(schema, &indexes, rows)))
            .collect(),
    }
}

fn content(schema: &TableSchema, indexes: &[&TabletIndex], rows: &[Row]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for index in indexes {
        bytes.extend_from_slice(&index.id.to_be_bytes());
        let mut terms: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for unique_id in &index.columns {
            let column = schema
                .columns
                .iter()
                .position(|c| c.unique_id == *unique_id);
            let Some(column) = column else { continue };
            for (number, row) in rows.iter().enumerate() {
                if let Some(Some(text)) = row.get(column) {
                    terms.entry(text).or_default().push(number);
                }
            }
        }
        put(&mut bytes, terms.len());
        for (term, found) in terms {
            put(&mut bytes, term.len());
            bytes.extend_from_slice(term.as_bytes());
            put(&mut bytes, found.len());
            for row in found {
                put(&mut bytes, row);
            }
        }
    }
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    bytes
}

fn put(bytes: &mut Vec<u8>, number: usize) {
    let number = u32::try_from(number).expect("invariant: cells and segments are below 4 GiB");
    bytes.extend_from_slice(&number.to_be_bytes());
}
