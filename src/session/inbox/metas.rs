//! Metas of a page, decoded or seen in place.

use bytes::Bytes;

use crate::session::decode;
use crate::wire::{self, JidView, MAX_FIELDS, Meta, PageView, TextView, full_meta};

/// Envelope of a page.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct PageHead<'a> {
    pub(in crate::session) queue: Option<JidView<'a>>,
    pub(in crate::session) next_key: Option<u64>,
    pub(in crate::session) is_last: bool,
    /// Length of its frame.
    pub(in crate::session) bytes: usize,
}

/// Metas of a page.
pub(in crate::session) enum Metas<'a> {
    /// Decoded metas, followed by undecodable ones.
    Decoded(Vec<Meta>, Vec<Bytes>),
    Seen(PageView<'a>),
}

/// One meta of a page.
#[allow(clippy::large_enum_variant, reason = "one at a time, and never stored")]
pub(in crate::session) enum ParsedMeta<'a> {
    /// A plain text that needs no decoding, and its encoded meta.
    Text(TextView<'a>, &'a [u8]),
    Meta(Meta),
    /// An undecodable meta, or one with too many fields, as it came.
    Broken(&'a [u8]),
}

impl ParsedMeta<'_> {
    /// Returns its dedup key.
    pub(in crate::session) fn key(&self) -> u64 {
        match self {
            ParsedMeta::Text(text, _) => text.id,
            ParsedMeta::Meta(meta) => decode::repetition_key(meta),
            ParsedMeta::Broken(encoded) => decode::broken_key(encoded),
        }
    }

    /// Returns the encoded meta, as a copy that keeps no frame alive.
    pub(in crate::session) fn encoded(&self) -> Bytes {
        match self {
            ParsedMeta::Text(_, encoded) | ParsedMeta::Broken(encoded) => Bytes::copy_from_slice(encoded),
            ParsedMeta::Meta(meta) => wire::encode(meta),
        }
    }

    /// Returns the bytes of its payload.
    pub(in crate::session) fn size(&self) -> usize {
        match self {
            ParsedMeta::Text(_, encoded) | ParsedMeta::Broken(encoded) => encoded.len(),
            ParsedMeta::Meta(meta) => [&meta.payload, &meta.meta].into_iter().flatten().map(Bytes::len).sum(),
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

    /// Returns whether `known` holds for the dedup keys of all of them.
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

    /// Visits each of them in order.
    pub(in crate::session) fn look(&self, mut look: impl FnMut(&ParsedMeta<'_>)) {
        match self {
            Metas::Decoded(metas, broken) => {
                metas.iter().for_each(|meta| look(&ParsedMeta::Meta(meta.clone())));
                broken.iter().for_each(|encoded| look(&ParsedMeta::Broken(encoded)));
            }
            Metas::Seen(page) => Metas::Seen(*page).each(|got| look(&got)),
        }
    }

    /// Consumes each of them in order.
    pub(in crate::session) fn each(self, mut take: impl FnMut(ParsedMeta<'_>)) {
        match self {
            Metas::Decoded(metas, broken) => {
                metas.into_iter().for_each(|meta| take(ParsedMeta::Meta(meta)));
                broken.iter().for_each(|encoded| take(ParsedMeta::Broken(encoded)));
            }
            Metas::Seen(page) => {
                let mut left = MAX_FIELDS;
                page.metas().for_each(|meta| take(got(meta.text, meta.encoded, &mut left)));
            }
        }
    }
}

fn got<'a>(text: Option<TextView<'a>>, encoded: &'a [u8], left: &mut usize) -> ParsedMeta<'a> {
    match text {
        Some(text) => ParsedMeta::Text(text, encoded),
        None => full_meta(encoded, left).map_or(ParsedMeta::Broken(encoded), ParsedMeta::Meta),
    }
}
