use std::str::FromStr;

use serde_json::Value;

use super::answer::{odd, text};
use crate::{model::error::RestErrorKind, util::impls::impl_display};

/// The name of one device of a user, as the service lists it or [`Device::resource`](crate::account::Device::resource) gives it:
/// 1 to 256 bytes without control characters, neither `.` nor `..`.
///
/// ```
/// use agora_chat::rest::Resource;
/// assert_eq!("android_1234".parse::<Resource>()?.as_str(), "android_1234");
/// assert!("".parse::<Resource>().is_err());
/// # Ok::<(), agora_chat::rest::ResourceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource(String);

/// A text that cannot be a device's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResourceError {
    /// The text is empty.
    #[error("the resource is empty")]
    Empty,
    /// The text is longer than 256 bytes.
    #[error("the resource has {0} bytes; at most {max} are allowed", max = Resource::MAX_BYTES)]
    TooLong(usize),
    /// The text would not stay in its place in an address.
    #[error("the resource {0:?} holds a control character, or is `.` or `..`")]
    Unsafe(String),
}

impl Resource {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 256;

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Resource {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Err(ResourceError::Empty),
            _ if text.len() > Self::MAX_BYTES => Err(ResourceError::TooLong(text.len())),
            "." | ".." => Err(ResourceError::Unsafe(text.to_owned())),
            _ if text.contains(char::is_control) => Err(ResourceError::Unsafe(text.to_owned())),
            _ => Ok(Resource(text.to_owned())),
        }
    }
}

impl_display!(|this: Resource| "{}", this.0);

/// One device on which a user is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// The device's name, for [`RestClient::kick_device`](super::RestClient::kick_device).
    pub resource: Resource,
    /// The device's id, if the service gave one.
    pub uuid: Option<String>,
    /// The device's name as shown to people, if the service gave one.
    pub name: Option<String>,
}

impl DeviceInfo {
    pub(super) fn parse_all(body: &Value) -> Result<Vec<Self>, RestErrorKind> {
        let devices = body.get("data").and_then(Value::as_array).ok_or_else(|| odd("it has no list of devices"))?;
        Ok(devices.iter().filter_map(Self::parse).collect())
    }

    /// `None` for a device without a usable resource, which no call could name either.
    fn parse(device: &Value) -> Option<Self> {
        let resource = text(device, "res")?;
        let filled = |member| text(device, member).filter(|text| !text.is_empty()).map(str::to_owned);
        Some(DeviceInfo { resource: resource.parse().ok()?, uuid: filled("device_uuid"), name: filled("device_name") })
    }
}

pub(super) fn parse_result(body: &Value) -> Result<bool, RestErrorKind> {
    let result = body.get("data").and_then(|data| data.get("result")).and_then(Value::as_bool);
    result.ok_or_else(|| odd("it has no result"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{DeviceInfo, Resource, ResourceError, parse_result};

    #[test]
    fn a_resource_stays_in_its_place_in_an_address() {
        for good in ["a", "web_1.2", "a b", "\u{e4}", "..."] {
            assert_eq!(good.parse::<Resource>().unwrap().as_str(), good);
        }
        assert_eq!("".parse::<Resource>(), Err(ResourceError::Empty));
        assert_eq!("x".repeat(257).parse::<Resource>(), Err(ResourceError::TooLong(257)));
        for bad in [".", "..", "a\r\nb", "\u{0}"] {
            assert_eq!(bad.parse::<Resource>(), Err(ResourceError::Unsafe(bad.to_owned())));
        }
    }

    #[test]
    fn devices_are_read_with_what_is_there() {
        let body = json!({"data": [{"res": "android_1", "device_uuid": "u", "device_name": ""}, {}, {"res": ".."}, {"res": "web_2", "new": 1}]});
        let devices = DeviceInfo::parse_all(&body).unwrap();
        let shown: Vec<_> =
            devices.iter().map(|d| (d.resource.as_str(), d.uuid.as_deref(), d.name.as_deref())).collect();
        assert_eq!(shown, [("android_1", Some("u"), None), ("web_2", None, None)]);
        assert_eq!(DeviceInfo::parse_all(&json!({"data": []})), Ok(Vec::new()));
        for bad in [json!({}), json!({"data": {}})] {
            assert!(DeviceInfo::parse_all(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_kick_says_whether_it_took_effect() {
        assert_eq!(parse_result(&json!({"data": {"result": true}})), Ok(true));
        assert_eq!(parse_result(&json!({"data": {"result": false}})), Ok(false));
        for bad in [json!({}), json!({"data": true}), json!({"data": {"result": "true"}})] {
            assert!(parse_result(&bad).is_err(), "{bad}");
        }
    }
}
