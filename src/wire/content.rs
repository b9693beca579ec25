//! The content of a chat message (messages spec §1.3).

use super::enumeration::enumeration;
use super::key_value::KeyValue;

/// One part of a chat message.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct Content {
    /// `type`.
    #[prost(enumeration = "ContentType", optional, tag = "1")]
    pub r#type: Option<i32>,
    /// `text`.
    #[prost(string, optional, tag = "2")]
    pub text: Option<String>,
    /// `latitude`.
    #[prost(double, optional, tag = "3")]
    pub latitude: Option<f64>,
    /// `longitude`.
    #[prost(double, optional, tag = "4")]
    pub longitude: Option<f64>,
    /// `address`.
    #[prost(string, optional, tag = "5")]
    pub address: Option<String>,
    /// `displayName`.
    #[prost(string, optional, tag = "6")]
    pub display_name: Option<String>,
    /// `remotePath`.
    #[prost(string, optional, tag = "7")]
    pub remote_path: Option<String>,
    /// `secretKey`: opens the file. Secret.
    #[prost(string, optional, tag = "8")]
    pub secret_key: Option<String>,
    /// `fileLength`: bytes.
    #[prost(int32, optional, tag = "9")]
    pub file_length: Option<i32>,
    /// `action`.
    #[prost(string, optional, tag = "10")]
    pub action: Option<String>,
    /// `params`.
    #[prost(message, repeated, tag = "11")]
    pub params: Vec<KeyValue>,
    /// `duration`: seconds.
    #[prost(int32, optional, tag = "12")]
    pub duration: Option<i32>,
    /// `size`.
    #[prost(message, optional, tag = "13")]
    pub size: Option<Size>,
    /// `thumbnailRemotePath`.
    #[prost(string, optional, tag = "14")]
    pub thumbnail_remote_path: Option<String>,
    /// `thumbnailSecretKey`: opens the thumbnail. Secret.
    #[prost(string, optional, tag = "15")]
    pub thumbnail_secret_key: Option<String>,
    /// `thumbnailDisplayName`.
    #[prost(string, optional, tag = "16")]
    pub thumbnail_display_name: Option<String>,
    /// `thumbnailFileLength`.
    #[prost(int32, optional, tag = "17")]
    pub thumbnail_file_length: Option<i32>,
    /// `thumbnailSize`.
    #[prost(message, optional, tag = "18")]
    pub thumbnail_size: Option<Size>,
    /// `customEvent`.
    #[prost(string, optional, tag = "19")]
    pub custom_event: Option<String>,
    /// `customExts`.
    #[prost(message, repeated, tag = "20")]
    pub custom_exts: Vec<KeyValue>,
    /// `buildingName`.
    #[prost(string, optional, tag = "21")]
    pub building_name: Option<String>,
    /// `subType`.
    #[prost(enumeration = "SubType", optional, tag = "22")]
    pub sub_type: Option<i32>,
    /// `title`.
    #[prost(string, optional, tag = "23")]
    pub title: Option<String>,
    /// `summary`.
    #[prost(string, optional, tag = "24")]
    pub summary: Option<String>,
    /// `combineLevel`.
    #[prost(int32, optional, tag = "25")]
    pub combine_level: Option<i32>,
}

enumeration! {
    /// Kind of a content.
    pub enum ContentType {
        Text = 0 => "TEXT",
        Image = 1 => "IMAGE",
        Video = 2 => "VIDEO",
        Location = 3 => "LOCATION",
        Voice = 4 => "VOICE",
        File = 5 => "FILE",
        Command = 6 => "COMMAND",
        Custom = 7 => "CUSTOM",
        Combine = 8 => "COMBINE",
    }
}

enumeration! {
    /// Refinement of the kind of a content.
    pub enum SubType {
        Combine = 0 => "COMBINE",
        Gif = 1 => "GIF",
        SubStream = 10 => "SUB_STREAM",
    }
}

/// Width and height of a picture, in pixels.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Size {
    /// `width`.
    #[prost(double, optional, tag = "1")]
    pub width: Option<f64>,
    /// `height`.
    #[prost(double, optional, tag = "2")]
    pub height: Option<f64>,
}
