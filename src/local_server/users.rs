//! What an app token may do with users and their devices. The shapes are those of the vendor's public documentation.

use serde_json::{Value, json};

use super::{
    rest::{Answered, Call, Refused, decoded, entity, illegal, not_found, object, text},
    state::{Owner, State, now_ms},
};
use crate::model::{account::Password, error::Kick};

impl State {
    /// Answers a call below `/users/{user}`.
    pub(super) fn managed(&mut self, call: &Call<'_>, user: &str, rest: &[&str]) -> Answered {
        let user = decoded(user).to_lowercase();
        self.checked(call.bearer.unwrap_or_default(), &Owner::App)?;
        if !self.users.contains_key(&user) {
            return Err(not_found());
        }
        match (call.method, rest) {
            ("DELETE", []) => self.deleted(&user),
            ("PUT", ["password"]) => self.password_changed(&user, call.body),
            ("POST", ["activate"]) => self.activated(&user, true),
            ("POST", ["deactivate"]) => self.activated(&user, false),
            ("GET", ["resources"]) => Ok(self.resources(&user)),
            ("GET", ["disconnect"]) => Ok(self.disconnected(call.method, &user, None)),
            ("DELETE", ["disconnect", resource]) => Ok(self.disconnected(call.method, &user, Some(&decoded(resource)))),
            _ => Err(not_found()),
        }
    }

    /// Deletes a user: its devices are kicked, its tokens and messages are gone.
    pub(super) fn delete_user(&mut self, name: &str) -> Option<super::state::User> {
        self.kick(name, None, &Kick::UserRemoved);
        self.revoke_all(name);
        self.leave_every_group(name);
        self.presences.remove(name);
        self.users.remove(name)
    }

    /// Changes a user's password: its devices are kicked and its tokens revoked; `false` if there is no such user.
    pub(super) fn change_password(&mut self, name: &str, password: &str) -> bool {
        let Some(user) = self.users.get_mut(name) else {
            return false;
        };
        user.password = password.to_owned();
        user.modified_ms = now_ms();
        self.kick(name, None, &Kick::PasswordChanged);
        self.revoke_all(name);
        true
    }

    fn deleted(&mut self, name: &str) -> Answered {
        let user = self.delete_user(name).ok_or_else(not_found)?;
        Ok(self.described("delete", json!({"path": "/users", "entities": [entity(name, &user, true)]})))
    }

    fn password_changed(&mut self, name: &str, body: &[u8]) -> Answered {
        let body = object(body)?;
        let password = text(&body, "newpassword").filter(|password| Password::new(*password).is_ok());
        let password = password.ok_or_else(|| illegal("new password must be provided"))?;
        self.change_password(name, password);
        Ok(json!({"action": "set user password", "timestamp": now_ms(), "duration": 0}))
    }

    fn activated(&mut self, name: &str, activated: bool) -> Answered {
        let user = self.users.get_mut(name).ok_or_else(not_found)?;
        user.activated = activated;
        user.modified_ms = now_ms();
        if activated {
            return Ok(json!({"action": "activate user", "timestamp": now_ms(), "duration": 0}));
        }
        let entity = entity(name, user, true);
        self.kick(name, None, &Kick::ByOtherDevice);
        Ok(json!({"action": "Deactivate user", "entities": [entity], "timestamp": now_ms(), "duration": 0}))
    }

    fn resources(&self, name: &str) -> Value {
        let devices: Vec<_> = self
            .devices_online()
            .filter(|device| device.user == name)
            .map(|device| {
                json!({"res": device.resource, "device_uuid": device.device_uuid, "device_name": device.device_name})
            })
            .collect();
        self.described("get", json!({"path": format!("/users/{name}/resources"), "entities": [], "data": devices}))
    }

    fn disconnected(&mut self, method: &str, name: &str, resource: Option<&str>) -> Value {
        let kicked = self.kick(name, resource, &Kick::ByOtherDevice);
        let result = resource.is_none() || kicked > 0;
        self.described(&method.to_lowercase(), json!({"entities": [], "data": {"result": result}}))
    }

    /// An answer with what most of them hold.
    fn described(&self, action: &str, mut answer: Value) -> Value {
        let common = json!({
            "action": action,
            "application": self.app_uuid,
            "uri": format!("{}/{}/{}/users", self.rest_url, self.app_key.org(), self.app_key.app()),
            "timestamp": now_ms(),
            "duration": 0,
            "organization": self.app_key.org(),
            "applicationName": self.app_key.app(),
        });
        if let (Some(answer), Value::Object(common)) = (answer.as_object_mut(), common) {
            answer.extend(common);
        }
        answer
    }
}

/// A deactivated user asks for a token. The service's words are not known.
pub(super) fn deactivated() -> Refused {
    Refused(400, "invalid_grant", "user not activated".to_owned())
}
