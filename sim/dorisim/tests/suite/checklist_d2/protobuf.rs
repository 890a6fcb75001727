//! Protobuf's wire format, read without the message types under test.

/// A field's value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

/// The fields of a message in their order.
#[derive(Debug)]
pub struct Message(Vec<(u64, Value)>);

impl Message {
    /// Reads a message; panics when it is none.
    pub fn read(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            let value = match tag & 7 {
                0 => Value::Number(varint(&mut bytes)),
                2 => {
                    let length = usize::try_from(varint(&mut bytes)).unwrap();
                    let (value, rest) = bytes.split_at(length);
                    bytes = rest;
                    Value::Bytes(value.to_vec())
                }
                kind => panic!("no field of these messages has wire type {kind}"),
            };
            fields.push((tag >> 3, value));
        }
        Message(fields)
    }

    /// A number that must be there.
    pub fn number(&self, field: u64) -> i64 {
        match self.0.iter().find(|(found, _)| *found == field) {
            Some((_, Value::Number(value))) => value.cast_signed(),
            other => panic!("field {field} is {other:?}"),
        }
    }

    /// Bytes that must be there.
    pub fn bytes(&self, field: u64) -> &[u8] {
        match self.0.iter().find(|(found, _)| *found == field) {
            Some((_, Value::Bytes(value))) => value,
            other => panic!("field {field} is {other:?}"),
        }
    }

    /// All values of a repeated field.
    pub fn all(&self, field: u64) -> Vec<Vec<u8>> {
        let found = self.0.iter().filter(|(found, _)| *found == field);
        found
            .map(|(_, value)| match value {
                Value::Bytes(bytes) => bytes.clone(),
                Value::Number(_) => panic!("field {field} is a number"),
            })
            .collect()
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number of more than 64 bits");
}
