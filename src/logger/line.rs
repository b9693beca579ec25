//! Formatting of a record as one line in one write.

use std::io::{self, Write};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{Local, SecondsFormat, TimeZone};
use slog::{Drain, Level, OwnedKVList, Record};
use slog_term::{Decorator, FullFormat, RecordDecorator, ThreadSafeTimestampFn};

use super::LogLevel;
use super::file::{LogFile, Torn, write_counted};
use crate::util::{impls::impl_debug, lent, lock, must_be_escaped};

/// Length at which a line is cut, in bytes.
const LONGEST_LINE: usize = 64 * 1024;

/// The time at which the record being written was made.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock(Arc<AtomicI64>);

impl Clock {
    pub(super) fn set(&self, unix_ms: i64) {
        self.0.store(unix_ms, Ordering::Relaxed);
    }

    fn print(&self, to: &mut dyn Write) -> io::Result<()> {
        let unix_ms = self.0.load(Ordering::Relaxed);
        match Local.timestamp_millis_opt(unix_ms).earliest() {
            Some(time) => write!(to, "{}", time.to_rfc3339_opts(SecondsFormat::Millis, false)),
            None => write!(to, "{unix_ms}"),
        }
    }
}

/// Target of lines.
pub(super) enum Sink {
    Writer(Box<dyn Write + Send>),
    File(LogFile),
}

impl Sink {
    fn put(&mut self, line: &[u8]) -> Result<(), Torn> {
        match self {
            Sink::Writer(to) => {
                write_counted(to, line)?;
                to.flush().map_err(Torn::from)
            }
            Sink::File(file) => file.append(line),
        }
    }
}

/// One output of the log.
pub(super) struct Output {
    name: String,
    format: FullFormat<OneWrite>,
    to: Arc<Mutex<To>>,
    /// Error of its last write, so that a failure is reported once and not with every record.
    failure: Option<String>,
    /// Number of records lost since its last success.
    lost: u64,
}

struct To {
    sink: Sink,
    /// True where half a line stays behind, which the next one must not join.
    torn: bool,
}

impl Output {
    pub(super) fn new(name: impl Into<String>, colour: bool, sink: Sink, clock: &Clock) -> Self {
        let clock = clock.clone();
        let to = Arc::new(Mutex::new(To { sink, torn: false }));
        let format = FullFormat::new(OneWrite { colour, to: Arc::clone(&to) })
            .use_custom_timestamp(move |to: &mut dyn Write| clock.print(to))
            .use_custom_header_print(header)
            .use_original_order()
            .build();
        Output { name: name.into(), format, to, failure: None, lost: 0 }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failure.is_some()
    }

    /// Runs `act` on the log file, where this output is one.
    pub(super) fn with_file<T>(&self, act: impl FnOnce(&mut LogFile) -> T) -> Option<T> {
        match &mut lock(&self.to).sink {
            Sink::File(file) => Some(act(file)),
            Sink::Writer(_) => None,
        }
    }

    /// Writes a record, after a line about those lost before it. Returns the failure that begins with it.
    pub(super) fn write(&mut self, record: &Record<'_>, values: &OwnedKVList) -> WriteOutcome {
        let written = self.report_lost().and_then(|()| self.put(record, values));
        match written {
            Ok(()) => {
                self.failure = None;
                self.lost = 0;
                WriteOutcome::Whole
            }
            Err(failure) => {
                self.lost = self.lost.saturating_add(1);
                match self.failure.replace(failure.clone()) {
                    None => WriteOutcome::FailsNow(failure),
                    Some(_) => WriteOutcome::FailsStill,
                }
            }
        }
    }

    fn report_lost(&mut self) -> Result<(), String> {
        let (Some(failure), lost @ 1..) = (&self.failure, self.lost) else { return Ok(()) };
        self.put(
            &slog::record!(
                Level::Warning,
                "",
                &format_args!("{lost} log records could not be written here"),
                slog::b!("lost" => lost, "error" => failure)
            ),
            &slog::o!().into(),
        )?;
        self.lost = 0;
        Ok(())
    }

    /// Writes a record without counting a failure.
    pub(super) fn put(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), String> {
        match lent::caught(|| self.format.log(record, values).map_err(|error| error.to_string())) {
            Some(written) => written,
            None => Err("the writer panicked".to_owned()),
        }
    }
}

/// Outcome of a record on one output.
pub(super) enum WriteOutcome {
    Whole,
    /// The first failure in a row.
    FailsNow(String),
    FailsStill,
}

impl_debug! { Output { name, failure, .. } }

fn header(
    time: &dyn ThreadSafeTimestampFn<Output = io::Result<()>>,
    mut line: &mut dyn RecordDecorator,
    record: &Record<'_>,
    _file_location: bool,
) -> io::Result<bool> {
    line.start_timestamp()?;
    time(&mut line)?;
    line.start_whitespace()?;
    write!(line, " ")?;
    line.start_level()?;
    write!(line, "{:5}", LogLevel::from(record.level()))?;
    line.start_whitespace()?;
    write!(line, " ")?;
    line.start_msg()?;
    write!(line, "{}", record.msg())?;
    Ok(true)
}

/// Writer that passes each record on in one call.
struct OneWrite {
    colour: bool,
    to: Arc<Mutex<To>>,
}

