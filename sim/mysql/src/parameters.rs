//! Prepared statements of a connection and the parameters that come with COM_STMT_EXECUTE.

use std::collections::HashMap;
use std::io;

use mysql_common::constants::{ColumnFlags, ColumnType};
use mysql_common::io::ParseBuf;
use mysql_common::value::{BinValue, Value, ValueDeserializer};

use crate::packets::invalid;

/// Bytes of COM_STMT_SEND_LONG_DATA that one statement may collect.
const MAX_LONG_DATA: usize = 64 << 20;
/// Flag of an unsigned type.
const UNSIGNED: u8 = 0x80;

/// A prepared statement.
pub(crate) struct Statement {
    pub(crate) text: String,
    parameters: usize,
    /// Types of the last execution that sent them; later ones may leave them out.
    types: Vec<(ColumnType, ColumnFlags)>,
    /// Values that were sent before, by parameter.
    long_data: HashMap<usize, Vec<u8>>,
}

impl Statement {
    pub(crate) fn new(text: String, parameters: usize) -> Self {
        Self {
            text,
            parameters,
            types: Vec::new(),
            long_data: HashMap::new(),
        }
    }

    /// Appends to the value of a parameter (COM_STMT_SEND_LONG_DATA).
    pub(crate) fn append(&mut self, parameter: usize, data: &[u8]) -> io::Result<()> {
        let known: usize = self.long_data.values().map(Vec::len).sum();
        if parameter >= self.parameters || known.saturating_add(data.len()) > MAX_LONG_DATA {
            return Err(invalid("long data of no parameter, or too much of it"));
        }
        self.long_data.entry(parameter).or_default().extend(data);
        Ok(())
    }

    /// Forgets values that were sent before.
    pub(crate) fn forget(&mut self) {
        self.long_data.clear();
    }

    /// Reads the parameters of an execution: a bitmap of NULLs, types if they are new, values.
    pub(crate) fn values(&mut self, input: &[u8]) -> io::Result<Vec<Value>> {
        if self.parameters == 0 {
            return Ok(Vec::new());
        }
        let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let mut input = ParseBuf(input);
        let nulls = input
            .checked_eat(self.parameters.div_ceil(8))
            .ok_or_else(short)?;
        if input.checked_eat_u8().ok_or_else(short)? != 0 {
            let types = input.checked_eat(2 * self.parameters).ok_or_else(short)?;
            self.types = types
                .chunks_exact(2)
                .map(typed)
                .collect::<io::Result<_>>()?;
        }
        if self.types.len() != self.parameters {
            return Err(invalid("an execution whose parameters have no types"));
        }
        let mut values = Vec::with_capacity(self.parameters);
        for (at, kind) in self.types.iter().enumerate() {
            let is_null = nulls
                .get(at / 8)
                .is_some_and(|byte| byte & (1 << (at % 8)) != 0);
            values.push(if let Some(data) = self.long_data.remove(&at) {
                Value::Bytes(data)
            } else if is_null {
                Value::NULL
            } else {
                input.parse::<ValueDeserializer<BinValue>>(*kind)?.0
            });
        }
        Ok(values)
    }
}

/// A type that values can be read of; `mysql_common` panics at others.
fn typed(bytes: &[u8]) -> io::Result<(ColumnType, ColumnFlags)> {
    let [number, flags] = bytes else {
        return Err(invalid("half a type"));
    };
    let known = ColumnType::try_from(*number).map_err(invalid)?;
    let readable = !matches!(
        known,
        ColumnType::MYSQL_TYPE_TIMESTAMP2
            | ColumnType::MYSQL_TYPE_DATETIME2
            | ColumnType::MYSQL_TYPE_TIME2
            | ColumnType::MYSQL_TYPE_TYPED_ARRAY
            | ColumnType::MYSQL_TYPE_UNKNOWN
    );
    if !readable {
        return Err(invalid("a parameter of an internal type"));
    }
    let unsigned = flags & UNSIGNED != 0;
    let flags = if unsigned {
        ColumnFlags::UNSIGNED_FLAG
    } else {
        ColumnFlags::empty()
    };
    Ok((known, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: u8 = ColumnType::MYSQL_TYPE_TINY as u8;

    #[test]
    fn types_are_kept_for_later_executions() {
        let mut statement = Statement::new(String::new(), 2);
        let typed = [0b10, 1, TINY, 0, TINY, 0, 0xff];
        assert_eq!(
            statement.values(&typed).unwrap(),
            [Value::Int(-1), Value::NULL]
        );
        assert_eq!(
            statement.values(&[0, 0, 5, 6]).unwrap(),
            [Value::Int(5), Value::Int(6)]
        );
    }

    #[test]
    fn a_value_in_pieces_is_used_once() {
        let mut statement = Statement::new(String::new(), 1);
        statement.append(0, b"a").unwrap();
        statement.append(0, b"b").unwrap();
        let text = ColumnType::MYSQL_TYPE_BLOB as u8;
        assert_eq!(
            statement.values(&[0, 1, text, 0]).unwrap(),
            [Value::Bytes(b"ab".to_vec())]
        );
        assert!(statement.values(&[0, 0]).is_err(), "nothing is left of it");
        assert!(statement.append(1, b"c").is_err());
    }

    #[test]
    fn what_is_no_execution_is_an_error() {
        for bytes in [
            &[][..],
            &[0],
            &[0, 0],
            &[0, 1, TINY],
            &[0, 1, TINY, 0],
            &[0, 1, ColumnType::MYSQL_TYPE_TYPED_ARRAY as u8, 0, 1],
            &[0, 1, 0x99, 0, 1],
        ] {
            let mut statement = Statement::new(String::new(), 1);
            assert!(statement.values(bytes).is_err(), "{bytes:?}");
        }
    }
}
