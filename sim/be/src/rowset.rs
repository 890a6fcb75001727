//! A rowset: its meta, its segment files and the index files beside them.
//!
//! A segment file is `DSIMSEG1`, the number of rows, each row as its number of cells and per cell a length
//! (`u32::MAX` for NULL) with the bytes, and a crc32 of all that; numbers are big-endian `u32`. Clients treat them as opaque, as they
//! treat the files of Doris.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::index_files;
use super::rowset_meta::RowsetMeta;
use dorisim_model::backend::{BeError, Row, RowsetView};

const MAGIC: &[u8; 8] = b"DSIMSEG1";
const NULL_LENGTH: u32 = u32::MAX;

/// A rowset with its files in `dir`; rows are read on first use.
#[derive(Debug)]
pub struct Rowset {
    /// Its meta.
    pub meta: RowsetMeta,
    dir: PathBuf,
    rows: OnceLock<Arc<Vec<Row>>>,
}

impl Rowset {
    /// A rowset whose segment files are in `dir` already.
    pub fn on_disk(meta: RowsetMeta, dir: PathBuf) -> Self {
        Rowset {
            meta,
            dir,
            rows: OnceLock::new(),
        }
    }

    /// Writes the rows as segments of at most `rows_per_segment` rows into `dir` and keeps them in memory.
    ///
    /// # Errors
    /// [`BeError::Io`].
    pub fn write(
        mut meta: RowsetMeta,
        dir: PathBuf,
        rows: Arc<Vec<Row>>,
        rows_per_segment: usize,
    ) -> Result<Self, BeError> {
        if !rows.is_empty() {
            make_dir(&dir)?;
        }
        meta.num_segments = 0;
        meta.data_size = 0;
        meta.index_size = 0;
        meta.num_rows = rows.len() as u64;
        for chunk in rows.chunks(rows_per_segment.max(1)) {
            let bytes = encode_segment(chunk);
            let path = dir.join(meta.segment_name(meta.num_segments));
            write_file(&path, &bytes)?;
            let segment = meta.num_segments;
            for (name, content) in
                index_files::encode(&meta.schema, &meta.rowset_id, segment, chunk)
            {
                write_file(&dir.join(name), &content)?;
                meta.index_size += content.len() as u64;
            }
            meta.num_segments += 1;
            meta.data_size += bytes.len() as u64;
        }
        Ok(Rowset {
            meta,
            dir,
            rows: OnceLock::from(rows),
        })
    }

    /// The same files and rows under another meta (publish sets the version).
    pub fn with_meta(&self, meta: RowsetMeta) -> Self {
        Rowset {
            meta,
            dir: self.dir.clone(),
            rows: self.rows.clone(),
        }
    }

    /// The rows, from memory or from the segment files.
    ///
    /// # Errors
    /// [`BeError::Io`], [`BeError::Corrupt`].
    pub fn rows(&self) -> Result<Arc<Vec<Row>>, BeError> {
        if let Some(rows) = self.rows.get() {
            return Ok(Arc::clone(rows));
        }
        let mut rows = Vec::new();
        for path in self.segment_paths() {
            let bytes = std::fs::read(&path).map_err(|source| io_error(&path, source))?;
            decode_segment(&bytes, &mut rows)
                .map_err(|reason| BeError::Corrupt(format!("{}: {reason}", path.display())))?;
        }
        Ok(Arc::clone(self.rows.get_or_init(|| Arc::new(rows))))
    }

    /// What a scan sees.
    ///
    /// # Errors
    /// As [`Rowset::rows`].
    pub fn view(&self) -> Result<RowsetView, BeError> {
        Ok(RowsetView {
            start_version: self.meta.start_version,
            end_version: self.meta.end_version,
            schema: Arc::clone(&self.meta.schema),
            rows: self.rows()?,
            delete: self.meta.delete.clone(),
        })
    }

    /// Absolute paths of the segments in order.
    pub fn segment_paths(&self) -> Vec<PathBuf> {
        (0..self.meta.num_segments)
            .map(|segment| self.dir.join(self.meta.segment_name(segment)))
            .collect()
    }

    /// Deletes the files; missing ones are fine.
    pub fn remove_files(&self) {
        for name in self.meta.file_names() {
            remove_file(&self.dir.join(name));
        }
    }

