use crate::model::{account::app_key::is_step, error::ConfigError};

/// Identity of this device at the service (connection spec §1).
///
/// A changed resource counts as another device, so an application that restarts should give the same one again. Two
/// programs online at the same time need two resources, or they take the place from each other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Device {
    /// The device's unique name, 1 to 128 bytes without white space, control characters, `/` or `@`, and not `.` or
    /// `..`. Default: `rust_` and 16 random hexadecimal digits, new for every connection.
    pub resource: String,
    /// The device's name as shown to people, of the same form. Default: `rust`.
    pub name: String,
    /// The device's id, of the same form. Default: the resource.
    pub uuid: String,
    /// A platform number of the application's own, 1 to 100. Default: `None`.
    pub platform: Option<u8>,
    random: Option<Box<str>>,
}

impl Device {
    /// The longest resource, in bytes.
    pub const MAX_RESOURCE: usize = 128;

    /// Makes a device of the given resource; it is checked by [`Connection::open`](crate::Connection::open).
    #[must_use]
    pub fn new(resource: impl Into<String>) -> Self {
        let resource = resource.into();
        Device { uuid: resource.clone(), resource, name: "rust".to_owned(), platform: None, random: None }
    }

    pub(crate) fn is_random(&self) -> bool {
        self.random.as_deref() == Some(&*self.resource)
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let refuse = |what, value: &str, problem| Err(ConfigError::Device { what, value: value.to_owned(), problem });
        for (what, value) in [("resource", &self.resource), ("device id", &self.uuid), ("device name", &self.name)] {
            if value.is_empty() {
                return refuse(what, value, "must not be empty");
            }
            if value.len() > Self::MAX_RESOURCE {
                return refuse(what, value, "must not be longer than 128 bytes");
            }
            if value.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@')) {
                return refuse(what, value, "must not hold white space, control characters, `/` or `@`");
            }
            if is_step(value) {
                return refuse(what, value, "must not be `.` or `..`");
            }
        }
        match self.platform {
            Some(n) if !(1..=100).contains(&n) => refuse("platform number", &n.to_string(), "must be from 1 to 100"),
            _ => Ok(()),
        }
    }
}

impl Default for Device {
    fn default() -> Self {
        Device::random(fastrand::u64(..))
    }
}

impl Device {
    pub(crate) fn random(number: u64) -> Self {
        let resource = format!("rust_{number:016x}");
        Device { random: Some(resource.as_str().into()), ..Device::new(resource) }
    }
}
