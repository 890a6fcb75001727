//! Bytes and servers that misbehave: an error that names the object, nothing crashes, nothing is lost.
