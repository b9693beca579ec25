//! Reads contents (messages spec §1.3, §2.6, §2.8).

use crate::{
    model::message::{
        Attachment, Combined, Custom, Ext, FileSecret, Image, Location, MessageBody, StreamPiece, StreamStatus, Video,
        Voice,
    },
    wire::{
        Content, Meta,
        content::{ContentType, Size, SubType},
        message_body::{self, Stream},
    },
};

/// Reads the first content of a body, with the stream of a piece.
pub(super) fn read(content: Content, stream: Option<Stream>, meta: &Meta) -> MessageBody {
    let kind = ContentType::try_from(content.r#type.unwrap_or(0));
    let sub_type = content.sub_type.and_then(|number| SubType::try_from(number).ok());
    match (kind, sub_type, stream) {
        (Ok(ContentType::Text), Some(SubType::Combine), _) | (Ok(ContentType::Combine), ..) => combined(content),
        (Ok(ContentType::Text), Some(SubType::SubStream), Some(stream)) => piece(content, stream),
        (Ok(ContentType::Text), ..) => MessageBody::Text(content.text.unwrap_or_default()),
        (Ok(ContentType::Image), ..) => {
            let (width, height) = size(content.size.as_ref());
            MessageBody::Image(Box::new(Image {
                gif: sub_type == Some(SubType::Gif),
                width,
                height,
                file: file(content),
            }))
        }
        (Ok(ContentType::Video), ..) => video(content),
        (Ok(ContentType::Location), ..) => MessageBody::Location(Box::new(Location {
            latitude: content.latitude.unwrap_or(0.0),
            longitude: content.longitude.unwrap_or(0.0),
            address: content.address.unwrap_or_default(),
            building: content.building_name.unwrap_or_default(),
        })),
        (Ok(ContentType::Voice), ..) => {
            MessageBody::Voice(Box::new(Voice { seconds: not_negative(content.duration), file: file(content) }))
        }
        (Ok(ContentType::File), ..) => MessageBody::File(Box::new(file(content))),
        (Ok(ContentType::Command), ..) => MessageBody::Command { action: content.action.unwrap_or_default() },
        (Ok(ContentType::Custom), ..) => MessageBody::Custom(Box::new(Custom {
            event: content.custom_event.unwrap_or_default(),
            values: Ext::from_wire(content.custom_exts),
            params: Ext::from_wire(content.params),
        })),
        // Copied, because a slice would keep the whole frame in memory for as long as a subscriber holds it.
        (Err(_), ..) => MessageBody::Raw {
            namespace: meta.ns.unwrap_or(0),
            payload: bytes::Bytes::copy_from_slice(meta.payload.as_deref().unwrap_or_default()),
        },
    }
}

fn combined(mut content: Content) -> MessageBody {
    MessageBody::Combined(Box::new(Combined {
        compatible_text: content.text.take().unwrap_or_default(),
        title: content.title.take().unwrap_or_default(),
        summary: content.summary.take().unwrap_or_default(),
        level: not_negative(content.combine_level),
        file: file(content),
    }))
}

fn video(mut content: Content) -> MessageBody {
    let (width, height) = size(content.size.as_ref().or(content.thumbnail_size.as_ref()));
    let thumbnail = content.thumbnail_remote_path.take().filter(|path| !path.is_empty()).map(|path| {
        let name = content.thumbnail_display_name.take();
        attachment(path, content.thumbnail_secret_key.take(), name, content.thumbnail_file_length)
    });
    let seconds = not_negative(content.duration);
    MessageBody::Video(Box::new(Video { seconds, width, height, thumbnail, file: file(content) }))
}

fn piece(content: Content, stream: Stream) -> MessageBody {
    use message_body::StreamStatus as Wire;
    let number = stream.stream_status.unwrap_or(0);
    let status = match Wire::try_from(number) {
        Ok(Wire::StreamStart) => StreamStatus::Start,
        Ok(Wire::StreamStartAndCompleted) => StreamStatus::StartAndCompleted,
        Ok(Wire::StreamInProgress) => StreamStatus::InProgress,
        Ok(Wire::StreamCompleted) => StreamStatus::Completed,
        Ok(Wire::StreamFull) => StreamStatus::Full,
        Err(_) => StreamStatus::Unknown(number),
    };
    MessageBody::Stream(Box::new(StreamPiece {
        text: content.text.unwrap_or_default(),
        sequence: stream.stream_seq.unwrap_or(0),
        status,
        kind: stream.stream_type.unwrap_or_default(),
        error: stream.stream_error.unwrap_or(0),
        finish_reason: stream.stream_finish_reason.unwrap_or(0),
    }))
}

fn size(size: Option<&Size>) -> (f64, f64) {
    size.map_or((0.0, 0.0), |size| (size.width.unwrap_or(0.0), size.height.unwrap_or(0.0)))
}

fn not_negative(number: Option<i32>) -> u32 {
    number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

fn file(content: Content) -> Attachment {
    let Content { remote_path, secret_key, display_name, file_length, .. } = content;
    attachment(remote_path.unwrap_or_default(), secret_key, display_name, file_length)
}

fn attachment(url: String, secret: Option<String>, name: Option<String>, length: Option<i32>) -> Attachment {
    Attachment { name: name.unwrap_or_default(), length: not_negative(length).into(), ..stored(url, secret) }
}

/// Makes a stored file of its address and secret. The separate secret counts more than one in the address.
pub(crate) fn stored(url: String, secret: Option<String>) -> Attachment {
    let (url, in_url) = without_secret(url);
    let secret = secret.filter(|secret| !secret.is_empty()).or(in_url).map(FileSecret::new);
    Attachment { secret, ..Attachment::at(url) }
}

/// Splits an address from the `share-secret` of its query; most have none.
fn without_secret(url: String) -> (String, Option<String>) {
    const SECRET: &str = "share-secret=";
    let Some((address, query)) = url.split_once('?').filter(|(_, query)| query.contains(SECRET)) else {
        return (url, None);
    };
    let (query, fragment) = query.split_once('#').map_or((query, None), |(query, rest)| (query, Some(rest)));
    let (mut kept, mut secret) = (String::with_capacity(url.len()), None);
    kept.push_str(address);
    let mut joint = '?';
    for part in query.split('&') {
        match part.strip_prefix(SECRET) {
            Some(value) => secret = Some(value.to_owned()).filter(|value| !value.is_empty()).or(secret),
            // It opens nothing alone, and an address that has it is taken for one with the secret by other clients.
            None if part == "em-redirect=true" => {}
            None => {
                kept.push(joint);
                kept.push_str(part);
                joint = '&';
            }
        }
    }
    if let Some(fragment) = fragment {
        kept.push('#');
        kept.push_str(fragment);
    }
    (kept, secret)
}

#[cfg(test)]
mod tests {
    use super::without_secret;

    #[test]
    fn the_secret_is_taken_out_of_an_address_wherever_it_stands_and_nothing_else_is() {
        for (url, kept, secret) in [
            ("http://h/u", "http://h/u", None),
            ("", "", None),
            ("http://h/u?em-redirect=true", "http://h/u?em-redirect=true", None),
            ("http://h/u?em-redirect=true&share-secret=Z", "http://h/u", Some("Z")),
            ("http://h/u?em-redirect=true&share-secret=Z&a=b", "http://h/u?a=b", Some("Z")),
            ("http://h/u?share-secret=Z", "http://h/u", Some("Z")),
            ("http://h/u?share-secret=Z&a=b#f", "http://h/u?a=b#f", Some("Z")),
            ("http://h/u?share-secret=&a", "http://h/u?a", None),
            ("http://h/u?a=my-share-secret=Z", "http://h/u?a=my-share-secret=Z", None),
            ("http://h/u?share-secret=Y&share-secret=Z", "http://h/u", Some("Z")),
        ] {
            assert_eq!(without_secret(url.to_owned()), (kept.to_owned(), secret.map(str::to_owned)), "{url}");
        }
    }
}
