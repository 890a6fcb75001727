//! A call and its answer as bytes. The argument of every method is field 1, the answer's value field 0.

use thrift::protocol::{
    TBinaryOutputProtocol, TFieldIdentifier, TInputProtocol, TMessageIdentifier, TMessageType,
    TOutputProtocol, TSerializable, TStructIdentifier, TType,
};

use super::input::{SliceInput, invalid};

/// An answer that was read.
#[derive(Debug)]
pub(super) enum Answer<T> {
    /// The value.
    Value(T),
    /// The server does not know the method.
    UnknownMethod(String),
    /// The server could not serve the call.
    Exception(String),
}

/// Encodes a call.
pub(super) fn encode<T: TSerializable>(
    method: &str,
    sequence: i32,
    request: &T,
) -> thrift::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(256);
    let mut output = TBinaryOutputProtocol::new(&mut bytes, true);
    output.write_message_begin(&TMessageIdentifier::new(
        method,
        TMessageType::Call,
        sequence,
    ))?;
    output.write_struct_begin(&TStructIdentifier::new("args"))?;
    output.write_field_begin(&TFieldIdentifier::new("request", TType::Struct, 1))?;
    request.write_to_out_protocol(&mut output)?;
    output.write_field_end()?;
    output.write_field_stop()?;
    output.write_struct_end()?;
    output.write_message_end()?;
    Ok(bytes)
}

/// Decodes an answer.
pub(super) fn decode<T: TSerializable>(
    method: &str,
    sequence: i32,
    bytes: &[u8],
) -> thrift::Result<Answer<T>> {
    let mut input = SliceInput::new(bytes);
    let head = input.read_message_begin()?;
    match head.message_type {
        TMessageType::Exception => return exception(&mut input),
        TMessageType::Reply => {}
        TMessageType::Call | TMessageType::OneWay => {
            return Err(invalid("a call came where an answer was expected"));
        }
    }
    if head.name != method || head.sequence_number != sequence {
        return Err(invalid("the answer belongs to another call"));
    }
    let mut value = None;
    loop {
        let field = input.read_field_begin()?;
        match (field.field_type, field.id) {
            (TType::Stop, _) => break,
            (TType::Struct, Some(0)) => value = Some(T::read_from_in_protocol(&mut input)?),
            (other, _) => input.skip(other)?,
        }
    }
    value
        .map(Answer::Value)
        .ok_or_else(|| invalid("the answer has no value"))
}

fn exception<T>(input: &mut SliceInput<'_>) -> thrift::Result<Answer<T>> {
    let error = thrift::Error::read_application_error_from_in_protocol(input)?;
    Ok(match error.kind {
        thrift::ApplicationErrorKind::UnknownMethod => Answer::UnknownMethod(error.message),
        _ => Answer::Exception(error.message),
    })
}

#[cfg(test)]
mod tests {
    use ccr_doris_wire::{
        TBeginTxnRequest, TGetBinlogRequest, TGetBinlogResult, TStatusCode, unset,
    };

    use super::*;

    fn text(bytes: &mut Vec<u8>, id: u8, value: &str) {
        bytes.extend([11, 0, id, 0, 0, 0, value.len() as u8]);
        bytes.extend(value.as_bytes());
    }

    #[test]
    fn begin_txn_golden_bytes() {
        let request = TBeginTxnRequest {
            user: Some("root".to_owned()),
            passwd: Some(String::new()),
            db: Some("d".to_owned()),
            table_ids: Some(vec![258]),
            label: Some("L".to_owned()),
            timeout: Some(600),
            ..unset()
        };
        let mut golden = vec![0x80, 0x01, 0x00, 0x01, 0, 0, 0, 8];
        golden.extend(b"beginTxn");
        golden.extend([0, 0, 0, 7, 12, 0, 1]);
        text(&mut golden, 2, "root");
        text(&mut golden, 3, "");
        text(&mut golden, 4, "d");
        golden.extend([15, 0, 5, 10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2]);
        text(&mut golden, 7, "L");
        golden.extend([10, 0, 9, 0, 0, 0, 0, 0, 0, 2, 88, 0, 0]);
        assert_eq!(encode("beginTxn", 7, &request).unwrap(), golden);
    }

