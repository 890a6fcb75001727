//! Server text and status code -> meaning. The only place where server texts are matched.