    /// Hard-links the files into `target`.
    ///
    /// # Errors
    /// [`BeError::Io`].
    pub fn link_into(&self, target: &Path) -> Result<(), BeError> {
        if self.meta.num_segments == 0 {
            return Ok(());
        }
        make_dir(target)?;
        for name in self.meta.file_names() {
            link_file(&self.dir.join(&name), &target.join(&name))?;
        }
        Ok(())
    }
}

/// A segment's bytes.
pub fn encode_segment(rows: &[Row]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 + rows.len() * 64);
    bytes.extend_from_slice(MAGIC);
    put_length(&mut bytes, rows.len());
    for row in rows {
        put_length(&mut bytes, row.len());
        for cell in row {
            match cell {
                None => bytes.extend_from_slice(&NULL_LENGTH.to_be_bytes()),
                Some(text) => {
                    put_length(&mut bytes, text.len());
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
        }
    }
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    bytes
}

fn put_length(bytes: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).expect("invariant: cells and segments are below 4 GiB");
    bytes.extend_from_slice(&length.to_be_bytes());
}

/// Appends the rows of a segment.
///
/// # Errors
/// Says what is wrong with the bytes.
pub fn decode_segment(bytes: &[u8], rows: &mut Vec<Row>) -> Result<(), String> {
    let Some((body, checksum)) = bytes.split_last_chunk::<4>() else {
        return Err("shorter than its checksum".to_owned());
    };
    if crc32fast::hash(body) != u32::from_be_bytes(*checksum) {
        return Err("checksum differs".to_owned());
    }
    let mut rest = body
        .strip_prefix(MAGIC.as_slice())
        .ok_or_else(|| "not a segment".to_owned())?;
    let count = take_length(&mut rest)?;
    for _ in 0..count {
        let width = take_length(&mut rest)?;
        let mut row = Row::new();
        for _ in 0..width {
            let length = take_length(&mut rest)?;
            if length == NULL_LENGTH {
                row.push(None);
                continue;
            }
            let Some((cell, after)) = rest.split_at_checked(length as usize) else {
                return Err("a cell is longer than the file".to_owned());
            };
            rest = after;
            let text = std::str::from_utf8(cell).map_err(|error| error.to_string())?;
            row.push(Some(text.to_owned()));
        }
        rows.push(row);
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err("bytes behind the last row".to_owned())
    }
}

fn take_length(rest: &mut &[u8]) -> Result<u32, String> {
    let Some((number, after)) = rest.split_first_chunk::<4>() else {
        return Err("ends inside a length".to_owned());
    };
    *rest = after;
    Ok(u32::from_be_bytes(*number))
}

/// An error that names the path.
pub fn io_error(path: &Path, source: std::io::Error) -> BeError {
    BeError::Io {
        path: path.display().to_string(),
        source,
    }
}

/// `mkdir -p`
///
/// # Errors
/// [`BeError::Io`].
pub fn make_dir(path: &Path) -> Result<(), BeError> {
    std::fs::create_dir_all(path).map_err(|source| io_error(path, source))
}

/// Writes a whole file.
///
/// # Errors
/// [`BeError::Io`].
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), BeError> {
    std::fs::write(path, bytes).map_err(|source| io_error(path, source))
}

/// Hard-links a file; a link that is there already is fine.
///
/// # Errors
/// [`BeError::Io`].
pub fn link_file(from: &Path, to: &Path) -> Result<(), BeError> {
    match std::fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(io_error(from, source)),
    }
}

/// Deletes a file that nobody needs any more.
pub fn remove_file(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "orphan file stays behind");
    }
}

/// Removes a directory; what cannot be removed is logged and stays.
pub(crate) fn remove_dir(path: &Path) {
    if let Err(error) = std::fs::remove_dir_all(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "directory stays behind");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        vec![
            vec![Some("1".to_owned()), None],
            vec![Some(String::new()), Some("grün".to_owned())],
        ]
    }

    #[test]
    fn a_segment_reads_back_what_was_written() {
        let mut back = Vec::new();
        decode_segment(&encode_segment(&rows()), &mut back).unwrap();
        assert_eq!(back, rows());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let good = encode_segment(&rows());
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(decode_segment(&bad, &mut Vec::new()).is_err(), "byte {at}");
            assert!(
                decode_segment(&good[..at], &mut Vec::new()).is_err(),
                "cut {at}"
            );
        }
    }
}
