//! Reading of the unframed binary protocol, with limits: bytes from outside can neither panic nor allocate at will.

use std::io::Read;

use thrift::protocol::{
    TFieldIdentifier, TInputProtocol, TListIdentifier, TMapIdentifier, TMessageIdentifier,
    TMessageType, TSetIdentifier, TStructIdentifier, TType,
};
use thrift::{Error, ProtocolError, ProtocolErrorKind, Result};

/// `thrift_max_message_size` of Doris.
const MAX_BYTES: usize = 100 * 1024 * 1024;
/// Elements of one list, set or map. Far above any request, far below what would hurt to allocate.
const MAX_ELEMENTS: usize = 1_000_000;
/// Structs inside structs. The deepest ones are column types, which Doris nests up to nine times.
const MAX_DEPTH: u32 = 64;
const CHUNK: usize = 64 * 1024;

/// A reader of strict messages.
#[derive(Debug)]
pub struct BinaryInput<R> {
    inner: R,
    depth: u32,
}

impl<R: Read> BinaryInput<R> {
    /// Reads from `inner`, which should be buffered.
    pub fn new(inner: R) -> Self {
        BinaryInput { inner, depth: 0 }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn size(&mut self, limit: usize) -> Result<usize> {
        let size = i32::from_be_bytes(self.take()?);
        match usize::try_from(size) {
            Ok(size) if size <= limit => Ok(size),
            Ok(_) | Err(_) => Err(bad(
                ProtocolErrorKind::SizeLimit,
                format!("size {size} is not in 0..={limit}"),
            )),
        }
    }

    fn elements(&mut self) -> Result<i32> {
        let size = self.size(MAX_ELEMENTS)?;
        i32::try_from(size).map_err(|error| bad(ProtocolErrorKind::SizeLimit, error.to_string()))
    }

    fn wire_type(&mut self) -> Result<TType> {
        let byte = self.read_byte()?;
        Ok(match byte {
            0 => TType::Stop,
            2 => TType::Bool,
            3 => TType::I08,
            4 => TType::Double,
            6 => TType::I16,
            8 => TType::I32,
            10 => TType::I64,
            11 => TType::String,
            12 => TType::Struct,
            13 => TType::Map,
            14 => TType::Set,
            15 => TType::List,
            other => {
                return Err(bad(
                    ProtocolErrorKind::InvalidData,
                    format!("{other} is no wire type"),
                ));
            }
        })
    }
}

fn bad(kind: ProtocolErrorKind, message: impl Into<String>) -> Error {
    Error::Protocol(ProtocolError {
        kind,
        message: message.into(),
    })
}

impl<R: Read> TInputProtocol for BinaryInput<R> {
    fn read_message_begin(&mut self) -> Result<TMessageIdentifier> {
        self.depth = 0;
        let [high, low, _, kind] = self.take()?;
        if [high, low] != [0x80, 0x01] {
            return Err(bad(
                ProtocolErrorKind::BadVersion,
                "not a strict binary message",
            ));
        }
        let message_type = TMessageType::try_from(kind)?;
        let length = self.size(1024)?;
        let mut name = vec![0; length];
        self.inner.read_exact(&mut name)?;
        let name = String::from_utf8(name)?;
        let sequence = self.read_i32()?;
        Ok(TMessageIdentifier::new(name, message_type, sequence))
    }

    fn read_message_end(&mut self) -> Result<()> {
        Ok(())
    }

    fn read_struct_begin(&mut self) -> Result<Option<TStructIdentifier>> {
        if self.depth >= MAX_DEPTH {
            return Err(bad(
                ProtocolErrorKind::DepthLimit,
                format!("more than {MAX_DEPTH} structs inside each other"),
            ));
        }
        self.depth += 1;
        Ok(None)
    }

    fn read_struct_end(&mut self) -> Result<()> {
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }

