//! Lenient readers of foreign texts and JSON: a few broken bytes do not cost the rest.

pub(crate) mod bounded;
#[cfg(feature = "fuzzing")]
#[path = "../../../tests/fuzz/lenient.rs"]
pub(crate) mod fuzzing;
pub(crate) mod json;
pub(crate) mod text;
