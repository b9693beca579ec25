//! The content of a chat message (messages spec §1.3).

use super::key_value::KeyValue;
use super::schema::schema;

schema! {
    /// One part of a chat message.
    pub redacted struct Content {
        r#type: Option<i32> => (enumeration = "ContentType", optional, tag = "1") as named(ContentType),
        text: Option<String> => (string, optional, tag = "2"),
        latitude: Option<f64> => (double, optional, tag = "3"),
        longitude: Option<f64> => (double, optional, tag = "4"),
        address: Option<String> => (string, optional, tag = "5"),
        display_name: Option<String> => (string, optional, tag = "6"),
        remote_path: Option<String> => (string, optional, tag = "7") as address,
        /// Opens the file. Secret.
        secret_key: Option<String> => (string, optional, tag = "8") as secret,
        /// Bytes.
        file_length: Option<i32> => (int32, optional, tag = "9"),
        action: Option<String> => (string, optional, tag = "10"),
        params: Vec<KeyValue> => (message, repeated, tag = "11") as list,
        /// Seconds.
        duration: Option<i32> => (int32, optional, tag = "12"),
        size: Option<Size> => (message, optional, tag = "13"),
        thumbnail_remote_path: Option<String> => (string, optional, tag = "14") as address,
        /// Opens the thumbnail. Secret.
        thumbnail_secret_key: Option<String> => (string, optional, tag = "15") as secret,
        thumbnail_display_name: Option<String> => (string, optional, tag = "16"),
        thumbnail_file_length: Option<i32> => (int32, optional, tag = "17"),
        thumbnail_size: Option<Size> => (message, optional, tag = "18"),
        custom_event: Option<String> => (string, optional, tag = "19"),
        custom_exts: Vec<KeyValue> => (message, repeated, tag = "20") as list,
        building_name: Option<String> => (string, optional, tag = "21"),
        sub_type: Option<i32> => (enumeration = "SubType", optional, tag = "22") as named(SubType),
        title: Option<String> => (string, optional, tag = "23"),
        summary: Option<String> => (string, optional, tag = "24"),
        combine_level: Option<i32> => (int32, optional, tag = "25"),
    }

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

    /// Refinement of the kind of a content.
    pub enum SubType {
        Combine = 0 => "COMBINE",
        Gif = 1 => "GIF",
        SubStream = 10 => "SUB_STREAM",
    }

    /// Width and height of a picture, in pixels.
    pub struct Size {
        width: Option<f64> => (double, optional, tag = "1"),
        height: Option<f64> => (double, optional, tag = "2"),
    }
}