    fn read_field_begin(&mut self) -> Result<TFieldIdentifier> {
        let field_type = self.wire_type()?;
        let id = match field_type {
            TType::Stop => 0,
            _ => self.read_i16()?,
        };
        Ok(TFieldIdentifier::new::<Option<String>, String, i16>(
            None, field_type, id,
        ))
    }

    fn read_field_end(&mut self) -> Result<()> {
        Ok(())
    }

    fn read_bool(&mut self) -> Result<bool> {
        Ok(self.read_byte()? != 0)
    }

    fn read_bytes(&mut self) -> Result<Vec<u8>> {
        let length = self.size(MAX_BYTES)?;
        // Grows with what arrives, not with what was promised.
        let mut bytes = Vec::with_capacity(length.min(CHUNK));
        let read = (&mut self.inner)
            .take(length as u64)
            .read_to_end(&mut bytes)?;
        if read == length {
            Ok(bytes)
        } else {
            Err(Error::from(std::io::Error::from(
                std::io::ErrorKind::UnexpectedEof,
            )))
        }
    }

    fn read_i8(&mut self) -> Result<i8> {
        Ok(i8::from_be_bytes(self.take()?))
    }

    fn read_i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take()?))
    }

    fn read_i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take()?))
    }

    fn read_i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.take()?))
    }

    fn read_double(&mut self) -> Result<f64> {
        Ok(f64::from_be_bytes(self.take()?))
    }

    fn read_string(&mut self) -> Result<String> {
        Ok(String::from_utf8(self.read_bytes()?)?)
    }

    fn read_list_begin(&mut self) -> Result<TListIdentifier> {
        let element = self.wire_type()?;
        Ok(TListIdentifier::new(element, self.elements()?))
    }

    fn read_list_end(&mut self) -> Result<()> {
        Ok(())
    }

    fn read_set_begin(&mut self) -> Result<TSetIdentifier> {
        let element = self.wire_type()?;
        Ok(TSetIdentifier::new(element, self.elements()?))
    }

    fn read_set_end(&mut self) -> Result<()> {
        Ok(())
    }

    fn read_map_begin(&mut self) -> Result<TMapIdentifier> {
        let key = self.wire_type()?;
        let value = self.wire_type()?;
        Ok(TMapIdentifier::new(key, value, self.elements()?))
    }

    fn read_map_end(&mut self) -> Result<()> {
        Ok(())
    }

    fn read_byte(&mut self) -> Result<u8> {
        let [byte] = self.take()?;
        Ok(byte)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_from_outside_are_bounded() {
        let negative = [0xff, 0xff, 0xff, 0xff];
        assert!(BinaryInput::new(&negative[..]).read_bytes().is_err());
        let promised = [0x06, 0x00, 0x00, 0x00, 1, 2, 3];
        assert!(BinaryInput::new(&promised[..]).read_bytes().is_err());
        let list = [12, 0x7f, 0xff, 0xff, 0xff];
        assert!(BinaryInput::new(&list[..]).read_list_begin().is_err());
    }

    #[test]
    fn structs_nest_to_a_limit() {
        // A column whose only member is its list of one child, again and again.
        let level = [15, 0, 10, 12, 0, 0, 0, 1];
        let read = |levels: usize| {
            let mut bytes = level.repeat(levels);
            bytes.extend(std::iter::repeat_n(0, levels + 1));
            let mut input = BinaryInput::new(bytes.as_slice());
            let column: Result<dorisim_wire::TColumn> =
                thrift::protocol::TSerializable::read_from_in_protocol(&mut input);
            match column.unwrap_err() {
                Error::Protocol(error) => error.kind,
                other => panic!("{other}"),
            }
        };
        assert_ne!(read(40), ProtocolErrorKind::DepthLimit, "lacks a name only");
        assert_eq!(read(100_000), ProtocolErrorKind::DepthLimit);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut input = BinaryInput::new(bytes.as_slice());
            let _ = input.read_message_begin();
            let _ = input.skip(TType::Struct);
        }
    }
}
