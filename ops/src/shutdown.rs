//! Signals become a token; a second signal or the deadline ends the process.
