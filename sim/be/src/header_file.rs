//! `<tablet>.hdr`: a fixed header, an unused number and a `TabletMetaPB`, in the layout of Doris (little-endian, packed):
//! magic 0 (8 bytes), version 1 (4), length of the file (8), checksum 0 (4), length of the message (8), its Adler-32 (4), 0 (4).

use prost::Message;

use super::pb::TabletMetaPb;

const FIXED: usize = 36;
const EXTRA: usize = 4;
const VERSION: u32 = 1;

/// The bytes of a header file.
pub fn encode(meta: &TabletMetaPb) -> Vec<u8> {
    let message = meta.encode_to_vec();
    let length = FIXED + EXTRA + message.len();
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(&0_u64.to_le_bytes());
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(length as u64).to_le_bytes());
    bytes.extend_from_slice(&0_u32.to_le_bytes());
    bytes.extend_from_slice(&(message.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&adler32(&message).to_le_bytes());
    bytes.extend_from_slice(&[0; EXTRA]);
    bytes.extend_from_slice(&message);
    bytes
}

/// Reads a header file.
///
/// # Errors
/// Says what is wrong with the bytes.
pub fn decode(bytes: &[u8]) -> Result<TabletMetaPb, String> {
    let (fixed, rest) = bytes
        .split_at_checked(FIXED)
        .ok_or_else(|| "shorter than its fixed header".to_owned())?;
    let message = rest
        .get(EXTRA..)
        .ok_or_else(|| "shorter than its fixed header".to_owned())?;
    let number = |at: usize, width: usize| {
        let digits = fixed.iter().skip(at).take(width).rev();
        digits.fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    if number(0, 8) != 0 {
        return Err("another magic number".to_owned());
    }
    if number(12, 8) != bytes.len() as u64 || number(24, 8) != message.len() as u64 {
        return Err("file length is not match".to_owned());
    }
    if number(32, 4) != u64::from(adler32(message)) {
        return Err("checksum is not match".to_owned());
    }
    TabletMetaPb::decode(message).map_err(|error| error.to_string())
}

fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in bytes {
        low = (low + u32::from(*byte)) % MODULUS;
        high = (high + low) % MODULUS;
    }
    high << 16 | low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adler32_is_that_of_zlib() {
        assert_eq!(adler32(b""), 1);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn a_header_reads_back_and_damage_is_noticed() {
        let meta = TabletMetaPb {
            tablet_id: Some(7),
            ..TabletMetaPb::default()
        };
        let good = encode(&meta);
        assert_eq!(good.len(), 42);
        assert_eq!(decode(&good), Ok(meta));
        for at in (0..8).chain(12..20).chain(24..36).chain(40..good.len()) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(decode(&bad).is_err(), "byte {at}");
        }
        assert!(decode(&good[..good.len() - 1]).is_err());
    }
}
