//! Impls and methods that are all alike, in a row each.

/// Implements [`From`] for a type: a row for each type that it is made of.
macro_rules! impl_from {
    ($whole:ty { $($(#[$meta:meta])* |$value:ident: $from:ty| $made:expr;)+ }) => {
        $(
            $(#[$meta])*
            impl From<$from> for $whole {
                fn from($value: $from) -> Self {
                    $made
                }
            }
        )+
    };
}

/// Implements `Debug` by a text, or by the fields named, where `=` gives another value than the field's own. A field
/// that is not named does not compile, unless `..` says that there are more than are shown.
macro_rules! impl_debug {
    (|$this:tt: $whole:ty| $($text:tt)+) => {
        impl std::fmt::Debug for $whole {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let $this = self;
                write!(f, $($text)+)
            }
        }
    };
    ($whole:ident { $($field:ident $(= $shown:expr)?,)+ .. }) => {
        impl std::fmt::Debug for $whole {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let Self { $($field,)+ .. } = self;
                let mut shown = f.debug_struct(stringify!($whole));
                $(shown.field(stringify!($field), impl_debug!(@value $field $($shown)?));)+
                shown.finish_non_exhaustive()
            }
        }
    };
    ($whole:ident { $($field:ident $(= $shown:expr)?),+ $(,)? }) => {
        impl std::fmt::Debug for $whole {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let Self { $($field),+ } = self;
                let mut shown = f.debug_struct(stringify!($whole));
                $(shown.field(stringify!($field), impl_debug!(@value $field $($shown)?));)+
                shown.finish()
            }
        }
    };
    (@value $field:ident) => {
        $field
    };
    (@value $field:ident $shown:expr) => {
        &$shown
    };
}

/// Implements `Display` by a text.
macro_rules! impl_display {
    (|$this:tt: $whole:ty| $($text:tt)+) => {
        impl std::fmt::Display for $whole {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let $this = self;
                write!(f, $($text)+)
            }
        }
    };
}

/// Declares an enum of names, and implements `Display` by them.
macro_rules! names {
    ($(#[$meta:meta])* $vis:vis enum $whole:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$meta])*
        $vis enum $whole {
            $($(#[$doc])* $variant,)+
        }

        impl std::fmt::Display for $whole {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $($whole::$variant => $name,)+
                })
            }
        }
    };
}

/// Implements [`Handler`](actix::Handler) of an actor: a row for each message, where `->` is its result if not `()`.
macro_rules! impl_handlers {
    ($actor:ty { $($message:ty: |$this:ident, $given:pat_param, $ctx:pat_param| $(-> $result:ty)? $handle:block)+ }) => {
        $(
            impl actix::Handler<$message> for $actor {
                #[allow(unused_parens, reason = "without a type it is `()`")]
                type Result = ($($result)?);

                fn handle(&mut self, $given: $message, $ctx: &mut Self::Context) -> Self::Result {
                    let $this = self;
                    $handle
                }
            }
        )+
    };
}

/// Declares the setters of a builder: name, arguments and what is set, in a row each.
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),+) |$this:ident| $set:expr;)+) => {
        $(
            $(#[$doc])*
            pub fn $name(self, $($arg: $type),+) -> Self {
                let mut $this = self;
                $set;
                $this
            }
        )+
    };
}

pub(crate) use {impl_debug, impl_display, impl_from, impl_handlers, names, setters};