impl Decorator for OneWrite {
    fn with_record<F>(&self, record: &Record<'_>, _: &OwnedKVList, print: F) -> io::Result<()>
    where
        F: FnOnce(&mut dyn RecordDecorator) -> io::Result<()>,
    {
        let mut to = lock(&self.to);
        let mut line =
            Line { bytes: Vec::with_capacity(256), colour: self.colour.then(|| record.level()), text: Text::Ours };
        if to.torn {
            line.bytes.push(b'\n');
        }
        print(&mut line)?;
        match to.sink.put(&line.bytes) {
            Ok(()) => {
                to.torn = false;
                Ok(())
            }
            Err(Torn { error, left }) => {
                to.torn |= left > 0;
                Err(error)
            }
        }
    }
}

/// Origin of the characters being printed.
#[derive(Clone, Copy, PartialEq)]
enum Text {
    /// The layout, including the line end: printed as it is.
    Ours,
    /// The record, which may come from the network: characters that act on a line or a terminal are escaped.
    Theirs,
}

struct Line {
    bytes: Vec<u8>,
    colour: Option<Level>,
    text: Text,
}

impl Line {
    fn turn(&mut self, text: Text) -> io::Result<()> {
        self.text = text;
        Ok(())
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text == Text::Ours {
            self.bytes.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        for c in String::from_utf8_lossy(bytes).chars() {
            if self.bytes.len() >= LONGEST_LINE {
                break;
            }
            if must_be_escaped(c) {
                write!(self.bytes, "{}", c.escape_default())?;
            } else {
                self.bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl RecordDecorator for Line {
    fn reset(&mut self) -> io::Result<()> {
        self.turn(Text::Ours)
    }

    fn start_level(&mut self) -> io::Result<()> {
        self.turn(Text::Ours)?;
        if let Some(level) = self.colour {
            write!(self.bytes, "\x1b[{}m", colour(level))?;
        }
        Ok(())
    }

    fn start_msg(&mut self) -> io::Result<()> {
        // The level is the only coloured part, and the message comes right after it.
        if self.colour.is_some() {
            self.bytes.extend_from_slice(b"\x1b[0m");
        }
        self.turn(Text::Theirs)
    }

    fn start_key(&mut self) -> io::Result<()> {
        self.turn(Text::Theirs)
    }

    fn start_value(&mut self) -> io::Result<()> {
        self.turn(Text::Theirs)
    }
}

/// Returns the terminal's colour of a level.
fn colour(level: Level) -> u8 {
    match level {
        Level::Critical | Level::Error => 31,
        Level::Warning => 33,
        Level::Info => 32,
        Level::Debug => 36,
        Level::Trace => 34,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Writes(Arc<Mutex<Vec<String>>>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The writes that one record becomes.
    fn writes(colour: bool, message: &str, value: &str) -> Vec<String> {
        let writes = Writes::default();
        let clock = Clock::default();
        clock.set(1_700_000_000_123);
        let output = Output::new("test", colour, Sink::Writer(Box::new(writes.clone())), &clock);
        let values = slog::o!("from" => "logger").into();
        output
            .put(
                &slog::record!(
                    Level::Warning,
                    "",
                    &format_args!("{message}"),
                    slog::b!("first" => value, "second" => 2)
                ),
                &values,
            )
            .unwrap();
        drop(output);
        writes.0.lock().unwrap().clone()
    }

    #[test]
    fn a_record_is_one_write_of_local_time_level_message_and_pairs() {
        let writes = writes(false, "hello", "1");
        assert_eq!(writes.len(), 1);
        let (time, rest) = writes[0].split_once(' ').unwrap();
        let time = chrono::DateTime::parse_from_rfc3339(time).unwrap();
        assert_eq!(time.timestamp_millis(), 1_700_000_000_123);
        assert_eq!(
            time.offset().local_minus_utc(),
            Local.timestamp_millis_opt(1_700_000_000_123).unwrap().offset().local_minus_utc()
        );
        assert_eq!(rest, "WARN  hello, from: logger, first: 1, second: 2\n");
    }

    #[test]
    fn text_from_outside_can_neither_end_the_line_nor_command_the_terminal() {
        let writes = writes(false, "a\nb\u{1b}[2J", "\r\n\u{9b}31m\u{7f}\tä\u{2028}\u{202e}");
        let line = writes[0].strip_suffix('\n').unwrap();
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(line.contains(r"a\nb\u{1b}[2J") && line.contains(r"\r\n\u{9b}31m\u{7f}\tä\u{2028}\u{202e}"), "{line}");
    }

    #[test]
    fn colour_surrounds_the_level_alone() {
        let line = writes(true, "hello", "1").remove(0);
        assert!(line.contains(" \u{1b}[33mWARN  \u{1b}[0mhello,"), "{line:?}");
        assert_eq!(line.matches('\u{1b}').count(), 2);
    }

    #[test]
    fn an_endless_message_is_cut_and_the_line_still_ends() {
        let line = writes(false, &"x".repeat(10 * LONGEST_LINE), "1").remove(0);
        assert!(line.len() < LONGEST_LINE + 100 && line.ends_with('\n'), "{}", line.len());
    }
}
