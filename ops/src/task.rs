//! Supervised tasks: no detached spawn.
