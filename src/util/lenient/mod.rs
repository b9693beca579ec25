//! Reads texts and JSON that others wrote, without refusing all of it because a few bytes are broken.

pub(crate) mod bounded;
pub(crate) mod json;
pub(crate) mod text;
