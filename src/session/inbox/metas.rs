//! The metas of a page, decoded or seen in place.

use bytes::Bytes;

use crate::session::decode;
use crate::wire::{self, JidView, MAX_FIELDS, Meta, PageView, TextView, full_meta};

/// What a page says of itself.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Head<'a> {
    pub(in crate::session) queue: Option<JidView<'a>>,
    pub(in crate::session) next_key: Option<u64>,
    pub(in crate::session) is_last: bool,
    /// How long its frame is.
    pub(in crate::session) bytes: usize,
}

/// The metas of a page.
pub(in crate::session) enum Metas<'a> {
    /// Those that decode, and those that do not, which come after them.
    Decoded(Vec<Meta>, Vec<Bytes>),
    Seen(PageView<'a>),
}

/// One of them.
#[allow(clippy::large_enum_variant, reason = "one at a time, and never stored")]
pub(in crate::session) enum Got<'a> {
    /// A plain text that needs no decoding, and the meta it was seen in.
    Text(TextView<'a>, &'a [u8]),
    Meta(Meta),
    /// As it came: it does not decode, or has too many fields.
    Broken(&'a [u8]),
}

impl Got<'_> {
    /// What tells it from its repetitions.
    pub(in crate::session) fn key(&self) -> u64 {
        match self {
            Got::Text(text, _) => text.id,
            Got::Meta(meta) => decode::repetition_key(meta),
            Got::Broken(encoded) => decode::broken_key(encoded),
        }
    }

    /// The encoded meta, as a copy that keeps nothing else in memory.
    pub(in crate::session) fn encoded(&self) -> Bytes {
        match self {
            Got::Text(_, encoded) | Got::Broken(encoded) => Bytes::copy_from_slice(encoded),
            Got::Meta(meta) => wire::encode(meta),
        }
    }

    /// How many bytes of payload it has.
    pub(in crate::session) fn size(&self) -> usize {
        match self {
            Got::Text(_, encoded) | Got::Broken(encoded) => encoded.len(),
            Got::Meta(meta) => [&meta.payload, &meta.meta].into_iter().flatten().map(Bytes::len).sum(),
        }
    }
}

impl<'a> Metas<'a> {
    pub(in crate::session) fn len(&self) -> usize {
        match self {
            Metas::Decoded(metas, broken) => metas.len() + broken.len(),
            Metas::Seen(page) => page.count,
        }
    }

    /// What tells each of them from its repetitions.
    pub(in crate::session) fn all_keys(&self, mut known: impl FnMut(u64) -> bool) -> bool {
        match self {
            Metas::Decoded(metas, broken) => {
                let broken = broken.iter().map(|encoded| decode::broken_key(encoded));
                metas.iter().map(decode::repetition_key).chain(broken).all(known)
            }
            Metas::Seen(page) => {
                let mut left = MAX_FIELDS;
                page.metas().map(|meta| got(meta.text, meta.encoded, &mut left).key()).all(&mut known)
            }
        }
    }

    /// Shows each of them in order.
    pub(in crate::session) fn look(&self, mut look: impl FnMut(&Got<'_>)) {
        match self {
            Metas::Decoded(metas, broken) => {
                metas.iter().for_each(|meta| look(&Got::Meta(meta.clone())));
                broken.iter().for_each(|encoded| look(&Got::Broken(encoded)));
            }
            Metas::Seen(page) => Metas::Seen(*page).each(|got| look(&got)),
        }
    }

    /// Hands out each of them in order.
    pub(in crate::session) fn each(self, mut take: impl FnMut(Got<'_>)) {
        match self {
            Metas::Decoded(metas, broken) => {
                metas.into_iter().for_each(|meta| take(Got::Meta(meta)));
                broken.iter().for_each(|encoded| take(Got::Broken(encoded)));
            }
            Metas::Seen(page) => {
                let mut left = MAX_FIELDS;
                page.metas().for_each(|meta| take(got(meta.text, meta.encoded, &mut left)));
            }
        }
    }
}

fn got<'a>(text: Option<TextView<'a>>, encoded: &'a [u8], left: &mut usize) -> Got<'a> {
    match text {
        Some(text) => Got::Text(text, encoded),
        None => full_meta(encoded, left).map_or(Got::Broken(encoded), Got::Meta),
    }
}
