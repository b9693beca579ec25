//! Secrets, from variables and files.

use std::{env, error::Error, fs::File, io::Read as _};

type Failed = Box<dyn Error + Send + Sync>;

/// The most a file may hold that is read here, in bytes.
const LARGEST: u64 = 16 << 20;

/// A variable of the environment; an empty one counts as absent.
pub(crate) fn variable(name: &str) -> Result<Option<String>, String> {
    let value = env::var_os(name).filter(|value| !value.is_empty());
    value.map(|value| value.into_string().map_err(|_| format!("{name} is not UTF-8"))).transpose()
}

/// The text of a file without the byte order mark before it and the line ends after it.
pub(crate) fn file(path: &str) -> Result<String, Failed> {
    let text = String::from_utf8(bytes(path)?).map_err(|_| "it is not UTF-8")?;
    let text = unmarked(&text).trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err("it is empty".into()) } else { Ok(text.to_owned()) }
}

/// What a file holds.
pub(crate) fn bytes(path: &str) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST { Err(format!("it is larger than {LARGEST} bytes").into()) } else { Ok(bytes) }
}

/// A text without the byte order mark that some editors put before it.
pub(crate) fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}
