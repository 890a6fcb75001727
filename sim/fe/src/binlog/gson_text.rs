//! JSON as Gson writes it: order of members, and escapes.

use serde_json::Value;

/// JSON with the escapes of Gson: `= < > & '` inside strings become `\u003d` and so on.
#[must_use]
pub fn gson(value: &Value) -> String {
    escaped(&crate::binlog::gson_order::text(value))
}

/// The escapes of Gson in a text that is JSON already.
pub fn escaped(plain: &str) -> String {
    let mut out = String::with_capacity(plain.len() + 16);
    for c in plain.chars() {
        match c {
            '=' => out.push_str("\\u003d"),
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\'' => out.push_str("\\u0027"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gson_escapes_survive_a_decoder() {
        let value = serde_json::json!({"sql": "a = 'b' && c <> d"});
        let text = gson(&value);
        assert!(text.contains(r"a \u003d \u0027b\u0027 \u0026\u0026 c \u003c\u003e d"));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
