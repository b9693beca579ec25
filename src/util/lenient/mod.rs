//! Reads texts and JSON that others wrote, without refusing all of it because a few bytes are broken.

pub(crate) mod bounded;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
pub(crate) mod json;
pub(crate) mod text;
