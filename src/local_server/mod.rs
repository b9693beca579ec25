//! Local server.
