//! The lines of standard input, read by a thread of its own.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read as _},
    thread,
    time::Duration,
};

use tokio::sync::mpsc;

/// A line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Text(String),
    /// Not UTF-8; read with U+FFFD in the place of what is broken.
    Broken(String),
    /// Longer than it may be; its beginning.
    TooLong(String),
}

/// Lines of standard input as they come, each of so many bytes at most; the channel ends with it.
pub(crate) fn of_stdin(longest: usize) -> mpsc::Receiver<Line> {
    let (lines, received) = mpsc::channel(8);
    thread::spawn(move || {
        let mut input = BufReader::new(io::stdin());
        let mut first = true;
        while let Ok(Some(line)) = next(&mut input, longest, std::mem::take(&mut first)) {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    received
}

/// The next line; `None` at the end.
fn next(input: &mut impl BufRead, longest: usize, first: bool) -> io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    // One more than the longest line with its end.
    let mut rest = input.by_ref().take(longest as u64 + 2);
    patiently(|| rest.read_until(b'\n', &mut bytes))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if first && bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    let whole = bytes.ends_with(b"\n");
    if whole {
        bytes.pop();
        bytes.pop_if(|end| *end == b'\r');
    } else if bytes.len() > longest {
        skip(input)?;
    }
    if bytes.len() > longest {
        let begin = bytes.get(..256).unwrap_or_default();
        return Ok(Some(Line::TooLong(String::from_utf8_lossy(begin).into_owned())));
    }
    Ok(Some(match String::from_utf8(bytes) {
        Ok(text) => Line::Text(text),
        Err(broken) => Line::Broken(String::from_utf8_lossy(broken.as_bytes()).into_owned()),
    }))
}

/// Goes to the beginning of the next line.
fn skip(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let (used, ended) = {
            let buffer = match input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if is_passing(&error) => continue,
                Err(error) => return Err(error),
            };
            match buffer.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            }
        };
        input.consume(used);
        if ended {
            return Ok(());
        }
    }
}

/// Reads on where somebody else has made the input non-blocking; what was read stays in the buffer.
fn patiently(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if is_passing(&error) => {}
            other => return other,
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    /// Until it is tried again.
    const PAUSE: Duration = Duration::from_millis(10);
    let passes = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted);
    if passes {
        thread::sleep(PAUSE);
    }
    passes
}
