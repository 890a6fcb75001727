//! Finds the end of a message in a growing buffer. Unframed messages do not say how long they are.

use thiserror::Error;

/// Structs and containers inside each other.
const MAX_DEPTH: usize = 64;

/// Bytes that cannot be an answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum ScanError {
    #[error("not a strict binary message")]
    NotThrift,
    #[error("unknown field type {0}")]
    UnknownType(u8),
    #[error("negative length")]
    NegativeLength,
    #[error("more than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("longer than the limit of {0} bytes")]
    TooLong(usize),
}

#[derive(Clone, Copy, Debug)]
enum Frame {
    Version,
    Name,
    Sequence,
    Struct,
    List {
        element: u8,
        left: usize,
    },
    Map {
        key: u8,
        value: u8,
        left: usize,
        at_value: bool,
    },
}

/// Walks over a message as its bytes arrive.
#[derive(Debug)]
pub(super) struct Scan {
    position: usize,
    limit: usize,
    frames: Vec<Frame>,
}

impl Scan {
    /// A message of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            position: 0,
            limit,
            frames: vec![Frame::Struct, Frame::Sequence, Frame::Name, Frame::Version],
        }
    }

    /// Looks at the buffer, which holds the message from its start. True when the message is complete.
    pub(super) fn advance(&mut self, buffer: &[u8]) -> Result<bool, ScanError> {
        while let Some(frame) = self.frames.last().copied() {
            if self.position > self.limit {
                return Err(ScanError::TooLong(self.limit));
            }
            let Some(rest) = buffer.get(self.position..) else {
                return Ok(false);
            };
            let more = match frame {
                Frame::Version => self.version(rest)?,
                Frame::Name => self.name(rest)?,
                Frame::Sequence => {
                    self.frames.pop();
                    self.position += 4;
                    true
                }
                Frame::Struct => self.field(rest)?,
                Frame::List { left: 0, .. } | Frame::Map { left: 0, .. } => {
                    self.frames.pop();
                    true
                }
                Frame::List { element, left } => {
                    let list = self.frames.len() - 1;
                    let more = self.value(element, rest)?;
                    if more {
                        self.frames[list] = Frame::List {
                            element,
                            left: left - 1,
                        };
                    }
                    more
                }
                Frame::Map {
                    key,
                    value,
                    left,
                    at_value,
                } => {
                    let map = self.frames.len() - 1;
                    let more = self.value(if at_value { value } else { key }, rest)?;
                    if more {
                        let left = if at_value { left - 1 } else { left };
                        self.frames[map] = Frame::Map {
                            key,
                            value,
                            left,
                            at_value: !at_value,
                        };
                    }
                    more
                }
            };
            if !more {
                return Ok(false);
            }
        }
        if self.position > self.limit {
            return Err(ScanError::TooLong(self.limit));
        }
        Ok(self.position <= buffer.len())
    }

    /// Length of the message, once complete.
    pub(super) fn length(&self) -> usize {
        self.position
    }

    fn version(&mut self, rest: &[u8]) -> Result<bool, ScanError> {
        let Some(version) = rest.first_chunk::<4>() else {
            // A wrong first byte is known at once; waiting for more might never end.
            return match rest.first() {
                Some(first) if *first != 0x80 => Err(ScanError::NotThrift),
                _ => Ok(false),
            };
        };
        if version[..2] != [0x80, 0x01] {
            return Err(ScanError::NotThrift);
        }
        self.frames.pop();
        self.position += 4;
        Ok(true)
    }

    fn name(&mut self, rest: &[u8]) -> Result<bool, ScanError> {
        let Some(length) = length(rest)? else {
            return Ok(false);
        };
        self.frames.pop();
        self.position += 4 + length;
        Ok(true)
    }

    fn field(&mut self, rest: &[u8]) -> Result<bool, ScanError> {
        match rest {
            [] => Ok(false),
            [0, ..] => {
                self.frames.pop();
                self.position += 1;
                Ok(true)
            }
            [kind, _, _, value @ ..] => {
                let kind = *kind;
                let before = self.position;
                self.position += 3;
                let more = self.value(kind, value)?;
                if !more {
                    // Seen again from its head when more has arrived.
                    self.position = before;
                }
                Ok(more)
            }
            _ => Ok(false),
        }
    }

    /// Steps over a value, or into it when it has parts. False when more bytes are needed to know; then nothing has moved.
    fn value(&mut self, kind: u8, rest: &[u8]) -> Result<bool, ScanError> {
        match kind {
            2 | 3 => self.position += 1,
            6 => self.position += 2,
            8 => self.position += 4,
            4 | 10 => self.position += 8,
            16 => self.position += 16,
            11 => match length(rest)? {
                Some(length) => self.position += 4 + length,
                None => return Ok(false),
            },
            12 => self.enter(Frame::Struct)?,
            13 => {
                let ([key, value, size @ ..], true) = (rest, rest.len() >= 6) else {
                    return Ok(false);
                };
                let Some(left) = length(size)? else {
                    return Ok(false);
                };
                let (key, value) = (*key, *value);
                self.position += 6;
                self.enter(Frame::Map {
                    key,
                    value,
                    left,
                    at_value: false,
                })?;
            }
            14 | 15 => {
                let [element, size @ ..] = rest else {
                    return Ok(false);
                };
                let Some(left) = length(size)? else {
                    return Ok(false);
                };
                let element = *element;
                self.position += 5;
                self.enter(Frame::List { element, left })?;
            }
            other => return Err(ScanError::UnknownType(other)),
        }
        Ok(true)
    }

    fn enter(&mut self, frame: Frame) -> Result<(), ScanError> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(ScanError::TooDeep);
        }
        self.frames.push(frame);
        Ok(())
    }
}

