//! Encodes a message's content, as in its body (messages spec §1.3).

use crate::{
    model::{
        error::SendError,
        message::{Attachment, Combined, Custom, FileSecret, Image, Location, MessageBody, Video, Voice},
    },
    wire::{
        Content,
        content::{ContentType, Size, SubType},
    },
};

/// Returns the content of a message; an error for what only the service or other clients make.
pub(crate) fn content(body: MessageBody) -> Result<Content, SendError> {
    match body {
        MessageBody::Text(text) => Ok(Content { text: Some(text), ..of(ContentType::Text) }),
        MessageBody::Command { action } => Ok(Content { action: Some(action), ..of(ContentType::Command) }),
        MessageBody::Custom(custom) => Ok(self::custom(*custom)),
        MessageBody::Location(place) => Ok(location(*place)),
        MessageBody::Image(picture) => image(*picture),
        MessageBody::Voice(voice) => self::voice(*voice),
        MessageBody::Video(film) => video(*film),
        MessageBody::File(stored) => file(ContentType::File, *stored),
        MessageBody::Combined(messages) => combined(*messages),
        MessageBody::Stream(_) => Err(invalid("a piece of a streamed text cannot be sent; send the whole text")),
        MessageBody::Raw { .. } => Err(invalid("a content that this release does not take apart cannot be sent")),
    }
}

fn of(kind: ContentType) -> Content {
    Content { r#type: Some(kind as i32), ..Content::default() }
}

fn invalid(why: &str) -> SendError {
    SendError::Invalid(why.to_owned())
}

fn custom(Custom { event, values, .. }: Custom) -> Content {
    Content { custom_event: Some(event), custom_exts: values.to_wire(), ..of(ContentType::Custom) }
}

fn location(Location { latitude, longitude, address, building }: Location) -> Content {
    Content {
        latitude: Some(latitude),
        longitude: Some(longitude),
        address: Some(address),
        building_name: Some(building),
        ..of(ContentType::Location)
    }
}

fn image(Image { file: stored, width, height, gif }: Image) -> Result<Content, SendError> {
    Ok(Content {
        size: Some(Size { width: Some(width), height: Some(height) }),
        sub_type: gif.then_some(SubType::Gif as i32),
        ..file(ContentType::Image, stored)?
    })
}

fn voice(Voice { file: stored, seconds }: Voice) -> Result<Content, SendError> {
    Ok(Content { duration: Some(duration(seconds)?), ..file(ContentType::Voice, stored)? })
}

fn video(Video { file: stored, seconds, width, height, thumbnail }: Video) -> Result<Content, SendError> {
    let size = (width > 0.0 || height > 0.0).then_some(Size { width: Some(width), height: Some(height) });
    let content = Content { duration: Some(duration(seconds)?), size, ..file(ContentType::Video, stored)? };
    Ok(match thumbnail {
        Some(picture) => Content {
            thumbnail_remote_path: Some(picture.url),
            thumbnail_secret_key: picture.secret.as_ref().map(exposed),
            thumbnail_display_name: named(picture.name).or(content.thumbnail_display_name),
            thumbnail_file_length: (picture.length > 0).then(|| length(picture.length)).transpose()?,
            ..content
        },
        // The service makes one of a file it stores.
        None if content.secret_key.is_some() => Content {
            thumbnail_remote_path: content.remote_path.as_ref().map(|path| with_query(path, "vframe=true")),
            thumbnail_secret_key: content.secret_key.clone(),
            ..content
        },
        None => content,
    })
}

/// Encodes a stored file: all fields, but at an own address known ones only, as the web SDK does.
fn file(kind: ContentType, stored: Attachment) -> Result<Content, SendError> {
    if stored.url.is_empty() {
        return Err(invalid("its file has no address; upload it first"));
    }
    let opened = stored.secret.is_some();
    let name = (opened || !stored.name.is_empty()).then_some(stored.name);
    Ok(Content {
        display_name: name.clone(),
        remote_path: Some(stored.url),
        secret_key: stored.secret.as_ref().map(exposed),
        file_length: (opened || stored.length > 0).then(|| length(stored.length)).transpose()?,
        thumbnail_display_name: name,
        ..of(kind)
    })
}

/// Encodes a combined message as a text with an explicit sub type 0 (messages spec §1.3).
fn combined(Combined { compatible_text, title, summary, level, file: stored }: Combined) -> Result<Content, SendError> {
    if level > crate::model::message::Bundle::MAX_LEVEL {
        return Err(SendError::Invalid(format!(
            "its messages stand {level} deep within each other; at most {} are allowed",
            crate::model::message::Bundle::MAX_LEVEL
        )));
    }
    let stored = file(ContentType::Text, stored)?;
    Ok(Content {
        text: Some(compatible_text),
        remote_path: opening(&stored),
        thumbnail_display_name: None,
        sub_type: Some(SubType::Combine as i32),
        title: Some(title),
        summary: Some(summary),
        combine_level: i32::try_from(level).ok(),
        ..stored
    })
}

/// Returns the full address by which a content's file can be fetched, its secret in it (messages spec §2.6).
pub(crate) fn opening(content: &Content) -> Option<String> {
    let path = content.remote_path.as_ref()?;
    Some(match &content.secret_key {
        Some(secret) if !path.contains("?em-redirect") => {
            with_query(path, &format!("em-redirect=true&share-secret={secret}"))
        }
        _ => path.clone(),
    })
}

fn with_query(path: &str, query: &str) -> String {
    let joint = if path.contains('?') { '&' } else { '?' };
    format!("{path}{joint}{query}")
}

fn named(name: String) -> Option<String> {
    (!name.is_empty()).then_some(name)
}

fn exposed(secret: &FileSecret) -> String {
    secret.expose().to_owned()
}

/// Checks a length or a duration: the protocol has 31 bits.
fn length(bytes: u64) -> Result<i32, SendError> {
    i32::try_from(bytes)
        .map_err(|_| SendError::Invalid(format!("its file has {bytes} bytes; at most {} can be told", i32::MAX)))
}

fn duration(seconds: u32) -> Result<i32, SendError> {
    i32::try_from(seconds)
        .map_err(|_| SendError::Invalid(format!("it lasts {seconds} seconds; at most {} can be told", i32::MAX)))
}
