//! Reading of the compact protocol, with limits: plan fragments of a frontend come in it.

use std::io::Read;

use thrift::protocol::{
    TFieldIdentifier, TInputProtocol, TListIdentifier, TMapIdentifier, TMessageIdentifier,
    TSetIdentifier, TStructIdentifier, TType,
};
use thrift::{Error, ProtocolError, ProtocolErrorKind, Result};

/// Elements of one list, set or map: a row of a large INSERT has a few expressions per cell.
const MAX_ELEMENTS: u64 = 4_000_000;
/// Structs inside structs.
const MAX_DEPTH: usize = 64;
const CHUNK: u64 = 64 * 1024;

/// A reader of one struct.
#[derive(Debug)]
pub struct CompactInput<R> {
    inner: R,
    /// Last field id of every open struct.
    fields: Vec<i16>,
    /// Value of the bool field whose header was read last: it stands in the header.
    pending: Option<bool>,
}

fn bad(kind: ProtocolErrorKind, message: impl Into<String>) -> Error {
    Error::Protocol(ProtocolError {
        kind,
        message: message.into(),
    })
}

impl<R: Read> CompactInput<R> {
    /// Reads from `inner`.
    pub fn new(inner: R) -> Self {
        CompactInput {
            inner,
            fields: Vec::new(),
            pending: None,
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(bad(
            ProtocolErrorKind::InvalidData,
            "a number has more than ten bytes",
        ))
    }

    fn zigzag(&mut self) -> Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    fn elements(&mut self, short: u64) -> Result<i32> {
        let count = if short == 15 { self.varint()? } else { short };
        match i32::try_from(count) {
            Ok(fits) if count <= MAX_ELEMENTS => Ok(fits),
            Ok(_) | Err(_) => Err(bad(
                ProtocolErrorKind::SizeLimit,
                format!("{count} elements are more than {MAX_ELEMENTS}"),
            )),
        }
    }

    fn list(&mut self) -> Result<(TType, i32)> {
        let [head] = self.take()?;
        let kind = wire_type(head & 0x0f)?;
        Ok((kind, self.elements(u64::from(head >> 4))?))
    }
}

fn wire_type(number: u8) -> Result<TType> {
    Ok(match number {
        0 => TType::Stop,
        1 | 2 => TType::Bool,
        3 => TType::I08,
        4 => TType::I16,
        5 => TType::I32,
        6 => TType::I64,
        7 => TType::Double,
        8 => TType::String,
        9 => TType::List,
        10 => TType::Set,
        11 => TType::Map,
        12 => TType::Struct,
        other => {
            return Err(bad(
                ProtocolErrorKind::InvalidData,
                format!("{other} is no compact type"),
            ));
        }
    })
}

impl<R: Read> TInputProtocol for CompactInput<R> {
    fn read_message_begin(&mut self) -> Result<TMessageIdentifier> {
        Err(bad(
            ProtocolErrorKind::NotImplemented,
            "structs are read here, not messages",
        ))
    }

    fn read_message_end(&mut self) -> Result<()> {
        Ok(())
    }

    fn read_struct_begin(&mut self) -> Result<Option<TStructIdentifier>> {
        if self.fields.len() >= MAX_DEPTH {
            return Err(bad(
                ProtocolErrorKind::DepthLimit,
                format!("more than {MAX_DEPTH} structs inside each other"),
            ));
        }
        self.fields.push(0);
        Ok(None)
    }

    fn read_struct_end(&mut self) -> Result<()> {
        self.fields.pop();
        Ok(())
    }

    fn read_field_begin(&mut self) -> Result<TFieldIdentifier> {
        let [head] = self.take()?;
        let field_type = wire_type(head & 0x0f)?;
        if field_type == TType::Stop {
            return Ok(TFieldIdentifier::new::<Option<String>, String, i16>(
                None, field_type, 0,
            ));
        }
        self.pending = match head & 0x0f {
            1 => Some(true),
            2 => Some(false),
            _ => None,
        };
        let last = self.fields.last().copied().unwrap_or(0);
        let id = match head >> 4 {
            0 => self.read_i16()?,
            delta => last.wrapping_add(i16::from(delta)),
        };
        if let Some(last) = self.fields.last_mut() {
            *last = id;
        }
        Ok(TFieldIdentifier::new::<Option<String>, String, i16>(
            None, field_type, id,
        ))
    }

