//! Administration of users and their devices, by an app token.
//!
//! Paths, bodies and answers are those of the vendor's public documentation (`doc.easemob.com`, server side, user
//! management); they are not verified against the service.

use awc::http::Method;
use serde::Serialize;

use super::{
    client::{RestClient, percent_encoded},
    device::{DeviceInfo, Resource, parse_result},
    secret_body,
};
use crate::{
    model::{
        account::{Password, Token, UserId},
        error::{Operation, RestError},
    },
    rest::{http_call::Call, rate_limit::RateLimits, session_call::done},
};

#[derive(Serialize)]
struct NewPassword<'a> {
    newpassword: &'a str,
}

/// Users and devices, as documented by the vendor and not verified against the service; all need an app token.
impl RestClient {
    /// Deletes a user: its devices are kicked ([`Kick::UserRemoved`](crate::errors::Kick::UserRemoved)) and its data
    /// are gone.
    ///
    /// Groups and rooms it owns go with it. Where a host did not answer and the next one says
    /// [`UserNotFound`](crate::errors::RestErrorKind::UserNotFound), the first one may have deleted the user.
    ///
    /// # Errors
    /// Any [`RestError`]; among them [`UserNotFound`](crate::errors::RestErrorKind::UserNotFound) and
    /// [`Unauthorized`](crate::errors::RestErrorKind::Unauthorized).
    pub async fn delete_user(&self, app_token: &Token, user: &UserId) -> Result<(), RestError> {
        let call = self.about(Operation::DeleteUser, Method::DELETE, app_token, user, "");
        self.call(call, done).await
    }

    /// Gives a user another password: its devices are kicked
    /// ([`Kick::PasswordChanged`](crate::errors::Kick::PasswordChanged)) and its tokens end.
    ///
    /// The service wants 6 to 64 characters.
    ///
    /// # Errors
    /// As [`RestClient::delete_user`].
    pub async fn change_password(
        &self,
        app_token: &Token,
        user: &UserId,
        password: &Password,
    ) -> Result<(), RestError> {
        let mut call = self.about(Operation::ChangePassword, Method::PUT, app_token, user, "/password");
        let body = NewPassword { newpassword: password.expose() };
        call.body = Some(secret_body::json(&body));
        call.secrets.add(password);
        self.call(call, done).await
    }

    /// Lets a deactivated user log in again.
    ///
    /// # Errors
    /// As [`RestClient::delete_user`].
    pub async fn activate_user(&self, app_token: &Token, user: &UserId) -> Result<(), RestError> {
        let call = self.about(Operation::ActivateUser, Method::POST, app_token, user, "/activate");
        self.call(call, done).await
    }

    /// Keeps a user out until it is activated again: it is logged out at once, and may not log in.
    ///
    /// Messages to it wait for it meanwhile.
    ///
    /// # Errors
    /// As [`RestClient::delete_user`].
    pub async fn deactivate_user(&self, app_token: &Token, user: &UserId) -> Result<(), RestError> {
        let call = self.about(Operation::DeactivateUser, Method::POST, app_token, user, "/deactivate");
        self.call(call, done).await
    }

    /// Lists the devices a user is logged in on at this moment.
    ///
    /// # Errors
    /// As [`RestClient::delete_user`].
    pub async fn devices(&self, app_token: &Token, user: &UserId) -> Result<Vec<DeviceInfo>, RestError> {
        let call = self.about(Operation::Devices, Method::GET, app_token, user, "/resources");
        self.call(call, DeviceInfo::parse_all).await
    }

    /// Logs a user out on one device ([`Kick::ByOtherDevice`](crate::errors::Kick::ByOtherDevice)); it may return.
    ///
    /// Answers whether the service did so.
    ///
    /// # Errors
    /// As [`RestClient::delete_user`].
    pub async fn kick_device(&self, app_token: &Token, user: &UserId, resource: &Resource) -> Result<bool, RestError> {
        let path = format!("/disconnect/{}", percent_encoded(resource.as_str()));
        let call = self.about(Operation::KickDevice, Method::DELETE, app_token, user, &path);
        self.call(call, parse_result).await
    }

    /// Logs a user out on all its devices ([`Kick::ByOtherDevice`](crate::errors::Kick::ByOtherDevice)); it may return.
    ///
    /// Answers whether the service did so. The vendor has this as a GET.
    ///
    /// # Errors
    /// As [`RestClient::delete_user`].
    pub async fn kick_all(&self, app_token: &Token, user: &UserId) -> Result<bool, RestError> {
        let call = self.about(Operation::KickAll, Method::GET, app_token, user, "/disconnect");
        self.call(call, parse_result).await
    }

    /// Sets how many calls a second go out for this application, from the next call on.
    ///
    /// That holds for every client of the app key in this process that has a REST address in common with this one;
    /// the last one to set it decides. Several processes have to divide the service's limits among themselves.
    pub fn set_rate_limits(&self, limits: RateLimits) {
        self.limiter.set(limits);
    }

    /// Makes a call about one user; `rest` follows the user in the path.
    fn about<'a>(
        &'a self,
        operation: Operation,
        method: Method,
        app_token: &'a Token,
        user: &'a UserId,
        rest: &str,
    ) -> Call<'a> {
        let path = format!("users/{}{rest}", percent_encoded(user.as_str()));
        self.request(operation, method, Some(user), Some(app_token), &path)
    }
}
