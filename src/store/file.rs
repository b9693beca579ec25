//! Format of a small JSON file: a version and the content.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

const VERSION: u32 = 1;

#[derive(Serialize)]
pub(super) struct Versioned<'a, T> {
    version: u32,
    #[serde(flatten)]
    content: &'a T,
}

impl<'a, T> Versioned<'a, T> {
    pub(super) fn new(content: &'a T) -> Self {
        Versioned { version: VERSION, content }
    }
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Parses a file's text of at most `largest` bytes. The error quotes nothing.
pub(super) fn parse<T: DeserializeOwned>(text: &[u8], largest: u64) -> Result<T, String> {
    // The parser's own text may quote the file.
    let place = |error: serde_json::Error| {
        format!("it is not of the expected form at line {}, column {}", error.line(), error.column())
    };
    if text.len() as u64 > largest {
        return Err(format!("it is larger than {} KiB", largest >> 10));
    }
    match serde_json::from_slice::<Version>(text).map_err(place)?.version {
        VERSION => serde_json::from_slice(text).map_err(place),
        other => Err(format!("its version is {other}, and only {VERSION} is known")),
    }
}
