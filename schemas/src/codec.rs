//! Envelope <-> bytes. The only file that names `apache_avro`.
