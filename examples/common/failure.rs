//! How a program ends.

use std::{
    error::Error,
    io::{self, Write as _},
    process::{self, ExitCode},
};

/// An error in words, with those of its sources that it does not hold already.
pub(crate) fn in_words(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        source = error.source();
    }
    words
}

/// Success, or a failure told on stderr in words: what `main` returns in place of a `Result`, which prints `Debug`.
pub(crate) fn status(outcome: Result<(), Box<dyn Error>>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be there to read it.
            let _ = writeln!(io::stderr(), "Error: {}", in_words(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Ends the process now: returning from `main` waits for threads that may hang, such as a look-up of a host's name.
pub(crate) fn leave(status: u8) -> ! {
    process::exit(status.into())
}
