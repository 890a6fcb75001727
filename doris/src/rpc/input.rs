//! Decodes from bytes that are all there. Every length is checked against what is left.

use thrift::protocol::{
    TFieldIdentifier, TInputProtocol, TListIdentifier, TMapIdentifier, TMessageIdentifier,
    TMessageType, TSetIdentifier, TStructIdentifier, TType,
};
use thrift::{ProtocolError, ProtocolErrorKind};

/// Most elements of one container. Generated code reserves room for all of them before it reads the first.
const MAX_ELEMENTS: usize = 16 * 1024 * 1024;

/// Strict binary protocol over a slice.
#[derive(Debug)]
pub(super) struct SliceInput<'a> {
    left: &'a [u8],
}

impl<'a> SliceInput<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    fn take(&mut self, length: usize) -> thrift::Result<&'a [u8]> {
        if length > self.left.len() {
            return Err(invalid("the answer ends in the middle of a value"));
        }
        let (taken, left) = self.left.split_at(length);
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> thrift::Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn kind(&mut self) -> thrift::Result<TType> {
        match self.read_byte()? {
            0 => Ok(TType::Stop),
            2 => Ok(TType::Bool),
            3 => Ok(TType::I08),
            4 => Ok(TType::Double),
            6 => Ok(TType::I16),
            8 => Ok(TType::I32),
            10 => Ok(TType::I64),
            11 => Ok(TType::String),
            12 => Ok(TType::Struct),
            13 => Ok(TType::Map),
            14 => Ok(TType::Set),
            15 => Ok(TType::List),
            _ => Err(invalid("unknown field type")),
        }
    }

    fn elements(&mut self) -> thrift::Result<i32> {
        let count = self.read_i32()?;
        match usize::try_from(count) {
            // No element is shorter than a byte.
            Ok(many) if many <= self.left.len() && many <= MAX_ELEMENTS => Ok(count),
            _ => Err(invalid(
                "a container claims more elements than there are bytes",
            )),
        }
    }
}

pub(super) fn invalid(message: &str) -> thrift::Error {
    thrift::Error::Protocol(ProtocolError {
        kind: ProtocolErrorKind::InvalidData,
        message: message.to_owned(),
    })
}

impl TInputProtocol for SliceInput<'_> {
    fn read_message_begin(&mut self) -> thrift::Result<TMessageIdentifier> {
        let [first, second, _, kind] = self.array()?;
        if [first, second] != [0x80, 0x01] {
            return Err(invalid("not a strict binary message"));
        }
        let kind = TMessageType::try_from(kind)?;
        let name = self.read_string()?;
        let sequence = self.read_i32()?;
        Ok(TMessageIdentifier::new(name, kind, sequence))
    }

    fn read_message_end(&mut self) -> thrift::Result<()> {
        Ok(())
    }

    fn read_struct_begin(&mut self) -> thrift::Result<Option<TStructIdentifier>> {
        Ok(None)
    }

    fn read_struct_end(&mut self) -> thrift::Result<()> {
        Ok(())
    }

    fn read_field_begin(&mut self) -> thrift::Result<TFieldIdentifier> {
        let kind = self.kind()?;
        let id = match kind {
            TType::Stop => 0,
            _ => self.read_i16()?,
        };
        Ok(TFieldIdentifier::new::<Option<String>, String, i16>(
            None, kind, id,
        ))
    }

    fn read_field_end(&mut self) -> thrift::Result<()> {
        Ok(())
    }

    fn read_bool(&mut self) -> thrift::Result<bool> {
        Ok(self.read_byte()? != 0)
    }

    fn read_bytes(&mut self) -> thrift::Result<Vec<u8>> {
        let length = usize::try_from(self.read_i32()?).map_err(|_| invalid("negative length"))?;
        Ok(self.take(length)?.to_vec())
    }

    fn read_i8(&mut self) -> thrift::Result<i8> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    fn read_i16(&mut self) -> thrift::Result<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    fn read_i32(&mut self) -> thrift::Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    fn read_i64(&mut self) -> thrift::Result<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    fn read_double(&mut self) -> thrift::Result<f64> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    fn read_string(&mut self) -> thrift::Result<String> {
        String::from_utf8(self.read_bytes()?).map_err(|_| invalid("a text is not UTF-8"))
    }

    fn read_list_begin(&mut self) -> thrift::Result<TListIdentifier> {
        let kind = self.kind()?;
        let count = self.elements()?;
        Ok(TListIdentifier::new(kind, count))
    }

    fn read_list_end(&mut self) -> thrift::Result<()> {
        Ok(())
    }

    fn read_set_begin(&mut self) -> thrift::Result<TSetIdentifier> {
        let kind = self.kind()?;
        let count = self.elements()?;
        Ok(TSetIdentifier::new(kind, count))
    }

    fn read_set_end(&mut self) -> thrift::Result<()> {
        Ok(())
    }

    fn read_map_begin(&mut self) -> thrift::Result<TMapIdentifier> {
        let key = self.kind()?;
        let value = self.kind()?;
        let count = self.elements()?;
        Ok(TMapIdentifier::new(key, value, count))
    }

    fn read_map_end(&mut self) -> thrift::Result<()> {
        Ok(())
    }

    fn read_byte(&mut self) -> thrift::Result<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }
}