fn length(rest: &[u8]) -> Result<Option<usize>, ScanError> {
    let Some(bytes) = rest.first_chunk::<4>() else {
        return Ok(None);
    };
    usize::try_from(i32::from_be_bytes(*bytes))
        .map(Some)
        .map_err(|_| ScanError::NegativeLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply `m`, sequence 1, with the given body.
    fn message(body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x80, 1, 0, 2, 0, 0, 0, 1, b'm', 0, 0, 0, 1];
        bytes.extend_from_slice(body);
        bytes
    }

    /// struct { 0: struct { 1: "ab", 2: [ {1: 5} ], 3: {1: "x"}, 4: double } }
    const BODY: &[u8] = &[
        12, 0, 0, 11, 0, 1, 0, 0, 0, 2, b'a', b'b', 15, 0, 2, 12, 0, 0, 0, 1, 8, 0, 1, 0, 0, 0, 5,
        0, 13, 0, 3, 3, 11, 0, 0, 0, 1, 1, 0, 0, 0, 1, b'x', 4, 0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0,
    ];

    #[test]
    fn end_is_found_at_the_last_byte_whatever_the_pieces() {
        let bytes = message(BODY);
        for step in [1, 2, 3, 7, bytes.len()] {
            let mut scan = Scan::new(1_000);
            let mut end = 0;
            while end < bytes.len() {
                assert!(
                    !scan.advance(&bytes[..end]).unwrap(),
                    "{end} of {}",
                    bytes.len()
                );
                end = (end + step).min(bytes.len());
            }
            assert!(scan.advance(&bytes).unwrap());
            assert_eq!(scan.length(), bytes.len());
        }
    }

    #[test]
    fn bytes_behind_the_message_are_not_part_of_it() {
        let mut bytes = message(BODY);
        let length = bytes.len();
        bytes.extend_from_slice(b"junk");
        let mut scan = Scan::new(1_000);
        assert!(scan.advance(&bytes).unwrap());
        assert_eq!(scan.length(), length);
    }

    #[test]
    fn garbage_is_an_error_at_once() {
        let fails = |bytes: &[u8]| Scan::new(1_000).advance(bytes).unwrap_err();
        assert_eq!(fails(b"H"), ScanError::NotThrift);
        assert_eq!(fails(b"HTTP/1.1 400 Bad Request"), ScanError::NotThrift);
        assert_eq!(fails(&[0x80, 9, 9, 9]), ScanError::NotThrift);
        assert_eq!(fails(&message(&[99, 0, 0])), ScanError::UnknownType(99));
        assert_eq!(
            fails(&message(&[11, 0, 0, 0xff, 0xff, 0xff, 0xff])),
            ScanError::NegativeLength
        );
        assert_eq!(
            fails(&message(&[11, 0, 0, 0x7f, 0xff, 0xff, 0xff])),
            ScanError::TooLong(1_000)
        );
        assert_eq!(fails(&message(&[12, 0, 1].repeat(100))), ScanError::TooDeep);
    }

    proptest::proptest! {
        #[test]
        fn hostile_bytes_never_panic(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Scan::new(500).advance(&message(&body));
            let _ = Scan::new(500).advance(&body);
        }
    }
}
