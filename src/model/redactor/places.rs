use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{
    secrets::Secrets,
    spelling::{ANYWHERE, BEGINNING, Spelling, unescaped},
};

/// The shortest run of letters that is looked at as base64.
const RUN: usize = 8;

impl Secrets {
    /// Returns the text with a mark in the place of each secret; `None` where there is none in it.
    pub(super) fn replaced(&self, text: &str, mark: &str, cut: bool) -> Option<String> {
        let places = self.places(text, cut);
        if places.is_empty() {
            return None;
        }
        let (mut shown, mut from) = (String::with_capacity(text.len()), 0);
        for (begin, end) in places {
            shown.push_str(text.get(from..begin)?);
            shown.push_str(mark);
            from = end;
        }
        shown.push_str(text.get(from..)?);
        Some(shown)
    }

    /// Returns the places of secrets, in order and apart. A cut text may end with the beginning of one.
    pub(super) fn places(&self, text: &str, cut: bool) -> Vec<(usize, usize)> {
        let mut places = Vec::new();
        if self.all().next().is_none() {
            return places;
        }
        let spellings = Spelling::of(text);
        for secret in self.all() {
            for spelling in &spellings {
                spelling.find(text, secret, cut, &mut places);
            }
        }
        // A text that was escaped and then quoted, as `Debug` does it, is escaped twice.
        if text.contains("\\\\") {
            let (plain, places_of) = unescaped(text);
            let mut found = Vec::new();
            self.all().for_each(|secret| Spelling::Backslash.find(&plain, secret, cut, &mut found));
            let place = |at: usize| places_of.get(at).copied().unwrap_or(text.len());
            places.extend(found.into_iter().map(|(begin, end)| (place(begin), place(end))));
        }
        for (begin, end) in runs(text) {
            let run = text.get(begin..end).unwrap_or_default();
            if self.is_base64(run) {
                let padding = text.bytes().skip(end).take(2).take_while(|byte| *byte == b'=').count();
                places.push((begin, end + padding));
            }
        }
        places.sort_unstable();
        places.dedup_by(|next, last| {
            let overlaps = next.0 < last.1;
            if overlaps {
                last.1 = last.1.max(next.1);
            }
            overlaps
        });
        places
    }

    /// Returns whether a run of letters is base64 that has a secret in it, wherever in the run the base64 begins.
    fn is_base64(&self, run: &str) -> bool {
        let run: Vec<u8> = run
            .bytes()
            .map(|byte| match byte {
                b'-' => b'+',
                b'_' => b'/',
                other => other,
            })
            .collect();
        (0..4).any(|from| {
            let Some(rest) = run.get(from..) else { return false };
            // One letter alone is less than a byte.
            let rest = if rest.len() % 4 == 1 { rest.get(..rest.len() - 1).unwrap_or_default() } else { rest };
            let plain = LENIENT.decode(rest).unwrap_or_default();
            let long = |secret: &&str| secret.chars().nth(ANYWHERE - 1).is_some();
            self.all().filter(long).map(str::as_bytes).any(|secret| {
                let begins = |at: &usize| plain.get(*at) == secret.first();
                (0..plain.len()).filter(begins).any(|at| {
                    let matched = Spelling::Plain.follow(&plain, at, secret).bytes;
                    matched == secret.len() || matched >= BEGINNING
                })
            })
        })
    }
}

/// Returns the places where a text may be base64.
fn runs(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut begin = 0;
    let pieces = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && !"+/-_".contains(c));
    pieces.filter_map(move |piece| {
        let from = begin;
        begin += piece.len();
        let run = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && !"+/-_".contains(c)).len();
        (run >= RUN).then_some((from, from + run))
    })
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
