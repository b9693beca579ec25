//! What is printed for people, where nobody may be there to read it.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

/// Prints a line on standard error.
pub(crate) fn problem(text: impl Display) {
    // Nobody may be there to read it.
    let _ = writeln!(io::stderr(), "agora-chat: {text}");
}

/// Prints a line on standard output; `false` if it cannot be written.
pub(crate) fn line(text: impl Display) -> bool {
    writeln!(io::stdout(), "{text}").is_ok()
}