    #[test]
    fn get_binlog_golden_bytes() {
        let request = TGetBinlogRequest {
            user: Some("u".to_owned()),
            passwd: Some("p".to_owned()),
            db: Some("shop".to_owned()),
            prev_commit_seq: Some(-1),
            num_acquired: Some(255),
            ..unset()
        };
        let mut golden = vec![0x80, 0x01, 0x00, 0x01, 0, 0, 0, 9];
        golden.extend(b"getBinlog");
        golden.extend([0, 0, 0, 1, 12, 0, 1]);
        text(&mut golden, 2, "u");
        text(&mut golden, 3, "p");
        text(&mut golden, 4, "shop");
        golden.extend([10, 0, 9, 255, 255, 255, 255, 255, 255, 255, 255]);
        golden.extend([10, 0, 10, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0]);
        assert_eq!(encode("getBinlog", 1, &request).unwrap(), golden);
    }

    fn reply(kind: u8, name: &[u8], body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x80, 1, 0, kind, 0, 0, 0, name.len() as u8];
        bytes.extend(name);
        bytes.extend([0, 0, 0, 1]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn answers_with_unknown_fields_and_numbers_are_read() {
        // success { 1: status { 1: 4711, 99: {} }, 77: [] }
        let body = [
            12, 0, 0, 12, 0, 1, 8, 0, 1, 0, 0, 18, 103, 12, 0, 99, 0, 0, 15, 0, 77, 12, 0, 0, 0, 0,
            0, 0,
        ];
        let answer = decode::<TGetBinlogResult>("getBinlog", 1, &reply(2, b"getBinlog", &body));
        let Answer::Value(result) = answer.unwrap() else {
            panic!("a value is expected");
        };
        assert_eq!(result.status.unwrap().status_code, TStatusCode(4711));
        assert_eq!(result.binlogs, None);
    }

    #[test]
    fn exceptions() {
        let mut body = vec![];
        text(&mut body, 1, "Invalid method name: 'x'");
        body.extend([8, 0, 2, 0, 0, 0, 1, 0]);
        let answer = decode::<TGetBinlogResult>("x", 1, &reply(3, b"x", &body)).unwrap();
        assert!(matches!(answer, Answer::UnknownMethod(text) if text.contains("'x'")));
    }

    #[test]
    fn answers_to_other_calls_and_broken_ones_are_errors() {
        let read = |bytes: &[u8]| decode::<TGetBinlogResult>("getBinlog", 1, bytes);
        assert!(read(&reply(2, b"other", &[0])).is_err());
        assert!(read(&reply(1, b"getBinlog", &[0])).is_err());
        assert!(read(&reply(2, b"getBinlog", &[0])).is_err(), "no value");
        // A list of 2^31-1 binlogs, and one of -1.
        for size in [[0x7f, 255, 255, 255], [255; 4]] {
            let mut body = vec![12, 0, 0, 15, 0, 3, 12];
            body.extend(size);
            assert!(read(&reply(2, b"getBinlog", &body)).is_err());
        }
    }

    proptest::proptest! {
        #[test]
        fn hostile_answers_never_panic(body in proptest::collection::vec(proptest::num::u8::ANY, 0..120)) {
            let _ = decode::<TGetBinlogResult>("getBinlog", 1, &reply(2, b"getBinlog", &body));
            let mut inside = vec![12, 0, 0];
            inside.extend(&body);
            let _ = decode::<ccr_doris_wire::TGetMetaResult>("m", 1, &reply(2, b"m", &inside));
        }
    }
}
