//! The text of JSON values: members stay in the order in which they were written.

use serde_json::Value;

/// The same document without blanks between its parts; `None` when it is no JSON.
pub fn compact(text: &str) -> Option<String> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let bytes = text.as_bytes();
    let mut compact = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let end = match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            b'{' | b'}' | b'[' | b']' | b':' | b',' => {
                compact.push(char::from(*byte));
                at += 1;
                continue;
            }
            b'"' => string_end(bytes, at),
            _ => bytes[at..]
                .iter()
                .position(|byte| b" \t\n\r{}[]:,".contains(byte))
                .map_or(bytes.len(), |length| at + length),
        };
        // Strings and numbers in one spelling each.
        let value: Value = serde_json::from_str(text.get(at..end)?).ok()?;
        compact.push_str(&value.to_string());
        at = end;
    }
    Some(compact)
}

/// Behind the quote that ends the string at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::compact;

    #[test]
    fn members_keep_their_order() {
        assert_eq!(
            compact(" {\"k1\" : \"v\\\"31\", \"k2\": 300, \"a1\":[ 1, true , null]} ").as_deref(),
            Some(r#"{"k1":"v\"31","k2":300,"a1":[1,true,null]}"#)
        );
        assert_eq!(compact("{a: 1}"), None);
        assert_eq!(compact("\"x\"").as_deref(), Some("\"x\""));
    }
}
