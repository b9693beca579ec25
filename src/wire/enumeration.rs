//! The macro that declares the enums of the schema.

/// Declares an enum of the schema: Rust name, number and the spec's name for each value.
///
/// Fields hold the number (`Option<i32>`), so that a number this crate does not know survives; `TryFrom<i32>` turns
/// it into the enum.
macro_rules! enumeration {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $number:literal => $spec:literal,)+ }) => {
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
    };
}

pub(super) use enumeration;
