//! The hash that spreads rows over buckets: CRC32 over the typed values, as Doris does it, so that the frontend's pruning finds them.

use dorisim_model::{Cell, DataType};

/// Continues `seed` with one value.
#[must_use]
pub fn hash(seed: u32, cell: &Cell, data_type: &DataType) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    match cell {
        Some(text) => match bytes(text, data_type) {
            Some(bytes) => hasher.update(&bytes),
            None => hasher.update(text.as_bytes()),
        },
        // NULL counts as a zero of four bytes.
        None => hasher.update(&[0; 4]),
    }
    hasher.finalize()
}

/// The value as Doris keeps it in memory; `None` for texts.
fn bytes(text: &str, data_type: &DataType) -> Option<Vec<u8>> {
    match data_type {
        DataType::Boolean | DataType::TinyInt => integer(text, 1),
        DataType::SmallInt => integer(text, 2),
        DataType::Int => integer(text, 4),
        DataType::BigInt => integer(text, 8),
        DataType::LargeInt => integer(text, 16),
        DataType::Float => Some(text.parse::<f32>().ok()?.to_le_bytes().to_vec()),
        DataType::Double => Some(text.parse::<f64>().ok()?.to_le_bytes().to_vec()),
        DataType::Decimal(precision, _) => {
            let digits = text.replace('.', "");
            match precision {
                ..=9 => integer(&digits, 4),
                10..=18 => integer(&digits, 8),
                19..=38 => integer(&digits, 16),
                39.. => {
                    let value: i128 = digits.parse().ok()?;
                    let mut wide = value.to_le_bytes().to_vec();
                    wide.extend([if value < 0 { 0xff } else { 0 }; 16]);
                    Some(wide)
                }
            }
        }
        DataType::Date => {
            let [year, month, day, ..] = numbers(text)?;
            let packed = u32::try_from(year << 9 | month << 5 | day).ok()?;
            Some(packed.to_le_bytes().to_vec())
        }
        DataType::DateTime(_) => {
            let [year, month, day, hour, minute, second, micros] = numbers(text)?;
            let packed = year << 46
                | month << 42
                | day << 37
                | hour << 32
                | minute << 26
                | second << 20
                | micros;
            Some(packed.to_le_bytes().to_vec())
        }
        DataType::Ipv4 => {
            let address: std::net::Ipv4Addr = text.parse().ok()?;
            Some(address.to_bits().to_le_bytes().to_vec())
        }
        DataType::Ipv6 => {
            let address: std::net::Ipv6Addr = text.parse().ok()?;
            Some(address.to_bits().to_le_bytes().to_vec())
        }
        DataType::Char(_)
        | DataType::Varchar(_)
        | DataType::String
        | DataType::Json
        | DataType::Variant
        | DataType::Array(_)
        | DataType::Map(..)
        | DataType::Struct(_)
        | DataType::Bitmap
        | DataType::Hll
        | DataType::QuantileState
        | DataType::AggState(_) => None,
    }
}

fn integer(text: &str, width: usize) -> Option<Vec<u8>> {
    let value: i128 = text.parse().ok()?;
    Some(value.to_le_bytes()[..width].to_vec())
}

/// Year, month, day, hour, minute, second, microseconds of a canonical text.
fn numbers(text: &str) -> Option<[u64; 7]> {
    let (moment, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = moment.split(['-', ' ', ':']);
    let mut found = [0; 7];
    for slot in &mut found[..6] {
        match parts.next() {
            Some(part) => *slot = part.parse().ok()?,
            None => break,
        }
    }
    if !fraction.is_empty() {
        found[6] = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_hash_as_their_bytes_and_nulls_as_zero() {
        let of = |text: &str, ty: &DataType| hash(0, &Some(text.to_owned()), ty);
        assert_eq!(of("1", &DataType::Int), crc32fast::hash(&[1, 0, 0, 0]));
        assert_eq!(of("-1", &DataType::BigInt), crc32fast::hash(&[0xff; 8]));
        assert_eq!(hash(0, &None, &DataType::BigInt), crc32fast::hash(&[0; 4]));
        assert_eq!(of("ab", &DataType::String), crc32fast::hash(b"ab"));
        let cents = of("-1.50", &DataType::Decimal(18, 2));
        assert_eq!(cents, crc32fast::hash(&(-150_i64).to_le_bytes()));
        let day = of("2024-02-03", &DataType::Date);
        let packed: u32 = 2024 << 9 | 2 << 5 | 3;
        assert_eq!(day, crc32fast::hash(&packed.to_le_bytes()));
        let first = of("1", &DataType::Int);
        let both = hash(first, &Some("x".to_owned()), &DataType::String);
        assert_eq!(both, crc32fast::hash(&[1, 0, 0, 0, b'x']));
    }
}
