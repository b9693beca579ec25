//! A logger behind which no record holds a secret.

use std::fmt;

use slog::{BorrowedKV, Drain, FlushError, Key, Level, Logger, Never, OwnedKVList, Record, RecordStatic, Serializer};

use super::Redactor;
use crate::util::lent;

pub(super) struct RedactingDrain {
    pub(super) inner: Logger,
    pub(super) redactor: Redactor,
}

impl Drain for RedactingDrain {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        // Asked first: to look into a record that nobody writes would cost more than all the rest of it.
        if !self.inner.is_enabled(record.level()) {
            return Ok(());
        }
        // What is logged may be the application's own, and panic; the guard behind this one counts that.
        let shown = lent::caught(|| {
            let mut pairs = Pairs::default();
            let _ = slog::KV::serialize(&record.kv(), record, &mut pairs);
            let message = record.msg().to_string();
            let changed = self.redactor.changed(&message);
            let is_changed = pairs.hide(&self.redactor) || changed.is_some();
            is_changed.then(|| (changed.unwrap_or(message), pairs))
        });
        let Some(Some((message, pairs))) = shown else {
            return Drain::log(&self.inner, record, values);
        };
        let about = RecordStatic { location: record.location(), tag: record.tag(), level: record.level() };
        Drain::log(&self.inner, &Record::new(&about, &format_args!("{message}"), BorrowedKV(&pairs)), values)
    }

    fn is_enabled(&self, level: Level) -> bool {
        self.inner.is_enabled(level)
    }

    fn flush(&self) -> Result<(), FlushError> {
        Drain::flush(&self.inner)
    }
}

#[derive(Default)]
struct Pairs(Vec<(Key, Value)>);

enum Value {
    Text(String),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Unit,
}

impl Pairs {
    fn hide(&mut self, redactor: &Redactor) -> bool {
        let mut any = false;
        for (_, value) in &mut self.0 {
            if let Value::Text(text) = value
                && let Some(shown) = redactor.changed(text)
            {
                (*text, any) = (shown, true);
            }
        }
        any
    }
}

macro_rules! emits {
    ($($emit:ident($given:ident: $type:ty) => $value:expr;)*) => {$(
        fn $emit(&mut self, key: Key, $given: $type) -> slog::Result {
            self.0.push((key, $value));
            Ok(())
        }
    )*};
}

impl Serializer for Pairs {
    emits! {
        emit_arguments(text: &fmt::Arguments<'_>) => Value::Text(text.to_string());
        emit_str(text: &str) => Value::Text(text.to_owned());
        emit_u8(number: u8) => Value::Unsigned(number.into());
        emit_u16(number: u16) => Value::Unsigned(number.into());
        emit_u32(number: u32) => Value::Unsigned(number.into());
        emit_u64(number: u64) => Value::Unsigned(number);
        emit_usize(number: usize) => Value::Unsigned(number as u64);
        emit_i8(number: i8) => Value::Signed(number.into());
        emit_i16(number: i16) => Value::Signed(number.into());
        emit_i32(number: i32) => Value::Signed(number.into());
        emit_i64(number: i64) => Value::Signed(number);
        emit_isize(number: isize) => Value::Signed(number as i64);
        emit_f32(number: f32) => Value::Float(number.into());
        emit_f64(number: f64) => Value::Float(number);
        emit_bool(truth: bool) => Value::Bool(truth);
    }

    fn emit_unit(&mut self, key: Key) -> slog::Result {
        self.0.push((key, Value::Unit));
        Ok(())
    }

    fn emit_none(&mut self, key: Key) -> slog::Result {
        self.emit_unit(key)
    }
}

impl slog::KV for Pairs {
    fn serialize(&self, _: &Record<'_>, serializer: &mut dyn Serializer) -> slog::Result {
        for (key, value) in &self.0 {
            match value {
                Value::Text(text) => serializer.emit_str(key, text)?,
                Value::Unsigned(number) => serializer.emit_u64(key, *number)?,
                Value::Signed(number) => serializer.emit_i64(key, *number)?,
                Value::Float(number) => serializer.emit_f64(key, *number)?,
                Value::Bool(truth) => serializer.emit_bool(key, *truth)?,
                Value::Unit => serializer.emit_none(key)?,
            }
        }
        Ok(())
    }
}