    fn read_field_end(&mut self) -> Result<()> {
        Ok(())
    }

    fn read_bool(&mut self) -> Result<bool> {
        if let Some(value) = self.pending.take() {
            return Ok(value);
        }
        Ok(self.read_byte()? == 1)
    }

    fn read_bytes(&mut self) -> Result<Vec<u8>> {
        let length = self.varint()?;
        // Grows with what arrives, not with what was promised.
        let mut bytes = Vec::with_capacity(usize::try_from(length.min(CHUNK)).unwrap_or(0));
        let read = (&mut self.inner).take(length).read_to_end(&mut bytes)?;
        if read as u64 == length {
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
        let value = self.zigzag()?;
        i16::try_from(value).map_err(|error| bad(ProtocolErrorKind::InvalidData, error.to_string()))
    }

    fn read_i32(&mut self) -> Result<i32> {
        let value = self.zigzag()?;
        i32::try_from(value).map_err(|error| bad(ProtocolErrorKind::InvalidData, error.to_string()))
    }

    fn read_i64(&mut self) -> Result<i64> {
        self.zigzag()
    }

    fn read_double(&mut self) -> Result<f64> {
        Ok(f64::from_le_bytes(self.take()?))
    }

    fn read_string(&mut self) -> Result<String> {
        Ok(String::from_utf8(self.read_bytes()?)?)
    }

    fn read_list_begin(&mut self) -> Result<TListIdentifier> {
        let (element, count) = self.list()?;
        Ok(TListIdentifier::new(element, count))
    }

    fn read_list_end(&mut self) -> Result<()> {
        Ok(())
    }

    fn read_set_begin(&mut self) -> Result<TSetIdentifier> {
        let (element, count) = self.list()?;
        Ok(TSetIdentifier::new(element, count))
    }

    fn read_set_end(&mut self) -> Result<()> {
        Ok(())
    }

    fn read_map_begin(&mut self) -> Result<TMapIdentifier> {
        let count = self.elements(15)?;
        if count == 0 {
            return Ok(TMapIdentifier::new(None, None, 0));
        }
        let [kinds] = self.take()?;
        Ok(TMapIdentifier::new(
            wire_type(kinds >> 4)?,
            wire_type(kinds & 0x0f)?,
            count,
        ))
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
    use dorisim_wire::plan::{TPlanExprNode, TTypeDesc};
    use proptest::prelude::*;
    use thrift::protocol::{TCompactOutputProtocol, TSerializable};

    use super::*;

    #[test]
    fn what_the_crate_writes_is_read_back() {
        let node = TPlanExprNode {
            is_nullable: Some(false),
            label: Some("ä".repeat(300)),
            float_literal: Some(dorisim_wire::plan::TFloatLiteral {
                value: (-1.5).into(),
            }),
            int_literal: Some(dorisim_wire::plan::TIntLiteral { value: i64::MIN }),
            bool_literal: Some(dorisim_wire::plan::TBoolLiteral { value: true }),
            ..TPlanExprNode::new(
                dorisim_wire::plan::TPlanExprKind::INT_LITERAL,
                TTypeDesc {
                    types: Some(Vec::new()),
                },
                None,
                -3,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
            )
        };
        let mut bytes = Vec::new();
        node.write_to_out_protocol(&mut TCompactOutputProtocol::new(&mut bytes))
            .unwrap();
        let back = TPlanExprNode::read_from_in_protocol(&mut CompactInput::new(bytes.as_slice()));
        assert_eq!(back.unwrap(), node);
    }

    #[test]
    fn sizes_from_outside_are_bounded() {
        let promised = [0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2];
        assert!(CompactInput::new(&promised[..]).read_bytes().is_err());
        let list = [0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f];
        assert!(CompactInput::new(&list[..]).read_list_begin().is_err());
        assert!(CompactInput::new(&[0xff; 11][..]).read_i64().is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = CompactInput::new(bytes.as_slice()).skip(TType::Struct);
        }
    }
}
