//! Management of users and their devices by an app token, in the shapes of the vendor's public documentation.

use serde_json::{Value, json};

use crate::{
    local_server::{
        data::Owner,
        rest::answer::{Answered, Call, decoded, entity, enveloped, illegal, not_found, object, text},
        state::State,
    },
    model::{account::Password, error::Kick},
    util::unix_time::now_ms,
};

impl State {
    /// Answers a call below `/users/{user}`.
    pub(crate) fn user_call(&mut self, call: &Call<'_>, user: &str, rest: &[&str]) -> Answered {
        let user = decoded(user).to_lowercase();
        self.require_token(call.bearer.unwrap_or_default(), &Owner::App)?;
        if !self.users.contains(&user) {
            return Err(not_found());
        }
        match (call.method, rest) {
            ("DELETE", []) => self.answer_delete(&user),
            ("PUT", ["password"]) => self.answer_password(&user, call.body),
            ("POST", ["activate"]) => self.answer_activation(&user, true),
            ("POST", ["deactivate"]) => self.answer_activation(&user, false),
            ("GET", ["resources"]) => Ok(self.resources(&user)),
            ("GET", ["disconnect"]) => Ok(self.answer_disconnect(call.method, &user, None)),
            ("DELETE", ["disconnect", resource]) => {
                Ok(self.answer_disconnect(call.method, &user, Some(&decoded(resource))))
            }
            _ => Err(not_found()),
        }
    }

    fn answer_delete(&mut self, name: &str) -> Answered {
        let user = self.delete_user(name).ok_or_else(not_found)?;
        Ok(enveloped(&self.app, "delete", "users", json!({"path": "/users", "entities": [entity(name, &user, true)]})))
    }

    fn answer_password(&mut self, name: &str, body: &[u8]) -> Answered {
        let body = object(body)?;
        let password = text(&body, "newpassword").filter(|password| Password::new(*password).is_ok());
        let password = password.ok_or_else(|| illegal("new password must be provided"))?;
        self.change_password(name, password);
        Ok(json!({"action": "set user password", "timestamp": now_ms(), "duration": 0}))
    }

    fn answer_activation(&mut self, name: &str, activated: bool) -> Answered {
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
            .links
            .devices()
            .filter(|device| device.user == name)
            .map(|device| {
                json!({"res": device.resource, "device_uuid": device.device_uuid, "device_name": device.device_name})
            })
            .collect();
        enveloped(
            &self.app,
            "get",
            "users",
            json!({"path": format!("/users/{name}/resources"), "entities": [], "data": devices}),
        )
    }

    fn answer_disconnect(&mut self, method: &str, name: &str, resource: Option<&str>) -> Value {
        let kicked = self.kick(name, resource, &Kick::ByOtherDevice);
        let result = resource.is_none() || kicked > 0;
        enveloped(&self.app, &method.to_lowercase(), "users", json!({"entities": [], "data": {"result": result}}))
    }
}
