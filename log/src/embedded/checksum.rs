//! Checksum of a row. SQLite has none of its own: a changed byte in a value would be delivered as if it had been appended.

/// CRC-32 of the fields of a row. Each field is preceded by its length, so that bytes cannot move between fields.
pub(super) struct RowSum(crc32fast::Hasher);

impl RowSum {
    /// Starts the sum of a row of `table`.
    pub(super) fn of(table: &str) -> Self {
        Self(crc32fast::Hasher::new()).text(table)
    }

    /// Adds a number.
    pub(super) fn int(mut self, value: i64) -> Self {
        self.0.update(&value.to_le_bytes());
        self
    }

    /// Adds a number or NULL.
    pub(super) fn maybe_int(self, value: Option<i64>) -> Self {
        match value {
            Some(value) => self.int(1).int(value),
            None => self.int(0),
        }
    }

    /// Adds a text.
    pub(super) fn text(self, value: &str) -> Self {
        self.bytes(Some(value.as_bytes()))
    }

    /// Adds bytes or NULL.
    pub(super) fn bytes(mut self, value: Option<&[u8]>) -> Self {
        let length = value.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX));
        self.0.update(&length.to_le_bytes());
        self.0.update(value.unwrap_or_default());
        self
    }

    /// Returns the sum as it is stored.
    pub(super) fn finish(self) -> i64 {
        i64::from(self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_cannot_trade_bytes() {
        let sum = |a: &str, b: &str| RowSum::of("t").text(a).text(b).finish();
        assert_ne!(sum("ab", "c"), sum("a", "bc"));
        let maybe = |value: Option<&[u8]>| RowSum::of("t").bytes(value).finish();
        assert_ne!(maybe(None), maybe(Some(b"")));
    }
}
