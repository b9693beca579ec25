//! The view of a page against the full decoder: wherever there is a view, both say the same.
//!
//! Input: a frame; then the same bytes as the payload of a SYNC, so that the page itself is reached without an envelope;
//! then both with some letters overwritten by bytes that are no text.

#![allow(clippy::panic, reason = "a harness fails loudly")]

use bytes::Bytes;

use super::server::envelope;
use crate::wire::{
    Body, Content, DecodeError, Downward, Jid, MAX_FIELDS, MSync, MessageBody, PageView, full_meta,
    message_body::Type as MessageType,
};

pub(super) fn run(data: &[u8]) {
    agree(data);
    agree(&envelope(0, data.to_vec()));
    // A payload seen by itself is seen as in its frame.
    let view = PageView::of_payload(data);
    assert_eq!(view.is_some(), PageView::of(&envelope(0, data.to_vec())).is_some());
    // The same with texts that are none: no letter of ASCII is half a surrogate pair or a byte that no text has.
    for (letters, bytes) in [(&b"obl"[..], [0xed, 0xa0, 0xbd]), (b"hex", [0xff, 0xc3, 0xf8])] {
        let spoilt = |byte: &u8| letters.iter().zip(bytes).find(|(letter, _)| *letter == byte).map_or(*byte, |at| at.1);
        let spoilt: Vec<u8> = data.iter().map(spoilt).collect();
        agree(&spoilt);
        agree(&envelope(0, spoilt));
    }
}

/// Compares the view of a frame with the full decoder's reading: how many metas were seen as plain texts, where there
/// is a view.
pub(crate) fn agree(frame: &[u8]) -> Option<usize> {
    let view = PageView::of(frame)?;
    let full = MSync::decode_frame(Bytes::copy_from_slice(frame), usize::MAX).and_then(|frame| frame.downward_lossy());
    let (sync, raw) = match full {
        Ok((Downward::Sync(sync), raw)) => (sync, raw),
        // It decodes the plain texts too, and counts their fields.
        Err(DecodeError::TooManyFields { .. }) => return None,
        _ => panic!("a view of what does not decode: {full:?}"),
    };
    assert_eq!(sync.meta_id.unwrap_or(0), 0);
    assert_eq!(sync.status.and_then(|status| status.error_code).unwrap_or(0), 0);
    assert_eq!(sync.queue, view.queue.map(|queue| queue.to_jid()));
    assert_eq!((sync.next_key, sync.is_last.unwrap_or(false)), (view.next_key, view.is_last));
    assert_eq!(view.count, sync.metas.len() + raw.len());
    let (mut texts, mut left, mut metas, mut raw) = (0, MAX_FIELDS, sync.metas.into_iter(), raw.into_iter());
    for seen in view.metas() {
        match seen.text {
            None => match full_meta(seen.encoded, &mut left) {
                Some(meta) => assert_eq!(Some(meta), metas.next()),
                None => assert_eq!(Some(Bytes::copy_from_slice(seen.encoded)), raw.next()),
            },
            Some(seen) => {
                texts += 1;
                let meta = metas.next().expect("a meta for each text");
                let Ok(Body::Chat(body)) = meta.body() else { panic!("a text that is none: {meta:?}") };
                let name = |of_body: &Option<Jid>, of_meta: &Option<Jid>| {
                    let name = |jid: &Option<Jid>| jid.as_ref().map(|jid| jid.name().to_owned()).unwrap_or_default();
                    let (of_body, of_meta) = (name(of_body), name(of_meta));
                    assert!(of_body.is_empty() || of_meta.is_empty() || of_body == of_meta, "{of_body} for {of_meta}");
                    if of_meta.is_empty() { of_body } else { of_meta }
                };
                let resource = |jid: &Option<Jid>| jid.as_ref().and_then(|jid| jid.client_resource.clone());
                assert_eq!((Some(seen.id), Some(seen.timestamp)), (meta.id.or(Some(0)), meta.timestamp.or(Some(0))));
                assert_eq!(seen.from, name(&body.from, &meta.from));
                assert_eq!(seen.to, name(&body.to, &meta.to));
                assert_eq!(seen.from_resource.map(str::to_owned), resource(&meta.from));
                assert_eq!(seen.to_resource.map(str::to_owned), resource(&meta.to));
                let kind = if seen.is_group { MessageType::Groupchat } else { MessageType::Chat };
                assert_eq!(body.r#type, Some(kind as i32));
                let [content] = &body.contents[..] else { panic!("one content: {body:?}") };
                let plain = Content { r#type: content.r#type, text: content.text.clone(), ..Content::default() };
                assert_eq!((content, content.r#type.unwrap_or(0)), (&plain, 0));
                assert_eq!(seen.text, content.text.as_deref().unwrap_or_default());
                // Nothing else is said that the view would not show.
                assert!(meta.ext.is_empty() && meta.meta.is_none() && meta.directed_users.is_empty());
                let bare = MessageBody {
                    r#type: body.r#type,
                    from: body.from.clone(),
                    to: body.to.clone(),
                    contents: body.contents.clone(),
                    ..MessageBody::default()
                };
                assert_eq!(*body, bare);
            }
        }
    }
    assert_eq!((metas.next(), raw.next()), (None, None));
    Some(texts)
}
