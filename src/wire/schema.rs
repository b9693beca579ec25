//! The macro that declares the messages and enums of the schema.

/// Declares messages and enums of the schema.
///
/// A row of a message is a field and what `prost` has to know of it; a row of an enum is Rust name, number and the
/// spec's name. Fields hold the number of an enum's value (`Option<i32>`), so that a number this crate does not know
/// survives; `TryFrom<i32>` turns it into the enum.
///
/// A `redacted` message carries secrets: its `Debug` shows only fields that are present, each as its row says after
/// `as`, a method of [`Fields`](super::redacted::Fields).
macro_rules! schema {
    () => {};
    (
        $(#[$meta:meta])*
        pub struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty => ($($wire:tt)+),)* }
        $($rest:tt)*
    ) => {
        #[derive(Clone, PartialEq, prost::Message)]
        $(#[$meta])*
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[doc = concat!("\n`", stringify!($($wire)+), "`")]
                #[prost($($wire)+)]
                pub $field: $type,
            )*
        }

        schema! { $($rest)* }
    };
    (
        $(#[$meta:meta])*
        pub redacted struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $type:ty => $wire:tt $(as $shown:ident $(($enum:ty))?)?,)*
        }
        $($rest:tt)*
    ) => {
        schema! {
            $(#[$meta])*
            #[prost(skip_debug)]
            pub struct $name { $($(#[$field_meta])* $field: $type => $wire,)* }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut fields = $crate::wire::redacted::Fields::new(f, stringify!($name));
                $(schema! { @show (fields, self, $field) $($shown $($enum)?)? })*
                fields.finish()
            }
        }

        schema! { $($rest)* }
    };
    (@show ($fields:ident, $message:ident, $field:ident)) => {
        $fields.plain(stringify!($field), &$message.$field);
    };
    (@show ($fields:ident, $message:ident, $field:ident) $shown:ident $($enum:ty)?) => {
        $fields.$shown$(::<$enum>)?(stringify!($field), &$message.$field);
    };
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $number:literal => $spec:literal,)+
        }
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
        #[repr(i32)]
        #[non_exhaustive]
        pub enum $name {
            $(
                #[doc = concat!("`", $spec, "`, ", $number, ".")]
                $(#[doc = ""] #[$variant_meta])*
                $variant = $number,
            )+
        }

        impl $name {
            /// Returns the spec's name of this value.
            #[must_use]
            pub fn as_str_name(self) -> &'static str {
                match self {
                    $(Self::$variant => $spec,)+
                }
            }

            /// Returns the value of this name in the spec, `None` when there is none.
            #[must_use]
            pub fn from_str_name(name: &str) -> Option<Self> {
                match name {
                    $($spec => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        schema! { $($rest)* }
    };
}

pub(super) use schema;
